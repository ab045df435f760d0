"""The process that pushes one stream: pieces in by a pipe, out by RTMP, SRT or RTSP.

It is told by its standard input and tells by its standard output (`wire`), and ends with either,
or with its target. `python -m server.outputs.push_process`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import av
from av.container import OutputContainer

from server.outputs import wire
from server.outputs.srt import SrtError, SrtStream

_RATE = 48_000  # Hz, of the sound, and of all times here
_AAC_BITRATE = 128_000
_SIGN_OF_LIFE = 1.0  # seconds


class Refused(Exception):
    """Another attempt would end alike; the message is one sentence."""


def main() -> int:
    """Pushes one stream; returns the exit status."""
    pipe = sys.stdin.buffer
    order = wire.Order.read(pipe.readline())
    try:
        _push(order, pipe)
    except (Refused, SrtError) as error:
        is_final = isinstance(error, Refused) or error.is_final
        _tell(error=str(error), is_final=is_final)
        return 1
    except (av.error.FFmpegError, OSError) as error:
        _tell(error=_sentence(error), is_final=False)
        return 1
    return 0


def _push(order: wire.Order, pipe: BinaryIO) -> None:
    _check_host(order.url)
    with contextlib.ExitStack() as stack:
        container = _open(order, stack)
        pictures = cast(
            "av.VideoStream",
            container.add_mux_stream("h264", rate=order.fps, width=order.size, height=order.size),
        )
        pictures.time_base = _unit()
        sound = container.add_stream("aac", rate=_RATE, layout="mono", bit_rate=_AAC_BITRATE)
        told: float | None = None
        for is_picture, packet in _packets(pipe):
            packet.stream = pictures if is_picture else sound
            container.mux(packet)
            now = time.monotonic()
            if told is None or now - told >= _SIGN_OF_LIFE:
                _tell(sent=packet.pts)
                told = now
        container.close()


def _open(order: wire.Order, stack: contextlib.ExitStack) -> OutputContainer:
    """Returns what packets are muxed into; an SRT target is connected to already."""
    scheme = urlsplit(order.url).scheme
    if scheme == "srt":
        stream = stack.enter_context(SrtStream(order.url, patience=order.patience))
        options = {"pes_payload_size": "0"}  # no sound waits to fill a packet
        return av.open(stream, "w", format="mpegts", options=options, buffer_size=stream.PAYLOAD)
    if scheme.startswith("rtsp"):
        return av.open(order.url, "w", format="rtsp", options={"rtsp_transport": "tcp"})
    return av.open(order.url, "w", format="flv", options={"flvflags": "no_duration_filesize"})


def _packets(pipe: BinaryIO) -> Iterator[tuple[bool, av.Packet[Any]]]:
    """Yields packets, from the first complete picture on, whose time is 0."""
    origin: int | None = None
    for is_picture, start, is_complete, data in wire.unpack(pipe):
        if origin is None and is_picture and is_complete:
            origin = start
        if origin is None or start < origin:
            continue
        packet: av.Packet[Any] = av.Packet(data)
        packet.pts = packet.dts = start - origin
        packet.time_base = _unit()
        packet.is_keyframe = is_complete
        yield is_picture, packet


def _unit() -> Any:  # noqa: ANN401 - PyAV 19 has a rational type of its own
    from fractions import Fraction

    return Fraction(1, _RATE)


def _check_host(url: str) -> None:
    """Raises Refused where there is no such host: FFmpeg only says that something went wrong."""
    parts = urlsplit(url)
    try:
        socket.getaddrinfo(parts.hostname, parts.port or 0)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise ConnectionError("no name server answers") from error
        raise Refused(f"There is no host {str(parts.hostname)[:80]!r}.") from error


def _sentence(error: Exception) -> str:
    match error:
        case ConnectionRefusedError():
            return "The target refuses connections."
        case BrokenPipeError() | ConnectionResetError() | ConnectionAbortedError():
            return "The target closed the connection."
        case _:
            reason = getattr(error, "strerror", None) or str(error)
            return f"The target does not take the stream: {reason}."


def _tell(**what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - the pipe


if __name__ == "__main__":
    sys.exit(main())
