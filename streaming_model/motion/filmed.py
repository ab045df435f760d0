"""The mouth of the filmed people: what the style `captured` asks for, heard straight from sound.

The denoiser spends a tenth of its windows on them and mixes their manner with that of the rules.
A small network that was fitted to them alone, on the same features and no more sound ahead, comes
nearer to their mouths. It runs only where it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.features import MEL_BINS, MELS_PER_FRAME
from streaming_model.errors import ModelFileError
from streaming_model.motion.weights import read_network
from streaming_model.motion_space import INDEX, MOTION_SIZE

Floats = NDArray[np.float32]

FILE: Final = "filmed.safetensors"
PAST: Final = 10  # frames that it looks back
AHEAD: Final = 2  # frames that it looks ahead, if there are so many
OFFSETS: Final = tuple(range(-PAST, AHEAD + 1, 2))  # the frames that it looks at, from its own
_CLOSE: Final = INDEX["mouthClose"]
_ROOT: Final = np.float32(np.sqrt(2 / np.pi))


@dataclass(frozen=True, slots=True)
class FilmedMouth:
    """The network's weights, two layers and what they give.

    Attributes:
        first, first_bias: [offsets * (audio_size + 80), hidden] and [hidden].
        second, second_bias: [hidden, hidden] and [hidden].
        out, out_bias: [hidden, channels] and [channels].
        channels: [channels] which of the motion's numbers it gives.
    """

    first: Floats
    first_bias: Floats
    second: Floats
    second_bias: Floats
    out: Floats
    out_bias: Floats
    channels: NDArray[np.int32]

    def shapes(self, audio: Floats, sound: Floats, *, frames: int, lookahead: int) -> Floats:
        """Returns [batch, frames, channels] of the mouth, 0..1.

        Args:
            audio: [batch, PAST + frames + lookahead, audio_size] the encoder's features, zeros
                before the stream began.
            sound: [batch, PAST + frames + lookahead, 80] of `mean_mel`, likewise.
            frames: how many frames to give.
            lookahead: frames of sound after them; for those missing to `AHEAD` the last stands in.
        """
        heard = np.concatenate([audio, sound], axis=2)
        seen = [min(offset, lookahead) for offset in OFFSETS]
        places = PAST + np.arange(frames)[:, None] + np.array(seen)
        windows = heard[:, places].reshape(len(heard), frames, -1)
        hidden = _gelu(windows @ self.first + self.first_bias)
        hidden = _gelu(hidden @ self.second + self.second_bias)
        given: Floats = np.minimum(np.maximum(hidden @ self.out + self.out_bias, 0), np.float32(1))
        return given

    def blend(self, motion: Floats, shapes: Floats, shares: Floats) -> Floats:
        """Returns [batch, frames, 58] motion with so much of these shapes in its mouth.

        Args:
            motion: [batch, frames, 58] whose lips close by `mouthClose`.
            shapes: of `shapes`, where the jaw says how far the lips are apart, and they close by
                it alone.
            shares: [batch, frames] 0..1.
        """
        part, blended = shares[..., None], motion.copy()
        blended[..., self.channels] += part * (shapes - motion[..., self.channels])
        blended[..., _CLOSE] *= 1 - shares
        return blended


def mean_mel(mel: Floats) -> Floats:
    """Returns [batch, frames, 80] the mean of the four windows of each frame."""
    from streaming_model.audio.bands import means

    mean: Floats = means(mel, MELS_PER_FRAME)
    return mean


def _gelu(values: Floats) -> Floats:
    """Returns the smooth gate, by its usual approximation with a hyperbolic tangent."""
    inner = _ROOT * (values + np.float32(0.044715) * values * values * values)
    gated: Floats = np.float32(0.5) * values * (1 + np.tanh(inner))
    return gated


def load_filmed(folder: Path, *, audio_size: int) -> FilmedMouth | None:
    """Returns the weights in a folder, None where it has none, as older folders.

    Raises:
        ModelFileError: the file is damaged.
    """
    path = folder / FILE
    if (mouth := read_network(path, FilmedMouth)) is None:
        return None
    wanted = len(OFFSETS) * (audio_size + MEL_BINS)
    if mouth.first.shape[0] != wanted:
        raise ModelFileError(
            f"The motion model's file {path} is for {mouth.first.shape[0]} numbers, not {wanted}."
        )
    channels = mouth.channels
    if channels.size and not (channels.min() >= 0 and channels.max() < MOTION_SIZE):
        raise ModelFileError(f"The motion model's file {path} gives numbers of no motion.")
    return mouth
