"""The visible badge: a few words on a dark pill in a corner, blended into every picture."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from streaming_model.errors import VivantError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Corner = Literal["top-right", "top-left", "bottom-right", "bottom-left"]

BADGE_TEXT: Final = "AI-generated"
BADGE_CORNER: Final[Corner] = "top-right"  # captions, which may cover a badge, are at the bottom
CORNERS: Final = ("top-right", "top-left", "bottom-right", "bottom-left")
LONGEST_TEXT: Final = 40  # characters
_LETTERS: Final = 0.028  # of the picture's side: height of the font
_LEAST_LETTERS: Final = 11  # pixels; smaller ones do not survive a video codec
_MARGIN: Final = 0.022  # of the side
_WIDEST: Final = 0.6  # of the side
_PADDING: Final = (0.55, 0.32)  # of the font's height: at the sides, above and below
_INK: Final = 255
_PILL: Final = (18, 0.62)  # grey and opacity; white on it has a contrast of 5 on white and more
_RIM: Final = (235, 0.45)  # of a pixel's width, so that the pill is seen on black
_FINER: Final = 4  # times as large as it is drawn first


class BadgeError(VivantError):
    """There can be no such badge."""

    code = "bad_badge"


class Badge:
    """A badge for square pictures of one size; a value.

    Attributes:
        text: what it says.
        box: top, bottom, left and right of it in the picture, in pixels.
    """

    def __init__(
        self,
        size: int,
        *,
        text: str = BADGE_TEXT,
        corner: Corner = BADGE_CORNER,
        font: Path | None = None,
    ) -> None:
        self.text = text
        colours, opacity = _drawn(size, text, font)
        height, width = opacity.shape
        margin = max(4, round(_MARGIN * size))
        top = size - margin - height if corner.startswith("bottom") else margin
        left = size - margin - width if corner.endswith("right") else margin
        self.box = (top, top + height, left, left + width)
        self._opacity = opacity[..., None]
        self._colours = colours[..., None] * self._opacity
        self._behind = 1 - opacity
        self._ink = self._colours[..., 0] + np.float32(0.5)
        from server.marks.kernels import blend  # compiled code, which a start does not wait for

        self._blend = blend
        nothing = np.zeros((0, 1, 4), np.uint8)[..., :3]
        blend(nothing, self._behind[:0], self._ink[:0])  # compiles what is not compiled yet

    def stamp(self, image: Pixels) -> None:
        """Blends the badge into [s, s, 3] RGB or [s, s, 4] straight RGBA, in place."""
        top, bottom, left, right = self.box
        part = image[top:bottom, left:right]
        if image.shape[2] == 3:
            self._blend(part, self._behind, self._ink)
            return
        behind = part[..., 3:] / np.float32(255) * (1 - self._opacity)
        matte = self._opacity + behind
        colours = (part[..., :3] * behind + self._colours) / np.maximum(matte, 1e-3)
        part[..., :3] = np.minimum(colours + 0.5, 255)
        part[..., 3:] = 255 * matte + 0.5


def check_badge(text: str, font: Path | None) -> None:
    """Checks that a text can be shown.

    Raises:
        BadgeError: it is empty or too long, the font is none, or it lacks a letter.
    """
    if not 1 <= len(text.strip()) <= LONGEST_TEXT or not text.isprintable():
        raise BadgeError(f"A badge has 1 to {LONGEST_TEXT} characters in a line, not {text!r}.")
    try:
        letters = _font(32, font)
    except OSError as error:
        raise BadgeError(f"'{font}' is not a font file that can be read.") from error
    unknown = bytes(letters.getmask("\uffff"))
    missing = [
        each
        for each in dict.fromkeys(text)
        if not each.isspace() and bytes(letters.getmask(each)) in (unknown, b"")
    ]
    if missing:
        name = "The built-in font, which knows English alone," if font is None else f"'{font}'"
        raise BadgeError(f"{name} lacks {''.join(missing)}: name another font for the badge.")


def _drawn(size: int, text: str, name: Path | None) -> tuple[Floats, Floats]:
    """Returns the badge's greys and opacity, [h, w] each."""
    letters = max(_LEAST_LETTERS, round(_LETTERS * size))
    while letters > _LEAST_LETTERS // 2 and _length(text, letters, name) > _WIDEST * size:
        letters -= 1
    side, above = (round(share * letters) for share in _PADDING)
    width, height = _length(text, letters, name) + 2 * side, letters + 2 * above
    large = (width * _FINER, height * _FINER)
    pill, inside, ink = (Image.new("L", large) for _ in range(3))
    round_by, rim = large[1] // 2, _FINER
    corner = (large[0] - 1, large[1] - 1)
    ImageDraw.Draw(pill).rounded_rectangle((0, 0, *corner), round_by, fill=255)
    inner = (rim, rim, corner[0] - rim, corner[1] - rim)
    ImageDraw.Draw(inside).rounded_rectangle(inner, round_by - rim, fill=255)
    middle = (large[0] / 2, large[1] / 2)
    font = _font(letters * _FINER, name)
    ImageDraw.Draw(ink).text(middle, text, font=font, fill=255, anchor="mm")
    pill_at, inside_at, ink_at = (_share(each, (width, height)) for each in (pill, inside, ink))
    return _laid(pill_at - inside_at, inside_at, ink_at)


def _laid(rim: Floats, inside: Floats, ink: Floats) -> tuple[Floats, Floats]:
    """Returns greys and opacity of letters over the pill over its rim, each given as shares."""
    opacity = rim * _RIM[1] + inside * _PILL[1]
    greys = (rim * _RIM[1] * _RIM[0] + inside * _PILL[1] * _PILL[0]) / np.maximum(opacity, 1e-3)
    whole = ink + opacity * (1 - ink)
    greys = (ink * _INK + greys * opacity * (1 - ink)) / np.maximum(whole, 1e-3)
    return greys.astype(np.float32), whole.astype(np.float32)


def _share(image: Image.Image, size: tuple[int, int]) -> Floats:
    small = image.resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def _length(text: str, letters: int, name: Path | None) -> int:
    return round(_font(letters * _FINER, name).getlength(text) / _FINER)


@lru_cache(16)
def _font(height: int, name: Path | None) -> ImageFont.FreeTypeFont:
    """Returns a font file's font, or Aileron, which Pillow brings."""
    if name is not None:
        return ImageFont.truetype(name, height)
    font = ImageFont.load_default(height)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
