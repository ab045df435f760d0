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

__all__ = [
    "SAMPLE_RATE",
    "AudioChunk",
    "Avatar",
    "MotionChunk",
    "VideoFrame",
    "VivantError",
    "frame_start",
]


def __getattr__(name: str) -> object:
    """Imports `Avatar` at first use: it brings the renderer and onnxruntime, two seconds' work."""
    if name == "Avatar":
        from streaming_model.avatar import Avatar

        return Avatar
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
