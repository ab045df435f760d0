"""Emotions by rule: each moves the face its way, and none keeps lips from closing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion.emotion import (
    add_emotion,
    emotion_offsets,
    emotion_scales,
    lip_gaps,
)
from streaming_model.motion.style import EMOTIONS
from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_SIZE, POSE

SAYS = np.ones(1, np.float32)
RESTS = np.zeros(1, np.float32)


def weights(emotion: str, weight: float = 1.0) -> NDArray[np.float32]:
    return np.array([weight * (name == emotion) for name in EMOTIONS], np.float32)


def face(**coefficients: float) -> NDArray[np.float32]:
    row = np.zeros((1, MOTION_SIZE), np.float32)
    for name, value in coefficients.items():
        for full in [name] if name in INDEX else [f"{name}Left", f"{name}Right"]:
            row[0, INDEX[full]] = value
    return row


MEETING = face(jawOpen=0.1, mouthClose=0.1, mouthRollLower=0.16, mouthRollUpper=0.14)


@pytest.mark.parametrize(
    ("emotion", "raised"),
    [
        ("happy", ("mouthSmileLeft", "cheekSquintRight")),
        ("sad", ("browInnerUp", "mouthFrownLeft")),
        ("angry", ("browDownLeft", "mouthPressRight")),
        ("surprised", ("browInnerUp", "browOuterUpLeft", "eyeWideLeft", "jawOpen")),
        ("fearful", ("browInnerUp", "eyeWideRight", "mouthStretchLeft")),
        ("disgusted", ("noseSneerLeft", "browDownRight")),
    ],
)
def test_an_emotion_shows_by_its_action_units(emotion: str, raised: tuple[str, ...]) -> None:
    rest = np.zeros((1, MOTION_SIZE), np.float32)
    full, half = (add_emotion(rest, weights(emotion, w), RESTS)[0] for w in (1.0, 0.5))
    for name in raised:
        assert full[INDEX[name]] > 0.08, name
        assert full[INDEX[name]] == pytest.approx(2 * half[INDEX[name]], rel=1e-5)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_lips_that_meet_go_on_meeting(emotion: str) -> None:
    emotional = add_emotion(MEETING, weights(emotion), SAYS)
    assert lip_gaps(emotional)[0] == 0.0
    lifts = [INDEX[f"mouth{part}Left"] for part in ("UpperUp", "LowerDown")]
    assert not emotional[0, lifts].any()


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_vowel_stays_open_and_rounded_lips_stay_rounded(emotion: str) -> None:
    vowel = face(jawOpen=0.3, mouthLowerDown=0.2, mouthUpperUp=0.15)
    assert lip_gaps(add_emotion(vowel, weights(emotion), SAYS))[0] > 0.6 * lip_gaps(vowel)[0]
    rounded = face(jawOpen=0.12, mouthFunnel=0.5, mouthPucker=0.5)
    spread = emotion_offsets(weights(emotion))[[INDEX["mouthSmileLeft"], INDEX["mouthFrownLeft"]]]
    held = add_emotion(rounded, weights(emotion), SAYS)[0]
    assert (held[[INDEX["mouthSmileLeft"], INDEX["mouthFrownLeft"]]] <= 0.41 * spread).all()


def test_no_emotion_changes_nothing() -> None:
    motion = np.random.default_rng(1).random((7, MOTION_SIZE)).astype(np.float32)
    felt = np.zeros((7, 6), np.float32)
    np.testing.assert_array_equal(add_emotion(motion, felt, np.ones(7, np.float32)), motion)
    assert set(emotion_scales(np.zeros(6, np.float32))) == {1.0}


def test_offsets_of_mixtures_add_up_within_what_a_face_can_do() -> None:
    mixed = emotion_offsets(0.5 * (weights("happy") + weights("surprised")))
    halves = 0.5 * (emotion_offsets(weights("happy")) + emotion_offsets(weights("surprised")))
    np.testing.assert_allclose(mixed, halves, atol=1e-6)
    table = emotion_offsets(np.eye(6, dtype=np.float32))
    assert table.shape == (6, MOTION_SIZE)
    assert table[:, : len(ARKIT_NAMES)].min() >= 0 and table[:, : len(ARKIT_NAMES)].max() <= 0.9
    assert np.degrees(np.abs(table[:, POSE][:, :3])).max() < 4


def test_a_jaw_drops_in_surprise_only_while_nothing_is_said() -> None:
    rest = np.zeros((1, MOTION_SIZE), np.float32)
    silent, speaking = (add_emotion(rest, weights("surprised"), told) for told in (RESTS, SAYS))
    assert silent[0, INDEX["jawOpen"]] > 0.05 and speaking[0, INDEX["jawOpen"]] == 0


def test_sadness_slows_and_shrinks_what_anger_enlarges() -> None:
    sad, angry = emotion_scales(weights("sad")), emotion_scales(weights("angry"))
    assert sad.head < 0.7 and sad.jaw < 0.9 and sad.tempo < 0.8
    assert angry.head > 1.1 and angry.jaw > 1.0 and angry.tempo > 1.0
