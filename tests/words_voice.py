"""A voice whose words can be told by ear: each is a tone of its own pitch, 50 ms a letter.

So a test knows which words were heard from the sound alone, without asking the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from server.voice.base import Phone, SpeechClause
from tests.live_fakes import FakeVoice

RATE = 24_000  # Hz
LETTER = RATE // 20  # samples
_LOWEST, _STEP = 400, 100  # Hz


class WordVoice(FakeVoice):
    """Knows a vocabulary; a clause for every sentence, silence for what is no letter.

    A sentence has been said when its last letter has; the pause after it is none of it.
    """

    def __init__(self, name: str, vocabulary: Sequence[str]) -> None:
        super().__init__(name)
        self.pitch = {word: _LOWEST + _STEP * index for index, word in enumerate(vocabulary)}

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        del speed, in_pieces
        for found in re.finditer(r"\S[^.!?]*[.!?]*", text):
            said = Phone("a", 0, len(found[0].rstrip(".!?")) * LETTER)
            yield SpeechClause(
                found[0], found.start(), found.end(), RATE, self._sound(found[0]), (said,), ()
            )

    def _sound(self, text: str) -> NDArray[np.float32]:
        sound = np.zeros(len(text) * LETTER, np.float32)
        for word in re.finditer(r"[a-z]+", text.lower()):
            start, length = word.start() * LETTER, len(word[0]) * LETTER
            time = np.arange(length) / RATE
            sound[start : start + length] = 0.3 * np.sin(2 * np.pi * self.pitch[word[0]] * time)
        return sound

    def heard(self, sound: NDArray[np.float32], rate: int = 48_000) -> list[str]:
        """Returns the words that are whole in [n] sound, but for 30 ms at their edges."""
        return [word for word, ms in self.measured(sound, rate) if ms >= 50 * len(word) - 30]

    def measured(self, sound: NDArray[np.float32], rate: int = 48_000) -> list[tuple[str, int]]:
        """Returns (word, ms) of everything heard in [n] sound, in order."""
        window = rate // 50
        count = len(sound) // window
        spectra = np.abs(np.fft.rfft(sound[: count * window].reshape(count, window), axis=1))
        names = {round(pitch * window / rate): word for word, pitch in self.pitch.items()}
        words: list[tuple[str, int]] = []
        for spectrum in spectra:
            word = names.get(int(spectrum.argmax()), "") if spectrum.max() > window / 40 else ""
            if words and words[-1][0] == word:
                words[-1] = word, words[-1][1] + 20
            else:
                words.append((word, 20))
        return [(word, ms) for word, ms in words if word]
