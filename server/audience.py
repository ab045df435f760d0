"""Everyone who watches a session: each picture is encoded once per codec, each sound once.

Encoding happens on the executors it is given, never on the event loop. It knows nothing of
where pictures come from or when they are due.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from server.encoder import SoundEncoder, SoundPacket, VideoCodec, VideoEncoder, VideoPacket
from server.webrtc import Peer
from streaming_model.media import SAMPLE_RATE

_KEYFRAME_SPACING = SAMPLE_RATE // 4  # samples; a burst of requests makes one complete picture


class Audience:
    """The viewers of one session and the encoders they share.

    Attributes:
        pictures_sent: pictures encoded and handed out so far.
        bytes_sent: size of all packets made so far, counted once however many watch.
    """

    def __init__(
        self, *, size: int, fps: int, bitrate: int, picture_worker: Executor, sound_worker: Executor
    ) -> None:
        self._size, self._fps, self._bitrate = size, fps, bitrate
        self._picture_worker = picture_worker
        self._sound_worker = sound_worker
        self._peers: set[Peer] = set()
        self._encoders: dict[VideoCodec, VideoEncoder] = {}
        self._wanted: set[VideoCodec] = set()
        self._last_keyframe: dict[VideoCodec, int] = {}
        self._sound_encoder = SoundEncoder()
        self.pictures_sent = 0
        self.bytes_sent = 0

    def __len__(self) -> int:
        return len(self._peers)

    def add(self, peer: Peer) -> None:
        """Lets a viewer in; its stream begins with the next complete picture."""
        self._peers.add(peer)
        self.want_keyframe(peer.codec)

    def remove(self, peer: Peer) -> None:
        """Lets a viewer go; an encoder that nobody needs goes with the last one."""
        self._peers.discard(peer)
        for codec in set(self._encoders) - {other.codec for other in self._peers}:
            del self._encoders[codec]

    def want_keyframe(self, codec: VideoCodec) -> None:
        """Makes the next picture in `codec` complete in itself."""
        self._wanted.add(codec)

    async def show(self, image: NDArray[np.uint8], media_time: int) -> None:
        """Encodes a picture for every codec in use and hands it out.

        It is [size, size, 3] RGB, or [size, size, 4] straight RGBA, which is packed.
        """
        for codec in {peer.codec for peer in self._peers}:
            packet = await self._encode(codec, image, media_time)
            self.bytes_sent += packet.size
            for peer in self._peers:
                if peer.codec is codec:
                    peer.picture.offer(packet)
        self.pictures_sent += 1

    async def play(self, sound: NDArray[np.float32], media_time: int) -> None:
        """Encodes [960] float32 of 48 kHz sound and hands it out."""
        if not self._peers:
            return
        loop = asyncio.get_running_loop()
        packet: SoundPacket = await loop.run_in_executor(
            self._sound_worker, self._sound_encoder.encode, sound, media_time
        )
        self.bytes_sent += packet.size
        for peer in self._peers:
            peer.sound.offer(packet)

    async def _encode(
        self, codec: VideoCodec, image: NDArray[np.uint8], media_time: int
    ) -> VideoPacket:
        is_keyframe = self._keyframe_is_due(codec, media_time)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._picture_worker, self._encode_now, codec, image, media_time, is_keyframe
        )

    def _encode_now(
        self, codec: VideoCodec, image: NDArray[np.uint8], media_time: int, is_keyframe: bool
    ) -> VideoPacket:
        is_packed = image.shape[2] == 4
        encoder = self._encoders.get(codec)
        if encoder is None or encoder.is_packed != is_packed:
            encoder = VideoEncoder(
                codec, size=self._size, fps=self._fps, bitrate=self._bitrate, is_packed=is_packed
            )
            self._encoders[codec] = encoder
        return encoder.encode(image, media_time, is_keyframe=is_keyframe)

    def _keyframe_is_due(self, codec: VideoCodec, media_time: int) -> bool:
        last = self._last_keyframe.get(codec)
        if codec not in self._wanted:
            return False
        if last is not None and media_time - last < _KEYFRAME_SPACING:
            return False
        self._wanted.discard(codec)
        self._last_keyframe[codec] = media_time
        return True
