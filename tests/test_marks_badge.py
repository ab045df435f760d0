"""The badge: seen on light and dark, where and as it was asked for."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.config import Settings
from server.marks.badge import CORNERS, Badge, BadgeError, Corner, check_badge
from server.marks.marker import Marker
from server.marks.options import MarkOptions
from server.marks.payload import Payload
from tests.test_config import load


def stamped(size: int, grey: int, **how: str) -> tuple[Badge, NDArray[np.uint8]]:
    badge = Badge(size, **how)  # type: ignore[arg-type]
    image = np.full((size, size, 3), grey, np.uint8)
    badge.stamp(image)
    return badge, image


@pytest.mark.parametrize("size", [256, 512, 1024])
@pytest.mark.parametrize("grey", [0, 60, 128, 200, 255])
def test_it_can_be_read_on_light_and_dark(size: int, grey: int) -> None:
    badge, image = stamped(size, grey)
    top, bottom, left, right = badge.box
    inside = image[top:bottom, left:right, 0].astype(float)
    ink, pill = np.percentile(inside, 98), np.median(inside)
    lighter, darker = (((value / 255) ** 2.2) + 0.05 for value in (ink, pill))
    assert lighter / darker >= 4.5, "WCAG 2.2 asks for 4.5 of small letters"
    assert bottom - top >= 17
    assert (right - left) * (bottom - top) < 0.03 * size**2, "it must not cover the picture"


@pytest.mark.parametrize("corner", CORNERS)
def test_it_is_in_its_corner_and_nowhere_else(corner: Corner) -> None:
    badge, image = stamped(512, 90, corner=corner)
    rows, columns = np.nonzero((image != 90).any(axis=2))
    assert (rows.mean() > 256) == corner.startswith("bottom")
    assert (columns.mean() > 256) == corner.endswith("right")
    top, bottom, left, right = badge.box
    assert top <= rows.min() and rows.max() < bottom
    assert left <= columns.min() and columns.max() < right


def test_it_is_seen_where_a_picture_is_transparent() -> None:
    image = np.zeros((512, 512, 4), np.uint8)
    badge = Badge(512)
    badge.stamp(image)
    top, bottom, left, right = badge.box
    assert np.median(image[top:bottom, left:right, 3]) > 140
    assert image[: top - 1].max() == 0
    opaque = np.full((512, 512, 4), 255, np.uint8)
    badge.stamp(opaque)
    assert (opaque[..., 3] == 255).all()


def test_a_long_text_becomes_smaller() -> None:
    badge, _ = stamped(256, 0, text="This person is made by a computer now.")
    assert badge.box[3] - badge.box[2] < 256


@pytest.mark.parametrize("text", ["", " ", "x" * 41, "two\nlines"])
def test_an_impossible_text_is_refused(text: str) -> None:
    with pytest.raises(BadgeError, match="1 to 40 characters"):
        check_badge(text, None)


def test_letters_that_the_font_lacks_are_named() -> None:
    with pytest.raises(BadgeError, match=r"lacks é.*another font"):
        check_badge("Généré par IA", None)
    with pytest.raises(BadgeError, match="not a font file"):
        check_badge("AI", Path(__file__))


def test_another_font_writes_other_languages() -> None:
    fonts = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if not fonts.is_file():
        pytest.skip("there is no DejaVu here")
    check_badge("Généré par IA", fonts)
    badge = Badge(512, text="Généré par IA", font=fonts)
    image = np.zeros((512, 512, 3), np.uint8)
    badge.stamp(image)
    assert image.any()


def test_a_reason_switches_it_off_and_is_told() -> None:
    options = load("--no-badge-reason", "the page shows its own").marks()
    assert options.omissions == ["Pictures get no badge: the page shows its own"]
    image = np.full((256, 256, 3), 77, np.uint8)
    payload = Payload.of("s", date(2026, 5, 1))
    with_badge, without = (Marker(each, payload).mark(image) for each in (MarkOptions(), options))
    assert np.abs(without.astype(int) - 77).max() <= 4
    assert np.abs(with_badge.astype(int) - 77).max() > 50
    assert Settings().marks().omissions == []
