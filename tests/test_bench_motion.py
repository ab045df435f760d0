"""The motion bench: its arithmetic on motion with known faults."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.motion import __main__ as bench
from benchmarks.motion import cost as cost_bench
from benchmarks.motion import held_out, recorded, sounds
from benchmarks.motion.clips import Clip, energy_mouth, make_clips
from benchmarks.motion.contacts import BILABIALS, LABIODENTALS, OPEN_VOWELS, contacts
from benchmarks.motion.curves import correlation_and_lag, lip_vertex_error
from benchmarks.motion.generation import Setting, generate
from benchmarks.motion.life import (
    beat_alignment,
    blinks_per_minute,
    seam,
    seed_figures,
    share_at_limit,
)
from benchmarks.motion.lips import lip_figures
from benchmarks.motion.results import Results
from streaming_model.errors import ModelFileError
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.coarticulation import lip_gap
from training.corpus import Utterance, save_utterances
from training.phones import PHONE_INDEX

SENTENCE = "HH AE P IY B OY Z F AY N D M AE P S AH V K AA M F AO R T B AW T EH M IY V AA B"


def utterance(repeats: int = 4, *, length: int = 1_600) -> Utterance:
    """Says the sentence, each phone a tenth of a second, loud in the vowels."""
    rng = np.random.default_rng(3)
    names = [*SENTENCE.split(), "sil"] * repeats
    phones = np.array([PHONE_INDEX[name] for name in names])
    loud = np.repeat([0.2 if name[0] in "AEIOU" else 0.01 for name in names], length)
    samples = (loud * rng.normal(0, 1, len(loud))).astype(np.float32)
    return Utterance(samples, phones, np.arange(len(names) + 1) * length, "test", "")


def clip() -> Clip:
    (made,) = make_clips([utterance()])
    return made


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


def test_the_oracle_keeps_its_own_rules() -> None:
    found = contacts(clip(), clip().oracle)
    assert all(each.is_closed for each in found if each.phone in BILABIALS)
    assert all(each.is_bitten for each in found if each.phone in LABIODENTALS)
    assert not any(each.is_closed or each.is_bitten for each in found if each.phone in OPEN_VOWELS)


def test_a_mouth_driven_by_loudness_closes_and_bites_nothing_and_a_still_face_closes_all() -> None:
    spoken = clip()
    loud = contacts(spoken, energy_mouth(spoken))
    assert share([each.is_bitten for each in loud if each.phone in LABIODENTALS]) == 0
    still = contacts(spoken, np.zeros_like(spoken.oracle))
    assert all(each.is_closed for each in still)
    assert not any(each.is_bitten for each in still)


def test_a_schwa_is_no_open_vowel() -> None:
    (short,) = make_clips([utterance(length=1_200)])
    assert "AH" in {each.phone for each in contacts(clip(), clip().oracle)}
    assert "AH" not in {each.phone for each in contacts(short, short.oracle)}


def test_contacts_know_their_neighbours() -> None:
    bilabial = next(each for each in contacts(clip(), clip().oracle) if each.phone == "P")
    assert (bilabial.before, bilabial.after) == ("AE", "IY")
    assert bilabial.seconds == pytest.approx(0.1)


def test_a_late_mouth_is_late_by_what_it_is() -> None:
    oracle = lip_gap(clip().oracle).astype(np.float64)
    correlation, lag = correlation_and_lag(np.roll(oracle, 2), oracle)
    assert correlation < 0.9
    assert lag == 80
    assert correlation_and_lag(oracle, oracle) == pytest.approx((1.0, 0.0))
    assert np.isnan(correlation_and_lag(np.zeros(50), np.arange(50.0))[1])


def test_figures_of_the_oracle_against_itself_are_perfect() -> None:
    spoken = [clip()]
    figures = lip_figures(spoken, [spoken[0].oracle])
    assert figures["error"] == figures["MOD"] == figures["LVE"] == 0
    assert figures["spread"] == figures["speed"] == figures["jerk"] == pytest.approx(1.0)
    half = lip_figures(spoken, [0.5 * spoken[0].oracle])
    assert half["spread"] == half["speed"] == pytest.approx(0.5, abs=1e-3)
    assert half["error"] > 0.1


def test_lip_vertices_move_as_far_as_the_rig_says() -> None:
    rest = np.zeros((3, MOTION_SIZE), np.float32)
    opened = rest.copy()
    opened[:, INDEX["jawOpen"]] = 0.4
    blinked = rest.copy()
    blinked[:, INDEX["eyeBlinkLeft"]] = 1
    wide, shut = lip_vertex_error(opened, rest), lip_vertex_error(blinked, rest)
    assert 25 < wide < 400  # the lower lip goes down by 5 to 20 mm
    assert shut < 1


def test_seams_are_found_where_chunks_meet() -> None:
    smooth = np.zeros((200, MOTION_SIZE), np.float32)
    smooth[:, INDEX["headYaw"]] = np.linspace(0, 1, 200)
    smooth[:, INDEX["jawOpen"]] = np.linspace(0, 1, 200)
    assert seam([smooth], 4)["head seam"] == pytest.approx(1.0, abs=1e-4)
    torn = smooth.copy()
    torn[:, INDEX["headYaw"]] += np.repeat(np.arange(50), 4)
    assert seam([torn], 4)["head seam"] > 10
    assert seam([torn], 4)["mouth seam"] == pytest.approx(1.0, abs=1e-4)


def test_blinks_are_counted_once_each() -> None:
    motion = np.zeros((1_500, MOTION_SIZE), np.float32)
    for start in (100, 400, 900):
        motion[start : start + 3, INDEX["eyeBlinkLeft"]] = 1
    assert blinks_per_minute(motion) == 3


def test_a_mouth_that_is_stuck_wide_open_is_at_its_limit() -> None:
    motion = np.zeros((100, MOTION_SIZE), np.float32)
    motion[:5, INDEX["jawOpen"]] = 1
    motion[:50, INDEX["eyeBlinkLeft"]] = 1
    assert share_at_limit([motion]) == pytest.approx(0.05)


def test_a_head_that_stops_with_the_voice_is_aligned() -> None:
    frames = 500
    times = np.arange(frames)
    motion = np.zeros((frames, MOTION_SIZE), np.float32)
    motion[:, INDEX["headPitch"]] = 0.1 * np.cos(np.pi * times / 20)  # stops every 20 frames
    loud = np.where(times % 20 == 0, 0.5, 0.01)
    noise = np.random.default_rng(0).normal(0, 1, frames * 640)
    samples = (np.repeat(loud, 640) * noise).astype(np.float32)
    with_voice, _ = beat_alignment(motion, samples)
    apart, _ = beat_alignment(np.roll(motion, 10, axis=0), samples)
    assert with_voice > 0.9
    assert apart < 0.2


def test_seeds_differ_in_the_head_alone() -> None:
    rng = np.random.default_rng(0)
    first = np.tile(clip().oracle, (1, 1))
    second = first.copy()
    for motion in (first, second):
        motion[:, INDEX["headPitch"] : INDEX["headRoll"] + 1] = rng.normal(0, 1, (len(first), 3))
    figures = seed_figures([first], [second])
    assert figures["seeds head"] == pytest.approx(1.13, abs=0.1)
    assert figures["seeds lips"] == pytest.approx(1.0)


def test_only_what_was_measured_is_judged() -> None:
    results = Results(figures={"closure": 0.96, "lag size": 40.0}, oracle={"closure": 1.0})
    closed, lag = results.verdicts()
    assert (closed.value, closed.oracle, closed.is_kept) == (0.96, 1.0, True)
    assert (lag.value, lag.oracle, lag.is_kept) == (40.0, None, False)


@pytest.mark.model
def test_motion_is_made_once_for_each_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    voice = [utterance(1).samples[:32_000], utterance(1).samples[:20_480]]
    setting = Setting("model")
    first = generate(setting, voice)
    assert [len(motion) for motion in first] == [50, 32]
    monkeypatch.setattr(Setting, "generator", lambda self: pytest.fail("made again"))
    again = generate(setting, voice)
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before, after)
    with pytest.raises(pytest.fail.Exception):
        generate(setting, voice, seed=1)


@pytest.mark.model
def test_cost_is_shared_out_between_the_graphs_and_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that ticks when it is read: before and after each call that is measured."""
    monkeypatch.setattr(cost_bench, "_ROUNDS", 14)
    monkeypatch.setattr(time, "thread_time", itertools.count().__next__)
    cost = cost_bench.split_cost(Setting("two steps").weights, steps=2, sessions=2)
    # A chunk of two frames for two sessions: one call of the encoder, one of the listener, two of
    # the denoiser.
    assert (cost.encoder, cost.denoiser, cost.listener) == (1000 / 4, 2000 / 4, 1000 / 4)
    assert (cost.total, cost.python) == (9000 / 4, 5000 / 4)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"serving\.json is missing"):
        generate(Setting("none", tmp_path), [np.zeros(640, np.float32)])


