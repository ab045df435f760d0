"""Lips that nearly touch while a voice speaks are meant to touch, and stay together in a breath.

The sampler leaves P, B and M a hair open and lets go of the mouth in the shortest pause; on a
portrait that smiles, the smile would flash up there. A causal envelope of the mouth's activity
tells speech from silence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES, INDEX

Floats = NDArray[np.float32]

DECAY: Final = np.float32(0.87)  # of the envelope per frame: half of it is gone after 0.2 s
SPEAKING: Final = (0.25, 0.5)  # of the envelope: where speech is likely, and where certain
TOUCHING: Final = (0.015, 0.05)  # of the lips' gap, in units of jawOpen: meant to touch, and not
HELD: Final = np.float32(0.08)  # mouthClose that holds lips together

_MOUTH: Final = np.array([name.startswith(("mouth", "jaw")) for name in ARKIT_NAMES], np.float32)
_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]
_LIPS: Final = [
    INDEX[f"mouth{part}{side}"] for part in ("LowerDown", "UpperUp") for side in ("Left", "Right")
]
_FUNNEL: Final = INDEX["mouthFunnel"]
_ROLLED: Final = [INDEX["mouthRollLower"], INDEX["mouthRollUpper"]]


def hold_lips(envelope: np.float32, motion: Floats) -> tuple[np.float32, Floats]:
    """Returns the next envelope and [frames, 58] motion whose lips touch where they nearly do."""
    held = motion.copy()
    for row in held:
        activity = np.float32(np.abs(row[: len(_MOUTH)]) @ _MOUTH)
        envelope = max(activity, DECAY * envelope)
        share = _ramp(float(envelope), *SPEAKING) * (1 - _ramp(lip_gap(row), *TOUCHING))
        row[_CLOSE] = max(row[_CLOSE], HELD * share)
    return envelope, held


def speech_share(envelope: np.float32, motion: Floats) -> Floats:
    """Returns [frames] 0..1 how sure it is that each of [frames, 58] belongs to speech.

    `envelope` is that of the frame before them.
    """
    shares = np.zeros(len(motion), np.float32)
    for index, row in enumerate(motion):
        envelope = max(np.float32(np.abs(row[: len(_MOUTH)]) @ _MOUTH), DECAY * envelope)
        shares[index] = _ramp(float(envelope), *SPEAKING)
    return shares


def lip_gap(row: Floats) -> float:
    """Returns how far a frame's [58] lips are apart, in units of jawOpen; 0 is touching."""
    lips, rolled = 0.2 * row[_LIPS].sum(), 0.2 * row[_ROLLED].sum()
    return max(0.0, float(row[_JAW] - row[_CLOSE] + lips + 0.2 * row[_FUNNEL] - rolled))


def _ramp(value: float, low: float, high: float) -> float:
    share = min(max((float(value) - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
