"""Viewers that never connect, what comes to the media ports, and whom ICE may be sent to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import re
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioice.ice
import httpx
import pytest
from aioice import stun
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.sdp import candidate_from_sdp

from benchmarks.viewer import Viewer
from server.candidates import MOST, MOST_NAMES, Candidates, bounded, may_be_tried
from server.half_open import HalfOpen
from server.protocol import ProtocolError
from server.udp_ports import confine
from server.viewers import Viewers
from tests.hardening_rig import LIMIT, Served, served, until
from tests.test_udp_ports import free_range

_LOG = logging.getLogger(__name__)  # with -o log_cli=true -o log_cli_level=info
HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out; a test must not depend on the machine's network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: [HERE])


async def offer_of(*candidates: str) -> str:
    """Returns an offer as a browser makes one, of somebody who is at these candidates."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio", direction="recvonly")
    connection.addTransceiver("video", direction="recvonly")
    connection.createDataChannel("events")
    await connection.setLocalDescription(await connection.createOffer())
    lines = connection.localDescription.sdp.split("\r\n")
    await connection.close()
    bare = [line for line in lines if not line.startswith(("a=candidate", "a=end-of"))]
    at = next(index for index, line in enumerate(bare) if line.startswith("a=ice-pwd"))
    told = [f"a=candidate:{each}" for each in candidates]
    return "\r\n".join([*bare[: at + 1], *told, *bare[at + 1 :]])


def candidate(address: str, port: int = 50_000, *, number: int = 1, protocol: str = "udp") -> str:
    return f"{number} 1 {protocol} {2_130_706_431 - number} {address} {port} typ host"


async def post(client: httpx.AsyncClient, session: str, offer: str) -> httpx.Response:
    body = {"type": "offer", "sdp": offer}
    return await client.post(f"/v1/sessions/{session}/offer", json=body)


class Usage:
    """What the process holds."""

    def __init__(self) -> None:
        self.files = len(list(Path("/proc/self/fd").iterdir()))
        self.tasks = len(asyncio.all_tasks())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.resident = pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def watching(there: Served, session: str) -> AsyncIterator[Viewer]:
    """Yields a viewer that sees and hears."""
    async with there.client() as client:
        viewer = Viewer(client, session)
        try:
            await viewer.connect()
            await viewer.until(
                lambda got: got.pictures and got.sounds and got.events, seconds=LIMIT
            )
            yield viewer
        finally:
            await viewer.close()