def test_the_command_says_how_to_make_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["motion", "--voices", str(tmp_path / "none")])
    assert bench.main() == 1
    assert "make it with --make FOLDER" in capsys.readouterr().err


def test_speech_is_read_by_voice(tmp_path: Path) -> None:
    save_utterances(tmp_path / "one.npz", [utterance(), utterance()])
    speech = bench.read_speech([tmp_path])
    assert {name: len(clips) for name, clips in speech.items()} == {"one": 2}
    assert {name: len(clips) for name, clips in bench.first_clips(speech, 1).items()} == {"one": 1}


def test_held_out_speech_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def speaker(name: str) -> Iterator[Utterance]:
        made.append(name)
        yield utterance(1)

    monkeypatch.setattr(held_out, "_flite", speaker)
    monkeypatch.setattr(held_out, "_kokoro", speaker)
    monkeypatch.setattr(held_out, "recorded_utterances", lambda count: speaker("recorded"))
    held_out.make_held_out(tmp_path)
    names = ["flite-awb", "kokoro-am_fenrir", "kokoro-bf_emma", "recorded-allison"]
    assert sorted(path.stem for path in tmp_path.iterdir()) == names
    assert len(made) == 4
    held_out.make_held_out(tmp_path)
    assert len(made) == 4  # generators that nobody asks make nothing
    assert len(bench.read_speech([tmp_path])["flite-awb"]) == 1


def test_recordings_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "PROMPTS", tmp_path / "none")
    with pytest.raises(recorded.NoRecordingsError, match="asterisk-core-sounds-en-g722"):
        next(recorded.recorded_utterances(1))


def test_room_noise_and_dogs_are_sounds() -> None:
    rng = np.random.default_rng(0)
    noise = sounds.room_noise(32_000, rng=rng)
    assert -46 < 20 * np.log10(np.median(np.abs(noise))) + 3.4 < -40
    bark = np.ones(4_000, np.float32)
    barks = sounds.barking(bark, 160_000, rng=rng)
    assert barks[:8_000].max() == 0 < barks.max() <= 1


def test_words_of_prompts_are_spelt_and_others_passed_over() -> None:
    assert recorded.spoken_words("Press 1, or don't.") == ["press", "one", "or", "don't"]
    assert recorded.spoken_words("[ascending tones]") == []
    assert recorded.spoken_words("Dial 911 now") == []


def test_the_aligner_finds_nothing_in_unknown_words() -> None:
    assert recorded.align(np.zeros(16_000, np.float32), ["qwxzv"]) is None
