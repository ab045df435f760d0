"""Where those wait for whom no worker has room: one line for all gateways, each with its clients.

A client stays on the connection that it came with; when it is its turn, a worker opens the session
under the id that the client has, and its WebSocket goes on there. Each gateway looks three times a
second whose turn it is, so that the line goes on when one of them dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeAlias, get_args

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from server.access.credentials import subprotocol
from server.access.quotas import Claim
from server.clock import Clock
from server.cluster.forward import Forwarder
from server.cluster.line import Line, Standing, Ticket
from server.cluster.placement import Placement
from server.cluster.port import VOUCH, Directory, Report, Unreachable
from server.cluster.store import Store, StoreError
from server.desk import WaitingDesk
from server.protocol import CapacityError, CloseReason, ProtocolError
from server.session import Session
from server.waiting import Waiting

_LOG = logging.getLogger(__name__)
_LOOK: Final = 300_000_000  # ns between looks
_MOST_TRIES: Final = 5  # workers that one session is offered to
_Hosted: TypeAlias = tuple[Ticket, Waiting, list[WebSocket]]
_REASONS: Final = get_args(CloseReason)


class Lobby:
    """One gateway's.

    Args:
        line: of the cluster.
        length: of that, at most.
        placement: the gateway's.
    """

    def __init__(
        self,
        line: Line,
        store: Store,
        directory: Directory,
        forwarder: Forwarder,
        placement: Placement,
        clock: Clock,
        *,
        length: int,
    ) -> None:
        self._line = line
        self._store = store
        self._directory = directory
        self._forwarder = forwarder
        self._placement = placement
        self._clock = clock
        self._length = length
        self._name: str | None = None  # of the line as it was last
        self._here: dict[str, _Hosted] = {}

    async def waiting(self) -> int:
        """Returns how many wait, at all gateways."""
        return await self._line.length()

    async def open(self, scope: Scope, body: bytes, portrait: str | None, claim: Claim) -> Response:
        """Has a worker open a session, or puts the client in line.

        Raises:
            CapacityError: there is no place in the line.
            QuotaError: the client's tenant has as much as it may have.
            ProtocolError: `worker_lost`, there is no worker.
        """
        headers = self._forwarder.headers(scope)
        must_wait = await self._line.length() > 0  # nobody overtakes
        answer = None
        order = self._placement.order(await self._directory.living(), portrait)[:_MOST_TRIES]
        for report in order:
            place = VOUCH if must_wait else None
            try:
                answer = await self._forwarder.open(report, headers, body, place=place)
            except Unreachable:
                await self._directory.leave(report.worker)
                continue
            if answer.status_code != 202:
                self._placement.note(report)
                return _same(answer)
            must_wait = must_wait or not self._has_room(order, report)
            if must_wait:
                break
        if answer is None:
            raise ProtocolError("worker_lost", "No worker is there to do that; try again soon.")
        told = answer.json()
        ticket = Ticket(told["session_id"], claim, portrait, tuple(headers), body, told)
        owned = 0
        if claim.tenant:
            owned = sum(each.tenant == claim.tenant for each in await self._store.held())
        standing = await self._line.join(ticket, length=self._length, sessions=owned)
        return JSONResponse(_told(ticket, standing), 202)

    def _has_room(self, order: list[Report], asked: Report) -> bool:
        """Returns whether one after the worker that was asked may have room."""
        after = order[order.index(asked) + 1 :]
        return any(each.room > 0 for each in after)

    async def find(self, session: str) -> tuple[Ticket, Standing] | None:
        """Returns who waits for a session."""
        return await self._line.find(session)

    async def serve(
        self, ticket: Ticket, standing: Standing, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answers a request about a session that is waited for.

        Raises:
            ProtocolError: `queued`, it has to be there first; `forbidden`.
        """
        one = f"/v1/sessions/{ticket.session}"
        if scope["type"] == "websocket" and scope["path"] == f"{one}/events":
            await self._attend(ticket, standing, scope, receive, send)
            return
        match scope.get("method"), scope["path"].removeprefix(one):
            case "GET", "":
                state = {"session_id": ticket.session, "state": "queued"}
                answer: Response = JSONResponse(state | _position(standing))
            case "DELETE", "":
                await self._line.end(ticket.session, Standing(0, None, "client"))
                await self.look()
                answer = Response(status_code=204)
            case "POST", "/resume":
                _check_token(await read_body(receive), ticket)
                answer = JSONResponse(_told(ticket, standing), 202)
            case _:
                raise ProtocolError(
                    "queued", f"The session waits for its place: it is number {standing.position}."
                )
        await answer(scope, receive, send)

    async def run(self) -> None:
        """Looks whose turn it is, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self.look()
                    if await self._line.length():
                        await self._call(group)
                except StoreError as error:
                    _LOG.warning("the line stands: %s", error)
                await self._clock.sleep_until(self._clock.now() + _LOOK)

    async def look(self) -> None:
        """Tells those who wait here what has changed for them.

        Raises:
            StoreError: nobody knows.
        """
        if not self._here:
            return
        name, standings = await self._line.standings(tuple(self._here))
        if self._name not in (None, name):  # it was lost, and began anew
            await self._line.restore([ticket for ticket, _, _ in self._here.values()])
            name, standings = await self._line.standings(tuple(self._here))
        self._name = name
        for session, (_, waiting, _) in tuple(self._here.items()):
            standing = standings.get(session)
            if standing is None:  # it is open, unless it is not there at all
                if waiting.position:
                    waiting.place(0, 0)
                if await self._store.read(session) is None:
                    waiting.end("idle")
                waiting.events.close()
            elif standing.code is not None:
                _end(waiting, standing)
            else:
                waiting.place(standing.position, standing.wait_s)

    async def _call(self, group: asyncio.TaskGroup) -> None:
        """Takes who is next, and has their sessions opened."""
        reports = [each for each in await self._directory.living() if not each.is_draining]
        for ticket in await self._line.call(sum(max(0, each.room) for each in reports)):
            group.create_task(self._enter(ticket, reports), name="entry")

    async def _enter(self, ticket: Ticket, reports: list[Report]) -> None:
        """Has a worker open a session whose turn it is."""
        session = ticket.session
        try:
            for report in self._placement.order(reports, ticket.portrait)[:_MOST_TRIES]:
                try:
                    answer = await self._forwarder.open(
                        report, ticket.headers, ticket.body, place=session
                    )
                except Unreachable:
                    await self._directory.leave(report.worker)
                    continue
                refusal = {} if answer.is_success else answer.json()["error"]
                if refusal.get("code") in ("capacity", "draining"):
                    continue
                self._placement.note(report)
                if not refusal or refusal["code"] == "superseded":  # another gateway was faster
                    await self._line.end(session)
                else:
                    said = Standing(0, None, refusal["code"], refusal["message"])
                    await self._line.end(session, said)
                return
            await self._line.put_back(session)
        except StoreError as error:
            _LOG.warning("a session in line is not opened for now: %s", error)

    async def _attend(
        self, ticket: Ticket, standing: Standing, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serves a WebSocket: first in line, and then at the session's worker."""
        client = WebSocket(scope, receive, send)
        await client.accept(subprotocol=subprotocol(Headers(scope=scope)))
        with self._hosted(ticket, standing, client) as waiting:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_answer(client, WaitingDesk(waiting)))
                telling = group.create_task(_tell(client, waiting))
                await asyncio.wait((reading, telling), return_when=asyncio.FIRST_COMPLETED)
                has_left = reading.done()
                for task in (reading, telling):
                    task.cancel()
        if has_left:
            return
        if waiting.has_ended:
            await client.close(code=1000, reason="session closed")
            return
        await self._go_on(ticket.session, client, scope)

    async def _go_on(self, session: str, client: WebSocket, scope: Scope) -> None:
        """Joins a client to the worker that has opened its session."""
        record = await self._store.read(session)
        for report in await self._directory.living():
            if record is not None and report.worker == record.worker:
                try:
                    await self._forwarder(report).attend(client, scope)
                except Unreachable:
                    break
                return
        await client.close(code=1012, reason="come again")

    @contextmanager
    def _hosted(self, ticket: Ticket, standing: Standing, client: WebSocket) -> Iterator[Waiting]:
        """Keeps a client in sight while it is connected."""
        new: _Hosted = (ticket, Waiting(ticket.session, _never, now=0), [])
        _, waiting, clients = self._here.setdefault(ticket.session, new)
        waiting.position, waiting.wait_s = standing.position, standing.wait_s
        clients.append(client)
        try:
            yield waiting
        finally:
            clients.remove(client)
            if not clients:
                self._here.pop(ticket.session, None)


