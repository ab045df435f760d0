"""Pictures to VP8 or H.264 packets, sound to Opus packets; synchronous, one per session.

Settings are for faces over a low-latency link: no denoiser (it smears rendered skin), no
look-ahead, one thread. It knows nothing of WebRTC, tracks or the event loop.
"""

from __future__ import annotations

from enum import Enum
from fractions import Fraction
from typing import TypeAlias

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from server.ingest import SOUND_RATE
from server.packing import pack
from server.timeline import PACKET

VIDEO_CLOCK = 90_000  # Hz, RTP's for video
MEDIA_TIME_BASE = Fraction(1, 16_000)
VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK)
SOUND_TIME_BASE = Fraction(1, SOUND_RATE)
_KEYFRAME_INTERVAL = 3000  # frames; a viewer that lost the picture asks for one itself
_OPUS_BITRATE = 64_000
_LEVEL_31 = 3_600 * 256  # pixels, the most that H.264's level 3.1 allows

VideoPacket: TypeAlias = "av.Packet[av.VideoStream]"
SoundPacket: TypeAlias = "av.Packet[av.AudioStream]"


class VideoCodec(Enum):
    """A codec that both browsers and this server know, by its SDP name."""

    VP8 = "VP8"
    H264 = "H264"


def video_pts(media_time: int) -> int:
    """Returns the 90 kHz time stamp of a 16 kHz media time (exact at 25 pictures a second)."""
    return media_time * VIDEO_CLOCK // 16_000


class VideoEncoder:
    """One codec's encoder at one size, of pictures as they are or packed with their matte.

    Attributes:
        is_packed: whether it takes RGBA pictures and makes them twice as high.
        bitrate: bits a second; may be set at any time, up to what it was opened with. It takes
            effect with the next picture, without a complete one (docs/decisions/0007).
    """

    def __init__(
        self, codec: VideoCodec, *, size: int, fps: int, bitrate: int, is_packed: bool = False
    ) -> None:
        self.codec = codec
        self.is_packed = is_packed
        self.bitrate = self._most = bitrate
        opened = _open_vp8 if codec is VideoCodec.VP8 else _open_h264
        height = 2 * size if is_packed else size
        self._context = opened(width=size, height=height, fps=fps, bitrate=bitrate)
        # At its full rate: x264 keeps to a changed one only if it began as CBR.
        self._context.open()
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
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._paced(video_pts(media_time))
        frame.time_base = VIDEO_TIME_BASE
        frame.pict_type = PictureType.I if is_keyframe else PictureType.NONE
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise RuntimeError(f"{self.codec.value} gave {len(packets)} packets for a picture")
        packet = packets[0]
        packet.pts = packet.dts = video_pts(media_time)
        packet.time_base = VIDEO_TIME_BASE
        return packet

    def _paced(self, pts: int) -> int:
        """Sets the encoder to `bitrate`; returns the time stamp it is to be told.

        x264 follows its context's bit rate between pictures. FFmpeg's libvpx does not, but
        budgets each picture by the time since the last one: told that less time has passed, it
        spends less.
        """
        bitrate = min(self.bitrate, self._most)
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

    def encode(self, sound: NDArray[np.float32], media_time: int) -> SoundPacket:
        """Encodes [960] float32; the packet's `pts` is in 48 kHz samples."""
        if len(sound) != PACKET:
            raise ValueError(f"an Opus packet is {PACKET} samples, got {len(sound)}")
        pcm = (np.clip(sound, -1, 1) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts = media_time * 3
        frame.time_base = SOUND_TIME_BASE
        (packet,) = self._context.encode(frame)
        packet.pts = packet.dts = media_time * 3
        packet.time_base = SOUND_TIME_BASE
        return packet


def _open_vp8(*, width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    context = _video_context("libvpx", size=(width, height), fps=fps, bitrate=bitrate)
    context.qmin, context.qmax = 2, 56
    context.options = {
        "bufsize": str(bitrate),
        "cpu-used": "-8",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "noise-sensitivity": "0",
        "overshoot-pct": "15",
        "undershoot-pct": "100",
        "static-thresh": "1",
        "error-resilient": "default",
    }
    return context


def _open_h264(*, width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    context = _video_context("libx264", size=(width, height), fps=fps, bitrate=bitrate)
    context.profile = "Baseline"
    context.options = {
        "preset": "superfast",
        "tune": "zerolatency",
        "level": "31" if width * height <= _LEVEL_31 else "40",
        "maxrate": str(bitrate),
        "bufsize": str(bitrate // 2),
        # Matches cv2's conversion; without it decoders may assume BT.709.
        "x264-params": "colormatrix=smpte170m:colorprim=smpte170m:transfer=smpte170m:range=tv",
    }
    return context


def _video_context(
    name: str, *, size: tuple[int, int], fps: int, bitrate: int
) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    if not isinstance(context, av.VideoCodecContext):
        raise TypeError(f"{name} is not a video codec")
    context.width, context.height = size
    context.bit_rate = bitrate
    context.pix_fmt = "yuv420p"
    context.framerate = Fraction(fps)
    context.time_base = VIDEO_TIME_BASE
    context.gop_size = _KEYFRAME_INTERVAL
    context.thread_count = 1
    return context
