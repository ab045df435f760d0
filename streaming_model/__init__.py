"""Vivant's model: speech in, a talking portrait out; synchronous, and usable alone."""
