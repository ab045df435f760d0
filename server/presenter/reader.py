"""Reads a script aloud: play, pause, seek, and changes of what is not yet spoken.

One utterance a sentence, a few of them queued ahead, so that there is no gap between two. What
is heard it learns from the session's own events. It knows no connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from server.clock import Clock
from server.hearing import cut
from server.line import LiveLine
from server.pacing import MILLISECOND
from server.presenter.alignment import Place, following, moved
from server.presenter.bookmark import Bookmark, Said
from server.presenter.narrator import Context, Narrator
from server.presenter.script import Script
from server.presenter.sentence import Sentence, begins_with_pause
from server.protocol import (
    ProtocolError,
    ScriptPosition,
    ScriptState,
    ScriptUpdated,
    ServerEvent,
    SpeakEnded,
    SpeakStarted,
)
from server.speech import BLOCK
from server.turns import Turns
from streaming_model.media import SAMPLE_RATE

_AHEAD = 6 * SAMPLE_RATE  # samples that wait before the next sentence is made
_LOOK_AGAIN = 100_000_000  # ns
_BUSY = ("playing", "pausing")


@dataclass(slots=True)
class _Queued:
    """A sentence that is queued or being said.

    Attributes:
        place: where it begins in the script.
        sentence: as it was when it was made.
        script_time: samples of the script before it, where the script has times.
        began: media time of its beginning, once it is heard.
        heard: characters that were heard elsewhere.
    """

    place: Place
    sentence: Sentence
    script_time: int
    began: int | None = None
    heard: int = 0


class Reader:
    """The reading of one session's script.

    Attributes:
        script: what is read.
        state: what it does.
        revision: raised with every change of the script.
    """

    def __init__(
        self,
        *,
        line: LiveLine,
        turns: Turns,
        narrator: Narrator,
        publish: Callable[[Sequence[ServerEvent]], None],
        clock: Clock,
    ) -> None:
        self.script = Script()
        self.state: ScriptState = "empty"
        self.revision = 0
        self._line = line
        self._turns = turns
        self._narrator = narrator
        self._publish = publish
        self._clock = clock
        self._next = Place(0)  # what is made next
        self._queued: dict[int, _Queued] = {}  # by utterance, in order
        self._owed: deque[int] = deque()  # of these, what was begun elsewhere and is to be made
        self._work = asyncio.Event()
        self._run = 0  # raised whenever what was made does not lead to what is made next
        self._quiet = 0  # samples of silence at the end of what was made
        self._script_time = 0  # samples of the script that were made
        self._origin: int | None = None  # media time of the script's beginning
        self._is_cutting = False

    @property
    def place(self) -> Place:
        """Where it is: what is heard now, or else what is heard next."""
        return next((queued.place for queued in self._queued.values()), self._next)

    async def run(self) -> None:
        """Reads until cancelled."""
        while True:
            if self._owed:
                await self._say(self._owed.popleft())
            elif self.state != "playing" or self._next.sentence >= len(self.script.sentences):
                self._work.clear()
                await self._work.wait()
            elif self._line.queue.samples > _AHEAD:
                await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN)
            else:
                await self._say_next()

    def play(self, sentence: int | None = None) -> None:
        """Begins, goes on after a pause, or begins anew after the end.

        Raises:
            ProtocolError: `bad_request`, there is nothing to say or no such sentence.
        """
        if not self.script.sentences:
            raise ProtocolError("bad_request", "The script has no sentence to speak.")
        if sentence is not None:
            self._check(sentence)
            self._stop()
            self._go_to(Place(sentence))
        elif self.state not in _BUSY and self._next.sentence >= len(self.script.sentences):
            self._go_to(Place(0))
        self._line.begin()
        self._change("playing")

    def pause(self, *, at_sentence_end: bool = False) -> None:
        """Stops at once, or when the sentence that is heard has ended; `play` goes on there."""
        if self.state not in _BUSY:
            return
        if at_sentence_end:
            self._withdraw(self._waiting())
            self._change("pausing" if self._queued else self._at_rest())
        else:
            self._stop()
            self._change(self._at_rest())

    def seek(self, sentence: int) -> None:
        """Goes to the beginning of a sentence; plays on there if it plays.

        Raises:
            ProtocolError: `bad_request`, there is no such sentence.
        """
        self._check(sentence)
        state: ScriptState = "playing" if self.state == "playing" else "paused"
        self._stop()
        self._go_to(Place(sentence))
        self._change(state)

    def replace(self, script: Script) -> None:
        """Takes a changed script: what was said stays, what was not yet is said as it is now."""
        old = [sentence.text for sentence in self.script.sentences]
        if script.is_recorded or self.script.is_recorded:
            self._stop()
            self.state = "ready"
        self.script = script
        self.revision += 1
        state = self.state
        if state in (*_BUSY, "paused"):
            self._realign(old, [sentence.text for sentence in script.sentences])
            if not script.sentences and not self._queued:
                state = "empty"
            elif state == "playing" and self._is_done():
                state = "ended"
        else:
            self._go_to(Place(0))
            state = "ready" if script.sentences else "empty"
        self._change(state)

    def bookmark(self) -> Bookmark:
        """Returns where it is."""
        script = self.script
        return Bookmark(
            source="" if script.is_recorded else script.source,
            format=script.format,
            is_recorded=script.is_recorded,
            state=self.state,
            revision=self.revision,
            sentence=self._next.sentence,
            character=self._next.character,
            said=tuple(
                Said(number=number, sentence=queued.place.sentence, heard=self._heard(number))
                for number, queued in self._queued.items()
            ),
        )

    def go_on(self, script: Script, bookmark: Bookmark) -> None:
        """Takes up what was read elsewhere; before `run`, and before `say_again`."""
        self.script = script
        self.state, self.revision = bookmark.state, bookmark.revision
        self._go_to(Place(bookmark.said[0].sentence) if bookmark.said else bookmark.next)
        self._next = bookmark.next

    def say_again(self, said: Said) -> bool:
        """Says a sentence from its beginning that broke off elsewhere, as the same utterance.

        The queue holds it open. Returns whether there is anything left of it to say.
        """
        sentences = self.script.sentences
        if said.sentence >= len(sentences):
            return False
        sentence = sentences[said.sentence]
        if not any(map(str.isalnum, sentence.text[said.heard :])):
            return False
        self._queued[said.number] = _Queued(Place(said.sentence), sentence, 0, heard=said.heard)
        self._owed.append(said.number)
        return True

    def _heard(self, number: int) -> int:
        queued = self._queued[number]
        is_audible = self._turns.speaking == number
        said = (self._line.timeline.spoken.characters or 0) if is_audible else 0
        return max(said, queued.place.character, queued.heard)

    def news(self) -> ScriptUpdated:
        """Returns what is done with the script."""
        return ScriptUpdated(
            state=self.state,
            revision=self.revision,
            sentence=self.place.sentence,
            sentences=len(self.script.sentences),
            warnings=len(self.script.notices),
            media_time=self._line.timeline.position,
        )

    def heed(self, event: ServerEvent) -> None:
        """Notes what is heard of the script."""
        match event:
            case SpeakStarted(utterance=number, media_time=media_time):
                if (queued := self._queued.get(number)) is not None:
                    self._begin(queued, media_time)
            case SpeakEnded(utterance=number):
                if (queued := self._queued.pop(number, None)) is not None:
                    self._end(queued, event)

    async def _say_next(self) -> None:
        place = self._next
        number = self._turns.open()
        self._line.queue.open(number)
        self._queued[number] = _Queued(place, self.script.sentences[place.sentence], 0)
        self._next = Place(place.sentence + 1)
        await self._say(number)

    async def _say(self, number: int) -> None:
        queued = self._queued.get(number)
        if queued is None:
            return  # it was taken back before it was made
        place, sentence = queued.place, queued.sentence
        sentences, run = self.script.sentences, self._run
        later = sentences[place.sentence + 1] if place.sentence + 1 < len(sentences) else None
        lead = 0
        if sentence.not_before is not None and not place.character:
            lead = max(0, sentence.not_before * MILLISECOND - self._script_time)
        queued.script_time = self._script_time
        context = Context(
            skip=place.character,
            quiet=self._quiet,
            lead=lead,
            trims=later is not None and begins_with_pause(later),
            is_last=later is None,
        )
        length, quiet = await self._narrator.say(number, sentence, context)
        if run == self._run:
            self._quiet = quiet
            self._script_time += -(-length // BLOCK) * BLOCK

    def _begin(self, queued: _Queued, media_time: int) -> None:
        queued.began = media_time
        origin = media_time - queued.script_time
        if self._origin is not None and origin > self._origin:
            self._script_time += origin - self._origin  # a voice was slow, and silence came between
        self._origin = origin if self._origin is None else max(origin, self._origin)
        index = min(queued.place.sentence, len(self.script.sentences) - 1)
        if index >= 0:
            sentence = self.script.sentences[index]
            self._publish([ScriptPosition(index, sentence.start, sentence.end, media_time)])

    def _end(self, queued: _Queued, event: SpeakEnded) -> None:
        if event.interrupted:
            self._note_cut(queued, event)
        elif not self._queued and (self.state == "pausing" or self._is_done()):
            self._change(self._at_rest())

    def _note_cut(self, queued: _Queued, event: SpeakEnded) -> None:
        """Notes that somebody interrupted: what was not heard is heard when it plays again."""
        if self.state not in _BUSY:
            return  # it was the second of several that were cut together
        self._next = self._rest_of(queued, event)
        self._queued.clear()
        self._break()
        heard = 0 if queued.began is None else event.media_time - queued.began
        self._script_time = queued.script_time + heard
        self.state = self._at_rest()
        if not self._is_cutting:
            self._tell()

    def _rest_of(self, queued: _Queued, event: SpeakEnded) -> Place:
        """Returns where a sentence goes on that was cut off."""
        index, text, clip = queued.place.sentence, queued.sentence.text, queued.sentence.clip
        if clip is not None:
            heard = queued.place.character + event.spoken_ms
            is_over = heard * MILLISECOND >= clip.end - clip.start
            return Place(index + 1) if is_over else Place(index, heard)
        said = max(event.spoken_characters or 0, queued.place.character)
        if said >= len(text):
            return Place(index + 1)
        sentences = self.script.sentences
        is_same = index < len(sentences) and sentences[index].text.startswith(text[:said])
        return Place(index, said if is_same else 0)

    def _realign(self, old: list[str], new: list[str]) -> None:
        """Finds its place in a changed script, and withdraws what is not to be said any more."""
        waiting = self._waiting()
        firm = [queued for number, queued in self._queued.items() if number not in waiting]
        if firm:
            at = Place(following(old, new, firm[-1].place.sentence))
        else:
            at = moved(old, new, self.place)
        for queued in firm:
            index = following(old, new, queued.place.sentence) - 1
            queued.place = Place(max(index, 0), queued.place.character)
        sentences = self.script.sentences
        while waiting and at.sentence < len(new):
            queued = self._queued[waiting[0]]
            is_same = queued.sentence.sound == sentences[at.sentence].sound
            if not is_same or queued.place.character != at.character:
                break
            queued.place, queued.sentence = at, sentences[at.sentence]
            at = Place(at.sentence + 1)
            del waiting[0]
        self._withdraw(waiting)
        self._next = at

    def _waiting(self) -> list[int]:
        """Returns the utterances that have not begun."""
        return [number for number in self._queued if self._line.queue.waits(number)]

    def _withdraw(self, numbers: Iterable[int]) -> None:
        """Takes utterances back that have not begun; what they say is made again."""
        withdrawn = [number for number in numbers if self._line.queue.withdraw(number)]
        if withdrawn:
            first = self._queued[withdrawn[0]]
            self._next, self._script_time = first.place, first.script_time
            for number in withdrawn:
                del self._queued[number]
            self._break()
            self._publish(self._turns.withdrawn(withdrawn, self._line.timeline.position))

    def _stop(self) -> None:
        """Cuts off what is said, so that it goes on there."""
        if self._queued:
            self._is_cutting = True
            self._publish(cut(self._line, self._turns))
            self._is_cutting = False
        self._queued.clear()
        self._break()

    def _break(self) -> None:
        """Forgets how what was made ended: something else comes next."""
        self._run += 1
        self._quiet = 0
        self._origin = None

    def _go_to(self, place: Place) -> None:
        self._break()
        self._next = place
        sentences = self.script.sentences[1 : place.sentence + 1]  # all of it begins at 0
        times = [sentence.not_before for sentence in sentences if sentence.not_before is not None]
        self._script_time = times[-1] * MILLISECOND if times else 0

    def _at_rest(self) -> ScriptState:
        return "ended" if self._is_done() else "paused"

    def _is_done(self) -> bool:
        return not self._queued and self._next.sentence >= len(self.script.sentences)

    def _check(self, sentence: int) -> None:
        count = len(self.script.sentences)
        if not 0 <= sentence < count:
            raise ProtocolError(
                "bad_request", f"There is no sentence {sentence}; the script has {count}, from 0."
            )

    def _change(self, state: ScriptState) -> None:
        self.state = state
        self._work.set()
        self._tell()

    def _tell(self) -> None:
        self._publish([self.news()])
