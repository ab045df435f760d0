"""An agent's segments of speech: streams of bytes in, utterances of a session, reports out.

A segment is one stream. Whatever becomes of it (heard, cut off, never begun, malformed, its end
lost on the way), the agent is told its end once, for it waits for that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from livekit import rtc

from server.livekit.contract import Report, finished, read_format, started
from server.protocol import ServerEvent, SpeakEnded, SpeakStarted
from server.pushed_audio import PushedAudio
from server.session import Session
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
IDLE: Final = 10.0  # seconds without a byte, after which a stream's end was lost: LiveKit's own
TRAILER: Final = 0.2  # the same once another stream has begun: an agent sends one at a time


class _Stream:
    """A segment whose bytes come.

    Args:
        reader: gives them.
        pushed: takes them.
        frame: of how many of them a sample consists.
    """

    def __init__(self, reader: rtc.ByteStreamReader, pushed: PushedAudio, frame: int) -> None:
        self._reader = reader
        self._pushed = pushed
        self._frame = frame
        self._patience = IDLE
        self._wait: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, group: asyncio.TaskGroup, may_begin: asyncio.Event) -> None:
        """Hands all of it on, from when that may begin."""
        self._task = group.create_task(self._run(may_begin), name="segment")

    def hurry(self) -> None:
        """Notes that another stream has begun: the rest of this one is here, or never comes."""
        self._patience = TRAILER
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time() + TRAILER)

    def close(self) -> None:
        """Wants no more of it."""
        self._reader.close()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, may_begin: asyncio.Event) -> None:
        await may_begin.wait()
        rest = b""
        while (piece := await self._next()) is not None:
            data = rest + piece
            whole = len(data) - len(data) % self._frame
            rest = data[whole:]
            await self._pushed.push(data[:whole])
        self._pushed.end()
        self._reader.close()

    async def _next(self) -> bytes | None:
        """Returns more of it, or None at its end or when that must have been lost."""
        try:
            async with asyncio.timeout(self._patience) as self._wait:
                return await anext(self._reader)
        except StopAsyncIteration:
            return None
        except (TimeoutError, rtc.StreamError) as error:
            _LOG.info("a stream of the agent broke off: %s", error or "its end did not come")
            return None
        finally:
            self._wait = None


class Speech:
    """What an agent says through a session.

    Args:
        session: says it.
        tell: queues a report for the agent.
        cue: has a function called once the sound that leaves next was sent.
        may_begin: set once somebody could hear it.
        group: reads streams.
    """

    def __init__(
        self,
        session: Session,
        *,
        tell: Callable[[Report], None],
        cue: Callable[[Callable[[], None]], None],
        may_begin: asyncio.Event,
        group: asyncio.TaskGroup,
    ) -> None:
        self._session = session
        self._tell = tell
        self._cue = cue
        self._may_begin = may_begin
        self._group = group
        self._open: dict[int, _Stream] = {}  # by utterance, until its end is told
        self._ends: dict[int, Report] = {}  # those that are about to be told

    def take(self, reader: rtc.ByteStreamReader) -> None:
        """Begins a segment; it is heard after those before it."""
        for before in self._open.values():
            before.hurry()
        try:
            form = read_format(reader.info.attributes)
            pushed = self._session.open_audio(sample_rate=form.sample_rate, channels=form.channels)
        except VivantError as error:
            _LOG.warning("a stream of the agent cannot be heard: %s", error)
            reader.close()
            self._tell(finished(0, interrupted=True))
            return
        stream = self._open[pushed.utterance] = _Stream(reader, pushed, form.frame)
        stream.begin(self._group, self._may_begin)

    def notice(self, event: ServerEvent) -> None:
        """Follows what becomes of segments in the session."""
        match event:
            case SpeakStarted(utterance=number) if number in self._open:
                self._cue(partial(self._begun, number))
            case SpeakEnded(utterance=number) if number in self._open:
                stream = self._open.pop(number)
                self._ends[number] = finished(event.spoken_ms, interrupted=event.interrupted)
                if event.interrupted:
                    stream.close()
                    self._over(number)
                else:
                    self._cue(partial(self._over, number))

    def end(self) -> None:
        """Cuts off what is said, and tells the end of every segment."""
        self._session.cut()
        for number in tuple(self._ends):
            self._over(number)

    def _begun(self, number: int) -> None:
        if number in self._open or number in self._ends:  # or it was cut off in this very packet
            self._tell(started())

    def _over(self, number: int) -> None:
        report = self._ends.pop(number, None)
        if report is not None:
            self._tell(report)
