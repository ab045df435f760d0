"""Pictures to VP8, H.264, VP9 or AV1 packets, sound to Opus packets; synchronous, one per session.

It knows nothing of WebRTC, tracks or the event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from fractions import Fraction
from functools import partial
from typing import Any, Final, TypeAlias

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from server.codec_contexts import (
    VIDEO_CLOCK,
    VIDEO_TIME_BASE,
    Opener,
    open_av1,
    open_vp8,
    open_vp9,
    open_x264,
)
from server.ingest import SOUND_RATE
from server.packing import pack
from server.patience import Patient, StuckError
from server.timeline import PACKET

MEDIA_TIME_BASE = Fraction(1, 16_000)
SOUND_TIME_BASE = Fraction(1, SOUND_RATE)
_OPUS_BITRATE = 64_000
_AAC_BITRATE = 128_000
AAC_FRAME = 1024  # samples of a packet, and by which the coder's first packet is early
_LOG = logging.getLogger(__name__)
_AV1_PATIENCE: Final = 3.0  # seconds for a picture; more than the first takes on a busy machine
_AV1_LEAST, _AV1_MOST = 0.85, 1.5  # of the rate it was opened with, before it is opened anew

VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"
SoundPacket: TypeAlias = "av.Packet[av.AudioStream]"


class VideoCodec(Enum):
    """A codec that browsers and this server know, by its SDP name."""

    VP8 = "VP8"
    H264 = "H264"
    VP9 = "VP9"
    AV1 = "AV1"


class SoundCodec(Enum):
    """A codec for sound: Opus for WebRTC and WebM, AAC for what else there is."""

    OPUS = "opus"
    AAC = "aac"


OPENERS: Final[Mapping[VideoCodec, Opener]] = {
    VideoCodec.VP8: open_vp8,
    VideoCodec.H264: open_x264,
    VideoCodec.VP9: open_vp9,
    VideoCodec.AV1: open_av1,
}


_NAMES: Final[Mapping[VideoCodec, str]] = {
    VideoCodec.VP8: "libvpx",
    VideoCodec.H264: "libx264",
    VideoCodec.VP9: "libvpx-vp9",
    VideoCodec.AV1: "libsvtav1",
}


def missing_encoder(codec: VideoCodec) -> str | None:
    """Returns the name of the FFmpeg encoder that `codec` needs, if PyAV was built without it."""
    return None if _NAMES[codec] in av.codecs_available else _NAMES[codec]


def video_pts(media_time: int) -> int:
    """Returns the 90 kHz time stamp of a 16 kHz media time (exact at 25 pictures a second)."""
    return media_time * VIDEO_CLOCK // 16_000


class VideoEncoder:
    """One codec's encoder at one size, of pictures as they are or packed with their matte.

    Attributes:
        is_packed: whether it takes RGBA pictures and makes them twice as high.
        bitrate: bits a second; may be set at any time, up to what it was opened with. It takes
            effect with the next picture, without a complete one (docs/decisions/0007); AV1
            follows in steps, each with a complete one.
    """

    def __init__(
        self,
        codec: VideoCodec,
        *,
        size: int,
        fps: int,
        bitrate: int,
        is_packed: bool = False,
        openers: Mapping[VideoCodec, Opener] = OPENERS,
        patience: float = _AV1_PATIENCE,
    ) -> None:
        self.codec = codec
        self.is_packed = is_packed
        self.bitrate = self._most = bitrate
        height = 2 * size if is_packed else size
        self._open = partial(openers[codec], size, height, fps)
        self._patience = patience
        # At its full rate: x264 keeps to a changed one only if it began as CBR.
        self._begin(bitrate)
        self._last_pts: int | None = None
        self._budget_time = 0  # 90 kHz, as the encoder is told

    def encode(
        self, image: NDArray[np.uint8], media_time: int, *, is_keyframe: bool
    ) -> VideoPacket:
        """Encodes one [size, size, 3] RGB picture; `is_keyframe` makes it complete in itself.

        A packing encoder takes [size, size, 4] straight RGBA. The packet's `pts` is 90 kHz.
        """
        if self.is_packed:
            image = pack(image)
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        # Not a copy: FFmpeg makes its own of what it does not own.
        frame = av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
        frame.pts = self._paced(video_pts(media_time))
        frame.time_base = VIDEO_TIME_BASE
        frame.pict_type = PictureType.I if is_keyframe else PictureType.NONE
        packets = self._packets(frame)
        if len(packets) != 1:
            raise RuntimeError(f"{self.codec.value} gave {len(packets)} packets for a picture")
        packet = packets[0]
        packet.pts = packet.dts = video_pts(media_time)
        packet.time_base = VIDEO_TIME_BASE
        return packet

    def _begin(self, bitrate: int) -> None:
        """Opens an encoder; one that may never answer is given up if it does not."""
        self._context, self._opened_at = self._open(bitrate), bitrate
        self._encode: Callable[[av.VideoFrame], list[VideoPacket]] = self._context.encode
        if self.codec is VideoCodec.AV1:
            self._encode = Patient(self._context, self._patience).encode

    def _packets(self, frame: av.VideoFrame) -> list[VideoPacket]:
        """Returns what the encoder gives, or another in its place, which begins anew."""
        try:
            return self._encode(frame)
        except StuckError as error:
            _LOG.warning("%s's encoder gave %s; another takes its place.", self.codec.value, error)
        self._begin(self._opened_at)
        frame.pict_type = PictureType.I
        return self._encode(frame)

    def _paced(self, pts: int) -> int:
        """Sets the encoder to `bitrate`; returns the time stamp it is to be told.

        H.264's encoders follow their context's bit rate between pictures. FFmpeg's libvpx does
        not, but budgets each picture by the time since the last one: told that less time has
        passed, it spends less. SVT-AV1 can only be opened anew.
        """
        bitrate = min(self.bitrate, self._most)
        if self.codec is VideoCodec.AV1:
            if not _AV1_LEAST <= bitrate / self._opened_at <= _AV1_MOST:
                self._begin(bitrate)
            return pts
        if self.codec is VideoCodec.H264:
            self._context.bit_rate = bitrate
            return pts
        if self._last_pts is not None:
            self._budget_time += max(1, (pts - self._last_pts) * bitrate // self._most)
        self._last_pts = pts
        return self._budget_time


class SoundEncoder:
    """Opus at 48 kHz mono, 20 ms a packet."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.bit_rate = _OPUS_BITRATE
        context.format = "s16"
        context.layout = "mono"
        context.sample_rate = SOUND_RATE
        context.time_base = SOUND_TIME_BASE
        context.options = {"application": "audio", "frame_duration": "20"}
        self._context = context
        # One frame for all packets: FFmpeg copies what it is given, for it does not own it.
        self._frame = av.AudioFrame(format="s16", layout="mono", samples=PACKET)
        self._frame.sample_rate = SOUND_RATE
        self._frame.time_base = SOUND_TIME_BASE
        plane: Any = self._frame.planes[0]  # a buffer, which PyAV's types do not tell
        self._pcm = np.frombuffer(plane, np.int16)[:PACKET]
        self._scaled = np.empty(PACKET, np.float32)

    def encode(self, sound: NDArray[np.float32], media_time: int) -> SoundPacket:
        """Encodes [960] float32; the packet's `pts` is in 48 kHz samples."""
        if len(sound) != PACKET:
            raise ValueError(f"an Opus packet is {PACKET} samples, got {len(sound)}")
        np.multiply(sound, 32767, out=self._scaled)
        np.maximum(self._scaled, -32767, out=self._scaled)
        np.minimum(self._scaled, 32767, out=self._scaled)
        self._pcm[:] = self._scaled
        self._frame.pts = media_time * 3
        (packet,) = self._context.encode(self._frame)
        packet.pts = packet.dts = media_time * 3
        packet.time_base = SOUND_TIME_BASE
        return packet


class AacEncoder:
    """AAC-LC at 48 kHz mono, 1024 samples a packet.

    A packet's `pts` is the media time of the first sample that a decoder gives for it, once it has
    been given the packet before.
    """

    def __init__(self) -> None:
        context = av.CodecContext.create("aac", "w")
        context.bit_rate = _AAC_BITRATE
        context.format = "fltp"
        context.layout = "mono"
        context.sample_rate = SOUND_RATE
        context.time_base = SOUND_TIME_BASE
        self._context = context

    def encode(self, sound: NDArray[np.float32], media_time: int) -> list[SoundPacket]:
        """Encodes [n] float32 that follow what was encoded before; `pts` is in 48 kHz samples."""
        samples = np.ascontiguousarray(np.clip(sound, -1, 1), np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts = media_time * 3
        frame.time_base = SOUND_TIME_BASE
        packets: list[SoundPacket] = list(self._context.encode(frame))
        return packets
