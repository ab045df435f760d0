"""Exported graphs: the same weights as the pipeline's, for onnxruntime.

Weights are rounded to half precision and stored once, in the pipeline's safetensors files: the
graphs refer to the bytes there as ONNX external data. Arithmetic stays in single precision. The
denoiser is served so; encoder and listener, which are served in compiled loops, are for others.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import onnx
import torch
from diffusers.utils.constants import SAFETENSORS_WEIGHTS_NAME
from onnx import TensorProto, helper
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import MEL_BINS, MELS_PER_FRAME
from streaming_model.motion.denoiser import MotionDenoiser
from streaming_model.motion.listener import FOLDER as LISTENER_FOLDER
from streaming_model.motion.smoothing import LOW_PASS
from training.served import ServedDenoiser, ServedEncoder, StepModulation

LISTENER_GRAPH: Final = "listener.onnx"
_OPSET: Final = 20  # the first that knows both kinds of GELU


def round_to_half(network: nn.Module) -> None:
    """Rounds the weights in place to values that half precision can hold."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())


def export_folder(folder: Path) -> None:
    """Writes the graphs of a model in diffusers' form again, from its weights.

    What the graphs do may change with the code; the weights stay as they were trained.
    """
    encoder, denoiser = (
        part.from_pretrained(folder / name, dtype=torch.float32)
        for name, part in (("encoder", AudioEncoder), ("denoiser", MotionDenoiser))
    )
    export_encoder(encoder, folder / "encoder.onnx", weights=_weights(folder, "encoder"))
    export_denoiser(denoiser, folder / "denoiser.onnx", weights=_weights(folder, "denoiser"))
    if (folder / LISTENER_FOLDER).exists():
        listener = AudioEncoder.from_pretrained(folder / LISTENER_FOLDER, dtype=torch.float32)
        export_listener(
            listener, folder / LISTENER_GRAPH, weights=_weights(folder, LISTENER_FOLDER)
        )


def write_denoiser(denoiser: MotionDenoiser, folder: Path, *, steps: int) -> None:
    """Writes a denoiser into a folder of weights, its graphs, and how many steps it is served with.

    Rounded to half precision. The gains of the one before are gone: they were for its head.
    """
    round_to_half(denoiser)
    told = {name: value for name, value in denoiser.config.items() if not name.startswith("_")}
    halved: MotionDenoiser = MotionDenoiser(**told)  # without where the other was read from
    halved.load_state_dict(denoiser.state_dict())
    halved.half()  # type: ignore[no-untyped-call]
    halved.save_pretrained(folder / "denoiser")
    export_denoiser(denoiser, folder / "denoiser.onnx", weights=_weights(folder, "denoiser"))
    path = folder / "serving.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | {"steps": steps}
    for name in ("gain", "low_pass"):
        settings.pop(name, None)
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def write_listener(listener: AudioEncoder, folder: Path) -> None:
    """Writes a listener into a folder of weights, rounded to half precision, and its graph."""
    round_to_half(listener)
    halved = copy.deepcopy(listener)  # halving would round the constants too, which no file holds
    halved.half()  # type: ignore[no-untyped-call]
    halved.save_pretrained(folder / LISTENER_FOLDER)
    export_listener(listener, folder / LISTENER_GRAPH, weights=_weights(folder, LISTENER_FOLDER))


def _weights(folder: Path, name: str) -> Path:
    return folder / name / SAFETENSORS_WEIGHTS_NAME


def export_encoder(encoder: AudioEncoder, path: Path, *, weights: Path) -> None:
    """Writes the graph (mel [batch, 4 * frames, 80], state) -> (features, next_state).

    Features are [batch, frames, size], the state is that of `AudioEncoder`.

    Args:
        encoder: in single precision, with the numbers that `weights` holds.
        path: of the graph.
        weights: the encoder's safetensors file, in the graph's folder or below.
    """
    _export_encoder(encoder, path, weights=weights, outputs=["features", "next_state"])


def export_listener(listener: AudioEncoder, path: Path, *, weights: Path) -> None:
    """Writes the graph (mel [batch, 4 * frames, 80], state) -> (scores, next_state).

    The arguments are those of `export_encoder`.
    """
    _export_encoder(listener, path, weights=weights, outputs=["scores", "next_state"])


