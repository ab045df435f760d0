"""The bench for looks: its arithmetic, its probes on pictures with known faults, its pages."""

from __future__ import annotations

import math
import re
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.renderer import (
    closed_lips,
    commands,
    edges,
    folds,
    measuring,
    speech,
    speed,
    tables,
)
from benchmarks.renderer.cartoon import draw_cartoon
from benchmarks.renderer.environment import VARIABLE, is_ready, ruler_python
from benchmarks.renderer.gallery import Page, gallery
from benchmarks.renderer.limits import LIMITS
from benchmarks.renderer.measures import blink, pose
from benchmarks.renderer.measuring import Face, Ruler, RulerError, explain
from benchmarks.renderer.plots import plot
from benchmarks.renderer.responses import RESPONSES
from benchmarks.renderer.sheets import Strip, square, tiled
from benchmarks.renderer.subject import (
    Curve,
    Subject,
    correlation,
    landmark_motion,
    psnr,
    series,
    sized,
    turn,
    worst,
)
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.motion_space import ARKIT_NAMES, INDEX
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.portrait.observation import observe_face
from streaming_model.renderer import Renderer
from training.phones import PHONE_INDEX

SIZE = 256


@cache
def portrait() -> Portrait:
    return make_portrait(BUILTIN_PORTRAIT)


def face(**sizes: float) -> Face:
    return Face({}, np.eye(3), np.zeros((478, 3)), sizes, None)


def test_a_name_without_a_side_sets_both_sides_and_angles_are_degrees() -> None:
    moved = commands.motion(mouthSmile=0.4, jawOpen=0.2, headYaw=15, headX=1.5)
    assert moved[INDEX["mouthSmileLeft"]] == moved[INDEX["mouthSmileRight"]] == np.float32(0.4)
    assert moved[INDEX["headYaw"]] == pytest.approx(math.radians(15))
    assert moved[INDEX["headX"]] == 1.5
    assert np.count_nonzero(moved) == 5


def test_a_sweep_goes_up_and_comes_back() -> None:
    values = commands.there_and_back(2.0, steps=5)
    np.testing.assert_allclose(values, [0, 1, 2, 1, 0])


def test_every_coefficient_is_swept_somewhere() -> None:
    own = {full for name in (*commands.SWEPT, "eyeBlink") for full in commands.channels(name)}
    assert own | set(commands.other_coefficients()) == set(ARKIT_NAMES)
    assert not own & set(commands.other_coefficients())
    assert set(ARKIT_NAMES) <= set(commands.extremes())


def test_correlation_is_pearsons_and_a_missing_face_is_not_hidden() -> None:
    command = np.array([0.0, 0.5, 1.0, 0.5])
    assert correlation(command, 3 * command + 1) == pytest.approx(1)
    assert correlation(command, -command) == pytest.approx(-1)
    assert correlation(command, np.full(4, 0.7)) == 0
    lost = series([face(eyeLeft=0.3), None], sized("eyeLeft"))
    assert lost[0] == 0.3
    assert math.isnan(lost[1])
    assert math.isnan(correlation(np.array([0.0, 1.0]), lost))
    assert math.isnan(worst(lost))


def test_a_turn_is_measured_in_the_camera_whatever_the_pose_before() -> None:
    def rotation(yaw: float, pitch: float) -> NDArray[np.float64]:
        c, s, d, t = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
        about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        return np.asarray(about_y @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]]))

    before = Face({}, rotation(0.5, 0.2), np.zeros((478, 3)), {}, None)
    after = Face({}, rotation(0.2, 0) @ before.rotation, np.zeros((478, 3)), {}, None)
    np.testing.assert_allclose(turn(before, after), [0, math.degrees(0.2), 0], atol=1e-9)


def test_landmarks_move_in_percent_of_the_faces_height() -> None:
    before, after = face(face_height=200.0), face(face_height=200.0)
    after.landmarks[7] = (3, 4, 100)  # depth does not count
    assert landmark_motion(before, after) == pytest.approx(2.5)


def test_a_response_counts_against_the_bridge_of_the_nose() -> None:
    before, after = face(face_height=200.0), face(face_height=200.0)
    after.landmarks[:, 0] = 10  # the whole head moves to the right
    assert RESPONSES["mouthLeft"](before, after) == 0
    after.landmarks[[0, 17], 0] += 4
    assert RESPONSES["mouthLeft"](before, after) == pytest.approx(2)
    assert RESPONSES["mouthRight"](before, after) == pytest.approx(-2)
    after.landmarks[473, 0] += 2  # the subject's left iris, away from the nose
    assert RESPONSES["eyeLookOutLeft"](before, after) == pytest.approx(1)
    assert RESPONSES["eyeLookOutRight"](before, after) == 0


