"""The mouth of the filmed people: its shapes, how it is blended in, and who asks for it."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from streaming_model.errors import ModelFileError
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, MotionStyle, load_motion_generator
from streaming_model.motion.filmed import FILE, OFFSETS, PAST, FilmedMouth, load_filmed, mean_mel
from streaming_model.motion.networks import DEFAULT_FOLDER, MotionNetworks
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training import filmed_stage
from training.captured import Captured
from training.filmed_stage import (
    FilmedTask,
    left_out_errors,
    make_filmed,
    mouth_error,
    save_filmed,
    train_filmed,
)
from training.filmed_takes import Hearing, Take, has_pucker, mouth_channels, windows_of

Floats = NDArray[np.float32]
JAW, CLOSE, PUCKER = INDEX["jawOpen"], INDEX["mouthClose"], INDEX["mouthPucker"]
SEEN = np.isin(np.arange(MOTION_SIZE), [JAW, PUCKER])
AUDIO = 6


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes like these teach as well in few copies and small batches."""
    monkeypatch.setattr(filmed_stage, "COPIES", 2)
    monkeypatch.setattr(filmed_stage, "_BATCH", 128)


def saved(folder: Path, *, seed: int = 0) -> tuple[FilmedTask, FilmedMouth]:
    torch.manual_seed(seed)
    task = FilmedTask(len(OFFSETS) * (AUDIO + 80), 2, hidden=8).eval()
    save_filmed(task, mouth_channels(SEEN), folder / FILE)
    mouth = load_filmed(folder, audio_size=AUDIO)
    assert mouth is not None
    return task, mouth


@pytest.mark.parametrize(("frames", "lookahead"), [(1, 0), (2, 1), (2, 2), (5, 4)])
def test_serving_gives_what_training_made(tmp_path: Path, frames: int, lookahead: int) -> None:
    task, mouth = saved(tmp_path)
    drawn = np.random.default_rng(1).normal(0, 1, (frames + lookahead, AUDIO + 80))
    heard = drawn.astype(np.float32)
    with torch.no_grad():
        wanted = task(torch.from_numpy(windows_of(heard, ahead=min(lookahead, 2)))).clamp(0, 1)
    padded = np.concatenate([np.zeros((PAST, AUDIO + 80), np.float32), heard])[None]
    audio, sound = padded[..., :AUDIO], padded[..., AUDIO:]
    shapes = mouth.shapes(audio, sound, frames=frames, lookahead=lookahead)
    assert shapes.shape == (1, frames, 2)
    np.testing.assert_allclose(shapes[0], wanted[:frames], atol=2e-3)


