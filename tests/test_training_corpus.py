"""Speech with phone times: symbols, files, streams, the features' disguises."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from server.voice.base import INVENTORY, Phone, SpeechClause
from streaming_model.audio.features import stream_features
from streaming_model.motion.style import Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training import augment
from training.corpus import (
    Utterance,
    load_utterances,
    save_utterances,
    speak_with_flite,
    word_salads,
    written_texts,
)
from training.corpus.neural import to_utterance
from training.dataset import STREAM_FRAMES, frame_labels, make_streams
from training.phones import PHONE_INDEX, PHONES, from_flite, from_ipa


def utterance(seed: int = 0) -> Utterance:
    rng = np.random.default_rng(seed)
    bounds = np.array([0, 1_600, 4_000, 5_600, 9_600])
    samples = (0.1 * rng.normal(0, 1, 9_600)).astype(np.float32)
    return Utterance(samples, np.array([0, 5, 16, 3]), bounds, f"voice-{seed}", "text")


def test_every_symbol_of_the_voices_has_a_phone() -> None:
    unknown = {symbol for symbol in INVENTORY if from_ipa(symbol) is None}
    assert unknown == {"ʔ"}
    assert {from_ipa(symbol) for symbol in ("tʃ", "ˈeɪ", "ɹ", "sil")} == {"CH", "EY", "R", "sil"}


def test_flite_symbols_map_and_strangers_are_named() -> None:
    assert [from_flite(symbol) for symbol in ("pau", "ax", "hh")] == ["sil", "AH", "HH"]
    with pytest.raises(KeyError, match="no phone for the Flite symbol 'qq'"):
        from_flite("qq")


def test_utterances_survive_a_file(tmp_path: Path) -> None:
    spoken = [utterance(0), utterance(1)]
    save_utterances(tmp_path / "speech.npz", spoken)
    for before, after in zip(spoken, load_utterances(tmp_path / "speech.npz"), strict=True):
        np.testing.assert_allclose(before.samples, after.samples, atol=1e-4)
        np.testing.assert_array_equal(before.phones, after.phones)
        np.testing.assert_array_equal(before.bounds, after.bounds)
        assert (before.voice, before.text) == (after.voice, after.text)


def test_a_clause_keeps_its_times_at_another_rate() -> None:
    phones = (Phone("sil", 0, 2_400), Phone("ɑ", 2_400, 6_000), Phone("ʔ", 6_000, 7_200))
    clause = SpeechClause("a", 0, 1, 24_000, np.zeros(7_200, np.float32), phones, ())
    spoken = to_utterance(clause, voice="v")
    assert spoken.bounds.tolist() == [0, 1_600, 4_800]  # the glottal stop joins the vowel
    assert [PHONES[phone] for phone in spoken.phones] == ["sil", "AA"]
    assert len(spoken.samples) == 4_800


def test_labels_are_the_phones_that_sound() -> None:
    spoken = utterance()
    labels = frame_labels(spoken.phones, spoken.bounds, 15)
    assert labels.shape == (15, 2)
    assert labels[0].tolist() == [0, 0]
    assert labels[2].tolist() == [0, 5]  # 1280..1600 is silence, then the vowel
    assert labels[14].tolist() == [3, 3]


def test_a_faster_voice_has_earlier_phones() -> None:
    faster = augment.change_speed(utterance(), 1.2)
    assert len(faster.samples) == pytest.approx(8_000, abs=2)
    assert faster.bounds.tolist() == pytest.approx([0, 1_333, 3_333, 4_667, 8_000], abs=3)


def test_streams_have_the_shapes_and_a_still_mouth_without_speech() -> None:
    streams = list(make_streams([utterance(0), utterance(1)], 18, rng=np.random.default_rng(0)))
    assert {stream.mel.shape for stream in streams} == {(4 * STREAM_FRAMES, 80)}
    assert {stream.motion.shape for stream in streams} == {(STREAM_FRAMES, MOTION_SIZE)}
    jaws = [float(stream.motion[:, INDEX["jawOpen"]].max()) for stream in streams]
    for index, (stream, jaw) in enumerate(zip(streams, jaws, strict=True)):
        silent = index % 9 == 8 or stream.activity is not Activity.SPEAK
        assert (jaw == 0) == silent
    assert np.isfinite(np.concatenate([stream.mel for stream in streams])).all()


@pytest.mark.parametrize("kind", augment.NOISES)
def test_noises_have_unit_power(kind: str) -> None:
    noise = augment.make_noise(kind, 32_000, rng=np.random.default_rng(0))
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, rel=1e-3)


def test_a_warp_of_one_changes_nothing_and_a_shorter_tract_moves_up() -> None:
    times = np.arange(6_400) / 16_000
    mel = stream_features(np.sin(2 * np.pi * 1_000 * times).astype(np.float32) * 0.1)
    np.testing.assert_allclose(augment.warp_mel(mel, 1.0)[:, :-1], mel[:, :-1], atol=1e-4)
    peak, moved = (int(x[-1].argmax()) for x in (mel, augment.warp_mel(mel, 1.15)))
    assert moved > peak


def test_texts_and_salads_are_speakable() -> None:
    assert len(written_texts()) > 90
    assert not set(written_texts(held_out=True)) & set(written_texts())
    salads = word_salads(3, rng=np.random.default_rng(0))
    assert all(5 <= len(salad.split()) <= 13 for salad in salads)


@pytest.mark.skipif(shutil.which("flite") is None, reason="Flite is not installed")
def test_flite_prints_where_each_phone_ends() -> None:
    spoken = speak_with_flite("Papa.", voice="slt")
    assert [PHONES[phone] for phone in spoken.phones if phone][:2] == ["P", "AA"]
    assert spoken.bounds[-1] == len(spoken.samples)
    assert (np.diff(spoken.bounds) > 0).all()
    assert PHONE_INDEX["P"] in spoken.phones
