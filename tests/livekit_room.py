"""An agent, its avatar and somebody who watches, in one room of the LiveKit in memory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.agents.voice.io import PlaybackFinishedEvent
from numpy.typing import NDArray

from server.config import Settings
from tests.livekit_calls import Call
from tests.livekit_cloud import URL, Cloud, cloud, token
from tests.test_server_live import SIZE, LiveServer, serving

ROOM = "studio"
AVATAR = "the-avatar"
AGENT = "the-agent"
FINISHED, STARTED = "lk.playback_finished", "lk.playback_started"


@pytest.fixture
def sfu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with cloud(monkeypatch) as made:
        yield made


@pytest.fixture
async def live(tmp_path: Path, sfu: Cloud) -> AsyncIterator[LiveServer]:
    del sfu
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0)) as live:
        yield live


@asynccontextmanager
async def joined(
    name: str, *, kind: str = "standard", subscribes: bool = True
) -> AsyncIterator[rtc.Room]:
    room = rtc.Room()
    options = rtc.RoomOptions(auto_subscribe=subscribes)
    await room.connect(URL, token(name, ROOM, kind=kind), options)
    try:
        yield room
    finally:
        await room.disconnect()


async def invited(live: LiveServer, **wanted: object) -> dict[str, Any]:
    body = {
        "livekit_url": URL,
        "livekit_token": token(AVATAR, ROOM, kind="agent", lk__publish_on_behalf=AGENT),
        "room_name": ROOM,
        **wanted,
    }
    answer = await live.client.post("/v1/livekit/sessions", json=body, timeout=60)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


@dataclass
class Watcher:
    """Somebody in the room who sees and hears the avatar."""

    room: rtc.Room
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    sound: list[NDArray[np.int16]] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)  # instants of the pictures
    heard: list[float] = field(default_factory=list)  # and of the sound

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                track = await self._tracks.get()
                watch = self._see if track.kind == rtc.TrackKind.KIND_VIDEO else self._hear
                group.create_task(watch(track))

    def __post_init__(self) -> None:
        self._tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
        self.room.on("track_subscribed", lambda track, *_: self._tracks.put_nowait(track))

    async def _see(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24)
        try:
            async for event in stream:
                frame = event.frame
                picture = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
                self.pictures.append(picture.copy())
                self.seen.append(time.monotonic())
        finally:
            await stream.aclose()

    async def _hear(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1)
        try:
            async for event in stream:
                self.sound.append(np.frombuffer(event.frame.data, np.int16).copy())
                self.heard.append(time.monotonic())
        finally:
            await stream.aclose()


@asynccontextmanager
async def watching(name: str = "the-user") -> AsyncIterator[Watcher]:
    async with joined(name) as room:
        watcher = Watcher(room)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watcher.watch())
            try:
                yield watcher
            finally:
                task.cancel()


def hum(seconds: float, rate: int, channels: int = 1) -> Iterator[rtc.AudioFrame]:
    """Yields a tone in frames of 50 ms."""
    times = np.arange(int(seconds * rate)) / rate
    mono = np.round(12_000 * np.sin(2 * np.pi * 220 * times)).astype("<i2")
    pcm = np.repeat(mono[:, None], channels, axis=1)
    step = rate // 20
    for start in range(0, len(pcm), step):
        piece = pcm[start : start + step]
        yield rtc.AudioFrame(piece.tobytes(), rate, channels, len(piece))


class Agent:
    """What an AgentSession does with an avatar, by the very class that it does it with."""

    def __init__(self, room: rtc.Room, *, wait_playback_start: bool = True) -> None:
        self.output = DataStreamAudioOutput(
            room,
            destination_identity=AVATAR,
            wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            wait_playback_start=wait_playback_start,
        )
        self.started = 0
        self.finished: list[PlaybackFinishedEvent] = []
        self.output.on("playback_started", self._begun)
        self.output.on("playback_finished", self.finished.append)

    def _begun(self, _: object) -> None:
        self.started += 1

    async def say(self, seconds: float, rate: int = 24_000, channels: int = 1) -> None:
        for frame in hum(seconds, rate, channels):
            await self.output.capture_frame(frame)
        self.output.flush()

    async def end(self) -> PlaybackFinishedEvent:
        """Returns once everything that was said has ended."""
        return await asyncio.wait_for(self.output.wait_for_playout(), 60)


@asynccontextmanager
async def agent(**options: bool) -> AsyncIterator[Agent]:
    async with joined(AGENT, kind="agent") as room:
        yield Agent(room, **options)


def told(call: Call) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(call.payload)
    return content


def loudness(watcher: Watcher) -> int:
    """Returns how many samples are within a tone."""
    heard = np.concatenate([np.zeros(480, np.int16), *watcher.sound]).astype(np.float64)
    pieces = heard[: len(heard) // 480 * 480].reshape(-1, 480)
    return 480 * int((np.sqrt((pieces**2).mean(axis=1)) > 1000).sum())
