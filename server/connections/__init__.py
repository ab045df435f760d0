"""Connections by HTTP and WebSocket: how many, and how long one may take over what it sends."""
