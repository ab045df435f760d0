"""The range of UDP ports: who gets one of it, what happens when none is left, and real answers."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from aiortc import RTCPeerConnection, RTCSessionDescription

from server.config import Settings, SettingsError
from server.udp_ports import confine
from tests.test_config import load
from tests.test_server_live import on_loopback, serving  # noqa: F401 - a fixture


def free_range(count: int) -> range:
    """Returns ports in a row that nobody uses just now."""
    for first in range(20_000, 30_000, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            try:
                one.bind(("127.0.0.1", first))
            except OSError:
                continue
        return range(first, first + count)
    raise AssertionError


async def bind(port: int = 0, host: str = "127.0.0.1") -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    address = (host, port)
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=address)
    return transport


def port_of(transport: asyncio.DatagramTransport) -> int:
    return int(transport.get_extra_info("sockname")[1])


async def use_up() -> None:
    ports = free_range(3)
    confine(asyncio.get_running_loop(), ports)
    bound = [await bind() for _ in ports]
    assert sorted(map(port_of, bound)) == list(ports)
    with pytest.raises(OSError, match=rf"{ports[0]} to {ports[-1]} are in use"):
        await bind()
    elsewhere = await bind(host="127.0.0.2")  # the same ports of another address are free
    assert port_of(elsewhere) in ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        own = int(free.getsockname()[1])
    chosen = await bind(own)
    assert port_of(chosen) == own
    bound.pop().close()
    await asyncio.sleep(0.01)  # the loop closes it a turn later
    bound += [elsewhere, chosen, await bind()]
    for transport in bound:
        transport.close()


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_ports_are_of_the_range_until_none_is_left(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(use_up())


async def test_answers_name_ports_of_the_range(tmp_path: Path) -> None:
    ports = free_range(20)
    async with serving(Settings(size=256, cache_dir=tmp_path)) as live:
        session_id = await live.session()
        viewer = RTCPeerConnection()
        viewer.addTransceiver("video", direction="recvonly")
        await viewer.setLocalDescription(await viewer.createOffer())
        confine(asyncio.get_running_loop(), ports)
        offer = {"type": "offer", "sdp": viewer.localDescription.sdp}
        answer = (await live.client.post(f"/v1/sessions/{session_id}/offer", json=offer)).json()
        hosts = re.findall(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) typ host", answer["sdp"])
        assert hosts
        assert {int(port) for port in hosts} <= set(ports)
        await viewer.setRemoteDescription(RTCSessionDescription(**answer))
        await viewer.close()


def test_a_range_is_two_numbers() -> None:
    assert load("--udp-ports", "50000-50100").udp_ports == range(50_000, 50_101)
    assert load().udp_ports is None
    for value in ("50000", "50100-50000", "0-10", "60000-70000", "a-b"):
        with pytest.raises(SettingsError, match="--udp-ports") as refused:
            load("--udp-ports", value)
        assert repr(value) in str(refused.value)
