"""A card's encoder is used only when it does, on trial, what the server needs; x264 stands in."""

from __future__ import annotations

import logging
from typing import Any

import av
import numpy as np
import pytest

from server.codec_contexts import Opener, open_nvenc, open_x264
from server.encoder import OPENERS, VideoCodec, VideoEncoder
from server.hardware import fault_of, find_openers


def absent(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    raise av.ExternalError(1, "Cannot load libcuda.so.1")


def late(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Keeps pictures back, to look ahead."""
    context = closed_x264(width, height, fps, bitrate)
    context.options = {"preset": "superfast", "rc-lookahead": "10"}
    context.open()
    return context


def deaf(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    """Makes every picture complete."""
    context = closed_x264(width, height, fps, bitrate)
    context.options = {"preset": "superfast", "tune": "zerolatency", "x264-params": "keyint=1"}
    context.open()
    return context


class BlackEncoder:
    """Does all that it should, to black pictures."""

    def __init__(self, context: av.VideoCodecContext) -> None:
        self._context = context
        self.bit_rate = context.bit_rate

    def encode(self, frame: av.VideoFrame) -> list[av.Packet[av.VideoStream]]:
        black = av.VideoFrame(frame.width, frame.height, "yuv420p")
        for plane, level in zip(black.planes, (16, 128, 128), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        black.pts, black.time_base, black.pict_type = frame.pts, frame.time_base, frame.pict_type
        return list(self._context.encode(black))


def black(width: int, height: int, fps: int, bitrate: int) -> Any:  # noqa: ANN401
    return BlackEncoder(open_x264(width, height, fps, bitrate))


def closed_x264(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
    model = open_x264(width, height, fps, bitrate)
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = model.time_base, model.framerate
    context.gop_size = 3000
    return context


def test_an_encoder_that_works_has_no_fault() -> None:
    assert fault_of(open_x264) is None


@pytest.mark.parametrize(
    ("opener", "fault"),
    [
        (absent, "libcuda"),
        (late, "gave 0 packets"),
        (deaf, "picture 1 is complete"),
        (black, "does not look like"),
    ],
)
def test_an_encoder_that_does_not_work_is_found_out(opener: Opener, fault: str) -> None:
    assert fault in str(fault_of(opener))
    assert find_openers(opener) == OPENERS


def test_a_card_that_works_is_used_until_it_is_full(caplog: pytest.LogCaptureFixture) -> None:
    opened = []

    def card(width: int, height: int, fps: int, bitrate: int) -> av.VideoCodecContext:
        opened.append(width)
        if len(opened) > 2:
            raise av.ExternalError(1, "OpenEncodeSessionEx failed: out of memory")
        return open_x264(width, height, fps, bitrate)

    openers = find_openers(card)
    caplog.set_level(logging.WARNING)
    for size in (64, 96):  # the second finds it full
        encoder = VideoEncoder(VideoCodec.H264, size=size, fps=25, bitrate=100_000, openers=openers)
        assert encoder.encode(np.zeros((size, size, 3), np.uint8), 0, is_keyframe=True).size
    assert opened == [256, 64, 96]
    assert "takes no more" in caplog.text
    assert openers[VideoCodec.VP8] is OPENERS[VideoCodec.VP8]


def test_this_machines_card_is_tried_without_an_exception() -> None:
    """With a card it must work altogether, without one it must say why not."""
    fault = fault_of(open_nvenc)
    assert fault is None or len(fault) > 5
