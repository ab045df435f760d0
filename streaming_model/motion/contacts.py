"""Contacts: two more numbers per frame that the network gives beside the motion.

Whether the lips meet (/p b m/) and whether the lower lip meets the teeth (/f v/). As 58
coefficients a closure is a small difference of large numbers, which regression blurs where it
is unsure; as a number of its own it can be weighted in training and sharpened when served.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.ramps import smooth_ramp
from streaming_model.motion_space import INDEX, MOTION_SIZE

Floats = NDArray[np.float32]

CONTACT_NAMES: Final = ("bilabial", "labiodental")
NETWORK_SIZE: Final = MOTION_SIZE + len(CONTACT_NAMES)

# Where a contact begins to count, and where it is certain. Trained with three times the weight
# on contacts, the network gives 0.5 where one in four such frames is a contact.
_CERTAIN: Final = (0.3, 0.6)


def _span(*names: str) -> slice:
    """Returns where coefficients are that follow one another: views of them are cheap."""
    first = INDEX[names[0]]
    assert [INDEX[name] for name in names] == list(range(first, first + len(names)))
    return slice(first, first + len(names))


_JAW, _CLOSE, _FUNNEL = _span("jawOpen"), _span("mouthClose"), _span("mouthFunnel")
_LOWER: Final = _span("mouthLowerDownLeft", "mouthLowerDownRight")
_UPPER: Final = _span("mouthUpperUpLeft", "mouthUpperUpRight")
_PRESS: Final = _span("mouthPressLeft", "mouthPressRight")
_ROLL_LOWER, _ROLL_UPPER = _span("mouthRollLower"), _span("mouthRollUpper")


def press_lips(motion: Floats, contacts: Floats) -> Floats:
    """Returns [..., 58] motion whose lips meet where the contacts say so.

    Args:
        motion: [..., 58].
        contacts: [..., 2] in the order of `CONTACT_NAMES`, about 0..1.
    """
    sharp = sharpened(contacts)
    met, bitten = sharp[..., :1], sharp[..., 1:]
    apart, free = 1 - met, 1 - bitten
    teeth = bitten * apart
    pressed = motion.copy()
    pressed[..., _CLOSE] = np.maximum(motion[..., _CLOSE], met * motion[..., _JAW])
    pressed[..., _LOWER] *= apart * free
    pressed[..., _UPPER] = np.maximum(motion[..., _UPPER] * apart, 0.10 * teeth)
    pressed[..., _FUNNEL] *= (1 - 0.75 * met) * (1 - 0.4 * bitten)
    rolled = np.maximum(0.16 * met, 0.36 * teeth)
    pressed[..., _ROLL_LOWER] = np.maximum(motion[..., _ROLL_LOWER], rolled)
    pressed[..., _ROLL_UPPER] = np.maximum(motion[..., _ROLL_UPPER], 0.14 * met)
    pressed[..., _PRESS] = np.maximum(motion[..., _PRESS], 0.22 * met)
    return pressed


def sharpened(contacts: Floats) -> Floats:
    """Returns contacts of any shape in 0..1, 0 where unlikely and 1 where likely enough."""
    return smooth_ramp(contacts, *_CERTAIN)
