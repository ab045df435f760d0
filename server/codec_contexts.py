"""How FFmpeg's video encoders are opened for faces over a low-latency link.

No denoiser (it smears rendered skin), no look-ahead, one thread, and a packet for every picture
at once. It knows no pictures, and nothing of WebRTC.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av

_THREADS = Path("/proc/self/task")  # of Linux alone
VIDEO_CLOCK = 90_000  # Hz, RTP's for video
VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK)
_KEYFRAME_INTERVAL = 3000  # frames; a viewer that lost the picture asks for one itself
_LEVEL_31 = 3_600 * 256  # pixels, the most that H.264's level 3.1 allows
_SPEED = "-8"  # VP8 has faster ones, for phones; VP9 has none, and looks at no sign
# Squared error of a block of 16x16 below which VP8 leaves it as it was: 43 dB, what it comes to
# anyway. A sixth of its time is spent on less, most of it behind the person (docs/decisions/0025).
_VP8_STATIC = "800"


# (width, height, fps, bitrate) -> an encoder that is open
Opener: TypeAlias = "Callable[[int, int, int, int], av.VideoCodecContext]"


def open_vp8(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Returns libvpx for VP8 at a constant bit rate."""
    context = _context("libvpx", size=(width, height), fps=fps, bitrate=bitrate)
    context.qmin, context.qmax = 2, 56
    context.options = {**_libvpx_options(bitrate), "static-thresh": _VP8_STATIC}
    context.open()
    return context


def open_vp9(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Returns libvpx for VP9, profile 0, at a constant bit rate."""
    context = _context("libvpx-vp9", size=(width, height), fps=fps, bitrate=bitrate)
    # Coarser steps than 46 would let the matte of a packed picture haze where nothing is.
    context.qmin, context.qmax = 2, 46
    context.options = {
        **_libvpx_options(bitrate),
        "aq-mode": "3",  # cyclic refresh, made for real time: 1.4 dB at 1.5 Mbit/s
        "tile-columns": "0",  # for one thread
    }
    context.open()
    return context


def open_av1(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Returns SVT-AV1, main profile, at a constant bit rate that cannot be changed later."""
    os.environ.setdefault("SVT_LOG", "0")  # or it writes its settings to standard error
    context = _context("libsvtav1", size=(width, height), fps=fps, bitrate=bitrate)
    context.options = {
        "preset": "10",
        # Low delay, constant bit rate, one thread's worth of parallelism, no screen content.
        "svtav1-params": "pred-struct=1:rc=2:lp=1:scm=0",
    }
    with _priority_kept():
        context.open()
    return context


@contextmanager
def _priority_kept() -> Iterator[None]:
    """Takes real-time priority back from the calling thread and from those begun meanwhile.

    SVT-AV1 gives SCHED_FIFO 99 to both where it may, as it may as root in a container. What the
    thread starts later inherits it, and all of that starves everything else.
    """
    if not hasattr(os, "sched_getscheduler") or not _THREADS.is_dir():
        yield
        return
    before = _threads()
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
        for thread in _threads() - before:
            with suppress(ProcessLookupError):  # it has ended since
                if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _threads() -> set[int]:
    return {int(entry.name) for entry in _THREADS.iterdir()}


def open_x264(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Returns x264, constrained baseline, at a constant bit rate."""
    context = _context("libx264", size=(width, height), fps=fps, bitrate=bitrate)
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
    context.open()
    return context


def open_nvenc(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Returns NVENC for H.264, baseline, at a constant bit rate.

    Raises:
        av.FFmpegError: there is no NVIDIA card or driver, or it encodes for as many as it can.
    """
    context = _context("h264_nvenc", size=(width, height), fps=fps, bitrate=bitrate)
    context.options = {
        "preset": "p3",
        "tune": "ull",
        "rc": "cbr",
        "zerolatency": "1",
        "delay": "0",
        "bf": "0",
        "forced-idr": "1",  # an I picture that was asked for can be begun with
        "profile": "baseline",
        "maxrate": str(bitrate),
        "bufsize": str(bitrate // 2),
        "colorspace": "smpte170m",
        "color_primaries": "smpte170m",
        "color_trc": "smpte170m",
        "color_range": "tv",
    }
    context.open()
    return context


def _libvpx_options(bitrate: int) -> dict[str, str]:
    return {
        "bufsize": str(bitrate),
        "cpu-used": _SPEED,
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


def _context(name: str, *, size: tuple[int, int], fps: int, bitrate: int) -> av.VideoCodecContext:
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
