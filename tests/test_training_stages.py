"""Training: time boxes resume, losses see what they should, exports equal the networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion.style import Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.dataset import STREAM_FRAMES, Stream
from training.encoder_stage import EncoderTask, phone_accuracy
from training.export import ServedDenoiser, export_denoiser, export_encoder, round_to_half
from training.motion_stage import (
    MotionLoss,
    draw_batch,
    encode_streams,
    endpoint_loss,
    flow_loss,
    train_flow,
)
from training.timebox import TimeBox


def stream(seed: int = 0) -> Stream:
    rng = np.random.default_rng(seed)
    motion = np.zeros((STREAM_FRAMES, MOTION_SIZE), np.float16)
    motion[:, INDEX["jawOpen"]] = 0.2 + 0.1 * np.sin(np.arange(STREAM_FRAMES) / 3)
    return Stream(
        mel=rng.normal(-0.5, 0.5, (4 * STREAM_FRAMES, 80)).astype(np.float16),
        phones=rng.integers(0, 40, (STREAM_FRAMES, 2)).astype(np.int8),
        motion=motion,
        style=np.zeros(4, np.float32),
        activity=Activity.SPEAK,
    )


def scale() -> torch.Tensor:
    only_jaw = torch.zeros(MOTION_SIZE)
    only_jaw[INDEX["jawOpen"]] = 0.2
    return only_jaw


def small_denoiser() -> MotionDenoiser:
    torch.manual_seed(0)
    network: MotionDenoiser = MotionDenoiser(width=32, layers=1, heads=2, audio_size=16)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    network.eval()
    return network


def small_encoder() -> AudioEncoder:
    torch.manual_seed(0)
    encoder: AudioEncoder = AudioEncoder(channels=16, feature_size=16, dilations=(1, 2))
    encoder.eval()
    return encoder


@torch.no_grad()
def test_the_encoder_in_pieces_equals_the_encoder_in_one_go() -> None:
    encoder, mel = small_encoder(), torch.randn(2, 40, 80)
    state, pieces = torch.zeros(2, encoder.state_size), []
    for start, end in ((0, 4), (4, 24), (24, 40)):
        features, state = encoder(mel[:, start:end], state)
        pieces.append(features)
    torch.testing.assert_close(torch.cat(pieces, dim=1), encoder.encode(mel))


def test_a_time_box_takes_up_its_count(tmp_path: Path) -> None:
    first = TimeBox(100.0, tmp_path / "stage.pt")
    assert first.restore() is None
    first.step = 7
    first.checkpoint({"weight": torch.ones(2)}, force=True)
    second = TimeBox(100.0, tmp_path / "stage.pt")
    saved = second.restore()
    assert saved is not None and second.step == 7
    torch.testing.assert_close(saved["weight"], torch.ones(2))
    assert second.spent == pytest.approx(first.spent, abs=5)


def test_the_learning_rate_rises_then_falls(tmp_path: Path) -> None:
    rates = []
    for spent in (0.0, 3.0, 50.0, 100.0):
        box = TimeBox(100.0, tmp_path / "none", spent=spent)
        rates.append(box.learning_rate(1.0))
    assert rates[0] < rates[1] > rates[2] > rates[3] > 0


def test_batches_align_sound_and_motion_and_know_the_beginning() -> None:
    data = encode_streams(small_encoder(), [stream(0), stream(1)], scale=scale(), history=10)
    batch = draw_batch(data, history=10, rng=np.random.default_rng(0))
    new = batch.x0.shape[1]
    assert 10 + new <= batch.inputs.audio.shape[1] <= 10 + new + 8
    known = batch.inputs.history_known
    assert set(known.flatten().tolist()) <= {0.0, 1.0}
    assert (known.sum(dim=1) == 0).any() and (known.sum(dim=1) == 10).any()
    assert (batch.x0[:, :, INDEX["headYaw"]] == 0).all()


def test_losses_are_finite_and_zero_for_the_truth() -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10)
    batch = draw_batch(data, history=10, rng=np.random.default_rng(1))
    loss = MotionLoss(scale())
    assert float(loss(batch.x0, batch.x0, batch.inputs.history[:, -2:]).abs().max()) == 0
    network = small_denoiser()
    for value in (flow_loss(network, batch, loss), endpoint_loss(network, network, batch, loss)):
        assert torch.isfinite(value) and value > 0


def test_training_lowers_the_loss_and_resumes(tmp_path: Path) -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10)
    loss, network = MotionLoss(scale()), small_denoiser()
    batch = draw_batch(data, history=10, rng=np.random.default_rng(2))
    torch.manual_seed(5)
    before = flow_loss(network, batch, loss).item()
    trained = train_flow(data, network, loss=loss, box=TimeBox(2.0, tmp_path / "flow.pt"), seed=0)
    torch.manual_seed(5)
    assert flow_loss(trained, batch, loss).item() < before
    again = TimeBox(2.0, tmp_path / "flow.pt")
    resumed = train_flow(data, small_denoiser(), loss=loss, box=again, seed=0)
    assert again.fraction == 1
    for one, two in zip(trained.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_phone_accuracy_is_a_share() -> None:
    task = EncoderTask(small_encoder(), scale=scale())
    accuracy = phone_accuracy(task, [stream(0)])
    assert len(accuracy) == 3 and all(0 <= value < 0.2 for value in accuracy)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exports_equal_the_networks(tmp_path: Path) -> None:
    encoder, denoiser = small_encoder(), small_denoiser()
    for network in (encoder, denoiser):
        round_to_half(network)
    export_encoder(encoder, tmp_path / "encoder.onnx")
    export_denoiser(denoiser, tmp_path / "denoiser.onnx")
    mel, state = torch.randn(3, 4, 80), torch.randn(3, encoder.state_size)
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"))
    outputs = session.run(None, {"mel": mel.numpy(), "state": state.numpy()})
    for served, reference in zip(outputs, encoder(mel, state), strict=True):
        np.testing.assert_allclose(served, reference.numpy(), atol=1e-5)
    session = onnxruntime.InferenceSession(str(tmp_path / "denoiser.onnx"))
    for new, look in ((1, 0), (5, 3)):
        inputs = {
            "x_t": torch.randn(3, new, MOTION_SIZE),
            "t": torch.full((3,), 0.5),
            "step_size": torch.full((3,), 0.5),
            "history": torch.randn(3, 10, MOTION_SIZE),
            "history_known": torch.ones(3, 10),
            "audio": torch.randn(3, 10 + new + look, 16),
            "style": torch.randn(3, 4),
            "activity": torch.zeros(3, dtype=torch.int64),
            "guidance": torch.full((3,), 0.4),
        }
        served = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
        reference = ServedDenoiser(denoiser)(*inputs.values()).numpy()
        np.testing.assert_allclose(served, reference, atol=1e-5)


@torch.no_grad()
def test_unknown_history_is_not_looked_at() -> None:
    network, none = small_denoiser(), torch.zeros(1)
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        inputs = DenoiserInputs(
            history=torch.randn(1, 10, MOTION_SIZE),
            history_known=torch.zeros(1, 10),
            audio=torch.ones(1, 12, 16),
            style=torch.zeros(1, 4),
            activity=torch.zeros(1, dtype=torch.int64),
            history_noise=none,
            step_size=none,
            guidance=none,
        )
        results.append(network(torch.ones(1, 2, MOTION_SIZE), torch.ones(1), inputs))
    torch.testing.assert_close(results[0], results[1])
