"""The networks as the serving path runs them: the same numbers of the same weights, cheaper.

At the few rows of one chunk a network costs what its weights weigh and what its nodes are. Short
convolutions become matrix products, what only depends on the sampler's step is a network of its
own, and the last layer thinks about the new frames only.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder, CausalConv, ResidualBlock
from streaming_model.motion.denoiser import Block, MotionDenoiser


class ServedEncoder(nn.Module):
    """The audio encoder with its convolutions as products over gathered rows."""

    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, mel: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Maps what `AudioEncoder` maps, to the same."""
        encoder, x, pasts = self.encoder, mel, []
        down = cast(list[CausalConv], list(encoder.down))
        blocks = cast(list[ResidualBlock], list(encoder.blocks))
        before = encoder.split(state)
        for layer, past in zip(down, before, strict=False):
            x, past = look_back(layer, x, past)
            x = nn.functional.gelu(x)
            pasts.append(past)
        for block, past in zip(blocks, before[len(down) :], strict=True):
            looked, past = look_back(block.look, block.norm(x), past)
            x = x + mix(block.mix, nn.functional.gelu(looked))
            pasts.append(past)
        return encoder.out(encoder.norm(x)), encoder.join(pasts)


def look_back(layer: CausalConv, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
    """Maps [batch, time, inputs] and the past to [batch, time / stride, outputs] and the next past.

    Tap j of the kernel sees every row of past and x from row j * dilation to as many before the
    end as the taps after it need. Counted from both ends, no length has to be known.
    """
    joined = torch.cat([past, x], dim=1)
    (taps,), (stride,), (dilation,) = (
        layer.conv.kernel_size,
        layer.conv.stride,
        layer.conv.dilation,
    )
    seen = [
        joined[:, tap * dilation : -(taps - 1 - tap) * dilation or None : stride]
        for tap in range(taps)
    ]
    if stride == 1:
        seen[-1] = x  # the same rows, which need not be cut out
    weight = layer.conv.weight.permute(2, 1, 0).flatten(0, 1)  # [taps * inputs, outputs]
    assert layer.conv.bias is not None
    return torch.cat(seen, dim=2) @ weight + layer.conv.bias, joined[:, -layer.past :]


def mix(layer: nn.Conv1d, x: Tensor) -> Tensor:
    """Maps [batch, time, inputs] to [batch, time, outputs] by a kernel of length one."""
    return nn.functional.linear(x, layer.weight[:, :, 0], layer.bias)


class StepModulation(nn.Module):
    """How the denoiser's layers are modulated in one step of the sampler, the same for every chunk.

    Six rows for each layer: shift, scale and gate of the attention and of the feed-forward part.
    The scales are those of `layer_norm`: 1 is in them.
    """

    def __init__(self, denoiser: MotionDenoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, t: Tensor, step_size: Tensor, guidance: Tensor) -> Tensor:
        """Maps three times [1] to [6 * layers, width]; the history is clean."""
        denoiser, none = self.denoiser, torch.zeros_like(t)
        condition = denoiser.time(t) + denoiser.step_size(step_size)
        condition = condition + denoiser.history_noise(none)
        condition = nn.functional.silu(condition + denoiser.guidance(guidance))
        blocks = cast(list[Block], list(denoiser.blocks))
        rows: list[Tensor] = []
        for block in blocks:
            shift, scale, gate, shift_forward, scale_forward, gate_forward = block.modulation(
                condition
            ).chunk(6, dim=1)
            rows += [shift, 1 + scale, gate, shift_forward, 1 + scale_forward, gate_forward]
        return torch.cat(rows)


class ServedDenoiser(nn.Module):
    """The denoiser under a modulation made before, which all rows of the batch share."""

    def __init__(self, denoiser: MotionDenoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        x_t: Tensor,
        history: Tensor,
        history_known: Tensor,
        audio: Tensor,
        style: Tensor,
        activity: Tensor,
        modulation: Tensor,
    ) -> Tensor:
        """Returns x0; `modulation` is of `StepModulation`, the others are those of the denoiser."""
        denoiser = self.denoiser
        tokens = denoiser.tokens(x_t, history, history_known, audio, style, activity)
        first = 1 + denoiser.history_frames
        new, everything = slice(first, first + x_t.shape[1]), slice(None)
        last = len(denoiser.blocks) - 1
        for index, block in enumerate(cast(list[Block], list(denoiser.blocks))):
            rows = [modulation[6 * index + row] for row in range(6)]
            tokens = served_block(block, tokens, rows, asked=new if index == last else everything)
        x0: Tensor = denoiser.out(denoiser.norm(tokens))
        return x0


def served_block(block: Block, x: Tensor, modulation: list[Tensor], *, asked: slice) -> Tensor:
    """Maps [batch, tokens, width] to the tokens `asked` for; `modulation` is six times [width]."""
    shift, scale, gate, shift_forward, scale_forward, gate_forward = modulation
    h = nn.functional.layer_norm(x, scale.shape, scale, shift, block.attention_norm.eps)
    width = block.attention_out.in_features
    query, key, value = torch.split(h @ block.attention_in.weight.t(), width, dim=2)
    h = FusedAttention.apply(query[:, asked], key, value, block.attention_in.bias, block.heads)  # type: ignore[no-untyped-call]
    x = x[:, asked] + gate * block.attention_out(h)
    h = nn.functional.layer_norm(
        x, scale.shape, scale_forward, shift_forward, block.forward_norm.eps
    )
    h = nn.functional.gelu(block.forward_in(h), approximate="tanh")
    out: Tensor = x + gate_forward * block.forward_out(h)
    return out


class FusedAttention(torch.autograd.Function):
    """Attention of several heads that exports as one node, an operator of onnxruntime's own."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        heads: int,
    ) -> Tensor:
        """Maps [batch, asked, width] and twice [batch, tokens, width] to the shape of `query`.

        `bias` is [3 * width], to be added to query, key and value.
        """
        query, key, value = (
            (part + own).reshape(*part.shape[:2], heads, -1).transpose(1, 2)
            for part, own in zip((query, key, value), bias.chunk(3), strict=True)
        )
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        return attended.transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(
        g: Any,  # noqa: ANN401 - torch's
        query: Any,  # noqa: ANN401
        key: Any,  # noqa: ANN401
        value: Any,  # noqa: ANN401
        bias: Any,  # noqa: ANN401
        heads: int,
    ) -> Any:  # noqa: ANN401
        """Returns the node `MultiHeadAttention` for the exporter."""
        node = g.op("com.microsoft::MultiHeadAttention", query, key, value, bias, num_heads_i=heads)
        return node.setType(query.type())
