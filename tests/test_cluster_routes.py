"""Every route that there is, through a gateway: it reaches the worker that it is for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.quotas import Quotas
from server.access.rules import RULES, Reach, find_rule
from server.cluster.directory import MemoryDirectory
from server.cluster.exposition import merge
from server.cluster.gateway import Router
from server.cluster.line import MemoryLine
from server.cluster.port import Report, Unreachable
from server.cluster.store import MemoryStore
from tests.virtual_time import VirtualClock

SESSION = "the-session"
FILM = f"20261126T120000Z_{SESSION}"
VALUES = {"session_id": SESSION, "recording_id": FILM}
# Whom a gateway answers by itself, and what belongs to no worker more than to another.
_ANYBODYS = {
    "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/login", "/v1/info",
    "/v1/capacity", "/v1/voices", "/v1/schema", "/v1/head.glb", "/face_tracker/{name}",
    "/v1/portraits", "/v1/portraits/preview", "/v1/portraits/{portrait_id}",
    "/v1/portraits/{portrait_id}/image", "/v1/portraits/{portrait_id}/rights", "/v1/backgrounds",
    "/v1/sessions", "/v1/livekit/sessions", "/view/{session_id}", "/face_worker.js",
    "/v1/workers/{worker}/drain",
}  # fmt: skip
# Routes that read in their body which session they are about: one body each that names it.
_INNER: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("POST", "/api/offer"): [
        {"sdp": "v=0", "type": "offer", "requestData": {"session_id": SESSION}},
        {"sdp": "v=0", "type": "offer", "request_data": {"session_id": SESSION}},
        {"sdp": "v=0", "type": "offer", "pc_id": f"{SESSION}.viewer"},
    ],
    ("PATCH", "/api/offer"): [{"pc_id": f"{SESSION}.viewer", "candidates": []}],
    ("POST", "/start"): [{"body": {"session_id": SESSION}}],
}


class Asked:
    """Workers that note what they are asked; those in `gone` cannot be reached."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.gone: set[str] = set()

    def __call__(self, report: Report) -> ASGIApp:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if report.worker in self.gone:
                raise Unreachable("gone")
            body = b""
            if scope["type"] == "http":
                body = (await receive()).get("body", b"")
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b""})
            self.calls.append((report.worker, body))

        return answer

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        return list(scope["headers"])

    async def open(
        self, report: Report, headers: object, body: bytes, *, place: str | None = None
    ) -> httpx.Response:
        self.calls.append((report.worker, body))
        return httpx.Response(201)

    async def post(self, report: Report, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401
        raise AssertionError(f"{report.worker} is asked {path}")


def requests() -> Iterator[tuple[str, str, bytes, bytes]]:
    """Yields method, path, query and body of every request that is about a session."""
    for path, methods in RULES.items():
        for method, rule in methods.items():
            if path in _ANYBODYS:
                continue
            made = re.sub(r"{(\w+)}", lambda match: VALUES.get(match[1], "one"), path)
            query = f"session={SESSION}".encode() if rule.reach is Reach.JOINED else b""
            bodies = [{}] if rule.reach is not Reach.INNER else _INNER[method, path]
            for body in bodies:
                yield method, made, query, json.dumps(body).encode()


async def routed(
    router: Router, method: str, path: str, query: bytes, body: bytes
) -> list[Message]:
    is_socket = method == "WS"
    scope: Scope = {
        "type": "websocket" if is_socket else "http", "method": method, "path": path,
        "query_string": query, "headers": [], "scheme": "http",
    }  # fmt: skip
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await router(scope, receive, send)
    return sent


def router_of(store: MemoryStore, directory: MemoryDirectory, asked: Asked) -> Router:
    clock = VirtualClock()
    return Router(
        store, directory, asked, MemoryLine(clock),  # type: ignore[arg-type]
        clock=clock, quotas=Quotas(None), queue_length=0,
    )  # fmt: skip


async def rig() -> tuple[Router, Asked]:
    """Returns a router whose session is at the worker that placement likes least."""
    store, directory, asked = MemoryStore(), MemoryDirectory(VirtualClock()), Asked()
    for worker, room in (("best", 9), ("holder", 0)):
        report = Report(worker, f"http://{worker}", room, 1, 0, 1, frozenset())
        await directory.report(report)
    record = await store.take(SESSION, "holder", after=0)
    await store.write(SESSION, record.epoch, json.dumps({"portrait": "p"}))
    return router_of(store, directory, asked), asked


def test_every_route_is_in_the_table() -> None:
    about = {path for _, path, _, _ in requests()}
    assert len(about) > 30
    inner = {(m, p) for p, all_ in RULES.items() for m, r in all_.items() if r.reach is Reach.INNER}
    assert set(_INNER) == inner
    for path in _ANYBODYS:
        for rule in RULES[path].values():
            is_about = rule.reach in (Reach.SESSION, Reach.FILM, Reach.JOINED, Reach.INNER)
            assert not is_about, path


@pytest.mark.parametrize(("method", "path", "query", "body"), list(requests()))
async def test_a_request_about_a_session_reaches_its_holder(
    method: str, path: str, query: bytes, body: bytes
) -> None:
    router, asked = await rig()
    assert find_rule(method, path, query) is not None
    await routed(router, method, path, query, body)
    assert asked.calls == [("holder", body if method != "WS" else b"")]


@pytest.mark.parametrize("path", ["/api/offer", "/start", "/v1/sessions"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b'{"pc_id": 7, "requestData": {"session_id": ["x"]}}', b"\xff" * 9,
     b'{"body": ' + b"[" * 9000, b"x" * 300_000],
    ids=["none", "broken", "list", "text", "types", "bytes", "deep", "long"],
)  # fmt: skip
async def test_a_body_that_names_nothing_goes_where_there_is_room(path: str, body: bytes) -> None:
    router, asked = await rig()
    await routed(router, "POST", path, b"", body)
    assert asked.calls == [("best", body)]  # as it came: a worker says what is wrong with it


async def test_a_portrait_that_is_named_inside_is_preferred_where_it_is_warm() -> None:
    store, directory, asked = MemoryStore(), MemoryDirectory(VirtualClock()), Asked()
    for worker, room, warm in (("roomy", 9, "q"), ("warm", 1, "p")):
        portraits = frozenset({warm})
        await directory.report(Report(worker, "http://x", room, 1, 0, 1, portraits))
    router = router_of(store, directory, asked)
    wanted = json.dumps({"requestData": {"portrait": "p"}}).encode()
    await routed(router, "POST", "/api/offer", b"", wanted)
    assert asked.calls == [("warm", wanted)]


PAGE = """# HELP vivant_sessions Sessions that live.
# TYPE vivant_sessions gauge
vivant_sessions 2.0
# HELP vivant_stage_seconds Time.
# TYPE vivant_stage_seconds histogram
vivant_stage_seconds_bucket{le="0.1",stage="draw"} 1.0
vivant_stage_seconds_bucket{le="+Inf",stage="draw"} 1.0
vivant_stage_seconds_count{stage="draw"} 1.0
vivant_stage_seconds_sum{stage="draw"} 0.05
"""


def test_figures_of_workers_are_one_page_that_prometheus_reads() -> None:
    merged = merge({"worker-0": PAGE, 'odd "name"\\': PAGE.replace("2.0", "3.0")})
    families = list(text_string_to_metric_families(merged))
    assert [each.name for each in families] == ["vivant_sessions", "vivant_stage_seconds"]
    assert families[0].type == "gauge"
    found = {each.labels["worker"]: each.value for each in families[0].samples}
    assert found == {"worker-0": 2.0, 'odd "name"\\': 3.0}
    assert {each.labels["stage"] for each in families[1].samples} == {"draw"}
    assert merged.count("# TYPE vivant_sessions gauge") == 1
