"""Turns requested text into queued speech, clause by clause, on a thread of its own.

One utterance after the other; never more than thirty seconds ahead of what is heard, and without
haste once two seconds are there. A voice that fails or hangs costs its utterance and a warning,
never the session; an interruption does not wait for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from server.channel import Channel, Overflow
from server.clock import Clock
from server.ingest import AlignedAudio, Ingest
from server.pacing import MILLISECOND, to_nanoseconds, to_samples
from server.protocol import ProtocolError, ServerEvent, Warned
from server.speech import Passage, Piece, SpeechQueue
from streaming_model.errors import VivantError
from streaming_model.media import SAMPLE_RATE

if TYPE_CHECKING:
    from server.voice.base import SpeechClause, Voice

_LOG = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")

MOST_AHEAD = 30 * SAMPLE_RATE  # samples of speech made before they are heard
_SOON = 600 * SAMPLE_RATE // 1000  # samples; while less waits, somebody waits for more
_HUNGRY = 1500 * SAMPLE_RATE // 1000  # samples; while less waits, a text that grows gives clauses
_SLOW = 3  # a piece that takes more than this part of its length to make is not enough to begin
_COMFORT = 2 * SAMPLE_RATE  # samples that wait; with more, speech is made no faster than `_HASTE`
_HASTE = 2  # times as fast as it is heard
_LOOK_AGAIN = 100_000_000  # ns between looks at whether there is room
_PATIENCE = 20_000_000_000  # ns that a voice may take for a clause
_MOST_REQUESTS = 100
_MOST_NAMED = 5  # unpronounceable pieces quoted in a warning


_TOO_LONG = f"The voice took longer than {_PATIENCE // 10**9} s; the rest is not spoken."


class WorkerFor(Protocol):
    """Where voices compute."""

    def __call__(self, name: str, /, *, is_urgent: bool) -> Executor:
        """Returns where the voice of that name is to speak, now or ahead of time."""
        ...


class UnpronounceableError(VivantError):
    """Nothing in a text can be said."""

    code = "text_unpronounceable"


class TextSource(Protocol):
    """A text that is still being written."""

    async def next(
        self, *, is_hungry: Callable[[], bool], is_wanted: Callable[[], bool]
    ) -> Piece | None:
        """Returns what to say next, once it is there; None at its end, or when nobody wants it.

        Args:
            is_hungry: whether little sound is left, so that a short piece is welcome.
            is_wanted: whether the utterance still takes sound.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """Text to say as utterance `number`, by the voice of that name."""

    number: int
    text: str | TextSource
    voice: str


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause made, or a piece of one.

    Attributes:
        text: its words; none for a further piece.
        audio: its sound.
        passage: where in `audio` they are heard; None for a further piece.
        skipped: what cannot be pronounced.
    """

    text: str
    audio: AlignedAudio
    passage: Passage | None
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """What a voice came to: its next clause, or None at its end."""

    clause: Clause | None


class Speaker:
    """The text-to-speech of one session."""

    def __init__(
        self,
        *,
        queue: SpeechQueue,
        open_voice: Callable[[str], Awaitable[Voice]],
        publish: Callable[[list[ServerEvent]], None],
        worker_for: WorkerFor,
        clock: Clock,
    ) -> None:
        """Takes what it needs; `worker_for` tells where a voice may block."""
        self._queue = queue
        self._open_voice = open_voice
        self._publish = publish
        self._worker_for = worker_for
        self._clock = clock
        self._requests: Channel[SpeakRequest] = Channel(_MOST_REQUESTS, Overflow.REFUSE)
        self._rested = 0  # instant until which there is no haste

    def request(self, request: SpeakRequest) -> None:
        """Queues an utterance, which the speech queue must already hold open.

        Raises:
            ProtocolError: a hundred requests wait already.
        """
        if not self._requests.offer(request):
            self._queue.complete(request.number)
            raise ProtocolError("capacity", f"{_MOST_REQUESTS} texts wait to be spoken already.")

    async def run(self) -> None:
        """Speaks requests until cancelled."""
        async for request in self._requests:
            try:
                if self._queue.holds(request.number):
                    await self._speak(request)
            finally:
                self._queue.complete(request.number)

    async def _speak(self, request: SpeakRequest) -> None:
        number, source = request.number, request.text
        voice = await self._guarded(number, self._open_voice(request.voice))
        if voice is None:
            return
        if isinstance(source, str):
            clauses = _told(voice.speak(source, in_pieces=True), source)
            await self._say(request, clauses, Piece(source))
            return
        while (piece := await self._next_piece(number, source)) is not None:
            is_urgent = self._queue.samples < _SOON
            clauses = voice.speak(piece.text, in_pieces=is_urgent)
            if not await self._say(request, clauses, piece):
                return

    async def _next_piece(self, number: int, source: TextSource) -> Piece | None:
        return await source.next(
            is_hungry=lambda: self._queue.samples < _HUNGRY,
            is_wanted=lambda: self._queue.holds(number),
        )

    async def _say(
        self, request: SpeakRequest, clauses: Iterator[SpeechClause], piece: Piece
    ) -> bool:
        """Queues the sound of a piece; returns whether it was made, and more is wanted."""
        number, converter = request.number, _Converter(piece.index)
        while self._queue.holds(number):
            step = await self._step(request, clauses, converter)
            if step is None:
                return False
            if (clause := step.clause) is None:
                silence = AlignedAudio.concatenate([]).padded(piece.pause_ms * MILLISECOND)
                return self._queue.append(number, silence)
            text = clause.text if len(clause.audio) else None
            self._queue.append(
                number,
                clause.audio,
                text,
                passage=clause.passage,
                continues=clause.passage is None,
            )
            await self.wait_for_room(number)
        return False

    async def clauses(self, number: int, text: str, voice: str) -> AsyncIterator[Clause]:
        """Yields what a text becomes while utterance `number` is wanted; the caller queues it.

        A voice that fails ends it with a warning.
        """
        request = SpeakRequest(number, text, voice)
        speaker = await self._guarded(number, self._open_voice(voice))
        if speaker is None:
            return
        clauses, converter = _told(speaker.speak(text, in_pieces=True), text), _Converter()
        while self._queue.holds(number):
            step = await self._step(request, clauses, converter)
            if step is None or step.clause is None:
                return
            yield step.clause

    async def _step(
        self, request: SpeakRequest, clauses: Iterator[SpeechClause], converter: _Converter
    ) -> _Step | None:
        """Lets the voice make the next clause; None when it fails or nobody wants it."""
        await self._rest(request.number)
        if not self._queue.holds(request.number):
            return None
        began = self._clock.now()
        is_urgent = self._queue.samples < _SOON
        worker = self._worker_for(request.voice, is_urgent=is_urgent)
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(worker, _next_step, clauses, converter, self._clock)
        step = await self._guarded(request.number, work)
        if step is not None and step.clause is not None:
            self._warn_of(step.clause.skipped)
            self._rested = began + to_nanoseconds(len(step.clause.audio)) // _HASTE
        return step

    async def _rest(self, number: int) -> None:
        """Waits while there is no haste.

        A long text made at a stretch would take a core for seconds, and make pictures late.
        """
        while (
            (now := self._clock.now()) < self._rested
            and self._queue.samples > _COMFORT
            and self._queue.holds(number)
        ):
            await self._clock.sleep_until(min(self._rested, now + _LOOK_AGAIN))

    async def _guarded(self, number: int, work: Awaitable[ResultT]) -> ResultT | None:
        """Awaits what a voice does for an utterance; None when nothing comes of it.

        Whatever it raises becomes a warning, and so does a clause that takes too long. When
        the utterance is dropped meanwhile, the voice is left to itself.
        """
        async with asyncio.TaskGroup() as group:
            outcome = group.create_task(_outcome(work))
            watch = group.create_task(self._watch(number))
            await asyncio.wait([outcome, watch], return_when=asyncio.FIRST_COMPLETED)
            is_done = outcome.done()
            for task in (outcome, watch):
                task.cancel()
        if not is_done:
            if self._queue.holds(number):
                self._publish([Warned("voice_failed", _TOO_LONG)])
            return None
        result = outcome.result()
        if not isinstance(result, BaseException):
            return result
        if isinstance(result, VivantError):
            self._publish([Warned(result.code, str(result))])
        else:
            _LOG.error("the voice failed", exc_info=result)
            self._publish([Warned("voice_failed", "The voice failed; the rest is not spoken.")])
        return None

    async def _watch(self, number: int) -> None:
        """Returns once the utterance is dropped, or patience is over."""
        deadline = self._clock.now() + _PATIENCE
        while self._queue.holds(number) and self._clock.now() < deadline:
            await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN)

    def _warn_of(self, skipped: tuple[str, ...]) -> None:
        if skipped:
            named = ", ".join(repr(piece[:20]) for piece in skipped[:_MOST_NAMED])
            message = f"Skipped what cannot be pronounced: {named}."
            self._publish([Warned("text_unpronounceable", message)])

    async def wait_for_room(self, number: int) -> None:
        """Returns when no more than thirty seconds wait, or the utterance is not wanted."""
        while self._queue.samples > MOST_AHEAD and self._queue.holds(number):
            await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN)


async def _outcome(work: Awaitable[ResultT]) -> ResultT | BaseException:
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return outcome


def _told(clauses: Iterator[SpeechClause], text: str) -> Iterator[SpeechClause]:
    """Yields the clauses; refuses a text of which nothing was said and nothing named.

    Raises:
        UnpronounceableError: it is only emoji, marks or the like, which voices pass over.
    """
    is_told = False
    for clause in clauses:
        is_told = is_told or len(clause.samples) > 0 or bool(clause.skipped)
        yield clause
    if not is_told:
        raise UnpronounceableError(f"There is nothing to pronounce in {text[:40]!r}.")


class _Converter:
    """Makes aligned audio of clauses, without a seam between the pieces of one."""

    def __init__(self, index: int = 0) -> None:
        """Takes the index in the utterance's text at which the clauses' text begins."""
        self._index = index
        self._ingest: Ingest | None = None

    def convert(self, clause: SpeechClause) -> Clause:
        """Returns a clause with what the filters still held of the one before, or a piece."""
        if self._ingest is not None and not clause.text:
            return Clause("", self._ingest.push(clause.samples), None, clause.skipped)
        before = self.finish()
        self._ingest = Ingest(sample_rate=clause.sample_rate)
        audio = self._ingest.push(clause.samples)
        return Clause(
            clause.text,
            AlignedAudio.concatenate([before, audio]),
            _passage(clause, self._index).after(len(before)),
            clause.skipped,
        )

    def finish(self) -> AlignedAudio:
        """Returns what the filters still held of the last clause."""
        if self._ingest is None:
            return AlignedAudio.concatenate([])
        rest, self._ingest = self._ingest.finish(), None
        return rest


def _next_step(clauses: Iterator[SpeechClause], converter: _Converter, clock: Clock) -> _Step:
    return _Step(_next_clause(clauses, converter, clock))


def _next_clause(
    clauses: Iterator[SpeechClause], converter: _Converter, clock: Clock
) -> Clause | None:
    began = clock.now()
    clause = next(clauses, None)
    if clause is None:
        rest = converter.finish()
        return Clause("", rest, None, ()) if len(rest) else None
    made = converter.convert(clause)
    is_slow = to_samples(clock.now() - began) * _SLOW > len(made.audio)
    if _has_more(clause) and is_slow and (piece := next(clauses, None)) is not None:
        # What follows would come too late: better a later beginning than a gap in a word.
        both = [made.audio, converter.convert(piece).audio]
        made = replace(made, audio=AlignedAudio.concatenate(both))
    return made


def _has_more(clause: SpeechClause) -> bool:
    """Whether it is the first of several pieces: it tells the phones of all of them."""
    return bool(clause.phones) and clause.phones[-1].end > len(clause.samples)


def _passage(clause: SpeechClause, index: int = 0) -> Passage:
    """Returns where the clause's text is heard in its samples at 16 kHz, less pauses."""
    scale = SAMPLE_RATE / clause.sample_rate
    voiced = [phone for phone in clause.phones if phone.symbol != "sil"]
    start = voiced[0].start if voiced else 0
    end = voiced[-1].end if voiced else len(clause.samples)
    sounds = tuple(int(phone.end * scale) for phone in voiced)
    return Passage(
        clause.text, index + clause.text_start, int(start * scale), int(end * scale), sounds
    )