@pytest.mark.parametrize(
    ("count", "most"), [(60, 12), pytest.param(1_000, 64, marks=pytest.mark.soak)]
)
async def test_offers_that_never_connect_hold_little_and_let_viewers_in(
    tmp_path: Path, count: int, most: int
) -> None:
    seconds = 2.0 if count < 100 else 20.0
    async with served(
        tmp_path, max_connecting=most, connect_timeout=seconds, idle_timeout=300.0
    ) as there:
        session, other = (await there.open())["session_id"], (await there.open())["session_id"]
        offer, half_open = await offer_of(), there.server.house.options.half_open
        before = Usage()
        async with there.client() as client:
            one = await post(client, session, offer)
            assert one.status_code == 200
            alone = Usage()
            statuses = set()
            for _ in range(count // 20):
                answers = [post(client, session, offer) for _ in range(20)]
                statuses |= {each.status_code for each in await asyncio.gather(*answers)}
                assert len(half_open) <= most
        assert statuses <= {200, 503}, "answered, or told to come again"
        assert half_open.given_up >= count - most - 20
        full = Usage()
        each = alone.files - before.files
        # A few are on their way in or out.
        assert full.files - before.files <= (most + 10) * max(1, each)
        assert full.tasks - before.tasks <= (most + 10) * (alone.tasks - before.tasks)
        assert full.resident - before.resident < 100 * 2**20
        for wanted in (other, session):
            async with watching(there, wanted):
                assert len(half_open) <= most
        await until(lambda: len(half_open) == 0, seconds=LIMIT + seconds)
        await until(lambda: Usage().files <= before.files + 2)
        await until(lambda: Usage().tasks <= before.tasks + 2)
        after = Usage()
    for name, use in (("before", before), ("full", full), ("after", after)):
        size = use.resident / 2**20
        _LOG.info(
            "%d offers, %s: %.0f MB, %d files, %d tasks", count, name, size, use.files, use.tasks
        )


def test_who_floods_one_session_takes_no_turn_of_another_s() -> None:
    ended: list[str] = []
    half_open = HalfOpen(most=4)
    half_open.enter("quiet", "a", lambda: ended.append("quiet"))
    for number in range(50):
        half_open.enter(number, "b", lambda number=number: ended.append(str(number)))  # type: ignore[misc]
    assert ended == [str(number) for number in range(47)]
    assert (len(half_open), half_open.given_up) == (4, 47)
    half_open.leave("quiet")
    half_open.leave("quiet")
    assert len(half_open) == 3


async def test_offers_to_no_session_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def add(*_: object, **__: object) -> None:
        raise AssertionError("somebody began to answer")

    monkeypatch.setattr(Viewers, "add", add)
    async with served(tmp_path, has_keys=True) as there, there.client() as client:
        token = (await there.open())["token"]
        before, offer = Usage(), await offer_of()
        for path in ("/v1/sessions/none/offer", "/whep/none", "/whip/none"):
            for credential in (there.key, token):
                content: Any = {"json": {"type": "offer", "sdp": offer}}
                if path.startswith("/wh"):
                    content = {"content": offer}
                headers = {"authorization": f"Bearer {credential}"}
                if "json" not in content:
                    headers["content-type"] = "application/sdp"
                answer = await client.post(path, headers=headers, **content)
                assert answer.status_code == 404
        assert Usage().files <= before.files + 1


async def test_a_range_of_ports_is_not_used_up(tmp_path: Path) -> None:
    """Of twelve ports six are for those who are about to connect."""
    ports = free_range(24)
    loop: Any = asyncio.get_running_loop()
    async with served(tmp_path, max_connecting=6, idle_timeout=300.0) as there:
        session, offer = (await there.open())["session_id"], await offer_of()
        confine(loop, ports)
        async with there.client() as client:
            for _ in range(4):
                offers = [post(client, session, offer) for _ in range(10)]
                await asyncio.gather(*offers)
        del loop.create_datagram_endpoint  # the viewer's own socket may be any
        held = there.server.house.options.half_open
        assert len(held) <= 6
        async with watching(there, session):
            assert len(held) <= 6


async def test_a_session_has_so_many_viewers(tmp_path: Path) -> None:
    async with served(tmp_path, max_viewers=1) as there, there.client() as client:
        session = (await there.open())["session_id"]
        async with watching(there, session):
            answer = await post(client, session, await offer_of())
            assert answer.status_code == 503
            assert "1 viewers" in answer.json()["error"]["message"]
            assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("address", "port", "is_tried"),
    [
        ("192.168.1.7", 50_000, True),  # viewers in the same network have these
        ("10.0.0.7", 1_024, True),
        ("203.0.113.7", 443, True),
        ("2001:db8::7", 50_000, True),
        ("fd00::7", 50_000, True),
        ("169.254.169.254", 50_000, False),  # a cloud's metadata
        ("fe80::1", 50_000, False),
        ("224.0.0.251", 5_353, False),
        ("ff02::fb", 5_353, False),
        ("255.255.255.255", 50_000, False),
        ("240.0.0.1", 50_000, False),
        ("0.0.0.0", 50_000, False),
        ("::", 50_000, False),
        ("::ffff:169.254.169.254", 50_000, False),
        ("::ffff:10.0.0.1", 50_000, False),
        ("203.0.113.7", 53, False),  # services that answer more than they are asked
        ("203.0.113.7", 123, False),
        ("203.0.113.7", 0, False),
        ("203.0.113.7", 9, False),
        ("example.org", 50_000, False),  # no name but of mDNS is ever looked up
        ("2130706433", 50_000, False),
        ("0177.0.0.1", 50_000, False),
    ],
)
def test_whom_ice_may_be_sent_to(address: str, port: int, is_tried: bool) -> None:
    found = candidate_from_sdp(candidate(address, port))
    assert may_be_tried(found) is is_tried
    found.protocol = "tcp"
    assert not may_be_tried(found)


def test_loopback_is_tried_only_where_ice_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = candidate_from_sdp(candidate(HERE))
    assert may_be_tried(found)
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["192.0.2.1"])
    assert not may_be_tried(found)


