"""A gateway: the address that clients know. It finds the worker of each request, and keeps nothing.

It answers for itself only whether it lives, what room there is, and the page's files.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.access.access import Access
from server.access.guard import Guard
from server.access.headers import SecurityHeaders
from server.access.quotas import Quotas
from server.access.rules import OPENING, find_rule
from server.clock import Clock
from server.cluster.exposition import merge
from server.cluster.forward import Forwarder
from server.cluster.line import Line
from server.cluster.lobby import Lobby, read_body, refuse_if_full
from server.cluster.placement import Placement
from server.cluster.port import DRAIN, LOOK, TAKE_UP, Broken, Directory, Report, Unreachable
from server.cluster.relay import send_away
from server.cluster.room import describe
from server.cluster.store import Record, Store
from server.cluster.wish import Wish, has_wish, read_wish
from server.metrics import CONTENT_TYPE
from server.origins import Origins
from server.principal import LOCAL, PRINCIPAL
from server.protocol import RETRY_AFTER, CapacityError, ProtocolError, error_body
from server.refusals import refuse_properly, status_of
from server.request_log import RequestLog
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_PORTRAIT: Final = re.compile(r"/v1/portraits/([^/]+)")
_RESCUE: Final = 2.0  # seconds that a client is not told that its worker has gone
_MOST_TRIES: Final = 5  # workers that one request is offered to


class Router:
    """Passes each request on to the worker that it is for.

    Args:
        store: where it is written who holds a session.
        directory: who lives.
        forwarder: calls them.
        line: of who waits.
        clock: what the gateway goes by.
        quotas: of tenants.
        queue_length: clients that may wait, in all.

    Attributes:
        lobby: where they wait.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        forwarder: Forwarder,
        line: Line,
        *,
        clock: Clock,
        quotas: Quotas,
        queue_length: int,
    ) -> None:
        self._store = store
        self._directory = directory
        self._forwarder = forwarder
        self._proofs: dict[str, asyncio.Event] = {}  # of workers that may be dead
        self._placement = Placement()
        self._quotas = quotas
        self.lobby = Lobby(
            line, store, directory, forwarder, self._placement, clock, length=queue_length
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request by a worker, or refuses it."""
        try:
            await self._pass_on(scope, receive, send)
        except VivantError as error:
            await _refuse(error, scope, receive, send)

    async def reports(self) -> list[Report]:
        """Returns the workers that live."""
        return await self._directory.living()

    async def figures(self) -> str:
        """Returns the figures of all workers that answer."""
        reports = await self.reports()
        pages = await asyncio.gather(*(self._forwarder.figures(each) for each in reports))
        named = zip((each.name or each.worker for each in reports), pages, strict=True)
        return merge({name: page for name, page in named if page is not None})

    async def room(self) -> dict[str, Any]:
        """Returns the room of all workers that answer, as they are now."""
        reports = await self.reports()
        told = await asyncio.gather(*(self._forwarder.room(each) for each in reports))
        found = [(each, room) for each, room in zip(reports, told, strict=True) if room is not None]
        return describe(found, await self.lobby.waiting())

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["type"] == "http" else "WS"
        found = find_rule(method, scope["path"], scope.get("query_string", b""))
        session, wish = None, Wish()
        if found is not None:
            if has_wish(found, scope["path"]):
                wish, receive = await read_wish(receive, scope["path"])
            session = found.session or wish.session
        record = await self._store.read(session) if session else None
        if record is not None:
            await self._to_holder(record, scope, receive, send)
            return
        ticket = await self.lobby.find(session) if session else None
        if ticket is not None:
            await self.lobby.serve(*ticket, scope, receive, send)
            return
        if (method, scope["path"]) == ("POST", "/v1/sessions"):
            await self._open(wish, scope, receive, send)
            return
        deleted = _deleted_portrait(method, scope["path"])
        if deleted is not None:
            send = self._told_all(deleted, scope, send)
        is_opening = found is not None and found.rule.cost >= OPENING and session is None
        if is_opening:
            refuse_if_full(await self.lobby.waiting())
        await self._to_any(scope, receive, send, portrait=wish.portrait, is_opening=is_opening)

    async def _open(self, wish: Wish, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        claim = self._quotas.claim(scope.get(PRINCIPAL, LOCAL))
        answer = await self.lobby.open(scope, body, wish.portrait, claim)
        await answer(scope, receive, send)

    def _told_all(self, portrait: str, scope: Scope, send: Send) -> Send:
        """Returns what answers once every worker has deleted what it has of a portrait."""
        wanted = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        ends = [portrait] if wanted.get("sessions") == ["end"] else []

        async def send_when_told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                async with asyncio.TaskGroup() as group:
                    for report in await self.reports():
                        group.create_task(self._have_look(report, ends))
            await send(message)

        return send_when_told

    async def _have_look(self, report: Report, ends: list[str]) -> None:
        try:
            answer = await self._forwarder.post(report, LOOK, {"ends_sessions": ends})
        except Unreachable:  # it looks when it begins again
            return
        if not answer.is_success:  # it looks again by itself
            _LOG.warning("a worker did not see that a portrait was deleted: %s", answer.text)

    async def _to_any(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        portrait: str | None,
        is_opening: bool,
    ) -> None:
        for report in self._placement.order(await self.reports(), portrait)[:_MOST_TRIES]:
            try:
                if is_opening:
                    self._placement.note(report)
                await self._forwarder(report)(scope, receive, send)
            except Unreachable:
                await self._directory.leave(report.worker)
                continue
            return
        raise ProtocolError("worker_lost", "No worker is there to do that; try again soon.")

    async def _to_holder(self, record: Record, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request to whoever holds its session, now or after taking it up."""
        for _ in range(_MOST_TRIES):
            holder = await self._holder(record)
            if holder is not None:
                try:
                    await self._forwarder(holder)(scope, receive, send)
                except Unreachable:
                    await self._directory.leave(holder.worker)
                except Broken as broken:
                    await self._rescue_for(broken.client, record.session)
                    return
                else:
                    return
            await self._take_up(record)
            found = await self._store.read(record.session)
            if found is None:
                raise ProtocolError("session_gone", "The session has ended with its server.")
            record = found
        raise ProtocolError("worker_lost", "No worker could take the session up; try again soon.")

    async def _rescue_for(self, client: WebSocket, session: str) -> None:
        """Has a session taken up whose worker broke off, and tells its client to come again."""
        try:
            async with asyncio.timeout(_RESCUE):
                await self.rescue(session)
        except (VivantError, TimeoutError) as error:
            _LOG.warning("session %s is not taken up yet: %s", session, error)
        finally:
            await send_away(client)

    async def rescue(self, session: str) -> None:
        """Has a session taken up before anybody asks for it, if its worker is dead.

        Raises:
            StoreError: the store cannot be reached.
        """
        record = await self._store.read(session)
        if record is None:
            return
        holder = await self._holder(record)
        if holder is not None and await self._prove(holder):
            return
        try:
            await self._take_up(record)
        except ProtocolError as error:
            _LOG.warning("session %s is not taken up yet: %s", session, error)

    async def drain(self, worker: str, seconds: float) -> Report:
        """Has a worker's sessions go on elsewhere; it ends when they have, or the time is over.

        Raises:
            ProtocolError: `not_found`, there is no such worker.
        """
        living = await self.reports()
        report = next((each for each in living if each.worker == worker), None)
        if report is None:
            raise ProtocolError("not_found", f"There is no worker {worker[:60]!r}.")
        try:
            await self._forwarder.post(report, DRAIN, {"seconds": seconds})
        except Unreachable:
            await self._directory.leave(worker)
            raise ProtocolError("not_found", f"The worker {worker!r} has gone.") from None
        return report

    async def _prove(self, report: Report) -> bool:
        """Returns whether a worker lives; one that does not is listed no more."""
        proof = self._proofs.get(report.worker)
        if proof is not None:
            await proof.wait()
            return await self._is_listed(report.worker)
        proof = self._proofs[report.worker] = asyncio.Event()
        try:
            is_alive = await self._forwarder.is_alive(report)
            if not is_alive:
                await self._directory.leave(report.worker)
        finally:
            del self._proofs[report.worker]
            proof.set()
        return is_alive

    async def _is_listed(self, worker: str) -> bool:
        return any(each.worker == worker for each in await self.reports())

    async def _holder(self, record: Record) -> Report | None:
        if (proof := self._proofs.get(record.worker)) is not None:
            await proof.wait()
        reports = await self.reports()
        return next((each for each in reports if each.worker == record.worker), None)

    async def _take_up(self, record: Record) -> None:
        """Has a worker take up a session whose own one has gone.

        Raises:
            ProtocolError: none is there, none has room, or the session is no more.
        """
        portrait = json.loads(record.facts).get("portrait") if record.facts else None
        reports = await self.reports()
        wanted = {"session": record.session, "epoch": record.epoch}
        order = self._placement.order(reports, portrait, without={record.worker})[:_MOST_TRIES]
        pressed = [(report, True) for report in order]  # once none has room, any will do
        for report, is_pressed in [(report, False) for report in order] + pressed:
            try:
                told = wanted | {"is_pressed": is_pressed}
                answer = await self._forwarder.post(report, TAKE_UP, told)
            except Unreachable:
                await self._directory.leave(report.worker)
                continue
            if answer.is_success:
                self._placement.note(report)
                return
            error = answer.json()["error"]
            if error["code"] == "superseded":  # somebody else was faster
                return
            if error["code"] != "capacity":
                raise ProtocolError(error["code"], error["message"])
        raise ProtocolError("worker_lost", "No worker has room for the session; try again soon.")


def make_gateway(
    router: Router,
    *,
    access: Access,
    origins: Origins,
    page: Path | None,
    clock: Clock,
) -> FastAPI:
    """Returns the application of a gateway."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    refuse_properly(app)
    app.add_middleware(Guard, access=access, page=page)
    origins.guard(app)
    app.add_middleware(SecurityHeaders, allowed=origins.allowed)
    app.add_middleware(RequestLog, clock=clock)
    app.add_api_route("/healthz", _live, methods=["GET"])
    app.add_api_route("/readyz", _readiness(router), methods=["GET"])
    app.add_api_route("/v1/capacity", _capacity(router), methods=["GET"])
    app.add_api_route("/metrics", _figures(router), methods=["GET"])
    path = "/v1/workers/{worker}/drain"
    app.add_api_route(path, _drain(router), methods=["POST"], status_code=202)
    files = None if page is None else StaticFiles(directory=page, html=True)
    app.router.routes.append(Mount("/", _Fork(router, files)))
    return app


class _Fork:
    """The page's files from here, all else from workers."""

    def __init__(self, router: Router, files: StaticFiles | None) -> None:
        self._router = router
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._files is not None:
            rule = find_rule(scope["method"], scope["path"], scope.get("query_string", b""))
            if rule is None:
                await self._files(scope, receive, send)
                return
        await self._router(scope, receive, send)


async def _live() -> dict[str, str]:
    return {"status": "ok"}


def _readiness(router: Router) -> Any:  # noqa: ANN401 - a route
    async def readyz() -> JSONResponse:
        if any(not each.is_draining for each in await router.reports()):
            return JSONResponse({"status": "ready"})
        return JSONResponse(error_body("not_ready", "No worker is ready yet."), 503)

    return readyz


def _figures(router: Router) -> Any:  # noqa: ANN401 - a route
    async def figures() -> Response:
        return Response(await router.figures(), media_type=CONTENT_TYPE)

    return figures


def _capacity(router: Router) -> Any:  # noqa: ANN401 - a route
    async def capacity() -> dict[str, Any]:
        return await router.room()

    return capacity


class DrainBody(BaseModel):
    """How long sessions may stay."""

    model_config = ConfigDict(extra="forbid")
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0


def _drain(router: Router) -> Any:  # noqa: ANN401 - a route
    async def drain(worker: str, body: DrainBody | None = None) -> dict[str, Any]:
        wanted = body or DrainBody()
        report = await router.drain(worker, wanted.seconds)
        return {"worker": worker, "sessions": report.sessions, "seconds": wanted.seconds}

    return drain


def _deleted_portrait(method: str, path: str) -> str | None:
    match = _PORTRAIT.fullmatch(path)
    return match[1] if match is not None and method == "DELETE" else None


async def _refuse(error: VivantError, scope: Scope, receive: Receive, send: Send) -> None:
    status = status_of(error.code)
    wait = error.retry_after if isinstance(error, CapacityError) else RETRY_AFTER
    headers = {"Retry-After": str(1 if error.code == "worker_lost" else wait)}
    answer = JSONResponse(
        error_body(error.code, str(error)), status, headers if status == 503 else None
    )
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
    else:
        await answer(scope, receive, send)
