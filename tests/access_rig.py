"""A server that takes keys, keys and tokens of every kind for it, and calls of any route."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
from starlette.types import ASGIApp, Message

from server.access.keys import KeyFile
from server.access.principal import LOCAL, Holder, Scope, held
from server.access.tokens import Tokens, narrowed
from server.app import Server
from server.config import Settings
from tests.answering import answering

SECRET = "s" * 40
HOST = "server"


@dataclass(frozen=True)
class Answer:
    """Of a call: what a stranger gets to see of it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class Rig:
    app: ASGIApp
    server: Server  # who performs
    file: KeyFile
    key: str
    mine: str  # a session
    other: str  # another

    @property
    def tokens(self) -> Tokens:
        return self.server.house.access.tokens

    @property
    def holder(self) -> Holder:
        found = self.server.house.access.keys.find(self.key)
        assert found is not None
        return found

    def token(self, session_id: str, *scopes: str, lifetime: float = 60.0) -> str:
        scoped = narrowed(self.holder, held(scopes or ("control",)) - {Scope.METRICS})
        return self.tokens.for_session(session_id, scoped, lifetime=lifetime)

    async def call(
        self,
        method: str,
        path: str,
        credential: str | None = None,
        **more: Any,  # noqa: ANN401 - those of `call`
    ) -> Answer:
        return await call(self.app, method, path, credential, **more)


@asynccontextmanager
async def keyed(folder: Path, **settings: Any) -> AsyncIterator[Rig]:  # noqa: ANN401
    """Yields a server off loopback with two sessions."""
    file = KeyFile(folder / "keys.json")
    key = file.add("web")
    chosen: dict[str, Any] = {
        "host": "0.0.0.0",
        "rate_limit": 0.0,
        "token_secret": SECRET,
        "max_sessions": 3,
    }
    made = Settings(size=256, cache_dir=folder, keys_file=file.path, **(chosen | settings))
    async with answering(made) as there:
        sessions = []
        for _ in range(2):
            opened = await call(there.app, "POST", "/v1/sessions", key)
            assert opened.status == 201, opened.body
            sessions.append(json.loads(opened.body)["session_id"])
        yield Rig(there.app, there.server, file, key, sessions[0], sessions[1])


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    credential: str | None = None,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    query: str = "",
) -> Answer:
    """Calls a route, by `WS` a WebSocket; the credential comes as programs bring it."""
    told = {"host": HOST, "content-type": "application/json", **(headers or {})}
    if body:
        told["content-length"] = str(len(body))
    if credential is not None:
        told["authorization"] = f"Bearer {credential}"
    scope: dict[str, Any] = {
        "type": "websocket" if method == "WS" else "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws" if method == "WS" else "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), text.encode()) for name, text in told.items()],
        "client": ("192.0.2.7", 50_000),
        "server": (HOST, 80),
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }
    if method == "WS":
        offered = told.get("sec-websocket-protocol", "")
        scope["subprotocols"] = [each.strip() for each in offered.split(",") if each]
    else:
        scope["method"] = method
    sent: list[Message] = []
    incoming = _incoming(method, body)

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return _answer(sent)


def _incoming(method: str, body: bytes) -> Iterator[Message]:
    if method == "WS":
        yield {"type": "websocket.connect"}
        while True:
            yield {"type": "websocket.disconnect", "code": 1000}
    yield {"type": "http.request", "body": body, "more_body": False}
    while True:
        yield {"type": "http.disconnect"}


def _answer(sent: list[Message]) -> Answer:
    kinds = [message["type"] for message in sent]
    if kinds == ["websocket.close"]:  # before it was accepted: servers answer so
        return Answer(403, [], b"")
    if "websocket.accept" in kinds:
        return Answer(101, [], json.dumps([each.get("text") for each in sent]).encode())
    start = next(each for each in sent if each["type"].endswith("response.start"))
    bodies = [each.get("body", b"") for each in sent if each["type"].endswith("response.body")]
    return Answer(start["status"], sorted(start["headers"]), b"".join(bodies))


def forged(session_id: str) -> dict[str, str]:
    """Returns tokens that somebody without the secret can make, by how."""
    watcher = narrowed(LOCAL, held(["watch"]))
    good = Tokens(SECRET).for_session(session_id, watcher, lifetime=60)
    claims = jwt.decode(good, options={"verify_signature": False}) | {"scope": "control"}
    head, _, signature = good.split(".")
    return {
        "algorithm none": jwt.encode(claims, "", algorithm="none"),
        "another secret": jwt.encode(claims, "x" * 40, algorithm="HS256"),
        "another algorithm": jwt.encode(claims, "x" * 64, algorithm="HS512"),
        "altered claims": ".".join([head, _encoded(claims), signature]),
        "no signature": ".".join([*good.split(".")[:2], ""]),
    }


def misissued(session_id: str, key_id: str) -> dict[str, str]:
    """Returns tokens that are signed well and still are none, by why."""
    now = 4_000_000_000
    claims = {
        "iss": "vivant", "aud": "vivant-session", "sub": session_id, "name": "web",
        "scope": "control", "key": key_id, "iat": 1, "exp": now,
    }  # fmt: skip
    wrong: dict[str, dict[str, object]] = {
        "expired": {"exp": 1},
        "a date of text": {"exp": "never"},
        "for a login": {"aud": "vivant-login"},
        "for somebody else": {"aud": "other"},
        "of another issuer": {"iss": "other"},
        "of a key that is not there": {"key": "0" * 12},
    }
    made = {why: claims | change for why, change in wrong.items()}
    for name in ("exp", "aud", "iss", "sub", "scope", "key"):
        made[f"without {name}"] = {key: each for key, each in claims.items() if key != name}
    return {why: jwt.encode(each, SECRET, algorithm="HS256") for why, each in made.items()}


def _encoded(claims: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def client_of(rig: Rig) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(rig.app), base_url="http://server")
