"""The life layer: blinks in human number and shape, a still mouth, a head within its range."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion.life import limit_pose, live, start_life
from streaming_model.motion.style import MotionStyle
from streaming_model.motion_space import INDEX, MOTION_NAMES, MOTION_SIZE, POSE

MOUTH = [i for i, name in enumerate(MOTION_NAMES) if name.startswith(("mouth", "jaw", "tongue"))]


def lived(frames: int, *, seed: int = 0, style: MotionStyle | None = None) -> NDArray[np.float32]:
    chosen = style or MotionStyle()
    rest = np.zeros((frames, MOTION_SIZE), np.float32)
    _, motion = live(start_life(seed, chosen), rest, seed=seed, style=chosen)
    return limit_pose(motion)


def blink_starts(motion: NDArray[np.float32]) -> NDArray[np.int64]:
    closed = motion[:, INDEX["eyeBlinkLeft"]] > 0.9
    return np.flatnonzero(closed[1:] & ~closed[:-1])


@pytest.mark.parametrize("seed", range(4))
def test_it_blinks_ten_to_twenty_times_a_minute(seed: int) -> None:
    minutes = 5
    rate = len(blink_starts(lived(minutes * 1_500, seed=seed))) / minutes
    assert 10 <= rate <= 20


def test_blink_intervals_vary() -> None:
    gaps = np.diff(blink_starts(lived(7_500)))
    assert gaps.std() > 0.35 * gaps.mean()


def test_a_blink_closes_in_three_frames_and_opens_within_eight() -> None:
    lid = lived(3_000)[:, INDEX["eyeBlinkLeft"]]
    for start in blink_starts(lived(3_000)):
        assert lid[max(0, start - 3)] < 0.5
        assert lid[start + 1 : start + 9].min() < 0.25


def test_the_mouth_is_not_touched() -> None:
    np.testing.assert_array_equal(lived(1_500)[:, MOUTH], 0.0)


def test_the_head_moves_smoothly_and_stays_within_its_range() -> None:
    degrees = np.degrees(lived(15_000, style=MotionStyle(head_motion=3.0))[:, POSE][:, :3])
    pitch, yaw, roll = np.abs(degrees).max(axis=0)
    assert pitch <= 8 and yaw <= 12 and roll <= 8
    ordinary = np.degrees(lived(3_000)[:, POSE][:, :3])
    assert ordinary.std(axis=0).min() > 0.3
    assert np.abs(np.diff(ordinary, axis=0)).max() < 1.0


def test_brows_and_head_answer_wide_open_syllables() -> None:
    style = MotionStyle(head_motion=1.0)
    speaking = np.zeros((1_500, MOTION_SIZE), np.float32)
    syllables = np.clip(np.sin(np.arange(1_500) / 3), 0, 1) * (1 + np.sin(np.arange(1_500) / 20))
    speaking[:, INDEX["jawOpen"]] = 0.2 * syllables
    _, motion = live(start_life(2, style), speaking, seed=2, style=style)
    silent = lived(1_500, seed=2)
    raised = motion[:, INDEX["browInnerUp"]] > 0.12
    assert 8 <= (raised[1:] & ~raised[:-1]).sum() <= 40  # a minute
    assert silent[:, INDEX["browInnerUp"]].max() < 0.12
    nod = np.degrees(motion - silent)[:, INDEX["headPitch"]]
    assert 1 < nod.max() < 4 and np.abs(np.diff(nod)).max() < 1
    np.testing.assert_array_equal(motion[:, MOUTH], speaking[:, MOUTH])


def test_it_begins_at_the_portraits_own_pose() -> None:
    np.testing.assert_allclose(lived(1)[0, POSE], 0.0, atol=1e-6)


def test_the_eyes_hold_the_viewer_when_the_head_turns() -> None:
    style = MotionStyle(head_motion=0.0, gaze=0.0)
    turned = np.zeros((20, MOTION_SIZE), np.float32)
    turned[:, INDEX["headYaw"]] = 0.15  # to the picture's right
    _, motion = live(start_life(0, style), turned, seed=0, style=style)
    # To the picture's left: the face's right eye looks out, the left one in.
    assert (motion[:, INDEX["eyeLookOutRight"]] > 0.1).all()
    assert (motion[:, INDEX["eyeLookInLeft"]] > 0.1).all()
    assert (motion[:, INDEX["eyeLookOutLeft"]] == 0).all()


def test_frame_by_frame_equals_many_at_once() -> None:
    style, rest = MotionStyle(), np.zeros((200, MOTION_SIZE), np.float32)
    state, rows = start_life(3, style), []
    for row in rest:
        state, motion = live(state, row[None], seed=3, style=style)
        rows.append(motion)
    np.testing.assert_array_equal(limit_pose(np.concatenate(rows)), lived(200, seed=3))


def test_nothing_moves_with_every_dial_at_zero() -> None:
    still = MotionStyle(head_motion=0, expressiveness=0, blink_rate=0, gaze=0)
    motion = lived(500, style=still)
    assert np.abs(motion).max() < 0.03  # microsaccades only


def test_a_negative_dial_is_refused() -> None:
    with pytest.raises(ValueError, match="blink_rate must be a number of at least 0, got -1"):
        MotionStyle(blink_rate=-1)


def restyled(
    first: MotionStyle, second: MotionStyle, *, frames: int = 1_500, seed: int = 0
) -> NDArray[np.float32]:
    """Motion that changes from one style to the other after `frames`."""
    rest = np.zeros((frames, MOTION_SIZE), np.float32)
    state, before = live(start_life(seed, first), rest, seed=seed, style=first)
    _, after = live(state, rest, seed=seed, style=second)
    return limit_pose(np.concatenate([before, after]))


def test_the_blink_rate_changes_at_once_and_from_none() -> None:
    motion = restyled(MotionStyle(blink_rate=0), MotionStyle(blink_rate=30))
    starts = blink_starts(motion)
    assert starts.min() > 1_500 and 20 <= len(starts) <= 38
    stopped = blink_starts(restyled(MotionStyle(blink_rate=30), MotionStyle(blink_rate=0)))
    assert stopped.max() < 1_505


def gaze_angles(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """[frames, 2] degrees that head and eyes together look to the picture's right, and up."""
    right = motion[:, INDEX["eyeLookOutLeft"]] - motion[:, INDEX["eyeLookInLeft"]]
    up = motion[:, INDEX["eyeLookUpLeft"]] - motion[:, INDEX["eyeLookDownLeft"]]
    head = np.degrees(motion[:, [INDEX["headYaw"], INDEX["headPitch"]]]) * [1, -1]
    return np.asarray(head + 30 * np.stack([right, up], axis=1), np.float32)


