"""Serving on a torch device: whole sessions, and what is said where there is no card."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from server import device as device_module
from server.cli import main
from server.clock import MonotonicClock
from server.config import Settings, SettingsError
from server.device import DeviceMissingError, avatar_on, count_cards, device_of, motion_on
from server.engine import DeviceInference
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar
from streaming_model.backdrop import Backdrop
from streaming_model.media import AudioChunk, VideoFrame
from streaming_model.portrait import Portrait, make_portrait
from tests.exact_encoder import ExactEncoder
from tests.test_device_networks import voice

LEVELS = 2  # by which a pixel may differ
SETTINGS = Settings(size=256)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def portrait() -> Portrait:
    return make_portrait(BUILTIN_PORTRAIT)


@cache
def avatar(name: str, folder: Path) -> Avatar:
    device = torch.device("cpu") if name == "torch" else None
    return avatar_on(device, portrait(), motion_on(device, SETTINGS), SETTINGS, cache_dir=folder)


async def session(
    engine: DeviceInference, shown: Avatar, seed: int, sound: list[AudioChunk]
) -> list[VideoFrame]:
    state, frames = shown.start(seed=seed), list[VideoFrame]()
    moved = state.motion
    for index, chunk in enumerate(sound):
        moved, motion = await engine.step(shown.motion, moved, chunk, due=index)
        for each in motion:
            state, drawn = await engine.draw(shown, state, each, due=index)
            frames += drawn
    return frames


@pytest.mark.model
async def test_sessions_in_batches_show_what_processors_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_model.motion.networks.StreamingEncoder", ExactEncoder)
    shown, wanted = avatar("torch", tmp_path), avatar("processor", tmp_path)
    sounds = [
        voice(10, seed)[2 * seed :] for seed in range(3)
    ]  # later ones are shorter: they leave
    sounds = [
        [AudioChunk(640 * index, chunk.samples) for index, chunk in enumerate(sound)]
        for sound in sounds
    ]
    with ThreadPoolExecutor(1) as worker:
        engine = DeviceInference(worker, MonotonicClock(), most=4)
        found = await asyncio.gather(
            *(session(engine, shown, seed, sound) for seed, sound in enumerate(sounds))
        )
    for seed, (frames, sound) in enumerate(zip(found, sounds, strict=True)):
        alone = list(wanted.stream(sound, seed=seed))[: len(frames)]
        assert len(frames) >= 2
        assert [frame.start for frame in frames] == [frame.start for frame in alone]
        for frame, other in zip(frames, alone, strict=True):
            difference = np.abs(frame.image.astype(int) - other.image.astype(int))
            assert (difference <= LEVELS).mean() > 0.999
            assert difference.mean() < 0.1


@pytest.mark.model
def test_another_backdrop_has_a_canvas_of_its_own(tmp_path: Path) -> None:
    plain = avatar("torch", tmp_path)
    bare = plain.with_backdrop(Backdrop.parse("transparent"))
    sound = voice(6, 1)
    (frame, *_), (other, *_) = list(bare.stream(sound)), list(plain.stream(sound))
    assert frame.image.shape == (256, 256, 4)
    assert other.image.shape == (256, 256, 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_is_not_there_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["serve", "--device", "cuda", "--port", "0", "--cache-dir", str(tmp_path)])
    said = capsys.readouterr().err
    assert status == 2
    assert said.count("\n") == 1
    assert "'cuda' was asked for" in said
    assert "no CUDA cards" in said


def test_without_torch_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(DeviceMissingError, match=r"vivant\[gpu\]"):
        device_of("cuda")


def test_processors_need_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "count_cards", lambda: 0)
    assert device_of("auto") is None
    monkeypatch.setattr(device_module, "count_cards", lambda: 1)
    assert device_of("cpu") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_card_that_torch_cannot_use_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device_module, "count_cards", lambda: 1)
    assert device_of("auto") is None
    assert "it is not used" in caplog.text


def test_cards_are_counted_without_torch() -> None:
    assert count_cards() >= torch.cuda.device_count()


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="cpu, cuda"):
        Settings.load(_flags(name))


def test_a_certain_card_can_be_named() -> None:
    assert Settings.load(_flags("CUDA:1")).device == "cuda:1"


def _flags(device: str) -> argparse.Namespace:
    return argparse.Namespace(device=device)
