"""The streaming audio encoder: log-mel in, one phonetic feature vector per motion frame out.

A stack of causal convolutions with a bounded past, two and a half seconds as shipped. Its memory is
one flat tensor that is passed in and out, so that it exports as a single graph. Training only:
the serving path runs the exported graph, which `training.served` writes as matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from streaming_model.audio.features import MEL_BINS, MELS_PER_FRAME

_DROPPED: Final = 0.1  # of a block's numbers while training


class CausalConv(nn.Module):
    """A convolution whose left padding is the end of what came before."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.channels = inputs
        self.past = (kernel - 1) * dilation + 1 - stride
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [batch, inputs, time] and the past to [batch, outputs, time / stride]."""
        joined = torch.cat([past, x], dim=2)
        return self.conv(joined), joined[:, :, -self.past :]


class ResidualBlock(nn.Module):
    """Normalise, look back, mix; added to what came in."""

    def __init__(self, channels: int, *, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.look = CausalConv(channels, channels, kernel=3, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.drop = nn.Dropout(_DROPPED)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [batch, channels, time] to the same shape."""
        normed = self.norm(x.transpose(1, 2)).transpose(1, 2)
        looked, past = self.look(normed, past)
        return x + self.mix(self.drop(nn.functional.gelu(looked))), past


class AudioEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Log-mel features to `feature_size` numbers per motion frame, causally.

    The state is [batch, state_size], zeros at the start of a stream: of each convolution in
    turn its past [time, channels], flattened.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        channels: int = 192,
        feature_size: int = 128,
        dilations: tuple[int, ...] = (1, 2, 4, 1),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.down = nn.ModuleList(
            [
                CausalConv(MEL_BINS, 128, kernel=3),
                CausalConv(128, channels, kernel=4, stride=2),
                CausalConv(channels, channels, kernel=4, stride=2),
            ]
        )
        self.blocks = nn.ModuleList(
            [ResidualBlock(channels, dilation=dilation) for dilation in dilations]
        )
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, feature_size)

    @property
    def state_size(self) -> int:
        """Returns how many numbers a stream remembers."""
        return sum(conv.channels * conv.past for conv in self._convs())

    def forward(self, mel: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes whole motion frames.

        Args:
            mel: [batch, 4 * frames, 80] features of `audio.features`.
            state: [batch, state_size].

        Returns:
            [batch, frames, feature_size] features and the next state.
        """
        pasts = [past.transpose(1, 2) for past in self.split(state)]
        next_pasts = []
        x = mel.transpose(1, 2)
        for layer, past in zip(self.down, pasts, strict=False):
            x, past = layer(x, past)
            x = nn.functional.gelu(x)
            next_pasts.append(past)
        for block, past in zip(self.blocks, pasts[len(self.down) :], strict=True):
            x, past = block(x, past)
            next_pasts.append(past)
        features = self.out(self.norm(x.transpose(1, 2)))
        return features, self.join([past.transpose(1, 2) for past in next_pasts])

    def encode(self, mel: Tensor) -> Tensor:
        """Encodes [batch, 4 * frames, 80] from the start of a stream, in one go."""
        assert mel.shape[1] % MELS_PER_FRAME == 0
        features, _ = self(mel, mel.new_zeros(mel.shape[0], self.state_size))
        return cast(Tensor, features)

    def split(self, state: Tensor) -> list[Tensor]:
        """Returns of each convolution in turn its past [batch, time, channels]."""
        convs = self._convs()
        parts = torch.split(state, [conv.channels * conv.past for conv in convs], dim=1)
        return [
            part.reshape(-1, conv.past, conv.channels)
            for part, conv in zip(parts, convs, strict=True)
        ]

    def join(self, pasts: Sequence[Tensor]) -> Tensor:
        """Returns the state [batch, state_size] of these pasts [batch, time, channels]."""
        sizes = [conv.channels * conv.past for conv in self._convs()]
        parts = [past.reshape(-1, size) for past, size in zip(pasts, sizes, strict=True)]
        return torch.cat(parts, dim=1)

    def _convs(self) -> list[CausalConv]:
        return [
            *cast(list[CausalConv], list(self.down)),
            *[cast(ResidualBlock, block).look for block in self.blocks],
        ]
