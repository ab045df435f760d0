"""Pipecat's clients: their small WebRTC transport's offer, and RTVI on its data channel."""
