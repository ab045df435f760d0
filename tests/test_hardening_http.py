"""What arrives by HTTP too slowly, too large, or framed to deceive; the others are still served."""

from __future__ import annotations

import asyncio
import logging
import resource
import ssl
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET

import httpx
import pytest

from server.access.certificate import names_of_machine, own_certificate
from server.connections.door import Door, subscriber
from server.connections.limits import ConnectionLimits
from server.connections.serving import allow_files
from tests.hardening_rig import LIMIT, Raw, Served, drip, served, until

SOON = ConnectionLimits(head=0.3, body=0.3, stalled=0.3)
HEAD = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def slow(there: Served, begin: bytes, rest: bytes) -> tuple[bytes, float]:
    """Returns the answer to a request whose rest drips, and how long it lasted."""
    raw = await there.raw()
    await raw.send(begin)
    began = asyncio.get_running_loop().time()
    dripping = asyncio.get_running_loop().create_task(drip(raw, rest, every=0.05))
    told = await raw.answer()
    lasted = asyncio.get_running_loop().time() - began
    dripping.cancel()
    return told, lasted


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"", b""),  # a connection that says nothing
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"HTTP/1.1 408 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", b"HTTP/1.1 408 "),
    ],
    ids=["nothing", "headers", "body", "chunk"],
)
async def test_a_request_that_drips_is_closed_and_others_are_served(
    tmp_path: Path, begin: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, limits=SOON) as there:
        rest = b"" if not begin else b"x" * 1000
        told = asyncio.get_running_loop().create_task(slow(there, begin, rest))
        await asyncio.sleep(0.05)
        assert await there.answers()
        answer, lasted = await told
        assert answer.startswith(status)
        assert lasted >= 0.25, "it had its time"
        await until(lambda: len(there.door) == 0)
        assert len(there.server.house.sessions) == 0
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_a_body_that_comes_at_the_least_speed_is_taken(tmp_path: Path) -> None:
    """The time of a body grows with what came of it."""
    limits = ConnectionLimits(head=0.3, body=0.2, least_rate=1_000)
    async with served(tmp_path, limits=limits) as there:
        raw = await there.raw()
        body = b"{" + b" " * 1_198 + b"}"
        await raw.send(HEAD + b"Connection: close\r\nContent-Length: 1200\r\n\r\n")
        for start in range(0, 1200, 300):  # 0.4 s, with 1.4 s of time
            await raw.send(body[start : start + 300])
            await asyncio.sleep(0.1)
        assert await raw.status() == 201


