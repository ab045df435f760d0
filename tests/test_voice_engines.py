"""The two engines of our own, on their real models."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from server.voice import kokoro
from server.voice.base import INVENTORY, SILENCE, SpeechClause, Voice, VoiceError
from server.voice.catalog import open_voice

pytestmark = pytest.mark.model
TEXT = "She sees a sister in the house, and then the message is ready. It is necessary to go."


@pytest.fixture(scope="module", params=["joe", "af_heart", "bm_george"])
def voice(request: pytest.FixtureRequest) -> Voice:
    return open_voice(request.param)


@pytest.fixture(scope="module")
def clauses(voice: Voice) -> list[SpeechClause]:
    return list(voice.speak(TEXT))


def test_clauses_cover_the_text_and_phones_tile_the_sound(clauses: list[SpeechClause]) -> None:
    assert " ".join(clause.text for clause in clauses) == TEXT
    for clause in clauses:
        assert clause.text == TEXT[clause.text_start : clause.text_end]
        assert clause.samples.dtype == np.float32
        assert clause.phones[0].start == 0
        assert clause.phones[-1].end == len(clause.samples)
        assert {phone.symbol for phone in clause.phones} <= INVENTORY
        for before, after in zip(clause.phones, clause.phones[1:], strict=False):
            assert before.end == after.start


def test_sound_is_level_unclipped_and_joins_without_a_click(clauses: list[SpeechClause]) -> None:
    for clause in clauses:
        first = clause.phones[0]
        if first.symbol == SILENCE:
            assert first.end <= 0.05 * clause.sample_rate
        spoken = clause.samples[: clause.phones[-1].start]
        level = 20 * np.log10(np.sqrt(np.mean(spoken**2)))
        assert -26 < level < -17
        assert np.abs(clause.samples).max() < 0.95
        assert abs(clause.samples[0]) < 0.005
        assert abs(clause.samples[-1]) < 0.005


def test_pauses_are_quiet_and_phones_are_not(clauses: list[SpeechClause]) -> None:
    def level(clause: SpeechClause, *, silent: bool) -> float:
        parts = [
            clause.samples[phone.start : phone.end]
            for phone in clause.phones
            if (phone.symbol == SILENCE) == silent
        ]
        return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))

    for clause in clauses:
        assert level(clause, silent=True) < 0.1 * level(clause, silent=False)


def test_sibilants_hiss_where_the_phones_say(clauses: list[SpeechClause]) -> None:
    """The high band must peak at s and z, and drop at vowels, in nearly every phone."""
    hissing, vowels = [], []
    for clause in clauses:
        for phone in clause.phones:
            if phone.symbol == SILENCE:
                continue
            middle = (phone.start + phone.end) // 2
            half = round(0.012 * clause.sample_rate)
            share = _high_share(
                clause.samples[max(0, middle - half) : middle + half], clause.sample_rate
            )
            if phone.symbol in ("s", "ʃ"):
                hissing.append(share)
            elif phone.symbol in ("i", "ɛ", "ə", "aʊ", "oʊ"):
                vowels.append(share)
    assert len(hissing) >= 8
    assert np.mean(np.array(hissing) > 0.5) > 0.85
    assert np.mean(np.array(vowels) < 0.2) > 0.85


def _high_share(samples: NDArray[np.float32], rate: int) -> float:
    """Returns the share of the power that lies above 3 kHz."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    high = np.fft.rfftfreq(len(samples), 1 / rate) > 3000
    return float(power[high].sum() / power.sum())


def test_the_first_clause_comes_before_the_rest_is_made(voice: Voice) -> None:
    stream = voice.speak("A first sentence. " * 500)
    first = next(stream)
    assert first.text == "A first sentence."
    assert len(first.samples) < 5 * first.sample_rate


def test_speed_changes_the_length(voice: Voice) -> None:
    def seconds(speed: float) -> float:
        return sum(len(clause.samples) for clause in voice.speak("Mona Lisa smiles.", speed=speed))

    assert seconds(1.5) < 0.85 * seconds(1.0)
    with pytest.raises(VoiceError, match=r"between 0\.5 and 2\.0, not 9"):
        voice.speak("Hello.", speed=9)


def test_what_cannot_be_pronounced_is_skipped(voice: Voice) -> None:
    (clause,) = voice.speak("Hello 日本語 there.")
    assert clause.skipped == ("日本語",)
    assert len(clause.samples) > 0.5 * clause.sample_rate
    (silent,) = voice.speak("日本語")
    assert silent.skipped == ("日本語",)
    assert len(silent.samples) == 0
    assert list(voice.speak(" \n… 🎉 ")) == []


@pytest.mark.parametrize("text", ["x" * 500, "9" * 200, "the " * 60, "‮\x00�", "Ĳǅﬀ"])
def test_strange_text_is_spoken_or_skipped(text: str) -> None:
    for clause in open_voice("joe").speak(text):
        assert np.isfinite(clause.samples).all()


def test_a_speech_recogniser_understands(voice: Voice) -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    sentences = (
        "please open the window because it is very warm in here",
        "several people were waiting outside the office this morning",
    )
    heard = 0
    for sentence in sentences:
        sound = np.concatenate([clause.samples for clause in voice.speak(sentence)])
        pcm = soxr.resample(sound, voice.sample_rate, 16000) * 32000
        decoder.start_utt()
        decoder.process_raw(pcm.astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        words = decoder.hyp().hypstr.split() if decoder.hyp() else []
        heard += len(set(sentence.split()) & set(words))
    assert heard / sum(len(set(sentence.split())) for sentence in sentences) > 0.75


def test_the_kokoro_model_is_joined_once_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    path = kokoro.model_path()
    assert path.parent == tmp_path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == kokoro.MODEL_SHA256
    changed = path.stat().st_mtime_ns
    assert kokoro.model_path().stat().st_mtime_ns == changed
    path.write_bytes(b"cut short")
    assert kokoro.model_path().stat().st_size == kokoro.MODEL_BYTES
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_missing_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    monkeypatch.setattr(kokoro, "PACKAGES", ("no_such_package",))
    with pytest.raises(VoiceError, match="cannot be put together: No module named"):
        kokoro.model_path()
