"""Exported graphs: they equal the networks, read their weights, and can be written again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.streaming_encoder import StreamingEncoder
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion.networks import Condition, MotionNetworks
from streaming_model.motion.style import STYLE_NAMES
from training.export import export_folder
from training.motion_run import write_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of its exporter


@pytest.fixture(scope="module")
def networks() -> tuple[AudioEncoder, MotionDenoiser]:
    torch.manual_seed(0)
    encoder = AudioEncoder(channels=16, feature_size=16, dilations=(1, 3))
    denoiser = MotionDenoiser(
        width=32,
        layers=2,
        heads=2,
        audio_size=16,
        motion_size=NETWORK_SIZE,
        style_names=STYLE_NAMES,
        mean=(0.0,) * NETWORK_SIZE,
        scale=(1.0,) * NETWORK_SIZE,
    )
    for weight in denoiser.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return encoder.eval(), denoiser.eval()


@pytest.fixture(scope="module")
def folder(
    networks: tuple[AudioEncoder, MotionDenoiser], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model as training leaves it; writing it rounds the weights of the networks, too."""
    folder = tmp_path_factory.mktemp("model")
    write_model(*networks, folder, steps=1)
    return folder


def array(*shape: int) -> Tensor:
    return torch.randn(*shape)


@pytest.mark.parametrize("frames", [1, 2, 5])
@torch.no_grad()
def test_the_encoders_graph_equals_the_network(
    frames: int, networks: tuple[AudioEncoder, MotionDenoiser], folder: Path
) -> None:
    encoder, _ = networks
    mel, state = array(3, 4 * frames, 80), array(3, encoder.state_size)
    session = onnxruntime.InferenceSession(str(folder / "encoder.onnx"))
    outputs = session.run(None, {"mel": mel.numpy(), "state": state.numpy()})
    for served, reference in zip(outputs, encoder(mel, state), strict=True):
        np.testing.assert_allclose(served, reference.numpy(), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5])
@torch.no_grad()
def test_whole_weights_change_little_and_a_stream_in_a_batch_nothing(
    frames: int, networks: tuple[AudioEncoder, MotionDenoiser], folder: Path
) -> None:
    encoder, _ = networks
    served = StreamingEncoder(folder / "encoder")
    mel, state = array(3, 4 * frames, 80), array(3, encoder.state_size)
    assert served.state_size == encoder.state_size
    features, after = served.encode(mel.numpy(), state.numpy())
    for given, reference in zip((features, after), encoder(mel, state), strict=True):
        error = np.linalg.norm(given - reference.numpy()) / np.linalg.norm(reference.numpy())
        assert error < 0.02
    for row in range(3):
        alone = served.encode(mel[row : row + 1].numpy(), state[row : row + 1].numpy())
        np.testing.assert_array_equal(alone[0][0], features[row])
        np.testing.assert_array_equal(alone[1][0], after[row])


@pytest.mark.parametrize(("new", "look"), [(1, 0), (2, 2), (5, 3)])
@pytest.mark.parametrize(("t", "step_size", "guidance"), [(1.0, 1.0, 0.0), (0.5, 0.25, 0.4)])
@torch.no_grad()
def test_the_denoisers_graphs_equal_the_network(
    new: int,
    look: int,
    t: float,
    step_size: float,
    guidance: float,
    networks: tuple[AudioEncoder, MotionDenoiser],
    folder: Path,
) -> None:
    _, denoiser = networks
    x_t, known = array(3, new, NETWORK_SIZE), torch.tensor([[0.0] * 4 + [1.0] * 6] * 3)
    history, audio = array(3, 10, NETWORK_SIZE), array(3, 10 + new + look, 16)
    style, activity = array(3, len(STYLE_NAMES)), torch.tensor([0, 1, 2])
    told = [history, known, audio, style, activity]
    served = MotionNetworks(folder, guidance=guidance).denoise(
        x_t.numpy(), t, step_size, Condition(*(value.numpy() for value in told))
    )
    steps = [torch.full((3,), value) for value in (0.0, step_size, guidance)]
    reference = denoiser(x_t, torch.full((3,), t), DenoiserInputs(*told, *steps))
    np.testing.assert_allclose(served, reference.numpy(), atol=1e-5)


def test_graphs_are_written_again_from_the_weights_alone(folder: Path) -> None:
    graphs = sorted(folder.glob("*.onnx"))
    assert [path.stem for path in graphs] == ["denoiser", "encoder", "modulation"]
    before = [path.read_bytes() for path in graphs]
    for path in graphs:
        path.unlink()
    export_folder(folder)
    assert [path.read_bytes() for path in graphs] == before
