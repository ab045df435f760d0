"""From 25 motion frames a second to the pictures of any frame rate.

Picture i starts at `frame_start(i, fps)`; its motion is read between the two motion frames
around that instant. It knows nothing of rendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import (
    MOTION_FPS,
    SAMPLES_PER_MOTION_FRAME,
    MotionChunk,
    frame_start,
)

FPS_RANGE = range(10, 61)


@dataclass(frozen=True, slots=True)
class Pose:
    """The motion of one picture: its media time, [58] float32 motion, and utterance."""

    start: int
    motion: NDArray[np.float32]
    utterance: int


@dataclass(frozen=True, slots=True)
class CadenceState:
    """How far a stream has come; `last` is the newest motion frame seen, for interpolation."""

    origin: int = 0
    motion_frames: int = 0
    pictures: int = 0
    last: NDArray[np.float32] | None = None
    last_utterance: int = 0


class Cadence:
    """Reads motion at the instants of `fps` pictures a second; a `StreamingBlock`.

    Raises:
        ValueError: `fps` is outside 10..60.
    """

    def __init__(self, *, fps: int = MOTION_FPS) -> None:
        if fps not in FPS_RANGE:
            raise ValueError(f"fps must be a whole number from 10 to 60, got {fps}")
        self.fps = fps

    def start(self, *, seed: int = 0) -> CadenceState:
        """Returns the state of a stream that has seen nothing; nothing here is random."""
        del seed
        return CadenceState()

    def step(
        self, states: Sequence[CadenceState], inputs: Sequence[MotionChunk]
    ) -> tuple[list[CadenceState], list[list[Pose]]]:
        """Takes one chunk for each session and returns the pictures that became known."""
        pairs = [self._advance(state, chunk) for state, chunk in zip(states, inputs, strict=True)]
        return [state for state, _ in pairs], [poses for _, poses in pairs]

    def finish(self, state: CadenceState) -> list[Pose]:
        """Returns the pictures after the last whole interval, holding the last motion frame."""
        if state.last is None:
            return []
        poses = []
        index = state.pictures
        while frame_start(index, self.fps) < state.motion_frames * SAMPLES_PER_MOTION_FRAME:
            start = state.origin + frame_start(index, self.fps)
            poses.append(Pose(start, state.last, state.last_utterance))
            index += 1
        return poses

    def _advance(self, state: CadenceState, chunk: MotionChunk) -> tuple[CadenceState, list[Pose]]:
        if not len(chunk.motion):
            return state, []
        if state.last is None:
            state = replace(state, origin=chunk.start)
            rows, utterances = chunk.motion, chunk.utterance
            first = 0
        else:
            # The frame before the chunk is needed for pictures that fall between the two.
            rows = np.concatenate([state.last[None], chunk.motion])
            utterances = np.concatenate([[state.last_utterance], chunk.utterance])
            first = state.motion_frames - 1
        poses = []
        index = state.pictures
        known = first + len(rows)
        while True:
            whole, rest = divmod(frame_start(index, self.fps), SAMPLES_PER_MOTION_FRAME)
            if whole + (rest > 0) >= known:
                break
            row = rows[whole - first]
            if rest:
                share = np.float32(rest / SAMPLES_PER_MOTION_FRAME)
                row = row + share * (rows[whole - first + 1] - row)
            start = state.origin + frame_start(index, self.fps)
            poses.append(Pose(start, row, int(utterances[whole - first])))
            index += 1
        after = CadenceState(state.origin, known, index, rows[-1], int(utterances[-1]))
        return after, poses
