"""Live Link Face: packets as an iPhone sends them, and everything else that comes to the port."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.puppet.live_link import (
    COUNT,
    NAMES,
    FacePacket,
    LiveLinkPort,
    read_packet,
    write_packet,
)
from server.puppet.ports import PuppetError
from streaming_model.motion_space import INDEX

FACE = {"jawOpen": 0.5, "jawLeft": 0.25, "browInnerUp": 1.0, "headYaw": -0.5, "headRoll": 0.125}


def packet(numbers: list[float], *, version: int = 6, frame: int = 30, rate: int = 60) -> bytes:
    """Returns a packet written down byte by byte, apart from the code that is tested."""
    text = b"".join(struct.pack(">i", len(part)) + part for part in (b"device", b"me"))
    return (
        bytes([version])
        + text
        + struct.pack(">I", frame)
        + struct.pack(">f", 0.5)
        + struct.pack(">II", rate, 1)
        + bytes([len(numbers)])
        + b"".join(struct.pack(">f", number) for number in numbers)
    )


def test_a_packet_is_understood() -> None:
    numbers = [0.0] * COUNT
    numbers[17] = 0.5  # JawOpen of Unreal's EARFaceBlendShape
    numbers[15] = 0.25  # JawLeft, before JawRight
    numbers[52:55] = [-0.5, 0.1, 0.2]  # yaw, pitch, roll
    read = read_packet(packet(numbers))
    assert read is not None and read.subject == "me"
    assert read.milliseconds == pytest.approx(1000 * 30.5 / 60)
    moved = {name: value for name, value in read.coefficients.items() if value}
    assert moved == pytest.approx(
        {"jawOpen": 0.5, "jawLeft": 0.25, "headYaw": -0.5, "headPitch": 0.1, "headRoll": 0.2}
    )


def test_its_names_are_those_of_the_motion_space() -> None:
    assert set(NAMES) <= set(INDEX) and len(set(NAMES)) == 55


def test_what_is_written_is_read() -> None:
    read = read_packet(write_packet(FACE, frame=7))
    assert read is not None
    assert {name: value for name, value in read.coefficients.items() if value} == FACE


def test_a_phone_that_sees_no_face_says_so() -> None:
    assert read_packet(packet([])) == FacePacket("me", 1000 * 30.5 / 60, {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x06",
        b"hello there",
        packet([0.0] * COUNT)[:-1],
        packet([0.0] * COUNT, version=5),
        packet([0.0] * COUNT, rate=0),
        packet([0.0] * 52),
        packet([float("nan")] * COUNT),
        packet([0.0] * 52 + [40.0] * 9),
        b"\x06" + struct.pack(">i", -1) + bytes(300),
        b"\x06" + struct.pack(">i", 2**31 - 1) + bytes(300),
        b"\x06" + struct.pack(">i", 4) + b"\xff\xff\xff\xff" + bytes(300),
    ],
)
def test_malformed_packets_are_none(data: bytes) -> None:
    assert read_packet(data) is None


@given(st.binary(max_size=600))
def test_no_bytes_do_more_than_be_ignored(data: bytes) -> None:
    read_packet(data)
    read_packet(b"\x06\x00\x00\x00\x02ab" + data)


async def test_a_port_hears_faces_and_counts_the_rest() -> None:
    heard: list[FacePacket] = []
    port = LiveLinkPort(heard.append)
    number = await port.open(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        for data in (b"junk", write_packet(FACE, frame=1), b"", write_packet(FACE, frame=2)):
            phone.sendto(data, ("127.0.0.1", number))
        async with asyncio.timeout(5):
            while len(heard) < 2:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
    assert (port.frames, port.malformed) == (2, 2)
    with pytest.raises(PuppetError, match=f"UDP port {number}: "):
        await LiveLinkPort(heard.append).open(number)
    port.close()
