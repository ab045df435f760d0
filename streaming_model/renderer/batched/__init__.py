"""Draws many sessions' frames at once with torch, on a GPU where there is one."""

from streaming_model.renderer.batched.renderer import BatchedRenderer

__all__ = ["BatchedRenderer"]
