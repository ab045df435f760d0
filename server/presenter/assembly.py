"""Flows to sentences: cuts them up, and gives each its marks and its place in the source. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from server.presenter.flow import Flow
from server.presenter.marks import Emphasis, EmphasisEdge, VoiceChange
from server.presenter.scan import Fault, Found, Scanned
from server.presenter.sentence import Mood, Placed, Sentence
from server.voice.clauses import split_sentences

_CLOSING = frozenset(".,;:!?")


@dataclass(slots=True)
class Sentences:
    """Collects sentences, and carries marks that stand where no word is to the next one."""

    length: int
    knows_voice: Callable[[str], bool]
    faults: list[Fault] = field(default_factory=list)
    _sentences: list[Sentence] = field(default_factory=list)
    _carried: list[Placed] = field(default_factory=list)
    _mood: Mood = field(default_factory=Mood)

    def add(self, flow: Flow, scanned: Scanned) -> None:
        """Appends the sentences of a flow."""
        text = "".join(scanned.letters)
        marks, spans = self._marks(scanned)
        bounds = [(0, len(text))] if flow.is_whole else split_sentences(text)
        bounds = [(start, end) for start, end in bounds if _is_said(text[start:end])]
        if not bounds:
            self._carried += [replace(mark, at=0) for mark in marks]
        for index, (start, end) in enumerate(bounds):
            is_last = index == len(bounds) - 1
            own = _taken(marks, None if is_last else end)
            own += [part for span in _taken(spans, end) for part in _parts(span, start, end, spans)]
            self._append(scanned, flow, (start, end), own, is_last=is_last)

    def close(self) -> list[Sentence]:
        """Returns the sentences; marks after the last one are its own."""
        if self._sentences and self._carried:
            last = self._sentences[-1]
            late = tuple(replace(mark, at=len(last.text)) for mark in self._carried)
            end = max(last.end, *(mark.end for mark in late))
            self._sentences[-1] = replace(last, marks=last.marks + late, end=end)
        return self._sentences

    def _append(
        self,
        scanned: Scanned,
        flow: Flow,
        bounds: tuple[int, int],
        marks: Sequence[Placed],
        *,
        is_last: bool,
    ) -> None:
        start, end = bounds
        text, places = _on_one_line(scanned.letters[start:end])
        own = [_moved(mark, start, places) for mark in marks]
        placed = tuple(sorted([*self._carried, *own], key=lambda mark: mark.at))
        self._carried = []
        origins = scanned.origins[start:end]
        self._sentences.append(
            Sentence(
                start=min([*origins, *(mark.start for mark in placed)]),
                end=min(max([max(origins) + 1, *(mark.end for mark in placed)]), self.length),
                text=text,
                marks=placed,
                mood=self._mood,
                rest=flow.rest if is_last else 0,
                not_before=flow.not_before,
            )
        )
        for mark in placed:
            self._mood = self._mood.after(mark.mark)

    def _marks(self, scanned: Scanned) -> tuple[deque[Placed], deque[Placed]]:
        """Returns the marks at a point, and the stretches that are stressed."""
        marks, spans, open_spans = deque[Placed](), list[Placed](), list[Found]()
        for found in scanned.found:
            match found.mark:
                case EmphasisEdge(begins=True):
                    open_spans.append(found)
                case EmphasisEdge():
                    if not open_spans:
                        self.faults.append(Fault(found.start, "there is no emphasis to end here"))
                    else:
                        spans += _span(open_spans.pop(), found.at, found.end)
                case VoiceChange(name=str() as name) if not self.knows_voice(name):
                    self.faults.append(Fault(found.start, f"there is no voice '{name[:60]}'"))
                case mark:
                    marks.append(Placed(found.at, found.start, found.end, mark))
        for found in open_spans:
            self.faults.append(Fault(found.start, "the emphasis is not ended by '[/emphasis]'"))
            spans += _span(found, len(scanned.letters), found.end)
        return marks, deque(sorted(spans, key=lambda span: span.at))


def _taken(marks: deque[Placed], end: int | None) -> list[Placed]:
    """Takes the marks out that stand before `end`, or all."""
    taken = []
    while marks and (end is None or marks[0].at < end):
        taken.append(marks.popleft())
    return taken


def _span(opened: Found, at: int, end: int) -> list[Placed]:
    is_heard = isinstance(opened.mark, EmphasisEdge) and opened.mark.is_heard
    if not is_heard or at <= opened.at:
        return []
    return [Placed(opened.at, opened.start, end, Emphasis(at - opened.at))]


def _parts(span: Placed, start: int, end: int, later: deque[Placed]) -> list[Placed]:
    """Returns what of a stretch lies in a sentence; what lies beyond it is left for `later`."""
    assert isinstance(span.mark, Emphasis)
    first, last = max(span.at, start), span.at + span.mark.length
    if last > end:
        later.appendleft(replace(span, at=end, mark=Emphasis(last - end)))
        last = end
    return [replace(span, at=first, mark=Emphasis(last - first))] if first < last else []


def _moved(mark: Placed, start: int, places: Sequence[int]) -> Placed:
    """Returns a mark of a flow as one of the sentence that begins at `start`."""
    at = places[min(max(mark.at - start, 0), len(places) - 1)]
    if isinstance(mark.mark, Emphasis):
        end = places[min(mark.at - start + mark.mark.length, len(places) - 1)]
        return replace(mark, at=at, mark=Emphasis(max(end - at, 0)))
    return replace(mark, at=at)


def _on_one_line(letters: Sequence[str]) -> tuple[str, list[int]]:
    """Returns the text with single spaces, and for each letter and the end its index in it."""
    text: list[str] = []
    places = []
    for letter, following in zip(letters, [*letters[1:], " "], strict=True):
        is_space = letter.isspace()
        if letter in _CLOSING and following.isspace() and text and text[-1] == " ":
            text.pop()  # a mark stood between the word and its full stop
        if not is_space or (text and text[-1] != " "):
            places.append(len(text))
            text.append(" " if is_space else letter)
        else:
            places.append(len(text))
    if text and text[-1] == " ":
        text.pop()
    return "".join(text), [min(place, len(text)) for place in [*places, len(text)]]


def _is_said(text: str) -> bool:
    return any(letter.isalnum() for letter in text)
