"""Windows of streams on the device that trains, recoloured: they stay what they are labelled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from streaming_model.audio.features import stream_features
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.style import STYLE_NAMES, Activity
from streaming_model.motion_space import MOTION_SIZE
from training.bank import StreamBank, draw_heard
from training.dataset import STREAM_FRAMES, Stream
from training.recolour import add_noise, recolour
from training.timebox import batch_on

CPU = torch.device("cpu")


def counted(first: int, *, told: bool = True) -> Stream:
    """A stream whose every number tells its frame."""
    frames = np.arange(STREAM_FRAMES)
    mask = np.ones(NETWORK_SIZE, bool)
    mask[MOTION_SIZE:] = told
    return Stream(
        mel=np.repeat((frames + first) / 1000, 4)[:, None].repeat(80, axis=1).astype(np.float16),
        phones=(frames % 40)[:, None].repeat(2, axis=1).astype(np.int8),
        motion=((frames + first) / 1000)[:, None].repeat(NETWORK_SIZE, axis=1).astype(np.float16),
        mask=mask,
        style=np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16),
        activity=Activity.SPEAK,
    )


def voice() -> torch.Tensor:
    rng = np.random.default_rng(0)
    times = np.arange(32_000) / 16_000
    hum = sum(np.sin(2 * np.pi * 140 * k * times) / k for k in range(1, 30))
    loud = 0.1 * hum * (np.sin(2 * np.pi * 2 * times) > 0) + 1e-4 * rng.normal(size=32_000)
    return torch.from_numpy(stream_features(loud.astype(np.float32)))


def test_a_window_has_the_sound_phones_and_motion_of_its_own_frames() -> None:
    bank = StreamBank([counted(0), counted(500, told=False)], CPU)
    rows, firsts = torch.tensor([1, 0]), torch.tensor([7, 550])
    window = bank.windows(rows, firsts, 50)
    assert window.mel.shape == (2, 200, 80) and window.motion.shape == (2, 50, NETWORK_SIZE)
    assert window.phones.dtype == torch.int64 and window.known.tolist() == [0.0, 1.0]
    for row, first, begin in ((0, 7, 507), (1, 550, 550)):
        expected = (begin + torch.arange(50)) / 1000
        torch.testing.assert_close(window.motion[row, :, 3], expected, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(window.mel[row, ::4, 9], expected, atol=1e-3, rtol=1e-3)
        assert window.phones[row, :, 1].tolist() == [(first + k) % 40 for k in range(50)]


def test_windows_are_drawn_everywhere_and_again_from_the_same_seed() -> None:
    bank = StreamBank([counted(0), counted(500)], CPU)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(draw_heard(bank, None, frames=100, size=400, noisy_share=0.0))
    assert torch.equal(drawn[0].mel, drawn[1].mel)
    begins = drawn[0].motion[:, 0, 0] * 1000
    assert begins.min() < 20 and begins.max() > 980
    assert (drawn[0].motion[:, -1, 0] - drawn[0].motion[:, 0, 0]).sub(0.099).abs().max() < 2e-3


def test_a_recoloured_voice_keeps_its_times_and_its_neighbours_nothing() -> None:
    torch.manual_seed(0)
    mel = voice()[None].repeat(64, 1, 1)
    heard = recolour(mel)
    assert heard.shape == mel.shape and torch.isfinite(heard).all()
    assert (heard - mel).abs().mean() > 0.02, "it is another voice"
    apart = (heard[1:] - heard[:-1]).abs().mean(dim=(1, 2))
    assert (apart > 0.01).all(), "each window is another voice"
    ups = mel[0].mean(dim=1)
    alike = [np.corrcoef(ups.numpy(), each.mean(dim=1).numpy())[0, 1] for each in heard]
    assert np.median(alike) > 0.9, "loud stays loud and soft soft, at the same times"


def test_a_voice_moves_up_and_down_as_throats_are_shorter_and_longer() -> None:
    torch.manual_seed(1)
    tone = 0.1 * np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    mel = torch.from_numpy(stream_features(tone.astype(np.float32)))
    peak = int(mel[50].argmax())
    moved = recolour(mel[None].repeat(200, 1, 1))[:, 50].argmax(dim=1)
    assert moved.min() < peak < moved.max()
    assert (moved - peak).abs().float().quantile(0.9) < 8


def test_noise_below_a_voice_adds_power_and_hides_silences_alone() -> None:
    torch.manual_seed(2)
    mel = voice()[None].repeat(32, 1, 1)
    noise = torch.full_like(mel, 0.3)
    both = add_noise(mel, noise)
    assert (both >= mel - 1e-4).all()
    loud = mel[0].mean(dim=1) > mel[0].mean()
    assert (both - mel)[:, loud].mean() < 0.5 * (both - mel)[:, ~loud].mean()


def test_sounds_beside_a_voice_change_some_windows_and_no_labels() -> None:
    speech = StreamBank([counted(0)], CPU)
    noise = replace(counted(0), mel=np.full((4 * STREAM_FRAMES, 80), 0.9, np.float16))
    sounds = StreamBank([noise], CPU)
    torch.manual_seed(4)
    plain = draw_heard(speech, sounds, frames=40, size=300, noisy_share=0.0)
    noisy = draw_heard(speech, sounds, frames=40, size=300, noisy_share=1.0)
    spread = [window.mel.std(dim=(1, 2)).mean() for window in (plain, noisy)]
    assert spread[0] != pytest.approx(float(spread[1]), rel=1e-3)
    for window in (plain, noisy):
        first = window.motion[:, 0, 0]
        assert (window.motion[:, 9, 0] - first).sub(0.009).abs().max() < 2e-3


def test_a_gpu_takes_more_windows_at_once() -> None:
    assert batch_on(CPU, 16) == 16
    assert batch_on(torch.device("cuda"), 16) > 100
