"""Marks every picture where it is drawn, so that no way out of the server is without marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from server.inference import AvatarPort, AvatarState, Canvas, MotionPort, TogetherPort
from server.marks.badge import Badge
from server.marks.options import MarkOptions
from server.marks.payload import FIRST_DAY, Payload
from server.marks.watermark import Watermark
from streaming_model.backdrop import Backdrop
from streaming_model.cadence import Pose
from streaming_model.media import MotionChunk, VideoFrame


class Marker:
    """Marks the pictures of one session that look alike; used by one thread at a time."""

    def __init__(self, options: MarkOptions, payload: Payload) -> None:
        self._options = options
        self._payload = payload
        self._watermark = None if options.no_watermark else Watermark(payload)
        self._badge: Badge | None = None

    def anew(self) -> Marker:
        """Returns one for other pictures of the same session."""
        return Marker(self._options, self._payload)

    def mark(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns a marked copy of [s, s, 3] RGB or [s, s, 4] straight RGBA."""
        marked = image.copy() if self._watermark is None else self._watermark.apply(image)
        if self._options.no_badge is None:
            if self._badge is None:
                self._badge = self._options.badge(len(image))
            self._badge.stamp(marked)
        return marked

    def mark_frame(self, frame: VideoFrame) -> VideoFrame:
        """Returns the frame with its picture marked."""
        return replace(frame, image=self.mark(frame.image))


class MarkedAvatar:
    """An avatar whose pictures are marked for one session; an `AvatarPort`, a `TogetherPort`."""

    def __init__(self, avatar: AvatarPort, marker: Marker) -> None:
        self._avatar = avatar
        self._marker = marker

    @property
    def motion(self) -> MotionPort:
        """The avatar's generator."""
        return self._avatar.motion

    @property
    def fps(self) -> int:
        """Pictures a second."""
        return self._avatar.fps

    @property
    def size(self) -> int:
        """Side of the square picture in pixels."""
        return self._avatar.size

    @property
    def backdrop(self) -> Backdrop:
        """What is behind the person."""
        return self._avatar.backdrop

    def with_backdrop(self, backdrop: Backdrop, /) -> Self:
        """Returns the same portrait before another backdrop, with the same marks."""
        return type(self)(self._avatar.with_backdrop(backdrop), self._marker.anew())

    def start(self, *, seed: int = 0) -> AvatarState:
        """Returns a fresh session's state."""
        return self._avatar.start(seed=seed)

    def render(
        self, state: AvatarState, chunks: Iterable[MotionChunk], /
    ) -> tuple[AvatarState, list[VideoFrame]]:
        """Draws motion; returns the next state and the pictures, marked."""
        after, frames = self._avatar.render(state, chunks)
        return after, [self._marker.mark_frame(frame) for frame in frames]

    @property
    def canvas(self) -> Canvas | None:
        """Where the avatar is drawn together with others, if it is."""
        return self._avatar.canvas if isinstance(self._avatar, TogetherPort) else None

    def poses(
        self, state: AvatarState, chunks: Iterable[MotionChunk], /
    ) -> tuple[AvatarState, list[Pose]]:
        """Returns the next state, and the motion of the pictures that became known."""
        assert isinstance(self._avatar, TogetherPort)
        return self._avatar.poses(state, chunks)

    def finished(
        self, poses: Sequence[Pose], images: Sequence[NDArray[np.uint8]], /
    ) -> list[VideoFrame]:
        """Returns the pictures of poses that the canvas drew, marked."""
        assert isinstance(self._avatar, TogetherPort)
        frames = self._avatar.finished(poses, images)
        return [self._marker.mark_frame(frame) for frame in frames]


def payload_of(session_id: str) -> Payload:
    """Returns what the pictures of a session that begins now carry."""
    return Payload.of(session_id, max(datetime.now(tz=UTC).date(), FIRST_DAY))
