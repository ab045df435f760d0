"""`vivant puppet`: your voice and face drive the portrait into a video call."""