async def _never(session_id: str) -> Session:
    raise RuntimeError(f"session {session_id} is opened by a worker")


async def _tell(client: WebSocket, waiting: Waiting) -> None:
    """Sends where a client stands, until it waits no more."""
    with waiting.events.listen() as channel:
        await client.send_text(waiting.event().to_json())
        async for event in channel:
            await client.send_text(event.to_json())


async def _answer(client: WebSocket, desk: WaitingDesk) -> None:
    """Answers a client's messages, until it leaves."""
    try:
        while True:
            message = await client.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            answers = await (desk.take_pcm(b"") if text is None else desk.take_text(text))
            for answer in answers:
                await client.send_text(answer.to_json())
    except WebSocketDisconnect:
        return


def _end(waiting: Waiting, standing: Standing) -> None:
    reason = next((each for each in _REASONS if each == standing.code), None)
    if reason is not None:
        waiting.end(reason)
    else:
        waiting.end("failed", ProtocolError(str(standing.code), standing.message))


def _told(ticket: Ticket, standing: Standing) -> dict[str, Any]:
    return ticket.told | _position(standing)


def _position(standing: Standing) -> dict[str, Any]:
    return {"position": standing.position, "wait_s": standing.wait_s}


def _check_token(body: bytes, ticket: Ticket) -> None:
    try:
        token = json.loads(body)["token"]
    except (ValueError, TypeError, KeyError):
        _refuse_token()
    if token != ticket.told["token"]:
        _refuse_token()


def _refuse_token() -> NoReturn:
    raise ProtocolError("forbidden", "The token is not the one given with this session.")


async def read_body(receive: Receive) -> bytes:
    """Returns the whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _same(answer: Any) -> Response:  # noqa: ANN401 - of httpx
    kept = ("content-type", "retry-after", "content-length", "x-content-digital-source-type")
    headers = {name: value for name, value in answer.headers.items() if name.lower() in kept}
    return Response(answer.content, answer.status_code, headers)


def refuse_if_full(waiting: int) -> None:
    """Accepts an opening by who cannot wait, unless others do.

    Raises:
        CapacityError: others wait already.
    """
    if waiting:
        raise CapacityError("All sessions are in use; try again soon.", retry_after=10)
