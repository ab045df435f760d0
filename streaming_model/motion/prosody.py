"""The feeling in a voice, guessed from its melody and loudness alone.

Pitch, its range, loudness, its liveliness and the share of voiced sound over the last second,
each against this speaker's own running mean, give arousal and valence, and those the weights of
the emotions. A heuristic: prosody tells aroused from calm speech well and glad from angry speech
badly (Juslin and Laukka 2003), it follows changes and not words, and nothing here was fitted to
rated speech. Fear and disgust have no safe acoustic sign and are never inferred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.style import EMOTIONS

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ProsodyState:
    """What was heard of a voice.

    Attributes:
        memory: what it is remembered by (`melody`), None before anything was heard.
        emotions: [6] weights of the emotions.
    """

    memory: NDArray[np.float64] | None
    emotions: Floats


def start_prosody() -> ProsodyState:
    """Returns the state of a voice not heard yet."""
    return ProsodyState(None, np.zeros(len(EMOTIONS), np.float32))


def hear(state: ProsodyState, samples: Floats) -> ProsodyState:
    """Returns the state after some frames of 640 samples; `emotions` are what it sounds like."""
    # Compiled: numba takes longer to import than a server that only starts has to wait.
    from streaming_model.motion.melody import START, heard

    memory = np.array(START) if state.memory is None else state.memory
    return ProsodyState(*heard(memory, state.emotions, samples))
