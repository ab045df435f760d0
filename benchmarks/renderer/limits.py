"""How good is good enough: the limits that a portrait's figures must keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.renderer.commands import SWEPT

SIDES: Final = ("Left", "Right")


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on the worst of some figures.

    Attributes:
        title: heading of the column.
        figures: names of the figures; the worst of them counts.
        most: the figures may be at most this; None if `least` bounds them.
        least: the figures must be at least this; None if `most` bounds them.
        decimals: to show.
    """

    title: str
    figures: tuple[str, ...]
    most: float | None = None
    least: float | None = None
    decimals: int = 2

    def worst(self, figures: Mapping[str, float]) -> float | None:
        """Returns the figure that counts, not-a-number if one is; None if none was measured."""
        values = [figures[name] for name in self.figures if name in figures]
        if not values:
            return None
        if any(math.isnan(value) for value in values):
            return math.nan
        return max(values) if self.least is None else min(values)

    def is_kept(self, value: float) -> bool:
        """Returns whether the value is good enough; not-a-number is not."""
        if self.least is not None:
            return value >= self.least
        return self.most is not None and value <= self.most

    @property
    def text(self) -> str:
        """The limit as people write it."""
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


def _sides(name: str) -> tuple[str, ...]:
    return tuple(f"{name} {side}" for side in SIDES)


LIMITS: Final[tuple[Limit, ...]] = (
    Limit("rest PSNR", ("rest PSNR in face", "drawn PSNR in face"), least=40, decimals=0),
    Limit("rest outside", ("rest worst outside", "drawn worst outside"), most=1, decimals=0),
    *(Limit(f"{name} r", (f"{name} r",), least=0.95, decimals=3) for name in SWEPT),
    Limit("blink opening", _sides("blink opening"), most=0.3, decimals=3),
    Limit("blink r", _sides("blink r"), least=0.9, decimals=3),
    Limit("blink score", _sides("blink score"), least=0.5, decimals=3),
    *(
        Limit(f"{axis} error", (f"{axis} error", f"{axis} angle error"), most=3, decimals=1)
        for axis in ("yaw", "pitch", "roll")
    ),
    Limit("lips, phones known", ("lips exact worst %",), most=2),
    Limit("lips, our motion", ("lips spoken worst %",), most=2),
    Limit("teeth shut %", ("lips exact teeth %", "lips spoken teeth %"), most=1, decimals=1),
    Limit("identity mean", ("identity mean",), most=0.35),
    Limit("identity worst", ("identity worst",), most=0.5),
    Limit("folds", ("folds",), most=0, decimals=0),
    Limit("background", ("background change",), most=0, decimals=0),
    Limit("plate mix", ("plate mix",), most=2, decimals=1),
    Limit("holes", ("plate holes",), most=0, decimals=0),
    Limit("fringe %", ("plate fringe %",), most=1, decimals=1),
    Limit("dark edge %", ("plate dark %",), most=1, decimals=1),
    Limit("wrong or dead", ("others wrong",), most=0, decimals=0),
    Limit("ms at 512", ("ms at 512",), most=8, decimals=1),
    Limit("remaps at 512", ("ratio at 512",), most=2.5, decimals=1),
    Limit("ms at 1024", ("ms at 1024",), most=25, decimals=1),
    Limit("faces lost", ("others lost", "lips lost", "identity lost"), most=0, decimals=0),
)
