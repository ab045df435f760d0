"""Trains the reader of unknown words on misaki's dictionaries.

Letters are aligned to phonemes by hard EM, then a small convolutional tagger learns which
phonemes (none, one or two) each letter stands for, in American and British at once. Words that
share their first five letters stay on one side of the split, so that inflections do not leak.

Run: python -m training.letters
"""

from __future__ import annotations

import argparse
import importlib.resources
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor, nn

from server.voice.letters import WEIGHTS, LetterReader

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
STRESS = "ˈˌ"
LENGTH = "ː"
HELD_OUT_PERCENT = 4
RAREST_LABEL = 12  # words that need a rarer label are left out
CHANNELS = 128
LAYERS = 5
WIDTH = 5
SEED = 7


@dataclass(frozen=True, slots=True)
class Word:
    """A spelling, its phonemes as units, and the accent (0 American, 1 British)."""

    letters: str
    units: tuple[str, ...]
    accent: int
    is_gold: bool


def units_of(phonemes: str) -> tuple[str, ...]:
    """Splits phonemes into units: a vowel holds its stress and length marks."""
    units: list[str] = []
    stress = ""
    for symbol in phonemes:
        if symbol in STRESS:
            stress = symbol
        elif symbol == LENGTH and units:
            units[-1] += symbol
        else:
            units.append(stress + symbol)
            stress = ""
    return tuple(units)


def read_dictionaries() -> list[Word]:
    """Returns every purely alphabetic entry of the four dictionaries."""
    words = []
    for accent, region in enumerate(("us", "gb")):
        seen = set()
        for quality in ("gold", "silver"):
            path = importlib.resources.files("misaki") / "data" / f"{region}_{quality}.json"
            for key, value in json.loads(path.read_text(encoding="utf-8")).items():
                phonemes = value["DEFAULT"] if isinstance(value, dict) else value
                letters = key.lower()
                usable = letters.isascii() and letters.isalpha() and 2 < len(letters) < 21
                if not usable or key.isupper() or not phonemes or letters in seen:
                    continue
                seen.add(letters)
                words.append(Word(letters, units_of(phonemes), accent, quality == "gold"))
    return words


@numba.njit(cache=True)
def _viterbi(
    letters: NDArray[np.int64], units: NDArray[np.int64], costs: NDArray[np.float64], size: int
) -> NDArray[np.int64]:
    """Returns how many units each letter takes, or -1s where no alignment exists."""
    n, m = len(letters), len(units)
    best = np.full((n + 1, m + 1), 1e9)
    taken = np.zeros((n + 1, m + 1), np.int64)
    best[0, 0] = 0
    for i in range(n):
        for j in range(m + 1):
            if best[i, j] >= 1e9:
                continue
            for count in range(min(2, m - j) + 1):
                code = 0
                if count == 1:
                    code = 1 + units[j]
                elif count == 2:
                    code = 1 + size + units[j] * size + units[j + 1]
                cost = best[i, j] + costs[letters[i], code]
                if cost < best[i + 1, j + count]:
                    best[i + 1, j + count] = cost
                    taken[i + 1, j + count] = count
    result = np.full(n, -1, np.int64)
    if best[n, m] >= 1e9:
        return result
    j = m
    for i in range(n, 0, -1):
        result[i - 1] = taken[i, j]
        j -= taken[i, j]
    return result


def align(words: list[Word], rounds: int = 6) -> list[tuple[Word, list[str]]]:
    """Returns each word with one label (zero to two units) per letter."""
    bare = sorted({unit.strip(STRESS) for word in words for unit in word.units})
    index = {unit: number for number, unit in enumerate(bare)}
    size = len(bare)
    codes = [
        (
            np.array([ALPHABET.index(letter) for letter in word.letters]),
            np.array([index[unit.strip(STRESS)] for unit in word.units]),
        )
        for word in words
    ]
    costs = np.full((26, 1 + size + size * size), 4.0)
    costs[:, 0] = 3.0
    costs[:, 1 + size :] = 9.0
    taken: list[NDArray[np.int64]] = []
    for _ in range(rounds):
        taken = [_viterbi(letters, units, costs, size) for letters, units in codes]
        counts = np.full(costs.shape, 0.02)
        for (letters, units), used in zip(codes, taken, strict=True):
            _count(letters, units, used, counts, size)
        costs = -np.log(counts / counts.sum(axis=1, keepdims=True))
    return [
        (word, _labels(word, used)) for word, used in zip(words, taken, strict=True) if used[0] >= 0
    ]


@numba.njit(cache=True)
def _count(
    letters: NDArray[np.int64],
    units: NDArray[np.int64],
    used: NDArray[np.int64],
    counts: NDArray[np.float64],
    size: int,
) -> None:
    position = 0
    for i in range(len(letters)):
        if used[i] == 0:
            counts[letters[i], 0] += 1
        elif used[i] == 1:
            counts[letters[i], 1 + units[position]] += 1
        elif used[i] == 2:
            pair = units[position] * size + units[position + 1]
            counts[letters[i], 1 + size + pair] += 1
        position += max(used[i], 0)


