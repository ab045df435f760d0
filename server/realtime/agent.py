"""What answers in a session for one realtime client: the session's events become the client's.

It asks the session's own brain, or the operator's. Everything happens at once, as it leaves the
session: only what is sent waits, and what the brain and the transcriber take.
"""

from __future__ import annotations

import asyncio
import secrets
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from server.converse.brain import Brain, BrainError
from server.converse.talk import BrainKind, Talk
from server.microphone import Mode
from server.protocol import (
    BargeIn,
    ServerEvent,
    SpeakEnded,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    Warned,
)
from server.realtime.answering import Answering, MakeResponse
from server.realtime.audio import Intake
from server.realtime.events import EventError
from server.realtime.items import Item, Items
from server.realtime.listening import Listening
from server.realtime.response import Response, Send
from server.realtime.settings import Settings
from server.session import Session

_HEARING_FAILED = "transcription_failed"


class RealtimeAgent:
    """Answers in one session for one client.

    Attributes:
        session: that it answers in.
        settings: how the client wants it.
        items: what was said.
        listening: to what the user says by voice.
        answering: to it.
        send: sends an event to the client.
        voices: returns the names of the voices that there are.
    """

    def __init__(
        self,
        *,
        session: Session,
        talk: Talk,
        intake: Intake,
        model: str,
        voices: Callable[[], list[str]],
        send: Send,
        group: asyncio.TaskGroup,
    ) -> None:
        """Takes what it needs; `model` is told back to the client."""
        conversation = session.converse.conversation
        manner = conversation.manner
        self.session = session
        self._conversation = conversation
        self._model = model
        self.voices = voices
        self.send = send
        self._conversation_id = new_id("conv")
        self._is_recording = False
        self.items = Items()
        self.settings = Settings(
            instructions=manner.prompt.replace("{portrait}", session.portrait_name),
            tools=tuple({"type": "function", **tool["function"]} for tool in manner.tools),
            interrupts=session.may_interrupt,
        )
        itself: Self = weakref.proxy(self)  # or they would keep each other, and the session
        self.listening = Listening(
            session=session,
            intake=intake,
            transcriber=talk.transcriber,
            items=self.items,
            new_id=new_id,
            send=send,
            is_told=lambda: itself.settings.transcription is not None,
            record=lambda text: itself.record(text, by_voice=True),
            group=group,
        )
        self.answering = Answering(
            session=session,
            brain=lambda: _brain(talk, conversation.manner.brain),
            messages=self.items.messages,
            understood=self.listening.understood,
            group=group,
        )

    def enter(self, stack: ExitStack) -> None:
        """Takes the brain's place in the session until the stack is left.

        Raises:
            ProtocolError: another one has it already.
        """
        before = self.session.line.microphone.mode, self.session.may_interrupt
        stack.callback(self._restore, *before)
        stack.enter_context(self.session.converse.led_by(self))
        stack.enter_context(self.session.events.tapped(self.notice))
        stack.enter_context(self.session.line.speech.heard_by(self.answering.hear))
        stack.callback(self._fall_silent)
        if self.session.line.microphone.mode != "listen":
            self.session.switch_microphone("listen")
        self.send("session.created", session=self.describe())

    def notice(self, event: ServerEvent) -> None:
        """Follows what happens in the session."""
        match event:
            case SpeakEnded():
                self.answering.ended(event)
            case UserSpeechStarted(media_time=media_time):
                self.listening.started(media_time)
                active = self.answering.active
                is_silent = active is not None and not active.is_audible
                if is_silent and self.settings.interrupts:
                    self.answering.cancel("turn_detected")  # the user goes on
            case UserSpeechStopped(media_time=media_time):
                self.listening.stopped(media_time)
            case UserTranscript(text=text) if not self._is_recording:
                self.put(Item(new_id("item"), "user", text))  # a viewer typed it
                self._answer_user()
            case Warned(code=code, message=message) if code == _HEARING_FAILED:
                self.listening.failure = message
            case Warned(code=code, message=message):
                self.refuse(EventError(code, message, kind="server_error"), None)

    def understood(self, text: str) -> None:
        """Takes what the user said by voice."""
        if not self.listening.take(text):  # it began before the client came
            self.put(Item(new_id("item"), "user", text))
            self.record(text, by_voice=True)
        self._answer_user()

    def heard_nothing(self) -> None:
        """Notes that what the user said by voice was not understood."""
        self.listening.take("")
        self._answer_user()

    def refuse(self, error: EventError, event_id: str | None) -> None:
        """Tells what could not be done; `event_id` is of the client's event."""
        self.send("error", error=error.describe(event_id))

    def put(self, item: Item, after: str | None = None) -> None:
        """Adds to the conversation, after the item of an id or at its end.

        Raises:
            EventError: there is no such item.
        """
        before = self.items.add(item, after)
        for kind in ("added", "done"):
            told = item.describe()
            self.send(f"conversation.item.{kind}", item=told, previous_item_id=before)

    def _fall_silent(self) -> None:
        if not self.session.is_closing:
            self.answering.cancel("client_cancelled")
        self.answering.close()
        self.listening.close()

    def _restore(self, mode: Mode, may_interrupt: bool) -> None:
        """Gives the session's ears back as they were."""
        session = self.session
        barge_in: BargeIn | None = None
        if session.may_interrupt != may_interrupt:
            barge_in = "on" if may_interrupt else "off"
        is_other = session.line.microphone.mode != mode or barge_in is not None
        if is_other and not session.is_closing:
            session.switch_microphone(mode, barge_in)

    def _answer_user(self) -> None:
        """Answers what the user said, unless the client wants to ask for it, or more is coming."""
        settings = self.settings
        wants = settings.detects_turns and settings.answers_turns
        if not wants or self.listening.is_user_speaking or not self.items.is_owed:
            return
        if settings.interrupts:
            self.answering.cancel("turn_detected")
        self.answering.follow(self.maker(settings, None))

    def maker(self, settings: Settings, metadata: object) -> MakeResponse:
        """Returns what announces an answer that is asked for so."""
        return lambda: Response(
            new_id=new_id,
            send=self.send,
            items=self.items,
            settings=settings,
            conversation_id=self._conversation_id,
            voice=self.session.voice,
            metadata=metadata,
        )

    def record(self, text: str, *, by_voice: bool) -> None:
        """Tells the session what the user said, for everyone else."""
        self._is_recording = True
        try:
            self._conversation.record(text, "voice" if by_voice else "text")
        finally:
            self._is_recording = False

    def describe(self) -> dict[str, object]:
        """Returns the configuration that is in force."""
        session = self.session
        return self.settings.describe(session_id=session.id, model=self._model, voice=session.voice)


def _brain(talk: Talk, kind: BrainKind) -> Brain:
    """Returns the session's own brain, or where it has none the operator's.

    Raises:
        BrainError: there is none.
    """
    brain = talk.brains.get(kind) or talk.brains.get(talk.usual)
    if brain is None:
        raise BrainError("unreachable", f"This server has no brain: it is {talk.usual!r}.")
    return brain


def new_id(kind: str) -> str:
    """Returns a fresh id."""
    return f"{kind}_{secrets.token_hex(10)}"
