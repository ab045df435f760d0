"""Puts the parts of one session's conversation together: who answers, who listens, how it looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from server.clock import Clock
from server.converse.agent import Agent
from server.converse.conversation import Conversation, Stage
from server.converse.ear import Ear
from server.converse.presence import Presence
from server.converse.talk import BrainRequest, Manner, Talk
from server.direction import Direction
from server.events import EventHub
from server.microphone import MicrophoneLane
from server.protocol import Gesture, ProtocolError, ServerEvent


class Converse:
    """One session's.

    Attributes:
        conversation: whose turn it is, and what was said.
    """

    def __init__(
        self,
        *,
        stage: Stage,
        talk: Talk,
        manner: Manner,
        direction: Direction,
        microphone: MicrophoneLane,
        make: Callable[[Gesture], object],
        events: EventHub,
        clock: Clock,
        seed: int,
    ) -> None:
        """Takes what it needs; it follows the session's events from now on."""
        self._microphone = microphone
        self.conversation = Conversation(
            stage=stage, talk=talk, manner=manner, publish=events.publish, clock=clock
        )
        conversation = self.conversation
        self._presence = Presence(
            direction=direction,
            ears=microphone,
            make=make,
            is_on=lambda: conversation.is_on,
            clock=clock,
            seed=seed,
        )
        self._ear: Ear | None = None
        if talk.transcriber is not None:
            self._ear = Ear(
                transcriber=talk.transcriber,
                is_on=lambda: conversation.is_on,
                say=conversation.take_voice,
                heard_nothing=conversation.take_noise,
                publish=events.publish,
            )
            microphone.on_heard = self._ear.hear
        self._listen()
        events.tap(self._notice)

    def configure(self, wanted: BrainRequest) -> None:
        """Changes who answers, and how; a session that begins to converse listens.

        Raises:
            ProtocolError: there is no such brain here, or the tools are none.
        """
        self.conversation.configure(wanted)
        if not self.conversation.is_on:
            self.conversation.give_up()
        self._listen()

    @contextmanager
    def led_by(self, agent: Agent) -> Iterator[None]:
        """Lets an agent answer in the brain's place, and hear what the user says, while entered.

        Raises:
            ProtocolError: `bad_request`, another one does already.
        """
        conversation = self.conversation
        if conversation.agent is not None:
            raise ProtocolError("bad_request", "Another agent answers in this session already.")
        was_on = conversation.is_on
        conversation.give_up()
        conversation.agent = agent
        if not was_on:
            conversation.manner = replace(conversation.manner, brain="external")
        self._listen()
        try:
            yield
        finally:
            conversation.ponder(is_pondered=False)
            conversation.agent = None
            if not was_on:
                conversation.manner = replace(conversation.manner, brain="off")

    async def run(self) -> None:
        """Converses until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.conversation.run(), name="conversation")
            group.create_task(self._presence.run(), name="presence")
            if self._ear is not None:
                group.create_task(self._ear.run(), name="ear")

    def _listen(self) -> None:
        if self.conversation.is_on and self._microphone.mode == "off":
            self._microphone.switch("listen")

    def _notice(self, event: ServerEvent) -> None:
        if self._ear is not None:
            self._ear.notice(event)
        self.conversation.notice(event)
        self._presence.notice(event)
