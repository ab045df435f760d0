"""Work that every picture needs in any program like this one: what our costs are compared with."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.overall.line import BITRATE
from benchmarks.overall.timing import Stopwatch

REMAP: Final = "a plain remap"
COPY: Final = "a copy of the picture"
VP8: Final = "a plain VP8 encoding"
H264: Final = "a plain H.264 encoding"
_OPTIONS: Final = {
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libx264": {"preset": "superfast", "tune": "zerolatency"},
}


class Reference:
    """The reference work for pictures of one size."""

    def __init__(self, size: int) -> None:
        columns, rows = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size))
        self._x = columns + 3 * np.sin(rows / 40).astype(np.float32)
        self._y = rows.astype(np.float32)
        self._copy = np.zeros((size, size, 3), np.uint8)
        self._contexts = {VP8: _context("libvpx", size), H264: _context("libx264", size)}
        self._remap = cv2.remap
        self._count = 0

    def turn(self, stopwatch: Stopwatch, pictures: list[NDArray[np.uint8]]) -> None:
        """Does it once for each picture [s, s, 3]."""
        for picture in pictures:
            with stopwatch.time(REMAP):
                self._remap(picture, self._x, self._y, cv2.INTER_LINEAR)
            with stopwatch.time(COPY):
                np.copyto(self._copy, picture)
            planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = self._count, Fraction(1, 25)
            self._count += 1
            for name, context in self._contexts.items():
                with stopwatch.time(name):
                    context.encode(frame)


def _context(name: str, size: int) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width = context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    context.bit_rate = BITRATE
    context.thread_count = 1
    context.options = dict(_OPTIONS[name])
    return context
