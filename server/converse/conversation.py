"""One session's conversation: whose turn it is, what the brain is asked, what was heard of it.

It follows the session's events as they are published, so that it never lags behind them. It
knows neither transport nor kind of brain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from server.clock import Clock
from server.converse.agent import Agent
from server.converse.brain import BrainError, Message, Question, TextDelta, ToolCall
from server.converse.history import Entry, History, Source
from server.converse.live_text import LiveText
from server.converse.talk import BrainRequest, Manner, Talk
from server.protocol import (
    BrainFailed,
    BrainToolCall,
    ProtocolError,
    ServerEvent,
    SpeakEnded,
    SpeakStarted,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    Warned,
    check_text,
)

_SECOND = 1_000_000_000  # ns
_LOOK_AGAIN = _SECOND // 20
_MOST_ROUNDS = 6  # of tool calls in one turn
_TOOL_PATIENCE = 30 * _SECOND
_OWED_AFTER = 3 * _SECOND  # of silence after speech that nobody understood
_LATE = '{"error": "no result within 30 s"}'


class Stage(Protocol):
    """What a conversation needs of its session."""

    @property
    def portrait_name(self) -> str:
        """Name of who answers."""
        ...

    @property
    def may_interrupt(self) -> bool:
        """Whether a user's voice may cut off what is being said."""
        ...

    def open_text(self) -> LiveText:
        """Begins an utterance whose text is still being written."""
        ...

    def grow_text(self, text: LiveText, delta: str | None) -> None:
        """Adds to it; None completes it."""
        ...

    def cut(self) -> None:
        """Stops what is said and drops what waits."""
        ...

    def think(self, *, is_thinking: bool) -> None:
        """Shows whether the portrait thinks about its answer."""
        ...


