"""The whole line for one session on one thread, a chunk at a time, with what each part of it took.

It is the server's own code in the server's order, without its threads and its event loop: sound
in, motion, pictures, marks, both video codecs, Opus, and the packets on a socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import av
import cv2
import numpy as np
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from numpy.typing import NDArray
from pylibsrtp import Policy, Session

import streaming_model.renderer.renderer as drawing
from benchmarks.marks import PAYLOAD
from benchmarks.overall.timing import Stopwatch, watched
from server.encoder import SoundEncoder, VideoCodec, VideoEncoder
from server.ingest import Ingest
from server.marks.badge import Badge
from server.marks.marker import Marker
from server.marks.options import MarkOptions
from server.marks.watermark import Watermark
from server.timeline import PACKET
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar, AvatarState
from streaming_model.media import SAMPLE_RATE, AudioChunk
from streaming_model.motion.listener import Listener
from streaming_model.motion.networks import MotionNetworks
from streaming_model.renderer.eyes import EyeLayer
from streaming_model.renderer.geometry import FaceGeometry, HeadMotion
from streaming_model.renderer.head import HeadLayer
from streaming_model.renderer.mouth import MouthLayer

BITRATE: Final = 1_200_000
CHUNK: Final = 2  # frames
_SOURCE_RATE: Final = 44_100  # Hz, of two channels: the dearest that ingest is given
_SECONDS: Final = 6  # of sound, again and again

# Where the parts of the model are called from.
_MODEL: Final[dict[tuple[Any, str], str]] = {
    (MotionNetworks, "encode"): "motion: audio encoder",
    (MotionNetworks, "denoise"): "motion: sampler's network",
    (Listener, "hear"): "motion: listener for contacts",
    (FaceGeometry, "head"): "rig",
    (FaceGeometry, "shape"): "rig",
    (FaceGeometry, "light"): "rig",
    (HeadMotion, "apply"): "rig",
    (HeadLayer, "sources"): "rig",
    (drawing, "map_cells"): "raster",
    (drawing, "map_opening"): "raster",
    (drawing, "map_triangles"): "raster",
    (drawing, "draw_cells"): "look-up and composite",
    (EyeLayer, "draw"): "eyes",
    (MouthLayer, "draw"): "mouth",
}


class Line:
    """One session's line.

    Attributes:
        stopwatch: what was spent on what, a chunk's milliseconds.
        picture: the latest, marked [s, s, 3].
        sent: bytes of the latest chunk's packets.
    """

    def __init__(self, size: int = 512) -> None:
        self.stopwatch = Stopwatch()
        self._avatar = Avatar.from_image(BUILTIN_PORTRAIT, size=size, chunk_frames=CHUNK)
        self._state = self._avatar.start(seed=1)
        self._ingest = Ingest(sample_rate=_SOURCE_RATE, channels=2)
        self._blocks = _blocks()
        self._marker = Marker(MarkOptions(), PAYLOAD)
        self._encoders = {
            codec: VideoEncoder(codec, size=size, fps=25, bitrate=BITRATE)
            for codec in (VideoCodec.VP8, VideoCodec.H264)
        }
        self._opus = SoundEncoder()
        self._sender = Sender()
        self._heard = 0
        self._sound = np.zeros(0, np.float32)
        self._packets = 0
        self.picture = np.zeros((size, size, 3), np.uint8)
        self.sent = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Also times the parts of motion, drawing and marks as long as it is entered."""
        marks = {(Watermark, "apply"): "watermark", (Badge, "stamp"): "badge"}
        with watched(self.stopwatch, {**_MODEL, **marks}):
            yield

    def turn(self) -> list[NDArray[np.uint8]]:
        """Does all of one chunk; returns its pictures before they are marked."""
        time = self.stopwatch.time
        with time("ingest"):
            pieces = [self._ingest.push(next(self._blocks)) for _ in range(CHUNK)]
        speech = np.concatenate([piece.speech for piece in pieces])
        with time("motion"):
            chunk = AudioChunk(self._heard, speech)
            (moved,), (motion,) = self._avatar.motion.step([self._state.motion], [chunk])
        self._heard = chunk.end
        pictures: list[NDArray[np.uint8]] = []
        with time("drawing"):
            state = AvatarState(moved, self._state.cadence)
            self._state, frames = self._avatar.render(state, motion)
        self.sent = 0
        for frame in frames:
            pictures.append(frame.image)
            self._show(frame.image, frame.start)
        self._say(np.concatenate([piece.sound for piece in pieces]))
        return pictures

    def _show(self, image: NDArray[np.uint8], start: int) -> None:
        time = self.stopwatch.time
        with time("marks"):
            self.picture = self._marker.mark(image)
        with time("colour conversion"):
            cv2.cvtColor(self.picture, cv2.COLOR_RGB2YUV_I420)
        packets = {}
        for codec, encoder in self._encoders.items():
            with time(f"encoding {codec.value}, conversion included"):
                packets[codec] = encoder.encode(self.picture, start, is_keyframe=False)
        with time("sending"):
            self.sent += self._sender.picture(packets[VideoCodec.VP8])

    def _say(self, sound: NDArray[np.float32]) -> None:
        time = self.stopwatch.time
        self._sound = np.concatenate([self._sound, sound])
        while len(self._sound) >= PACKET:
            piece, self._sound = self._sound[:PACKET], self._sound[PACKET:]
            with time("Opus"):
                packet = self._opus.encode(piece, self._packets * PACKET // 3)
            with time("sending"):
                self.sent += self._sender.sound(packet)
            self._packets += 1


class Sender:
    """Packs, encrypts and sends as aiortc does, to a socket of this machine that nobody reads."""

    def __init__(self) -> None:
        self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._receiver.bind(("127.0.0.1", 0))
        self._receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(self._receiver.getsockname())
        policy = Policy(key=os.urandom(30), ssrc_type=Policy.SSRC_ANY_OUTBOUND)
        self._srtp = Session(policy=policy)
        self._packers = {"video": Vp8Encoder(), "audio": OpusEncoder()}
        self._map = HeaderExtensionsMap()
        self._sequence = 0

    def picture(self, packet: av.Packet[Any]) -> int:
        """Sends one coded picture; returns how many bytes."""
        return self._send("video", packet)

    def sound(self, packet: av.Packet[Any]) -> int:
        """Sends one coded piece of sound; returns how many bytes."""
        return self._send("audio", packet)

    def close(self) -> None:
        """Closes the sockets."""
        self._socket.close()
        self._receiver.close()

    def _send(self, kind: str, packet: av.Packet[Any]) -> int:
        payloads, timestamp = self._packers[kind].pack(packet)
        sent = 0
        for index, payload in enumerate(payloads):
            rtp = RtpPacket(
                payload_type=96 if kind == "video" else 111,
                sequence_number=self._sequence,
                timestamp=timestamp % 2**32,
            )
            rtp.ssrc, rtp.payload = 1, payload
            rtp.marker = int(index == len(payloads) - 1)
            sent += self._socket.send(self._srtp.protect(rtp.serialize(self._map)))
            self._sequence = (self._sequence + 1) % 2**16
        return sent


def voice_like(seconds: int, rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Returns harmonics that come and go like syllables, [n] at `rate`."""
    instants = np.arange(seconds * rate) / rate
    wave = sum(np.sin(2 * np.pi * 110 * k * instants) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 4 * instants), 0, 1)
    return np.asarray(0.15 * wave * syllables, np.float32)


def _blocks() -> Iterator[NDArray[np.float32]]:
    """Yields 40 ms of stereo sound after another, without an end."""
    mono = voice_like(_SECONDS, _SOURCE_RATE)
    stereo = np.stack([mono, mono], axis=1)
    size = _SOURCE_RATE // 25
    while True:
        for start in range(0, len(stereo) - size + 1, size):
            yield stereo[start : start + size]
