"""Additions: gestures of a known course, streams that fade when they stop, lips that stay shut."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion.additive import Additions, Gesture, LiveFrames, blend
from streaming_model.motion.gestures import GESTURES, gesture_row, gesture_seconds
from streaming_model.motion_space import INDEX, MOTION_SIZE, POSE


def rest(frames: int) -> NDArray[np.float32]:
    return np.zeros((frames, MOTION_SIZE), np.float32)


def blended(
    additions: Additions, motion: NDArray[np.float32], *, speaking: float = 0.0
) -> NDArray[np.float32]:
    times = [640 * index for index in range(len(motion))]
    return blend(
        additions, motion, times=times, speaking=np.full(len(motion), speaking, np.float32)
    )


def gesture(name: str, **options: float | str) -> NDArray[np.float32]:
    made = Gesture(name, 6_400, **options)  # type: ignore[arg-type]
    return blended(Additions((made,)), rest(150))


@pytest.mark.parametrize(
    ("name", "moved", "least"),
    [
        ("nod", "headPitch", 0.05),
        ("shake", "headYaw", 0.05),
        ("tilt", "headRoll", 0.05),
        ("brow_raise", "browInnerUp", 0.4),
        ("smile", "mouthSmileRight", 0.4),
        ("frown", "browDownLeft", 0.4),
        ("blink", "eyeBlinkLeft", 0.8),
        ("look_around", "headYaw", 0.05),
        ("look_around", "eyeLookOutLeft", 0.2),
    ],
)
def test_a_gesture_moves_what_it_is_named_after(name: str, moved: str, least: float) -> None:
    assert np.abs(gesture(name)[:, INDEX[moved]]).max() > least


def test_a_wink_closes_one_eye_of_the_seeds_choice() -> None:
    sides = set()
    for seed in range(12):
        motion = gesture("wink", seed=seed)
        closed = motion[:, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]].max(axis=0)
        assert closed.max() > 0.8 and closed.min() == 0
        sides.add(int(closed.argmax()))
    assert sides == {0, 1}


@pytest.mark.parametrize("name", GESTURES)
def test_a_gesture_begins_and_ends_at_nothing_and_moves_smoothly(name: str) -> None:
    motion = gesture(name)
    seconds = gesture_seconds(name)
    assert not motion[:11].any() and not motion[11 + int(seconds * 25) :].any()
    assert motion.any()
    assert np.degrees(np.abs(np.diff(motion[:, POSE][:, :3], axis=0))).max() < 2.0


def test_strength_duration_and_seed_act() -> None:
    nod, strong = gesture("nod"), gesture("nod", strength=2.0)
    np.testing.assert_allclose(strong, 2 * nod, atol=1e-6)
    slow = gesture("nod", duration=2.6)
    assert slow[50:75].any() and not nod[50:].any()
    assert not np.array_equal(gesture("nod", seed=1), gesture("nod", seed=2))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "dance"}, "no gesture 'dance'; there are nod, shake"),
        ({"strength": 3.0}, "strength must be a number from 0 to 2, got 3.0"),
        ({"strength": float("nan")}, "got nan"),
        ({"duration": 0.0}, "duration must be a number from 0.2 to 10, got 0.0"),
        ({"mode": "mix"}, "must be add or replace, got 'mix'"),
    ],
)
def test_impossible_gestures_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Gesture(**{"name": "nod", "start": 0, **options})  # type: ignore[arg-type]


def test_gestures_that_are_over_are_forgotten() -> None:
    nod = Gesture("nod", 0)
    additions = Additions((nod, Gesture("smile", nod.end)))
    assert [kept.name for kept in additions.since(nod.end).gestures] == ["smile"]
    assert additions.since(nod.end - 1) is additions
    streaming = Additions(live=stream(1.0))
    assert streaming.since(16_000) is streaming and streaming.since(32_000) == Additions()


def test_a_frame_depends_on_its_time_alone() -> None:
    row = gesture_row("nod", 0.4, duration=None, seed=3)
    motion = blended(Additions((Gesture("nod", 0, seed=3),)), rest(30))
    np.testing.assert_array_equal(motion[10], row)


def stream(seconds: float, **options: float | str) -> LiveFrames:
    live = LiveFrames(**options)  # type: ignore[arg-type]
    for index in range(int(seconds * 30)):
        live = live.heard(index * 16_000 // 30, {"mouthSmileLeft": 0.6, "jawOpen": 0.4})
    return live


def test_a_stream_comes_in_is_held_and_fades_when_it_stops() -> None:
    motion = blended(Additions(live=stream(1.0)), rest(75))[:, INDEX["mouthSmileLeft"]]
    assert motion[0] == 0 and motion[10] == pytest.approx(0.6, abs=1e-5)
    assert motion[31] == pytest.approx(0.6, abs=1e-5)  # 0.27 s after the last frame
    assert 0 < motion[38] < 0.6 and not motion[43:].any()
    assert np.abs(np.diff(motion)).max() < 0.2


def test_a_streams_frames_are_joined_by_straight_lines() -> None:
    live = LiveFrames().heard(0, {"headYaw": 0.0}).heard(4_000, {"headYaw": 0.2})
    row, weight = live.at(2_000)
    assert row[INDEX["headYaw"]] == pytest.approx(0.1) and 0 < weight < 1


def test_a_streams_weight_and_bounds_hold() -> None:
    half = blended(Additions(live=stream(1.0, weight=0.5)), rest(20))
    assert half[15, INDEX["mouthSmileLeft"]] == pytest.approx(0.3, abs=1e-5)
    row, _ = LiveFrames().heard(0, {"jawOpen": 7.0, "headYaw": -9.0}).at(0)
    assert row[INDEX["jawOpen"]] == 1 and row[INDEX["headYaw"]] == pytest.approx(-0.8)


def test_a_whole_array_is_a_frame_and_nonsense_is_not() -> None:
    frame = np.full(MOTION_SIZE, 0.25, np.float32)
    np.testing.assert_array_equal(LiveFrames().heard(0, frame).at(0)[0], frame)
    with pytest.raises(ValueError, match="no coefficient 'jawOpne'"):
        LiveFrames().heard(0, {"jawOpne": 0.5})
    with pytest.raises(ValueError, match="jawOpen must be a number, got nan"):
        LiveFrames().heard(0, {"jawOpen": float("nan")})
    with pytest.raises(ValueError, match=r"has 58 numbers, got \(3,\)"):
        LiveFrames().heard(0, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="weight must be a number from 0 to 1, got 2"):
        LiveFrames(weight=2.0)


def test_a_long_stream_keeps_its_last_frames_only() -> None:
    assert len(stream(60).times) < 300


def test_lips_that_speech_closes_open_only_when_asked_to_be_replaced() -> None:
    closed = rest(40)
    closed[:, [INDEX["jawOpen"], INDEX["mouthClose"]]] = 0.1
    added = blended(Additions(live=stream(2.0)), closed, speaking=1.0)[30]
    assert added[INDEX["jawOpen"]] == pytest.approx(0.1) and added[INDEX["mouthSmileLeft"]] > 0.5
    silent = blended(Additions(live=stream(2.0)), closed, speaking=0.0)[30]
    assert silent[INDEX["jawOpen"]] == pytest.approx(0.5, abs=1e-5)
    replaced = blended(Additions(live=stream(2.0, mode="replace")), closed, speaking=1.0)[30]
    assert replaced[INDEX["jawOpen"]] == pytest.approx(0.4, abs=1e-5)
    assert replaced[INDEX["mouthClose"]] == pytest.approx(0.1)  # the stream does not name it


def test_open_lips_take_what_is_added() -> None:
    vowel = rest(40)
    vowel[:, INDEX["jawOpen"]] = 0.3
    added = blended(Additions(live=stream(2.0)), vowel, speaking=1.0)[30]
    assert added[INDEX["jawOpen"]] == pytest.approx(0.7, abs=1e-5)


def test_eyes_are_not_told_to_look_both_ways() -> None:
    looking = rest(60)
    looking[:, INDEX["eyeLookInLeft"]] = 0.3
    motion = blended(Additions((Gesture("look_around", 0),)), looking)
    both = np.minimum(motion[:, INDEX["eyeLookInLeft"]], motion[:, INDEX["eyeLookOutLeft"]])
    assert not both.any()
