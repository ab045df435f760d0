"""Backdrops: what people may write, and a person cut out without a hole or a jump."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

import streaming_model
from streaming_model.backdrop import KEEP, Backdrop, BackdropError
from streaming_model.errors import ImageUnreadableError
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer
from streaming_model.renderer.cutout import cut_out

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
MAGENTA = Backdrop.parse("#ff00ff")


@cache
def renderer() -> Renderer:
    return Renderer(make_portrait(MONA_LISA), size=SIZE)


@cache
def before(name: str) -> Renderer:
    return renderer().with_backdrop(Backdrop.parse(name))


def motion(**values: float) -> NDArray[np.float32]:
    """Names without a side set both sides."""
    result = np.zeros(MOTION_SIZE, np.float32)
    for name, value in values.items():
        for full in [name] if name in INDEX else [f"{name}Left", f"{name}Right"]:
            result[INDEX[full]] = value
    return result


MOTIONS = (
    motion(headYaw=0.2, jawOpen=0.6, eyeBlink=0.5),
    motion(headYaw=-0.25, mouthSmile=1.0, eyeBlink=1.0),
    motion(headRoll=0.15, headPitch=-0.1, jawOpen=0.3, mouthClose=0.3),
)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("green", (0, 177, 64)),
        ("#336699", (51, 102, 153)),
        (" #F0a ", (255, 0, 170)),
        ("Navy", (0, 0, 128)),
    ],
)
def test_colours_are_read_as_people_write_them(text: str, colour: tuple[int, int, int]) -> None:
    backdrop = Backdrop.parse(text)
    assert (backdrop.kind, backdrop.colour) == ("colour", colour)


@pytest.mark.parametrize("text", ["", "grün", "#12345", "rgb(1,2,3)", "#12345678", "image"])
def test_what_is_no_background_is_refused_in_one_sentence_with_the_value(text: str) -> None:
    with pytest.raises(BackdropError, match="keep, blur, green, transparent") as refusal:
        Backdrop.parse(text)
    assert f"'{text}'" in str(refusal.value)
    assert str(refusal.value).count(".") == 1


def test_a_picture_file_covers_the_square_by_its_middle(tmp_path: Path) -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = (10, 20, 200)  # BGR
    cv2.imwrite(str(tmp_path / "wide.png"), image)
    backdrop = Backdrop.read(str(tmp_path / "wide.png"))
    plate = backdrop.plate(np.zeros((256, 256, 3), np.uint8))
    assert plate is not None
    assert (plate == (200, 20, 10)).all()
    assert backdrop == Backdrop.from_image((tmp_path / "wide.png").read_bytes())
    assert backdrop != KEEP


def test_a_file_that_is_no_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("hello")
    with pytest.raises(ImageUnreadableError, match=r"notes\.png"):
        Backdrop.read(str(tmp_path / "notes.png"))
    with pytest.raises(BackdropError, match=r"missing\.png.*or a picture file"):
        Backdrop.read(str(tmp_path / "missing.png"))


@pytest.mark.model
def test_another_backdrop_leaves_the_renderer_it_came_from_alone() -> None:
    moved = MOTIONS[0]
    kept = renderer().render(moved)
    green = renderer().with_backdrop(Backdrop.parse("green")).render(moved)
    assert tuple(green[2, 2]) == (0, 177, 64)
    np.testing.assert_array_equal(renderer().render(moved), kept)
    back = before("green").with_backdrop(KEEP)
    np.testing.assert_array_equal(back.render(moved), kept)
    np.testing.assert_array_equal(back.render(motion()), renderer().render(motion()))


@pytest.mark.model
@pytest.mark.parametrize("moved", MOTIONS)
def test_the_cut_out_over_a_colour_is_the_picture_before_that_colour(
    moved: NDArray[np.float32],
) -> None:
    opaque = before("#ff00ff").render(moved).astype(float)
    cut_out = before("transparent").render(moved)
    assert cut_out.shape == (SIZE, SIZE, 4)
    share = cut_out[..., 3:] / 255
    laid = share * cut_out[..., :3] + (1 - share) * MAGENTA.colour
    assert np.abs(laid - opaque).max() <= 2


@pytest.mark.model
@pytest.mark.parametrize("moved", MOTIONS)
def test_no_backdrop_shines_through_the_face(moved: NDArray[np.float32]) -> None:
    drawn = renderer()
    head = drawn._geometry.head(moved)
    face = drawn._stage.project(head.apply(drawn._geometry.shape(moved)))
    inside = np.zeros((SIZE, SIZE), np.uint8)
    hull = cv2.convexHull(face[drawn._opacity[: len(face)] > 0.9])
    cv2.fillConvexPoly(inside, np.round(hull).astype(np.int32), 1)
    within = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
    assert (before("transparent").render(moved)[..., 3][within] == 255).all()


@pytest.mark.model
@pytest.mark.parametrize("name", ["#ff00ff", "transparent", "blur"])
def test_the_first_moving_frame_does_not_jump(name: str) -> None:
    rest = before(name).render(motion()).astype(int)
    first = before(name).render(motion(headYaw=1e-5)).astype(int)
    if name == "transparent":
        rest, first = (frame[..., :3] * frame[..., 3:] // 255 for frame in (rest, first))
    assert np.percentile(np.abs(first - rest), 99.9) <= 2
    assert np.abs(first - rest).max() <= 12


@cache
def astronaut_before_nothing() -> tuple[Renderer, NDArray[np.uint8]]:
    picture = np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    portrait = make_portrait(picture)
    plate = cv2.resize(portrait.background, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    transparent = Renderer(portrait, size=SIZE, backdrop=Backdrop.parse("transparent"))
    return transparent, np.asarray(plate, np.uint8)


@pytest.mark.model
@pytest.mark.parametrize("moved", [motion(), motion(headYaw=0.26), motion(headYaw=-0.26)])
def test_the_outline_of_a_photograph_has_no_fringe(moved: NDArray[np.float32]) -> None:
    transparent, plate = astronaut_before_nothing()
    share = old_background(transparent.render(moved), plate)
    assert abs(share) < 0.15  # 0.53 with the picture's own colours under its matte


def old_background(frame: NDArray[np.uint8], plate: NDArray[np.uint8]) -> float:
    """Returns how far the outline's colours lie from the person's towards the old background."""
    share, colour = frame[..., 3] / 255, frame[..., :3].astype(np.float64)
    solid = cv2.erode((share > 0.98).astype(np.float64), np.ones((3, 3)))[..., None]
    known = cv2.blur(solid, (15, 15))[..., None]
    person = cv2.blur(colour * solid, (15, 15)) / np.maximum(known, 1e-3)
    away = plate - person
    contrast = np.square(away).sum(axis=2)
    band = (share > 0.15) & (share < 0.9) & (known[..., 0] > 0.05) & (contrast > 60**2)
    assert band.sum() > 300
    carried = ((colour - person) * away).sum(axis=2) / np.maximum(contrast, 1)
    return float(carried[band].mean())


def test_a_cut_out_carries_nothing_of_its_old_background() -> None:
    rows, columns = np.mgrid[:256, :256]
    distance = np.hypot(rows - 140, columns - 128) + 6 * np.sin(
        np.arctan2(rows - 140, columns - 128) * 9
    )
    share = np.clip((90 - distance) / 14, 0, 1)[..., None]
    person, sky = np.array([60, 35, 20]), np.array([230, 240, 250])
    picture = np.round(share * person + (1 - share) * sky).astype(np.uint8)
    matte = np.round(255 * share[..., 0]).astype(np.uint8)
    cut = cut_out(picture, matte).astype(float)
    on_black = cut[..., 3:] / 255 * cut[..., :3]
    naive = share * picture
    band = (matte > 0) & (matte < 255)
    bright = (on_black - person).max(axis=2)  # brighter than the person ever is: a fringe
    assert (naive - person).max() > 20
    assert bright[band].max() < 4
    assert np.abs(cut[..., :3] - picture)[matte == 255].max() == 0


def test_a_coloured_wall_does_not_shine_into_the_outline() -> None:
    rows, columns = np.mgrid[:256, :256]
    inside = 90 - np.hypot(rows - 140, columns - 128)
    share = np.clip(inside, 0, 1)[..., None]
    hair, skin, wall = np.array([150, 150, 150]), np.array([210, 150, 120]), np.array([40, 90, 250])
    person = np.where(rows[..., None] < 140, hair, skin)
    shining = 0.4 * np.clip(1 - inside / 3, 0, 1)[..., None]  # three pixels into the person
    picture = share * (person + shining * (wall - person)) + (1 - share) * wall
    matte = np.round(255 * share[..., 0]).astype(np.uint8)
    cut = cut_out(np.round(picture).astype(np.uint8), matte)[..., :3].astype(float)
    bluish = cut[..., 2] - cut[..., :2].mean(axis=2)
    rim = (inside > 1) & (inside < 3)
    assert (picture[..., 2] - picture[..., :2].mean(axis=2))[rim & (rows < 140)].max() > 30
    assert bluish[rim].max() < 8
    deep = inside > 12
    assert np.abs(cut - picture)[deep].max() <= 1


def test_a_cut_out_has_no_specks_and_no_half_transparent_body() -> None:
    picture = np.full((256, 256, 3), 128, np.uint8)
    matte = np.zeros((256, 256), np.uint8)
    matte[100:, 60:200] = 255
    matte[150:170, 100:150] = 210  # unsure inside the person
    matte[40:42, 40:42] = 120  # a speck far away
    solid = cut_out(picture, matte)[..., 3]
    assert (solid[104:, 64:196] == 255).all()
    assert not solid[:90].any()


def test_the_head_turns_alike_before_any_backdrop() -> None:
    green = Renderer(make_portrait(MONA_LISA), size=SIZE, backdrop=Backdrop.parse("green"))
    gains = [each._geometry.response.gains for each in (green, renderer())]
    assert gains[0] == gains[1]