async def test_of_thousands_of_candidates_some_are_taken() -> None:
    many = [candidate(f"10.1.{n // 200}.{n % 200 + 1}", number=n) for n in range(1_500)]
    names = [candidate(f"{n:08d}-aaaa-bbbb.local", number=n) for n in range(100)]
    offer, named = bounded(await offer_of(*names, *many))
    assert offer.count("a=candidate:") == MOST - MOST_NAMES
    assert ".local" not in offer
    assert len(named) == MOST_NAMES
    later = Candidates()
    told = [candidate_from_sdp(each) for each in many]
    assert len(later.admit(told[:20]) + later.admit(told[20:])) == MOST


async def test_an_offer_of_many_sections_is_refused(tmp_path: Path) -> None:
    offer = await offer_of()
    section = offer[offer.index("m=video") :].split("m=application")[0]
    with pytest.raises(ProtocolError, match="sections"):
        bounded(offer + 14 * section)
    async with served(tmp_path) as there, there.client() as client:
        session = (await there.open())["session_id"]
        answer = await post(client, session, offer + 200 * section)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_sdp"


async def test_an_answer_waits_for_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Silent:
        async def resolve(self, hostname: str) -> str | None:
            asked.append(hostname)
            await asyncio.Event().wait()
            return None

    async def silent(_: object) -> Silent:
        return Silent()

    monkeypatch.setattr(aioice.ice, "get_or_create_mdns_protocol", silent)
    names = [candidate(f"{n:08d}-aaaa-bbbb.local", number=n) for n in range(40)]
    async with served(tmp_path, connect_timeout=1.0) as there, there.client() as client:
        session = (await there.open())["session_id"]
        answer = await post(client, session, await offer_of(*names))
        assert answer.status_code == 200
        await until(lambda: len(asked) == MOST_NAMES)
        (peer,) = there.server.house.sessions.find(session).viewers.peers
        await until(peer.closed.is_set)
        assert len(asked) == MOST_NAMES


async def test_the_server_is_no_cannon(tmp_path: Path) -> None:
    """A hundred third parties are named; few are sent anything, and little of it."""
    with contextlib.ExitStack() as stack:
        victims = []
        for _ in range(100):
            victim = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            victim.bind((HERE, 0))
            victim.setblocking(False)
            victims.append(victim)
        told = [candidate(HERE, each.getsockname()[1], number=n) for n, each in enumerate(victims)]
        async with served(tmp_path, connect_timeout=2.0) as there, there.client() as client:
            session = (await there.open())["session_id"]
            assert (await post(client, session, await offer_of(*told))).status_code == 200
            (peer,) = there.server.house.sessions.find(session).viewers.peers
            await until(peer.closed.is_set)
        counts = [len(list(_received(victim))) for victim in victims]
    assert 0 < sum(count > 0 for count in counts) <= MOST
    assert max(counts) <= 7


def _received(here: socket.socket) -> Any:  # noqa: ANN401 - an iterator of datagrams
    with contextlib.suppress(BlockingIOError):
        while True:
            yield here.recv(2_048)


MALFORMED = bytes.fromhex("0001003c2112a442")  # lengths that nothing follows


def garbage() -> list[bytes]:
    """Returns datagrams that are none of anybody: random, cut, and STUN with wrong lengths."""
    chance = random.Random(5)
    found = [chance.randbytes(chance.randrange(1, 1_400)) for _ in range(200)]
    check = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    check.attributes["USERNAME"] = "a:b"
    check.attributes["ICE-CONTROLLED"] = 7
    check.attributes["PRIORITY"] = 5
    check.add_message_integrity(b"x" * 22)
    whole = bytes(check)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(20, len(data))] = chance.randrange(256)
        data = data[: chance.randrange(20, len(data) + 1)]
        data[2:4] = struct.pack("!H", len(data) - 20)
        found.append(bytes(data))
    found += [b"\x16\xfe\xff" + chance.randbytes(100), b"\x80\xc8" + chance.randbytes(50), b""]
    return [*found, MALFORMED + bytes(60)]


def port_in(answer: str) -> int:
    found = re.search(rf"a=candidate:\S+ 1 udp \d+ {HERE} (\d+)", answer)
    assert found is not None
    return int(found[1])


