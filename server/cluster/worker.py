"""A worker: the ordinary server, whose sessions outlive it, and that gateways alone may ask.

It tells the directory of itself every second, and takes up sessions whose workers have died.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
from dataclasses import replace
from functools import partial
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from server.access.rules import OPENING, find_rule
from server.app import Parts, Server
from server.clock import Clock, MonotonicClock
from server.cluster.facts import SessionFacts, revive
from server.cluster.forward import Forwarder
from server.cluster.journal import Journal
from server.cluster.line import Line
from server.cluster.port import (
    CLIENT_HEADER,
    DRAIN,
    FIGURES,
    LOOK,
    PLACE_HEADER,
    ROOM,
    SCHEME_HEADER,
    SECRET_HEADER,
    TAKE_UP,
    WARM,
    Directory,
    Report,
)
from server.cluster.removal import Removal
from server.cluster.settling import Settling
from server.cluster.store import Store, StoreError, Superseded
from server.config import Settings
from server.consent.custody import Shown
from server.metrics import CONTENT_TYPE
from server.principal import on_behalf_of, session_in
from server.protocol import CapacityError, ProtocolError, error_body
from server.refusals import status_of
from server.session import Session
from server.sessions import PLACE, Place
from server.storage.errors import StorageError
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_SECOND: Final = 1_000_000_000  # ns
_LAST_CLOSE: Final = 2.0  # seconds for sessions that have moved to end here
_PORTRAITS: Final = "/v1/portraits"
SECRET: Final = "cluster secret"  # names of constants in the store
TOKEN_SECRET: Final = "token secret"


class _Look(BaseModel):
    ends_sessions: list[str] = []


class _Warm(BaseModel):
    portrait: str
    background: str


class _Drain(BaseModel):
    seconds: Annotated[float, Field(ge=0, le=86_400)]


class _TakeUp(BaseModel):
    session: str
    epoch: int
    is_pressed: bool = False


async def shared(settings: Settings, store: Store) -> tuple[Settings, str]:
    """Returns settings with the secret of all tokens in them, and the secret of the cluster.

    Raises:
        StoreError: the store cannot be reached.
    """
    secret = await store.constant(SECRET, secrets.token_hex(32))
    own = settings.token_secret or secrets.token_hex(32)
    return replace(settings, token_secret=await store.constant(TOKEN_SECRET, own)), secret


class Worker:
    """One worker, as an application for gateways.

    Attributes:
        id: its own, of this start.
        drained: set when its sessions have gone, because that was asked for.
        server: what it serves.

    Args:
        settings: with the secret that all workers sign tokens with.
        cores: what it may use of the machine.
        name: the same after each start.
        secret: of the cluster.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        *,
        store: Store,
        directory: Directory,
        secret: str,
        line: Line,
        cores: float | None = None,
        name: str = "",
    ) -> None:
        self.id = secrets.token_hex(8)
        self._name = name
        self._directory = directory
        self._store = store
        self._line = line
        self._secret = secret.encode()
        clock = MonotonicClock()
        self.journal = Journal(store, self.id, clock)
        # Strangers are counted at the gateways, where they come from their own addresses.
        # Nobody waits here: the line is one for all.
        settings = replace(settings, rate_limit=0.0, queue_length=0)
        self.server = Server(
            settings,
            parts,
            clock=clock,
            cores=cores,
            keeper=self.journal,
            elsewhere=self._elsewhere,
        )
        self._settling = Settling(self.server.app, self.journal)
        self._forwarder = Forwarder(secret)
        self._address = ""
        self._coming: dict[str, asyncio.Event] = {}  # sessions that are being taken up
        self._bound: float | None = None  # seconds of the drain that was asked for
        self._is_to_drain = asyncio.Event()
        self.drained = asyncio.Event()

    async def run(self, address: str) -> None:
        """Tells of itself and keeps its sessions, until cancelled; it then leaves the directory."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.journal.run(), name="journal")
                group.create_task(self._report(address), name="reports")
                group.create_task(self._obey_drain(), name="drain")
        finally:
            await self._forwarder.aclose()

    async def drain(self, seconds: float) -> None:
        """Lets nobody in any more, and has sessions go on elsewhere, within so many seconds.

        Each moves at the end of its sentence. Those that nobody takes meanwhile are kept, and
        taken up once this process has ended.
        """
        sessions = self.server.house.sessions
        sessions.shut_the_door()
        try:
            await self._directory.report(self._told(self._address))
        except StoreError as error:
            _LOG.warning("the cluster does not hear that this worker drains: %s", error)
        removal = Removal(
            self.id,
            sessions=sessions,
            journal=self.journal,
            directory=self._directory,
            forwarder=self._forwarder,
            clock=self.server.clock,
        )
        await removal.run(seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_CLOSE):
                await sessions.emptied.wait()
        await self.journal.settle_all()
        await self._directory.leave(self.id)
        self.drained.set()

    def begin_drain(self, seconds: float) -> None:
        """Begins to drain; the first of several calls counts. `drained` tells the end."""
        if self._bound is None:
            self._bound = seconds
            self._is_to_drain.set()

    async def _obey_drain(self) -> None:
        await self._is_to_drain.wait()
        await self.drain(self._bound or 0.0)

    async def take_up(self, session_id: str, epoch: int, *, is_pressed: bool = False) -> None:
        """Makes a session of another worker this one's; where none has room, also beyond ours.

        Raises:
            Superseded: somebody else was faster.
            CapacityError: there is no room.
            ProtocolError: `session_gone`, nothing is known of it.
            VivantError: it needs a portrait, say, that is no more.
        """
        sessions = self.server.house.sessions
        if not sessions.may_take_up(is_pressed=is_pressed):
            raise CapacityError("All sessions are in use.", retry_after=1)
        if (coming := self._coming.get(session_id)) is not None:
            await coming.wait()
            raise Superseded(f"Session {session_id[:60]!r} is taken up already.")
        is_here = self._coming[session_id] = asyncio.Event()
        try:
            record = await self.journal.take_up(session_id, after=epoch)
            try:
                facts = SessionFacts.model_validate_json(record.facts)
            except ValidationError:  # it stood in a line, or another version wrote it
                await self.journal.end(session_id)
                sentence = "The session has ended with its server."
                raise ProtocolError("session_gone", sentence) from None
            await sessions.take_up(session_id, partial(self._make, facts))
        finally:
            del self._coming[session_id]
            is_here.set()

    async def _make(self, facts: SessionFacts, session_id: str) -> Session:
        house = self.server.house
        await self._look_if_shared()
        backdrop = await house.backgrounds.find(facts.background)
        with on_behalf_of(facts.owner, session_id):
            portrait = house.portraits.check(facts.portrait).id
            digest = await house.portraits.digest(portrait)
            house.options.audit.note("session.resumed", portrait=portrait, portrait_sha256=digest)
            avatar = await house.portraits.avatar(portrait, backdrop)
        session = house.make_session(
            session_id=session_id,
            portrait=portrait,
            avatar=avatar,
            voice=house.voices.check(facts.voice),
            seed=facts.seed,
            style=facts.style,
            owner=facts.owner,
        )
        await revive(session, facts, house.library)
        films = [each.id for each in session.outputs.recordings]
        await house.portraits.note_films(portrait, films)
        return session

    async def _report(self, address: str) -> None:
        clock = self.server.clock
        self._address = address
        try:
            while not self.drained.is_set():
                try:
                    await self._directory.report(self._told(address))
                except StoreError as error:
                    _LOG.warning("the cluster does not hear of this worker: %s", error)
                await self._until_news(clock)
        finally:
            await self._directory.leave(self.id)

    async def _until_news(self, clock: Clock) -> None:
        """Returns after a second, or when there are more or fewer sessions: somebody may wait."""
        sessions = self.server.house.sessions
        count, end = len(sessions), clock.now() + _SECOND
        while clock.now() < end and len(sessions) == count:
            await clock.sleep_until(clock.now() + _SECOND // 10)

    def _told(self, address: str) -> Report:
        house = self.server.house
        sessions = house.sessions
        return Report(
            worker=self.id,
            address=address,
            room=sessions.room,
            sessions=len(sessions),
            waiting=sessions.waiting,
            pid=os.getpid(),
            portraits=house.portraits.ready | sessions.portraits,
            shown=frozenset(sessions.expected()).union(
                *((each.portrait, each.background.name) for each in sessions.all())
            ),
            is_draining=sessions.is_draining,
            name=self._name,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a gateway, and nobody else."""
        if scope["type"] == "lifespan":
            await self._settling(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(SECRET_HEADER, b""), self._secret):
            await _refuse(scope, receive, send)
        elif scope["path"] == TAKE_UP:
            await (await self._answer_take_up(Request(scope, receive)))(scope, receive, send)
        elif scope["path"] == FIGURES:
            figures = Response(self.server.house.figures.text(), media_type=CONTENT_TYPE)
            await figures(scope, receive, send)
        elif scope["path"] == ROOM:
            sessions = self.server.house.sessions
            told = sessions.capacity.describe(len(sessions)) | {"waiting": sessions.waiting}
            await JSONResponse(told)(scope, receive, send)
        elif scope["path"] == WARM:
            await (await self._answer_warm(Request(scope, receive)))(scope, receive, send)
        elif scope["path"] == DRAIN:
            wanted = _Drain.model_validate_json(await Request(scope, receive).body())
            self.begin_drain(wanted.seconds)
            await Response(status_code=202)(scope, receive, send)
        elif scope["path"] == LOOK:
            await (await self._answer_look(Request(scope, receive)))(scope, receive, send)
        else:
            token = PLACE.set(_place(headers))
            try:
                await self._serve(_as_asked(scope, headers), receive, send)
            finally:
                PLACE.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, knowing all that other workers know that it may be about."""
        session = session_in(scope["path"])
        if session is not None and (coming := self._coming.get(session)) is not None:
            await coming.wait()
        try:
            if _may_name_portrait(scope):
                await self._look_if_shared()
        except StorageError as failure:
            if scope["path"].startswith(_PORTRAITS):
                body = error_body(failure.code, str(failure))
                await JSONResponse(body, status_of(failure.code))(scope, receive, send)
                return
            _LOG.warning("%s", failure)  # what is known here will do
        await self._settling(scope, receive, send)

    async def _look_if_shared(self) -> None:
        if self.server.custody.is_shared:
            await self.server.custody.look()

    async def _elsewhere(self) -> Shown:
        """Returns what all workers show; the one with the first id deletes what none does."""
        living = await self._directory.living()
        held = await self._store.held()
        return Shown(
            names=(await self._line.portraits()).union(*(each.shown for each in living)),
            sessions=frozenset(each.session for each in held),
            is_ours=self.id == min((each.worker for each in living), default=self.id),
        )

    async def _answer_look(self, request: Request) -> Response:
        wanted = _Look.model_validate_json(await request.body())
        try:
            await self.server.custody.look(ends_sessions=wanted.ends_sessions)
        except VivantError as refusal:
            return JSONResponse(error_body(refusal.code, str(refusal)), status_of(refusal.code))
        return Response(status_code=204)

    async def _answer_warm(self, request: Request) -> Response:
        """Makes a portrait ready for a session that may come; refuses where it may not."""
        wanted = _Warm.model_validate_json(await request.body())
        house = self.server.house
        try:
            if not house.sessions.may_take_up(is_pressed=True):
                raise CapacityError("All sessions are in use.", retry_after=1)
            await self._look_if_shared()
            backdrop = await house.backgrounds.find(wanted.background)
            await house.portraits.avatar(wanted.portrait, backdrop)
        except VivantError as refusal:
            return JSONResponse(error_body(refusal.code, str(refusal)), status_of(refusal.code))
        return Response(status_code=204)

    async def _answer_take_up(self, request: Request) -> Response:
        wanted = _TakeUp.model_validate_json(await request.body())
        try:
            await self.take_up(wanted.session, wanted.epoch, is_pressed=wanted.is_pressed)
        except Superseded as refusal:
            return JSONResponse(error_body(refusal.code, str(refusal)), 409)
        except VivantError as refusal:
            return JSONResponse(error_body(refusal.code, str(refusal)), status_of(refusal.code))
        return Response(status_code=204)


def _may_name_portrait(scope: Scope) -> bool:
    method = scope["method"] if scope["type"] == "http" else "WS"
    found = find_rule(method, scope["path"], scope.get("query_string", b""))
    return found is not None and (
        scope["path"].startswith(_PORTRAITS) or found.rule.cost >= OPENING
    )


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "for gateways alone"})
        return
    body = error_body("forbidden", "This is a worker: ask a gateway.")
    await JSONResponse(body, 403)(scope, receive, send)


def _place(headers: dict[bytes, bytes]) -> Place | None:
    """Returns what a gateway says of who wants a session."""
    said = headers.get(PLACE_HEADER, b"").decode("latin-1")
    match said:
        case "":
            return None
        case "ask":
            return Place()
        case "vouch":
            return Place(must_wait=True)
        case _:
            return Place(session=said)


def _as_asked(scope: Scope, headers: dict[bytes, bytes]) -> Scope:
    """Returns a request as the gateway was asked, without what gateways add."""
    added = (SECRET_HEADER, CLIENT_HEADER, SCHEME_HEADER, PLACE_HEADER)
    scheme = headers.get(SCHEME_HEADER, b"http").decode("latin-1")
    if scope["type"] == "websocket":
        scheme = {"http": "ws", "https": "wss"}.get(scheme, "ws")
    return {
        **scope,
        "headers": [pair for pair in scope["headers"] if pair[0] not in added],
        "client": (headers.get(CLIENT_HEADER, b"").decode("latin-1"), 0),
        "scheme": scheme,
    }
