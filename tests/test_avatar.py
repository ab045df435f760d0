"""The whole model obeys the streaming laws, picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming_model import SAMPLE_RATE, AudioChunk, Avatar, Backdrop, VideoFrame, frame_start

pytestmark = pytest.mark.model

SAMPLES = 12_000  # three quarters of a second: 19 pictures


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.from_image(size=256)


def voice_like(seed: int) -> NDArray[np.float32]:
    """Returns noise and harmonics that come and go like syllables."""
    time = np.arange(SAMPLES) / SAMPLE_RATE
    pitch = 100 + 20 * seed
    wave = np.sum([np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 25)], axis=0)
    syllables = np.clip(np.sin(2 * np.pi * 4 * time + seed), 0, 1)
    noise = np.random.default_rng(seed).normal(0, 0.01, SAMPLES)
    return np.asarray(0.15 * wave * syllables + noise, np.float32)


def cut(samples: NDArray[np.float32], sizes: list[int]) -> list[AudioChunk]:
    chunks, first = [], 0
    for size in [*sizes, SAMPLES]:
        chunks.append(AudioChunk(first, samples[first : first + size]))
        first = min(first + size, len(samples))
    return chunks


def run(avatar: Avatar, chunks: list[AudioChunk], *, seed: int = 0) -> list[VideoFrame]:
    return list(avatar.stream(chunks, seed=seed))


def assert_same(one: list[VideoFrame], other: list[VideoFrame], *, tolerance: int = 0) -> None:
    assert [frame.start for frame in one] == [frame.start for frame in other]
    for left, right in zip(one, other, strict=True):
        difference = np.abs(left.image.astype(int) - right.image.astype(int)).max()
        assert difference <= tolerance, left.start


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(0, 3000), max_size=8))
def test_chunked_equals_offline(avatar: Avatar, sizes: list[int]) -> None:
    samples = voice_like(1)
    assert_same(run(avatar, cut(samples, sizes)), run(avatar, cut(samples, [])))


def test_more_input_never_changes_pictures_already_given(avatar: Avatar) -> None:
    samples = voice_like(2)
    half = cut(samples, [SAMPLES // 2])
    state = avatar.start()
    _, (early,) = avatar.step([state], half[:1])
    whole = run(avatar, half)
    assert len(early) >= 3
    assert_same(early, whole[: len(early)])


def test_a_started_state_is_fresh_and_old_states_stay_usable(avatar: Avatar) -> None:
    chunk = cut(voice_like(3), [])[0]
    state = avatar.start(seed=5)
    _, (first,) = avatar.step([state], [chunk])
    _, (again,) = avatar.step([state], [chunk])
    _, (fresh,) = avatar.step([avatar.start(seed=5)], [chunk])
    assert_same(first, again)
    assert_same(first, fresh)


def test_sessions_in_a_batch_equal_the_same_sessions_alone(avatar: Avatar) -> None:
    chunks = [cut(voice_like(seed), [])[0] for seed in (4, 5)]
    states = [avatar.start(seed=seed) for seed in (4, 5)]
    _, together = avatar.step(states, chunks)
    for state, chunk, frames in zip(states, chunks, together, strict=True):
        _, (alone,) = avatar.step([state], [chunk])
        # Sums in a batched matrix product may round differently in the last bit.
        assert_same(frames, alone, tolerance=1)


@pytest.mark.parametrize("fps", [10, 30, 50])
def test_every_rate_gives_its_own_grid_of_pictures(fps: int) -> None:
    avatar = Avatar.from_image(size=256, fps=fps)
    frames = run(avatar, cut(voice_like(6), [5000]))
    starts = [frame_start(i, fps) for i in range(100)]
    expected = [start for start in starts if start < SAMPLES]
    assert [frame.start for frame in frames][: len(expected)] == expected


def test_different_seeds_hold_the_head_differently(avatar: Avatar) -> None:
    chunks = cut(voice_like(7), [])
    one, other = (run(avatar, chunks, seed=seed)[-1].image for seed in (0, 1))
    assert np.abs(one.astype(int) - other.astype(int)).max() > 8


def test_an_avatar_before_another_backdrop_shares_the_portrait_and_the_motion(
    avatar: Avatar,
) -> None:
    clear = avatar.with_backdrop(Backdrop.parse("transparent"))
    assert clear.portrait is avatar.portrait
    assert clear.motion is avatar.motion
    chunks = cut(voice_like(3), [4000])
    opaque, transparent = run(avatar, chunks), run(clear, chunks)
    assert [frame.start for frame in opaque] == [frame.start for frame in transparent]
    assert opaque[-1].image.shape == (256, 256, 3)
    assert transparent[-1].image.shape == (256, 256, 4)
