"""The motion denoiser: a small diffusion transformer over a short window of frames.

It sees the frames just given, the noisy new ones and the sound of a few more to come, and
predicts the clean new ones. Training, export and the pipeline only: the serving path runs the
exported graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from streaming_model.motion.style import FIRST_STYLE_NAMES, Activity
from streaming_model.motion_space import MOTION_SIZE


@dataclass(frozen=True)
class DenoiserInputs:
    """What the network is told besides the noisy frames. K history, N new, L lookahead frames.

    Attributes:
        history: [batch, K, motion] normalised motion already given, oldest first.
        history_known: [batch, K] 1 where there was a frame, 0 before the stream began.
        audio: [batch, K + N + L, audio_size] encoder features.
        style: [batch, styles] in the order of the configuration's `style_names`.
        activity: [batch] int64 values of `Activity`.
        history_noise: [batch] standard deviation of the noise on the history; 0 when serving.
        step_size: [batch] length of the sampler's step, 0 for an infinitesimal one.
        guidance: [batch] guidance scale to imitate; 0 for none.
    """

    history: Tensor
    history_known: Tensor
    audio: Tensor
    style: Tensor
    activity: Tensor
    history_noise: Tensor
    step_size: Tensor
    guidance: Tensor


class ScalarEmbedding(nn.Module):
    """Sines and cosines of a number in 0..1, mixed by two layers."""

    frequencies: Tensor

    def __init__(self, width: int, *, waves: int = 16) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0.0, math.log(60.0), waves))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.mix = nn.Sequential(nn.Linear(2 * waves, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, value: Tensor) -> Tensor:
        """Maps [batch] to [batch, width]."""
        angle = value[:, None] * self.frequencies
        mixed: Tensor = self.mix(torch.cat([angle.sin(), angle.cos()], dim=1))
        return mixed


class Block(nn.Module):
    """Self-attention and a feed-forward part, each scaled and shifted by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.forward_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.forward_in = nn.Linear(width, 4 * width)
        self.forward_out = nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps [batch, tokens, width] and [batch, width] to the shape of `x`."""
        modulation = self.modulation(condition)[:, None].chunk(6, dim=2)
        shift, scale, gate, shift_forward, scale_forward, gate_forward = modulation
        h = self.attention_norm(x) * (1 + scale) + shift
        parts = self.attention_in(h).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)  # each [batch, heads, tokens, width / heads]
        scores = (query @ key.transpose(-1, -2)) * (query.shape[-1] ** -0.5)
        h = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        x = x + gate * self.attention_out(h)
        h = self.forward_norm(x) * (1 + scale_forward) + shift_forward
        h = nn.functional.gelu(self.forward_in(h), approximate="tanh")
        out: Tensor = x + gate_forward * self.forward_out(h)
        return out


class MotionDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Predicts clean motion x0 from noisy motion at flow time t (1 is pure noise).

    `mean` and `scale` in the configuration map network motion to the motion space and the
    contacts after it: motion = mean + scale * x. A scale of 0 marks a coefficient the model
    leaves alone.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        audio_size: int = 128,
        motion_size: int = MOTION_SIZE,
        history_frames: int = 10,
        most_new_frames: int = 5,
        most_lookahead_frames: int = 8,
        style_names: tuple[str, ...] = FIRST_STYLE_NAMES,
        mean: tuple[float, ...] = (0.0,) * MOTION_SIZE,
        scale: tuple[float, ...] = (1.0,) * MOTION_SIZE,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        window = history_frames + most_new_frames + most_lookahead_frames
        self.history_frames = history_frames
        self.motion_in = nn.Linear(motion_size, width)
        self.history_in = nn.Linear(motion_size, width)
        self.audio_in = nn.Linear(audio_size, width)
        self.position = nn.Parameter(torch.randn(window, width) * 0.02)
        self.kind = nn.Parameter(torch.randn(3, width) * 0.02)  # history, new, lookahead
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.sink = nn.Parameter(torch.randn(width) * 0.02)
        self.style_in = nn.Linear(len(style_names), width)
        self.activity = nn.Embedding(len(Activity), width)
        self.time = ScalarEmbedding(width)
        self.step_size = ScalarEmbedding(width)
        self.history_noise = ScalarEmbedding(width)
        self.guidance = ScalarEmbedding(width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, motion_size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_t: Tensor, t: Tensor, inputs: DenoiserInputs) -> Tensor:
        """Predicts the clean frames.

        Args:
            x_t: [batch, N, motion] noisy frames.
            t: [batch] flow time.
            inputs: everything else.

        Returns:
            [batch, N, motion] x0.
        """
        tokens = self.tokens(
            x_t,
            inputs.history,
            inputs.history_known,
            inputs.audio,
            inputs.style,
            inputs.activity,
        )
        condition = self.time(t) + self.step_size(inputs.step_size)
        condition = condition + self.history_noise(inputs.history_noise)
        condition = nn.functional.silu(condition + self.guidance(inputs.guidance))
        for block in self.blocks:
            tokens = block(tokens, condition)
        first = 1 + self.history_frames
        x0: Tensor = self.out(self.norm(tokens[:, first : first + x_t.shape[1]]))
        return x0

    def tokens(
        self,
        x_t: Tensor,
        history: Tensor,
        history_known: Tensor,
        audio: Tensor,
        style: Tensor,
        activity: Tensor,
    ) -> Tensor:
        """Returns [batch, 1 + K + N + L, width] what the layers see; see `DenoiserInputs`."""
        history_frames, new_frames = self.history_frames, x_t.shape[1]
        heard = self.audio_in(audio) + self.position[: audio.shape[1]]
        known = history_known[:, :, None]
        given = known * self.history_in(history) + (1 - known) * self.start
        return torch.cat(
            [
                (self.sink + self.style_in(style) + self.activity(activity))[:, None],
                given + heard[:, :history_frames] + self.kind[0],
                self.motion_in(x_t)
                + heard[:, history_frames : history_frames + new_frames]
                + self.kind[1],
                heard[:, history_frames + new_frames :] + self.kind[2],
            ],
            dim=1,
        )
