"""The mouth's inside: it hides what is behind it, keeps the picture's teeth and its medium."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer
from streaming_model.renderer.medium import filter_taps, sharpness
from streaming_model.renderer.mouth_places import part_lips
from streaming_model.renderer.palette import LUMA, read_palette
from streaming_model.renderer.raster_mouth import cover_between, draw_solid, reduce_and_blur
from streaming_model.renderer.stage import set_stage

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
MAGENTA = np.array([255, 0, 255], np.uint8)

Floats = NDArray[np.float32]


@cache
def closed_mouth() -> Renderer:
    return Renderer(make_portrait(MONA_LISA), size=SIZE)


@pytest.fixture(scope="module")
def smile(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """A photograph that smiles with its teeth, drawn larger: its face is small."""
    astronaut = pytest.importorskip("skimage.data", reason="needs scikit-image").astronaut
    path = tmp_path_factory.mktemp("portraits") / "astronaut.png"
    cv2.imwrite(str(path), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    return Renderer(make_portrait(path), size=2 * SIZE)


def motion(**values: float) -> Floats:
    """Names without a side set both sides."""
    result = np.zeros(MOTION_SIZE, np.float32)
    for name, value in values.items():
        for full in [name] if name in INDEX else [f"{name}Left", f"{name}Right"]:
            result[INDEX[full]] = value
    return result


def lips(renderer: Renderer, moved: Floats) -> tuple[Floats, Floats]:
    """Returns the pixels of both lips' edges, left to right."""
    geometry, stage = renderer._geometry, renderer._stage
    face = geometry.head(moved).apply(geometry.shape(moved))
    return stage.project(face[geometry.mouth.upper]), stage.project(face[geometry.mouth.lower])


def opening(renderer: Renderer, moved: Floats) -> Floats:
    """Returns how far each pixel of the frame lies between the lips."""
    cover = np.zeros((renderer.size, renderer.size), np.float32)
    rows = np.zeros((2, renderer.size), np.float32)
    cover_between(cover, rows, *lips(renderer, moved), 0, 0)
    return cover


def over_magenta(renderer: Renderer, moved: Floats) -> NDArray[np.uint8]:
    """Draws the mouth alone over a magenta frame."""
    frame = np.empty((renderer.size, renderer.size, 3), np.uint8)
    frame[:] = MAGENTA
    head, acting = renderer._geometry.head(moved), renderer._geometry.effective(moved)
    face = head.apply(renderer._geometry.shape(moved, acting))
    renderer._mouth.draw(frame, face, moved, acting, head)
    return frame


def magenta_share(frame: NDArray[np.uint8]) -> Floats:
    """Returns how much of each pixel is the magenta behind it: nothing drawn is that green-less."""
    colours = frame.astype(np.float32)
    return np.asarray((np.minimum(colours[..., 0], colours[..., 2]) - colours[..., 1]) / 255)


@pytest.mark.model
@pytest.mark.parametrize(
    "pose",
    [
        {"jawOpen": 0.5},
        {"jawOpen": 1.0},
        {"jawOpen": 0.5, "headYaw": 0.26},
        {"jawOpen": 0.5, "headYaw": -0.26},
        {"jawOpen": 0.5, "headPitch": -0.17},
        {"jawOpen": 0.6, "headRoll": 0.2},
        {"jawOpen": 0.3, "mouthFunnel": 0.8},
        {"jawOpen": 0.4, "tongueOut": 1.0},
    ],
)
def test_nothing_behind_the_head_is_seen_through_the_mouth(pose: dict[str, float]) -> None:
    moved = motion(**pose)
    inside = cv2.erode(opening(closed_mouth(), moved), np.ones((5, 5), np.uint8)) > 0.99
    assert inside.sum() > 20
    assert magenta_share(over_magenta(closed_mouth(), moved))[inside].max() < 0.2


