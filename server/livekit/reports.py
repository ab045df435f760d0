"""Tells the agent what was heard: one remote call after the other, in order, with patience.

An agent that is not told the end of a segment waits for it, so a call that fails is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from livekit import rtc

from server.clock import Clock
from server.livekit.contract import Report
from server.livekit.presence import Presence

_LOG = logging.getLogger(__name__)
_TRIES: Final = 3
_PAUSE: Final = 100_000_000  # ns between two tries
_GOODBYE: Final = 2.0  # seconds to tell what is left
_UNKNOWN: Final = rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD


class Reports:
    """What is to be told to one agent."""

    def __init__(self, participant: rtc.LocalParticipant, *, clock: Clock) -> None:
        """Takes who tells."""
        self._participant = participant
        self._clock = clock
        # As many as there were segments at most: nothing may be lost.
        self._waiting: deque[Report] = deque()
        self._news = asyncio.Event()
        self._unknown: set[str] = set()  # methods that the agent does not have
        self._delivered = asyncio.Event()
        self._delivered.set()
        self._is_running = False

    def tell(self, report: Report) -> None:
        """Queues a report."""
        self._waiting.append(report)
        self._delivered.clear()
        self._news.set()

    async def run(self, presence: Presence) -> None:
        """Tells the agent, once it is there, until cancelled."""
        await presence.known.wait()
        self._is_running = True
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                await self._deliver_all(presence)
        finally:
            self._is_running = False

    async def finish(self, presence: Presence) -> None:
        """Tells what is left, as far as the agent is there and listens."""
        if not presence.is_here:
            return
        try:
            async with asyncio.timeout(_GOODBYE):
                if self._is_running:
                    await self._delivered.wait()
                else:
                    await self._deliver_all(presence)
        except TimeoutError:
            _LOG.warning("the agent did not hear the end of what it said")

    async def _deliver_all(self, presence: Presence) -> None:
        while self._waiting:
            await self._deliver(presence.agent or "", self._waiting[0])
            self._waiting.popleft()
        self._delivered.set()

    async def _deliver(self, agent: str, report: Report) -> None:
        if report.method in self._unknown:
            return
        for attempt in range(_TRIES):
            if attempt:
                await self._clock.sleep_until(self._clock.now() + _PAUSE)
            try:
                await self._participant.perform_rpc(
                    destination_identity=agent, method=report.method, payload=report.payload
                )
            except rtc.RpcError as error:
                if error.code == _UNKNOWN and report.is_optional:
                    self._unknown.add(report.method)
                    return
                _LOG.info("the agent did not take %s: error %d", report.method, error.code)
            else:
                return
        _LOG.warning("the agent was not told %s in %d attempts", report.method, _TRIES)
