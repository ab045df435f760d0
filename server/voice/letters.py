"""Reads words that no dictionary holds, letter by letter.

A small convolutional net, trained on misaki's dictionaries by `training/letters.py`, says which
phonemes each letter stands for. It runs in numpy, below a millisecond a word.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from server.voice.base import VoiceError

WEIGHTS = Path(__file__).parent / "weights" / "letters.safetensors"
EDGE = 27  # letter number of the ends of a word; a is 1
PRIMARY, SECONDARY = "ˈ", "ˌ"
VOWEL_LETTERS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌ")


class LetterReader:
    """Letter-to-sound reading in one accent."""

    def __init__(self, *, british: bool) -> None:
        self._accent = int(british)
        self._weights, self._labels = _load()
        self._stressed = {
            index: self._labels.index(PRIMARY + label.lstrip(PRIMARY + SECONDARY))
            for index, label in enumerate(self._labels)
            if VOWEL_LETTERS & set(label)
            and PRIMARY + label.lstrip(PRIMARY + SECONDARY) in self._labels
        }

    def read(self, word: str) -> str:
        """Returns the phonemes of a word of lower-case ASCII letters, with one main stress."""
        numbers = [ord(letter) - ord("a") + 1 for letter in word if "a" <= letter <= "z"]
        if not numbers:
            return ""
        scores = self._scores([EDGE, *numbers, EDGE])[1:-1]
        chosen = [int(index) for index in scores.argmax(axis=1)]
        self._stress_once(chosen, scores)
        labels = (self._labels[index] for index in chosen)
        return "".join(labels).replace(" ", "")

    def _stress_once(self, chosen: list[int], scores: NDArray[np.float32]) -> None:
        """Makes the likeliest syllable the only one with main stress."""
        gains = {
            position: float(scores[position, self._stressed[index]] - scores[position, index])
            for position, index in enumerate(chosen)
            if index in self._stressed
        }
        if not gains:
            return
        confident = [p for p in gains if self._labels[chosen[p]].startswith(PRIMARY)]
        best = max(confident or gains, key=lambda p: self._margin(p, chosen, scores, gains))
        for position in confident:
            if position != best:
                weaker = self._labels[chosen[position]].replace(PRIMARY, SECONDARY)
                if weaker in self._labels:
                    chosen[position] = self._labels.index(weaker)
        chosen[best] = self._stressed[chosen[best]]

    def _margin(
        self,
        position: int,
        chosen: list[int],
        scores: NDArray[np.float32],
        gains: dict[int, float],
    ) -> float:
        """Says how sure the net is that this syllable has the main stress."""
        label = self._labels[chosen[position]]
        if not label.startswith(PRIMARY):
            return gains[position]
        others = np.delete(scores[position], chosen[position])
        return float(scores[position, chosen[position]] - others.max())

    def _scores(self, numbers: list[int]) -> NDArray[np.float32]:
        """Returns [letters, labels]."""
        weights = self._weights
        hidden = weights["letters.weight"][numbers] + weights["accents.weight"][self._accent]
        layer = 0
        while f"convolutions.{layer}.weight" in weights:
            kernel = weights[f"convolutions.{layer}.weight"]  # [width * channels, channels]
            width = kernel.shape[0] // hidden.shape[1]
            padded = np.pad(hidden, ((width // 2, width // 2), (0, 0)))
            windows = np.concatenate(
                [padded[offset : offset + len(hidden)] for offset in range(width)], axis=1
            )
            bias = weights[f"convolutions.{layer}.bias"]
            hidden = hidden + np.maximum(windows @ kernel + bias, 0)
            layer += 1
        scores: NDArray[np.float32] = hidden @ weights["output.weight"].T + weights["output.bias"]
        return scores


@lru_cache(maxsize=1)
def _load() -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Returns the weights, convolution kernels as matrices, and the labels."""
    try:
        with safe_open(WEIGHTS, framework="numpy") as file:
            labels: list[str] = json.loads(file.metadata()["labels"])
            weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, KeyError, ValueError) as error:
        raise VoiceError(f"The file {WEIGHTS.name} cannot be read: {error}.") from error
    for name, value in weights.items():
        if value.ndim == 3:  # [out, in, width] to [width * in, out]
            weights[name] = value.transpose(2, 1, 0).reshape(-1, value.shape[0])
    return weights, labels
