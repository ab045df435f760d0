"""Processor time of the model per motion frame, fed as it is live."""

from __future__ import annotations

import statistics
import time

import numpy as np

from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, MotionStyle

_ROUNDS = 150  # calls of the sampler
_WARM = 10


def motion_cost(
    generator: MotionGenerator, *, sessions: int = 1, style: MotionStyle | None = None
) -> float:
    """Returns the median milliseconds of this thread per frame and session."""
    block = generator.chunk_frames * SAMPLES_PER_MOTION_FRAME
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.05, block).astype(np.float32)
    states = [generator.start(seed=seed, style=style) for seed in range(sessions)]
    spent = []
    for index in range(_ROUNDS):
        before = time.thread_time()
        states, _ = generator.step(states, [AudioChunk(index * block, sound)] * sessions)
        spent.append(time.thread_time() - before)
    return 1000 * statistics.median(spent[_WARM:]) / (generator.chunk_frames * sessions)
