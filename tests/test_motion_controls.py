"""Controls at run time, with the shipped weights: eased, independent of cuts, and visible."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.media import AudioChunk
from streaming_model.motion import (
    Additions,
    Gesture,
    LiveFrames,
    MotionGenerator,
    MotionState,
    MotionStyle,
    load_motion_generator,
)
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion.face import finish_face, start_face
from streaming_model.motion.manner import manners_ahead, start_manner
from streaming_model.motion.style import EMOTIONS
from streaming_model.motion_space import INDEX, MOTION_SIZE, POSE
from tests.test_motion_prosody import voice

pytestmark = pytest.mark.model
FIXTURE = Path(__file__).parent / "fixtures" / "held_out_speech.npz"
CHANGE = 40 * 640  # media time at which the tests change something
SMILE = INDEX["mouthSmileLeft"]


@lru_cache(maxsize=1)
def generator() -> MotionGenerator:
    return load_motion_generator()


@lru_cache(maxsize=1)
def speech() -> NDArray[np.float32]:
    with np.load(FIXTURE) as data:
        return np.asarray(data["pcm"][: 110 * 640] / np.float32(32767), np.float32)


def changed(state: MotionState) -> MotionState:
    """What every run here asks for, at the same media time."""
    block = generator()
    style = MotionStyle(emotion="happy", intensity=1.0, gaze_target=(10.0, 0.0), blink_rate=30)
    state = block.restyle(state, style, at=CHANGE)
    state = block.restyle(state, MotionStyle(emotion="auto"), at=2 * CHANGE)
    live = LiveFrames()
    for index in range(12):
        live = live.heard(CHANGE + 900 * index, {"browInnerUp": 0.5, "jawOpen": 0.3})
    return block.add(
        block.blend(state, Additions(live=live)), Gesture("nod", CHANGE + 1_000, seed=4)
    )


def motion_in_pieces(cuts: list[int], *, asks: bool = True, seed: int = 3) -> NDArray[np.float32]:
    """The motion of the speech cut there; what is asked for is asked before it can matter."""
    block, samples = generator(), speech()
    state = block.start(seed=seed)
    chunks, start, has_asked = [], 0, not asks
    for end in [*cuts, len(samples)]:
        if not has_asked and end > CHANGE // 2:
            state, has_asked = changed(state), True
        (state,), (made,) = block.step([state], [AudioChunk(start, samples[start:end])])
        chunks += made
        start = end
    return np.concatenate([chunk.motion for chunk in [*chunks, *block.finish(state)]])


@lru_cache(maxsize=2)
def whole(*, asks: bool) -> NDArray[np.float32]:
    return motion_in_pieces([], asks=asks)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_requests_give_the_same_bits_however_the_audio_is_cut(seed: int) -> None:
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(speech()), 7)).tolist()
    np.testing.assert_array_equal(motion_in_pieces(cuts), whole(asks=True))


def test_nothing_changes_before_its_media_time() -> None:
    frame = CHANGE // 640
    np.testing.assert_array_equal(whole(asks=True)[:frame], whole(asks=False)[:frame])
    assert not np.array_equal(whole(asks=True)[frame + 1], whole(asks=False)[frame + 1])


def styled(style: MotionStyle, *, at: int = 0) -> NDArray[np.float32]:
    block = generator()
    state = block.start(seed=3, style=style if at == 0 else None)
    if at:
        state = block.restyle(state, style, at=at)
    (state,), (chunks,) = block.step([state], [AudioChunk(0, speech())])
    return np.concatenate([chunk.motion for chunk in [*chunks, *block.finish(state)]])


def test_an_emotion_eases_in_within_half_a_second() -> None:
    happy, frame = styled(MotionStyle(emotion="happy", intensity=1.0), at=CHANGE), CHANGE // 640
    added = (happy - whole(asks=False))[:, SMILE]
    final = (
        styled(MotionStyle(emotion="happy", intensity=1.0))[:, SMILE] - whole(asks=False)[:, SMILE]
    )
    assert added[frame + 2] < 0.4 * final[frame + 2]
    assert added[frame + 14] > 0.75 * final[frame + 14]
    assert np.abs(np.diff(added[frame - 1 : frame + 20])).max() < 0.2


def test_lips_close_under_every_emotion() -> None:
    neutral = lip_gaps(whole(asks=False))
    meets = (neutral < 0.01) & (np.arange(len(neutral)) > 20)
    assert meets.sum() > 5
    speaks = meets & (np.convolve(neutral, np.ones(9), "same") > 0.5)
    for emotion in EMOTIONS:
        gaps = lip_gaps(styled(MotionStyle(emotion=emotion, intensity=1.0)))
        # The network speaks anew under an emotion: a closure may move by a frame.
        nearest = np.minimum.reduce([gaps, np.roll(gaps, 1), np.roll(gaps, -1)])[speaks]
        assert (nearest < 0.03).mean() > 0.9, emotion
        assert nearest.max() < 0.12, emotion


def test_emotions_that_the_network_knows_are_left_to_it() -> None:
    style = MotionStyle(emotion="happy", intensity=1.0)
    _, manners = manners_ahead(
        start_manner(style), frames=range(5), origin=0, seed=0, felt=np.zeros(6, np.float32)
    )
    smiles = []
    for known in (False, True):
        _, motion = finish_face(
            start_face(0, style),
            np.zeros((5, MOTION_SIZE), np.float32),
            manners=manners,
            known=np.full(6, known),
            additions=Additions(),
            times=[0, 640, 1280, 1920, 2560],
            seed=0,
        )
        smiles.append(motion[:, SMILE].max())
    assert smiles[0] > 0.5 and smiles[1] == 0


def test_a_gesture_is_added_to_what_would_be_there() -> None:
    block = generator()
    state = block.add(block.start(seed=3), Gesture("nod", CHANGE))
    (state,), (chunks,) = block.step([state], [AudioChunk(0, speech())])
    motion = np.concatenate([chunk.motion for chunk in [*chunks, *block.finish(state)]])
    nod = np.degrees(motion - whole(asks=False))[:, POSE][:, 0]
    assert nod[: CHANGE // 640].max() == 0 and 1.5 < nod.max() < 7
    assert not state.additions.since(state.next).gestures


def test_the_face_follows_a_voice_that_grows_excited() -> None:
    calm, excited = voice(8), voice(5, pitch=165, semitones=4.5, level=0.2, syllables=5, seed=3)
    block, smiles = generator(), {}
    for emotion in ("neutral", "auto"):
        style = MotionStyle(emotion=emotion, intensity=1.0)
        (_,), (chunks,) = block.step(
            [block.start(seed=3, style=style)], [AudioChunk(0, np.concatenate([calm, excited]))]
        )
        motion = np.concatenate([chunk.motion for chunk in chunks])
        smiles[emotion] = motion[:, SMILE]
    felt = smiles["auto"] - smiles["neutral"]
    assert np.abs(felt[:200]).max() < 0.1 and felt[275:].mean() > 0.25


def test_what_was_given_cannot_be_changed_any_more() -> None:
    block = generator()
    (state,), _ = block.step([block.start()], [AudioChunk(0, speech()[: 20 * 640])])
    assert state.next > 0
    with pytest.raises(ValueError, match=f"sample 0 was given already.* from {state.next} on"):
        block.restyle(state, MotionStyle(), at=0)


def test_a_later_request_replaces_those_that_were_to_come_after_it() -> None:
    block = generator()
    state = block.restyle(block.start(seed=3), MotionStyle(emotion="angry"), at=2 * CHANGE)
    state = block.restyle(state, MotionStyle(emotion="happy", intensity=1.0), at=CHANGE)
    (state,), (chunks,) = block.step([state], [AudioChunk(0, speech())])
    motion = np.concatenate([chunk.motion for chunk in [*chunks, *block.finish(state)]])
    np.testing.assert_array_equal(
        motion, styled(MotionStyle(emotion="happy", intensity=1.0), at=CHANGE)
    )
