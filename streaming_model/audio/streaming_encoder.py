"""The audio encoder as it is served: the weights of `audio.encoder` in compiled integer loops.

At the two frames of a chunk an encoder costs what its weights weigh and what its calls are: here
weights are bytes, and a chunk is one call (docs/decisions/0048). The blocks' weights are rounded to
8 bits or 16; what leads to them and out of them, which most of an error would come of, to 16.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from streaming_model.errors import ModelFileError
from streaming_model.integers import Floats, Kind, Layer, whole_layer

Stored = Mapping[str, NDArray[np.generic]]
ReadT = TypeVar("ReadT")

CONFIG: Final = "config.json"  # as diffusers names it and the next
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
_STRIDES: Final = np.array([1, 2, 2])  # of the layers that lead to the blocks


class StreamingEncoder:
    """Maps log-mel to features chunk by chunk; every stream's memory is passed in and out.

    Args:
        folder: of an `AudioEncoder` in diffusers' form.
        blocks: what the weights of its blocks are rounded to.

    Attributes:
        state_size: how many numbers a stream remembers.

    Raises:
        ModelFileError: a file is missing or damaged.
    """

    def __init__(self, folder: Path, *, blocks: Kind = np.int8) -> None:
        stored = _read(folder / WEIGHTS, load_file)
        config = _read(folder / CONFIG, lambda path: json.loads(path.read_text("utf-8")))
        try:
            self._dilations = np.array(config["dilations"], np.int64)
            down = [f"down.{index}.conv" for index in range(len(_STRIDES))]
            names = [f"blocks.{index}" for index in range(len(self._dilations))]
            first, second, third = (_layer(stored, name, np.int16) for name in down)
            self._down = first, second, third
            self._look = _layers(stored, [f"{name}.look.conv" for name in names], blocks)
            self._mix = _layers(stored, [f"{name}.mix" for name in names], blocks)
            gains, shifts = zip(*(_norm(stored, f"{name}.norm") for name in names), strict=True)
            self._norms = np.stack(gains), np.stack(shifts)
            self._last, self._final = _norm(stored, "norm"), _layer(stored, "out", np.int16)
            kernels = [stored[f"{name}.weight"].shape for name in down]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"The motion model's files in {folder} are not an audio encoder's: {error}"
            ) from error
        before = [
            channels * (taps - int(stride))
            for (_, channels, taps), stride in zip(kernels, _STRIDES, strict=True)
        ]
        _, channels, inputs = self._look[0].shape
        self.state_size = sum(before) + (inputs - channels) * int(self._dilations.sum())

    def encode(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps [batch, 4 * frames, 80] and [batch, state_size] to outputs and the next state.

        The outputs are [batch, frames, numbers]; zeros are the state of a new stream.
        """
        # Compiled: numba takes longer to import than a server that only starts has to wait.
        from streaming_model.audio.encoder_loops import encode

        outputs, next_state = encode(
            np.ascontiguousarray(mel), np.ascontiguousarray(state), self._down, _STRIDES,
            self._look, self._mix, self._norms, self._dilations, self._last, self._final,
        )  # fmt: skip
        return outputs, next_state


def _read(path: Path, read: Callable[[Path], ReadT]) -> ReadT:
    """Returns what `read` reads from a file.

    Raises:
        ModelFileError: it is missing or damaged.
    """
    try:
        return read(path)
    except FileNotFoundError as error:
        raise ModelFileError(f"The motion model's file {path} is missing.") from error
    except (SafetensorError, ValueError) as error:
        raise ModelFileError(f"The motion model's file {path} is damaged: {error}") from error


def _layer(stored: Stored, name: str, kind: Kind) -> Layer:
    """Returns a layer or a convolution, whose inputs are its taps' channels, the oldest first."""
    weights = _single(stored, f"{name}.weight")
    if weights.ndim > 2:  # [outputs, channels, taps]
        weights = weights.transpose(0, 2, 1).reshape(len(weights), -1)
    return whole_layer(weights, _single(stored, f"{name}.bias"), kind)


def _layers(stored: Stored, names: Sequence[str], kind: Kind) -> Layer:
    """Returns the layers of all blocks, [blocks, ...]."""
    weights, scales, bias = zip(*(_layer(stored, name, kind) for name in names), strict=True)
    return np.stack(weights), np.stack(scales), np.stack(bias)


def _norm(stored: Stored, name: str) -> tuple[Floats, Floats]:
    return _single(stored, f"{name}.weight"), _single(stored, f"{name}.bias")


def _single(stored: Stored, name: str) -> Floats:
    return stored[name].astype(np.float32)