def _labels(word: Word, used: NDArray[np.int64]) -> list[str]:
    labels, position = [], 0
    for count in used:
        labels.append(" ".join(word.units[position : position + int(count)]))
        position += int(count)
    return labels


class Tagger(nn.Module):
    """Letters to labels: embeddings, residual convolutions, a linear layer."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(ALPHABET) + 2, CHANNELS)  # 0 outside, 27 the edges
        self.accents = nn.Embedding(2, CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, WIDTH, padding=WIDTH // 2) for _ in range(LAYERS)
        )
        self.output = nn.Linear(CHANNELS, labels)

    def forward(self, letters: Tensor, accents: Tensor) -> Tensor:
        """[words, length] and [words] to [words, length, labels]."""
        hidden = self.letters(letters) + self.accents(accents)[:, None]
        inside = (letters > 0).float()[:, None]
        hidden = hidden.transpose(1, 2) * inside
        for convolution in self.convolutions:
            hidden = (hidden + torch.relu(convolution(hidden))) * inside
        logits: Tensor = self.output(hidden.transpose(1, 2))
        return logits


def encode(letters: str) -> list[int]:
    """Returns letter numbers between two edge marks."""
    return [27, *(ALPHABET.index(letter) + 1 for letter in letters), 27]


def is_held_out(letters: str) -> bool:
    """Says on which side of the split a word lies."""
    return zlib.crc32(letters[:5].encode()) % 100 < HELD_OUT_PERCENT


def train(epochs: int, output: Path) -> None:
    """Trains, reports the held-out errors and writes the weights as float16."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    aligned = align(read_dictionaries())
    counts: dict[str, int] = {}
    for _, labels in aligned:
        for label in labels:
            counts[label] = counts.get(label, 0) + 1
    names = sorted(label for label, count in counts.items() if count >= RAREST_LABEL)
    number = {label: index for index, label in enumerate(names)}
    examples = [
        (encode(word.letters), word.accent, [number[label] for label in labels])
        for word, labels in aligned
        if not is_held_out(word.letters) and all(label in number for label in labels)
    ]
    print(f"{len(aligned)} aligned words, {len(names)} labels, {len(examples)} for training")
    model = Tagger(len(names))
    batches = _batches(examples, size=256)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3e-3, total_steps=epochs * len(batches)
    )
    order = np.random.default_rng(SEED)
    for epoch in range(epochs):
        total = 0.0
        for index in order.permutation(len(batches)):
            letters, accents, labels = batches[index]
            logits = model(letters, accents)[:, 1:-1]
            loss = nn.functional.cross_entropy(
                logits.reshape(-1, len(names)), labels.reshape(-1), ignore_index=-100
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(batches):.4f}", flush=True)
        write(model, names, output)


def write(model: Tagger, names: list[str], output: Path) -> None:
    """Writes float16 weights; the labels lie in the metadata."""
    weights = {
        name: value.detach().numpy().astype(np.float16)
        for name, value in model.state_dict().items()
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"labels": json.dumps(names, ensure_ascii=False)}
    save_file(weights, output, metadata=metadata)


def _batches(
    examples: list[tuple[list[int], int, list[int]]], size: int
) -> list[tuple[Tensor, Tensor, Tensor]]:
    ordered = sorted(examples, key=lambda example: (len(example[0]), example[0][1:4]))
    batches = []
    by_length: dict[int, list[tuple[list[int], int, list[int]]]] = {}
    for example in ordered:
        by_length.setdefault(len(example[0]), []).append(example)
    shuffle = np.random.default_rng(SEED)
    for group in by_length.values():
        shuffled = [group[index] for index in shuffle.permutation(len(group))]
        for start in range(0, len(shuffled), size):
            part = shuffled[start : start + size]
            letters, accents, labels = zip(*part, strict=True)
            batches.append((torch.tensor(letters), torch.tensor(accents), torch.tensor(labels)))
    return batches


def evaluate(accent: int) -> None:
    """Prints the errors of the shipped reader on held-out dictionary words."""
    reader = LetterReader(british=bool(accent))
    held_out = [
        word
        for word in read_dictionaries()
        if word.accent == accent and word.is_gold and is_held_out(word.letters)
    ]
    errors = length = wrong = unstressed_errors = 0
    for word in held_out:
        read = units_of(reader.read(word.letters))
        bare = [unit.strip(STRESS) for unit in word.units]
        errors += edit_distance(list(word.units), list(read))
        unstressed_errors += edit_distance(bare, [unit.strip(STRESS) for unit in read])
        length += len(word.units)
        wrong += read != word.units
    print(
        f"{'British' if accent else 'American'}: {len(held_out)} words, phone error "
        f"{100 * unstressed_errors / length:.1f} % ({100 * errors / length:.1f} % with stress), "
        f"words with any error {100 * wrong / len(held_out):.1f} %"
    )


def edit_distance(first: list[str], second: list[str]) -> int:
    """Returns the least number of insertions, deletions and substitutions."""
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def main() -> None:
    """Reads the arguments and trains, or evaluates what is shipped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--evaluate", action="store_true", help="only print the errors")
    arguments = parser.parse_args()
    if not arguments.evaluate:
        train(arguments.epochs, arguments.output)
    for accent in (0, 1):
        evaluate(accent)


if __name__ == "__main__":
    main()
