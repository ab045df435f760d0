"""What the sound around a frame says of the lips there: met, at the teeth, or surely apart.

The listener scores each frame by itself, and the encoder's features were made for the whole
motion. A small network that sees a third of a second of both tells contacts better than either,
and open vowels, which nobody was asked for: a mouth that shuts in the middle of one is seen at
once. It costs a hundredth of what it listens to.
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
from streaming_model.motion.contacts import CONTACT_NAMES
from streaming_model.motion.listener import SCORES
from streaming_model.motion.weights import read_network

Floats = NDArray[np.float32]

FILE: Final = "cues.safetensors"
CUE_NAMES: Final = (*CONTACT_NAMES, "open vowel")
PAST: Final = 4  # frames that it looks back
OFFSETS: Final = (-PAST, -2, -1, 0, 1, 2, 3)  # the frames that it looks at, from its own
SCORE_LIMIT: Final = np.float32(12)  # log-odds of the listener beyond which nothing is meant

# Likelihoods of an open vowel: where lips begin to be kept apart for it, and where wholly.
_SURE: Final = (0.1, 0.33)
_APART: Final = 0.12  # by how much, in units of jawOpen; more than a tenth of the range

# Likelihoods of a contact, and what the lips are told (`contacts.press_lips`): low, for a contact
# missed is seen more than one too many, most of all F V, as a lip at the teeth hardly shows
# elsewhere. Chosen on recorded people whom this network never heard.
_LIKELY: Final = np.array(((0.0, 0.07, 0.18, 1.0), (0.0, 0.05, 0.12, 1.0)))
_BEGINS, _CERTAIN = 0.3, 0.6  # of what lips are told: where a contact begins, and where it is sure
_TOLD: Final = np.array((0.0, _BEGINS, _CERTAIN, 1.0))


@dataclass(frozen=True, slots=True)
class Cues:
    """The network's weights, one layer and what it gives.

    Attributes:
        hidden: [offsets * (audio_size + SCORES), hidden]; features of all offsets come first.
        hidden_bias: [hidden].
        out: [hidden, cues].
        out_bias: [cues].
    """

    hidden: Floats
    hidden_bias: Floats
    out: Floats
    out_bias: Floats
    _layer: Layer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        layer = whole_layer(self.hidden.T, self.hidden_bias, np.int16)
        object.__setattr__(self, "_layer", layer)

    def likely(self, audio: Floats, scores: Floats, *, frames: int, lookahead: int) -> Floats:
        """Returns [batch, frames, cues] how likely each is, 0..1, in the order of `CUE_NAMES`.

        Args:
            audio: [batch, PAST + frames + lookahead, audio_size] the encoder's features, zeros
                before the stream began.
            scores: [batch, PAST + frames + lookahead, SCORES] of the listener, likewise.
            frames: how many frames to tell of.
            lookahead: frames of sound after them; for those missing the last stands in.
        """
        # Compiled: numba takes longer to import than a server that only starts has to wait.
        from streaming_model.motion.small_networks import likelihoods, looked

        bounded = np.minimum(np.maximum(scores, -SCORE_LIMIT), SCORE_LIMIT)
        places = places_of(frames, lookahead=lookahead)
        sums = looked(np.ascontiguousarray(audio), bounded, places, self._layer)
        likely: Floats = likelihoods(sums, self.out, self.out_bias)
        return likely


@lru_cache(maxsize=64)
def places_of(frames: int, *, lookahead: int) -> NDArray[np.int64]:
    """Returns [frames, offsets] which rows each frame looks at; `PAST` rows come before them."""
    seen = np.minimum(OFFSETS, lookahead)
    places: NDArray[np.int64] = PAST + np.arange(frames)[:, None] + seen
    places.flags.writeable = False
    return places


def told_contacts(likely: Floats) -> Floats:
    """Returns [..., contacts] of `Cues.likely`, as lips are told it.

    Lips that meet hide a lower lip at the teeth: where that is sure and the likelier of the two,
    they are told not to meet.
    """
    from streaming_model.motion.rows import contacts_told

    rows = np.ascontiguousarray(likely).reshape(-1, len(CUE_NAMES))
    told = contacts_told(rows, _LIKELY, _TOLD, _BEGINS, _CERTAIN)
    return np.asarray(told).reshape(*likely.shape[:-1], len(CONTACT_NAMES))


def least_gaps(likely: Floats, activity: Floats) -> Floats:
    """Returns [batch, frames] how far apart the lips are at least, in units of jawOpen.

    Args:
        likely: [batch, frames, cues] of `Cues.likely`.
        activity: [batch, frames] 0..1, how much the mouth is to speak.
    """
    from streaming_model.motion.rows import open_gaps

    sure = np.ascontiguousarray(likely[..., -1]).reshape(-1)
    gaps = open_gaps(sure, np.ascontiguousarray(activity).reshape(-1), *_SURE, _APART)
    return np.asarray(gaps).reshape(activity.shape)


def load_cues(folder: Path, *, audio_size: int) -> Cues | None:
    """Returns the weights in a folder, None where it has none, as older folders.

    Raises:
        ModelFileError: the file is damaged.
    """
    path = folder / FILE
    if (cues := read_network(path, Cues)) is None:
        return None
    wanted = len(OFFSETS) * (audio_size + SCORES), len(CUE_NAMES)
    if (cues.hidden.shape[0], cues.out.shape[1]) != wanted:
        raise ModelFileError(
            f"The motion model's file {path} is for {cues.hidden.shape[0]} numbers and "
            f"{cues.out.shape[1]} cues, not {wanted[0]} and {wanted[1]}."
        )
    return cues
