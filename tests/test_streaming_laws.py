"""The four laws of a streaming block, on the shipped motion generator."""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streaming_model.media import AudioChunk, MotionChunk
from streaming_model.motion import MotionGenerator, MotionState, load_motion_generator

pytestmark = pytest.mark.model
ORIGIN = 3_200
LENGTH = 16_000


@lru_cache(maxsize=4)
def generator(chunk_frames: int = 2, lookahead_frames: int = 2) -> MotionGenerator:
    return load_motion_generator(chunk_frames=chunk_frames, lookahead_frames=lookahead_frames)


def speechlike(seed: int, length: int = LENGTH) -> NDArray[np.float32]:
    """Voiced syllables with changing formants: enough to move the mouth."""
    rng = np.random.default_rng(seed)
    times = np.arange(length) / 16_000
    pitch = np.cumsum(110 + 30 * np.sin(2 * np.pi * times * rng.uniform(0.5, 2))) / 16_000
    voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20))
    beat = np.clip(np.sin(2 * np.pi * 4 * times + rng.uniform(0, 6)), 0, 1)
    return (0.1 * voice * beat + rng.normal(0, 0.002, length)).astype(np.float32)


def feed(
    block: MotionGenerator, state: MotionState, samples: NDArray[np.float32], cuts: list[int]
) -> tuple[MotionState, list[MotionChunk]]:
    """Gives `samples` in pieces that end at the cuts; returns the state and what came out."""
    edges = [0, *sorted(cuts), len(samples)]
    given_out: list[MotionChunk] = []
    for begin, end in itertools.pairwise(edges):
        (state,), (chunks,) = block.step([state], [AudioChunk(ORIGIN + begin, samples[begin:end])])
        given_out += chunks
    return state, given_out


def joined(chunks: list[MotionChunk]) -> NDArray[np.float32]:
    return np.concatenate([chunk.motion for chunk in chunks])


@settings(max_examples=15, deadline=None)
@given(
    cuts=st.lists(st.integers(0, LENGTH), max_size=12),
    timing=st.sampled_from([(1, 1), (2, 2), (5, 3)]),
)
def test_any_cut_of_the_input_gives_the_same_bits(cuts: list[int], timing: tuple[int, int]) -> None:
    block, samples = generator(*timing), speechlike(1)
    state, whole = feed(block, block.start(seed=4), samples, [])
    whole += block.finish(state)
    state, pieces = feed(block, block.start(seed=4), samples, cuts)
    pieces += block.finish(state)
    np.testing.assert_array_equal(joined(pieces), joined(whole))
    assert [chunk.start for chunk in pieces] == [chunk.start for chunk in whole]


@settings(max_examples=10, deadline=None)
@given(kept=st.integers(640, LENGTH), seed=st.integers(0, 5))
def test_later_input_never_changes_what_was_given(kept: int, seed: int) -> None:
    block = generator()
    one, two = speechlike(1), speechlike(seed + 2)
    two[:kept] = one[:kept]
    _state, early = feed(block, block.start(), one[:kept], [])
    _, first = feed(block, block.start(), one, [])
    _, second = feed(block, block.start(), two, [])
    # The frames given from the kept part alone are the head of both continuations.
    for continued in (first, second):
        for given_early, same in zip(early, continued, strict=False):
            np.testing.assert_array_equal(given_early.motion, same.motion)
    assert len(early) >= (kept // 640 - 3) // 2


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_started_state_equals_a_fresh_one(seed: int) -> None:
    block, samples = generator(), speechlike(3)
    used = block.start(seed=seed)
    _, first = feed(block, used, samples, [5_000])
    _, again = feed(block, used, samples, [])
    _, fresh = feed(load_motion_generator(), load_motion_generator().start(seed=seed), samples, [])
    np.testing.assert_array_equal(joined(first), joined(again))
    np.testing.assert_array_equal(joined(first), joined(fresh))


@settings(max_examples=8, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 4_000), min_size=1, max_size=6),
    seeds=st.lists(st.integers(0, 99), min_size=2, max_size=4),
)
def test_sessions_in_one_batch_equal_the_sessions_alone(sizes: list[int], seeds: list[int]) -> None:
    block = generator()
    voices = [speechlike(seed, sum(sizes) * 2) for seed in seeds]
    states = [block.start(seed=seed) for seed in seeds]
    together: list[list[MotionChunk]] = [[] for _ in seeds]
    positions = [0] * len(seeds)
    for index, size in enumerate(sizes):
        # Each session gets another length, so that they fall due at different times.
        lengths = [size if (index + row) % 2 else size // 2 for row in range(len(seeds))]
        chunks = [
            AudioChunk(ORIGIN + at, voice[at : at + length])
            for at, length, voice in zip(positions, lengths, voices, strict=True)
        ]
        states, outputs = block.step(states, chunks)
        positions = [at + length for at, length in zip(positions, lengths, strict=True)]
        for gathered, new in zip(together, outputs, strict=True):
            gathered += new
    for seed, voice, end, gathered in zip(seeds, voices, positions, together, strict=True):
        _, alone = feed(block, block.start(seed=seed), voice[:end], [])
        assert [chunk.start for chunk in alone] == [chunk.start for chunk in gathered]
        for one, other in zip(alone, gathered, strict=True):
            np.testing.assert_allclose(one.motion, other.motion, atol=1e-4)


def test_a_step_leaves_the_old_state_usable() -> None:
    block, samples = generator(), speechlike(7)
    state, _ = feed(block, block.start(), samples[:5_000], [])
    before = state.pending.copy(), state.history.copy(), state.audio.copy(), state.encoder.copy()
    feed(
        block,
        block.start(),
        samples[:5_000],
        [],
    )
    (_,), _ = block.step([state], [AudioChunk(ORIGIN + 5_000, samples[5_000:])])
    after = state.pending, state.history, state.audio, state.encoder
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
