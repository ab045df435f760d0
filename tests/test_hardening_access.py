"""Keys and logins that end while their connections live; tokens that are replayed or forged."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.access.keys import KeyFile
from server.access.presence import Presences
from server.access.principal import LOCAL
from server.access.tokens import Tokens
from server.access.visit import Visit
from server.clock import unix_seconds
from server.principal import LOCAL as ACTING_BY_DEFAULT
from server.principal import PRINCIPAL, Principal
from tests.access_rig import SECRET, Rig, keyed
from tests.hardening_rig import LIMIT, Served, served, until
from tests.test_hardening_peers import on_loopback, watching  # noqa: F401 - a fixture

PAGE = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with keyed(tmp_path) as made:
        yield made


def socket(there: Served, session: str, credential: str, **more: Any) -> connect:  # noqa: ANN401
    headers = {"authorization": f"Bearer {credential}"} if credential else {}
    uri = f"ws://{there.address}/v1/sessions/{session}/events"
    return connect(uri, additional_headers=headers | more)


async def closed_with(client: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as caught:
        async with asyncio.timeout(LIMIT):
            while True:
                await client.recv()
    return None if caught.value.rcvd is None else caught.value.rcvd.code


async def test_a_revoked_key_s_connections_end_within_seconds(tmp_path: Path) -> None:
    async with served(tmp_path, has_keys=True) as there:
        stays = there.file.add("stays")
        assert there.key is not None
        gone, kept = (await there.open()), None
        async with httpx.AsyncClient(base_url=f"http://{there.address}") as client:
            answer = await client.post("/v1/sessions", headers={"authorization": f"Bearer {stays}"})
            kept = answer.json()
        sessions = there.server.house.sessions
        async with (
            socket(there, gone["session_id"], there.key) as by_key,
            socket(there, gone["session_id"], gone["token"]) as by_token,
            socket(there, kept["session_id"], stays) as other,
            socket(there, kept["session_id"], there.key) as guest,
            there.client() as client,
            client.stream("GET", f"/v1/sessions/{kept['session_id']}/events") as events,
            watching(there, kept["session_id"]),
        ):
            (peer,) = sessions.find(kept["session_id"]).viewers.peers
            assert events.status_code == 200
            there.file.revoke("web")
            for each in (by_token, by_key, guest):
                assert await closed_with(each) in (1000, 1008)
            async with asyncio.timeout(LIMIT):
                async for _ in events.aiter_bytes():
                    pass
            await until(lambda: sessions.get(gone["session_id"]) is None)
            await until(peer.closed.is_set)
            assert sessions.closed["revoked"] == 1
            await other.send(json.dumps({"type": "ping", "t": 7}))
            while json.loads(await asyncio.wait_for(other.recv(), LIMIT))["type"] != "pong":
                pass
        assert len(sessions) == 1, "the other key's session goes on"


async def test_a_key_that_expires_ends_them_too(tmp_path: Path) -> None:
    async with served(tmp_path, has_keys=True) as there:
        brief = there.file.add("brief", lifetime=1.5)
        session = (await there.open())["session_id"]
        async with socket(there, session, brief) as client:
            assert await closed_with(client) == 1008
        assert len(there.server.house.sessions) == 1


async def test_what_is_everybody_s_ends_with_no_key(tmp_path: Path) -> None:
    async with served(tmp_path, has_keys=True) as there:
        presences = there.server.house.access.presences

        async def look_all_the_time() -> None:
            while True:
                presences.look()
                await asyncio.sleep(0)

        async with (
            asyncio.TaskGroup() as group,
            httpx.AsyncClient(base_url=f"http://{there.address}") as stranger,
        ):
            looking = group.create_task(look_all_the_time())
            for name in ("", "style.css", "app.js", "login.html", "view.html", "healthz"):
                answer = await stranger.get(name)
                assert answer.status_code == 200, f"{name}: {answer.text}"
                assert len(answer.content) == int(answer.headers["content-length"])
            looking.cancel()


async def test_what_has_a_length_and_began_just_as_its_key_was_revoked_comes_whole() -> None:
    presences = Presences(lambda _: False)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    async def film(scope: Scope, receive: Receive, send: Send) -> None:
        presences.look()
        await Response(b"film")(scope, receive, send)

    async def receive() -> Message:
        raise AssertionError("nothing more was to come")

    scope: Scope = {"type": "http", PRINCIPAL: Principal("gone", key_id="gone")}
    await Visit(film, presences, Response(status_code=401)).serve(scope, receive, send)
    start, body = sent
    assert (start["status"], body["body"]) == (200, b"film")


async def logged_in(there: Served, client: httpx.AsyncClient) -> str:
    answer = await client.post("/v1/login", headers=PAGE)
    assert answer.status_code == 200
    return answer.cookies["vivant_login"]


async def test_logging_out_ends_copies_of_the_cookie_and_their_sockets(tmp_path: Path) -> None:
    async with served(tmp_path, has_keys=True) as there:
        session = (await there.open())["session_id"]
        async with there.client() as client:
            one, other = await logged_in(there, client), await logged_in(there, client)
        bare = httpx.AsyncClient(base_url=f"http://{there.address}")

        async def status(cookie: str) -> int:
            headers = PAGE | {"cookie": f"vivant_login={cookie}"}
            return (await bare.get("/v1/info", headers=headers)).status_code

        async with (
            bare,
            socket(there, session, "", Cookie=f"vivant_login={one}") as of_one,
            socket(there, session, "", Cookie=f"vivant_login={other}") as of_other,
        ):
            assert [await status(each) for each in (one, other)] == [200, 200]
            leaving = PAGE | {"cookie": f"vivant_login={one}"}
            foreign = leaving | {"origin": "http://evil.example"}
            assert (await bare.delete("/v1/login", headers=foreign)).status_code == 403
            assert await status(one) == 200, "another site's page logs nobody out"
            assert (await bare.delete("/v1/login", headers=leaving)).status_code == 204
            assert [await status(each) for each in (one, other)] == [401, 200]
            assert await closed_with(of_one) == 1008
            await of_other.send(json.dumps({"type": "ping", "t": 1}))
            await asyncio.wait_for(of_other.recv(), LIMIT)
        assert len(there.server.house.sessions) == 1, "logging out ends no session"


def test_logins_that_were_ended_are_forgotten_once_they_would_have_expired() -> None:
    now = 1_000.0
    tokens = Tokens(SECRET, now=lambda: now)
    for _ in range(100):
        tokens.end_login(tokens.for_login(LOCAL, lifetime=60))
    tokens.end_login("a.b.c")
    assert len(tokens._ended) == 100
    now = 1_061.0
    tokens.end_login(tokens.for_login(LOCAL, lifetime=60))
    assert len(tokens._ended) == 1


async def test_a_token_is_replayed_as_long_as_its_session_and_no_longer(rig: Rig) -> None:
    """Whoever has it may use it from anywhere, until it expires or its session or key ends."""
    path, token = f"/v1/sessions/{rig.mine}", rig.token(rig.mine)
    assert (await rig.call("GET", path, token)).status == 200
    body = json.dumps({"token": token}).encode()
    assert (await rig.call("POST", f"{path}/resume", token, body=body)).status == 200
    assert (await rig.call("DELETE", path, token)).status == 204
    await until(lambda: rig.server.house.sessions.get(rig.mine) is None)
    for method, end, status in (
        ("GET", "", 404), ("POST", "/tokens", 404), ("WS", "/events", 101), ("GET", "/events", 404),
        ("POST", "/resume", 410), ("POST", "/interrupt", 404), ("GET", "/history", 404),
    ):  # fmt: skip
        answer = await rig.call(method, path + end, token, body=body if end == "/resume" else b"")
        assert answer.status == status, (method, end, answer)
        if method == "WS":
            assert b"not_found" in answer.body
    resumed = json.dumps({"token": rig.token(rig.mine)}).encode()
    other = f"/v1/sessions/{rig.other}"
    answer = await rig.call("POST", f"{other}/resume", rig.token(rig.other), body=resumed)
    assert answer.status in (200, 403)  # by what it was let in with, never by another's
    assert (await rig.call("GET", other, token)).status == 404


def test_a_token_of_an_earlier_process_is_none() -> None:
    token = Tokens().for_session("s", LOCAL, lifetime=60)
    assert Tokens().read(token) is None


def _claims(session: str) -> dict[str, Any]:
    token = Tokens(SECRET).for_session(session, LOCAL, lifetime=60)
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _part(value: object) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _by_hand(header: dict[str, Any], session: str, signature: str = "") -> str:
    return f"{_part(header)}.{_part(_claims(session))}.{signature}"


def _signed(session: str, header: dict[str, Any], secret: str = "x" * 40, **claims: Any) -> str:  # noqa: ANN401
    return jwt.encode(_claims(session) | claims, secret, algorithm="HS256", headers=header)


def forged(session: str) -> dict[str, str]:
    """Returns what strangers sign, by how they hope that it passes."""
    good = Tokens(SECRET).for_session(session, LOCAL, lifetime=60)
    head, payload, signature = good.split(".")
    jwk = {"kty": "oct", "k": _part("x" * 40)}
    return {
        "none": _by_hand({"alg": "none", "typ": "JWT"}, session),
        "None": _by_hand({"alg": "None"}, session),
        "nOnE, with a signature": _by_hand({"alg": "nOnE"}, session, signature),
        "no algorithm": _by_hand({"typ": "JWT"}, session, signature),
        "an empty signature": f"{head}.{payload}.",
        "RS256 over what HS256 signed": f"{_part({'alg': 'RS256'})}.{payload}.{signature}",
        "a key of its own": _signed(session, {"jwk": jwk}),
        "a key at an address": _signed(session, {"jku": "http://127.0.0.1/keys", "kid": "1"}),
        "a certificate's address": _signed(session, {"x5u": "http://127.0.0.1/x"}),
        "a key in a file": _signed(session, {"kid": "../../../../dev/null"}, secret="\0" * 32),
        "a key by SQL": _signed(session, {"kid": "x' UNION SELECT 'x"}),
        "an unknown extension": _signed(session, {"crit": ["b64"], "b64": False}),
        "four parts": f"{good}.{signature}",
        "blanks": f"{head}. {payload}.{signature}",
        "another's payload": f"{head}.{_part(_claims('other'))}.{signature}",
        "a million dots": "." * 8_000,
        "no text": f"{head}.\ud800.{signature}".encode("utf-8", "replace").decode(),
    }


async def test_forged_tokens_are_none(rig: Rig) -> None:
    for why, token in forged(rig.mine).items():
        answer = await rig.call("GET", f"/v1/sessions/{rig.mine}", token)
        assert answer.status == 401, (why, answer)
        assert rig.tokens.read(token) is None, why
        assert rig.tokens.read_login(token) is None, why


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": unix_seconds() + 10**6},
        {"iat": "now"},
        {"exp": math.nan},
        {"exp": math.inf},
        {"exp": "9999999999"},
        {"aud": ["vivant-login", "x"]},
        {"aud": "vivant-login"},
        {"iss": "another"},
        {"nbf": unix_seconds() + 10**6},
        {"sub": 7},
        {"jti": 7},
    ],
)
def test_what_our_own_key_signed_and_we_would_not_have_is_none(claims: dict[str, Any]) -> None:
    """As by another program that was given the same VIVANT_TOKEN_SECRET."""
    token = _signed("s", {}, secret=SECRET, **claims)
    assert Tokens(SECRET).read(token) is None


MESSAGES: list[dict[str, Any]] = [
    {"type": "speak", "text": "Hello."},
    {"type": "interrupt"},
    {"type": "session.update", "voice": "buzz"},
    {"type": "gesture", "name": "nod"},
    {"type": "microphone", "mode": "puppet"},
    {"type": "script.update", "script": "# A\nB."},
    {"type": "user.text", "text": "Hello."},
    {"type": "motion.subscribe", "active": True},
    {"type": "keepalive"},
]


async def test_no_message_of_a_socket_reaches_another_session(tmp_path: Path) -> None:
    """Whatever a message names beside what it is: the socket's session is the one it is for."""
    async with served(tmp_path, has_keys=True) as there:
        mine, other = await there.open(), await there.open()
        sessions = there.server.house.sessions
        before = sessions.find(other["session_id"]).describe()
        async with socket(there, mine["session_id"], mine["token"]) as client:
            for message in MESSAGES:
                for name in ("session_id", "session", "id", "token", "to"):
                    aimed = message | {name: other["session_id"]}
                    await client.send(json.dumps(aimed))
            await client.send(json.dumps({"type": "ping", "t": 9}))
            while json.loads(await asyncio.wait_for(client.recv(), LIMIT))["type"] != "pong":
                pass
        after = sessions.find(other["session_id"]).describe()
        for told in (before, after):
            told.pop("metrics")
            told.pop("media_time")
        assert after == before


async def test_every_answer_forbids_to_be_framed_and_sniffed(tmp_path: Path) -> None:
    async with served(tmp_path, has_keys=True) as there, there.client() as client:
        for method, path in (
            ("GET", "/"), ("GET", "/view/x"), ("GET", "/nothing"), ("GET", "/v1/info"),
            ("GET", "/v1/sessions/x"), ("PUT", "/v1/info"), ("POST", "/v1/sessions/x/offer"),
            ("GET", "/docs"), ("GET", "/face_worker.js"),
        ):  # fmt: skip
            for headers in ({}, {"authorization": "Bearer wrong"}):
                answer = await client.request(method, path, headers=headers)
                policy = answer.headers.get("content-security-policy", "")
                framed = "frame-ancestors 'self'" in policy or "frame-ancestors 'none'" in policy
                # A worker's script is no page: its policy is the worker's own.
                assert framed or path == "/face_worker.js", (path, answer.status_code)
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"


def test_whoever_acts_by_default_is_whoever_is_let_in_by_default(tmp_path: Path) -> None:
    assert ACTING_BY_DEFAULT is LOCAL
    assert KeyFile(tmp_path / "none").read() == []