def test_a_ruler_that_is_named_but_missing_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "mine").touch()
    with pytest.raises(RuntimeError, match="no Python environment"):
        ruler_python()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_ruler_that_stops_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "ruler.py"
    script.write_text("import sys; print('null', flush=True); sys.exit('the file is damaged')")
    monkeypatch.setattr(measuring, "RULER", script)
    monkeypatch.setenv(VARIABLE, sys.prefix)
    with Ruler() as ruler, pytest.raises(RulerError, match="stopped: the file is damaged"):
        for _ in range(2):
            ruler.measure(np.zeros((512, 512, 3), np.uint8))


def test_psnr_of_one_level_is_48_decibels() -> None:
    picture = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(picture, picture) == 99
    assert psnr(picture + np.uint8(1), picture) == pytest.approx(48.13, abs=0.01)


def test_held_frames_lie_inside_the_closures() -> None:
    phones = np.array([PHONE_INDEX[name] for name in ("AA", "P", "AA")])
    bounds = np.array([0, 6400, 8960, 12800])  # P sounds in frames 10 to 13
    held = speech.held_frames(phones, bounds, 20)
    assert list(np.flatnonzero(held)) == [11, 12]


def test_limits_name_figures_once_and_judge_the_worst_of_them() -> None:
    names = [name for limit in LIMITS for name in limit.figures]
    assert len(names) == len(set(names))
    opening = next(limit for limit in LIMITS if limit.title == "blink opening")
    figures = {"blink opening Left": 0.2, "blink opening Right": 0.4}
    assert opening.worst(figures) == 0.4
    assert not opening.is_kept(0.4)
    assert opening.is_kept(0.3)
    assert opening.worst({}) is None
    assert not opening.is_kept(opening.worst({**figures, "blink opening Left": math.nan}) or 0)
    jaw = next(limit for limit in LIMITS if limit.title == "jawOpen r")
    assert jaw.is_kept(0.95)
    assert not jaw.is_kept(0.9499)


def test_the_table_marks_what_fails_and_the_csv_holds_everything() -> None:
    results = {"one": {"jawOpen r": 0.5, "own": 1.0}, "two": {"jawOpen r": 0.99}}
    text = tables.markdown(results)
    assert "| one | **0.500** | 1 |" in text
    assert "| two | 0.990 | 0 |" in text
    assert tables.comma_separated(results) == "portrait,jawOpen r,own\none,0.5,1\ntwo,0.99,\n"
    assert [fault[0] for fault in tables.failures(results)] == ["one"]


def test_folds_are_counted_where_the_picture_is_turned_over() -> None:
    y, x = np.indices((64, 64)).astype(float)
    nothing = np.zeros((64, 64), bool)
    known = np.ones((64, 64), bool)
    assert folds.faults(folds.Sources(x, y, known), nothing) == (0, 0)
    over = x.copy()
    over[20:40, 20:40] = 59 - x[20:40, 20:40]
    turned, hidden = folds.faults(folds.Sources(over, y, known), nothing)
    assert 300 < turned <= 400
    assert hidden > 0
    splits = np.zeros((64, 64), bool)
    splits[15:45, 15:45] = True
    assert folds.faults(folds.Sources(over, y, known), splits) == (0, 0)


@pytest.mark.model
def test_the_probe_finds_every_pixel_at_its_place_and_sees_a_shift() -> None:
    probe = folds.WarpProbe(portrait(), size=SIZE)
    rows, columns = np.indices((SIZE, SIZE))
    still = probe.sources(np.full(58, 1e-6, np.float32))
    inside = folds.watched(still, np.zeros((SIZE, SIZE), bool))
    assert inside.mean() > 0.2
    assert np.percentile(np.abs(still.x - columns)[inside], 99) < 0.3
    assert np.percentile(np.abs(still.y - rows)[inside], 99) < 0.3
    moved = probe.sources(commands.motion(headX=1))
    middle = (slice(110, 140), slice(115, 140))
    shift = (columns - moved.x)[middle]
    wanted = portrait().fit.scale * SIZE / len(portrait().picture)
    assert np.median(shift) == pytest.approx(wanted, abs=0.3)


def test_the_plate_must_show_the_mixture() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[...] = (200, 100, 50, 128)
    share = 128 / 255
    seen = share * rgba[..., :3] + (1 - share) * edges.MAGENTA
    assert edges.mix_error(seen, rgba) == 0
    seen[3, 3] -= 20  # a dark speck
    assert edges.mix_error(seen, rgba) == pytest.approx(20)


def test_holes_are_well_inside_the_person_and_new() -> None:
    rest = np.zeros((100, 100, 4), np.uint8)
    rest[20:, 20:80, 3] = 255
    rgba = rest.copy()
    rgba[50, 24, 3] = 0  # the edge is ragged
    assert edges.new_holes(rgba, rest) == 0
    rgba[50:53, 40:44, 3] = 0
    assert edges.new_holes(rgba, rest) == 12
    rest[60, 50, 3] = 0  # as under an arm
    assert edges.new_holes(rgba, rest) == 0


