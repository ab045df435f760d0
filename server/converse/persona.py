"""The brain that needs no key: a portrait that knows who it is and has an answer to a dozen things.

A script, not a model: what it answers is chosen by patterns, and among several answers by the
seed and the turn. Everything it remembers it reads from the history.
"""

from __future__ import annotations

import importlib.resources
import random
import re
import tomllib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from server.converse.brain import BrainEvent, Question, TextDelta


@dataclass(frozen=True, slots=True)
class _Script:
    """What the persona says; see the file.

    Attributes:
        intents: (pattern, answers), the first that fits answers.
        facts: about the portrait that everybody knows, and about any other.
        told_name, no_name, questions, statements: answers to what is no intent.
    """

    intents: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    mona_lisa: dict[str, str]
    anybody: dict[str, str]
    told_name: tuple[str, ...]
    no_name: tuple[str, ...]
    questions: tuple[str, ...]
    statements: tuple[str, ...]

    @classmethod
    def load(cls) -> _Script:
        """Reads the script that ships."""
        text = (importlib.resources.files("server.converse") / _SCRIPT).read_text("utf-8")
        read = tomllib.loads(text)
        intents = tuple(
            (re.compile(intent["pattern"], re.IGNORECASE), tuple(intent["answers"]))
            for intent in read.pop("intents")
        )
        return cls(intents=intents, **read)


_NAME = re.compile(
    r"\b(?i:my name is|my name's|call me|i am called|this is)\s+([A-Za-z][A-Za-z'-]{1,20})"
    r"|\b(?i:i am|i'm)\s+([A-Z][a-z'-]{1,20})\b(?!\s+(?:and|to|of|the)\b)"
)
_NOT_NAMES = frozenset({
    "fine", "good", "well", "here", "sorry", "sad", "happy", "tired", "bored", "hungry", "glad",
    "ok", "okay", "not", "an", "the", "so", "very", "nice", "great", "my", "your", "it",
})  # fmt: skip
_ASKS = re.compile(
    r"\?|^\s*(who|what|when|where|why|how|which|can|do|does|did|are|is|will)\b", re.IGNORECASE
)
_SCRIPT = "persona.toml"


class DemoBrain:
    """A scripted persona."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._script = _Script.load()

    async def reply(self, question: Question) -> AsyncGenerator[BrainEvent, None]:
        """Yields the answer to the last message of the user, word by word."""
        said = [message.content for message in question.messages if message.role == "user"]
        answer = self._answer(said, _last_answer(question), question.portrait)
        for word in re.findall(r"\S+\s*", answer):
            yield TextDelta(word)

    async def aclose(self) -> None:
        """Holds nothing open."""

    def _answer(self, said: Sequence[str], before: str, portrait: str) -> str:
        latest = said[-1] if said else "hello"
        chance = random.Random(f"{self._seed} {len(said)}")
        name = _name(said)
        facts = self._script.mona_lisa if portrait == "Mona Lisa" else self._script.anybody
        words = {**facts, "you": f", {name}" if name else "", "name": name, "before": before}
        answers = self._choices(latest, name)
        text = chance.choice(answers).format(**words)
        return text.format(title=f"a portrait called {portrait}") if "{title}" in text else text

    def _choices(self, latest: str, name: str) -> Sequence[str]:
        script = self._script
        if _name([latest]):
            return script.told_name
        for pattern, answers in script.intents:
            if pattern.search(latest):
                wants_name = any("{name}" in answer for answer in answers)
                return script.no_name if wants_name and not name else answers
        return script.questions if _ASKS.search(latest) else script.statements


def _name(said: Sequence[str]) -> str:
    """Returns the name that the user told last; empty if none."""
    for text in reversed(said):
        for found in reversed(list(_NAME.finditer(text))):
            name = found[1] or found[2]
            if name.lower() not in _NOT_NAMES:
                return name[0].upper() + name[1:]
    return ""


def _last_answer(question: Question) -> str:
    answers = [message.content for message in question.messages if message.role == "assistant"]
    plain = re.sub(r"[<\[][^<>\[\]]*[>\]]", "", answers[-1]) if answers else "nothing yet."
    return " ".join(plain.replace("{", "(").replace("}", ")").split())
