"""Turns requested text into queued speech, clause by clause, on a thread of its own.

One utterance after the other; never more than thirty seconds ahead of what is heard. A voice
that fails costs its utterance and a warning, never the session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from server.channel import Channel, Overflow
from server.clock import Clock
from server.ingest import AlignedAudio, convert
from server.protocol import Failed, ProtocolError, ServerEvent, Warned
from server.speech import SpeechQueue
from streaming_model.errors import VivantError
from streaming_model.media import SAMPLE_RATE

if TYPE_CHECKING:
    from server.voice.base import SpeechClause, Voice

_LOG = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")

MOST_AHEAD = 30 * SAMPLE_RATE  # samples of speech made before they are heard
_LOOK_AGAIN = 100_000_000  # ns between looks at whether there is room
_MOST_REQUESTS = 100
_MOST_NAMED = 5  # unpronounceable pieces quoted in a warning


@dataclass(frozen=True, slots=True)
class SpeakRequest:
    """Text to say as utterance `number`, by the voice of that name."""

    number: int
    text: str
    voice: str


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str
    audio: AlignedAudio
    skipped: tuple[str, ...]


class Speaker:
    """The text-to-speech of one session."""

    def __init__(
        self,
        *,
        queue: SpeechQueue,
        open_voice: Callable[[str], Awaitable[Voice]],
        publish: Callable[[list[ServerEvent]], None],
        worker: Executor,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._open_voice = open_voice
        self._publish = publish
        self._worker = worker
        self._clock = clock
        self._requests: Channel[SpeakRequest] = Channel(_MOST_REQUESTS, Overflow.REFUSE)

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
        try:
            voice = await self._open_voice(request.voice)
        except VivantError as error:
            self._publish([Failed(error.code, str(error))])
            return
        clauses = voice.speak(request.text)
        while self._queue.holds(request.number):
            clause = await self._guarded(lambda: _next_clause(clauses))
            if clause is None:
                return
            self._warn_of(clause.skipped)
            self._queue.append(request.number, clause.audio, clause.text)
            await self._wait_for_room(request.number)

    async def _guarded(self, work: Callable[[], ResultT]) -> ResultT | None:
        """Runs a voice's code on the worker; what it raises becomes a warning and None."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._worker, work)
        await asyncio.wait([future])
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, VivantError):
            self._publish([Warned(error.code, str(error))])
        else:
            _LOG.error("the voice failed", exc_info=error)
            self._publish([Warned("voice_failed", "The voice failed; the rest is not spoken.")])
        return None

    def _warn_of(self, skipped: tuple[str, ...]) -> None:
        if skipped:
            named = ", ".join(repr(piece[:20]) for piece in skipped[:_MOST_NAMED])
            message = f"Skipped what cannot be pronounced: {named}."
            self._publish([Warned("text_unpronounceable", message)])

    async def _wait_for_room(self, number: int) -> None:
        while self._queue.samples > MOST_AHEAD and self._queue.holds(number):
            await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN)


def _next_clause(clauses: Iterator[SpeechClause]) -> _Clause | None:
    clause = next(clauses, None)
    if clause is None:
        return None
    audio = convert(clause.samples, sample_rate=clause.sample_rate)
    return _Clause(clause.text, audio, clause.skipped)