async def test_the_second_request_of_a_connection_has_no_more_time_than_the_first(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, limits=SOON) as there:
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        told, lasted = await slow(there, whole + b"GET / HT", b"x" * 1000)
        assert told.count(b"HTTP/1.1 200 ") == 1
        assert told.count(b"HTTP/1.1 408 ") == 1
        assert lasted < 10


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_handshake_of_tls_has_its_time_too(
    tmp_path: Path, hello: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = own_certificate(tmp_path, names_of_machine("127.0.0.1"))
    async with served(tmp_path, limits=SOON, certificate=certificate) as there:
        raw = await there.raw()
        await raw.send(hello)
        assert b"HTTP/" not in await raw.answer(), "closed, and nothing told in the clear"
        assert len(there.door) == 0
        trust = ssl.create_default_context(cafile=certificate.file)
        async with httpx.AsyncClient(verify=trust, timeout=LIMIT) as client:
            answer = await client.get(f"https://{there.address}/healthz")
        assert answer.status_code == 200
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_a_proxy_that_the_operator_names_is_not_one_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1,198.51.100.0/24")
    async with served(tmp_path, limits=ConnectionLimits(most_of_address=1)) as there:
        door = there.door
        assert [door.enter(("proxy", n), "198.51.100.7") for n in range(3)] == [True] * 3
        assert [door.enter(("other", n), "203.0.113.7") for n in range(3)] == [True, False, False]


def test_a_server_may_open_as_many_files_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        allow_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(before[1], 65_536), before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_client_that_takes_no_answer_is_let_go(tmp_path: Path) -> None:
    async with served(tmp_path, limits=SOON) as there:
        raw = await there.raw()
        raw.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await raw.send(200 * ask)  # some 200 kB each
        await until(lambda: len(there.door) == 1)
        assert await there.answers()
        await until(lambda: len(there.door) == 0)


LONG = b"a" * 20_000


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"GET /" + LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {431}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + LONG + b"\r\n\r\n", {431}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a=" + LONG + b"\r\n\r\n", {431}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + 4000 * b"X: y\r\n" + b"\r\n", {431}),
        (LONG, {431}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),  # TLS to HTTP
        (b"GET / HTTP/1.1\r\n\r\n", {400}),  # no Host
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nBad name: x\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\x00c\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", {403}),  # of a strange name
        (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 1e9\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{} ", {400}),
        (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {501}),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n\r\n", {400}),
    ],
)
async def test_what_is_no_request_is_refused_and_not_logged(
    tmp_path: Path, request_: bytes, statuses: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as there:
        raw = await there.raw()
        await raw.send(request_)
        assert await raw.status() in statuses
        assert await there.answers()
        await until(lambda: len(there.door) == 0)
    # Whoever likes could fill the disk with it.
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


@pytest.mark.parametrize("chunks", [False, True])
async def test_a_body_without_end_is_refused_at_its_limit(tmp_path: Path, chunks: bool) -> None:
    """A length that is told is a claim; what comes is counted."""
    async with served(tmp_path, limits=SOON) as there:
        raw = await there.raw()
        framing = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: 99999999999"
        await raw.send(HEAD + framing + b"\r\n\r\n")
        piece = b"8000\r\n" + bytes(0x8000) + b"\r\n" if chunks else bytes(0x8000)
        sent = 0

        async def push() -> None:
            nonlocal sent
            while sent < 200_000_000:
                await raw.send(piece)
                sent += len(piece)

        pushing = asyncio.get_running_loop().create_task(push())
        head = await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 413 ")
        pushing.cancel()
        assert sent < 20_000_000
        assert await there.answers()
        await until(lambda: len(there.door) == 0)


async def test_a_length_that_lies_short_makes_no_second_request_of_ours(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        raw = await there.raw()
        await raw.send(HEAD + b"Content-Length: 2\r\n\r\n{}DELETE EVERYTHING\r\n\r\n")
        told = await raw.answer()
        assert told.startswith(b"HTTP/1.1 201 ")
        assert told.count(b"HTTP/1.1 400 ") == 1


async def test_pipelined_requests_are_answered_in_turn(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        raw = await there.raw()
        ask = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n"
        asked = [ask % path for path in (b"healthz", b"nothing", b"healthz")]
        await raw.send(b"\r\n".join(asked) + b"Connection: close\r\n\r\n")
        told = await raw.answer()
        found = [
            told[at + 9 : at + 12] for at in range(len(told)) if told[at:].startswith(b"HTTP/")
        ]
        assert found == [b"200", b"404", b"200"]


async def test_idle_connections_make_room(tmp_path: Path) -> None:
    """Fifty that say nothing or no more, where forty fit: whoever asks is still served."""
    async with served(tmp_path, limits=ConnectionLimits(most=40)) as there:
        idle: list[Raw] = []
        for number in range(50):
            raw = await there.raw()
            if number % 2:
                await raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await raw.reader.readuntil(b"\r\n\r\n")
            idle.append(raw)
        assert len(there.door) <= 40
        assert await there.answers()
        assert there.door.sent_off >= 11
        for raw in idle:
            await raw.close()
        await until(lambda: len(there.door) == 0)


async def test_connections_that_are_served_make_no_room(tmp_path: Path) -> None:
    async with served(tmp_path, limits=ConnectionLimits(most=10)) as there:
        session = (await there.open())["session_id"]
        await until(lambda: len(there.door) == 0)
        ask = f"GET /v1/sessions/{session}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        listeners = [await there.raw() for _ in range(10)]
        for each in listeners:
            await each.send(ask)
            await each.reader.readuntil(b"\r\n\r\n")
        late = await there.raw()
        assert await late.status() == 503
        assert there.door.turned_away == 1
        for each in [*listeners, late]:
            await each.close()
        await until(lambda: len(there.door) == 0)
        assert await there.answers()


def test_one_address_has_so_many_and_others_theirs() -> None:
    door = Door(most=10, most_of_address=3)
    let_in = [door.enter(number, "192.0.2.7") for number in range(5)]
    assert let_in == [True, True, True, False, False]
    assert door.enter("other", "192.0.2.8")
    door.leave(0)
    assert door.enter("again", "192.0.2.7")
    # A subscriber of IPv6 has a whole network, and a proxy here has everybody's connections.
    assert [door.enter((n,), f"2001:db8::{n}") for n in range(4)] == [True, True, True, False]
    door = Door(most=10, most_of_address=3, is_proxy=lambda host: host == "192.0.2.1")
    assert all(door.enter((n, n), "192.0.2.1") for n in range(5))
    door = Door(most=10, most_of_address=3)
    assert all(door.enter(number, "127.0.0.1") for number in range(10))
    assert not door.enter(10, "127.0.0.1")
    assert (len(door), door.turned_away) == (10, 1)
    for number in range(10):
        door.leave(number)
        door.leave(number)
    assert len(door) == 0
    assert subscriber("2001:db8::1") == subscriber("2001:db8::2")
    assert subscriber("2001:db8:0:1::1") != subscriber("2001:db8::1")
