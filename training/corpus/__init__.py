"""The corpus: speech with exact phone times, from text-to-speech voices.

`python -m training corpus` makes it, shard by shard; see `corpus.build`.
"""

from training.corpus.flite import (
    FLITE_HELD_OUT_VOICES,
    FLITE_TRAINING_VOICES,
    flite_utterances,
    speak_with_flite,
)
from training.corpus.texts import word_salads, written_texts
from training.corpus.utterances import Utterance, load_utterances, save_utterances

__all__ = [
    "FLITE_HELD_OUT_VOICES",
    "FLITE_TRAINING_VOICES",
    "Utterance",
    "flite_utterances",
    "load_utterances",
    "save_utterances",
    "speak_with_flite",
    "word_salads",
    "written_texts",
]
