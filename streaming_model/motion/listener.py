"""What a second, smaller encoder hears of the lips' contacts; it listens for nothing else.

The large encoder tells the whole motion, in which P B M and F V are rare. One that was trained
for them alone is a fifth of its size and hears them better in voices that it does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.streaming_encoder import StreamingEncoder
from streaming_model.motion.contacts import CONTACT_NAMES

Floats = NDArray[np.float32]

FOLDER: Final = "listener"  # of its weights
DELAYS: Final = 4  # each score tells of its own frame, and of one to three before it
SCORES: Final = DELAYS * len(CONTACT_NAMES)  # of a frame

# Probabilities of each contact, and what the lips are told (`contacts.press_lips`): for F V, one
# of 0.15 is worth a beginning and one of 0.4 is certain, for lips that stay open are seen, and lips
# that come close for a frame hardly. P B M want more: it spares open vowels and loses no closure.
_LIKELY: Final = ((0.0, 0.25, 0.5, 1.0), (0.0, 0.15, 0.4, 1.0))
_TOLD: Final = (0.0, 0.3, 0.6, 1.0)


class Listener:
    """The network as it is served.

    Args:
        folder: of its weights.

    Attributes:
        state_size: how many numbers a stream remembers.

    Raises:
        ModelFileError: a file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        # It is small, and one phone in five hundred closes by what 8 bits would round.
        self._encoder = StreamingEncoder(folder, blocks=np.int16)
        self.state_size = self._encoder.state_size

    def hear(self, mel: Floats, state: Floats) -> tuple[Floats, Floats]:
        """Maps [batch, 4 * frames, 80] and [batch, state] to scores and the next state.

        The scores are [batch, frames, SCORES] log-odds of the contacts, for each delay in turn.
        """
        return self._encoder.encode(mel, state)


def load_listener(folder: Path) -> Listener | None:
    """Returns the listener in a folder of weights, None where it has none, as older folders.

    Raises:
        ModelFileError: a file is damaged.
    """
    weights = folder / FOLDER
    return Listener(weights) if weights.exists() else None


def heard_contacts(scores: Floats, *, frames: int, lookahead: int) -> Floats:
    """Returns [..., frames, contacts] how likely the lips are to meet, as lips are told it.

    Args:
        scores: [..., frames + lookahead, SCORES] of `Listener.hear`.
        frames: how many frames to tell.
        lookahead: frames of sound heard after them; of more than three no use is made.
    """
    delay = min(lookahead, DELAYS - 1)
    kinds = len(CONTACT_NAMES)
    odds = scores[..., delay : delay + frames, delay * kinds : (delay + 1) * kinds]
    likely = 1 / (1 + np.exp(-odds))
    told = [np.interp(likely[..., kind], _LIKELY[kind], _TOLD) for kind in range(kinds)]
    return np.stack(told, axis=-1).astype(np.float32)
