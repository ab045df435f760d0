"""The WebRTC side of a session: pictures and sound with their media time, and a voice to send.

The traps of aiortc as a receiver are handled here. It knows no REST: the offer is handed to a
function that brings the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import av
import cv2
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from server.channel import Channel, Overflow
from server.protocol import MediaOrigin
from vivant_client.errors import ClientError, UnreachableError
from vivant_client.events import read_event
from vivant_client.sound import LiveVoice

MEDIA_RATE = 16_000  # media time's samples a second
_PICTURE_CLOCK, _SOUND_CLOCK = 90_000, 48_000
_WRAP = 1 << 32
_FRAMES, _SOUNDS = 32, 128  # kept while nobody reads: about a second and two and a half
_CONNECT_SECONDS = 20
_PREFETCH = 1  # packets; aiortc's own four are 80 ms
_MATTE_FLOOR, _MATTE_RANGE = 0.03, 0.94  # docs/protocol.md


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        media_time: in 16 kHz samples; the sound of the same media time belongs to it.
    """

    media_time: int
    picture: av.VideoFrame

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """[height, width, 3] RGB; of a transparent session, the colours above the matte."""
        planes = self.picture.reformat(format="yuv420p").to_ndarray()
        return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420), np.uint8)

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """[size, size, 4] straight RGBA; opaque unless the session is transparent."""
        height, width = self.image.shape[:2]
        if height != 2 * width:
            return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2RGBA), np.uint8)
        level = (self.image[width:, :, 1].astype(np.float32) / 255 - _MATTE_FLOOR) / _MATTE_RANGE
        matte = np.round(255 * np.clip(level, 0, 1)).astype(np.uint8)
        return np.asarray(np.dstack([self.image[:width], matte]), np.uint8)


@dataclass(frozen=True)
class Sound:
    """Twenty milliseconds of sound.

    Attributes:
        media_time: of the first sample, in 16 kHz samples.
        samples: [960] float32, mono, 48 kHz.
    """

    media_time: int
    samples: NDArray[np.float32]


class Media:
    """One WebRTC connection.

    Attributes:
        frames: pictures that nobody has read yet; the oldest go.
        sounds: likewise.
        voice: what is pushed into it, the server hears as this viewer's microphone.
        ended: set when the connection is over.
        heard: instant (time.monotonic) at which sound came last.
    """

    def __init__(self, ice_servers: Sequence[dict[str, Any]]) -> None:
        servers = [RTCIceServer(**server) for server in ice_servers]
        # An empty list, unlike None, asks no public STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self.frames: Channel[Frame] = Channel(_FRAMES, Overflow.DROP_OLDEST)
        self.sounds: Channel[Sound] = Channel(_SOUNDS, Overflow.DROP_OLDEST)
        self.voice = LiveVoice()
        self.ended = asyncio.Event()
        self.heard = time.monotonic()
        self._connected = asyncio.Event()
        self._has_origin = asyncio.Event()
        self._origin = MediaOrigin(0, 0)
        channel = self._connection.createDataChannel("events")
        channel.on("message", self._on_message)
        self._connection.on("connectionstatechange", self._on_state)

    async def open(self, exchange: Callable[[str], Awaitable[str]]) -> None:
        """Makes the offer, hands it over, takes the answer, and waits until media can flow.

        Raises:
            UnreachableError: no way was found through the network within 20 s.
            ClientError: from `exchange`.
        """
        connection = self._connection
        sound = connection.addTransceiver(self.voice, direction="sendrecv")
        video = connection.addTransceiver("video", direction="recvonly")
        _hasten(sound.receiver)
        self._receivers: tuple[Any, Any] = (video.receiver, sound.receiver)
        await connection.setLocalDescription(await connection.createOffer())
        answer = await exchange(connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._connected.wait()
                await self._has_origin.wait()
        except TimeoutError:
            raise UnreachableError("No way for media was found; a firewall may be in it.") from None
        if self.ended.is_set():
            raise UnreachableError("The connection for media failed; a firewall may be in the way.")

    async def watch(self) -> None:
        """Takes pictures until the connection ends."""
        receiver = self._receivers[0]
        async for frame in _frames(receiver.track):
            if isinstance(frame, av.VideoFrame) and frame.pts is not None:
                time = _media_time(receiver, frame.pts, self._origin.picture, _PICTURE_CLOCK)
                self.frames.offer(Frame(time, frame))
        self._end()

    async def listen(self) -> None:
        """Takes sound until the connection ends."""
        receiver = self._receivers[1]
        async for frame in _frames(receiver.track):
            self.heard = time.monotonic()
            if isinstance(frame, av.AudioFrame) and frame.pts is not None:
                at = _media_time(receiver, frame.pts, self._origin.sound, _SOUND_CLOCK)
                self.sounds.offer(Sound(at, _mono(frame)))
        self._end()

    async def close(self) -> None:
        """Ends the connection."""
        self.voice.stop()
        await self._connection.close()
        self._end()

    def _end(self) -> None:
        self.ended.set()
        self._connected.set()
        self._has_origin.set()
        self.frames.close()
        self.sounds.close()

    def _on_message(self, message: str | bytes) -> None:
        event = read_event(message) if isinstance(message, str) else None
        if isinstance(event, MediaOrigin):  # all else comes over the WebSocket as well
            self._origin = event
            self._has_origin.set()

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._connected.set()
        elif state in ("failed", "closed"):
            self._end()


async def _frames(track: MediaStreamTrack) -> AsyncIterator[object]:
    while True:
        try:
            yield await track.recv()
        except MediaStreamError:
            return


def _media_time(receiver: Any, pts: int, origin: int, clock: int) -> int:  # noqa: ANN401
    """Returns the media time of a frame whose `pts` aiortc counts from the first one's stamp."""
    first = receiver._RTCRtpReceiver__timestamp_mapper._origin
    return int((pts + first - origin) % _WRAP) * MEDIA_RATE // clock


def _hasten(receiver: Any) -> None:  # noqa: ANN401 - aiortc's private parts
    receiver._RTCRtpReceiver__jitter_buffer._prefetch = _PREFETCH


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
    if samples.dtype != np.int16:
        raise ClientError(f"aiortc decodes sound as {samples.dtype}, not int16.")
    return np.asarray(samples.astype(np.float32).mean(axis=1) / 32768, np.float32)
