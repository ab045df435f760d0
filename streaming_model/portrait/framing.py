"""Which square of a picture becomes the portrait, and cutting it out.

Knows where the face is and nothing of how it was found or will be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

FACE_SHARE: Final = 0.40  # wanted width of the face over the picture's side
MOST_FACE_SHARE: Final = 0.70  # nearer than this only where the picture ends
FACE_HEIGHT_IN_FRAME: Final = 0.47  # where the face's middle sits, from the top
MOST_SIDE: Final = 1024  # pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """A square of head and shoulders, in pixels of a picture that it may reach beyond.

    Attributes:
        left: of its left edge.
        top: of its upper edge.
        side: its width and height.
    """

    left: int
    top: int
    side: int

    def beyond(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Returns how far it reaches beyond a picture: left, top, right and bottom."""
        right, bottom = self.left + self.side - width, self.top + self.side - height
        return max(0, -self.left), max(0, -self.top), max(0, right), max(0, bottom)

    def warnings(self, width: int, height: int) -> tuple[str, ...]:
        """Returns what is to be said of cutting it out of a picture."""
        if not any(self.beyond(width, height)):
            return ()
        return ("The picture ends close to the face; its border was mirrored.",)


def choose_frame(landmarks: NDArray[np.float32], *, width: int, height: int) -> Frame:
    """Returns the square around the face of `landmarks`, [478, 3] in pixels of the picture.

    It stays inside the picture if it can.
    """
    low, high = landmarks[:468, :2].min(axis=0), landmarks[:468, :2].max(axis=0)
    middle, extent = (low + high) / 2, high - low
    face = max(float(extent[0]), 0.8 * float(extent[1]))
    side = face / FACE_SHARE
    side = round(min(side, max(float(min(height, width)), face / MOST_FACE_SHARE)))
    left = _inside(middle[0] - side / 2, side, width)
    top = _inside(middle[1] - side * FACE_HEIGHT_IN_FRAME, side, height)
    return Frame(left, top, side)


def frame_face(
    image: NDArray[np.uint8], landmarks: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32], tuple[str, ...]]:
    """Cuts a square of head and shoulders out of `image`.

    Returns the picture, the landmarks in it, and warnings. The square stays inside the image
    if it can; where the image is too small its border is mirrored.
    """
    height, width = image.shape[:2]
    frame = choose_frame(landmarks, width=width, height=height)
    left, top, side = frame.left, frame.top, frame.side
    inner = image[max(top, 0) : top + side, max(left, 0) : left + side]
    before_x, before_y, after_x, after_y = frame.beyond(width, height)
    picture = cv2.copyMakeBorder(
        inner, before_y, after_y, before_x, after_x, cv2.BORDER_REFLECT_101
    )
    moved = np.asarray(landmarks - np.array([left, top, 0]), np.float32)
    if side > MOST_SIDE:
        ratio = MOST_SIDE / side
        picture = cv2.resize(picture, (MOST_SIDE, MOST_SIDE), interpolation=cv2.INTER_AREA)
        shift = np.array([ratio - 1, ratio - 1, 0]) / 2
        moved = np.asarray(moved * ratio + shift, np.float32)
    return np.ascontiguousarray(picture, np.uint8), moved, frame.warnings(width, height)


def _inside(start: float, side: int, limit: int) -> int:
    """Moves an interval of length `side` into 0..limit, or centres what cannot fit."""
    if side >= limit:
        return round((limit - side) / 2)
    return round(min(max(start, 0), limit - side))
