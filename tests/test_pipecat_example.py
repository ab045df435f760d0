"""The example's bot, as Pipecat's runner starts it: its own WebRTC transport, and a peer."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from pipecat.runner.types import SmallWebRTCRunnerArguments
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

from tests.conftest import ROOT
from tests.pipecat.bot import Sink
from tests.pipecat.openai_stub import SECONDS, SENTENCE, Handler, openai_stub
from tests.test_client import house, url
from tests.test_pipecat_avatar import on_loopback
from tests.test_server_live import serving

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # Pipecat defines classes by its own old ones
    from examples import pipecat_bot

__all__ = ["on_loopback"]
PAGE = (ROOT / "docs" / "pipecat.md").read_text(encoding="utf-8")


class Visitor:
    """Who talks with the bot from a browser: what it sees and hears, and when."""

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.addTrack(AudioStreamTrack())
        self._connection.addTransceiver("video", direction="recvonly")
        self._channel = self._connection.createDataChannel("chat")
        self._connection.on("track", lambda track: self._tracks.append(track))
        self._tracks: list[Any] = []
        self.sizes: set[tuple[int, int]] = set()
        self.bars: list[tuple[float, float]] = []  # (instant, how far the mouth is open)
        self.levels: list[tuple[float, float]] = []  # (instant, loudness)

    async def call(self, peer: SmallWebRTCConnection) -> None:
        connection = self._connection
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription
        await peer.initialize(sdp=offer.sdp, type=offer.type)
        answer: dict[str, str] = peer.get_answer()  # type: ignore[no-untyped-call]
        await connection.setRemoteDescription(
            RTCSessionDescription(sdp=answer["sdp"], type=answer["type"])
        )
        opened = asyncio.Event()
        self._channel.on("open", opened.set)
        if self._channel.readyState == "open":
            opened.set()
        self._opened = opened

    async def opened(self) -> None:
        await self._opened.wait()

    def say(self, kind: str, **data: object) -> None:
        message = {"label": "rtvi-ai", "type": kind, "id": "1", "data": data}
        self._channel.send(json.dumps(message))

    async def attend(self) -> None:
        async with asyncio.TaskGroup() as group:
            for track in self._tracks:
                group.create_task(self._take(track))

    async def _take(self, track: Any) -> None:  # noqa: ANN401 - aiortc's
        loop = asyncio.get_running_loop()
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, av.VideoFrame):
                image = frame.to_ndarray(format="rgb24")
                self.sizes.add((frame.width, frame.height))
                bar = (image[:, frame.width // 2].mean(axis=-1) > 200).mean()
                self.bars.append((loop.time(), float(bar)))
            else:
                self.levels.append((loop.time(), float(np.abs(frame.to_ndarray()).max()) / 32768))

    async def close(self) -> None:
        await self._connection.close()


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with serving(house(tmp_path)) as live:
        yield url(live)


@pytest.mark.timeout(120)
async def test_a_visitor_sees_and_hears_the_bot(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVANT_URL", address)
    visitor, peer = Visitor(), SmallWebRTCConnection()
    with openai_stub() as openai:
        monkeypatch.setenv("OPENAI_BASE_URL", openai)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        await visitor.call(peer)
        async with asyncio.TaskGroup() as group, asyncio.timeout(90):
            arguments = SmallWebRTCRunnerArguments(webrtc_connection=peer)
            talk = group.create_task(pipecat_bot.bot(arguments))
            await visitor.opened()
            attending = group.create_task(visitor.attend())
            await until(lambda: len(visitor.bars) > 10)
            visitor.say("client-ready", version="1.0.0", about={"library": "test"})
            visitor.say("send-text", content="Who are you?", options={"run_immediately": True})
            await until(lambda: heard(visitor) > 0.8 * SECONDS)
            await visitor.close()
            await talk
            attending.cancel()
    assert Handler.asked == [
        ("/v1/chat/completions", "Who are you?"),
        ("/v1/audio/speech", SENTENCE),
    ]
    assert visitor.sizes == {(512, 512)}
    assert max(bar for _, bar in visitor.bars) > 0.3


def heard(visitor: Visitor) -> float:
    """Returns for how many seconds the visitor has heard something."""
    return 0.02 * sum(level > 0.1 for _, level in visitor.levels)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - of many tracks
        await asyncio.sleep(0.02)


def test_the_example_is_short_and_the_page_shows_it() -> None:
    example = Path(pipecat_bot.__file__).read_text(encoding="utf-8")
    assert len(example.splitlines()) <= 40
    assert "examples/pipecat_bot.py" in PAGE


def test_the_page_s_lines_make_a_pipeline() -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names: dict[str, Any] = {}
    exec(compile(lines, "docs/pipecat.md", "exec"), names)
    connection = SmallWebRTCConnection()
    transport = SmallWebRTCTransport(connection, names["params"])
    made = names["pipeline"](transport, [], Sink())
    kinds = [type(each).__name__ for each in made.processors]
    assert "AvatarVideoService" in kinds and transport.output() in made.processors
