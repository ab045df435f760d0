"""What is told of a picture before it is kept agrees with what the portrait becomes."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from streaming_model.crop import Crop
from streaming_model.errors import CropError, ImageUnreadableError
from streaming_model.portrait import make_portrait
from streaming_model.portrait.preview import PortraitPreview, preview_portrait

pytestmark = pytest.mark.model


def encode(
    pixels: NDArray[np.uint8], format_name: str = "PNG", exif: Image.Exif | None = None
) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format_name, exif=exif or Image.Exif(), quality=98)
    return data.getvalue()


@pytest.fixture(scope="module")
def face() -> NDArray[np.uint8]:
    return np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def seen(face: NDArray[np.uint8]) -> PortraitPreview:
    return preview_portrait(encode(face))


def points(preview: PortraitPreview) -> NDArray[np.float32]:
    assert preview.landmarks is not None
    return preview.landmarks


def test_the_frame_is_what_the_portrait_shows(
    face: NDArray[np.uint8], seen: PortraitPreview
) -> None:
    portrait = make_portrait(encode(face))
    assert seen.accepted and seen.frame is not None
    left, top, side = seen.frame.left, seen.frame.top, seen.frame.side
    np.testing.assert_array_equal(portrait.picture, face[top : top + side, left : left + side])
    assert seen.warnings == portrait.warnings
    # all but the eyes, which are put right later, in the framed picture
    mouth = [61, 291, 0, 17, 1, 152]
    np.testing.assert_allclose(
        points(seen)[mouth], portrait.landmarks[mouth, :2] + (left, top), atol=0.01
    )


def test_it_is_told_in_plain_values(seen: PortraitPreview) -> None:
    told = json.loads(json.dumps(seen.to_json()))
    assert (told["width"], told["height"], told["code"]) == (512, 512, "ok")
    assert len(told["frame"]) == 4 and told["frame"][2] == told["frame"][3]
    assert np.array(told["landmarks"]).shape == (478, 2)
    assert len(json.dumps(told)) < 12_000


def test_places_are_those_of_the_picture_turned_upright(
    face: NDArray[np.uint8], seen: PortraitPreview
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # it has to be turned a quarter clockwise
    lying = np.ascontiguousarray(np.rot90(face[:, :480]))
    turned = preview_portrait(encode(lying, "JPEG", exif))
    assert (turned.width, turned.height) == (480, 512)
    assert np.abs(points(turned) - points(seen)).max() < 4


def test_places_are_those_of_a_large_picture_and_not_of_its_reduction(
    face: NDArray[np.uint8], seen: PortraitPreview
) -> None:
    large = np.asarray(Image.fromarray(face).resize((3072, 3072)), np.uint8)
    found = preview_portrait(encode(large, "JPEG"))
    assert (found.width, found.height) == (3072, 3072)
    assert np.abs(points(found) / 6 - points(seen)).max() < 4
    assert found.frame is not None and seen.frame is not None
    assert found.frame.side == pytest.approx(6 * seen.frame.side, rel=0.03)


def test_a_crop_finds_the_same_face_in_the_same_place(
    face: NDArray[np.uint8], seen: PortraitPreview
) -> None:
    found = preview_portrait(encode(face), crop=Crop(90, 0, 300, 260))
    assert found.accepted and found.frame is not None
    assert np.abs(points(found) - points(seen)).max() < 4
    assert found.frame.left >= 90 and found.frame.left + found.frame.side <= 390


def test_a_crop_chooses_among_faces(face: NDArray[np.uint8], seen: PortraitPreview) -> None:
    smaller = np.asarray(Image.fromarray(face).resize((400, 400)), np.uint8)
    both = np.full((512, 912, 3), 128, np.uint8)
    both[:, :512], both[:400, 512:] = face, smaller
    largest = preview_portrait(encode(both))
    assert largest.faces_found == 2
    assert np.abs(points(largest) - points(seen)).max() < 4
    other = preview_portrait(encode(both), crop=Crop(512, 0, 400, 400))
    assert other.faces_found == 1
    assert points(other)[:, 0].min() > 512


def test_a_refused_face_is_shown_with_the_reason(face: NDArray[np.uint8]) -> None:
    small = np.asarray(Image.fromarray(face).resize((256, 256)), np.uint8)
    refused = preview_portrait(encode(small))
    assert (refused.accepted, refused.code) == (False, "face_too_small")
    assert "pixels wide" in refused.message
    assert refused.frame is None
    assert len(points(refused)) == 478
    wall = preview_portrait(encode(np.full((300, 300, 3), 200, np.uint8)))
    assert (wall.code, wall.landmarks, wall.frame, wall.faces_found) == ("no_face", None, None, 0)


def test_what_cannot_be_looked_at_is_refused(face: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageUnreadableError, match="is not a picture"):
        preview_portrait(b"a letter to my aunt")
    with pytest.raises(ImageUnreadableError, match="damaged"):
        preview_portrait(encode(face)[:2_000])
    with pytest.raises(CropError, match="512 x 512 pixels"):
        preview_portrait(encode(face), crop=Crop(500, 500, 100, 100))
