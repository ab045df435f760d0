"""What the user says by voice, as a realtime client is told of it: turns, and their transcripts.

Turns are found by the session's ears, or by the client, which commits what it appended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.clock import sleep_until_or
from server.converse.transcriber import Transcriber, TranscriptionError
from server.realtime.audio import Dictation, Intake, milliseconds
from server.realtime.events import EventError
from server.realtime.items import Item, Items
from server.realtime.response import Send
from server.session import Session

_MS = 16  # samples of media time
_PATIENCE = 30_000_000_000  # ns with the transcriber
_BEFORE_MS = 400  # of sound before speech is noticed that belong to it (server.converse.ear)
_NOBODY = "There is no transcriber here: see '--transcriber-url' in docs/chatbot.md."


class _Turn(NamedTuple):
    item: Item
    seconds: float


class Listening:
    """One client's ears.

    Attributes:
        intake: what it appends while the server finds the turns.
        dictation: what it appends while it finds them itself.
        is_user_speaking: whether the user is heard to speak.
        failure: why the latest transcription failed.
    """

    def __init__(
        self,
        *,
        session: Session,
        intake: Intake,
        transcriber: Transcriber | None,
        items: Items,
        new_id: Callable[[str], str],
        send: Send,
        is_told: Callable[[], bool],
        record: Callable[[str], None],
        group: asyncio.TaskGroup,
    ) -> None:
        """Takes what it needs.

        Args:
            session: whose microphone hears.
            intake: where what the client appends goes.
            transcriber: what turns a committed turn into text.
            items: of the conversation.
            new_id: makes ids.
            send: sends events.
            is_told: whether the client wants transcripts.
            record: told what the user said.
            group: where transcriptions run.
        """
        self.intake = intake
        self.dictation = Dictation()
        self.is_user_speaking = False
        self.failure: str | None = None
        self._session = session
        self._origin = session.line.timeline.position
        self._transcriber = transcriber
        self._items = items
        self._new_id = new_id
        self._send = send
        self._is_told = is_told
        self._record = record
        self._group = group
        self._next_id = new_id("item")
        self._began = 0  # ms
        self._detected: deque[_Turn] = deque()  # by the session's ears, oldest first
        self._tasks: set[asyncio.Task[None]] = set()
        self._unknown = 0  # turns whose words are not known yet
        self._all_known = asyncio.Event()
        self._all_known.set()

    async def understood(self) -> None:
        """Returns once the words of all turns are known, or nobody seems to tell them."""
        patience = self._session.clock.now() + _PATIENCE
        await sleep_until_or(self._session.clock, patience, self._all_known)

    def clear(self) -> None:
        """Forgets what was appended and is not heard yet."""
        self.intake.clear()
        self.dictation.clear()

    def started(self, media_time: int) -> None:
        """Takes that the user began to speak."""
        self.is_user_speaking = True
        self._began = max(0, self._now(media_time) - _BEFORE_MS)
        self._send(
            "input_audio_buffer.speech_started", item_id=self._next_id, audio_start_ms=self._began
        )

    def stopped(self, media_time: int) -> None:
        """Takes that the user stopped."""
        if not self.is_user_speaking:
            return  # it began before the client came
        self.is_user_speaking = False
        end = self._now(media_time)
        self._send("input_audio_buffer.speech_stopped", item_id=self._next_id, audio_end_ms=end)
        turn = self._commit((end - self._began) / 1000)
        if self._transcriber is None:
            self._fail(turn, _NOBODY)
        else:
            self._detected.append(turn)

    def take(self, text: str) -> bool:
        """Takes the words of the oldest turn that was found; returns whether there is one."""
        if not self._detected:
            return False
        turn = self._detected.popleft()
        failure, self.failure = self.failure, None
        if failure is not None:
            self._fail(turn, failure)
        else:
            self._know(turn, text)
        return True

    def commit(self) -> None:
        """Takes what was appended for a turn of the user.

        Raises:
            EventError: it is shorter than 100 ms.
        """
        speech, seconds = self.dictation.commit()
        turn = self._commit(seconds)
        if self._transcriber is None:
            self._fail(turn, _NOBODY)
        else:
            understanding = self._understand(turn, speech, self._transcriber)
            task = self._group.create_task(understanding, name="transcription")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Lets nothing more be turned into text."""
        for task in self._tasks:
            task.cancel()

    async def _understand(
        self, turn: _Turn, speech: NDArray[np.float32], transcriber: Transcriber
    ) -> None:
        hearing = transcriber.open()
        try:
            hearing.push(speech)
            text = await hearing.finish()
        except TranscriptionError as error:
            self._fail(turn, str(error))
        except asyncio.CancelledError:
            hearing.drop()
            raise
        else:
            self._know(turn, text if any(map(str.isalnum, text)) else "")

    def _commit(self, seconds: float) -> _Turn:
        item = Item(self._next_id, "user", text=None, is_spoken=True)
        self._next_id = self._new_id("item")
        before = self._items.add(item)
        self._send("input_audio_buffer.committed", item_id=item.id, previous_item_id=before)
        for kind in ("added", "done"):
            told = item.describe()
            self._send(f"conversation.item.{kind}", item=told, previous_item_id=before)
        self._count(1)
        return _Turn(item, seconds)

    def _know(self, turn: _Turn, text: str) -> None:
        turn.item.text = " ".join(text.split())
        if self._is_told():
            usage = {"type": "duration", "seconds": round(turn.seconds, 3)}
            self._tell(turn, "completed", transcript=turn.item.text, usage=usage)
        if turn.item.text:
            self._record(turn.item.text)
        self._count(-1)

    def _fail(self, turn: _Turn, message: str) -> None:
        turn.item.text = ""
        error: dict[str, Any] = {"type": "server_error", "code": "transcription_failed"}
        self._tell(turn, "failed", error=error | {"message": message, "param": None})
        self._count(-1)

    def _tell(self, turn: _Turn, outcome: str, **fields: object) -> None:
        kind = f"conversation.item.input_audio_transcription.{outcome}"
        self._send(kind, item_id=turn.item.id, content_index=0, **fields)

    def _count(self, change: int) -> None:
        self._unknown += change
        if self._unknown:
            self._all_known.clear()
        else:
            self._all_known.set()

    def _now(self, media_time: int) -> int:
        """Returns how much was heard, in ms: of what was appended, or of a viewer's microphone."""
        if self.intake.given:
            return milliseconds(self.intake.given)
        return max(0, media_time - self._origin) // _MS


def no_commit() -> EventError:
    """Returns the refusal of a commit while the server finds the turns."""
    message = "'turn_detection' is 'server_vad': the server commits by itself."
    return EventError("invalid_value", message, param="session.audio.input.turn_detection")
