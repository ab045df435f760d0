"""The motion bench: other settings, real mouths, the hour, rendered frames and the report."""

from __future__ import annotations

import json
import shutil
from ctypes.util import find_library
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.motion import endurance, filmed, plots, rendered, report, sweeps
from benchmarks.motion.captured_error import (
    compared,
    energy_mouth,
    lips_apart,
    loudness_mouths,
    mean_face,
    mouth_figures,
)
from benchmarks.motion.clips import Clip, Motion
from benchmarks.motion.contacts import Contact, contacts
from benchmarks.motion.generation import Setting
from benchmarks.motion.misses import miss_tables
from benchmarks.motion.results import Results, Table
from benchmarks.motion.suite import Speech
from streaming_model.motion import MotionStyle
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.captured import Captured
from training.coarticulation import lip_gap
from training.corpus import speak_with_flite

PNG = b"\x89PNG"
PHONES = ("sil", "M", "AA", "M", "AE", "P", "EH", "sil")
FRAMES = 40


def clip() -> Clip:
    """Five frames a phone; the mouth is shut in M and P and open in the vowels."""
    oracle = np.zeros((FRAMES, MOTION_SIZE), np.float32)
    oracle[:, INDEX["jawOpen"]] = np.repeat([0.3 * (p[0] in "AE") for p in PHONES], 5)
    bounds = np.arange(len(PHONES) + 1) * 5 * 640
    samples = np.zeros(FRAMES * 640, np.float32)
    return Clip("v", samples, PHONES, bounds, oracle)


def captured(seed: int = 0) -> Captured:
    rng = np.random.default_rng(seed)
    motion = np.zeros((100, MOTION_SIZE), np.float32)
    motion[:, INDEX["jawOpen"]] = rng.uniform(0, 0.4, 100)
    motion[:, INDEX["eyeBlinkLeft"]] = 1
    mask = np.zeros(MOTION_SIZE, bool)
    mask[INDEX["jawOpen"]] = True
    loud = np.repeat(motion[:, INDEX["jawOpen"]], 640)
    return Captured((loud * rng.normal(0, 1, 64_000)).astype(np.float32), motion, mask)


def test_a_model_is_worse_than_its_teacher_only_where_it_is() -> None:
    assert sweeps.apart("closure", 0.97, 0.90) == 0
    assert sweeps.apart("closure", 0.90, 0.97) == pytest.approx(7)
    assert sweeps.apart("error", 0.3, 0.5) == 0
    assert sweeps.apart("error", 0.6, 0.5) == pytest.approx(20)
    assert sweeps.apart("spread", 0.9, 1.0) == pytest.approx(10)
    assert sweeps.apart("yaw spread", 1.1, 1.0) == pytest.approx(10)


def test_every_setting_is_swept_about_the_default() -> None:
    default = Setting("model", chunk=2, lookahead=2)
    settings = sweeps.settings(default)
    assert settings["default"] == default
    assert [settings[f"lookahead {n}"].lookahead for n in (0, 1, 2, 4)] == [0, 1, 2, 4]
    assert [settings[f"chunk {n}"].chunk for n in (1, 2, 5, 10)] == [1, 2, 5, 10]
    assert {settings[f"steps {n}"].steps for n in (1, 2, 4)} == {1, 2, 4}


def test_a_mean_face_has_error_one_and_the_true_mouth_none() -> None:
    items = [captured(0), captured(1)]
    assert mouth_figures(items, [mean_face(item) for item in items])["error"] == pytest.approx(1)
    exact = mouth_figures(items, [item.motion for item in items])
    assert exact["error"] == 0
    assert exact["correlation"] == exact["spread"] == pytest.approx(1)


def test_a_fit_finds_the_gain_and_the_offset_of_each_coefficient() -> None:
    items, others = [captured(0)], [captured(1), captured(2)]
    moved, learnt = ([2 * item.motion + 0.5 for item in each] for each in (items, others))
    figures = compared(items, moved, others, learnt)
    assert figures["error"] > 3
    assert figures["fitted error"] == pytest.approx(0, abs=1e-6)
    still = compared(items, [mean_face(items[0])], others, [mean_face(o) for o in others])
    assert still["fitted error"] == pytest.approx(1, abs=0.05)


