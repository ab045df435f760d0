"""Prepares any text for reading aloud: cuts it into clauses, spells out what is not words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from server.voice.g2p import Token


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch `text[start:end]` and how long to rest after it."""

    start: int
    end: int
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """What to read for a clause, and what cannot be read."""

    tokens: tuple[Token, ...]
    skipped: tuple[str, ...]


def split_clauses(text: str) -> list[Clause]:
    """Placeholder splitting at sentence ends."""
    clauses = []
    for match in re.finditer(r"[^.!?\n]+[.!?\n]*", text):
        if match.group().strip():
            clauses.append(Clause(match.start(), match.end(), 0.35))
    return clauses


def spoken_form(text: str) -> Spoken:
    """Returns the tokens of a clause."""
    tokens: list[Token] = []
    skipped: list[str] = []
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("–", "—")
    for piece in re.findall(r"[A-Za-z]+(?:['-][A-Za-z]+)*|[,.!?;:—…]|[^\sA-Za-z]", text):
        if piece[0].isalpha() and piece.isascii():
            tokens.append(Token(piece))
        elif piece in ",.!?;:—…":
            if tokens and tokens[-1].kind == "word":
                tokens.append(Token(piece, "pause"))
        else:
            skipped.append(piece)
    return Spoken(tuple(tokens), tuple(skipped))


def readable(text: str) -> str:
    """Returns `text` without marks that nobody reads aloud."""
    return text.strip()
