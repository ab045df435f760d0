"""Draws a portrait under motion, on the CPU, without torch."""

from streaming_model.renderer.renderer import Renderer, RendererError

__all__ = ["Renderer", "RendererError"]
