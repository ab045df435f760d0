"""Cuts what was seen into shots of one steady face. Knows nothing of sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from streaming_model.media import SAMPLE_RATE
from training.extract.reasons import Reason
from training.extract.watching import Sighting

LONGEST: Final = 60 * SAMPLE_RATE  # a longer shot becomes several
LONGEST_GAP: Final = round(0.12 * SAMPLE_RATE)  # between pictures, over which motion is joined


@dataclass
class Refused:
    """How much film was of no use, and why.

    Attributes:
        samples: media time by reason.
    """

    samples: Counter[Reason] = field(default_factory=Counter)

    def add(self, reason: Reason, samples: int) -> None:
        """Counts a stretch."""
        self.samples[reason] += samples


def shots(sightings: Iterable[Sighting], refused: Refused) -> Iterator[list[Sighting]]:
    """Yields runs of usable pictures without a cut or a gap, and counts the others as refused.

    A picture or two that are of no use do not end a run: a blink of the net is joined over.
    """
    run: list[Sighting] = []
    last: Sighting | None = None
    for sighting in sightings:
        if sighting.reason is not None:
            refused.add(sighting.reason, 0 if last is None else _shown(last, sighting))
        ends = sighting.is_cut or (run and sighting.time - run[-1].time > LONGEST_GAP)
        if run and (ends or sighting.time - run[0].time > LONGEST):
            yield run
            run = []
        if sighting.reason is None:
            run.append(sighting)
        last = sighting
    if run:
        yield run


def _shown(before: Sighting, after: Sighting) -> int:
    return min(after.time - before.time, SAMPLE_RATE)
