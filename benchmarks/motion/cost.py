"""Processor time of the model per motion frame, fed as it is live, and who takes it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, MotionStyle
from streaming_model.motion.listener import FOLDER, Listener
from streaming_model.motion.networks import Condition, Floats, MotionNetworks

_ROUNDS = 150  # calls of the sampler
_WARM = 10  # of them, not counted

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Cost:
    """Median milliseconds of a thread per frame and session.

    Attributes:
        total: all of it.
        encoder: of that, the audio encoder.
        denoiser: of that, the denoiser's graph.
        listener: of that, what hears contacts.
    """

    total: float
    encoder: float
    denoiser: float
    listener: float

    @property
    def python(self) -> float:
        """What is none of them."""
        return self.total - self.encoder - self.denoiser - self.listener


class TimedNetworks(MotionNetworks):
    """The networks, with the seconds of this thread that each has taken so far."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.encoder_seconds = 0.0
        self.denoiser_seconds = 0.0
        if self.listener is not None:
            self.listener = self.timed_listener = TimedListener(folder / FOLDER)

    @property
    def seconds(self) -> tuple[float, float, float]:
        """What encoder, denoiser and listener have taken so far."""
        heard = 0.0 if self.listener is None else self.timed_listener.seconds
        return self.encoder_seconds, self.denoiser_seconds, heard

    def encode(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps as the networks do."""
        result, spent = _timed(lambda: super(TimedNetworks, self).encode(mel, state))
        self.encoder_seconds += spent
        return result

    def denoise(self, x_t: Floats, t: float, step_size: float, condition: Condition) -> Floats:
        """Maps as the networks do."""
        result, spent = _timed(
            lambda: super(TimedNetworks, self).denoise(x_t, t, step_size, condition)
        )
        self.denoiser_seconds += spent
        return result


class TimedListener(Listener):
    """The listener, with the seconds of this thread that it has taken so far."""

    seconds = 0.0

    def hear(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps as the listener does."""
        result, spent = _timed(lambda: super(TimedListener, self).hear(mel, state))
        self.seconds += spent
        return result


def motion_cost(
    generator: MotionGenerator, *, sessions: int = 1, style: MotionStyle | None = None
) -> float:
    """Returns the median milliseconds of this thread per frame and session."""
    spent = list(_rounds(generator, sessions=sessions, style=style))
    return 1000 * statistics.median(spent[_WARM:])


def split_cost(
    folder: Path, *, steps: int | None = None, chunk: int = 2, lookahead: int = 2, sessions: int = 1
) -> Cost:
    """Returns what the weights in a folder cost with so many sessions in a batch."""
    networks = TimedNetworks(folder)
    generator = MotionGenerator(
        networks, steps=steps, chunk_frames=chunk, lookahead_frames=lookahead
    )
    before, rows = (0.0, 0.0, 0.0), []
    for total in _rounds(generator, sessions=sessions):
        taken = networks.seconds
        parts = [(now - then) / (chunk * sessions) for now, then in zip(taken, before, strict=True)]
        rows.append((total, *parts))
        before = taken
    return Cost(*(1000 * statistics.median(column) for column in zip(*rows[_WARM:], strict=True)))


def _rounds(
    generator: MotionGenerator, *, sessions: int, style: MotionStyle | None = None
) -> Iterator[float]:
    """Yields the seconds of this thread per frame and session of one call after another."""
    block = generator.chunk_frames * SAMPLES_PER_MOTION_FRAME
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.05, block).astype(np.float32)
    states = [generator.start(seed=seed, style=style) for seed in range(sessions)]
    for index in range(_ROUNDS):
        before = time.thread_time()
        states, _ = generator.step(states, [AudioChunk(index * block, sound)] * sessions)
        yield (time.thread_time() - before) / (generator.chunk_frames * sessions)


def _timed(work: Callable[[], ResultT]) -> tuple[ResultT, float]:
    before = time.thread_time()
    return work(), time.thread_time() - before
