"""Floods and endless messages on WebSockets: each is let go with its code, others are served."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Frame, Opcode

from server.connections.limits import ConnectionLimits
from server.connections.sockets import Sockets
from tests.hardening_rig import LIMIT, Raw, Served, served, until

SOON = ConnectionLimits(head=0.3, body=0.3, stalled=0.3)
PING = json.dumps({"type": "ping", "t": 1}).encode()


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


async def socket(there: Served) -> Raw:
    """Returns a session's WebSocket, of which the frames are to be made by hand."""
    session = (await there.open())["session_id"]
    raw = await there.raw()
    await raw.send(handshake(session))
    head = await asyncio.wait_for(raw.reader.readuntil(b"\r\n\r\n"), LIMIT)
    assert head.startswith(b"HTTP/1.1 101 ")
    return raw


def handshake(session: str, *headers: bytes, version: bytes = b"13") -> bytes:
    lines = [
        f"GET /v1/sessions/{session}/events HTTP/1.1".encode(),
        b"Host: localhost",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: " + version,
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def closed_with(raw: Raw) -> int:
    """Returns the code with which the server closes."""
    told = await raw.answer()
    code = 0
    while told:  # servers mask nothing
        size, at = told[1], 2
        if size == 126:
            size, at = int.from_bytes(told[2:4], "big"), 4
        if told[0] & 15 == Opcode.CLOSE:
            code = int.from_bytes(told[at : at + 2], "big")
        told = told[at + size :]
    return code


FLOODS = {
    "a frame that claims 17 MB": (
        b"\x82\xff" + (17 * 2**20).to_bytes(8, "big") + bytes(4),
        1009,
    ),
    "a frame that claims 2^63 bytes": (b"\x82\xff\xff" + bytes(7) + bytes(4), 1009),
    "fragments without end": (
        frame(Opcode.TEXT, b"{", fin=False) + 5_000 * frame(Opcode.CONT, fin=False),
        1009,
    ),
    "pings": (500 * frame(Opcode.PING, bytes(125)), 1008),
    "pongs": (500 * frame(Opcode.PONG, bytes(125)), 1008),
    "messages": (20_000 * frame(Opcode.TEXT), 1008),
    "a frame that is not masked": (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
    "an extension's bit": (b"\xc1\x80" + bytes(4), 1002),
    "an unknown kind": (b"\x83\x80" + bytes(4), 1002),
    "a ping of 126 bytes": (b"\x89\xfe\x00\x7e" + bytes(4 + 126), 1002),
    "a fragment of nothing": (frame(Opcode.CONT, b"x"), 1002),
    "text that is none": (frame(Opcode.TEXT, b"\xff\xfe"), 1007),
    "half a message": (frame(Opcode.TEXT, b"{", fin=False), 1008),
    "half a frame": (b"\x81\xfe\x01\x00" + bytes(4) + b"{", 1008),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_each_flood_is_let_go_with_its_code(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent, code = FLOODS[name]
    async with served(tmp_path, limits=SOON) as there:
        raw = await socket(there)
        await raw.send(sent)
        assert await closed_with(raw) == code
        assert await there.answers()
        await until(lambda: len(there.door) == 0)
        (session,) = there.server.house.sessions._sessions.values()
        assert not session.is_closing, "it is the connection that ends"
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_a_message_that_drips_is_closed_and_pings_do_not_prolong_it(tmp_path: Path) -> None:
    async with served(tmp_path, limits=SOON) as there:
        raw = await socket(there)
        await raw.send(frame(Opcode.TEXT, b"{", fin=False))

        async def drip() -> None:
            while True:
                await raw.send(frame(Opcode.CONT, b" ", fin=False) + frame(Opcode.PING))
                await asyncio.sleep(0.1)

        dripping = asyncio.get_running_loop().create_task(drip())
        assert await closed_with(raw) == 1008
        dripping.cancel()
        await asyncio.wait([dripping])


async def test_what_unpacks_to_more_than_a_message_may_hold_is_not_unpacked(
    tmp_path: Path,
) -> None:
    """64 MB of blanks come as 64 kB."""
    async with served(tmp_path) as there:
        session = (await there.open())["session_id"]
        uri = f"ws://{there.address}/v1/sessions/{session}/events"
        async with connect(uri, compression="deflate", max_size=None) as client:
            before = _resident()
            await client.send(" " * 2**26)
            with pytest.raises(ConnectionClosedError) as caught:
                while True:
                    await asyncio.wait_for(client.recv(), LIMIT)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        # The client's own 64 MB and its copies of them are in this process, too.
        assert _resident() - before < 300 * 2**20
        assert await there.answers()


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_messages_are_read_no_faster_than_they_may_come(tmp_path: Path) -> None:
    """What comes faster waits in the client: others are served, and it loses nothing."""
    limits = ConnectionLimits(messages=100)
    async with served(tmp_path, limits=limits) as there:
        session = (await there.open())["session_id"]
        loop = asyncio.get_running_loop()
        uri = f"ws://{there.address}/v1/sessions/{session}/events"
        async with connect(uri) as client:
            began, pongs, instants = loop.time(), 0, []
            for _ in range(300):
                await client.send(PING.decode())
            while pongs < 300:
                told = json.loads(await asyncio.wait_for(client.recv(), LIMIT))
                if told["type"] == "pong":
                    pongs += 1
                    instants.append(loop.time() - began)
                    if pongs == 250:
                        assert await there.answers()
        assert instants[-1] >= 0.9, "two seconds' worth at once, and then a hundred a second"


@pytest.mark.single_layout("looks into one connection's buffer: test_cluster_relay, for two")
async def test_a_client_that_reads_nothing_holds_a_bounded_buffer_and_is_let_go(
    tmp_path: Path,
) -> None:
    limits = ConnectionLimits(messages=1e6, ping=0.5)
    async with served(tmp_path, limits=limits) as there:
        raw = await socket(there)
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = there.door._inside
        assert isinstance(connection, Sockets)
        here, other = (each.get_extra_info("socket") for each in (raw.writer, connection.transport))
        here.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)  # so that little fits on the way
        other.setsockopt(SOL_SOCKET, SO_SNDBUF, 4_096)
        most = 0

        async def ask() -> None:
            while True:
                await raw.send(100 * frame(Opcode.TEXT, PING))

        asking = asyncio.get_running_loop().create_task(ask())
        while len(there.door):
            most = max(most, connection.transport.get_write_buffer_size())
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        assert 30_000 < most < 200_000, "64 kB and the last message, not all of megabytes"
        assert await there.answers()


@pytest.mark.parametrize(
    ("headers", "version", "status"),
    [
        ([b"X-Long: " + bytes(9_000).replace(b"\0", b"a")], b"13", 431),
        ([b"X: y"] * 127, b"13", 431),
        ([], b"12", 400),
        ([b"Sec-WebSocket-Key: c2hvcnQ="], b"13", 400),
        ([b"Origin: http://evil.example"], b"13", 403),
        ([b"Origin: null"], b"13", 403),
    ],
)
async def test_a_handshake_that_is_none_is_refused_and_leaves_nothing(
    tmp_path: Path, headers: list[bytes], version: bytes, status: int
) -> None:
    async with served(tmp_path, limits=SOON) as there:
        session = (await there.open())["session_id"]
        raw = await there.raw()
        await raw.send(handshake(session, *headers, version=version))
        assert await raw.status() == status
        await until(lambda: len(there.door) == 0)
        assert await there.answers()
