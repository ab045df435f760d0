"""Lips that nearly touch in speech touch; in silence and in vowels nothing changes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.contacts import press_lips
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion.lips import hold_lips
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.renderer.expression import closing_share

CLOSE = INDEX["mouthClose"]


def frames(*openings: float) -> NDArray[np.float32]:
    """Returns frames of a mouth that is open as told, its other shapes along with the jaw."""
    rows = np.zeros((len(openings), MOTION_SIZE), np.float32)
    for row, opening in zip(rows, openings, strict=True):
        row[INDEX["jawOpen"]] = opening
        row[INDEX["mouthStretchLeft"]] = row[INDEX["mouthStretchRight"]] = opening
    return rows


def test_a_hair_between_the_lips_is_closed_in_speech() -> None:
    _, held = hold_lips(0.0, frames(0.3, 0.3, 0.02, 0.3))
    gaps = lip_gaps(held)
    assert (gaps > 0.1).tolist() == [True, True, False, True]
    assert gaps[2] == 0
    assert held[2, CLOSE] > 0.05


def test_vowels_stay_as_they_are() -> None:
    motion = frames(0.3, 0.12, 0.2)
    _, held = hold_lips(1.0, motion)
    np.testing.assert_array_equal(held, motion)


def test_silence_stays_as_it_is() -> None:
    motion = frames(0.01, 0.0, 0.02, 0.01)
    _, held = hold_lips(0.0, motion)
    np.testing.assert_array_equal(held, motion)


def test_lips_let_go_within_a_second_of_silence() -> None:
    envelope, _ = hold_lips(0.0, frames(0.3))
    _, held = hold_lips(envelope, frames(*[0.0] * 50))
    assert (held[:10, CLOSE] > 0.05).all(), "between sentences they stay"
    assert not held[25:, CLOSE].any()
    assert (np.diff(held[:, CLOSE]) <= 0).all()


def test_a_smiling_portrait_does_not_smile_between_sentences() -> None:
    pause = np.linspace(0.02, 0.0, 4).tolist() + [0.0] * 6 + [0.01, 0.03, 0.05]
    motion = frames(0.25, 0.3, 0.1, *pause, 0.2)
    _, held = hold_lips(0.0, motion)
    assert min(closing_share(row) for row in motion) < 0.1, "it would"
    assert min(closing_share(row) for row in held) > 0.9
    parted = lip_gaps(motion) > 0.05
    np.testing.assert_allclose(lip_gaps(held)[parted], lip_gaps(motion)[parted], atol=1e-6)


def test_cuts_make_no_difference() -> None:
    motion = frames(*np.abs(np.sin(np.arange(40))) * 0.2)
    envelope, whole = 0.0, []
    for part in (motion[:7], motion[7:8], motion[8:30], motion[30:]):
        envelope, held = hold_lips(envelope, part)
        whole.append(held)
    np.testing.assert_array_equal(np.concatenate(whole), hold_lips(0.0, motion)[1])


def test_a_lip_that_is_told_to_meet_and_to_be_at_the_teeth_does_both() -> None:
    """As in "of May", or where it is unsure which of the two is heard."""
    told = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    pressed = press_lips(frames(0.2, 0.2, 0.2), told)
    drawn_in = pressed[:, INDEX["mouthRollLower"]] - pressed[:, INDEX["mouthRollUpper"]]
    assert (lip_gaps(pressed) < 0.005).tolist() == [True, False, True]
    assert (drawn_in > 0.18).tolist() == [False, True, True]
