"""The renderer: rest is the picture, the background is still, and the face obeys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.renderer import Renderer, RendererError
from streaming_model.renderer.layers import continue_beyond, layers
from streaming_model.renderer.surface import rotation_matrix
from streaming_model.rig import load_rig
from streaming_model.rig.unfold import facing

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
pytestmark = pytest.mark.model


@cache
def portrait() -> Portrait:
    return make_portrait(MONA_LISA)


@cache
def renderer() -> Renderer:
    return Renderer(portrait(), size=SIZE)


def motion(**values: float) -> NDArray[np.float32]:
    """Names without a side set both sides."""
    result = np.zeros(MOTION_SIZE, np.float32)
    for name, value in values.items():
        for full in [name] if name in INDEX else [f"{name}Left", f"{name}Right"]:
            result[INDEX[full]] = value
    return result


def lip_gap(moved: NDArray[np.float32]) -> float:
    """Largest distance between facing lip points, in centimetres."""
    geometry = renderer()._geometry
    points = geometry.shape(moved)
    below, _ = geometry.mouth.facing(points)
    return float((points[geometry.mouth.upper, 1] - below[:, 1]).max())


def lid_gap(moved: NDArray[np.float32]) -> float:
    """Largest height of the openings between the lids, in pixels."""
    heights = [eye.edges(moved)[2:4] for eye in renderer()._eyes]
    return float(max((upper - lower).max() for upper, lower in heights))


def test_zero_motion_gives_back_the_picture() -> None:
    side = len(portrait().picture)
    native = Renderer(portrait(), size=side)
    np.testing.assert_array_equal(native.render(motion()), portrait().picture)


def test_tiny_motion_hardly_changes_the_picture() -> None:
    rest = renderer().render(motion()).astype(float)
    moved = renderer().render(motion(headYaw=1e-5)).astype(float)
    error = np.mean((rest - moved) ** 2)
    assert 10 * np.log10(255**2 / max(error, 1e-9)) > 40


def test_the_first_moving_frame_does_not_jump() -> None:
    rest = renderer().render(motion()).astype(int)
    first = renderer().render(motion(headYaw=1e-5)).astype(int)
    assert np.percentile(np.abs(first - rest), 99.9) <= 2
    assert np.abs(first - rest).max() <= 12


def test_layers_blend_back_to_any_picture() -> None:
    generator = np.random.default_rng(0)
    picture, plate = generator.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    matte = generator.choice(np.array([0, 3, 90, 200, 255], np.uint8), (64, 64))
    foreground, background = layers(picture, plate, matte)
    share = foreground[..., 3:] / 255
    blend = share * foreground[..., :3] + (1 - share) * background
    assert np.abs(blend - picture).max() < 3


def test_layers_keep_the_persons_colours_where_the_plate_is_wrong() -> None:
    columns = np.mgrid[:128, :128][1]
    ground = np.where(columns % 16 < 8, 60, 200)[..., None] * np.ones(3)  # a striped wall
    share = np.clip((70 - columns) / 24, 0, 1)[..., None]  # brown hair that thins out
    picture = np.round(share * (110, 70, 40) + (1 - share) * ground).astype(np.uint8)
    plate = np.where(columns[..., None] < 90, 130, ground).astype(np.uint8)  # without its stripes
    matte = np.round(255 * share[..., 0]).astype(np.uint8)
    foreground, background = layers(picture, plate, matte)
    blend = foreground[..., 3:] / 255 * foreground[..., :3]
    blend += (1 - foreground[..., 3:] / 255) * background
    assert np.abs(blend - picture).max() < 3
    thin = (foreground[..., 3] > 40) & (foreground[..., 3] < 220)
    hues = foreground[thin, 0].astype(int) - foreground[thin, 2]
    assert np.percentile(hues, 5) > 0  # brown on the whole, never the wall's rest
    beside = (columns > 80) & (columns < 90)
    assert np.abs(background[beside].astype(float) - ground[beside]).mean() < 20


def test_layers_leave_the_picture_alone_where_the_plate_shows_it() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    foreground, background = layers(picture, picture, np.zeros((32, 32), np.uint8))
    assert not foreground[..., 3].any()
    np.testing.assert_array_equal(background, picture)


def test_an_outline_that_leaves_at_a_side_goes_on_straight() -> None:
    rows, columns = np.mgrid[:200, :200]
    foreground = np.zeros((200, 200, 4), np.uint8)
    foreground[..., 3] = np.where(rows > columns - 80, 255, 0)  # falls by one row a column
    wider = continue_beyond(foreground, 24)[24:-24, ..., 3]
    assert (wider[:115, 224:] == 0).all()  # no mirror image comes in
    assert wider[125, 224] == 255
    assert wider[135, 247] == 0
    assert wider[150, 247] == 255


def test_background_is_still_to_the_bit() -> None:
    clear = renderer()._stage.foreground[..., 3]
    border = renderer()._stage.border
    person = clear[border : border + SIZE, border : border + SIZE] > 0
    frames = [
        renderer().render(moved)
        for moved in (
            motion(jawOpen=0.7, eyeBlink=1.0),
            motion(headYaw=0.2, mouthSmile=1.0),
            motion(headRoll=-0.2, headPitch=0.15),
        )
    ]
    far = ~np.asarray(_dilate(person, SIZE // 6))
    assert far.sum() > 100
    for frame in frames:
        np.testing.assert_array_equal(frame[far], renderer()._stage.picture[far])


def _dilate(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


@pytest.mark.parametrize(
    "pose",
    [
        {"headYaw": 0.26},
        {"headYaw": -0.26},
        {"headPitch": 0.17},
        {"headPitch": -0.17},
        {"headRoll": 0.21},
        {"headY": -2.0},
        {"headY": 2.0},
        {"headZ": 4.0},
    ],
)
def test_no_hole_opens_under_head_motion(pose: dict[str, float]) -> None:
    frame = renderer().render(motion(**pose))
    plate = renderer()._stage.background
    black = (frame.max(axis=2) == 0) & (plate.max(axis=2) > 8)
    assert black.mean() < 0.002
    border = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
    rest = renderer()._stage.picture
    rest_border = np.concatenate([rest[0], rest[-1], rest[:, 0], rest[:, -1]])
    assert np.percentile(border.max(axis=1), 5) >= np.percentile(rest_border.max(axis=1), 5) - 6


def test_jaw_opens_and_closes_the_lips_monotonically() -> None:
    gaps = [lip_gap(motion(jawOpen=value)) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert gaps[0] < 0.02
    assert all(after > before + 0.1 for before, after in pairwise(gaps))


def test_mouth_close_cancels_the_opening_of_the_jaw() -> None:
    assert lip_gap(motion(jawOpen=0.6, mouthClose=0.6)) < 0.06 * lip_gap(motion(jawOpen=0.6))


def test_lips_that_mean_to_meet_do_so_in_rounded_mouths_too() -> None:
    rounded = {"mouthFunnel": 0.15, "mouthPucker": 0.3, "mouthLowerDown": 0.05}
    assert lip_gap(motion(jawOpen=0.08, **rounded)) > 0.3
    assert lip_gap(motion(jawOpen=0.08, mouthClose=0.08, **rounded)) < 0.03


def test_open_mouth_shows_its_inside_and_closed_lips_show_none() -> None:
    rest = renderer().render(motion()).astype(int)
    closed = renderer().render(motion(jawOpen=0.3, mouthClose=0.3)).astype(int)
    opened = renderer().render(motion(jawOpen=0.6)).astype(int)
    pair = renderer()._geometry.mouth
    upper = renderer()._stage.project(renderer()._geometry.rest)[pair.upper]
    x, y = np.round(upper[len(upper) // 2]).astype(int)
    below = slice(y + 3, y + 8), slice(x - 3, x + 4)
    assert np.abs(opened[below] - rest[below]).mean() > 25
    assert np.abs(closed[below] - rest[below]).mean() < 25


def test_lips_never_pass_through_each_other() -> None:
    geometry = renderer()._geometry
    rng = np.random.default_rng(3)
    for _ in range(20):
        moved = (rng.random(MOTION_SIZE) * (rng.random(MOTION_SIZE) < 0.3)).astype(np.float32)
        moved[52:] = 0
        points = geometry.shape(moved)
        below, _ = geometry.mouth.facing(points)
        assert (points[geometry.mouth.upper, 1] - below[:, 1]).min() > -0.02


def test_an_open_smile_closes_to_speak_and_returns_smoothly() -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's astronaut")
    smiling = Renderer(make_portrait(data.astronaut()), size=SIZE)._geometry

    def gaps(moved: NDArray[np.float32]) -> NDArray[np.float32]:
        points = smiling.shape(moved)
        return np.asarray(points[smiling.mouth.upper, 1] - smiling.mouth.facing(points)[0][:, 1])

    def width(moved: NDArray[np.float32]) -> float:
        return float(np.ptp(smiling.shape(moved)[smiling.mouth.upper, 0]))

    closed = motion(jawOpen=0.1, mouthClose=0.1, mouthPress=0.25, mouthRollLower=0.15)
    assert gaps(motion()).max() > 0.5  # centimetres: the picture shows teeth
    assert gaps(closed).max() < 0.03
    assert width(closed) < 0.9 * width(motion())
    path = [gaps(share * closed).max() for share in np.linspace(0, 0.5, 41)]
    assert max(abs(after - before) for before, after in pairwise(path)) < 0.3 * path[0]


def test_lips_that_are_told_to_close_touch_however_they_are_rounded() -> None:
    rounded = motion(
        jawOpen=0.08, mouthClose=0.06, mouthPress=0.12, mouthFunnel=0.18, mouthPucker=0.27
    )
    rounded += motion(mouthRollLower=0.1, mouthRollUpper=0.08)
    assert lip_gap(rounded) < 0.01
    assert lip_gap(motion(mouthFunnel=0.6)) > 0.2  # and open where they are not


@pytest.mark.parametrize("density", [0.1, 0.3, 1.0])
def test_skin_does_not_fold_whatever_comes_together(density: float) -> None:
    rig, geometry = load_rig(), renderer()._geometry
    near = sum(np.abs(each.spread).sum(axis=1) for each in (rig.mouth, rig.left_eye, rig.right_eye))
    shown = renderer()._opacity[: len(geometry.rest)] > 0.5
    inside = shown & (rig.edge_distance > 2) & (np.asarray(near) < 0.25)  # not lips, lids and chin
    skin = inside[rig.triangles].all(axis=1) & (facing(geometry.rest, rig.triangles) > 0.2)
    assert skin.sum() > 500
    rng = np.random.default_rng(7)
    turned = []
    for _ in range(40):
        moved = (rng.random(MOTION_SIZE) * (rng.random(MOTION_SIZE) < density)).astype(np.float32)
        moved[52:] = 0
        turned.append((facing(geometry.shape(moved), rig.triangles)[skin] <= 0).sum())
    assert np.mean(turned) < 1.5
    assert np.mean(np.array(turned) == 0) > 0.4


def test_blink_closes_the_eyes() -> None:
    gaps = [lid_gap(motion(eyeBlink=value)) for value in (0.0, 0.5, 1.0)]
    assert gaps[1] < 0.7 * gaps[0]
    assert gaps[2] < 0.05 * gaps[0]


def test_gaze_moves_the_iris_and_nothing_far_away() -> None:
    rest = renderer().render(motion(headYaw=1e-6)).astype(int)
    looked = renderer().render(motion(eyeLookOutLeft=1.0, eyeLookInRight=1.0)).astype(int)
    change = np.abs(looked - rest).max(axis=2) > 12
    rows = np.nonzero(change)[0]
    eyes = renderer()._stage.landmarks[[33, 133, 263, 362]]
    width = np.ptp(eyes[:, 0])
    assert len(rows) > 20
    near = np.abs(rows - eyes[:, 1].mean()) < 0.5 * width
    assert near.mean() > 0.95


def test_positive_yaw_turns_the_face_to_the_pictures_right() -> None:
    geometry = renderer()._geometry
    nose = geometry.rest[[int(geometry.rest[:, 2].argmax())]]
    moved = geometry.head(motion(headYaw=0.2)).apply(nose)
    assert moved[0, 0] > nose[0, 0]
    assert geometry.head(motion(headPitch=0.2)).apply(nose)[0, 1] < nose[0, 1]


def test_rotation_is_the_product_named_in_the_motion_space() -> None:
    for angles in ((0.1, 0, 0), (0, 0.2, 0), (0, 0, 0.3)):
        turn = rotation_matrix(*angles)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    both = rotation_matrix(0.1, 0.2, 0.3)
    parts = rotation_matrix(0, 0.2, 0) @ rotation_matrix(0.1, 0, 0) @ rotation_matrix(0, 0, 0.3)
    np.testing.assert_allclose(both, parts, atol=1e-6)


def test_any_finite_motion_gives_a_frame() -> None:
    rng = np.random.default_rng(11)
    for index in range(60):
        moved = rng.random(MOTION_SIZE) * (rng.random(MOTION_SIZE) < rng.choice([0.03, 0.3, 1.0]))
        moved[:52] *= (-0.3, 1.0, 3.0)[index % 3]  # also what no tracker should send
        moved[52:] = rng.normal(0, 0.3, 6) * (1, 1, 1, 10, 10, 10)
        frame = renderer().render(moved.astype(np.float32))
        assert frame.shape == (SIZE, SIZE, 3)
        assert frame.dtype == np.uint8


def test_absurd_numbers_are_cut_to_what_can_be_drawn() -> None:
    signs = np.sign(np.random.default_rng(2).normal(size=MOTION_SIZE))
    for most in (1e4, 1e20, 3e38):
        absurd = (most * signs).astype(np.float32)
        np.testing.assert_array_equal(
            renderer().render(absurd), renderer().render((100 * signs).astype(np.float32))
        )


def test_same_motion_gives_the_same_frame_in_any_thread() -> None:
    rng = np.random.default_rng(5)
    moves = [(rng.random(MOTION_SIZE) * 0.2).astype(np.float32) for _ in range(6)]
    alone = [renderer().render(moved) for moved in moves]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(renderer().render, moves * 3))
    for index, frame in enumerate(together):
        np.testing.assert_array_equal(frame, alone[index % len(moves)])


@pytest.mark.parametrize("size", [255, 1025, 0])
def test_sizes_out_of_range_are_refused_by_name(size: int) -> None:
    with pytest.raises(RendererError, match=str(size)):
        Renderer(portrait(), size=size)


def test_motion_that_is_not_58_finite_numbers_is_refused() -> None:
    with pytest.raises(RendererError, match="58"):
        renderer().render(np.zeros(52, np.float32))
    with pytest.raises(RendererError, match="finite"):
        renderer().render(np.full(MOTION_SIZE, np.nan, np.float32))
