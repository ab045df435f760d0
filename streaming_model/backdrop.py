"""What is behind the person: the picture's own background, another, or nothing.

A `Backdrop` is a value: it reads what people write and makes the plate that the renderer draws
on. It knows nothing of portraits and motion.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from streaming_model.errors import VivantError

Pixels = NDArray[np.uint8]

CHROMA_GREEN: Final = (0, 177, 64)  # #00b140, what keyers expect of a green screen
BLUR: Final = 0.03  # of the side: standard deviation of the blurred background
WORDS: Final = "keep, blur, green, transparent, a colour such as #336699 or navy"
_HEX: Final = re.compile(r"#[0-9a-f]{6}|#[0-9a-f]{3}")


class BackdropError(VivantError):
    """There is no such background."""

    code = "unknown_background"


@dataclass(frozen=True, slots=True)
class Backdrop:
    """One background; backdrops of the same name are equal.

    Attributes:
        name: as people write it; an image's is made of its content.
        kind: what it is made of.
        colour: red, green and blue of kind `colour`.
        image: [h, w, 3] uint8 RGB of kind `image`.
    """

    name: str
    kind: Literal["keep", "blur", "colour", "image", "transparent"] = field(compare=False)
    colour: tuple[int, int, int] = field(default=(0, 0, 0), compare=False)
    image: Pixels | None = field(default=None, compare=False, repr=False)

    @property
    def is_transparent(self) -> bool:
        """Whether pictures before it are RGBA."""
        return self.kind == "transparent"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads keep, blur, green, transparent or a colour.

        `green` is the chroma key's #00b140; colours are #rgb, #rrggbb or a name of CSS.

        Raises:
            BackdropError: it is none of them.
        """
        word = text.strip().lower()
        match word:
            case "keep" | "blur" | "transparent":
                return cls(word, word)
            case "green":
                return cls(word, "colour", CHROMA_GREEN)
        if _HEX.fullmatch(word) or word in ImageColor.colormap:
            red, green, blue = ImageColor.getrgb(word)[:3]
            return cls(word, "colour", (red, green, blue))
        raise BackdropError(f"There is no background {text[:60]!r}: it is {WORDS}.")

    @classmethod
    def from_image(cls, source: Path | bytes) -> Self:
        """Reads a picture of any common format, turned as the camera says.

        Raises:
            PortraitError: the picture cannot be read; the message says why.
        """
        from streaming_model.portrait.image import load_image  # brings the nets that find faces

        image = load_image(source)
        digest = hashlib.sha256(image.tobytes()).hexdigest()[:16]
        return cls(f"image-{digest}", "image", image=image)

    @classmethod
    def read(cls, text: str) -> Self:
        """Reads what a command line or a settings file says: as `parse`, or a picture file.

        Raises:
            BackdropError: it is neither.
            PortraitError: the picture cannot be read; the message says why.
        """
        try:
            return cls.parse(text)
        except BackdropError:
            path = Path(text)
            if path.is_file():
                return cls.from_image(path)
            raise BackdropError(
                f"There is no background {text[:200]!r}: it is {WORDS}, or a picture file."
            ) from None

    def plate(self, background: Pixels) -> Pixels | None:
        """Returns what is seen behind the person, or None for the picture's own background.

        Args:
            background: [s, s, 3] the picture's own background, completed behind the person.

        Returns:
            [s, s, 3], or [s, s, 4] of zeros for `transparent`.
        """
        side = len(background)
        match self.kind:
            case "keep":
                return None
            case "blur":
                return np.asarray(cv2.GaussianBlur(background, (0, 0), BLUR * side), np.uint8)
            case "colour":
                return np.full((side, side, 3), self.colour, np.uint8)
            case "image":
                assert self.image is not None
                return _covering(self.image, side)
            case "transparent":
                return np.zeros((side, side, 4), np.uint8)


KEEP: Final = Backdrop.parse("keep")


def _covering(image: Pixels, side: int) -> Pixels:
    """Returns the middle of the image, as large as it can be, at `side` pixels a side."""
    height, width = image.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    middle = image[top : top + square, left : left + square]
    smooth = cv2.INTER_AREA if side < square else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, (side, side), interpolation=smooth), np.uint8)