@pytest.mark.parametrize("target", [(12.0, 0.0), (-12.0, 5.0), (0.0, -10.0), (22.0, 0.0)])
def test_eyes_and_head_together_look_at_the_point(target: tuple[float, float]) -> None:
    style = MotionStyle(head_motion=0, gaze=0, blink_rate=0, gaze_target=target)
    motion = lived(50, style=style)
    np.testing.assert_allclose(gaze_angles(motion).mean(axis=0), target, atol=1.5)
    assert np.abs(np.degrees(motion[:, POSE][:, :2])).max() > 0.2 * np.abs(target).max()


def test_looking_away_is_away_and_the_side_is_the_seeds() -> None:
    style = MotionStyle(gaze_target="away", gaze=0, head_motion=0, blink_rate=0)
    sides = [gaze_angles(lived(50, seed=seed, style=style))[:, 0].mean() for seed in range(12)]
    assert min(np.abs(sides)) > 8 and min(sides) < 0 < max(sides)


def test_the_eyes_go_first_with_a_blink_and_the_head_follows() -> None:
    still = MotionStyle(head_motion=0, gaze=0)
    away = MotionStyle(head_motion=0, gaze=0, gaze_target=(15.0, 0.0))
    motion = restyled(still, away, frames=100)
    yaw = np.degrees(motion[:, INDEX["headYaw"]])
    assert gaze_angles(motion)[100, 0] > 10 and yaw[100] < 1 and yaw[115] > 3.5
    assert np.abs(np.diff(yaw)).max() < 1.0
    assert motion[100:108, INDEX["eyeBlinkLeft"]].max() > 0.9


def test_glances_go_on_around_a_target() -> None:
    style = MotionStyle(gaze_target=(10.0, 0.0), blink_rate=0)
    right = gaze_angles(lived(2_000, style=style))[:, 0]
    assert right.std() > 1.0 and 7 < np.median(right) < 13