def test_half_of_it_is_half_of_the_way_and_its_lips_close_by_the_jaw(tmp_path: Path) -> None:
    _, mouth = saved(tmp_path)
    motion = np.full((1, 3, MOTION_SIZE), 0.2, np.float32)
    shapes = np.full((1, 3, 2), 0.6, np.float32)
    blended = mouth.blend(motion, shapes, np.array([[0.0, 0.5, 1.0]], np.float32))
    np.testing.assert_allclose(blended[0, :, JAW], [0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(blended[0, :, CLOSE], [0.2, 0.1, 0.0], atol=1e-6)
    others = np.setdiff1d(np.arange(MOTION_SIZE), [JAW, PUCKER, CLOSE])
    assert (blended[..., others] == np.float32(0.2)).all()


def test_a_folder_without_the_file_has_none_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    assert load_filmed(tmp_path, audio_size=AUDIO) is None
    _, mouth = saved(tmp_path)
    with pytest.raises(ModelFileError, match="for 602 numbers, not 616"):
        load_filmed(tmp_path, audio_size=AUDIO + 2)
    parts = {name: getattr(mouth, name) for name in FilmedMouth.__slots__}
    save_file({**parts, "channels": np.array([3, MOTION_SIZE], np.int32)}, tmp_path / FILE)
    with pytest.raises(ModelFileError, match="no motion"):
        load_filmed(tmp_path, audio_size=AUDIO)
    (tmp_path / FILE).write_bytes(b"nonsense")
    with pytest.raises(ModelFileError, match="damaged"):
        load_filmed(tmp_path, audio_size=AUDIO)


def test_the_sound_of_a_frame_is_the_mean_of_its_windows() -> None:
    mel = np.random.default_rng(0).normal(0, 1, (2, 12, 80)).astype(np.float32)
    np.testing.assert_allclose(mean_mel(mel)[1, 2], mel[1, 8:12].mean(axis=0), atol=1e-6)


class Mouth:
    """Stands for the network: opens the jaw by a fifth, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.channels = np.array([JAW], np.int32)

    def shapes(self, audio: Floats, sound: Floats, *, frames: int, lookahead: int) -> Floats:
        assert audio.shape[1] == sound.shape[1] == PAST + frames + lookahead
        self.asked += 1
        return np.full((len(audio), frames, 1), 0.2, np.float32)

    blend = FilmedMouth.blend


def with_mouth() -> tuple[MotionGenerator, Mouth]:
    networks = MotionNetworks()
    networks.presence = None
    networks.filmed = mouth = Mouth()  # type: ignore[assignment]
    return MotionGenerator(networks), mouth


def noise(frames: int) -> Floats:
    sound = np.random.default_rng(3).normal(0, 0.1, frames * SAMPLES_PER_MOTION_FRAME)
    return sound.astype(np.float32)


def moved(generator: MotionGenerator, style: MotionStyle) -> Floats:
    _, (chunks,) = generator.step(
        [generator.start(seed=1, style=style)], [AudioChunk(0, noise(24))]
    )
    return np.concatenate([each.motion for each in chunks])


@pytest.mark.model
def test_only_who_asks_for_it_has_it_and_only_they_pay_for_it() -> None:
    generator, mouth = with_mouth()
    plain = moved(generator, MotionStyle())
    assert mouth.asked == 0
    np.testing.assert_array_equal(plain, moved(nobody_filmed(), MotionStyle()))
    filmed = moved(generator, MotionStyle(captured=1.0))
    assert mouth.asked == 11
    np.testing.assert_allclose(filmed[:, JAW] - filmed[:, CLOSE], 0.2, atol=0.01)


@lru_cache(maxsize=1)
def nobody_filmed() -> MotionGenerator:
    networks = MotionNetworks()
    networks.presence, networks.filmed = None, None
    return MotionGenerator(networks)


@pytest.mark.model
def test_it_comes_within_half_a_second_and_not_at_once() -> None:
    generator, _ = with_mouth()
    state = generator.start(seed=1)
    (state,), _ = generator.step([state], [AudioChunk(0, noise(24))])
    state = generator.restyle(state, MotionStyle(captured=1.0))
    silence = np.zeros(30 * SAMPLES_PER_MOTION_FRAME, np.float32)
    _, (chunks,) = generator.step([state], [AudioChunk(state.received, silence)])
    motion = np.concatenate([each.motion for each in chunks])
    gap = motion[:, JAW] - motion[:, CLOSE]
    assert abs(gap[14:] - 0.2).max() < 0.03
    assert np.abs(np.diff(gap)).max() < 0.12


@pytest.mark.model
def test_cuts_of_the_sound_make_no_difference() -> None:
    generator = load_motion_generator()
    assert (DEFAULT_FOLDER / FILE).exists()
    style, sound = MotionStyle(captured=1.0), noise(30)
    _, (whole,) = generator.step([generator.start(seed=1, style=style)], [AudioChunk(0, sound)])
    state, pieces = generator.start(seed=1, style=style), []
    for part in (sound[:3_000], sound[3_000:9_999], sound[9_999:]):
        (state,), (chunks,) = generator.step([state], [AudioChunk(state.received, part)])
        pieces += chunks
    np.testing.assert_array_equal(
        np.concatenate([each.motion for each in pieces]),
        np.concatenate([each.motion for each in whole]),
    )


def take(seed: int, *, weight: float = 1.0) -> Take:
    """A mouth that opens to the first of the numbers heard."""
    heard = np.random.default_rng(seed).normal(0, 1, (400, AUDIO + 80)).astype(np.float32)
    mouth = np.stack([0.4 + 0.1 * heard[:, 0], 0.4 - 0.1 * heard[:, 0]], axis=1)
    return Take((Hearing(heard, mouth),), weight)


@pytest.mark.wide
@pytest.mark.usefixtures("quickly")
def test_it_learns_what_takes_have_in_common() -> None:
    takes = [take(0), take(1), take(2, weight=0.5)]
    errors = left_out_errors(takes, seed=0, checks=(50, 400))
    assert errors.shape == (3, 2)
    assert (errors[:, 1] < 0.75).all() and (errors[:, 1] < errors[:, 0] - 0.1).all()
    first, again = (next(train_filmed(takes, checks=(50,), seed=0, puckers=True)) for _ in range(2))
    assert mouth_error(first, takes[0]) == mouth_error(again, takes[0])


@pytest.mark.usefixtures("quickly")
def test_a_take_that_does_not_count_teaches_nothing() -> None:
    wrong = Take((Hearing(take(5).hearings[0].heard, np.full((400, 2), 0.9, np.float32)),), 0.0)
    (task,) = train_filmed([take(0), wrong], checks=(300,), seed=0, puckers=True)
    with torch.no_grad():
        given = task(torch.from_numpy(windows_of(take(6).hearings[0].heard))).numpy()
    assert abs(float(given.mean()) - 0.4) < 0.05


@pytest.mark.wide
@pytest.mark.usefixtures("quickly")
def test_two_ways_to_round_lips_are_told_and_not_heard() -> None:
    """The same sound moves one number in some takes, and the other one in the others."""
    takes = []
    for seed in range(4):
        ((heard, mouth),), puckers = take(seed).hearings, seed % 2 == 0
        moved = np.where([puckers, not puckers], mouth, 0.0).astype(np.float32)
        takes.append(Take((Hearing(heard, moved),), puckers=puckers))
    errors = left_out_errors(takes, seed=0, checks=(400,))
    assert (errors < 2).all()  # of what moves about 0.4; told the other way it would be over 30
    for puckers in (True, False):
        (task,) = train_filmed(takes, checks=(300,), seed=0, puckers=puckers)
        with torch.no_grad():
            given = task(torch.from_numpy(windows_of(take(7).hearings[0].heard))).numpy()
        moved, still = given[:, :: 1 if puckers else -1].mean(axis=0)
        assert abs(still) < 0.1 and abs(moved - 0.4) < 0.1


def item(rng: np.random.Generator, *, moves: int) -> Captured:
    opening = np.repeat(rng.uniform(0, 1, 10), 8).astype(np.float32)
    sound = rng.normal(0, 0.1, 80 * 640) * np.repeat(opening, 640)
    motion = np.zeros((80, MOTION_SIZE), np.float32)
    motion[:, moves] = opening
    return Captured(sound.astype(np.float32), motion, SEEN)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("most", [JAW, PUCKER])
def test_lips_are_rounded_as_in_most_of_the_film(
    tmp_path: Path, most: int, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DEFAULT_FOLDER / "encoder", tmp_path / "encoder")
    rng = np.random.default_rng(0)
    items = [item(rng, moves=moves) for moves in (most, most, JAW + PUCKER - most)]
    assert [has_pucker(each) for each in items].count(most == PUCKER) == 2
    make_filmed(tmp_path, items, ["a", "a", "a"], seed=0, checks=(5,))
    told = "with puckers" if most == PUCKER else "without puckers"
    assert f"5 of 5 steps, {told}\n" in capsys.readouterr().out


@pytest.mark.usefixtures("quickly")
def test_one_command_fits_it_to_takes(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(DEFAULT_FOLDER / "encoder", folder / "encoder")
    rng = np.random.default_rng(0)
    items = [item(rng, moves=JAW) for _ in range(2)]
    with pytest.raises(ValueError, match="two takes or more"):
        make_filmed(folder, items[:1], ["a"], seed=0)
    make_filmed(folder, items, ["a", "a"], seed=0, checks=(20,))
    size = json.loads((DEFAULT_FOLDER / "serving.json").read_text())["audio_size"]
    mouth = load_filmed(folder, audio_size=size)
    assert mouth is not None
    assert sorted(mouth.channels.tolist()) == sorted([JAW, PUCKER])
