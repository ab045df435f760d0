"""Emotions in the training targets: when a stream feels what, and what that does to its motion.

The rule itself is `streaming_model.motion.emotion`, which also serves where the network knows
no emotions. Knows nothing of sound.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.emotion import add_emotion, emotion_scales
from streaming_model.motion.style import EMOTIONS
from streaming_model.motion_space import POSE
from training.phones import PHONE_INDEX, SILENCE

Floats = NDArray[np.float32]

_NEUTRAL_SHARE: Final = 0.45  # of stretches that feel nothing
_CHANGE_AFTER: Final = (4.0, 20.0)  # s
_EASE: Final = 0.5  # s, from one emotion to the next
_SPEAKING_EASE: Final = 0.2  # s


def draw_feelings(frames: int, *, rng: np.random.Generator) -> Floats:
    """Returns [frames, 6] weights of `EMOTIONS`: nothing, one or a blend of two, with changes."""
    targets = np.zeros((frames, len(EMOTIONS)))
    start = 0
    while start < frames:
        targets[start:] = _draw_weights(rng)
        start += int(rng.uniform(*_CHANGE_AFTER) * MOTION_FPS)
    # A moving average of half a second: the same ease that serving gives a change.
    width = round(_EASE * MOTION_FPS)
    padded = np.concatenate([np.repeat(targets[:1], width - 1, axis=0), targets])
    total = np.concatenate([np.zeros((1, len(EMOTIONS))), np.cumsum(padded, axis=0)])
    eased: Floats = ((total[width:] - total[:-width]) / width).astype(np.float32)
    return eased


def _draw_weights(rng: np.random.Generator) -> NDArray[np.float64]:
    weights = np.zeros(len(EMOTIONS))
    if rng.random() < _NEUTRAL_SHARE:
        return weights
    first, second = rng.choice(len(EMOTIONS), 2, replace=False)
    weights[first] = rng.uniform(0.3, 1.0)
    if rng.random() < 0.1:
        share = rng.uniform(0.2, 0.5)
        weights[second], weights[first] = share * weights[first], (1 - share) * weights[first]
    return weights


def speaking_share(phones: NDArray[np.int64], bounds: NDArray[np.int64], *, frames: int) -> Floats:
    """Returns [frames] 1 where the stream speaks, 0 in its pauses, eased between them."""
    middles = (np.arange(frames) + 0.5) * SAMPLES_PER_MOTION_FRAME
    distance = np.full(frames, np.inf)
    for phone, start, end in zip(phones, bounds[:-1], bounds[1:], strict=True):
        if phone != PHONE_INDEX[SILENCE]:
            distance = np.minimum(distance, np.maximum(start - middles, middles - end))
    ease = _SPEAKING_EASE * SAMPLE_RATE
    share: Floats = np.clip(1.0 - np.maximum(distance, 0.0) / ease, 0.0, 1.0).astype(np.float32)
    return share


def feel(motion: Floats, feelings: Floats, speaking: Floats) -> Floats:
    """Returns [frames, 58] neutral motion with [frames, 6] emotions put into it."""
    calm = motion.copy()
    scales = np.array([emotion_scales(weights).head for weights in feelings], np.float32)
    calm[:, POSE] *= scales[:, None]
    return add_emotion(calm, feelings, speaking)
