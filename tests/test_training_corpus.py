"""Speech with phone times: symbols, files, streams, the features' disguises."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.voice.base import INVENTORY, Phone, SpeechClause
from streaming_model.audio.features import stream_features
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion.style import STYLE_NAMES, Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training import augment
from training.captured import Captured
from training.corpus import (
    Utterance,
    load_utterances,
    save_utterances,
    speak_with_flite,
    word_salads,
    written_texts,
)
from training.corpus.build import CorpusSettings, Part, load_corpus, make_shard, shards
from training.corpus.neural import to_utterance
from training.dataset import (
    STREAM_FRAMES,
    UNKNOWN_PHONE,
    captured_streams,
    frame_labels,
    make_streams,
)
from training.feelings import draw_feelings, feel
from training.phones import PHONE_INDEX, PHONES, from_flite, from_ipa
from training.singing import whisper
from training.stream_files import load_streams, save_streams


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


def test_a_whisper_keeps_its_times_and_loses_its_pitch() -> None:
    times = np.arange(16_000) / 16_000
    buzz = np.sum([np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 30)], axis=0)
    voiced = replace(utterance(), samples=(0.1 * buzz).astype(np.float32))
    whispered = whisper(voiced, rng=np.random.default_rng(0))
    assert len(whispered.samples) == 16_000
    np.testing.assert_array_equal(whispered.bounds, voiced.bounds)

    def periodicity(samples: NDArray[np.float32]) -> float:
        part = samples[4_000:12_000].astype(np.float64)
        lag = round(16_000 / 120)
        return float((part[:-lag] * part[lag:]).sum() / np.square(part).sum())

    assert periodicity(voiced.samples) > 0.9
    assert abs(periodicity(whispered.samples)) < 0.2


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
    streams = list(make_streams([utterance(0), utterance(1)], range(18), seed=0))
    assert {stream.mel.shape for stream in streams} == {(4 * STREAM_FRAMES, 80)}
    assert {stream.motion.shape for stream in streams} == {(STREAM_FRAMES, NETWORK_SIZE)}
    assert {stream.style.shape for stream in streams} == {(STREAM_FRAMES, len(STYLE_NAMES))}
    emotions = slice(STYLE_NAMES.index("happy"), STYLE_NAMES.index("whisper"))
    for index, stream in enumerate(streams):
        silent = index % 6 == 5 or stream.activity is not Activity.SPEAK
        calm = stream.style[:, emotions].sum(axis=1) == 0
        assert (stream.motion[calm, INDEX["jawOpen"]].sum() == 0) == (silent or not calm.any())
        assert (stream.motion[:, MOTION_SIZE:].sum() == 0) == silent
    assert np.isfinite(np.concatenate([stream.mel for stream in streams])).all()


def test_a_stream_is_the_same_whatever_others_are_made() -> None:
    spoken = [utterance(0), utterance(1)]
    alone = next(make_streams(spoken, [5], seed=3))
    together = list(make_streams(spoken, range(4, 7), seed=3))[1]
    np.testing.assert_array_equal(alone.mel, together.mel)
    np.testing.assert_array_equal(alone.motion, together.motion)


def test_feelings_ease_and_leave_closed_lips_closed() -> None:
    rng = np.random.default_rng(1)
    feelings = draw_feelings(3_000, rng=rng)
    assert feelings.sum(axis=1).max() <= 1 + 1e-6
    assert np.abs(np.diff(feelings, axis=0)).max() < 0.1
    assert 0.2 < (feelings.sum(axis=1) == 0).mean() < 0.7
    shut = np.zeros((3_000, MOTION_SIZE), np.float32)
    shut[:, INDEX["jawOpen"]] = shut[:, INDEX["mouthClose"]] = 0.1
    felt = feel(shut, feelings, np.ones(3_000, np.float32))
    assert lip_gaps(felt).max() < 0.03


def test_streams_survive_a_file(tmp_path: Path) -> None:
    made = list(make_streams([utterance(0), utterance(1)], range(3), seed=0))
    save_streams(tmp_path / "streams.npz", made)
    for before, after in zip(made, load_streams(tmp_path / "streams.npz"), strict=True):
        assert before.activity is after.activity
        for name in ("mel", "phones", "motion", "mask", "style"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_a_stopped_corpus_goes_on_with_the_same_shards(tmp_path: Path) -> None:
    part = Part("tiny", 600.0, lambda _, seconds, rng: iter([utterance(int(rng.integers(9)))]))
    first, second = (CorpusSettings(tmp_path / name, seed=3) for name in ("one", "two"))
    for settings in (first, second):
        for shard in shards(settings, [part]):
            make_shard(settings, shard, [part])
    missing = shards(second, [part])[1]
    missing.path.unlink()
    with pytest.raises(FileNotFoundError):
        load_corpus(second, parts=[part])
    make_shard(second, missing, [part])
    for one, two in zip(
        load_corpus(first, parts=[part]), load_corpus(second, parts=[part]), strict=True
    ):
        np.testing.assert_array_equal(one.samples, two.samples)
    assert not list(tmp_path.rglob("*.part.npz"))


def test_captured_speech_becomes_streams_with_its_mask() -> None:
    frames, mask = STREAM_FRAMES + 200, np.zeros(MOTION_SIZE, bool)
    mask[INDEX["jawOpen"]] = True
    motion = np.zeros((frames, MOTION_SIZE), np.float32)
    motion[:, INDEX["jawOpen"]] = np.arange(frames) / frames
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.normal(0, 1, 640 * frames)).astype(np.float32)
    (made,) = captured_streams([Captured(noise, motion, mask)], 1, rng=rng)
    assert made.mask.sum() == 1 and (made.phones == UNKNOWN_PHONE).all()
    assert (made.style[:, STYLE_NAMES.index("captured")] == 1).all()
    assert (np.diff(made.motion[:, INDEX["jawOpen"]].astype(np.float64)) >= 0).all()


@pytest.mark.parametrize("kind", augment.NOISES)
def test_noises_have_unit_power_and_come_again(kind: str) -> None:
    first, again = (
        augment.make_noise(kind, 32_000, rng=np.random.default_rng(0)) for _ in range(2)
    )
    assert first.shape == (32_000,) and np.isfinite(first).all()
    assert np.sqrt(np.mean(first**2)) == pytest.approx(1.0, rel=1e-3)
    np.testing.assert_array_equal(first, again)


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
