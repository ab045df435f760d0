"""Contacts: two more numbers per frame that the network gives beside the motion.

Whether the lips meet (/p b m/) and whether the lower lip meets the teeth (/f v/). As 58
coefficients a closure is a small difference of large numbers, which regression blurs where it
is unsure; as a number of its own it can be weighted in training and sharpened when served.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import MOTION_SIZE

Floats = NDArray[np.float32]

CONTACT_NAMES: Final = ("bilabial", "labiodental")
NETWORK_SIZE: Final = MOTION_SIZE + len(CONTACT_NAMES)

# Where a contact begins to count, and where it is certain. Trained with three times the weight
# on contacts, the network gives 0.5 where one in four such frames is a contact.
_CERTAIN: Final = (0.3, 0.6)


def press_lips(motion: Floats, contacts: Floats) -> Floats:
    """Returns [..., 58] motion whose lips meet, or meet the teeth, where the contacts say so.

    Where they say both, as in "of May", the lips meet and the lower one is drawn in.

    Args:
        motion: [..., 58].
        contacts: [..., 2] in the order of `CONTACT_NAMES`, about 0..1.
    """
    from streaming_model.motion.rows import pressed

    rows = motion.reshape(-1, MOTION_SIZE), contacts.reshape(-1, len(CONTACT_NAMES))
    return np.asarray(pressed(*rows, *_CERTAIN)).reshape(motion.shape)


def part_lips(motion: Floats, gaps: Floats) -> Floats:
    """Returns [..., 58] motion whose lips are at least so far apart.

    What closes them gives way first, then the jaw falls.

    Args:
        motion: [..., 58].
        gaps: [...] in units of jawOpen; 0 asks for nothing.
    """
    from streaming_model.motion.rows import opened

    rows = motion.reshape(-1, MOTION_SIZE), gaps.reshape(-1)
    return np.asarray(opened(*rows)).reshape(motion.shape)
