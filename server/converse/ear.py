"""Gathers what a user says, from a little before it was noticed, and has it turned into text."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from server.converse.transcriber import Hearing, Transcriber, TranscriptionError
from server.protocol import ServerEvent, UserSpeechStarted, UserSpeechStopped, Warned
from streaming_model.media import SAMPLE_RATE

_BEFORE = 400 * SAMPLE_RATE // 1000  # samples heard before speech is noticed, which takes 80 ms
_LONGEST = 60 * SAMPLE_RATE  # samples of one utterance; of a longer one the beginning is understood


class Ear:
    """One session's."""

    def __init__(
        self,
        *,
        transcriber: Transcriber,
        is_on: Callable[[], bool],
        say: Callable[[str], object],
        heard_nothing: Callable[[], None],
        publish: Callable[[Sequence[ServerEvent]], None],
    ) -> None:
        """Takes what it needs; `say` is told what was understood."""
        self._transcriber = transcriber
        self._is_on = is_on
        self._say = say
        self._heard_nothing = heard_nothing
        self._publish = publish
        self._before: deque[NDArray[np.float32]] = deque()
        self._waiting = 0  # samples in it
        self._hearing: Hearing | None = None
        self._taken = 0
        self._group: asyncio.TaskGroup | None = None

    def hear(self, speech: NDArray[np.float32]) -> None:
        """Takes what the microphone heard, [n] float32, 16 kHz."""
        if self._hearing is not None:
            if self._taken < _LONGEST:
                self._hearing.push(speech)
            self._taken += len(speech)
            return
        self._before.append(speech)
        self._waiting += len(speech)
        while self._waiting - len(self._before[0]) >= _BEFORE:
            self._waiting -= len(self._before.popleft())

    def notice(self, event: ServerEvent) -> None:
        """Follows what happens in the session."""
        if isinstance(event, UserSpeechStarted) and self._is_on():
            if self._hearing is not None:
                self._hearing.drop()
            self._hearing = self._transcriber.open()
            self._hearing.push(np.concatenate([*self._before, np.zeros(0, np.float32)]))
            self._taken = self._waiting
            self._before.clear()
            self._waiting = 0
        elif isinstance(event, UserSpeechStopped) and self._hearing is not None:
            hearing, self._hearing = self._hearing, None
            if self._group is None:
                hearing.drop()
            else:
                self._group.create_task(self._understand(hearing), name="transcription")

    async def run(self) -> None:
        """Turns speech into text until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await asyncio.Event().wait()
        finally:
            self._group = None
            if self._hearing is not None:
                self._hearing.drop()

    async def _understand(self, hearing: Hearing) -> None:
        try:
            text = await hearing.finish()
        except TranscriptionError as error:
            self._publish([Warned(error.code, str(error))])
            text = ""
        except asyncio.CancelledError:
            hearing.drop()
            raise
        if any(map(str.isalnum, text)) and self._is_on():
            self._say(text)
        else:
            self._heard_nothing()
