"""Where the mouths of a batch of frames are, gathered in numpy arrays for the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming_model.renderer.batched.tensors import filled_up
from streaming_model.renderer.mouth import InsidePlace, MouthPlace, TonguePlace
from streaming_model.renderer.mouth_places import SUBCOLUMNS

_Array = NDArray[Any]


class MouthShape(NamedTuple):
    """What of a batch of mouths decides which work there is.

    Attributes:
        window: rows and columns that hold each of the boxes.
        has_seams, has_insides, has_tongues: whether any mouth has one.
    """

    window: tuple[int, int]
    has_seams: bool
    has_insides: bool
    has_tongues: bool

    def holds(self, other: MouthShape) -> bool:
        """Returns whether the work for this shape does for the other one's mouths, too."""
        flags = zip(self[1:], other[1:], strict=True)
        return _is_within(other.window, self.window) and all(mine or not its for mine, its in flags)

    def joined(self, other: MouthShape) -> MouthShape:
        """Returns the least shape that holds both."""
        (rows, columns), (more_rows, more_columns) = self.window, other.window
        return MouthShape(
            (max(rows, more_rows), max(columns, more_columns)),
            self.has_seams or other.has_seams,
            self.has_insides or other.has_insides,
            self.has_tongues or other.has_tongues,
        )

    @classmethod
    def of(cls, places: Sequence[MouthPlace | None]) -> MouthShape:
        """Returns the shape that just holds these."""
        boxes = [place.box for place in places if place is not None]
        insides = [place.inside for place in places if place is not None and place.inside]
        return cls(
            window=(
                max((bottom - top for _, top, _, bottom in boxes), default=1),
                max((right - left for left, _, right, _ in boxes), default=1),
            ),
            has_seams=any(place is not None and place.meeting is not None for place in places),
            has_insides=bool(insides),
            has_tongues=any(inside.tongue is not None for inside in insides),
        )


class MostOfMouths(NamedTuple):
    """The most that any of several portraits' mouths has.

    Attributes:
        fine: finer pixels across a pixel.
        vertices: of the inside.
        tongue_triangles: of the tongue.
    """

    fine: int
    vertices: int
    tongue_triangles: int

    def gathered(
        self, places: Sequence[MouthPlace | None], shape: MouthShape
    ) -> dict[str, NDArray[Any]]:
        """Returns of each frame's mouth what `BatchedMouths.draw` wants.

        One that is not there is in a box without any pixels.
        """
        width = shape.window[1]
        fine = self.fine * width
        boxes = np.array([place.box if place else (0, 0, 0, 0) for place in places], np.int64)

        def rows(read: Callable[[MouthPlace], _Array | None], kind: type, *sides: int) -> _Array:
            found = [None if place is None else read(place) for place in places]
            none: _Array = np.zeros((0,) * len(sides), kind)
            return filled_up([none if each is None else each for each in found], sides)

        def inside(read: Callable[[InsidePlace], _Array], kind: type, *sides: int) -> _Array:
            return rows(lambda place: read(place.inside) if place.inside else None, kind, *sides)

        def tongue(read: Callable[[TonguePlace], _Array], kind: type, *sides: int) -> _Array:
            def found(place: MouthPlace) -> _Array | None:
                held = place.inside.tongue if place.inside else None
                return None if held is None else read(held)

            return rows(found, kind, *sides)

        f32, f64, i32 = np.float32, np.float64, np.int32
        told = {
            "corner": boxes[:, :2],
            "limits": boxes[:, [3, 2]] - boxes[:, [1, 0]],
            "rows": rows(lambda place: place.rows, f32, 2, width),
            "crossings": rows(lambda place: place.crossings, f64, 2, width, SUBCOLUMNS),
        }
        if shape.has_seams:
            told["meeting"] = rows(lambda place: place.meeting, f32, 2, width)
        if shape.has_insides:
            told |= {
                "is_open": np.array([bool(place and place.inside) for place in places], f32),
                "points": inside(lambda each: each.points, f32, self.vertices, 3),
                "colours": inside(lambda each: each.colours, f32, self.vertices, 3),
                "fine_limits": inside(lambda each: each.limits, i32, 2, fine),
                "light": inside(lambda each: each.light, f32, width),
                "grain": inside(lambda each: each.grain, f64, 2),
                "sources": inside(lambda each: each.sources, f32, 3, 2, 3),
                "shares": inside(lambda each: each.shares, f32, 3),
                "over": inside(lambda each: np.array([each.over], f32), f32, 1)[:, 0],
                "rolled": inside(lambda each: each.rolled, f32, 2, width),
            }
        if shape.has_tongues:
            told |= {
                "tongue_triangles": tongue(
                    lambda each: each.triangles, i32, self.tongue_triangles, 3
                ),
                "tongue_crossings": tongue(lambda each: each.crossings, f64, 2, width, SUBCOLUMNS),
                "tongue_limits": tongue(lambda each: each.limits, i32, 2, fine),
            }
        return told


def _is_within(window: tuple[int, int], other: tuple[int, int]) -> bool:
    return window[0] <= other[0] and window[1] <= other[1]
