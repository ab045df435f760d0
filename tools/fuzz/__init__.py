"""Fuzzing of everything that reads what comes from outside; see docs/security.md.

`python -m tools.fuzz` runs it for minutes or hours, `tests/test_fuzz_*.py` for seconds with the
same harnesses.
"""