def _export_encoder(
    encoder: AudioEncoder, path: Path, *, weights: Path, outputs: list[str]
) -> None:
    example = {
        "mel": torch.zeros(2, 2 * MELS_PER_FRAME, MEL_BINS),
        "state": torch.zeros(2, encoder.state_size),
    }
    dynamic = {name: {0: "batch"} for name in (*example, *outputs)}
    dynamic["mel"][1], dynamic[outputs[0]][1] = "time", "frames"
    _export(ServedEncoder(encoder), example, path, outputs=outputs, dynamic=dynamic)
    _refer_to(weights, path, prefix="encoder.")


def export_denoiser(denoiser: MotionDenoiser, path: Path, *, weights: Path) -> None:
    """Writes the graph of `ServedDenoiser` for any batch, chunk and lookahead.

    Beside it, in `modulation.onnx`, that of `StepModulation`. The arguments are those of
    `export_encoder`.
    """
    size, audio_size = denoiser.config["motion_size"], denoiser.config["audio_size"]
    history, width = denoiser.config["history_frames"], denoiser.config["width"]
    example = {
        "x_t": torch.zeros(2, 2, size),
        "history": torch.zeros(2, history, size),
        "history_known": torch.ones(2, history),
        "audio": torch.zeros(2, history + 4, audio_size),
        "style": torch.zeros(2, len(denoiser.config["style_names"])),
        "activity": torch.zeros(2, dtype=torch.int64),
        "modulation": torch.zeros(6 * denoiser.config["layers"], width),
    }
    dynamic = {name: {0: "batch"} for name in (*example, "x0") if name != "modulation"}
    dynamic["x_t"][1], dynamic["x0"][1], dynamic["audio"][1] = "new", "new", "window"
    _export(ServedDenoiser(denoiser), example, path, outputs=["x0"], dynamic=dynamic)
    _refer_to(weights, path, prefix="denoiser.")
    step = {name: torch.ones(1) for name in ("t", "step_size", "guidance")}
    beside = path.with_name("modulation.onnx")
    _export(StepModulation(denoiser), step, beside, outputs=["modulation"], dynamic={})
    _refer_to(weights, beside, prefix="denoiser.")


def _export(
    network: nn.Module,
    example: dict[str, Tensor],
    path: Path,
    *,
    outputs: list[str],
    dynamic: dict[str, dict[int, str]],
) -> None:
    torch.onnx.export(
        network.eval(),
        tuple(example.values()),
        str(path),
        input_names=list(example),
        output_names=outputs,
        dynamic_axes=dynamic,
        opset_version=_OPSET,
        dynamo=False,
        # Folding would transpose weights and lose their names.
        do_constant_folding=False,
    )


def _refer_to(weights: Path, path: Path, *, prefix: str) -> None:
    """Takes the weights out of a graph; each is read from `weights`, and cast, when it loads."""
    model = onnx.load(str(path))
    stored = _stored_tensors(weights)
    kept, casts = [], []
    for initializer in model.graph.initializer:
        name = initializer.name.removeprefix(prefix)
        if name not in stored:
            kept.append(initializer)
            continue
        shape, offset, length = stored.pop(name)
        half = TensorProto(name=f"{initializer.name}.half", data_type=TensorProto.FLOAT16)
        half.dims.extend(shape)
        half.data_location = TensorProto.EXTERNAL
        place = {
            "location": weights.relative_to(path.parent).as_posix(),
            "offset": str(offset),
            "length": str(length),
        }
        for key, value in place.items():
            half.external_data.add(key=key, value=value)
        kept.append(half)
        casts.append(
            helper.make_node("Cast", [half.name], [initializer.name], to=TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:]
    del model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path))


def _stored_tensors(path: Path) -> dict[str, tuple[list[int], int, int]]:
    """Returns shape, first byte and length of each half-precision tensor of a safetensors file.

    The file begins with the length of a JSON header as 64 bits, little endian.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    stored = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F16":
            raise ValueError(f"{name} in {path.name} is {entry['dtype']}, not F16")
        begin, end = entry["data_offsets"]
        stored[name] = (entry["shape"], 8 + size + begin, end - begin)
    return stored


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


def write_gains(
    path: Path,
    gains: Sequence[float],
    *,
    low_pass: tuple[float, float] = LOW_PASS,
    steps: int | None = None,
) -> None:
    """Adds to a serving file how much larger each number is given than the network makes it.

    Beside them the time constants of the low-pass (`motion.smoothing`), and how many steps both are
    for, if it is another number than before.
    """
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings |= {"gain": [round(gain, 3) for gain in gains], "low_pass": low_pass}
    settings["steps"] = settings["steps"] if steps is None else steps
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
