"""The audio encoder's arithmetic for the few rows of a chunk, compiled into one call.

Every row is worked out by itself, so that no cut of a stream and no company in a batch changes its
bits. Imported where it is first used, as `integer_loops`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.integer_loops import multiply, round_row
from streaming_model.integers import Floats, Layer

_EPSILON: Final = np.float32(1e-5)  # of layer normalisation, as torch has it
_HALF: Final = np.float32(0.5)
_ROOT: Final = np.float32(math.sqrt(0.5))

# Sums in whichever order is quickest, the same for every row.
_quick = njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nnan", "nsz"})
_exact = njit(nogil=True, cache=True)


@_exact
def _gelu(row: Floats) -> None:
    """Replaces each number by its Gaussian error linear unit."""
    for index in range(len(row)):
        value = row[index]
        row[index] = _HALF * value * (np.float32(1) + np.float32(math.erf(value * _ROOT)))


@_quick
def _normalise(row: Floats, gain: Floats, shift: Floats, out: Floats) -> None:
    """Writes a row [channels] with a mean of 0 and a variance of 1, scaled and shifted."""
    mean = np.float32(0)
    for index in range(len(row)):
        mean += row[index]
    mean /= np.float32(len(row))
    variance = np.float32(0)
    for index in range(len(row)):
        variance += (row[index] - mean) * (row[index] - mean)
    factor = np.float32(1) / np.float32(math.sqrt(variance / np.float32(len(row)) + _EPSILON))
    for index in range(len(row)):
        out[index] = (row[index] - mean) * factor * gain[index] + shift[index]


@_exact
def _copy_row(x: Floats, past: Floats, row: int, out: Floats) -> None:
    """Writes a row [channels] of `x`, or below 0 of the rows in `past` before it."""
    if row < 0:
        begin = len(past) + row * len(out)
        for channel in range(len(out)):
            out[channel] = past[begin + channel]
    else:
        for channel in range(len(out)):
            out[channel] = x[row, channel]


@_exact
def _convolve(
    x: Floats, past: Floats, next_past: Floats, layer: Layer, dilation: int, stride: int
) -> Floats:
    """Returns [rows / stride, outputs] the units of a convolution that looks back.

    Args:
        x: [rows, channels].
        past: [before * channels] the rows before them.
        next_past: takes the place of `past` next time.
        layer: its inputs are taps of channels, the oldest first.
        dilation: rows from one tap to the next.
        stride: rows from one output to the next.
    """
    rows, channels = x.shape
    before, taps = len(past) // channels, layer[0].shape[1] // channels
    made = rows // stride
    out, steps = np.empty((made, len(layer[2])), np.float32), np.empty(made, np.float32)
    inputs = taps * channels
    seen, rounded = np.empty(inputs, np.float32), np.empty((made, inputs), np.int16)
    for row in range(made):
        for tap in range(taps):
            place = row * stride + tap * dilation
            _copy_row(x, past, place - before, seen[tap * channels : (tap + 1) * channels])
        steps[row] = round_row(seen, rounded[row])
    multiply(rounded, steps, layer, out)
    for row in range(made):
        _gelu(out[row])
    for row in range(before):
        _copy_row(x, past, rows + row - before, next_past[row * channels : (row + 1) * channels])
    return out


@_exact
def encode(
    mel: Floats, state: Floats, down: tuple[Layer, Layer, Layer], strides: NDArray[np.int64],
    look: Layer, mixed: Layer, norms: tuple[Floats, Floats], dilations: NDArray[np.int64],
    last: tuple[Floats, Floats], final: Layer,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Maps [batch, 4 * frames, 80] and [batch, state] to features and the next state.

    Args:
        mel: the sound's features.
        state: of `AudioEncoder`.
        down: the layers that lead to the blocks.
        strides: of each of them.
        look: the convolutions of all blocks, [blocks, ...].
        mixed: what each block makes of its convolution, [blocks, ...].
        norms: gains and shifts before each block, [blocks, channels].
        dilations: of each block's convolution.
        last: gain and shift after the blocks.
        final: the last layer.
    """
    batch = len(mel)
    frames, size = mel.shape[1] // (strides[0] * strides[1] * strides[2]), len(final[2])
    features, next_state = np.empty((batch, frames, size), np.float32), np.empty_like(state)
    for stream in range(batch):
        past, next_past, begin = state[stream], next_state[stream], 0
        x, at = mel[stream], 0
        for layer in down:
            taps = layer[0].shape[1] // x.shape[1]
            end = begin + (taps - strides[at]) * x.shape[1]
            x = _convolve(x, past[begin:end], next_past[begin:end], layer, 1, strides[at])
            begin, at = end, at + 1
        rows, channels = x.shape
        normed, rounded = np.empty_like(x), np.empty((rows, channels), np.int16)
        mix, steps = np.empty_like(x), np.empty(rows, np.float32)
        for block in range(len(dilations)):
            for row in range(rows):
                _normalise(x[row], norms[0][block], norms[1][block], normed[row])
            layer = look[0][block], look[1][block], look[2][block]
            end = begin + (layer[0].shape[1] // channels - 1) * dilations[block] * channels
            looked = _convolve(
                normed, past[begin:end], next_past[begin:end], layer, dilations[block], 1
            )
            begin = end
            for row in range(rows):
                steps[row] = round_row(looked[row], rounded[row])
            layer = mixed[0][block], mixed[1][block], mixed[2][block]
            multiply(rounded, steps, layer, mix)
            for row in range(rows):
                for channel in range(channels):
                    x[row, channel] += mix[row, channel]
        for row in range(rows):
            _normalise(x[row], last[0], last[1], normed[row])
            steps[row] = round_row(normed[row], rounded[row])
        multiply(rounded, steps, final, features[stream])
    return features, next_state
