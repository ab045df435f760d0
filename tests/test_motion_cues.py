"""What tells contacts and open vowels: what it looks at, what lips make of it, how it learns."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from streaming_model.errors import ModelFileError
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, MotionStyle, load_motion_generator
from streaming_model.motion.contacts import part_lips
from streaming_model.motion.cues import (
    CUE_NAMES,
    FILE,
    OFFSETS,
    PAST,
    Cues,
    least_gaps,
    load_cues,
    places_of,
    told_contacts,
)
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion.listener import SCORES
from streaming_model.motion.networks import DEFAULT_FOLDER, MotionNetworks
from streaming_model.motion.style import Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.corpus import Utterance
from training.cues_stage import cue_truth, make_cues
from training.dataset import Stream, make_streams
from training.phones import PHONE_INDEX

Floats = NDArray[np.float32]

AUDIO = 3
JAW, CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]


def looking_at(offset: int) -> Cues:
    """An open vowel is where the first feature is 1 at this offset, P where the first score is."""
    hidden = np.zeros((len(OFFSETS) * (AUDIO + SCORES), 2), np.float32)
    place = OFFSETS.index(offset)
    hidden[place * AUDIO, 0] = hidden[len(OFFSETS) * AUDIO + place * SCORES, 1] = 1
    out = np.zeros((2, len(CUE_NAMES)), np.float32)
    out[0, 2] = out[1, 0] = 20
    return Cues(hidden, np.zeros(2, np.float32), out, np.full(len(CUE_NAMES), -10, np.float32))


@pytest.mark.parametrize("lookahead", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("offset", OFFSETS)
def test_it_looks_back_and_as_far_ahead_as_there_is_sound(offset: int, lookahead: int) -> None:
    frames = 3
    rows = PAST + frames + lookahead
    audio, scores = np.zeros((2, rows, AUDIO), np.float32), np.zeros((2, rows, SCORES), np.float32)
    seen = PAST + 1 + min(offset, lookahead)  # by frame 1
    audio[0, seen, 0], scores[1, seen, 0] = 1, 1
    likely = looking_at(offset).likely(audio, scores, frames=frames, lookahead=lookahead)
    assert likely.shape == (2, frames, len(CUE_NAMES))
    assert likely[0, 1, 2] > 0.9 and likely[1, 1, 0] > 0.9
    assert places_of(frames, lookahead=lookahead).max() < rows
    assert told_contacts(likely)[1, 1].tolist() == pytest.approx([1.0, 0.0], abs=1e-3)


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.floats(0, 1, width=32), min_size=MOTION_SIZE, max_size=MOTION_SIZE),
    st.floats(0, 0.5, width=32),
)
def test_lips_are_at_least_so_far_apart_and_the_rest_stays(values: list[float], gap: float) -> None:
    motion = np.array([values], np.float32)
    motion[0, JAW] *= 0.4
    parted = part_lips(motion, np.array([gap], np.float32))
    assert lip_gaps(parted)[0] >= gap - 1e-5 or parted[0, JAW] == 1
    assert lip_gaps(parted)[0] >= lip_gaps(motion)[0] - 1e-6
    kept = [index for index in range(MOTION_SIZE) if index not in (JAW, CLOSE)]
    np.testing.assert_array_equal(parted[0, kept], motion[0, kept])
    assert parted[0, CLOSE] <= motion[0, CLOSE]
    assert parted[0, JAW] >= motion[0, JAW] - 1e-6
    if gap == 0 or lip_gaps(motion)[0] >= gap:
        np.testing.assert_allclose(parted, motion, atol=1e-6)


def test_lips_that_would_hide_a_bite_are_told_to_stay_apart() -> None:
    likely = np.zeros((4, len(CUE_NAMES)), np.float32)
    likely[:, 0] = 0.4, 0.6, 0.3, 0.08
    likely[:, 1] = 0.6, 0.4, 0.0, 0.09
    met, bitten = told_contacts(likely).T
    assert met[0] <= 0.3 and bitten[0] >= 0.6, "the likelier of two"
    assert met[1] >= 0.6, "lips that are likelier to meet do"
    assert met[2] >= 0.6 and bitten[2] == 0, "nothing is hidden where nothing is at the teeth"
    assert 0.3 < met[3] < 0.6 and bitten[3] < 0.6, "nor where that is unsure"


def test_lips_part_for_sure_vowels_alone_and_only_to_speak() -> None:
    likely = np.zeros((1, 3, len(CUE_NAMES)), np.float32)
    likely[0, :, 2] = 0.05, 0.9, 0.9
    gaps = least_gaps(likely, np.array([[1, 1, 0.5]], np.float32))
    assert gaps[0, 0] == 0 and gaps[0, 1] > 0.1
    assert gaps[0, 2] == pytest.approx(gaps[0, 1] / 2)


class Vowel:
    """Hears an open vowel all the time."""

    def likely(self, audio: Floats, scores: Floats, *, frames: int, lookahead: int) -> Floats:
        assert audio.shape[1] == scores.shape[1] == PAST + frames + lookahead
        return np.tile(np.array([0, 0, 1], np.float32), (len(audio), frames, 1))


@pytest.mark.parametrize("activity", [Activity.SPEAK, Activity.LISTEN])
def test_a_mouth_that_listens_does_not_open_to_vowels(activity: Activity) -> None:
    networks = MotionNetworks()
    networks.presence, networks.cues = None, Vowel()  # type: ignore[assignment]
    generator = MotionGenerator(networks)
    start = generator.start(seed=1, style=MotionStyle(activity=activity))
    silence = AudioChunk(0, np.zeros(40 * SAMPLES_PER_MOTION_FRAME, np.float32))
    _, (chunks,) = generator.step([start], [silence])
    gaps = lip_gaps(np.concatenate([each.motion for each in chunks]))[10:]
    assert (gaps.min() > 0.1) if activity is Activity.SPEAK else (gaps.max() < 0.1)


@pytest.mark.model
def test_cuts_of_the_sound_make_no_difference() -> None:
    generator = load_motion_generator()
    assert (DEFAULT_FOLDER / FILE).exists()
    sound = np.random.default_rng(2).normal(0, 0.1, 30 * 640).astype(np.float32)
    _, (whole,) = generator.step([generator.start(seed=1)], [AudioChunk(0, sound)])
    state, pieces = generator.start(seed=1), []
    for part in (sound[:3_000], sound[3_000:9_999], sound[9_999:]):
        (state,), (chunks,) = generator.step([state], [AudioChunk(state.received, part)])
        pieces += chunks
    np.testing.assert_array_equal(
        np.concatenate([each.motion for each in pieces]),
        np.concatenate([each.motion for each in whole]),
    )


def test_damaged_weights_are_told_and_missing_ones_are_none(tmp_path: Path) -> None:
    assert load_cues(tmp_path, audio_size=AUDIO) is None
    (tmp_path / FILE).write_bytes(b"no weights")
    with pytest.raises(ModelFileError, match=FILE):
        load_cues(tmp_path, audio_size=AUDIO)
    shutil.copy(DEFAULT_FOLDER / FILE, tmp_path)
    with pytest.raises(ModelFileError, match="numbers"):
        load_cues(tmp_path, audio_size=AUDIO)
    tensors = load_file(DEFAULT_FOLDER / FILE)
    save_file({name: each for name, each in tensors.items() if name != "out"}, tmp_path / FILE)
    with pytest.raises(ModelFileError, match="damaged"):
        load_cues(tmp_path, audio_size=AUDIO)


def utterance(phones: list[str], seconds: float = 0.12) -> Utterance:
    step = round(seconds * 16_000)
    rng = np.random.default_rng(len(phones))
    samples = rng.normal(0, 0.1, step * len(phones)).astype(np.float32)
    numbers = np.array([PHONE_INDEX[phone] for phone in phones])
    return Utterance(samples, numbers, np.arange(len(phones) + 1) * step, "flite-slt", "")


def test_truth_is_contacts_and_the_middles_of_open_vowels() -> None:
    (stream,) = make_streams([utterance(["M", "AA", "F", "IY"])], [0], seed=1)
    truth = cue_truth(stream)
    halves = stream.phones
    for column, phone in enumerate(("M", "F")):
        whole = (halves == PHONE_INDEX[phone]).all(axis=1)
        assert whole.any() and truth[whole, column].min() > 0.9
        assert truth[:, column].mean() < 0.5
    vowel = np.isin(halves, [PHONE_INDEX["AA"]]).mean(axis=1)
    assert (truth[:, 2] <= vowel).all() and 0.3 < truth[:, 2].sum() / vowel.sum() < 0.9


def test_one_command_fits_it_to_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    for part in ("encoder", "listener"):
        shutil.copytree(DEFAULT_FOLDER / part, folder / part)
    with pytest.raises(ValueError, match="no speech"):
        make_cues(folder, [], seed=0)
    spoken = [utterance(["M", "AA", "F", "IY", "P", "EH"] * 4)]
    make_cues(folder, spoken, seed=0, count=3, steps=20)
    cues = load_cues(folder, audio_size=128)
    assert cues is not None
    rows = np.zeros((1, PAST + 4, 128), np.float32), np.zeros((1, PAST + 4, SCORES), np.float32)
    likely = cues.likely(*rows, frames=2, lookahead=2)
    assert likely.shape == (1, 2, len(CUE_NAMES)) and (likely > 0).all() and (likely < 1).all()


def test_a_stream_without_speech_has_no_cues() -> None:
    stream: Stream
    (stream,) = make_streams([utterance(["M", "AA"])], [5], seed=1)
    assert cue_truth(stream).max() == 0
