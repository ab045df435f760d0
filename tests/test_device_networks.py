"""The networks on a torch device give the motion of those on onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streaming_model.device.graphs import DeviceError, Fixed, bucket, find_device
from streaming_model.device.networks import DeviceNetworks
from streaming_model.errors import ModelFileError
from streaming_model.media import AudioChunk
from streaming_model.motion import MotionGenerator
from streaming_model.motion.networks import MotionNetworks, Networks
from tests.exact_encoder import ExactEncoder

pytestmark = pytest.mark.model
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))
DEVICES = pytest.mark.parametrize("device", ["cpu", GPU])
NEAR = 1e-4  # of a coefficient or radian; on a processor 1e-6 was measured
BLOCK = 640


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def networks(device: str) -> DeviceNetworks:
    return DeviceNetworks(find_device(device))


def voice(blocks: int, seed: int) -> list[AudioChunk]:
    """A buzz whose pitch and loudness move."""
    rng, at = np.random.default_rng(seed), np.arange(blocks * BLOCK) / 16_000
    phase = 2 * np.pi * (110 + 30 * seed) * at + 3 * np.sin(2 * np.pi * 2.1 * at)
    loud = np.clip(np.sin(2 * np.pi * 3.3 * at + seed), 0, 1)
    sound = 0.3 * loud * np.sign(np.sin(phase)) + 0.002 * rng.normal(size=len(at))
    rows = sound.astype(np.float32).reshape(blocks, BLOCK)
    return [AudioChunk(BLOCK * index, row) for index, row in enumerate(rows)]


def spoken(
    model: Networks, seeds: list[int], *, blocks: int = 25, steps: int | None = None
) -> list[NDArray[np.float32]]:
    """Returns the motion of sessions that speak in step."""
    generator = MotionGenerator(model, steps=steps)
    states = [generator.start(seed=seed) for seed in seeds]
    voices = [voice(blocks, seed) for seed in seeds]
    given: list[list[NDArray[np.float32]]] = [[] for _ in seeds]
    for block in range(blocks):
        states, chunks = generator.step(states, [each[block] for each in voices])
        for kept, made in zip(given, chunks, strict=True):
            kept += [chunk.motion for chunk in made]
    return [np.concatenate(each) for each in given]


@DEVICES
@pytest.mark.parametrize("steps", [1, 2])
def test_the_motion_is_that_of_exact_networks(
    device: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_model.motion.networks.StreamingEncoder", ExactEncoder)
    (wanted,) = spoken(MotionNetworks(), [3], steps=steps)
    (found,) = spoken(networks(device), [3], steps=steps)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=NEAR)


@DEVICES
def test_sessions_in_a_batch_move_as_they_do_alone(device: str) -> None:
    together = spoken(networks(device), [0, 1, 2])
    for seed, rows in enumerate(together):
        (alone,) = spoken(networks(device), [seed])
        np.testing.assert_allclose(rows, alone, atol=NEAR)


@DEVICES
def test_a_session_that_joins_changes_nothing_for_the_others(device: str) -> None:
    generator = MotionGenerator(networks(device))
    sound, other = voice(12, 1), voice(12, 2)
    alone, first = generator.start(seed=1), generator.start(seed=1)
    second = generator.start(seed=2)
    for block in range(12):
        (alone,), (wanted,) = generator.step([alone], [sound[block]])
        if block < 4:
            (first,), (found,) = generator.step([first], [sound[block]])
        else:
            (first, second), (found, _) = generator.step(
                [first, second], [sound[block], other[block - 4]]
            )
        assert len(found) == len(wanted)
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(ours.motion, theirs.motion, atol=NEAR)


@DEVICES
def test_batches_made_ready_beforehand_are_used(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = networks(device)
    model.prepare(3, chunk_frames=2, lookahead_frames=2)

    def never(*_: object) -> None:
        raise AssertionError("a session that joined had to wait for a graph")

    monkeypatch.setattr("streaming_model.device.graphs.Fixed.__init__", never)
    assert all(np.isfinite(rows).all() for rows in spoken(model, [4, 5, 6], blocks=8))


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (8, 8), (9, 16)])
def test_batches_come_in_powers_of_two(count: int, size: int) -> None:
    assert bucket(count) == size


@DEVICES
def test_fixed_work_is_done_anew_on_what_is_put(device: str) -> None:
    fixed = Fixed(
        lambda held: [2 * held["x"]], {"x": np.ones((3, 2), np.float32)}, find_device(device)
    )
    np.testing.assert_array_equal(fixed()[0], np.full((3, 2), 2.0))
    fixed.put("x", np.full((2, 2), 5.0, np.float32))
    np.testing.assert_array_equal(fixed()[0], [[10, 10], [10, 10], [2, 2]])


@pytest.mark.parametrize("name", ["tpu", "mps", "cuda:99"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        find_device(name)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"serving\.json"):
        DeviceNetworks(torch.device("cpu"), tmp_path)