def test_teeth_are_what_is_brighter_and_paler_than_lips() -> None:
    seen = face()
    angles = np.linspace(0, 2 * math.pi, 20, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    seen.landmarks[list(closed_lips.OUTER), :2] = 50 + ring * (40, 20)
    seen.landmarks[list(closed_lips.INNER), :2] = 50 + ring * (30, 1)
    frame = np.full((100, 100, 3), (170, 90, 80), np.uint8)
    lips = closed_lips.lip_colour(frame, seen)
    assert closed_lips.teeth_share(frame, seen, lips) == 0
    frame[48:52, 30:70] = (230, 222, 205)
    assert closed_lips.teeth_share(frame, seen, lips) == pytest.approx(7, abs=2)


@pytest.mark.parametrize(
    ("edge", "fringe", "dark"),
    [((180, 140, 120), False, False), ((40, 160, 60), True, False), ((60, 40, 30), False, True)],
)
def test_an_edge_of_another_colour_is_a_fringe_or_a_dark_line(
    edge: tuple[int, int, int], fringe: bool, dark: bool
) -> None:
    rgba = np.zeros((60, 60, 4), np.uint8)
    rgba[:, 30:] = (180, 140, 120, 255)
    rgba[:, 28:30] = (*edge, 128)
    behind = np.full((60, 60, 3), (40, 160, 60), float)
    of_fringe, of_dark = edges.edge_faults(rgba, behind)
    assert (of_fringe > 50) == fringe
    assert (of_dark > 50) == dark


def test_a_plot_is_a_drawing_with_a_curve_for_each_measurement() -> None:
    curve = Curve(np.array([0.0, 0.5, 1.0]), {"a": np.array([0.1, np.nan, 0.4]), "b": np.zeros(3)})
    tree = ElementTree.fromstring(plot("jawOpen <1>", curve, level=0.3))
    curves = tree.findall("polyline[@class='curve']")
    assert [len((line.get("points") or "").split()) for line in curves] == [2, 3]
    assert tree.findall("polyline[@class='limit']")


def test_tiles_and_squares_stay_inside() -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    assert square(picture, np.array([2.0, 98.0]), 20).shape == (40, 40, 3)
    assert square(picture, np.array([50.0, 50.0]), 80).shape == (100, 100, 3)
    assert tiled({"a": picture, "b": picture, "c": picture}, 64, columns=2).shape == (128, 128, 3)


def test_the_gallery_is_one_file_that_shows_every_portrait() -> None:
    picture = np.full((64, 64, 3), 90, np.uint8)
    page = Page(
        name="a <b>",
        picture=picture,
        warnings=["The face is small."],
        figures={"jawOpen r": 0.5, "rest PSNR in face": 50.0},
        curves={"jawOpen": Curve(np.array([0.0, 1.0]), {"score": np.array([0.0, 0.6])})},
        sheets={"Poses": picture},
        strips=[Strip("jawOpen", (0.0, 1.0), (picture, picture))],
    )
    text = gallery([page, page], title="Looks", size=512)
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "scores 0.60" in text
    assert "a &lt;b&gt;" in text
    assert "a <b>" not in text
    assert text.count('class="bad"') == 2
    assert "The face is small." in text


def test_the_cartoon_can_be_a_portrait() -> None:
    seen = observe_face(draw_cartoon())
    assert seen.face_width > 250


def test_a_missing_library_is_named_in_one_sentence() -> None:
    said = "OSError: libGLESv2.so.2: cannot open shared object file: No such file or directory"
    assert explain(f"Traceback\n{said}") == (
        "MediaPipe needs the system library libGLESv2.so.2: "
        "on Debian, apt-get install libgles2 libegl1."
    )
    assert explain("Boom: it broke") == "The ruler stopped: Boom: it broke"


@pytest.mark.model
def test_a_frames_cost_is_measured_beside_a_remap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "REPEATS", 3)
    cost = speed.frame_cost(Renderer(portrait(), size=SIZE), speed.swaying())
    assert cost.frame > cost.remap > 0
    assert cost.ratio == cost.frame / cost.remap


@pytest.mark.model
@pytest.mark.skipif(
    not is_ready(), reason="the ruler's environment was never made (python -m benchmarks.renderer)"
)
def test_the_ruler_sees_what_was_commanded() -> None:
    with Ruler() as ruler:
        assert ruler.measure(np.zeros((64, 64, 3), np.uint8)) is None
        subject = Subject("Mona Lisa", portrait(), ruler, size=SIZE)
        assert subject.rest.embedding is not None
        assert subject.rest.embedding.shape == (128,)
        assert -30 < subject.rest.angles[1] < -8  # she looks to the picture's left
        closing = blink(subject).figures
        assert closing["blink opening Left"] < 0.6
        turning = pose(subject).figures
        assert turning["roll gain"] == pytest.approx(1, abs=0.1)
        assert turning["yaw gain"] > 0.4


def test_pictures_are_found_in_folders(tmp_path: Path) -> None:
    from benchmarks.renderer.__main__ import pictures_in

    for name in ("b.png", "a.JPG", "README"):
        (tmp_path / name).touch()
    assert [path.name for path in pictures_in([tmp_path])] == ["a.JPG", "b.png"]
