"""Vivant's model: speech in, a talking portrait out; synchronous, and usable alone.

from streaming_model import Avatar

avatar = Avatar.from_image("portrait.jpg")
for frame in avatar.stream(chunks):  # AudioChunk in, VideoFrame out
    ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streaming_model.errors import VivantError
from streaming_model.media import (
    SAMPLE_RATE,
    AudioChunk,
    MotionChunk,
    VideoFrame,
    frame_start,
)

if TYPE_CHECKING:
    from streaming_model.avatar import Avatar
    from streaming_model.backdrop import Backdrop

__all__ = [
    "SAMPLE_RATE",
    "AudioChunk",
    "Avatar",
    "Backdrop",
    "MotionChunk",
    "VideoFrame",
    "VivantError",
    "frame_start",
]


def __getattr__(name: str) -> object:
    """Imports at first use: the renderer and onnxruntime are two seconds' work."""
    if name == "Avatar":
        from streaming_model.avatar import Avatar

        return Avatar
    if name == "Backdrop":
        from streaming_model.backdrop import Backdrop

        return Backdrop
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
