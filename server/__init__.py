"""Vivant's server: sessions, voices and WebRTC around `streaming_model`."""
