"""Measures whether real time holds, at receivers, against limits; see docs/realtime.md."""
