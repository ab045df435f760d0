"""Exported graphs for serving: the same weights as the pipeline's, for onnxruntime.

Weights are rounded to half precision first and stored so in both forms, which makes them
the same model; arithmetic stays in single precision.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import MEL_BINS, MELS_PER_FRAME
from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser

_OPSET: Final = 17
_SMALLEST_HALVED: Final = 64  # numbers; smaller tensors are not worth a Cast node


class ServedDenoiser(nn.Module):
    """The denoiser as serving calls it: with a clean history."""

    def __init__(self, denoiser: MotionDenoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(
        self,
        x_t: Tensor,
        t: Tensor,
        step_size: Tensor,
        history: Tensor,
        history_known: Tensor,
        audio: Tensor,
        style: Tensor,
        activity: Tensor,
        guidance: Tensor,
    ) -> Tensor:
        """Returns x0; the arguments are those of `MotionDenoiser`."""
        none = torch.zeros_like(t)
        inputs = DenoiserInputs(
            history, history_known, audio, style, activity, none, step_size, guidance
        )
        x0: Tensor = self.denoiser(x_t, t, inputs)
        return x0


def round_to_half(network: nn.Module) -> None:
    """Rounds the weights in place to values that half precision can hold."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())


def export_encoder(encoder: AudioEncoder, path: Path) -> None:
    """Writes the graph (mel [batch, 4, 80], state) -> (features [batch, 1, size], state)."""
    example = (torch.zeros(2, MELS_PER_FRAME, MEL_BINS), torch.zeros(2, encoder.state_size))
    _export(
        encoder,
        example,
        path,
        inputs=["mel", "state"],
        outputs=["features", "next_state"],
        dynamic={name: {0: "batch"} for name in ("mel", "state", "features", "next_state")},
    )


def export_denoiser(denoiser: MotionDenoiser, path: Path) -> None:
    """Writes the graph of `ServedDenoiser` for any batch, chunk and lookahead."""
    size, audio_size = denoiser.config["motion_size"], denoiser.config["audio_size"]
    history = denoiser.config["history_frames"]
    example = {
        "x_t": torch.zeros(2, 2, size),
        "t": torch.ones(2),
        "step_size": torch.ones(2),
        "history": torch.zeros(2, history, size),
        "history_known": torch.ones(2, history),
        "audio": torch.zeros(2, history + 4, audio_size),
        "style": torch.zeros(2, len(denoiser.config["style_names"])),
        "activity": torch.zeros(2, dtype=torch.int64),
        "guidance": torch.zeros(2),
    }
    dynamic = {name: {0: "batch"} for name in (*example, "x0")}
    dynamic["x_t"][1], dynamic["x0"][1], dynamic["audio"][1] = "new", "new", "window"
    _export(
        ServedDenoiser(denoiser),
        tuple(example.values()),
        path,
        inputs=list(example),
        outputs=["x0"],
        dynamic=dynamic,
    )


def _export(
    network: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: list[str],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.onnx"
        torch.onnx.export(
            network.eval(),
            example,
            str(full),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=dynamic,
            opset_version=_OPSET,
            dynamo=False,
        )
        model = onnx.load(str(full))
    _store_halved(model)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _store_halved(model: onnx.ModelProto) -> None:
    """Stores the large weights in half precision, each cast back when the graph is loaded."""
    kept, casts = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        half = values.astype(np.float16) if values.dtype == np.float32 else values
        if values.size < _SMALLEST_HALVED or half is values or (half != values).any():
            kept.append(weight)
            continue
        name = f"{weight.name}.half"
        kept.append(numpy_helper.from_array(half, name))
        casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def write_serving_file(
    denoiser: MotionDenoiser, encoder: AudioEncoder, path: Path, *, steps: int
) -> None:
    """Writes what the serving path must know beside the graphs, as JSON."""
    config = denoiser.config
    settings = {
        "history_frames": config["history_frames"],
        "most_new_frames": config["most_new_frames"],
        "most_lookahead_frames": config["most_lookahead_frames"],
        "audio_size": config["audio_size"],
        "encoder_state_size": encoder.state_size,
        "steps": steps,
        "style_names": list(config["style_names"]),
        "mean": list(config["mean"]),
        "scale": list(config["scale"]),
    }
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