def test_coefficients_that_were_not_seen_do_not_count() -> None:
    item = captured()
    wild = item.motion.copy()
    wild[:, INDEX["mouthFunnel"]] = np.random.default_rng(0).uniform(0, 1, len(wild))
    assert mouth_figures([item], [wild])["error"] == 0


def test_loudness_follows_a_mouth_that_opens_with_it() -> None:
    item = captured()
    assert mouth_figures([item], [energy_mouth(item)])["correlation"] > 0.7


def test_loudness_is_learnt_from_the_other_takes_alone() -> None:
    item, others = captured(0), [captured(1), captured(2)]
    (mouth,) = loudness_mouths([item], others=others)
    assert mouth_figures([item], [mouth])["correlation"] > 0.7
    another = item._replace(motion=1 - item.motion)
    np.testing.assert_array_equal(loudness_mouths([another], others=others)[0], mouth)


def test_drift_is_the_change_and_noise_has_an_error() -> None:
    still = np.ones((60, 4)) * [1, 1.1, 0.9, 1.0]
    assert endurance.drift(still)["last over first"] == pytest.approx(1)
    fading = still * np.linspace(1, 0.7, 60)[:, None]
    figures = endurance.drift(fading)
    assert figures["last over first"] == pytest.approx(0.7)
    assert figures["by the line"] == pytest.approx(0.7)
    assert 0.03 < figures["standard error"] < 0.1


def test_rendered_lips_are_judged_by_what_is_seen() -> None:
    spoken = clip()
    commanded = lip_gap(spoken.oracle).astype(np.float64)
    seen = 1.0 + 10 * commanded  # a ruler that never reads zero
    kept = rendered.rendered_figures([spoken], [spoken.oracle], [seen])
    assert (kept["closure"], kept["false closure"]) == (1.0, 0.0)
    assert kept["correlation"] == pytest.approx(1)
    assert kept["lag"] == 0
    never_shut = np.maximum(seen, 3.0)
    never_shut[:3] = 1.0
    assert rendered.rendered_figures([spoken], [spoken.oracle], [never_shut])["closure"] == 0
    lost = seen.copy()
    lost[7] = np.nan
    assert (
        rendered.rendered_figures([spoken], [spoken.oracle], [lost])["frames without a face"] == 1
    )


def test_misses_are_grouped_by_phone_neighbours_and_length() -> None:
    def contact(phone: str, after: str, *, met: bool) -> Contact:
        return Contact("v", phone, "AA", after, 0.05, 0.0 if met else 0.5, met, met)

    found = [contact("P", "T", met=False)] * 4 + [contact("P", "AA", met=True)] * 12
    closing, _ = miss_tables(found)
    assert closing.rows["P"]["closure"] == pytest.approx(0.75)
    assert closing.rows["vowel _ consonant"]["closure"] == 0
    assert closing.rows["vowel _ vowel"]["closure"] == 1
    assert closing.rows["vowel _ consonant"]["missed by gap"] == 0.5
    assert closing.rows["shorter than  60 ms"]["phones"] == 16


def test_plots_are_pictures() -> None:
    spoken = clip()
    found = contacts(spoken, spoken.oracle)
    rows = {"lookahead 0": {"closure": 0.5, "bite": 0.5, "false closure": 0, "correlation": 0.5}}
    for png in (
        plots.opening_plot(spoken, {"oracle": spoken.oracle}),
        plots.phone_plot(found, found),
        plots.sweep_plot(rows),
        plots.head_plot([spoken.oracle, spoken.oracle]),
        plots.minutes_plot(np.ones((5, 2, 3)), endurance.MEASURES),
    ):
        assert png.startswith(PNG)


