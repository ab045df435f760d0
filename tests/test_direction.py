"""What a session's portrait is told, and that the model hears of it with the right audio."""

from __future__ import annotations

import numpy as np
import pytest

from server.direction import Direction, describe_style, with_changes
from server.protocol import ProtocolError, Style
from server.speech import Block, silent_block
from streaming_model.motion.style import MotionStyle
from streaming_model.motion_space import INDEX
from tests.live_fakes import FakeMotion
from tests.test_line import Rig, running

HAPPY = MotionStyle(emotion="happy")


def spoken(utterance: int) -> Block:
    silence = silent_block(0, utterance)
    return Block(0, silence.speech, silence.sound, utterance, is_speech=True)


def test_a_change_leaves_the_rest_as_it_is_and_is_told_back() -> None:
    style = with_changes(HAPPY, Style(gaze=(5.0, 2.0), glances=0.5))
    assert style == MotionStyle(emotion="happy", gaze_target=(5.0, 2.0), gaze=0.5)
    told = describe_style(style)
    assert set(told) == set(Style.model_fields)
    assert with_changes(MotionStyle(), Style(**told)) == style


def test_an_utterances_own_style_holds_while_it_is_spoken() -> None:
    direction = Direction(MotionStyle())
    direction.give(7, HAPPY)
    assert direction.style_of(spoken(7)) == HAPPY
    assert direction.style_of(spoken(8)) == MotionStyle()
    assert direction.style_of(silent_block(0, 7)) == MotionStyle()


def test_old_utterances_styles_are_forgotten() -> None:
    direction = Direction(MotionStyle())
    for number in range(1_000):
        direction.give(number, HAPPY)
    assert direction.style_of(spoken(999)) == HAPPY and direction.style_of(spoken(0)) != HAPPY


def test_gestures_are_bounded_and_forgotten_when_over() -> None:
    direction = Direction(MotionStyle())
    for _ in range(20):
        direction.gesture("blink", at=0)
    with pytest.raises(ProtocolError, match="20 gestures are under way"):
        direction.gesture("blink", at=640)
    direction.gesture("nod", at=16_000)
    assert [gesture.name for gesture in direction.additions.gestures] == ["nod"]


def test_live_motion_is_kept_by_its_time() -> None:
    direction = Direction(MotionStyle())
    direction.follow({"jawOpen": 0.5}, at=640, weight=0.5, mode="replace")
    live = direction.additions.live
    assert live is not None and (live.times, live.weight, live.mode) == ((640,), 0.5, "replace")
    assert live.rows[0][INDEX["jawOpen"]] == 0.5
    with pytest.raises(ProtocolError, match="There is no coefficient 'jaw'"):
        direction.follow({"jaw": 0.5}, at=640, weight=1.0, mode="add")


def styles_of(rig: Rig) -> dict[int, MotionStyle]:
    motion = rig.line.animator.avatar.motion
    assert isinstance(motion, FakeMotion)
    return motion.styles


async def test_the_sessions_style_reaches_the_model_with_the_next_block() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.direction.change(Style(emotion="sad"))
        await rig.run(0.2)
    (at,) = styles_of(rig)
    assert styles_of(rig)[at].emotion == "sad" and 15_000 < at < 18_000


async def test_an_utterances_style_begins_and_ends_with_its_audio() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.direction.give(1, HAPPY)
        rig.say(1, 1.0)
        await rig.run(3)
    marks = {mark.begins: start for start, mark in rig.marks if mark.begins or mark.ends}
    (begin, happy), (end, usual) = sorted(styles_of(rig).items())[-2:]
    assert happy == HAPPY and usual == MotionStyle()
    assert abs(begin - marks[True]) <= 640
    assert abs(end - begin - 16_000) <= 1_280


async def test_a_gesture_reaches_the_model() -> None:
    async with running() as rig:
        await rig.run(1)
        gesture = rig.direction.gesture("nod", at=rig.line.animator.next)
        await rig.run(0.2)
        motion = rig.line.animator.avatar.motion
        assert isinstance(motion, FakeMotion)
        assert motion.additions.gestures == (gesture,)
        assert np.isclose(gesture.start, 16_000, atol=2_000)
