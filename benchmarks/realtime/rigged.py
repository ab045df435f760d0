"""The shipped server with something done to it on purpose, to see what receivers make of it.

Pictures can flash with loud sound, one track can be released late, and sender reports can be
left as stock aiortc writes them. On SIGUSR1 it collects garbage and prints how many tasks its
event loop has. Everything else is `vivant serve`, model and renderer included.

    python -m benchmarks.realtime.rigged --flash [--late picture] [--stock-reports] [--port 0 ...]
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import signal
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

import server.webrtc
from server.app import Parts, real_parts, serve
from server.config import Settings, add_arguments
from server.inference import AvatarPort, AvatarState, MotionPort, MotionState
from server.tracks import PictureTrack, SoundTrack
from streaming_model.backdrop import Backdrop
from streaming_model.errors import VivantError
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk, MotionChunk, VideoFrame
from streaming_model.motion.additive import Additions
from streaming_model.motion.style import MotionStyle

LATE_SECONDS = 0.2
LOUD = 0.45  # peak of a block above which its picture flashes
_REMEMBERED = 50  # blocks, two seconds


@dataclass(frozen=True, slots=True)
class _HeardState:
    """The generator's own state, and when loud blocks began."""

    inner: MotionState
    loud: tuple[int, ...] = ()


class _ListeningMotion:
    """A generator that remembers which blocks of audio were loud."""

    def __init__(self, inner: MotionPort) -> None:
        self.inner = inner

    def start(self, inner: MotionState) -> _HeardState:
        return _HeardState(inner)

    def direct(
        self, state: _HeardState, style: MotionStyle, additions: Additions, /, *, at: int
    ) -> _HeardState:
        directed = self.inner.direct(state.inner, style, additions, at=at)
        return dataclasses.replace(state, inner=directed)

    def is_due(self, state: _HeardState, chunk: AudioChunk, /) -> bool:
        return self.inner.is_due(state.inner, chunk)

    def step(
        self, states: Sequence[_HeardState], inputs: Sequence[AudioChunk], /
    ) -> tuple[list[_HeardState], list[list[MotionChunk]]]:
        inner, motions = self.inner.step([state.inner for state in states], inputs)
        after = [
            _HeardState(new, (*state.loud, *_loud_blocks(chunk))[-_REMEMBERED:])
            for state, new, chunk in zip(states, inner, inputs, strict=True)
        ]
        return after, motions


def _loud_blocks(chunk: AudioChunk) -> list[int]:
    """Returns the starts of the chunk's loud blocks."""
    size = SAMPLES_PER_MOTION_FRAME
    starts = range(0, len(chunk.samples), size)
    return [
        chunk.start + start
        for start in starts
        if np.abs(chunk.samples[start : start + size]).max() > LOUD
    ]


@dataclass(frozen=True)
class _FlashingState:
    """The avatar's own state; `motion` is the listening generator's."""

    inner: AvatarState
    motion: _HeardState


class _FlashingAvatar:
    """A portrait with a black square before it, white while the sound of the picture is loud."""

    def __init__(self, inner: AvatarPort, motion: _ListeningMotion) -> None:
        self._inner = inner
        self.motion: Any = motion
        self.fps, self.size, self.backdrop = inner.fps, inner.size, inner.backdrop

    def with_backdrop(self, backdrop: Backdrop, /) -> Self:
        return type(self)(self._inner.with_backdrop(backdrop), self.motion)

    def start(self, *, seed: int = 0) -> _FlashingState:
        inner = self._inner.start(seed=seed)
        return _FlashingState(inner, self.motion.start(inner.motion))

    def render(
        self, state: _FlashingState, chunks: Iterable[MotionChunk], /
    ) -> tuple[_FlashingState, list[VideoFrame]]:
        before = dataclasses.replace(state.inner, motion=state.motion.inner)
        after, frames = self._inner.render(before, chunks)
        marked = [self._marked(frame, state.motion.loud) for frame in frames]
        return dataclasses.replace(state, inner=after), marked

    def _marked(self, frame: VideoFrame, loud: tuple[int, ...]) -> VideoFrame:
        block = frame.start - frame.start % SAMPLES_PER_MOTION_FRAME
        image = frame.image.copy()
        quarter = self.size // 4
        image[quarter:-quarter, quarter:-quarter] = 255 if block in loud else 0
        return dataclasses.replace(frame, image=image)


def flashing(parts: Parts) -> Parts:
    """Returns the same parts with pictures that flash with loud sound."""
    motions: dict[int, _ListeningMotion] = {}

    def make_avatar(path: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        avatar, warnings = parts.make_avatar(path)
        motion = motions.setdefault(id(avatar.motion), _ListeningMotion(avatar.motion))
        return _FlashingAvatar(avatar, motion), warnings

    return dataclasses.replace(parts, make_avatar=make_avatar)


def release_late(track: type[PictureTrack] | type[SoundTrack]) -> None:
    """Makes every track of this type hand over its packets `LATE_SECONDS` after their time."""
    offer: Any = track.offer

    def offer_later(self: PictureTrack | SoundTrack, packet: object) -> None:
        asyncio.get_running_loop().call_later(LATE_SECONDS, offer, self, packet)

    track.offer = offer_later  # type: ignore[method-assign]


def keep_stock_reports() -> None:
    """Leaves sender reports as aiortc writes them."""
    vars(server.webrtc)["tie_to_media_clock"] = lambda *_, **__: False


def make_loop() -> asyncio.AbstractEventLoop:
    """Returns an event loop, as `vivant serve` uses it, that tells its tasks on SIGUSR1.

    It collects garbage first, so that what is left is held and does not merely wait to be freed.
    """
    import uvloop

    loop = uvloop.new_event_loop()

    def tell() -> None:
        gc.collect()
        print(f"tasks {len(asyncio.all_tasks(loop))}", flush=True)

    loop.add_signal_handler(signal.SIGUSR1, tell)
    return loop


def main() -> int:
    """Serves; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flash", action="store_true", help="flash with loud sound")
    parser.add_argument("--late", choices=("picture", "sound"), help="release this one late")
    parser.add_argument("--stock-reports", action="store_true", help="aiortc's sender reports")
    add_arguments(parser)
    options = parser.parse_args()
    try:
        settings = Settings.load(options)
        parts = real_parts(settings)
        if options.late:
            release_late(PictureTrack if options.late == "picture" else SoundTrack)
        if options.stock_reports:
            keep_stock_reports()
        serve(settings, flashing(parts) if options.flash else parts, make_loop=make_loop)
    except VivantError as error:
        print(f"rigged: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
