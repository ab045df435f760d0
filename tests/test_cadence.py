from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_model.cadence import Cadence, Pose
from streaming_model.media import MotionChunk, frame_start

ORIGIN = 3200


def ramp(frames: int) -> MotionChunk:
    motion = np.repeat(np.arange(frames, dtype=np.float32)[:, None], 58, axis=1)
    return MotionChunk(ORIGIN, motion, np.arange(frames, dtype=np.int64))


def cut(chunk: MotionChunk, sizes: list[int]) -> list[MotionChunk]:
    pieces, first = [], 0
    for size in [*sizes, len(chunk.motion)]:
        last = min(first + size, len(chunk.motion))
        pieces.append(
            MotionChunk(
                chunk.start + 640 * first, chunk.motion[first:last], chunk.utterance[first:last]
            )
        )
        first = last
    return pieces


def run(fps: int, chunks: list[MotionChunk]) -> list[Pose]:
    cadence = Cadence(fps=fps)
    state = cadence.start()
    poses: list[Pose] = []
    for chunk in chunks:
        (state,), (new,) = cadence.step([state], [chunk])
        poses += new
    return poses + cadence.finish(state)


def values(poses: list[Pose]) -> list[tuple[int, float, int]]:
    return [(pose.start, float(pose.motion[0]), pose.utterance) for pose in poses]


def test_25_fps_gives_every_motion_frame_unchanged() -> None:
    assert values(run(25, [ramp(5)])) == [(ORIGIN + 640 * i, float(i), i) for i in range(5)]


@given(
    fps=st.integers(10, 60),
    sizes=st.lists(st.integers(0, 7), max_size=8),
    frames=st.integers(1, 30),
)
def test_chunked_equals_offline(fps: int, sizes: list[int], frames: int) -> None:
    assert values(run(fps, cut(ramp(frames), sizes))) == values(run(fps, [ramp(frames)]))


@given(fps=st.integers(10, 60), frames=st.integers(1, 40))
def test_pictures_start_on_the_grid_and_cover_the_motion(fps: int, frames: int) -> None:
    poses = run(fps, [ramp(frames)])
    expected = [i for i in range(3000) if frame_start(i, fps) < 640 * frames]
    assert [pose.start for pose in poses] == [ORIGIN + frame_start(i, fps) for i in expected]
    for pose in poses:
        exact = min((pose.start - ORIGIN) / 640, frames - 1)
        assert pose.motion[0] == pytest.approx(exact, abs=1e-4)


def test_impossible_rates_are_refused_with_the_value() -> None:
    with pytest.raises(ValueError, match="got 5"):
        Cadence(fps=5)
