"""Where to go on in a script that was changed while it was being read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_MOST_COMPARED = 400  # sentences of a changed stretch that are compared one by one


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a script: a sentence, and how many of its characters were said.

    In a recording, whose sentences need have no text, milliseconds of it.
    """

    sentence: int
    character: int = 0


def following(old: Sequence[str], new: Sequence[str], index: int) -> int:
    """Returns the index in `new` of what comes after the sentence `old[index]`.

    What is the same in both is matched. A sentence that was changed counts as the one in its
    place: its successor is the next, so that nothing is said in two wordings.
    """
    head = _common(old, new)
    if index < head:
        return index + 1
    tail = _common(old[head:][::-1], new[head:][::-1])
    if index >= len(old) - tail:
        return index + 1 + len(new) - len(old)
    changed, written = old[head : len(old) - tail], new[head : len(new) - tail]
    for _, i1, i2, j1, j2 in _regions(changed, written):
        if i1 <= index - head < i2:
            return head + min(j1 + index - head - i1 + 1, j2)
    return head + len(written)


def moved(old: Sequence[str], new: Sequence[str], place: Place) -> Place:
    """Returns where to go on in `new` that would have gone on at `place` in `old`.

    A sentence that was cut off goes on in the middle if its beginning is as it was, and begins
    anew if not.
    """
    index = following(old, new, place.sentence - 1) if place.sentence else 0
    if place.character and place.sentence < len(old):
        same = following(old, new, place.sentence) - 1
        said = old[place.sentence][: place.character]
        for at in (same, index):
            if 0 <= at < len(new) and new[at].startswith(said):
                return Place(at, place.character)
    return Place(index)


def _regions(old: Sequence[str], new: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    if max(len(old), len(new)) > _MOST_COMPARED:
        return [("replace", 0, len(old), 0, len(new))]
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """Returns how many sentences both begin with."""
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count
