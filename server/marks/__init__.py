"""What tells that a picture is made by a machine: badge, watermark, content credentials.

docs/marks.md says what each is, what it survives and what it costs.
"""
