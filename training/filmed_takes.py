"""Takes of filmed people as the mouth's network meets them: heard in many ways, cut to windows."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import stream_features
from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.filmed import OFFSETS, PAST, mean_mel
from streaming_model.motion_space import INDEX, MOTION_NAMES
from training import augment
from training.captured import Captured

Floats = NDArray[np.float32]

_NOISES: Final = ("white", "pink", "brown", "hum")


class Hearing(NamedTuple):
    """One way to hear a take.

    Attributes:
        heard: [frames, audio_size + 80] features and `mean_mel` of each frame.
        mouth: [frames, channels] what was filmed.
    """

    heard: Floats
    mouth: Floats


class Take(NamedTuple):
    """What was filmed in one go.

    Attributes:
        hearings: all ways to hear it, the plain one first.
        weight: by how much it counts.
        puckers: whether its rig rounds lips by `mouthPucker` too, or by `mouthFunnel` alone.
    """

    hearings: tuple[Hearing, ...]
    weight: float = 1.0
    puckers: bool = True


def mouth_channels(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Returns which numbers of the motion are the mouth's and were seen."""
    names = [name for name in MOTION_NAMES if name.startswith(("mouth", "jaw"))]
    return np.array([INDEX[name] for name in names if mask[INDEX[name]]], np.int32)


def has_pucker(item: Captured) -> bool:
    """Returns whether `mouthPucker` ever moves in a take.

    The same speaker's takes were put onto the rig in two ways: in some of FACEGOOD's, lips pucker
    and press and never smile, in the others they funnel and smile and `mouthPucker` stays 0. No
    sound tells which.
    """
    return bool(np.ptp(item.motion[:, INDEX["mouthPucker"]]) > 0)


def hearings(
    encoder: AudioEncoder, item: Captured, *, copies: int, rng: np.random.Generator
) -> tuple[Hearing, ...]:
    """Returns a take as it is, and so many others of it: pace, throat, microphone, noise."""
    channels = mouth_channels(item.mask)
    heard = [_heard(encoder, stream_features(item.samples), item.motion[:, channels])]
    for _ in range(copies):
        samples, mouth = _at_pace(
            item.samples, item.motion[:, channels], 2 ** rng.uniform(-0.2, 0.2)
        )
        samples = augment.equalise(samples, rng=rng)
        if rng.random() < 0.3:
            samples = augment.add_room(samples, rng=rng)
        samples *= np.float32(10 ** (rng.uniform(-36, -16) / 20) / (samples.std() + 1e-6))
        if rng.random() < 0.5:
            noise = augment.make_noise(str(rng.choice(_NOISES)), len(samples), rng=rng)
            samples = samples + noise * np.float32(
                samples.std() * 10 ** (-rng.uniform(12, 40) / 20)
            )
        mel = augment.warp_mel(stream_features(samples), float(rng.uniform(0.86, 1.16)))
        heard.append(_heard(encoder, mel, mouth))
    return tuple(heard)


def windows_of(heard: Floats, *, ahead: int = OFFSETS[-1]) -> Floats:
    """Returns [frames, offsets * size] what is seen at each of [frames, size]."""
    padded = np.concatenate([np.zeros((PAST, heard.shape[1]), np.float32), heard])
    places = PAST + np.arange(len(heard))[:, None] + np.minimum(OFFSETS, ahead)
    return padded[np.minimum(places, len(padded) - 1)].reshape(len(heard), -1)


def _heard(encoder: AudioEncoder, mel: Floats, mouth: Floats) -> Hearing:
    with torch.no_grad():
        features = encoder.encode(torch.from_numpy(mel)[None])[0].numpy()
    return Hearing(np.concatenate([features, mean_mel(mel[None])[0]], axis=1), mouth)


def _at_pace(samples: Floats, mouth: Floats, factor: float) -> tuple[Floats, Floats]:
    """Returns sound and mouth played `factor` times as fast; pitch and formants move, too."""
    played = soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE)
    frames = len(played) // SAMPLES_PER_MOTION_FRAME
    times = (np.arange(frames) + 0.5) * factor - 0.5
    known = np.arange(len(mouth))
    moved = np.stack([np.interp(times, known, channel) for channel in mouth.T], axis=1)
    return played[: frames * SAMPLES_PER_MOTION_FRAME], moved.astype(np.float32)