async def test_garbage_at_a_media_port_is_bounded_and_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as there, there.client() as client:
        session = (await there.open())["session_id"]
        answer = (await post(client, session, await offer_of())).json()["sdp"]
        (peer,) = there.server.house.sessions.find(session).viewers.peers
        connection: Any = peer._paths[0]._current
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.connect((HERE, port_in(answer)))
            for data in garbage():
                stranger.send(data)
                await asyncio.sleep(0)
            await until(lambda: peer._paths[0].gate.dropped > 200)
            refusals = len(list(_received(stranger)))
        assert connection._queue.qsize() <= 32
        assert len(connection._remote_candidates) == 0
        assert refusals <= 15, "a port that answers everything is a mirror"
        assert not peer.closed.is_set()
        assert await there.answers()
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_garbage_does_not_reach_a_viewer_s_connection(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        session = (await there.open())["session_id"]
        async with watching(there, session) as viewer:
            (peer,) = there.server.house.sessions.find(session).viewers.peers
            gate, connection = peer._paths[0].gate, peer._paths[0]._current
            pair: Any = connection._nominated[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.connect((HERE, pair.local_candidate.port))
                before, seen = gate.dropped, len(viewer.received.pictures)
                for _ in range(10):
                    for _ in range(50):
                        stranger.send(b"\x80" + os.urandom(200))  # as RTP begins
                    await asyncio.sleep(0.02)
            await until(lambda: gate.dropped >= before + 400)
            await viewer.until(lambda got: len(got.pictures) > seen + 10, seconds=LIMIT)
            assert not peer.closed.is_set()


async def test_a_viewer_cannot_teach_the_server_ever_more_addresses(tmp_path: Path) -> None:
    """Checks that are signed rightly, from two hundred sockets: each would be sent checks back."""
    async with served(tmp_path) as there, there.client() as client:
        session = (await there.open())["session_id"]
        offer = await offer_of()
        answer = (await post(client, session, offer)).json()["sdp"]
        (peer,) = there.server.house.sessions.find(session).viewers.peers
        connection: Any = peer._paths[0]._current
        await until(lambda: connection._early_checks_done)
        ours, theirs = (
            re.search(r"a=ice-ufrag:(\S+)\r\na=ice-pwd:(\S+)", text) for text in (answer, offer)
        )
        assert ours is not None
        assert theirs is not None
        for number in range(200):
            check = stun.Message(
                message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST
            )
            check.attributes["USERNAME"] = f"{ours[1]}:{theirs[1]}"
            check.attributes["PRIORITY"] = 1 + number
            check.attributes["ICE-CONTROLLING"] = 2**63
            check.add_message_integrity(ours[2].encode())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as another:
                another.sendto(bytes(check), (HERE, port_in(answer)))
            await asyncio.sleep(0.001)
        await until(lambda: peer._paths[0].gate.dropped > 100)
        assert 32 < len(connection._remote_candidates) <= 64


async def test_a_flooded_data_channel_costs_messages_of_its_own(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        session = (await there.open())["session_id"]
        async with watching(there, session) as viewer:
            (peer,) = there.server.house.sessions.find(session).viewers.peers
            for number in range(3_000):
                viewer.send(type="ping", t=number)
            most = 0
            async with asyncio.timeout(LIMIT):
                while not viewer.received.of_type("pong"):
                    most = max(most, len(peer.messages))
                    await asyncio.sleep(0.005)
            assert await there.answers()
            seen = len(viewer.received.pictures)
            await viewer.until(lambda got: len(got.pictures) > seen + 5, seconds=LIMIT)
            assert most <= 64
            assert not peer.closed.is_set()


async def test_channels_of_other_names_are_not_heard(tmp_path: Path) -> None:
    async with served(tmp_path) as there:
        session = (await there.open())["session_id"]
        async with watching(there, session) as viewer:
            said = {"type": "speak", "text": "Nobody asked."}
            beside = [
                viewer.connection.createDataChannel(name) for name in ("", "Events", "a" * 99)
            ]
            for channel in beside:
                await until(lambda channel=channel: channel.readyState == "open")
                channel.send(json.dumps(said))
            viewer.send(type="ping", t=1)  # comes after those
            await viewer.until(lambda got: got.of_type("pong"), seconds=LIMIT)
            assert there.server.house.sessions.find(session).describe()["utterance"] == 0
