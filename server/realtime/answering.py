"""Asks the brain for one answer after the other, and has the portrait speak them.

At most one answer is under way; another may wait while only the sound of the first one is left.
It knows no client's event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from server.converse.brain import Brain, BrainError, Message, Question, TextDelta, ToolCall
from server.protocol import BrainFailed, ProtocolError, SpeakEnded
from server.realtime.events import EventError
from server.realtime.response import Reason, Response
from server.session import Session
from server.speech_output import SpokenSound

MakeResponse = Callable[[], Response]


class Answering:
    """One conversation's answers.

    Attributes:
        active: the answer that is under way.
    """

    def __init__(
        self,
        *,
        session: Session,
        brain: Callable[[], Brain],
        messages: Callable[[], list[Message]],
        understood: Callable[[], Awaitable[None]],
        group: asyncio.TaskGroup,
    ) -> None:
        """Takes what it needs.

        Args:
            session: that says them.
            brain: returns who is asked.
            messages: returns what it is told.
            understood: returns once all that the user said is known as text.
            group: where answers are made.
        """
        self.active: Response | None = None
        self._session = session
        self._conversation = session.converse.conversation
        self._brain = brain
        self._messages = messages
        self._understood = understood
        self._group = group
        self._task: asyncio.Task[None] | None = None
        self._next: MakeResponse | None = None
        self._error: dict[str, str] | None = None
        self._reason: Reason | None = None  # of the cut that is made now

    def begin(self, make: MakeResponse) -> None:
        """Answers now, or after the words of the answer before, if the brain is done with it.

        Raises:
            EventError: an answer is still being written.
        """
        is_free = self.active is None or self.active.is_thought
        if self._next is not None or not is_free:
            which = "A response" if self.active is None else f"The response {self.active.id!r}"
            message = f"{which} is in progress; cancel it or wait."
            raise EventError("conversation_already_has_active_response", message)
        self.follow(make)

    def follow(self, make: MakeResponse) -> None:
        """Answers as soon as the answer under way, if any, is over."""
        if self.active is None and self._next is None:
            self._begin(make)
        else:
            self._next = make

    def cancel(self, reason: Reason) -> None:
        """Stops the answer under way, and forgets the one that waits."""
        response, self._next = self.active, None
        if response is None:
            return
        self._drop_thought()
        if not response.is_heard:
            self._reason = reason
            self._session.cut()  # which tells how much was heard, and ends it
            self._reason = None
        if self.active is response:
            self._finish(response, reason)

    def close(self) -> None:
        """Asks no brain any more."""
        self._drop_thought()

    def hear(self, spoken: SpokenSound) -> None:
        """Takes 20 ms of speech that leave now."""
        if self._speaks(spoken.utterance) and self.active is not None:
            self.active.hear(spoken)

    def ended(self, event: SpeakEnded) -> None:
        """Follows the end of something said."""
        response = self.active
        if response is None or not self._speaks(event.utterance):
            return
        response.end(event)
        if event.interrupted:
            self._drop_thought()
            is_voice = self._session.line.microphone.is_speech
            self._finish(response, self._reason or _reason(is_voice=is_voice))
        else:
            self._settle(response)

    def _begin(self, make: MakeResponse) -> None:
        self._error = None
        self.active = make()
        self._task = self._group.create_task(self._think(self.active), name="answer")
        self._show_thought()

    def _speaks(self, utterance: int) -> bool:
        text = self.active.text if self.active is not None else None
        return text is not None and text.number == utterance

    async def _think(self, response: Response) -> None:
        await self._understood()
        question = self._question(response)
        calls: list[ToolCall] = []
        try:
            async with aclosing(self._brain().reply(question)) as events:
                async for event in events:
                    if isinstance(event, ToolCall):
                        calls.append(event)
                    elif not self._write(response, event):
                        break
            if response.text is None and not calls:
                raise BrainError("empty", "The brain answered without a word.")
        except BrainError as error:
            self._fail(response, error)
        if response.text is not None:
            self._session.grow_text(response.text, None)
        for call in calls:
            response.call(call)
        response.is_thought = True
        self._task = None
        self._settle(response)

    def _question(self, response: Response) -> Question:
        settings, portrait = response.settings, self._session.portrait_name
        prompt = settings.instructions.replace("{portrait}", portrait)
        system = [Message("system", prompt)] if prompt.strip() else []
        return Question(
            [*system, *self._messages()],
            model=self._conversation.manner.model,
            portrait=portrait,
            tools=settings.chat_tools(),
        )

    def _write(self, response: Response, delta: TextDelta) -> bool:
        """Adds to what is said; returns whether there is room for more."""
        if response.text is None:
            if not delta.text.strip():
                return True
            text = self._session.open_text()
            self._conversation.follow(text)
            response.begin(text)
            self._show_thought()
        assert response.text is not None
        try:
            self._session.grow_text(response.text, delta.text)
        except ProtocolError:  # it is as long as anything said may be
            return False
        return True

    def _fail(self, response: Response, error: BrainError) -> None:
        self._error = {"type": "server_error", "code": error.failure, "message": str(error)}
        failed = BrainFailed(error.failure, str(error), error.retry_after)
        self._session.events.publish([failed])
        fallback = self._conversation.manner.fallback
        if response.text is None and fallback:
            self._write(response, TextDelta(fallback))

    def _settle(self, response: Response) -> None:
        if response.is_thought and response.is_heard and self.active is response:
            self._finish(response, None)

    def _finish(self, response: Response, reason: Reason | None) -> None:
        self.active = None
        if reason is not None:
            response.finish("cancelled", reason=reason)
        elif self._error is not None:
            response.finish("failed", error=self._error)
        else:
            response.finish("completed")
        self._show_thought()
        if self._next is not None:  # not at once: what has ended is still being told
            self._group.create_task(self._follow_up(), name="next answer")

    async def _follow_up(self) -> None:
        if self.active is None and self._next is not None:
            make, self._next = self._next, None
            self._begin(make)

    def _drop_thought(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _show_thought(self) -> None:
        active = self.active
        is_pondered = active is not None and active.text is None and not active.is_thought
        self._conversation.ponder(is_pondered=is_pondered)


def _reason(*, is_voice: bool) -> Reason:
    return "turn_detected" if is_voice else "client_cancelled"
