"""Lips that nearly touch while a voice speaks are meant to touch, and stay together in a breath.

The sampler leaves P, B and M a hair open and lets go of the mouth in the shortest pause; on a
portrait that smiles, the smile would flash up there. Mouths that speak keep their setting between
sentences (the inter-speech posture of Gick et al. 2004) and relax after them. A causal envelope
of the mouth's activity tells speech from silence.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES

Floats = NDArray[np.float32]

DECAY: Final = 0.946  # of the envelope per frame: half of it is gone after half a second
SPEAKING: Final = (0.25, 0.5)  # of the envelope: where speech is likely, and where certain
TOUCHING: Final = (0.015, 0.05)  # of the lips' gap, in units of jawOpen: meant to touch, and not
HELD: Final = 0.08  # mouthClose that holds lips together
# A mouth that only just moves says little of whether it speaks: its jaw hangs by so much behind
# its lips, which are as far apart as before.
HANGING: Final = 0.04
SLIGHT: Final = (0.22, 0.35)  # of the mouth's activity: where that holds, and where no more

_MOUTH: Final = np.array(
    [index for index, name in enumerate(ARKIT_NAMES) if name.startswith(("mouth", "jaw"))]
)


def hold_lips(envelope: float, motion: Floats) -> tuple[float, Floats]:
    """Returns the next envelope and [frames, 58] motion whose lips touch where they nearly do."""
    from streaming_model.motion.rows import touching

    after, held = touching(
        envelope, motion, _MOUTH, DECAY, SPEAKING, TOUCHING, SLIGHT, HELD, HANGING
    )
    return after, held


def speech_share(envelope: float, motion: Floats) -> Floats:
    """Returns [frames] 0..1 how sure it is that each of [frames, 58] belongs to speech.

    `envelope` is that of the frame before them.
    """
    from streaming_model.motion.rows import spoken

    shares: Floats = spoken(envelope, motion, _MOUTH, DECAY, SPEAKING)
    return shares