def test_the_report_holds_everything_and_marks_what_is_missed(tmp_path: Path) -> None:
    results = Results(
        tables=[Table("Lips <all>", {"model": {"closure": 0.5, "lag": float("nan")}}, "a note")],
        figures={"closure": 0.5, "cost": 1.0},
        oracle={"closure": 1.0},
        notes=["dog: none"],
        pictures={"Opening": PNG},
    )
    report.write_report(tmp_path / "out", results, about="Weights x.")
    page = (tmp_path / "out" / "index.html").read_text()
    for words in ("Lips &lt;all&gt;", "50.0 %", "a note", "dog: none", "MISSED", "Weights x."):
        assert words in page
    assert "1 of 2 limits are missed" in page
    assert "http:" not in page
    assert "https:" not in page
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["tables"]["Lips <all>"]["model"] == {"closure": 0.5, "lag": None}
    assert [limit["kept"] for limit in figures["limits"]] == [False, True]
    assert "Lips <all>,model,closure,0.5" in (tmp_path / "out" / "tables.csv").read_text()


def test_a_jaw_that_means_the_lips_distance_is_compared_with_ours() -> None:
    motion = np.zeros((2, MOTION_SIZE), np.float32)
    motion[:, INDEX["jawOpen"]] = 0.3
    motion[1, INDEX["mouthClose"]] = 0.3
    seen = np.zeros(MOTION_SIZE, bool)
    converted = lips_apart(motion, seen)
    assert converted[:, INDEX["jawOpen"]].tolist() == pytest.approx([0.3, 0.0])
    seen[INDEX["mouthClose"]] = True
    assert lips_apart(motion, seen) is motion


@pytest.mark.model
def test_clips_are_films_with_a_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path / "cache"))
    sound = np.zeros(16_000, np.float32)
    scene = filmed.Scene("happy", sound, MotionStyle(emotion="happy"))
    monkeypatch.setattr(filmed, "scenes", lambda spoken: iter([scene]))
    results = Results()
    doing = list(filmed.film_scenes(results, Setting("model"), [], tmp_path / "clips"))
    assert doing == ["clip, happy"]
    assert results.pictures["Clip, happy"].startswith(PNG)
    with av.open(str(tmp_path / "clips" / "happy.mp4")) as film:
        assert len(list(film.decode(video=0))) == 25


@pytest.mark.skipif(
    shutil.which("flite") is None or find_library("espeak-ng") is None,
    reason="needs Flite and eSpeak NG",
)
def test_every_scene_has_its_sound_and_its_style() -> None:
    spoken = [speak_with_flite("Good morning, my friend.", voice="slt")]
    made = {scene.name: scene for scene in filmed.scenes(spoken)}
    assert list(made) == [
        "neutral", "happy", "sad", "angry", "surprised", "whispering", "fast", "German",
        "Mandarin", "singing",
    ]  # fmt: skip
    assert made["angry"].style.emotion == "angry"
    assert made["whispering"].style.whisper == 1
    assert all(np.abs(scene.samples).max() > 0.01 for scene in made.values())
    assert len(made["singing"].samples) > len(made["neutral"].samples)


def test_the_worst_figure_against_the_teacher_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = clip()
    good, timid = spoken.oracle, 0.9 * spoken.oracle
    made = {"model": [timid], "teacher": [good]}
    asked = []

    def motions_of(setting: Setting, speech: Speech, *, seed: int) -> dict[str, list[Motion]]:
        asked.append((setting.name, seed))
        return {"v": made[setting.name]}

    monkeypatch.setattr(sweeps, "motions_of", motions_of)
    results = Results()
    list(
        sweeps.measure_teacher(
            results, Setting("model"), Setting("teacher", steps=25), {"v": [spoken]}
        )
    )
    assert sorted(asked) == [(name, seed) for name in ("model", "teacher") for seed in range(4)]
    _, worse = results.tables
    assert worse.rows["model"]["spread %"] == pytest.approx(10, abs=0.5)
    assert results.figures["from teacher %"] >= worse.rows["model"]["spread %"]
