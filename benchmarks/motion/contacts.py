"""Whether lips and teeth touch where the phones ask for it, and only there.

Counts for each phone of a clip, so that misses can be looked up by phone and by neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Clip, Motion
from streaming_model.media import SAMPLE_RATE
from streaming_model.motion_space import INDEX
from training.coarticulation import lip_gap

BILABIALS: Final = ("P", "B", "M")
LABIODENTALS: Final = ("F", "V")
# AH stands for the schwa too, which a bilabial beside it may close all the way: it counts only
# where it is long enough to be the vowel of "but". So do the others, for a frame to see them.
OPEN_VOWELS: Final = ("AA", "AE", "AO", "AY", "AW", "EH", "AH")
SHORTEST_AH: Final = SAMPLE_RATE * 8 // 100
OTHER_CONSONANTS: Final = (
    "T", "D", "N", "K", "G", "NG", "S", "Z", "TH", "DH", "L", "HH", "SH", "ZH", "CH", "JH", "R",
    "Y", "W",
)  # fmt: skip
NEAR: Final = SAMPLE_RATE * 40 // 1000  # a contact this close to its phone counts
_CLOSED: Final = 0.1  # of the clip's 95th percentile of the lips' gap
_BITE: Final = 0.18  # half of the lower lip's roll in the procedure's F and V
_BITE_LOWER: Final = 0.10  # mouthLowerDown at most: a lip that is drawn down shows its teeth


@dataclass(frozen=True, slots=True)
class Contact:
    """One phone, and what the mouth did there.

    Attributes:
        voice: who speaks.
        phone: its name.
        before, after: names of its neighbours.
        seconds: how long it is.
        gap: the smallest gap of the lips there, as a share of the clip's 95th percentile.
        is_closed: whether the lips met.
        is_bitten: whether the lower lip was at the upper teeth.
    """

    voice: str
    phone: str
    before: str
    after: str
    seconds: float
    gap: float
    is_closed: bool
    is_bitten: bool


def bitten(motion: Motion) -> NDArray[np.bool_]:
    """Returns [frames] whether the lower lip is under the upper teeth.

    As in the procedure's F and V: the lower lip rolled in and not drawn down. In P, B and M both
    lips are rolled, and the difference is small.
    """
    rolled = motion[:, INDEX["mouthRollLower"]] - motion[:, INDEX["mouthRollUpper"]]
    lower = motion[:, [INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"]]].mean(axis=1)
    return np.asarray((rolled >= _BITE) & (lower <= _BITE_LOWER))


def contacts(clip: Clip, motion: Motion) -> list[Contact]:
    """Returns what happened at each phone that has a frame to see it.

    Lips and teeth may touch within 40 ms of P, B, M, F, V; of other phones only the middle
    half is looked at, and AH only from 80 ms on.
    """
    gap = lip_gap(motion)
    gap = gap / max(float(np.percentile(gap, 95)), 1e-6)
    bites = bitten(motion)
    names = ("sil", *clip.phones, "sil")
    found = []
    for index, near in _looked_at(clip):
        least = float(gap[near].min())
        found.append(
            Contact(
                voice=clip.voice,
                phone=clip.phones[index],
                before=names[index],
                after=names[index + 2],
                seconds=float(clip.bounds[index + 1] - clip.bounds[index]) / SAMPLE_RATE,
                gap=least,
                is_closed=least < _CLOSED,
                is_bitten=bool(bites[near].any()),
            )
        )
    return found


def phones_closed(clip: Clip, gap: NDArray[np.float64], phones: Sequence[str]) -> list[bool]:
    """Returns for each of these phones whether a gap [frames], as a share of its range, is shut."""
    return [
        bool((gap[near] < _CLOSED).any())
        for index, near in _looked_at(clip)
        if clip.phones[index] in phones
    ]


def _looked_at(clip: Clip) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yields the index of each phone that counts, and the frames [frames] in which it does."""
    middles = clip.middles
    spans = zip(clip.phones, clip.bounds[:-1], clip.bounds[1:], strict=True)
    for index, (phone, start, end) in enumerate(spans):
        if phone == "sil" or (phone == "AH" and end - start < SHORTEST_AH):
            continue
        slack = NEAR if phone in (*BILABIALS, *LABIODENTALS) else -0.25 * (end - start)
        near = (middles > start - slack) & (middles < end + slack)
        if near.any():
            yield index, near


def share_closed(found: Sequence[Contact], phones: Sequence[str]) -> float:
    """Returns at which share of these phones the lips met; not-a-number if there are none."""
    return share([each.is_closed for each in found if each.phone in phones])


def share_bitten(found: Sequence[Contact], phones: Sequence[str]) -> float:
    """Returns at which share of these phones the lip was at the teeth."""
    return share([each.is_bitten for each in found if each.phone in phones])


def share(seen: Sequence[bool]) -> float:
    """Returns which share of these is true; not-a-number if there are none."""
    return float(np.mean(seen)) if seen else float("nan")
