"""A worker's way out: its sessions go on elsewhere, each at a sentence's end, within a bound.

When a sentence is over is decided purely; the rest asks other workers. It knows no route.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from server.clock import Clock
from server.cluster.forward import Forwarder
from server.cluster.journal import Journal
from server.cluster.placement import Placement
from server.cluster.port import TAKE_UP, WARM, Directory, Report, Unreachable
from server.cluster.store import StoreError, Superseded
from server.converse.live_text import LiveText
from server.session import Session
from server.sessions import Sessions
from server.unheard import sentence_at

_LOG: Final = logging.getLogger(__name__)
_SECOND: Final = 1_000_000_000  # ns
_LOOK: Final = 20_000_000  # ns between looks at what is said
_AGAIN: Final = 500_000_000  # ns between rounds in which nobody had room


class SentenceEnd:
    """Tells when a session may be moved: nothing is said, or another sentence than at first.

    What another worker could not say on is waited for: sound that is pushed or recorded, a text
    that is being written, an answer that is being thought of, a user who speaks.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._first = self._place()

    def has_come(self) -> bool:
        """Returns whether it is there."""
        session = self._session
        is_busy = session.turns.state in ("listening", "thinking")
        if is_busy or any(map(_is_coming, session.unheard)):
            return False
        reader = session.presenter.reader
        if reader.script.is_recorded and reader.state in ("playing", "pausing"):
            return False
        return self._place() is None or self._place() != self._first

    def _place(self) -> tuple[int, int] | None:
        """Returns what is heard: the utterance, and where in it its sentence begins."""
        session = self._session
        number = session.turns.speaking
        if number is None:
            return None
        said = session.line.timeline.spoken.characters or 0
        asked = next((each for each in session.unheard if each.number == number), None)
        if asked is None or asked.text is None:
            return number, 0  # a sentence of the script is an utterance
        text = asked.text if isinstance(asked.text, str) else asked.text.text
        return number, sentence_at(text, said)


def _is_coming(asked: object) -> bool:
    text = getattr(asked, "text", None)
    return text is None or (isinstance(text, LiveText) and not text.is_finished)


class Removal:
    """One worker's.

    Args:
        worker: its id.
        forwarder: calls other workers.
    """

    def __init__(
        self,
        worker: str,
        *,
        sessions: Sessions,
        journal: Journal,
        directory: Directory,
        forwarder: Forwarder,
        clock: Clock,
    ) -> None:
        self._worker = worker
        self._sessions = sessions
        self._journal = journal
        self._directory = directory
        self._forwarder = forwarder
        self._clock = clock
        self._placement = Placement()

    async def run(self, seconds: float) -> None:
        """Moves every session, those that are in mid-sentence then as they are.

        Where nobody takes one, it stays to the end of the time, and is kept.
        """
        deadline = self._clock.now() + int(seconds * _SECOND)
        async with asyncio.TaskGroup() as group:
            for session in self._sessions.all():
                group.create_task(self._move(session, deadline), name=f"move {session.id}")

    async def _move(self, session: Session, deadline: int) -> None:
        while not session.is_closing:
            order = await self._warmed(session)
            if order:
                await self._sentence_end(session, deadline)
                if session.is_closing or await self._hand_over(session, order):
                    return
            if self._clock.now() >= deadline:
                return
            await self._clock.sleep_until(min(self._clock.now() + _AGAIN, deadline))

    async def _sentence_end(self, session: Session, deadline: int) -> None:
        end = SentenceEnd(session)
        while not (session.is_closing or end.has_come()) and self._clock.now() < deadline:
            await self._clock.sleep_until(self._clock.now() + _LOOK)

    async def _warmed(self, session: Session) -> list[Report]:
        """Returns workers with room for a session, the first one with its portrait warm."""
        try:
            living = await self._directory.living()
        except StoreError as error:
            _LOG.warning("nobody can take session %s just now: %s", session.id, error)
            return []
        order = self._placement.order(living, session.portrait, without={self._worker})
        wanted = {"portrait": session.portrait, "background": session.background.name}
        for index, report in enumerate(order):
            try:
                answer = await self._forwarder.post(report, WARM, wanted)
            except Unreachable:
                continue
            if answer.is_success:
                self._placement.note(report)
                return order[index:]
        return []

    async def _hand_over(self, session: Session, order: Sequence[Report]) -> bool:
        """Has another worker take a session up as it is now; returns whether one did.

        From the note on nothing of it is said here and nobody can change it.
        """
        try:
            epoch = await self._journal.let_go(session.id, session.hush)
        except Superseded:
            session.close("moved")
            return True
        except StoreError as error:  # and once more, for nothing can be said here any more
            _LOG.warning("session %s is not moved yet: %s", session.id, error)
            return False
        wanted = {"session": session.id, "epoch": epoch, "is_pressed": True}
        for report in order:
            try:
                answer = await self._forwarder.post(report, TAKE_UP, wanted)
            except Unreachable:
                continue
            if answer.is_success:
                session.close("moved")
                return True
            _LOG.warning("session %s is not taken: %s", session.id, answer.text)
        # Whoever asks for it next has it taken up: this worker holds it no more.
        await self._journal.abandon(session.id)
        session.close("moved")
        return True
