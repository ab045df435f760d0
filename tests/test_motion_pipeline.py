"""The shipped weights in diffusers' form: they load, save, and are the graphs that serve."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from streaming_model.audio.features import stream_features
from streaming_model.audio.streaming_encoder import StreamingEncoder
from streaming_model.integers import Kind
from streaming_model.motion.denoiser import DenoiserInputs
from streaming_model.motion.networks import DEFAULT_FOLDER, Condition, MotionNetworks
from streaming_model.motion.pipeline import MotionPipeline
from streaming_model.motion.sampler import sample
from streaming_model.motion_space import MOTION_SIZE
from tests.exact_encoder import ExactEncoder

pytestmark = pytest.mark.model


@lru_cache(maxsize=1)
def pipeline() -> MotionPipeline:
    loaded: MotionPipeline = MotionPipeline.from_pretrained(DEFAULT_FOLDER, dtype=torch.float32)
    return loaded


def condition(batch: int, new: int, look: int) -> Condition:
    rng, settings = np.random.default_rng(0), MotionNetworks().settings
    history = settings.history_frames
    return Condition(
        history=rng.normal(0, 1, (batch, history, len(settings.scale))).astype(np.float32),
        history_known=np.ones((batch, history), np.float32),
        audio=rng.normal(0, 1, (batch, history + new + look, settings.audio_size)).astype("f4"),
        style=np.zeros((batch, len(settings.style_names)), np.float32),
        activity=np.zeros(batch, np.int64),
    )


def torch_inputs(told: Condition) -> DenoiserInputs:
    none = torch.zeros(len(told.style))
    names = ("history", "history_known", "audio", "style", "activity")
    given = {name: torch.from_numpy(getattr(told, name)) for name in names}
    return DenoiserInputs(**given, history_noise=none, step_size=none, guidance=none)


@pytest.mark.parametrize(
    ("new", "look", "steps", "guidance"),
    [(1, 1, 1, 0.0), (2, 2, 1, 0.0), (2, 2, 2, 0.5), (2, 0, 4, 0.0), (5, 8, 1, 1.0)],
)
@torch.no_grad()
def test_the_served_sampler_equals_the_pipelines(
    new: int, look: int, steps: int, guidance: float
) -> None:
    networks, told = MotionNetworks(guidance=guidance), condition(3, new, look)
    size = len(networks.settings.scale)
    noise = np.random.default_rng(1).normal(0, 1, (3, new, size)).astype(np.float32)
    served = sample(noise, lambda x, t, step: networks.denoise(x, t, step, told), steps=steps)
    inputs = replace(torch_inputs(told), guidance=torch.full((3,), guidance))
    reference = pipeline().denoise(torch.from_numpy(noise), inputs, steps=steps)
    np.testing.assert_allclose(served, reference.numpy(), atol=3e-4)


@pytest.mark.parametrize("frames", [1, 2, 5])
@torch.no_grad()
def test_the_served_encoder_is_the_pipelines_but_for_rounding(frames: int) -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, 20 * 640).astype(np.float32)
    mel = stream_features(samples)
    reference = pipeline().encoder.encode(torch.from_numpy(mel)[None])[0].numpy()
    served = MotionNetworks()
    state, rows = np.zeros((1, served.settings.encoder_state_size), np.float32), []
    for chunk in mel.reshape(-1, 4 * frames, mel.shape[1]):
        features, state = served.encode(chunk[None], state)
        rows.append(features[0])
    away = np.linalg.norm(np.concatenate(rows) - reference) / np.linalg.norm(reference)
    assert away < 0.01


def test_it_saves_and_loads_again(tmp_path: Path) -> None:
    pipeline().save_pretrained(tmp_path)
    again = MotionPipeline.from_pretrained(tmp_path)
    mel = torch.from_numpy(stream_features(np.zeros(6_400, np.float32)))[None]
    one, two = (
        each(mel, generator=torch.Generator().manual_seed(3)) for each in (pipeline(), again)
    )
    assert one.shape == (1, 10, MOTION_SIZE)
    torch.testing.assert_close(one, two)


def test_the_settings_are_the_configuration() -> None:
    served = json.loads((DEFAULT_FOLDER / "serving.json").read_text(encoding="utf-8"))
    config = pipeline().denoiser.config
    for name in ("history_frames", "most_new_frames", "most_lookahead_frames", "audio_size"):
        assert served[name] == config[name]
    assert served["scale"] == list(config["scale"])


def test_the_weights_are_small_enough_to_ship() -> None:
    size = sum(path.stat().st_size for path in DEFAULT_FOLDER.rglob("*") if path.is_file())
    assert size < 12_000_000


def test_the_graphs_read_the_pipelines_weights() -> None:
    for name in ("encoder", "denoiser", "modulation", "listener"):
        graph = DEFAULT_FOLDER / f"{name}.onnx"
        assert graph.stat().st_size < 300_000
        onnxruntime.InferenceSession(str(graph))


@pytest.mark.parametrize(
    ("name", "blocks", "most"),
    [
        ("encoder", np.int8, 0.01),
        ("encoder", np.int16, 0.001),
        ("listener", np.int8, 0.005),
        ("listener", np.int16, 0.0005),
    ],
)
def test_what_is_served_hears_what_the_graph_does(name: str, blocks: Kind, most: float) -> None:
    served = StreamingEncoder(DEFAULT_FOLDER / name, blocks=blocks)
    mel = stream_features(np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32))
    state = np.zeros((1, served.state_size), np.float32)
    exact = ExactEncoder(DEFAULT_FOLDER / name).encode(mel[None], state)
    for given, wanted in zip(served.encode(mel[None], state), exact, strict=True):
        assert np.linalg.norm(given - wanted) < most * np.linalg.norm(wanted)
