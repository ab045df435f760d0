"""Training: time boxes resume, losses see what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion.style import STYLE_NAMES, Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.corpus.utterances import Utterance
from training.dataset import STREAM_FRAMES, UNKNOWN_PHONE, Stream
from training.denoiser_loss import endpoint_loss, flow_loss, gone_on, shortened_loss
from training.encoder_stage import EncoderTask, phone_accuracy, train_encoder
from training.hearing import area_under_curve, measure_hearing
from training.logs import TrainingLog
from training.motion_loss import MotionLoss
from training.motion_stage import (
    train_endpoints,
    train_flow,
    train_rollouts,
    train_shortened,
    train_together,
)
from training.paths import flow_path, rolled
from training.timebox import TimeBox
from training.windows import draw_windows, encode_streams


def stream(seed: int = 0, *, captured: bool = False) -> Stream:
    rng = np.random.default_rng(seed)
    motion = np.zeros((STREAM_FRAMES, NETWORK_SIZE), np.float16)
    motion[:, INDEX["jawOpen"]] = 0.2 + 0.1 * np.sin(np.arange(STREAM_FRAMES) / 3)
    mask, phones = np.ones(NETWORK_SIZE, bool), rng.integers(0, 40, (STREAM_FRAMES, 2))
    if captured:
        mask[MOTION_SIZE:], phones[:] = False, UNKNOWN_PHONE
    return Stream(
        mel=rng.normal(-0.5, 0.5, (4 * STREAM_FRAMES, 80)).astype(np.float16),
        phones=phones.astype(np.int8),
        motion=motion,
        mask=mask,
        style=np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16),
        activity=Activity.SPEAK,
    )


def scale() -> torch.Tensor:
    only_jaw = torch.zeros(NETWORK_SIZE)
    only_jaw[INDEX["jawOpen"]] = 0.2
    return only_jaw


def small_denoiser() -> MotionDenoiser:
    torch.manual_seed(0)
    network: MotionDenoiser = MotionDenoiser(
        width=32,
        layers=1,
        heads=2,
        audio_size=16,
        motion_size=NETWORK_SIZE,
        style_names=STYLE_NAMES,
    )
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
    first.checkpoint(lambda: {"weight": torch.ones(2)}, force=True)
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


def test_windows_align_sound_and_motion_and_know_the_beginning() -> None:
    data = encode_streams(
        small_encoder(),
        [stream(0), stream(1)],
        scale=scale(),
        history=10,
        seed=0,
    )
    windows = draw_windows(data, history=10, rng=np.random.default_rng(0))
    new = windows.target().shape[1]
    assert 10 + new <= windows.inputs().audio.shape[1] <= 10 + new + 8
    known = windows.inputs().history_known
    assert set(known.flatten().tolist()) <= {0.0, 1.0}
    assert (known.sum(dim=1) == 0).any() and (known.sum(dim=1) == 10).any()
    assert (windows.target()[:, :, INDEX["headYaw"]] == 0).all()


def test_the_chunks_of_a_window_follow_one_another() -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10, seed=0)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(4), chunks=3)
    new, seen = windows.new, windows.inputs(2)
    look = windows.audio.shape[1] - 10 - 3 * new
    for chunk in range(3):
        told = windows.inputs(chunk)
        assert told.audio.shape[1] == 10 + new + look
        assert torch.equal(told.audio, windows.audio[:, chunk * new :][:, : 10 + new + look])
        first = 10 + chunk * new
        assert torch.equal(windows.target(chunk), windows.motion[:, first : first + new])
    assert torch.equal(seen.history_known, windows.known[:, 2 * new : 2 * new + 10])


def test_losses_are_finite_and_zero_for_the_truth() -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10, seed=0)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(1), chunks=2)
    loss, truth = MotionLoss(scale()), windows.target()
    before = windows.inputs().history[:, -2:]
    assert float(loss(truth, truth, before, windows.mask).abs().max()) == 0
    network = small_denoiser()
    values = [
        flow_loss(network, windows, loss),
        flow_loss(network, windows, loss, past=windows.past),
    ]
    for steps, step, guidance in ((1, 0, 0.0), (2, 1, 0.0), (4, 1, 0.5)):
        values.append(
            endpoint_loss(
                network, network, windows, loss=loss, steps=steps, step=step, guidance=guidance
            )
        )
    assert all(torch.isfinite(value) and value > 0 for value in values)


@pytest.mark.parametrize("guidance", [0.0, 0.5])
def test_what_an_elder_does_in_more_steps_is_kept_and_one_step_is_to_end_where_two_do(
    guidance: float,
) -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10, seed=0)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(1), chunks=2)
    loss, elder = MotionLoss(scale()), small_denoiser()
    values = {
        (steps, step): shortened_loss(
            elder, elder, windows, loss=loss, steps=steps, step=step, guidance=guidance
        ).item()
        for steps, step in ((1, 0), (2, 0), (2, 1), (4, 3))
    }
    assert values.pop((1, 0)) > 1e-4, "one step and two differ"
    assert max(values.values()) < 1e-9, "an elder does what it does"


class Listening(MotionDenoiser):
    """Says nothing, and remembers what it was given."""

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, inputs: DenoiserInputs) -> torch.Tensor:
        self.given = x_t, t, inputs
        return super().forward(x_t, t, inputs)


def test_flow_matching_draws_the_head_and_tells_the_lips() -> None:
    moving = torch.zeros(NETWORK_SIZE)
    moving[[INDEX["jawOpen"], INDEX["headYaw"]]] = 0.2
    streams = []
    for seed in range(8):
        one, rng = stream(seed), np.random.default_rng(seed)
        for name in ("jawOpen", "headYaw"):
            one.motion[:, INDEX[name]] = rng.normal(0, 0.2, STREAM_FRAMES)
        streams.append(one)
    data = encode_streams(small_encoder(), streams, scale=moving, history=10, seed=0)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(0), size=2_000)
    network = Listening(
        width=8, layers=1, heads=1, audio_size=16, motion_size=NETWORK_SIZE, style_names=STYLE_NAMES
    )
    flow_loss(network, windows, MotionLoss(moving))
    x_t, t, _ = network.given
    clear = t < 0.3  # nearly without noise
    for name, is_told in (("headYaw", True), ("jawOpen", False)):
        seen = x_t[clear, 0, INDEX[name]], windows.target()[clear, 0, INDEX[name]]
        r = float(torch.corrcoef(torch.stack(seen))[0, 1])
        assert (r > 0.8) is is_told and (is_told or abs(r) < 0.2)


def test_a_face_out_of_place_goes_on_and_comes_back_and_lips_are_right_at_once() -> None:
    truth = torch.zeros(1, 50, NETWORK_SIZE)
    away = torch.zeros(1, 2, NETWORK_SIZE)
    yaw, jaw, brow = (INDEX[name] for name in ("headYaw", "jawOpen", "browInnerUp"))
    away[..., yaw], away[..., jaw], away[..., brow] = -2.0, 1.0, -1.0
    wanted = gone_on(truth, away, MotionLoss(torch.ones(NETWORK_SIZE)).mouth)
    assert -2.0 < wanted[0, 0, yaw] < -1.9 < wanted[0, -1, yaw] < -0.5
    assert bool((wanted[0].diff(dim=0)[:, yaw] > 0).all())
    assert float(wanted[..., jaw].abs().max()) == 0
    assert float(wanted[..., brow].min()) == 0  # nothing falls below rest


@torch.no_grad()
def test_chunks_that_were_made_become_the_history() -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10, seed=0)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(4), chunks=3)
    calls = []

    def make(noise: torch.Tensor, inputs: DenoiserInputs) -> torch.Tensor:
        calls.append(inputs.history)
        return torch.full_like(noise, float(10 * len(calls)))

    past = rolled(windows, make)
    assert len(calls) == 2 and past.shape == windows.past.shape
    assert torch.equal(calls[0], windows.past)
    assert bool((past[:, -2 * windows.new :] == 6.0).all())  # held to the limit of serving


@torch.no_grad()
def test_a_path_of_many_steps_ends_at_what_the_network_says() -> None:
    network = small_denoiser()
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10, seed=0)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(1))
    noise = torch.randn_like(windows.target())
    path = flow_path(network, noise, windows.inputs(), steps=8)
    assert len(path) == 9 and torch.equal(path[0], noise)
    last = network(path[-2], torch.full((len(noise),), 1 / 8), windows.inputs())
    torch.testing.assert_close(path[-1], last, atol=0.02, rtol=0)  # products in bfloat16


def test_masked_numbers_cost_nothing() -> None:
    loss = MotionLoss(torch.ones(NETWORK_SIZE))
    target, before = torch.zeros(1, 2, NETWORK_SIZE), torch.zeros(1, 2, NETWORK_SIZE)
    wrong, mask = target.clone(), torch.ones(1, NETWORK_SIZE)
    wrong[:, :, INDEX["headYaw"]] = wrong[:, :, MOTION_SIZE] = 1.0
    assert float(loss(wrong, target, before, mask)) > 0
    mask[:, INDEX["headYaw"]] = mask[:, MOTION_SIZE] = 0.0
    assert float(loss(wrong, target, before, mask)) == 0


def test_a_missed_contact_costs_more_than_a_false_one() -> None:
    loss, mask = MotionLoss(torch.ones(NETWORK_SIZE)), torch.ones(1, NETWORK_SIZE)
    before = torch.zeros(1, 2, NETWORK_SIZE)
    met, open_lips = torch.zeros(1, 1, NETWORK_SIZE), torch.zeros(1, 1, NETWORK_SIZE)
    met[:, :, MOTION_SIZE] = 1.0
    assert float(loss(open_lips, met, before, mask)) > 1.5 * float(
        loss(met, open_lips, before, mask)
    )


def test_a_jump_back_from_a_wrong_history_costs_more_where_continuity_is_asked_for() -> None:
    loss, mask = MotionLoss(torch.ones(NETWORK_SIZE)), torch.ones(1, NETWORK_SIZE)
    truth, true_before = torch.zeros(1, 2, NETWORK_SIZE), torch.zeros(1, 2, NETWORK_SIZE)
    jaw = torch.zeros(NETWORK_SIZE)
    jaw[INDEX["jawOpen"]] = 0.2
    before = true_before + jaw
    jump, eased = truth, truth + 0.5 * jaw

    def velocity(x: torch.Tensor) -> float:
        asked = loss(x, truth, before, mask, target_before=true_before)
        return float(asked - loss(x, truth, before, mask))

    assert velocity(jump) > 0
    assert velocity(eased) < velocity(jump)


def test_a_loss_on_life_weighs_the_head_against_the_mouth() -> None:
    mask, before = torch.ones(1, NETWORK_SIZE), torch.zeros(1, 2, NETWORK_SIZE)
    truth, nod, smile = (torch.zeros(1, 1, NETWORK_SIZE) for _ in range(3))
    nod[..., INDEX["headPitch"]] = smile[..., INDEX["mouthSmileLeft"]] = 1.0

    def share(loss: MotionLoss) -> float:
        return float(loss(nod, truth, before, mask) / loss(smile, truth, before, mask))

    plain = share(MotionLoss(torch.ones(NETWORK_SIZE)))
    assert share(MotionLoss(torch.ones(NETWORK_SIZE), life=8.0)) > 4 * plain


def test_training_lowers_the_loss_and_resumes(tmp_path: Path) -> None:
    data = encode_streams(small_encoder(), [stream(0)], scale=scale(), history=10, seed=0)
    loss, network = MotionLoss(scale()), small_denoiser()
    windows = draw_windows(data, history=10, rng=np.random.default_rng(2))
    torch.manual_seed(5)
    before = flow_loss(network, windows, loss).item()
    with TrainingLog(tmp_path / "log") as log:
        box = TimeBox(2.0, tmp_path / "flow.pt")
        trained = train_flow(data, network, loss=loss, box=box, seed=0, log=log)
        torch.manual_seed(5)
        assert flow_loss(trained, windows, loss).item() < before
        again = TimeBox(2.0, tmp_path / "flow.pt")
        resumed = train_flow(data, small_denoiser(), loss=loss, box=again, seed=0, log=log)
    assert again.fraction == 1
    for one, two in zip(trained.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_every_stage_runs_on_spoken_and_captured_streams(tmp_path: Path) -> None:
    streams = [stream(0), stream(1), stream(2, captured=True)]
    loss = MotionLoss(scale())

    def box(name: str) -> TimeBox:
        return TimeBox(1.0, tmp_path / f"{name}.pt")

    with TrainingLog(tmp_path / "log") as log:
        task = train_encoder(
            streams, small_encoder(), scale=scale(), box=box("encoder"), seed=0, log=log
        )
        data = encode_streams(task.encoder, streams, scale=scale(), history=10, seed=0)
        task, teacher = train_together(
            data,
            streams,
            task,
            small_denoiser(),
            loss=loss,
            box=box("together"),
            seed=1,
            log=log,
        )
        teacher = train_rollouts(data, teacher, loss=loss, box=box("rollouts"), seed=3, log=log)
        student = train_endpoints(data, teacher, loss=loss, box=box("endpoints"), seed=2, log=log)
        short = train_shortened(data, student, loss=loss, box=box("shortened"), seed=4, log=log)
    for network in (task, teacher, student, short):
        assert all(torch.isfinite(weight).all() for weight in network.parameters())
    assert list((tmp_path / "log").iterdir())


def test_captured_speech_is_drawn_seldom_and_always_labelled() -> None:
    captured = stream(2, captured=True)
    captured.style[:, STYLE_NAMES.index("captured")] = 1.0
    data = encode_streams(
        small_encoder(),
        [stream(0), captured],
        scale=scale(),
        history=10,
        seed=0,
    )
    assert data.chance[1] == pytest.approx(0.1)
    windows = draw_windows(data, history=10, rng=np.random.default_rng(3), size=2_000)
    label = windows.style[:, 0, STYLE_NAMES.index("captured")]
    assert torch.equal(label > 0, windows.rows == 1)


def test_phone_accuracy_is_a_share() -> None:
    task = EncoderTask(small_encoder(), scale=scale())
    accuracy = phone_accuracy(task, [stream(0)])
    assert len(accuracy) == 4 and all(0 <= value < 0.2 for value in accuracy)


def test_hearing_finds_the_right_phones_of_a_task_that_knows_them() -> None:
    truth = np.array([False, True, False, True])
    assert area_under_curve(np.array([0.1, 0.9, 0.2, 0.8], np.float32), truth) == 1.0
    assert area_under_curve(np.array([0.9, 0.1, 0.8, 0.2], np.float32), truth) == 0.0
    rng = np.random.default_rng(0)
    bounds = np.array([0, 8_000, 16_000])
    voice = Utterance(
        rng.normal(0, 0.1, 16_000).astype(np.float32), np.array([5, 16]), bounds, "voice", "text"
    )
    task = EncoderTask(small_encoder(), scale=torch.ones(NETWORK_SIZE))
    with torch.no_grad():
        for weight in task.phones.parameters():
            weight.zero_()
        task.phones.bias.view(4, 2, -1)[:, :, 5] = 1.0  # always says phone 5
    heard = measure_hearing(task, [voice])
    assert heard.accuracy[0] == pytest.approx(0.5, abs=0.05)
    assert heard.labels == 50


@torch.no_grad()
def test_unknown_history_is_not_looked_at() -> None:
    network, none = small_denoiser(), torch.zeros(1)
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        inputs = DenoiserInputs(
            history=torch.randn(1, 10, NETWORK_SIZE),
            history_known=torch.zeros(1, 10),
            audio=torch.ones(1, 12, 16),
            style=torch.zeros(1, len(STYLE_NAMES)),
            activity=torch.zeros(1, dtype=torch.int64),
            history_noise=none,
            step_size=none,
            guidance=none,
        )
        results.append(network(torch.ones(1, 2, NETWORK_SIZE), torch.ones(1), inputs))
    torch.testing.assert_close(results[0], results[1])
