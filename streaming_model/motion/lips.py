"""Lips that nearly touch while a voice speaks are meant to touch, and stay together in a breath.

The sampler leaves P, B and M a hair open and lets go of the mouth in the shortest pause; on a
portrait that smiles, the smile would flash up there. A causal envelope of the mouth's activity
tells speech from silence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion_space import ARKIT_NAMES, INDEX

Floats = NDArray[np.float32]

DECAY: Final = 0.87  # of the envelope per frame: half of it is gone after 0.2 s
SPEAKING: Final = (0.25, 0.5)  # of the envelope: where speech is likely, and where certain
TOUCHING: Final = (0.015, 0.05)  # of the lips' gap, in units of jawOpen: meant to touch, and not
HELD: Final = np.float32(0.08)  # mouthClose that holds lips together

_MOUTH: Final = np.array(
    [index for index, name in enumerate(ARKIT_NAMES) if name.startswith(("mouth", "jaw"))]
)
_CLOSE: Final = INDEX["mouthClose"]


def hold_lips(envelope: float, motion: Floats) -> tuple[float, Floats]:
    """Returns the next envelope and [frames, 58] motion whose lips touch where they nearly do."""
    envelopes = _envelopes(envelope, motion)
    gaps = lip_gaps(motion).tolist()
    shares = [
        _ramp(activity, *SPEAKING) * (1 - _ramp(gap, *TOUCHING))
        for activity, gap in zip(envelopes, gaps, strict=True)
    ]
    held = motion.copy()
    held[:, _CLOSE] = np.maximum(motion[:, _CLOSE], HELD * np.array(shares, np.float32))
    return envelopes[-1], held


def speech_share(envelope: float, motion: Floats) -> Floats:
    """Returns [frames] 0..1 how sure it is that each of [frames, 58] belongs to speech.

    `envelope` is that of the frame before them.
    """
    return np.array([_ramp(value, *SPEAKING) for value in _envelopes(envelope, motion)], np.float32)


def _envelopes(envelope: float, motion: Floats) -> list[float]:
    """Returns the envelope of the mouth's activity at each frame."""
    from streaming_model.motion.rows import activities

    envelopes = []
    for activity in activities(motion, _MOUTH).tolist():
        envelope = max(activity, DECAY * envelope)
        envelopes.append(envelope)
    return envelopes


def _ramp(value: float, low: float, high: float) -> float:
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
