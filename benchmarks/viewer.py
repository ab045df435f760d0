"""A viewer made of aiortc: watches a session, counts what arrives, can speak into it.

Used by the live benchmark and by the server's tests. It does not lip-sync, so it measures
function and pace, never the offset of sound and picture.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

_SOUND_RATE = 48_000  # Hz
_PACKET = 960  # samples, 20 ms


class VoiceTrack(MediaStreamTrack):
    """A microphone: silence in real time, [n] float32 of 48 kHz sound once begun, then silence."""

    kind = "audio"

    def __init__(self, sound: NDArray[np.float32]) -> None:
        super().__init__()
        self._sound = sound
        self._sent = 0
        self._spoken: int | None = None
        self._began: float | None = None

    def begin(self) -> None:
        """Lets the sound follow now."""
        self._spoken = 0

    async def recv(self) -> av.AudioFrame:
        """Returns the next 20 ms when they are due."""
        self._began = self._began or time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._sent / _SOUND_RATE - time.monotonic()))
        piece = self._sound[:0]
        if self._spoken is not None:
            piece = self._sound[self._spoken : self._spoken + _PACKET]
            self._spoken += _PACKET
        piece = np.pad(piece, (0, _PACKET - len(piece)))
        pcm = (piece * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = _SOUND_RATE, self._sent
        frame.time_base = Fraction(1, _SOUND_RATE)
        self._sent += _PACKET
        return frame


@dataclass
class Received:
    """What a viewer got: arrival instants in seconds, with what arrived.

    Attributes:
        pictures: (arrival, pts in 90 kHz, image) of every picture; the image only if kept.
        sounds: (arrival, pts in 48 kHz, root mean square) of every 20 ms of sound.
        events: every JSON message.
    """

    pictures: list[tuple[float, int, NDArray[np.uint8] | None]] = field(default_factory=list)
    sounds: list[tuple[float, int, float]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Returns the events of one type."""
        return [event for event in self.events if event["type"] == kind]


class Viewer:
    """One connection to a session."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        session_id: str,
        *,
        token: str | None = None,
        microphone: MediaStreamTrack | None = None,
        codec: str | None = None,
        keeps_pictures: bool = True,
        offers_video_first: bool = False,
    ) -> None:
        self.received = Received()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._client = client
        self._session_id = session_id
        self._token = token
        self._microphone = microphone
        self._codec = codec
        self._keeps_pictures = keeps_pictures
        self._offers_video_first = offers_video_first
        self._tasks: list[asyncio.Task[None]] = []
        self.channel: RTCDataChannel = self.connection.createDataChannel("events")
        self.connection.on("track", self._on_track)
        self.channel.on("message", self._on_message)

    async def connect(self) -> None:
        """Offers, applies the answer and returns; media follows by itself."""
        connection = self.connection
        parts = [self._offer_sound, self._offer_video]
        for part in reversed(parts) if self._offers_video_first else parts:
            part()
        await connection.setLocalDescription(await connection.createOffer())
        answer = await self._client.post(
            f"/v1/sessions/{self._session_id}/offer",
            json={
                "type": "offer",
                "sdp": connection.localDescription.sdp,
                "token": self._token,
            },
        )
        answer.raise_for_status()
        await connection.setRemoteDescription(RTCSessionDescription(**answer.json()))

    def send(self, **message: object) -> None:
        """Sends a JSON message on the data channel."""
        self.channel.send(json.dumps(message))

    async def until(self, condition: Callable[[Received], object], *, seconds: float = 10) -> None:
        """Returns once the condition holds of what was received.

        Raises:
            TimeoutError: it never did.
        """
        async with asyncio.timeout(seconds):
            while not condition(self.received):  # noqa: ASYNC110 - a condition of any kind
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Ends the connection."""
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _offer_sound(self) -> None:
        if self._microphone is not None:
            self.connection.addTransceiver(self._microphone, direction="sendrecv")
        else:
            self.connection.addTransceiver("audio", direction="recvonly")

    def _offer_video(self) -> None:
        video = self.connection.addTransceiver("video", direction="recvonly")
        if self._codec is not None:
            codecs = RTCRtpSender.getCapabilities("video").codecs
            video.setCodecPreferences(
                [codec for codec in codecs if codec.mimeType == f"video/{self._codec}"]
            )

    def _on_message(self, message: str) -> None:
        self.received.events.append(json.loads(message))

    def _on_track(self, track: MediaStreamTrack) -> None:
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            now = time.monotonic()
            if isinstance(frame, av.VideoFrame):
                image = None
                if self._keeps_pictures:
                    image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                self.received.pictures.append((now, frame.pts or 0, image))
            elif isinstance(frame, av.AudioFrame):
                sound = frame.to_ndarray().astype(np.float32) / 32768
                level = float(np.sqrt(np.mean(sound**2)))
                self.received.sounds.append((now, frame.pts or 0, level))
