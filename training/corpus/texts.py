"""What the voices read: written sentences, and sentences made at random.

Random ones cover rare sound sequences, numbers, names, lists, questions and shouts.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

TEXTS: Final = Path(__file__).parents[1] / "texts"


def written_texts(*, held_out: bool = False) -> list[str]:
    """Returns the sentences in `training/texts`, one per line."""
    return _lines(*(("held_out",) if held_out else ("verse", "prose", "talk")))


def more_texts() -> list[str]:
    """Returns English sentences, one per line: plays, novels, shouts, whispers, lists, numbers."""
    return _lines("plays", "novels", "dialogue", "verse", "prose", "talk")


def world_texts(language: str, *, held_out: bool = False) -> list[str]:
    """Returns the sentences of a language such as "de"; Mandarin is in pinyin, Japanese in kana.

    Raises:
        FileNotFoundError: there is no such language, or it has no sentences held out.
    """
    return _lines(f"held_out_{language}" if held_out else language)


def _lines(*names: str) -> list[str]:
    return [
        line
        for name in names
        for line in (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    ]


def word_salads(count: int, *, rng: np.random.Generator) -> list[str]:
    """Returns sentences of random dictionary words, which cover rare sound sequences."""
    listing = json.loads((files("misaki") / "data" / "us_gold.json").read_text(encoding="utf-8"))
    words = [word for word in listing if word.isalpha() and word.islower() and len(word) > 1]
    marks = [". ", "? ", ", ", " ", " ", " ", " ", " "]
    return [
        "".join(
            str(rng.choice(words)) + str(rng.choice(marks)) for _ in range(rng.integers(5, 14))
        ).strip(" ,.?")
        + "."
        for _ in range(count)
    ]


_NAMES: Final = (
    "Mary", "Benjamin", "Priya", "Mohammed", "Phoebe", "Bartholomew", "Yuki", "Vivian", "Omar",
    "Philip", "Emma", "Pavel", "Abebe", "Fatima", "Guillermo", "Wolfgang", "Xavier", "Beatrice",
    "Pembroke", "Humphrey", "Naomi", "Vaughn", "Mbappe", "Timothy", "Rhiannon", "Boris",
)  # fmt: skip
_PLACES: Final = (
    "Bombay", "Philadelphia", "Vienna", "Memphis", "Cape Town", "Birmingham", "Bogota", "Paris",
    "Melbourne", "Vancouver", "Palermo", "Baltimore", "Budapest", "Tampa", "Moscow", "Phoenix",
)  # fmt: skip
_THINGS: Final = (
    "apples", "maps", "five umbrellas", "a bottle of milk", "paper cups", "butter", "phones",
    "thimbles", "a bubble bath", "blue ribbons", "pepper", "velvet curtains", "mushrooms",
    "olives", "two bags of flour", "a vacuum pump", "beans", "jam", "a spare battery",
)  # fmt: skip
_ASKED: Final = (
    "Where did {name} put the {thing}?", "Could you possibly bring {thing} to {place}?",
    "Why would {name} move from {place} to {other}?", "Have you ever been to {place}, {name}?",
    "What do you mean, {thing}?", "How many people live in {place}?", "May I have {thing}, please?",
)  # fmt: skip
_SHOUTED: Final = (
    "Stop! {name}! Come back!", "No! Never! Get out of {place}!", "Help! Help! Over here, {name}!",
    "Bravo, {name}! Bravo!", "Move! Move! Move!", "Happy birthday, {name}!",
    "What a beautiful map!",
)  # fmt: skip
_COUNTED: Final = (
    "The train to {place} leaves at {hour}:{minute} from platform {small}.",
    "My number is {small} {small2} {small3}, {big}.",
    "That makes {big} dollars and {minute} cents.",
    "In {year}, {name} sold {big} {thing}.", "Chapter {small}, page {big}: {name} in {place}.",
    "It was minus {small} degrees on the {small2}th of February, {year}.",
)  # fmt: skip
_LISTED: Final = (
    "We need {thing}, {thing2}, {thing3}, and above all {thing4}.",
    "{name}, {name2}, {name3} and {name4} came from {place}, {other} and {place2}.",
)  # fmt: skip


def made_up_sentences(count: int, *, rng: np.random.Generator) -> list[str]:
    """Returns questions, shouts, numbers and lists, filled at random."""
    patterns = (*_ASKED, *_SHOUTED, *_COUNTED, *_LISTED)
    sentences = []
    for _ in range(count):
        names, places, things = (
            [str(word) for word in rng.choice(words, 4, replace=False)]
            for words in (_NAMES, _PLACES, _THINGS)
        )
        fields = {
            "name": names[0], "name2": names[1], "name3": names[2], "name4": names[3],
            "place": places[0], "other": places[1], "place2": places[2],
            "thing": things[0], "thing2": things[1], "thing3": things[2], "thing4": things[3],
            "hour": int(rng.integers(1, 13)), "minute": int(rng.integers(10, 60)),
            "small": int(rng.integers(1, 30)), "small2": int(rng.integers(4, 20)),
            "small3": int(rng.integers(1, 30)), "big": int(rng.integers(100, 10_000)),
            "year": int(rng.integers(1500, 2030)),
        }  # fmt: skip
        sentences.append(str(rng.choice(patterns)).format(**fields))
    return sentences