class Conversation:
    """One session's.

    Attributes:
        history: what was said.
        manner: who answers, and how.
        agent: what answers in the brain's place, if anything does.
    """

    def __init__(
        self,
        *,
        stage: Stage,
        talk: Talk,
        manner: Manner,
        publish: Callable[[Sequence[ServerEvent]], None],
        clock: Clock,
    ) -> None:
        self.history = History()
        self.manner = manner
        self.agent: Agent | None = None
        self._stage = stage
        self._talk = talk
        self._publish = publish
        self._clock = clock
        self._group: asyncio.TaskGroup | None = None
        self._answer: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._is_thinking = False
        self._is_pondered = False  # by an agent, who has not written anything yet
        self._said: dict[int, tuple[Entry, LiveText]] = {}  # what has not been heard to its end
        self._audible: int | None = None
        self._user_is_speaking = False
        self._held: list[str] = []  # said by voice while the portrait was not to be interrupted
        self._results: dict[str, asyncio.Future[str]] = {}

    @property
    def is_on(self) -> bool:
        """Whether the session converses."""
        return self.manner.brain != "off"

    def revive(
        self, manner: Manner, turn: int, entries: Sequence[Entry], texts: Mapping[int, LiveText]
    ) -> None:
        """Takes up a conversation that broke off elsewhere, with what is said of it still.

        Words of the user that have no answer are answered.
        """
        self.manner = manner
        self.history.revive(turn, entries)
        for entry in entries:
            text = None if entry.utterance is None else texts.get(entry.utterance)
            if entry.is_pending and text is not None:
                self._said[text.number] = (entry, text)
            entry.is_pending = entry.is_pending and text is not None
        if self.is_on and self.history.is_owed:
            self._ask()

    def configure(self, wanted: BrainRequest) -> None:
        """Changes who answers, and how.

        Raises:
            ProtocolError: there is no such brain here, or the tools are none.
        """
        self.manner = self._talk.changed(self.manner, wanted)

    def say(self, text: str, source: Source = "text") -> int:
        """Takes the user's words, cuts off what is being said, and has them answered.

        Words that come before the answer began join those that it was to answer. Returns the
        number of the user's turn.

        Raises:
            ProtocolError: the session does not converse, or the text is empty or too long.
        """
        if not self.is_on:
            raise ProtocolError("bad_request", "The session does not converse: it has no brain.")
        check_text(text)
        if source == "voice" and self._audible is not None and not self._stage.may_interrupt:
            self._held.append(text)
            return self.history.turn + 1
        self.stop()
        self._stage.cut()
        turn = self.record(text, source)
        self._ask()
        return turn

    def record(self, text: str, source: Source) -> int:
        """Notes the user's words without a question to the brain; returns the user's turn.

        Raises:
            ProtocolError: the text is empty or too long.
        """
        check_text(text)
        turn = self.history.add_user(text, source)
        self._publish([UserTranscript(turn, text, source)])
        return turn

    def ponder(self, *, is_pondered: bool) -> None:
        """Notes whether an external agent thinks about what it has not begun to write."""
        self._is_pondered = is_pondered
        self._show_thought()

    def take_voice(self, text: str) -> None:
        """Takes what the user said by voice.

        Raises:
            ProtocolError: the text is too long.
        """
        if self.agent is not None:
            self.agent.understood(text)
        else:
            self.say(text, "voice")

    def take_noise(self) -> None:
        """Notes that what the user said by voice was not understood."""
        if self.agent is not None:
            self.agent.heard_nothing()
        else:
            self.heard_nothing()

    def heard_nothing(self) -> None:
        """Has what is owed answered, if anything is."""
        if self.history.is_owed and self._answer is None and not self._user_is_speaking:
            self._ask()

    def stop(self) -> None:
        """Lets the brain think no further about its answer."""
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
            self._show_thought()

    def give_up(self) -> None:
        """Drops the answer under way, with what is said of it already."""
        if self._answer is not None:
            self.stop()
            self._stage.cut()  # its text will never be complete

    def follow(self, text: LiveText) -> None:
        """Records an utterance that an external agent writes."""
        if self.is_on:
            self._said[text.number] = (self.history.begin(text.number), text)
            self._show_thought()

    def take_result(self, call_id: str, content: str) -> None:
        """Takes the result of a tool call.

        Raises:
            ProtocolError: `not_found`, nobody waits for it.
        """
        waiting = self._results.pop(call_id, None)
        if waiting is None or waiting.done():
            raise ProtocolError("not_found", f"No tool call {call_id[:60]!r} waits for a result.")
        waiting.set_result(content)

    def notice(self, event: ServerEvent) -> None:
        """Follows what happens in the session."""
        match event:
            case SpeakStarted(utterance=number) if number in self._said:
                self._audible = number
                self._show_thought()
            case SpeakEnded():
                self._settle(event)
            case UserSpeechStarted():
                self._user_is_speaking = True
                if self._audible is None and (self._answer is not None or self._said):
                    self.stop()  # the user goes on: what was to be answered was not all
                    self._stage.cut()
            case UserSpeechStopped():
                self._user_is_speaking = False
                if self._group is not None and self.history.is_owed:
                    self._group.create_task(self._answer_what_is_owed(), name="owed")

    async def run(self) -> None:
        """Answers until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                if self._is_wanted:
                    self._ask()
                await asyncio.Event().wait()
        finally:
            self._group = None

    def _ask(self) -> None:
        if self.agent is not None or self.manner.brain == "external":
            return
        self._is_wanted = self._group is None  # then as soon as the session has begun
        if self._group is not None:
            self._answer = self._group.create_task(self._answer_turn(), name="answer")
            self._show_thought()

    def _show_thought(self) -> None:
        """Shows whether an answer is under way of which nothing is heard yet, or no more."""
        unheard = any(number != self._audible for number in self._said)
        is_thinking = self._answer is not None or self._is_pondered or unheard
        if is_thinking != self._is_thinking:
            self._is_thinking = is_thinking
            self._stage.think(is_thinking=is_thinking)

    async def _answer_what_is_owed(self) -> None:
        await self._clock.sleep_until(self._clock.now() + _OWED_AFTER)
        self.heard_nothing()

    async def _answer_turn(self) -> None:
        own = self._answer
        try:
            for _ in range(_MOST_ROUNDS):
                if not await self._round():
                    return
            raise BrainError("tools", f"The brain called tools {_MOST_ROUNDS} times in a row.")
        except BrainError as error:
            self._publish([BrainFailed(error.failure, str(error), error.retry_after)])
            self._say_fallback()
        finally:
            if self._answer is own:
                self._answer = None
                self._show_thought()

    async def _round(self) -> bool:
        """Asks once; returns whether tools were called, so that it must be asked again."""
        text: LiveText | None = None
        calls: list[ToolCall] = []
        brain = self._talk.brains[self.manner.brain]
        try:
            async with aclosing(brain.reply(self._question())) as events:
                async for event in events:
                    if isinstance(event, ToolCall):
                        calls.append(event)
                        continue
                    if text is None and event.text.strip():
                        text = self._open()
                    if text is not None and not self._grow(text, event):
                        break
        except BrainError as error:
            if text is not None and text.text.strip():
                self._complete(text)
                self._publish([BrainFailed(error.failure, str(error), error.retry_after)])
                return False
            raise
        if text is not None:
            self._complete(text)
        if not calls and (text is None or not text.text.strip()):
            raise BrainError("empty", "The brain answered without a word.")
        if calls:
            await self._call(calls, text)
        return bool(calls)

    def _question(self) -> Question:
        prompt = self.manner.prompt.replace("{portrait}", self._stage.portrait_name)
        system = [Message("system", prompt)] if prompt.strip() else []
        return Question(
            [*system, *self.history.messages()],
            model=self.manner.model,
            portrait=self._stage.portrait_name,
            tools=self.manner.tools,
        )

    def _open(self, *, is_fallback: bool = False) -> LiveText:
        text = self._stage.open_text()
        entry = self.history.begin(text.number, is_fallback=is_fallback)
        self._said[text.number] = (entry, text)
        return text

    def _grow(self, text: LiveText, delta: TextDelta) -> bool:
        """Adds to a text; returns whether there is room for more."""
        try:
            self._stage.grow_text(text, delta.text)
        except ProtocolError as error:
            self._publish([Warned(error.code, str(error))])
            return False
        return True

    def _complete(self, text: LiveText) -> None:
        self._stage.grow_text(text, None)
        if text.number in self._said:  # until it is known how much of it was heard
            self._said[text.number][0].content = text.spoken.raw

    def _say_fallback(self) -> None:
        if self.manner.fallback:
            text = self._open(is_fallback=True)
            self._stage.grow_text(text, self.manner.fallback)
            self._complete(text)

    async def _call(self, calls: list[ToolCall], text: LiveText | None) -> None:
        """Has tools called, and waits for their results."""
        entry = self._said[text.number][0] if text and text.number in self._said else None
        entry = entry or self.history.begin(None)
        entry.tool_calls = calls
        loop = asyncio.get_running_loop()
        self._results = {call.id: loop.create_future() for call in calls}
        waiting = dict(self._results)
        self._publish([BrainToolCall(call.id, call.name, call.arguments) for call in calls])
        deadline = self._clock.now() + _TOOL_PATIENCE
        while not all(result.done() for result in waiting.values()):
            if self._clock.now() >= deadline:
                self._publish([Warned("tool_timeout", "A tool call had no result within 30 s.")])
                break
            await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN)
        for call_id, result in waiting.items():
            entry.results[call_id] = result.result() if result.done() else _LATE

    def _settle(self, event: SpeakEnded) -> None:
        entry, text = self._said.pop(event.utterance, (None, None))
        if entry is None or text is None:
            return
        if self._audible == event.utterance:
            self._audible = None
        if event.interrupted and self._answer is not None:
            self.stop()
        said = event.spoken_characters or 0
        is_all = (text.is_finished or not event.interrupted) and _is_said(text.text[said:])
        heard = text.text if is_all else text.text[:said]
        self.history.settle(
            entry,
            heard=" ".join(heard.split()),
            content=text.spoken.raw if is_all else text.spoken.written(len(heard.rstrip())),
            is_interrupted=not is_all,
        )
        self._show_thought()
        if self._held and self._audible is None:
            held, self._held = " ".join(self._held), []
            self.say(held, "voice")


def _is_said(rest: str) -> bool:
    """Whether there is no word left."""
    return not any(map(str.isalnum, rest))
