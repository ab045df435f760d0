"""Those who watch a session over WebRTC: each is connected, told, heard, obeyed and seen off."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from server import protocol
from server.access.principal import ALL, Scope
from server.audience import Audience
from server.clock import Clock
from server.desk import Desk
from server.dialect import Dialect, Native
from server.hearing import Hearing
from server.ice import IceDescription
from server.line import LiveLine
from server.microphone_track import microphone_frames
from server.principal import Principal, acting
from server.protocol import RETRY_AFTER, CapacityError, ProtocolError, ServerEvent
from server.sender_reports import NtpClock
from server.webrtc import Peer

if TYPE_CHECKING:
    from server.session import Session, SessionOptions

_ANSWER_SECONDS: Final = 10  # for an answer, in turn with others
_GOODBYE_TIME: Final = 50_000_000  # ns


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """One connection.

    Attributes:
        id: what it is found by.
        peer: the connection itself.
        answer: the SDP that it began with.
        watches: whether it is sent sound and pictures; one that brings a voice need not be.
        is_heard: whether its voice is for the session.
        dialect: in which words its data channel speaks.
        principal: who connected it.
    """

    id: str
    peer: Peer
    answer: str
    watches: bool
    is_heard: bool
    dialect: Dialect
    principal: Principal

    def tell(self, event: ServerEvent) -> None:
        """Tells it of an event, in its own words."""
        for text in self.dialect.tell(event):
            self.peer.send_event(text)


class Viewers:
    """The WebRTC connections of one session.

    Args:
        session: what they watch.
        group: ends with the session, and their tasks with it.
        closing: set when the session ends.
    """

    def __init__(
        self,
        session: Session,
        *,
        options: SessionOptions,
        line: LiveLine,
        audience: Audience,
        hearing: Hearing,
        ntp: NtpClock,
        clock: Clock,
        group: asyncio.TaskGroup,
        closing: asyncio.Event,
    ) -> None:
        self._session = session
        self._options = options
        self._line = line
        self._audience = audience
        self._hearing = hearing
        self._ntp = ntp
        self._clock = clock
        self._group = group
        self._closing = closing
        self._all: dict[str, Viewer] = {}
        self._owners: set[Peer] = set()  # those of the client that opened the session

    @property
    def peers(self) -> list[Peer]:
        """Who is connected, or about to be."""
        return [viewer.peer for viewer in self._all.values()]

    def find(self, viewer_id: str) -> Viewer:
        """Returns a viewer.

        Raises:
            ProtocolError: `not_found`, it is not there or has gone.
        """
        viewer = self._all.get(viewer_id)
        if viewer is None or viewer.peer.closed.is_set():
            raise ProtocolError("not_found", f"There is no connection '{viewer_id}'.")
        return viewer

    async def restart_ice(self, viewer: Viewer, theirs: IceDescription) -> IceDescription:
        """Lets a viewer find another way here, as after a change of network; returns ours.

        Raises:
            ProtocolError: `bad_request`, the connection is not one bundle.
        """
        ours = await viewer.peer.restart_ice(theirs)
        self._group.create_task(viewer.peer.reconnect(), name="ice restart")
        return ours

    async def add(
        self,
        offer: str,
        *,
        is_owner: bool = False,
        watches: bool = True,
        dialect: Dialect | None = None,
        scopes: frozenset[Scope] = ALL,
    ) -> Viewer:
        """Connects a viewer, who may do what `scopes` hold: without 'speak' nobody hears it.

        The client that opened the session has one connection: a new one takes the place of one
        that was lost, which the server may not have noticed yet.

        Raises:
            ProtocolError: `invalid_sdp`; `not_found`, the session ends just now.
            CapacityError: it has as many as it may, or too many come at the same time.
        """
        connected = sum(peer.connected.is_set() for peer in self.peers)
        if connected >= self._options.most_viewers:
            sentence = f"The session has {connected} viewers, as many as may be."
            raise CapacityError(sentence, retry_after=RETRY_AFTER)
        desk = Desk(self._session, takes_pcm=False, scopes=scopes)
        dialect = dialect or Native(desk)
        peer = Peer(
            label=dialect.label,
            codecs=self._options.codecs,
            ice_servers=self._options.ice_servers,
            bitrate=self._options.bitrate,
            clock=self._clock,
            want_keyframe=self._audience.want_keyframe,
            on_send=self._line.stages.leave,
        )
        answer = await self._answer(peer, offer)
        is_heard = Scope.SPEAK in scopes
        viewer = Viewer(
            secrets.token_urlsafe(9), peer, answer, watches, is_heard, dialect, acting()
        )
        self._all[viewer.id] = viewer
        if is_owner:
            for lost in self._owners:
                lost.closed.set()
            self._owners = {peer}
        self._group.create_task(self._serve(viewer), name="viewer")
        return viewer

    async def _answer(self, peer: Peer, offer: str) -> str:
        """Returns the answer to an offer, which is of somebody who may never connect.

        Raises:
            ProtocolError: `invalid_sdp`; `not_found`, the session ends just now.
            CapacityError: so many others came meanwhile that this one has to try again.
        """
        half_open = self._options.half_open
        half_open.enter(peer, self._session.id, peer.closed.set)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), half_open.answering:
                answer = await peer.accept(
                    offer, instant_of=self._line.report_instant, ntp=self._ntp
                )
            if self._closing.is_set():
                raise ProtocolError("not_found", "The session has ended.")
            if peer.closed.is_set():
                raise _crowded()
        except BaseException as error:
            half_open.leave(peer)
            await peer.close()
            if isinstance(error, TimeoutError):
                raise _crowded() from None
            raise
        return answer

    async def _serve(self, viewer: Viewer) -> None:
        """Looks after one viewer until it goes or the session ends."""
        peer = viewer.peer
        presence = self._options.presences.of(viewer.principal, peer.closed.set)
        try:
            with presence:
                await self._accompany(viewer)
        finally:
            self._audience.remove(peer)
            del self._all[viewer.id]
            self._owners.discard(peer)
            self._options.half_open.leave(peer)
            await peer.close()

    async def _accompany(self, viewer: Viewer) -> None:
        """Returns when it has gone, or the session has ended and it was told."""
        peer = viewer.peer
        async with asyncio.TaskGroup() as group:
            ends = [
                group.create_task(peer.closed.wait()),
                group.create_task(self._closing.wait()),
            ]
            tasks = [
                group.create_task(self._admit(viewer)),
                group.create_task(peer.look_up_names()),
                group.create_task(self._forward_events(viewer)),
                group.create_task(_forward_motion(viewer)),
                group.create_task(_obey(viewer)),
                group.create_task(self._hear(viewer)),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends + tasks:
                task.cancel()
        if self._closing.is_set():
            await self._say_goodbye(viewer)

    async def _admit(self, viewer: Viewer) -> None:
        peer = viewer.peer
        try:
            async with asyncio.timeout(self._options.connect_time):
                await peer.connected.wait()
        except TimeoutError:
            peer.closed.set()
            return
        self._options.half_open.leave(peer)
        self._line.begin()
        if viewer.watches:
            self._audience.add(peer)

    async def _forward_events(self, viewer: Viewer) -> None:
        peer = viewer.peer
        with self._session.events.listen() as events:
            await peer.events_open.wait()
            for greeting in self._session.greeting():
                viewer.tell(greeting)
            if viewer.dialect.tells_origin:
                peer.tell_origin()
            async for event in events:
                await self._session.settled()
                viewer.tell(event)

    async def _hear(self, viewer: Viewer) -> None:
        peer = viewer.peer
        if peer.microphone is None or not viewer.is_heard:
            return
        async for frame in microphone_frames(peer.microphone):
            self._hearing.take(peer, frame)

    async def _say_goodbye(self, viewer: Viewer) -> None:
        reason = self._session.reason
        if reason == "moved":
            return  # it comes again, as after any connection that breaks off
        viewer.tell(protocol.SessionClosed(reason))
        # The data channel is reliable only while the connection lives: let it flush.
        await self._clock.sleep_until(self._clock.now() + _GOODBYE_TIME)


def _crowded() -> CapacityError:
    sentence = "Too many viewers connect at the same time; try again."
    return CapacityError(sentence, retry_after=1)


async def _forward_motion(viewer: Viewer) -> None:
    async def send(text: str) -> None:
        viewer.peer.send_event(text)

    await viewer.dialect.motion.run(send)


async def _obey(viewer: Viewer) -> None:
    async for text in viewer.peer.messages:
        for answer in await viewer.dialect.take(text):
            viewer.peer.send_event(answer)
