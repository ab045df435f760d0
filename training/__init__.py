"""Training: everything that makes the shipped weights, from text to exported graphs.

Not part of the wheel. `python -m training motion` makes the speech-to-motion model.
"""
