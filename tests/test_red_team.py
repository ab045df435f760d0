"""Every route that the application has, asked by everybody who must not be answered."""

from __future__ import annotations

import json
import logging
import re
import statistics
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from server.access.guard import Guard
from server.access.principal import Scope
from server.access.rules import RULES, Reach, find_rule
from server.app import Server
from server.config import Settings
from tests.access_rig import Answer, Rig, call, forged, keyed, misissued
from tests.live_fakes import fake_parts

Route = tuple[str, str]  # method and path, as the application has it
REFUSED = {401, 403, 404}
UNKNOWN = "u" * 16  # as long as a session's id
# Why strangers may: probes of whoever runs the server; the page that asks for the key; forgetting.
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/face_worker.js"),
    ("GET", "/view/{session_id}"),
    ("DELETE", "/v1/login"),
}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with keyed(tmp_path) as made:
        yield made


def routes_of(app: FastAPI) -> list[Route]:
    """Returns what the application answers, whether its own description lists it or not."""
    return sorted(set(_walk(app.routes)))


def _walk(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    for route in routes:
        inner: Any = getattr(route, "original_router", None)
        path = getattr(route, "path", "")
        if inner is not None:  # FastAPI keeps included routers whole
            assert not getattr(route, "include_context").prefix  # noqa: B009
            yield from _walk(inner.routes)
        elif methods := getattr(route, "methods", None):
            yield from ((method, path) for method in methods)
        elif path:
            yield ("WS", path)


def where(path: str, session_id: str) -> str:
    """Returns an address of a route, about a session."""
    named = path.replace("{session_id}", session_id)
    named = named.replace("{recording_id}", f"20260102T030405Z_{session_id}")
    return re.sub(r"\{\w+\}", "any", named)


def reach_of(route: Route) -> Reach:
    method, path = route
    found = find_rule(method, where(path, UNKNOWN))
    assert found is not None, f"{method} {path} has no rule in server/access/rules.py"
    return found.rule.reach


def about(route: Route, session_id: str) -> dict[str, Any]:
    """Returns what names a session where the path does not."""
    if route[1] == "/v1/realtime":
        return {"query": f"session={session_id}"}
    if route == ("POST", "/api/offer"):
        wanted = {"sdp": "v=0", "type": "offer", "requestData": {"session_id": session_id}}
        return {"body": json.dumps(wanted).encode()}
    if route == ("POST", "/start"):
        return {"body": json.dumps({"body": {"session_id": session_id}}).encode()}
    if route == ("PATCH", "/api/offer"):
        return {"body": json.dumps({"pc_id": f"{session_id}.x", "candidates": []}).encode()}
    return {}


async def ask(rig: Rig, route: Route, session_id: str, credential: str | None) -> Answer:
    method, path = route
    return await rig.call(method, where(path, session_id), credential, **about(route, session_id))


async def test_every_route_has_a_rule_and_the_public_ones_are_these(rig: Rig) -> None:
    routes = routes_of(rig.server.app)
    assert len(routes) > 70
    public = {route for route in routes if reach_of(route) is Reach.PUBLIC}
    assert {route for route in public if route[0] != "HEAD"} == PUBLIC
    for method, path in routes:
        assert ("GET" if method == "HEAD" else method) in RULES[path], (method, path)


async def test_strangers_are_refused_everywhere(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key_id = rig.key.split("_")[1]
    expired = rig.file.add("old", lifetime=-1)
    revoked = rig.file.add("gone")
    rig.file.revoke("gone")
    credentials: dict[str, str | None] = {
        "nothing": None,
        "an empty one": "",
        "garbage": "a.b.c",
        "an expired key": expired,
        "a revoked key": revoked,
        "a known id with another secret": f"vvt_{key_id}_{'x' * 43}",
        "the hash instead of the key": rig.file.read()[0].sha256,
        "an expired token": rig.token(rig.mine, lifetime=-1),
        "a login's token": rig.tokens.for_login(rig.holder, lifetime=60),
        **forged(rig.mine),
        **misissued(rig.mine, key_id),
    }
    for route in routes_of(rig.server.app):
        if reach_of(route) is Reach.PUBLIC:
            continue
        for why, credential in credentials.items():
            answer = await ask(rig, route, rig.mine, credential)
            assert answer.status == 401, (route, why, answer)
            if credential:
                assert credential.encode() not in answer.body
    shown = caplog.text
    for credential in (rig.key, *filter(None, credentials.values())):
        assert credential not in shown
    assert len(rig.server.house.sessions) == 2, "nobody ended or opened one"


@pytest.mark.parametrize("place", ["query", "cookie", "basic", "another header", "path"])
async def test_a_key_in_another_place_is_none(rig: Rig, place: str) -> None:
    headers = {
        "cookie": {"cookie": f"vivant_login={rig.key}; vivant_view={rig.key}"},
        "basic": {"authorization": f"Basic {rig.key}"},
        "another header": {"x-api-key": rig.key},
    }
    query = f"token={rig.key}&access_token={rig.key}&key={rig.key}" if place == "query" else ""
    path = "/v1/info" if place != "path" else f"/v1/info/{rig.key}"
    answer = await rig.call("GET", path, headers=headers.get(place), query=query)
    assert answer.status == 401


async def test_another_session_is_one_that_does_not_exist(rig: Rig) -> None:
    """The token of one session, at another and at none: the same in all that can be seen."""
    rig.server.house.sessions.find = _never  # type: ignore[method-assign, assignment]
    token, keys = rig.token(rig.mine), rig.server.house.access.keys
    for route in routes_of(rig.server.app):
        reach = reach_of(route)
        if reach in (Reach.PUBLIC, Reach.SHARED, Reach.SERVER):
            continue
        told = []
        for session_id in (rig.other, UNKNOWN):
            before = keys.comparisons
            answer = await ask(rig, route, session_id, token)
            body = answer.body.replace(session_id.encode(), b"ID")
            told.append((answer.status, answer.headers, body, keys.comparisons - before))
        if reach is Reach.INNER and route[0] == "POST":
            assert told[0][0] == 404
        assert told[0] == told[1], route
        assert told[0][0] == 404, (route, told[0])


def _never(_: str) -> Any:  # noqa: ANN401
    raise AssertionError("somebody looked whether the session exists")


async def test_too_narrow_a_scope_is_refused(rig: Rig) -> None:
    watcher, speaker = rig.token(rig.mine, "watch"), rig.token(rig.mine, "speak")
    owner = rig.token(rig.mine)
    scraper = rig.file.add("prometheus", ("metrics",))
    counted = 0
    for route in routes_of(rig.server.app):
        method, path = route
        found = find_rule(method, where(path, rig.mine))
        assert found is not None
        narrow: list[str] = []
        if found.rule.reach is Reach.SERVER:
            narrow += [owner, speaker, watcher]
        elif found.rule.scope is Scope.CONTROL:
            narrow += [speaker, watcher]
        elif found.rule.scope is Scope.SPEAK:
            narrow += [watcher]
        if found.rule.reach is not Reach.PUBLIC and path != "/metrics":
            narrow += [scraper]
        for credential in narrow:
            answer = await ask(rig, route, rig.mine, credential)
            assert answer.status == 403, (route, credential, answer)
            counted += 1
    assert counted > 120
    assert (await rig.call("GET", "/metrics", scraper)).status == 200
    assert len(rig.server.house.sessions) == 2


async def test_who_brings_what_a_rule_asks_for_is_let_in(rig: Rig) -> None:
    """The refusals above are not those of a server that refuses everybody."""

    async def app(scope: AsgiScope, receive: Receive, send: Send) -> None:
        kind = "http" if scope["type"] == "http" else "websocket.http"
        await send({"type": f"{kind}.response.start", "status": 299, "headers": []})
        await send({"type": f"{kind}.response.body", "body": b""})

    guard = Guard(app, rig.server.house.access, None)
    for route in routes_of(rig.server.app):
        method, path = route
        found = find_rule(method, where(path, rig.mine))
        assert found is not None
        credentials = [rig.key]
        if found.rule.reach is not Reach.SERVER:
            credentials.append(rig.token(rig.mine, found.rule.scope))
        for credential in credentials:
            answer = await call(
                guard, method, where(path, rig.mine), credential, **about(route, rig.mine)
            )
            assert answer.status == 299, route


async def test_a_route_without_a_rule_answers_nobody(rig: Rig) -> None:
    app = rig.server.app
    app.router.routes.insert(0, _route("/v1/forgotten"))
    assert (await rig.call("GET", "/v1/forgotten")).status == 401
    assert (await rig.call("GET", "/v1/forgotten", rig.key)).status == 404
    assert (await rig.call("GET", "/app.js")).status == 200, "the page's files"
    for path in ("/embed/../app.js", "/../server/api.py", "/%2e%2e/pyproject.toml", "/app.js\0"):
        assert (await rig.call("GET", path)).status == 401


def _route(path: str) -> BaseRoute:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route as StarletteRoute

    async def answer(_: Any) -> PlainTextResponse:  # noqa: ANN401
        return PlainTextResponse("secret")

    return StarletteRoute(path, answer)


async def test_a_foreign_site_s_page_changes_nothing_without_a_key_either(tmp_path: Path) -> None:
    """On loopback nobody logs in: where a page is from is all that keeps it out."""
    settings = Settings(size=256, cache_dir=tmp_path)
    app = Server(settings, fake_parts(settings)).app
    async with app.router.lifespan_context(app):
        for method, path in routes_of(app):
            if method in ("GET", "HEAD", "OPTIONS"):
                continue
            for origin in ("http://evil.example", "null", "http://server:81", "file://"):
                foreign = {"origin": origin, "content-type": "text/plain"}
                answer = await call(app, method, where(path, UNKNOWN), headers=foreign)
                assert answer.status == 403, (method, path, answer)


@pytest.mark.parametrize("pair", ["sessions", "keys"])
async def test_time_tells_nothing(rig: Rig, pair: str) -> None:
    """Medians of turns taken in pairs, of the thread's own time: a busy machine slows both."""
    token, key_id = rig.token(rig.mine), rig.key.split("_")[1]
    paths = (f"/v1/sessions/{rig.other}", f"/v1/sessions/{UNKNOWN}")
    asked = {
        "sessions": [(paths[0], token), (paths[1], token)],
        "keys": [(paths[0], f"vvt_{key_id}_{'x' * 43}"), (paths[0], f"vvt_{'0' * 12}_{'x' * 43}")],
    }[pair]
    for path, credential in asked * 20:  # warm
        await rig.call("GET", path, credential)
    for _ in range(3):
        ratio = await _ratio(rig, asked)
        if 0.67 < ratio < 1.5:
            return
    raise AssertionError(f"one takes {ratio:.2f} times as long as the other")


async def _ratio(rig: Rig, asked: list[tuple[str, str]]) -> float:
    times: list[list[int]] = [[], []]
    for turn in range(150):
        for which in ((0, 1), (1, 0))[turn % 2]:
            path, credential = asked[which]
            begin = time.thread_time_ns()
            await rig.call("GET", path, credential)
            times[which].append(time.thread_time_ns() - begin)
    one, other = (statistics.median(each) for each in times)
    return one / other
