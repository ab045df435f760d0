"""Everyone who watches a session: each picture and each sound is encoded once per codec.

A codec is encoded a second time, at a lower rate, only while some of its viewers' connections
carry less than half of what the best one does; and for those whose terms ask for it. All but
Opus is encoded on the executors it is given, never on the event loop. It knows nothing of where
pictures come from or when they are due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.bandwidth import Rung, choose_rungs
from server.codec_contexts import Opener
from server.encoder import (
    OPENERS,
    AacEncoder,
    SoundCodec,
    SoundEncoder,
    SoundPacket,
    VideoCodec,
    VideoEncoder,
    VideoPacket,
)
from server.inference import WorkSpan
from server.packing import flatten
from server.watchers import Terms, Watcher
from streaming_model.media import SAMPLE_RATE

_KEYFRAME_SPACING = SAMPLE_RATE // 4  # samples; a burst of requests makes one complete picture


_VIEWER = Terms()


class _Stream(NamedTuple):
    """What tells one stream of video packets from another."""

    codec: VideoCodec
    rung: Rung
    is_flat: bool
    bitrate: int | None


class EncodedPicture(NamedTuple):
    """A picture, and its packets for all who watch."""

    image: NDArray[np.uint8]
    media_time: int
    packets: Mapping[_Stream, VideoPacket]


@dataclass(slots=True)
class _Encoding:
    """The encoder of one stream of video packets, shared by those who get it."""

    encoder: VideoEncoder | None = None
    wants_keyframe: bool = True
    last_keyframe: int | None = None  # media time

    def keyframe_is_due(self, media_time: int, spacing: int | None) -> bool:
        last = self.last_keyframe
        if spacing is not None and last is not None and media_time - last >= spacing:
            self.wants_keyframe = True
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
        self._peers: dict[Watcher, Terms] = {}
        self._is_transparent = False  # the picture shown last
        self._encodings: dict[_Stream, _Encoding] = {}
        # FFmpeg keeps idle threads beside every Opus encoder: it goes with the last one who
        # listens, not with the garbage.
        self._opus: SoundEncoder | None = None
        self._aac: AacEncoder | None = None
        self.pictures_sent = 0
        self.bytes_sent = 0

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def viewers(self) -> int:
        """How many watch on a viewer's terms."""
        return sum(terms is _VIEWER for terms in self._peers.values())

    def add(self, peer: Watcher, terms: Terms = _VIEWER) -> None:
        """Lets somebody in; the stream begins with the next complete picture."""
        self._peers[peer] = terms
        self.want_keyframe(peer)

    def remove(self, peer: Watcher) -> None:
        """Lets somebody go; an encoder that nobody needs goes with the last one."""
        self._peers.pop(peer, None)
        self._forget_unused()

    def want_keyframe(self, peer: Watcher) -> None:
        """Makes the next picture that this watcher gets complete in itself."""
        if peer in self._peers:
            self._encoding(self._stream_of(peer)).wants_keyframe = True

    async def encode(
        self, image: NDArray[np.uint8], media_time: int, span: WorkSpan | None = None
    ) -> EncodedPicture:
        """Encodes a picture for every codec and rung in use; it is to be shown next.

        It is [size, size, 3] RGB, or [size, size, 4] straight RGBA, which is packed. Each encoding
        runs within `span`, on the worker's thread.
        """
        self._change_layout(is_transparent=image.shape[2] == 4)
        self._assign_rungs()
        streams = sorted(self._in_use(), key=lambda stream: stream.rung is Rung.LOW)
        packets = {
            stream: await self._encode(stream, image, media_time, span) for stream in streams
        }
        return EncodedPicture(image, media_time, packets)

    def show(self, picture: EncodedPicture) -> None:
        """Hands a picture out."""
        for stream, packet in picture.packets.items():
            self.bytes_sent += packet.size
            for peer in self._peers_of(stream):
                peer.picture.offer(packet)
        for terms in self._peers.values():
            if terms.raw is not None:
                terms.raw.see(picture.image, picture.media_time)
        self.pictures_sent += 1

    async def play(
        self, sound: NDArray[np.float32], media_time: int, ahead: NDArray[np.float32]
    ) -> None:
        """Encodes [960] float32 of 48 kHz sound and hands it out.

        A decoder gives what Opus was told `len(ahead)` samples late. The coder is told that much
        early, so that what is heard at a packet's time stamp is the sound of that media time.
        """
        for terms in self._peers.values():
            if terms.raw_sound is not None:
                terms.raw_sound.hear(sound, media_time)
        wanted = self._sound_codecs()
        if SoundCodec.OPUS in wanted:
            self._opus = self._opus or SoundEncoder()
            told = np.concatenate([sound[len(ahead) :], ahead])
            # On the event loop: an eighth of a millisecond, less than handing it to a thread takes.
            self._hand_out(SoundCodec.OPUS, [self._opus.encode(told, media_time)])
        if SoundCodec.AAC in wanted:
            self._aac = self._aac or AacEncoder()
            loop = asyncio.get_running_loop()
            packets = await loop.run_in_executor(
                self._sound_worker, self._aac.encode, sound, media_time
            )
            self._hand_out(SoundCodec.AAC, packets)

    def _hand_out(self, codec: SoundCodec, packets: Iterable[SoundPacket]) -> None:
        for packet in packets:
            self.bytes_sent += packet.size
            for peer, terms in self._peers.items():
                if terms.sound is codec and terms.raw_sound is None:
                    peer.sound.offer(packet)

    def hush(self) -> None:
        """Drops the sound that waits because a sender stood still."""
        for peer in self._peers:
            peer.sound.hush()

    async def _encode(
        self,
        stream: _Stream,
        image: NDArray[np.uint8],
        media_time: int,
        span: WorkSpan | None,
    ) -> VideoPacket:
        encoding = self._encoding(stream)
        spacings = [self._peers[peer].spacing for peer in self._peers_of(stream)]
        spacing = min((each for each in spacings if each is not None), default=None)
        is_keyframe = encoding.keyframe_is_due(media_time, spacing)
        bitrate = min(
            (peer.bandwidth.rate for peer in self._peers_of(stream)), default=self._bitrate
        )
        loop = asyncio.get_running_loop()

        def encode() -> VideoPacket:
            with span or nullcontext():
                return self._encode_now(encoding, stream, image, media_time, is_keyframe, bitrate)

        return await loop.run_in_executor(self._picture_worker, encode)

    def _encode_now(
        self,
        encoding: _Encoding,
        stream: _Stream,
        image: NDArray[np.uint8],
        media_time: int,
        is_keyframe: bool,
        bitrate: int,
    ) -> VideoPacket:
        if stream.is_flat:
            image = flatten(image)
        is_packed = image.shape[2] == 4
        encoder = encoding.encoder
        if encoder is None or encoder.is_packed != is_packed:
            encoder = encoding.encoder = VideoEncoder(
                stream.codec,
                size=self._size,
                fps=self._fps,
                bitrate=stream.bitrate or self._bitrate,
                is_packed=is_packed,
                openers=self._openers,
            )
        encoder.bitrate = bitrate
        return encoder.encode(image, media_time, is_keyframe=is_keyframe)

    def _change_layout(self, *, is_transparent: bool) -> None:
        """Moves those who get pictures flat to an encoding of their own, or back."""
        if is_transparent is self._is_transparent:
            return
        self._is_transparent = is_transparent
        for peer, terms in self._peers.items():
            if terms.is_flat and terms.raw is None:
                self._begin_anew(peer)

    def _assign_rungs(self) -> None:
        """Moves watchers between rungs; one that moves waits for a complete picture."""
        sharing = [
            peer
            for peer, terms in self._peers.items()
            if terms.bitrate is None and terms.raw is None
        ]
        for codec in {peer.codec for peer in sharing}:
            peers = [peer for peer in sharing if peer.codec is codec]
            rates = [peer.bandwidth.rate for peer in peers]
            rungs = choose_rungs(rates, [peer.rung for peer in peers])
            for peer, rung in zip(peers, rungs, strict=True):
                if peer.rung is not rung:
                    peer.rung = rung
                    self._begin_anew(peer)
        self._forget_unused()

    def _begin_anew(self, peer: Watcher) -> None:
        peer.picture.begin_anew()
        self.want_keyframe(peer)

    def _forget_unused(self) -> None:
        listened = self._sound_codecs()
        if SoundCodec.OPUS not in listened:
            self._opus = None
        if SoundCodec.AAC not in listened:
            self._aac = None
        for unused in set(self._encodings) - self._in_use():
            del self._encodings[unused]

    def _sound_codecs(self) -> set[SoundCodec]:
        return {terms.sound for terms in self._peers.values() if terms.raw_sound is None}

    def _in_use(self) -> set[_Stream]:
        return {self._stream_of(peer) for peer, terms in self._peers.items() if terms.raw is None}

    def _peers_of(self, stream: _Stream) -> Iterable[Watcher]:
        return [
            peer
            for peer, terms in self._peers.items()
            if terms.raw is None and self._stream_of(peer) == stream
        ]

    def _stream_of(self, peer: Watcher) -> _Stream:
        terms = self._peers[peer]
        is_flat = terms.is_flat and self._is_transparent
        return _Stream(peer.codec, peer.rung, is_flat, terms.bitrate)

    def _encoding(self, stream: _Stream) -> _Encoding:
        return self._encodings.setdefault(stream, _Encoding())
