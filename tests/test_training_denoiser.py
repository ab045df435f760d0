"""A denoiser taught again on the encoder it has: teacher, student, and how far they move."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from streaming_model.motion import load_motion_generator
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.networks import DEFAULT_FOLDER, read_settings
from streaming_model.motion.smoothing import LOW_PASS
from streaming_model.motion.style import STYLE_NAMES, Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE, POSE
from training import motion_stage, spread
from training.__main__ import main
from training.corpus.utterances import Utterance
from training.dataset import STREAM_FRAMES, Stream
from training.denoiser_run import serve_in, shorten, train_denoiser, write_both
from training.export import write_gains
from training.logs import TrainingLog
from training.spread import (
    Moved,
    head_gains,
    low_pass,
    made_motion,
    moved,
    shown_spread,
    some_speech,
    student_gains,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its exporter


@pytest.fixture(autouse=True)
def small_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """How well it learns, and how well the spread of a slow head is known, is not looked at."""
    monkeypatch.setattr(spread, "_SEEDS", 1)
    monkeypatch.setattr(motion_stage, "BATCH", 4)


def moving_stream(seed: int) -> Stream:
    rng = np.random.default_rng(seed)
    motion = np.zeros((STREAM_FRAMES, NETWORK_SIZE), np.float16)
    for name in ("headYaw", "headPitch", "headRoll", "headX", "headY", "headZ", "jawOpen"):
        motion[:, INDEX[name]] = 0.05 * np.sin(np.arange(STREAM_FRAMES) / rng.uniform(5, 20))
    return Stream(
        mel=rng.normal(-0.5, 0.5, (4 * STREAM_FRAMES, 80)).astype(np.float16),
        phones=rng.integers(0, 40, (STREAM_FRAMES, 2)).astype(np.int8),
        motion=motion,
        mask=np.ones(NETWORK_SIZE, bool),
        style=np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16),
        activity=Activity.SPEAK,
    )


def spoken(voice: str, seconds: float) -> Utterance:
    rng = np.random.default_rng(len(voice))
    samples = rng.normal(0, 0.05, int(16_000 * seconds)).astype(np.float32)
    return Utterance(samples, np.array([5]), np.array([0, len(samples)]), voice, "text")


def test_teacher_and_student_are_made_on_the_folders_own_encoder(tmp_path: Path) -> None:
    folder, work = tmp_path / "model", tmp_path / "work"
    shutil.copytree(DEFAULT_FOLDER, folder)
    work.mkdir()
    streams = [moving_stream(seed) for seed in range(2)]
    with TrainingLog(work / "log") as log:
        teacher, student = train_denoiser(
            folder,
            streams,
            work=work,
            seconds=1.0,
            seed=1,
            log=log,
            device=torch.device("cpu"),
        )
    voices = some_speech([spoken("flite-slt", 1.5), spoken("kokoro-a", 1.0)])
    write_both(
        folder, teacher, student, beside=work / "teacher", streams=streams, voices=voices, seed=2
    )
    for place, steps in ((folder, 1), (work / "teacher", 25)):
        encoder = "encoder/diffusion_pytorch_model.safetensors"
        assert (place / encoder).read_bytes() == (DEFAULT_FOLDER / encoder).read_bytes()
        assert str(tmp_path) not in (place / "denoiser" / "config.json").read_text("utf-8")
        settings = read_settings(place / "serving.json")
        assert settings.steps == load_motion_generator(place).steps == steps
        assert (settings.gain[POSE] >= 1).all() and (settings.gain[MOTION_SIZE:] == 1).all()
        assert all(a <= b <= a + 0.08 for a, b in zip(LOW_PASS, settings.low_pass, strict=True))
    weights = "denoiser/diffusion_pytorch_model.safetensors"
    made = {(place / weights).read_bytes() for place in (folder, work / "teacher", DEFAULT_FOLDER)}
    assert len(made) == 3


def test_a_teachers_head_moves_as_far_as_it_is_to_and_its_mouth_as_it_did() -> None:
    made = Moved(*(np.full(MOTION_SIZE, value) for value in (0.5, 0.1, 0.02)))
    gains = np.array(head_gains(made, wanted=np.array([1.0, 0.25, 9.0, 0.5, 0.5, 0.5])))
    np.testing.assert_allclose(gains[POSE], [2.0, 1.0, 3.5, 1.0, 1.0, 1.0])
    assert (np.delete(gains, np.arange(NETWORK_SIZE)[POSE]) == 1).all()


def test_a_student_moves_as_much_as_its_teacher() -> None:
    far, fast, shaken = (np.full(MOTION_SIZE, value) for value in (0.5, 0.1, 0.02))
    teacher = Moved(far.copy(), fast.copy(), shaken)
    gains = head_gains(teacher, wanted=np.full(6, 1.0))
    far[INDEX["headYaw"]], fast[INDEX["headYaw"]] = 0.4, 0.2  # how fast is the low-pass's affair
    far[INDEX["browOuterUpLeft"]], far[INDEX["browInnerUp"]] = 0.45, 0.6
    far[INDEX["browDownLeft"]], far[INDEX["jawOpen"]] = 0.0, 0.2
    given = np.array(student_gains(Moved(far, fast, shaken), teacher=teacher, gains=gains))
    assert given[INDEX["headPitch"]] == pytest.approx(2.0)
    assert given[INDEX["headYaw"]] == pytest.approx(2.0 / 0.8)
    assert given[INDEX["browOuterUpLeft"]] == pytest.approx(1 / 0.9)
    for name in ("browInnerUp", "browDownLeft", "jawOpen"):  # enough, none, the mouth's
        assert given[INDEX[name]] == 1.0


def test_speech_of_each_engine_is_equally_long_with_pauses() -> None:
    slt, rms, joe = spoken("flite-slt", 1.0), spoken("flite-rms", 1.0), spoken("joe", 40.0)
    flite, piper = some_speech([slt, rms, joe])
    assert len(flite) == len(piper) == 2 * (6_400 + 16_000)
    assert not flite[:6_400].any() and not flite[22_400:28_800].any()
    np.testing.assert_array_equal(flite[6_400:22_400], slt.samples)
    np.testing.assert_array_equal(flite[28_800:], rms.samples)


def test_there_are_up_to_four_clips_of_each_engine() -> None:
    slt, joe = spoken("flite-slt", 40.0), spoken("joe", 70.0)
    clips = some_speech([slt, joe])
    assert [len(clip) for clip in clips] == [12 * 16_000] * 6
    for made, each in ((clips[:3], slt), (clips[3:], joe)):
        heard = np.concatenate(made)[6_400:]
        np.testing.assert_array_equal(heard, each.samples[: len(heard)])
    assert len(some_speech([spoken("joe", 70.0)])) == 4


def test_what_a_model_moves_does_not_depend_on_its_gains(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_FOLDER, folder)
    voices = some_speech([spoken("joe", 1.0)])
    before = made_motion(folder, voices, seed=3)
    write_gains(folder / "serving.json", [2.0] * NETWORK_SIZE, low_pass=(0.3, 0.2))
    np.testing.assert_array_equal(made_motion(folder, voices, seed=3), before)
    assert (moved(before).spread[POSE] > 0).all() and (moved(before).speed[POSE] > 0).all()


def test_a_trembling_head_is_given_a_longer_low_pass_than_its_teachers() -> None:
    times = np.arange(600)[:, None] / 25
    calm = np.sin(times + np.arange(MOTION_SIZE))[None].astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1, calm.shape).astype(np.float32)
    teacher = moved(calm + 0.03 * noise)
    assert low_pass(calm + 0.03 * noise, teacher=teacher) == LOW_PASS
    shakier = calm + 0.05 * noise
    head, face = low_pass(shakier, teacher=teacher)
    assert 0.08 < head < 0.16 and 0.04 < face < 0.12
    shown = moved(shakier, low_pass=(head, face))
    for part in (POSE, INDEX["browInnerUp"]):
        assert shown.jerk[part].mean() < 1.02 * teacher.jerk[part].mean()
    shakier[..., POSE] = calm[..., POSE] + 0.03 * noise[..., POSE]  # each part has its own
    assert low_pass(shakier, teacher=teacher) == (0.08, face)
    assert low_pass(calm + noise, teacher=teacher) == (0.16, 0.12)  # what no filter takes away


def test_a_head_that_wanders_slowly_counts_for_what_it_moves_in_a_clip() -> None:
    scale = np.ones(NETWORK_SIZE, np.float32)
    quick = moving_stream(0)
    slow = moving_stream(0)
    frames = np.arange(STREAM_FRAMES)
    quick.motion[:, INDEX["headYaw"]] = np.sin(2 * np.pi * frames / 50)
    slow.motion[:, INDEX["headYaw"]] = np.where(frames < STREAM_FRAMES // 2, 1.0, -1.0)
    assert shown_spread([quick], scale)[1] == pytest.approx(np.sqrt(0.5), rel=0.01)
    assert shown_spread([slow], scale)[1] == 0


def test_a_model_is_served_in_fewer_steps_with_as_much_motion(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_FOLDER, folder)
    voices = some_speech([spoken("joe", 3.0)])
    write_gains(folder / "serving.json", [1.0] * NETWORK_SIZE, steps=4)
    before = moved(made_motion(folder, voices, seed=3))
    serve_in(folder, 1, voices=voices, seed=3)
    settings = read_settings(folder / "serving.json")
    assert settings.steps == load_motion_generator(folder).steps == 1
    after = moved(made_motion(folder, voices, seed=3), low_pass=settings.low_pass)
    within = (settings.gain[POSE] > 1) & (settings.gain[POSE] < 3.5)
    assert within.any()
    far = settings.gain[POSE] * after.spread[POSE] / before.spread[POSE]
    np.testing.assert_allclose(far[within], 1, atol=1e-3)


def test_one_step_is_taught_what_two_do_and_moves_as_much(tmp_path: Path) -> None:
    folder, work = tmp_path / "model", tmp_path / "work"
    shutil.copytree(DEFAULT_FOLDER, folder)
    work.mkdir()
    write_gains(folder / "serving.json", [1.0] * NETWORK_SIZE, low_pass=(0.09, 0.05), steps=2)
    elder, voices = folder / "denoiser", some_speech([spoken("joe", 2.0)])
    before = {path.name: path.read_bytes() for path in elder.iterdir()}
    with TrainingLog(work / "log") as log:
        shorten(
            folder,
            [moving_stream(seed) for seed in range(2)],
            work=work,
            seconds=4.0,
            voices=voices,
            seed=3,
            log=log,
            device=torch.device("cpu"),
        )
    kept = {path.name: path.read_bytes() for path in (work / "elder" / "denoiser").iterdir()}
    assert kept == before, "the folder as it was stays beside"
    weights = "diffusion_pytorch_model.safetensors"
    assert (folder / "denoiser" / weights).read_bytes() != before[weights]
    settings = read_settings(folder / "serving.json")
    assert settings.steps == load_motion_generator(folder).steps == 1
    assert settings.low_pass == (0.09, 0.05)
    assert (settings.gain[POSE] >= 1).all() and (settings.gain[MOTION_SIZE:] == 1).all()


def test_only_one_step_is_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["steps", str(tmp_path), "2", "--max-seconds", "5", "--corpus", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["training", *asked])
    with pytest.raises(SystemExit, match="Only one step is taught anything, not 2"):
        main()
