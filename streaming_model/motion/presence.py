"""Is this a voice at all? A small network over the encoder's features, and what it lets through.

The motion network was taught to leave the mouth shut to music, animals and noise, and still
opens it where they sound like vowels. A second look over half a second tells them apart; where
it hears no voice, the mouth does not open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import ModelFileError
from streaming_model.integers import Layer, whole_layer
from streaming_model.motion.weights import read_network
from streaming_model.motion_space import INDEX

Floats = NDArray[np.float32]

PAST: Final = 10  # frames that it looks back
AHEAD: Final = 2  # frames that it looks ahead, if there are so many
FILE: Final = "presence.safetensors"

# Of the score: where a voice is possible, and where certain, to a shut mouth and to one that a
# voice has opened. A first word is hardly ever in doubt, a bark is; in a hall or in noise a voice
# is doubtful again and again, and still the same voice.
_STRANGE: Final = (0.994, 0.999)
_FAMILIAR: Final = (0.6, 0.9)
_RISE, _FALL = 0.5, 0.25  # shares of the way to the score, a frame
_OPENERS: Final = np.array(
    [
        INDEX[name]
        for name in (
            "jawOpen",
            "mouthClose",
            "mouthFunnel",
            "mouthPucker",
            "mouthLowerDownLeft",
            "mouthLowerDownRight",
            "mouthUpperUpLeft",
            "mouthUpperUpRight",
        )
    ]
)


@dataclass(frozen=True, slots=True)
class Presence:
    """The network's weights.

    Attributes:
        hidden: [13 * audio_size, hidden].
        hidden_bias: [hidden].
        out: [hidden].
        out_bias: [1].
    """

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats
    _layer: Layer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        layer = whole_layer(self.hidden.T, self.hidden_bias, np.int16)
        object.__setattr__(self, "_layer", layer)

    def scores(self, audio: Floats, *, frames: int, lookahead: int) -> Floats:
        """Returns [..., frames] how sure it is that a voice sounds, 0..1.

        Args:
            audio: [..., PAST + frames + lookahead, audio_size] the encoder's features, zeros
                before the stream began.
            frames: how many frames to judge.
            lookahead: frames of sound after them; more than `AHEAD` are not looked at.
        """
        # Compiled: numba takes longer to import than a server that only starts has to wait.
        from streaming_model.motion.small_networks import likelihoods, looked

        *streams, rows, size = audio.shape
        heard = np.ascontiguousarray(audio).reshape(-1, rows, size)
        places = _places(frames, min(lookahead, AHEAD))
        sums = looked(heard, heard[:, :, :0], places, self._layer)
        scores: Floats = likelihoods(sums, self.out[:, None], self.out_bias)
        return scores.reshape(*streams, frames)


@lru_cache(maxsize=64)
def _places(frames: int, seen: int) -> NDArray[np.int64]:
    """Returns [frames, PAST + 1 + AHEAD] which rows each frame looks at, -1 for those unknown."""
    offsets = np.arange(PAST + 1 + AHEAD)
    places = np.where(offsets <= PAST + seen, np.arange(frames)[:, None] + offsets, -1)
    places.flags.writeable = False
    return places


def load_presence(folder: Path, *, audio_size: int) -> Presence | None:
    """Returns the weights in a folder, None where it has none, as older folders.

    Raises:
        ModelFileError: the file is damaged.
    """
    path = folder / FILE
    if (presence := read_network(path, Presence)) is None:
        return None
    if presence.hidden.shape[0] != (PAST + 1 + AHEAD) * audio_size:
        raise ModelFileError(
            f"The motion model's file {path} is for {presence.hidden.shape[0]} numbers, "
            f"not {(PAST + 1 + AHEAD) * audio_size}."
        )
    return presence


def let_through(share: float, motion: Floats, scores: Floats) -> tuple[float, Floats]:
    """Returns the next share and [frames, 58] motion whose mouth opens only to a voice.

    Args:
        share: 0..1, how far the mouth was let open in the frame before.
        motion: [frames, 58].
        scores: [frames] of `Presence.scores`.
    """
    from streaming_model.motion.rows import let_open

    after, gated = let_open(share, motion, scores, _OPENERS, *_STRANGE, *_FAMILIAR, _RISE, _FALL)
    return after, gated
