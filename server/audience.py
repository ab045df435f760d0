"""Everyone who watches a session: each picture is encoded once per codec, each sound once.

A codec is encoded a second time, at a lower rate, only while some of its viewers' connections
carry less than half of what the best one does. Encoding happens on the executors it is
given, never on the event loop. It knows nothing of where pictures come from or when they are due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.bandwidth import Rung, choose_rungs
from server.codec_contexts import Opener
from server.encoder import (
    OPENERS,
    SoundEncoder,
    SoundPacket,
    VideoCodec,
    VideoEncoder,
    VideoPacket,
)
from server.inference import WorkSpan
from server.webrtc import Peer
from streaming_model.media import SAMPLE_RATE

_KEYFRAME_SPACING = SAMPLE_RATE // 4  # samples; a burst of requests makes one complete picture


@dataclass(slots=True)
class _Encoding:
    """One stream of video packets, shared by the viewers of a codec and a rung."""

    encoder: VideoEncoder | None = None
    wants_keyframe: bool = True
    last_keyframe: int | None = None  # media time

    def keyframe_is_due(self, media_time: int) -> bool:
        last = self.last_keyframe
        is_spaced = last is None or media_time - last >= _KEYFRAME_SPACING
        if not self.wants_keyframe or not is_spaced:
            return False
        self.wants_keyframe = False
        self.last_keyframe = media_time
        return True


class Audience:
    """The viewers of one session and the encoders they share.

    Attributes:
        pictures_sent: pictures encoded and handed out so far.
        bytes_sent: size of all packets made so far, counted once however many watch.
    """

    def __init__(
        self,
        *,
        size: int,
        fps: int,
        bitrate: int,
        picture_worker: Executor,
        sound_worker: Executor,
        openers: Mapping[VideoCodec, Opener] = OPENERS,
    ) -> None:
        self._openers = openers
        self._size, self._fps, self._bitrate = size, fps, bitrate
        self._picture_worker = picture_worker
        self._sound_worker = sound_worker
        self._peers: set[Peer] = set()
        self._encodings: dict[tuple[VideoCodec, Rung], _Encoding] = {}
        # FFmpeg keeps idle threads beside every Opus encoder: it goes with the last viewer, not
        # with the garbage.
        self._sound_encoder: SoundEncoder | None = None
        self.pictures_sent = 0
        self.bytes_sent = 0

    def __len__(self) -> int:
        return len(self._peers)

    def add(self, peer: Peer) -> None:
        """Lets a viewer in; its stream begins with the next complete picture."""
        self._peers.add(peer)
        self.want_keyframe(peer)

    def remove(self, peer: Peer) -> None:
        """Lets a viewer go; an encoder that nobody needs goes with the last one."""
        self._peers.discard(peer)
        self._forget_unused()

    def want_keyframe(self, peer: Peer) -> None:
        """Makes the next picture that this viewer gets complete in itself."""
        if peer in self._peers:
            self._encoding(peer.codec, peer.rung).wants_keyframe = True

    async def show(
        self, image: NDArray[np.uint8], media_time: int, span: WorkSpan | None = None
    ) -> None:
        """Encodes a picture for every codec and rung in use and hands it out.

        It is [size, size, 3] RGB, or [size, size, 4] straight RGBA, which is packed. Each encoding
        runs within `span`, on the worker's thread.
        """
        self._assign_rungs()
        for codec, rung in sorted(self._in_use(), key=lambda pair: pair[1] is Rung.LOW):
            packet = await self._encode(codec, rung, image, media_time, span)
            self.bytes_sent += packet.size
            for peer in self._peers_of(codec, rung):
                peer.picture.offer(packet)
        self.pictures_sent += 1

    async def play(
        self, sound: NDArray[np.float32], media_time: int, ahead: NDArray[np.float32]
    ) -> None:
        """Encodes [960] float32 of 48 kHz sound and hands it out.

        A decoder gives what Opus was told `len(ahead)` samples late. The coder is told that much
        early, so that what is heard at a packet's time stamp is the sound of that media time.
        """
        if not self._peers:
            return
        self._sound_encoder = self._sound_encoder or SoundEncoder()
        told = np.concatenate([sound[len(ahead) :], ahead])
        loop = asyncio.get_running_loop()
        packet: SoundPacket = await loop.run_in_executor(
            self._sound_worker, self._sound_encoder.encode, told, media_time
        )
        self.bytes_sent += packet.size
        for peer in self._peers:
            peer.sound.offer(packet)

    def hush(self) -> None:
        """Drops the sound that waits because a sender stood still."""
        for peer in self._peers:
            peer.sound.hush()

    async def _encode(
        self,
        codec: VideoCodec,
        rung: Rung,
        image: NDArray[np.uint8],
        media_time: int,
        span: WorkSpan | None,
    ) -> VideoPacket:
        encoding = self._encoding(codec, rung)
        is_keyframe = encoding.keyframe_is_due(media_time)
        bitrate = min(
            (peer.bandwidth.rate for peer in self._peers_of(codec, rung)), default=self._bitrate
        )
        loop = asyncio.get_running_loop()

        def encode() -> VideoPacket:
            with span or nullcontext():
                return self._encode_now(encoding, codec, image, media_time, is_keyframe, bitrate)

        return await loop.run_in_executor(self._picture_worker, encode)

    def _encode_now(
        self,
        encoding: _Encoding,
        codec: VideoCodec,
        image: NDArray[np.uint8],
        media_time: int,
        is_keyframe: bool,
        bitrate: int,
    ) -> VideoPacket:
        is_packed = image.shape[2] == 4
        encoder = encoding.encoder
        if encoder is None or encoder.is_packed != is_packed:
            encoder = encoding.encoder = VideoEncoder(
                codec,
                size=self._size,
                fps=self._fps,
                bitrate=self._bitrate,
                is_packed=is_packed,
                openers=self._openers,
            )
        encoder.bitrate = bitrate
        return encoder.encode(image, media_time, is_keyframe=is_keyframe)

    def _assign_rungs(self) -> None:
        """Moves viewers between rungs; one that moves waits for a complete picture."""
        for codec in {peer.codec for peer in self._peers}:
            peers = [peer for peer in self._peers if peer.codec is codec]
            rates = [peer.bandwidth.rate for peer in peers]
            rungs = choose_rungs(rates, [peer.rung for peer in peers])
            for peer, rung in zip(peers, rungs, strict=True):
                if peer.rung is not rung:
                    peer.rung = rung
                    peer.picture.begin_anew()
                    self.want_keyframe(peer)
        self._forget_unused()

    def _forget_unused(self) -> None:
        if not self._peers:
            self._sound_encoder = None
        for unused in set(self._encodings) - self._in_use():
            del self._encodings[unused]

    def _in_use(self) -> set[tuple[VideoCodec, Rung]]:
        return {(peer.codec, peer.rung) for peer in self._peers}

    def _peers_of(self, codec: VideoCodec, rung: Rung) -> Iterable[Peer]:
        return [peer for peer in self._peers if (peer.codec, peer.rung) == (codec, rung)]

    def _encoding(self, codec: VideoCodec, rung: Rung) -> _Encoding:
        return self._encodings.setdefault((codec, rung), _Encoding())
