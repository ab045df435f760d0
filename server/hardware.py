"""H.264 by an NVIDIA card (NVENC), where there is one and it does what the server needs.

It is tried once, before it is used for anybody: drivers, cards and FFmpeg builds differ in what
they accept, and a card that encodes late or not on demand is worse than a processor core.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import av
import numpy as np
from av.codec.codec import UnknownCodecError

from server.codec_contexts import Opener, open_nvenc, open_x264
from server.encoder import OPENERS, VideoCodec, VideoEncoder

_LOG = logging.getLogger(__name__)
_SIDE, _FPS, _BITRATE = 256, 25, 2_000_000
_PICTURES, _KEYFRAME = (
    12,
    7,
)  # encoded on trial, and which of them must be complete beside the first
_MOST_ERROR = 12.0  # levels of 255, root mean square


def find_openers(nvenc: Opener = open_nvenc) -> Mapping[VideoCodec, Opener]:
    """Returns how encoders are opened on this machine: H.264 by its card, if that works."""
    fault = fault_of(nvenc)
    if fault is not None:
        _LOG.info("H.264 is encoded by x264, not by NVENC: %s", fault)
        return OPENERS
    _LOG.info("H.264 is encoded by NVENC")

    def open_h264(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
        try:
            return nvenc(width, height, fps, bitrate)
        except av.FFmpegError as error:  # cards encode for so many at once, often eight
            _LOG.warning("NVENC takes no more, x264 encodes: %s", error.strerror)
            return open_x264(width, height, fps, bitrate)

    return {**OPENERS, VideoCodec.H264: open_h264}


def fault_of(opener: Opener) -> str | None:
    """Returns what an H.264 encoder does wrong in half a second of pictures, or None.

    Each picture must give one packet, at once; be complete when asked and not else; and look
    like what was encoded.
    """
    try:
        encoder = VideoEncoder(
            VideoCodec.H264,
            size=_SIDE,
            fps=_FPS,
            bitrate=_BITRATE,
            openers={VideoCodec.H264: opener},
        )
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        for index in range(_PICTURES):
            picture = _ramp(index)
            packet = encoder.encode(picture, 640 * index, is_keyframe=index == _KEYFRAME)
            if packet.is_keyframe != (index in (0, _KEYFRAME)):
                return f"picture {index} is {'' if packet.is_keyframe else 'not '}complete"
            frames = decoder.decode(av.Packet(bytes(packet)))
            if len(frames) != 1:
                return f"picture {index} cannot be decoded by itself"
            error = frames[0].to_ndarray(format="rgb24").astype(float) - picture
            if np.sqrt((error**2).mean()) > _MOST_ERROR:
                return f"picture {index} does not look like what was encoded"
    except av.FFmpegError as error:
        return error.strerror
    except (UnknownCodecError, RuntimeError) as error:
        return str(error)
    return None


def _ramp(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Returns a soft picture that moves a little each time."""
    ramp = np.linspace(40, 210, _SIDE)
    across, down = np.meshgrid(ramp, np.roll(ramp, 4 * index)[::-1])
    return np.stack([across, down, (across + down) / 2], axis=-1).astype(np.uint8)
