"""Windows of streams as the denoiser meets them: history, new frames, sound ahead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.denoiser import DenoiserInputs
from streaming_model.motion.smoothing import SMOOTHED
from streaming_model.motion_space import MOTION_NAMES, POSE
from training.bank import StreamBank
from training.dataset import STREAM_FRAMES, Stream
from training.timebox import reduced_precision

BATCH: Final = 96
_ENCODED_AT_ONCE: Final = 16  # streams
_NEW_FRAMES: Final = (1, 2, 2, 2, 4, 5)
_LOOKAHEAD: Final = (0, 1, 2, 2, 2, 3, 4, 6, 8)
_CAPTURED_SHARE: Final = 0.1  # of the windows
_MOST_HISTORY_NOISE: Final = 0.25
_NOISY_SHARE: Final = 0.7
# A chunk is so short that a face out of place hardly returns within it, and what a network knows
# only of faces in place drifts, over a minute, to where it has never been. So histories are
# displaced, as far as serving allows, and return in about a second and a half.
_DISPLACED_SHARE: Final = 0.5
_MOST_DISPLACED: Final = (
    5.0  # in units of the motion's spread; of the upper face, which is 0 or more
)
_FACE_DISPLACED: Final = 2.0  # of the upper face, which is never below rest
RETURN_FRAMES: Final = 40.0
_FACE_SHARE: Final = 0.3  # of the displaced, for each part of the upper face
_UPPER_FACE: Final = tuple(
    [int(index) for index in SMOOTHED if re.sub("(Left|Right)$", "", MOTION_NAMES[index]) == part]
    for part in ("eyeSquint", "eyeWide", "browDown", "browInnerUp", "browOuterUp", "cheekSquint")
)
_NO_HISTORY_SHARE: Final = 0.2
_NO_STYLE_SHARE: Final = 0.1
_NO_AUDIO_SHARE: Final = 0.1


@dataclass(frozen=True)
class MotionData:
    """All streams as tensors, with silence put before each for the history.

    Attributes:
        features: [streams, K + frames, audio] half-precision encoder output.
        motion: [streams, K + frames, motion] half precision, divided by the scale.
        style: [streams, K + frames, styles].
        mask: [streams, motion] 1 for numbers that are true.
        activity: [streams] int64.
        active: [motion] 1 for coefficients that the model moves.
        chance: [streams] how often each is drawn.
    """

    features: Tensor
    motion: Tensor
    style: Tensor
    mask: Tensor
    activity: Tensor
    active: Tensor
    chance: np.ndarray

    def to(self, device: torch.device) -> MotionData:
        """Returns the same streams on a device."""
        tensors = {name: each for name, each in vars(self).items() if name != "chance"}
        moved = {name: each.to(device) for name, each in tensors.items()}
        return MotionData(**moved, chance=self.chance)


@dataclass(frozen=True)
class Windows:
    """A batch of windows of C chunks of N frames after K of history, with L of sound ahead.

    Attributes:
        rows: [batch] which stream.
        starts: [batch] first frame of the history, counted with the silence before the stream.
        new: N.
        chunks: C.
        audio: [batch, K + C N + L, audio].
        motion: [batch, K + C N, motion], the truth.
        past: [batch, K, motion], the history with noise.
        known: [batch, K + C N] 1 where the history may look.
        style: [batch, C, styles], at the first frame of each chunk.
        mask: [batch, motion].
        activity: [batch].
        noise: [batch] standard deviation of the noise on the history.
    """

    rows: Tensor
    starts: Tensor
    new: int
    chunks: int
    audio: Tensor
    motion: Tensor
    past: Tensor
    known: Tensor
    style: Tensor
    mask: Tensor
    activity: Tensor
    noise: Tensor

    def target(self, chunk: int = 0) -> Tensor:
        """Returns [batch, N, motion] the truth of a chunk."""
        first = self.past.shape[1] + chunk * self.new
        return self.motion[:, first : first + self.new]

    def before(self, chunk: int = 0) -> Tensor:
        """Returns [batch, 2, motion] the truth of the two frames before a chunk."""
        first = self.past.shape[1] + chunk * self.new
        return self.motion[:, first - 2 : first]

    def inputs(self, chunk: int = 0, past: Tensor | None = None) -> DenoiserInputs:
        """Returns what the network is told of a chunk; `past` is the history if not the true."""
        skipped, history = chunk * self.new, self.past.shape[1]
        end = self.audio.shape[1] - (self.chunks - 1 - chunk) * self.new
        zeros = self.audio.new_zeros(len(self.rows))
        return DenoiserInputs(
            history=self.past if past is None else past,
            history_known=self.known[:, skipped : skipped + history],
            audio=self.audio[:, skipped:end],
            style=self.style[:, chunk],
            activity=self.activity,
            history_noise=self.noise if chunk == 0 else zeros,
            step_size=zeros,
            guidance=zeros,
        )


@torch.no_grad()
def encode_streams(
    encoder: AudioEncoder,
    streams: Sequence[Stream],
    *,
    scale: Tensor,
    history: int,
    seed: int,
) -> MotionData:
    """Returns the streams as the denoiser sees them, each through another microphone.

    What the encoder makes of a voice that it knows by heart is surer than what it makes of a
    stranger's, and a denoiser that met nothing else would believe it too readily.
    """
    torch.manual_seed(seed)
    count, length = len(streams), history + STREAM_FRAMES
    divisor = torch.where(scale > 0, scale, torch.ones_like(scale))
    device = encoder.out.weight.device
    size = int(encoder.config["feature_size"])
    features = torch.zeros(count, length, size, dtype=torch.float16)
    motion = torch.zeros(count, length, NETWORK_SIZE, dtype=torch.float16)
    style = torch.zeros(count, length, streams[0].style.shape[1])
    for first in range(0, count, _ENCODED_AT_ONCE):
        bank = StreamBank(streams[first : first + _ENCODED_AT_ONCE], device)
        rows = torch.arange(len(bank), device=device)
        mel = bank.recoloured(rows, torch.zeros_like(rows), STREAM_FRAMES).mel
        with reduced_precision(device):
            features[first : first + len(bank), history:] = encoder.encode(mel).half().cpu()
    for index, stream in enumerate(streams):
        moved = torch.from_numpy(stream.motion.astype(np.float32)) / divisor * (scale > 0)
        motion[index, history:] = moved.half()
        style[index, history:] = torch.from_numpy(stream.style.astype(np.float32))
        style[index, :history] = style[index, history]
    captured = np.array([not stream.mask.all() for stream in streams])
    chance = np.where(captured, _CAPTURED_SHARE / max(1, captured.sum()), 0.0)
    chance[~captured] = (1 - chance.sum()) / max(1, (~captured).sum())
    return MotionData(
        features=features,
        motion=motion,
        style=style,
        mask=torch.from_numpy(np.stack([stream.mask for stream in streams])).float(),
        activity=torch.tensor([int(stream.activity) for stream in streams]),
        active=(scale > 0).float(),
        chance=chance / chance.sum(),
    ).to(device)


def draw_windows(
    data: MotionData,
    *,
    history: int,
    rng: np.random.Generator,
    chunks: int = 1,
    size: int = BATCH,
    earliest: int = 0,
) -> Windows:
    """Returns windows with random chunk length, lookahead, noise and drops.

    Args:
        data: the streams.
        history: K.
        rng: draws everything but the noise itself.
        chunks: C.
        size: of the batch.
        earliest: first frame at which a history may begin.
    """
    device = data.motion.device

    def drawn(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(device)

    new, look = int(rng.choice(_NEW_FRAMES)), int(rng.choice(_LOOKAHEAD))
    rows = drawn(rng.choice(len(data.motion), size=size, p=data.chance))
    last_start = STREAM_FRAMES - chunks * new - look
    starts = rng.integers(earliest, last_start + 1, size=size)
    if not earliest:  # one window in twenty begins with the stream
        starts *= rng.random(size) > 0.05
    frames = drawn(starts)[:, None] + torch.arange(history + chunks * new + look, device=device)
    moving = frames[:, : history + chunks * new]
    motion = data.motion[rows[:, None], moving].float()
    known = (moving >= history).float()
    known[:, :history] *= drawn(rng.random((size, 1)) >= _NO_HISTORY_SHARE).float()
    displaced = drawn(rng.random(size) < _DISPLACED_SHARE) & (known.min(dim=1).values > 0)
    motion = motion + displaced[:, None, None] * _displacement(motion, history) * data.active
    noisy = rng.random(size) < _NOISY_SHARE
    noise = drawn(rng.uniform(0, _MOST_HISTORY_NOISE, size) * noisy).float()
    past = motion[:, :history]
    past = past + noise[:, None, None] * torch.randn_like(past) * data.active
    mask = data.mask[rows]
    # Captured speech without its label would teach its own convention as everybody's.
    styled = drawn(rng.random(size) >= _NO_STYLE_SHARE) | (mask.min(dim=1).values == 0)
    style = data.style[rows[:, None], frames[:, history : history + chunks * new : new]]
    heard = drawn(rng.random((size, 1, 1)) >= _NO_AUDIO_SHARE).float()
    return Windows(
        rows=rows,
        starts=frames[:, 0],
        new=new,
        chunks=chunks,
        audio=data.features[rows[:, None], frames].float() * heard,
        motion=motion,
        past=past,
        known=known,
        style=style * styled[:, None, None],
        mask=mask,
        activity=data.activity[rows],
        noise=noise,
    )


def _displacement(motion: Tensor, history: int) -> Tensor:
    """Returns how far head and upper face [batch, frames, motion] are out of place, returning.

    Each side of the face as far as the other.
    """
    drawn = torch.zeros(len(motion), 1, motion.shape[2], device=motion.device)
    drawn[..., POSE] = _MOST_DISPLACED * (2 * torch.rand_like(drawn[..., POSE]) - 1)
    for channels in _UPPER_FACE:
        far = _FACE_DISPLACED * torch.rand(len(motion), 1, 1, device=motion.device)
        drawn[..., channels] = far * (torch.rand_like(far) < _FACE_SHARE)
    age = torch.arange(motion.shape[1], device=motion.device) - history
    return drawn * torch.exp(-age / RETURN_FRAMES)[:, None]
