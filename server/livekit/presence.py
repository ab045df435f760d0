"""Whether the agent that an avatar speaks for is in the room.

The token says on whose behalf the avatar is there; one that does not say it serves the first agent
that is found, as livekit-agents' own receiver does.
"""

from __future__ import annotations

import asyncio
from typing import Final

from livekit import rtc

from server.clock import Clock, sleep_until_or
from server.livekit.contract import ON_BEHALF

_SECOND: Final = 1_000_000_000  # ns
_COMES: Final = 60 * _SECOND  # for the agent
_RETURNS: Final = 5 * _SECOND  # for one that went: a full reconnection looks like that
_AGENT: Final = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


class Presence:
    """The agent in one room.

    Attributes:
        agent: its identity, once it is known.
        known: set once it is.
        lost: set once the room is.
    """

    def __init__(self, room: rtc.Room, *, clock: Clock) -> None:
        """Takes a room that was entered."""
        self._clock = clock
        self.agent = room.local_participant.attributes.get(ON_BEHALF)
        self.known = asyncio.Event()
        self.lost = asyncio.Event()
        self._here, self._away = asyncio.Event(), asyncio.Event()
        self._away.set()
        room.on("participant_connected", self._came)
        room.on("participant_disconnected", self._went)
        room.on("disconnected", self._left)
        for participant in room.remote_participants.values():
            self._came(participant)
        if not room.isconnected():
            self.lost.set()

    @property
    def is_here(self) -> bool:
        """Whether it can be told something."""
        return self._here.is_set() and not self.lost.is_set()

    async def until_gone(self) -> None:
        """Returns when it does not come, or has gone for good."""
        deadline = self._clock.now() + _COMES
        while True:
            await sleep_until_or(self._clock, deadline, self._here)
            if self._here.is_set():
                await self._away.wait()
            elif self._clock.now() >= deadline:
                return
            deadline = self._clock.now() + _RETURNS  # it has been there, if only for a moment

    def _came(self, participant: rtc.RemoteParticipant) -> None:
        is_agent = participant.kind == _AGENT and ON_BEHALF not in participant.attributes
        if self.agent is None and is_agent:
            self.agent = participant.identity
        if participant.identity == self.agent:
            self._away.clear()
            self._here.set()
            self.known.set()

    def _went(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self.agent:
            self._here.clear()
            self._away.set()

    def _left(self, _: object) -> None:
        self.lost.set()
