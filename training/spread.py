"""How far a network's head moves beside the heads that it learnt from.

It is told to go on from its own last frames and is drawn back to its place (`motion.homing`), and
few steps regress what sound leaves open towards the mean: its head moves less than it was shown. A
gain for each number of the pose makes up for that when motion is given (variance matching); what
it goes on from stays as it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import Activity, load_motion_generator
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.smoothing import smooth, start_smoothing
from streaming_model.motion_space import MOTION_SIZE, POSE
from training.dataset import Stream

Samples = NDArray[np.float32]
_MOST: Final = 2.5
_CHUNK: Final = 2  # frames, as is served


def shown_spread(streams: Sequence[Stream], scale: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns [6] how far heads that speak move about their mean, in the network's units."""
    spoken = [each for each in streams if each.activity is Activity.SPEAK and each.mask.all()]
    variance = np.mean([each.motion[:, POSE].astype(np.float64).var(axis=0) for each in spoken], 0)
    spread: NDArray[np.float64] = np.sqrt(variance) / scale[POSE]
    return spread


def spread_gains(
    folder: Path, recordings: Sequence[Samples], *, wanted: NDArray[np.float64], seed: int
) -> list[float]:
    """Returns the gain of each of the network's numbers, 1 for all but the pose.

    Args:
        folder: of weights whose gains are still 1.
        recordings: speech at 16 kHz.
        wanted: [6] spread of the pose.
        seed: of the motion.
    """
    generator = load_motion_generator(folder, chunk_frames=_CHUNK)
    variances = []
    for number, samples in enumerate(recordings):
        state, smoothing = generator.start(seed=seed + number), start_smoothing()
        whole = len(samples) // SAMPLES_PER_MOTION_FRAME * SAMPLES_PER_MOTION_FRAME
        made = []
        for start in range(0, whole, _CHUNK * SAMPLES_PER_MOTION_FRAME):
            end = start + _CHUNK * SAMPLES_PER_MOTION_FRAME
            (state,), (chunks,) = generator.step([state], [AudioChunk(start, samples[start:end])])
            if chunks:
                smoothing, motion = smooth(smoothing, state.history[-_CHUNK:, :MOTION_SIZE])
                made.append(motion[:, POSE])
        variances.append(np.concatenate(made).astype(np.float64).var(axis=0))
    spread = np.sqrt(np.mean(variances, axis=0))
    gains = np.ones(NETWORK_SIZE)
    gains[POSE] = np.clip(wanted / np.maximum(spread, 1e-6), 1.0, _MOST)
    return [float(gain) for gain in gains]