@pytest.mark.model
@pytest.mark.parametrize(
    "pose",
    [
        {"mouthPress": 0.6, "mouthRollLower": 0.4, "mouthRollUpper": 0.4},
        {"jawOpen": 0.3, "mouthClose": 0.3},
        {"jawOpen": 0.1, "mouthClose": 0.15, "mouthPress": 0.3},
    ],
)
def test_a_closed_mouth_shows_no_tooth(smile: Renderer, pose: dict[str, float]) -> None:
    moved = motion(**pose)
    for renderer in (closed_mouth(), smile):
        frame = renderer.render(moved).astype(np.float32)
        upper, lower = lips(renderer, moved)
        middle = slice(len(upper) // 4, 3 * len(upper) // 4)
        facing = np.interp(upper[middle, 0], lower[:, 0], lower[:, 1])
        x = np.round(upper[middle, 0]).astype(int)
        y = np.round((upper[middle, 1] + facing) / 2).astype(int)
        between = frame[y, x] @ LUMA
        palette = renderer._mouth.palette
        assert between.max() < 0.9 * float(palette.skin @ LUMA)
        assert np.median(between) < 0.75 * float(palette.skin @ LUMA)


@pytest.mark.model
def test_barely_parted_lips_show_a_dark_line_and_wide_ones_teeth() -> None:
    renderer = closed_mouth()
    lip = float(renderer._mouth.palette.lip @ LUMA)

    def brightest(moved: Floats) -> float:
        cover = opening(renderer, moved)
        return float((renderer.render(moved) @ LUMA)[cover > 0.9].max(initial=0.0))

    assert brightest(motion(jawOpen=0.08)) < 0.75 * lip
    assert brightest(motion(jawOpen=0.12, mouthFunnel=0.8, mouthPucker=0.5)) < 0.8 * lip
    assert brightest(motion(jawOpen=0.3, mouthUpperUp=0.5)) > 1.1 * lip


@pytest.mark.model
def test_an_upper_lip_that_hangs_in_a_smile_arches_over_an_open_mouth() -> None:
    def hang(moved: Floats) -> float:
        """Returns how far the upper lip's middle is below the corners, as a share of them apart."""
        edge, _ = lips(closed_mouth(), moved)
        left, right = edge[0], edge[-1]
        along = (edge - left) @ (right - left) / ((right - left) @ (right - left))
        middle = np.array([np.interp(0.5, along, edge[:, axis]) for axis in range(2)])
        return float(middle[1] - (left + right)[1] / 2) / float(np.linalg.norm(right - left))

    assert hang(motion()) > 0.04
    assert hang(motion(jawOpen=0.3, mouthClose=0.3)) > 0.03, "closed again it smiles"
    assert hang(motion(jawOpen=0.5)) < -0.1
    assert hang(motion(jawOpen=0.5, mouthSmile=0.7)) > hang(motion(jawOpen=0.5)) + 0.1


@pytest.mark.model
def test_a_smile_keeps_its_teeth_while_it_speaks(smile: Renderer) -> None:
    rest = smile._stage.picture.astype(np.float32)
    own = smile._mouth._own
    assert own is not None
    assert own.upper is not None
    x, y = np.round(own.upper.edge).astype(int)
    patch = slice(y - 5, y - 1), slice(x - 8, x + 8)
    moved = smile.render(motion(jawOpen=0.12)).astype(np.float32)
    assert np.abs(moved[patch] - rest[patch]).mean() < 14
    inside = moved[opening(smile, motion(jawOpen=0.12)) > 0.5]
    assert (inside[:, 2] - inside[:, 0]).max() < 20  # teeth are not blue
    below = slice(y + 2, y + 5), slice(x - 4, x + 4)
    assert (moved[below] @ LUMA).mean() < 0.75 * (rest[patch] @ LUMA).mean()


@pytest.mark.model
def test_a_smile_does_not_jump_when_it_starts_to_move(smile: Renderer) -> None:
    rest = smile.render(motion()).astype(int)
    first = smile.render(motion(jawOpen=1e-3)).astype(int)
    inside = opening(smile, motion()) > 0.02
    change = np.abs(first - rest)[inside]
    assert change.mean() < 3
    assert np.percentile(change, 99) < 25


@pytest.mark.model
def test_the_tongue_comes_out_over_the_lower_lip() -> None:
    renderer = closed_mouth()
    tongue = renderer._mouth.palette.tongue
    for out, jaw in ((0.6, 0.4), (1.0, 0.3), (1.0, 0.6)):
        moved = motion(jawOpen=jaw, tongueOut=out)
        _, lower = lips(renderer, moved)
        x, y = np.round(lower[len(lower) // 2]).astype(int)
        seen = renderer.render(moved)[y + 2 : y + 5, x - 2 : x + 3].reshape(-1, 3).mean(axis=0)
        lip = renderer.render(motion(jawOpen=jaw))[y + 2 : y + 5, x - 2 : x + 3]
        likeness = float(np.abs(seen / seen.sum() - tongue / tongue.sum()).max())
        assert likeness < 0.08
        assert np.abs(seen - lip.reshape(-1, 3).mean(axis=0)).max() > 12
    assert magenta_share(over_magenta(renderer, motion(tongueOut=0.0))).min() > 0.9


@pytest.mark.model
@pytest.mark.parametrize("out", [0.05, 0.2])
def test_a_tongue_between_the_teeth_stays_behind_the_lip(out: float) -> None:
    """As in "th": the lower lip and what is below it do not change."""
    renderer = closed_mouth()
    spoken = {"jawOpen": 0.13, "mouthLowerDown": 0.17, "mouthUpperUp": 0.07}
    with_tongue = renderer.render(motion(**spoken, tongueOut=out)).astype(int)
    without = renderer.render(motion(**spoken)).astype(int)
    inside = cv2.dilate(opening(renderer, motion(**spoken)), np.ones((3, 3), np.uint8)) > 0
    assert np.abs(with_tongue - without)[~inside].max() <= 12
    if out > 0.1:
        assert np.abs(with_tongue - without)[inside].max() > 12


@pytest.mark.model
def test_a_tongue_behind_lips_that_press_together_is_drawn_too() -> None:
    pressed = motion(jawOpen=0.736, mouthClose=0.998, mouthPucker=0.519, mouthLeft=0.845)
    pressed += motion(mouthFrownLeft=0.167, mouthDimpleLeft=0.576, mouthDimpleRight=0.315)
    for out in np.linspace(0.05, 1, 8):
        frame = closed_mouth().render(pressed + motion(tongueOut=float(out)))
        assert frame.shape == (SIZE, SIZE, 3)


def test_the_sharpness_of_a_picture_is_measured() -> None:
    portrait = make_portrait(MONA_LISA)
    stage = set_stage(portrait, SIZE)
    before = sharpness(stage)
    for blur in (1.5, 2.5):
        object.__setattr__(stage, "picture", cv2.GaussianBlur(stage.picture, (0, 0), blur))
        assert sharpness(stage) > max(before + 0.3, 0.75 * blur)


@pytest.mark.model
def test_the_mouth_takes_the_tints_of_a_toned_picture() -> None:
    portrait = make_portrait(MONA_LISA)
    grey = (portrait.picture @ LUMA)[..., None] / 255
    toned = np.asarray(255 * grey ** np.array([0.95, 1.15, 1.45]), np.uint8)
    palette = read_palette(toned, portrait.landmarks)
    assert palette.colourfulness < 0.15
    for colour in (palette.tooth, palette.gum, palette.tongue, palette.cavity):
        level = float(colour @ LUMA)
        nearest = np.abs(toned.reshape(-1, 3) @ LUMA - level).argmin()
        assert np.abs(colour - toned.reshape(-1, 3)[nearest]).max() < 16
    assert read_palette(portrait.picture, portrait.landmarks).colourfulness > 0.8


@pytest.mark.model
def test_a_drawing_of_flat_areas_is_told_from_a_painting() -> None:
    portrait = make_portrait(MONA_LISA)
    assert read_palette(portrait.picture, portrait.landmarks).flatness < 0.1
    flat = np.asarray(cv2.medianBlur(portrait.picture, 21) // 64 * 64 + 32, np.uint8)
    assert read_palette(flat, portrait.landmarks).flatness > 0.9


def test_neighbouring_triangles_leave_no_crack_and_the_nearer_one_wins() -> None:
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.linspace(-3, 43, 9), np.linspace(-3, 33, 8)), -1)
    grid[1:-1, 1:-1] += rng.uniform(-2, 2, grid[1:-1, 1:-1].shape)
    points = np.concatenate([grid.reshape(-1, 2), np.zeros((72, 1))], axis=1)
    index = np.arange(72).reshape(8, 9)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
    )
    far = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
    nearer = np.array([[5, 5, 1], [5, 20, 1], [20, 5, 1]], np.float32)
    points = np.concatenate([points, nearer]).astype(np.float32)
    colours = np.full((len(points), 3), 100, np.float32)
    colours[-3:] = 200
    triangles = np.concatenate([[[72, 73, 74]], far]).astype(np.int32)
    image, depth = np.empty((40, 30, 3), np.float32), np.empty((40, 30), np.float32)
    limits = np.stack([np.zeros(40), np.full(40, 29)]).astype(np.int32)
    draw_solid(image, depth, points, colours, triangles, np.zeros(3, np.float32), limits)
    assert image.min() == 100
    assert image[8, 8, 0] == 200
    assert image[25, 25, 0] == 100


def test_the_cover_of_an_opening_has_its_area() -> None:
    upper = np.array([[2.2, 8.0], [10.0, 4.3], [18.7, 8.0]], np.float32)
    lower = np.array([[2.2, 8.0], [9.0, 13.4], [18.7, 8.0]], np.float32)
    cover, rows = np.empty((20, 24), np.float32), np.empty((2, 24), np.float32)
    cover_between(cover, rows, upper, lower, 0, 0)
    area = abs(cv2.contourArea(np.concatenate([upper, lower[1:-1][::-1]])))
    assert cover.sum() == pytest.approx(area, rel=0.02)
    assert cover.max() <= 1.0001
    cover_between(cover, rows, lower, upper, 0, 0)  # pressed past each other
    assert cover.max() == 0


def test_lips_that_nearly_touch_meet_and_others_part_by_less() -> None:
    def parted(gap: float) -> float:
        upper = np.array([[0, 10], [5, 10], [10, 10]], np.float32)
        lower = np.array([[0, 10], [5, 10 + gap], [10, 10]], np.float32)
        steps = np.arange(3, dtype=np.float32)
        part_lips(upper, lower, steps, steps, 2.0)
        return float(lower[1, 1] - upper[1, 1])

    assert parted(1.5) == pytest.approx(0)
    assert parted(6.0) == pytest.approx(4)


def test_reducing_and_blurring_keeps_an_even_colour_and_spreads_a_point() -> None:
    taps = filter_taps(1.0)
    out = np.empty((9, 11, 3), np.float32)
    reduce_and_blur(out, np.full((22, 18, 3), 50, np.float32), taps)
    np.testing.assert_allclose(out, 50, rtol=1e-5)
    point = np.zeros((22, 18, 3), np.float32)
    point[10:12, 8:10] = 1  # pixel (5, 4)
    reduce_and_blur(out, point, taps)
    assert out[..., 0].argmax() == 4 * 11 + 5
    assert out[..., 0].sum() == pytest.approx(1, rel=1e-4)
    assert out[4, 4, 0] == pytest.approx(out[3, 5, 0])
