"""A part of a picture, as somebody chose it."""

from __future__ import annotations

from dataclasses import dataclass

from streaming_model.errors import CropError


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture, in pixels of the picture turned upright.

    Attributes:
        left: of its left edge.
        top: of its upper edge.
        width: at least 1.
        height: at least 1.
    """

    left: int
    top: int
    width: int
    height: int

    def check(self, width: int, height: int) -> None:
        """Refuses a part that does not lie in a picture of that size.

        Raises:
            CropError: it does not.
        """
        fits_across = 0 <= self.left < self.left + self.width <= width
        if not (fits_across and 0 <= self.top < self.top + self.height <= height):
            raise CropError(
                f"The part {self.width} x {self.height} at {self.left}, {self.top} does not lie "
                f"in the picture of {width} x {height} pixels."
            )
