"""An output's place in the audience: bounded, and whole again after a loss."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from server.channel import ChannelClosed
from server.encoder import AacEncoder, VideoCodec, VideoEncoder
from server.outputs.seat import Seat


class Asked:
    """Counts how often a complete picture was asked for."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _: Seat) -> None:
        self.count += 1


def packet(*, pts: int, is_keyframe: bool) -> av.Packet[Any]:
    made: av.Packet[Any] = av.Packet(b"a picture")
    made.pts, made.is_keyframe = pts, is_keyframe
    return made


async def test_it_begins_with_a_complete_picture() -> None:
    asked = Asked()
    seat = Seat(VideoCodec.H264, bitrate=1, want_keyframe=asked)
    seat.picture.offer(packet(pts=0, is_keyframe=False))
    assert asked.count == 1
    seat.picture.offer(packet(pts=3600, is_keyframe=True))
    seat.picture.offer(packet(pts=7200, is_keyframe=False))
    assert [(piece.start, piece.is_complete) for piece in await seat.batch()] == [
        (1920, True),
        (3840, False),
    ]
    seat.picture.begin_anew()
    seat.picture.offer(packet(pts=10_800, is_keyframe=False))
    assert (asked.count, len(seat.pieces)) == (2, 0)


async def test_what_finds_no_room_is_dropped_and_a_complete_picture_asked_for_when_there_is() -> (
    None
):
    asked = Asked()
    seat = Seat(VideoCodec.H264, bitrate=1, want_keyframe=asked)
    for index in range(600):
        seat.picture.offer(packet(pts=3600 * index, is_keyframe=index == 0))
    assert len(seat.pieces) == 512
    assert seat.dropped == 1  # from then on none is tried that builds on it
    assert asked.count == 0  # there is no room for one
    assert len(await seat.batch()) == 512
    seat.picture.offer(packet(pts=3600 * 600, is_keyframe=False))
    assert (asked.count, len(seat.pieces)) == (1, 0)
    seat.picture.offer(packet(pts=3600 * 601, is_keyframe=True))
    assert [piece.start for piece in await seat.batch()] == [1920 * 601]


async def test_few_pictures_wait_as_they_were_drawn_and_all_of_the_sound() -> None:
    seat = Seat(VideoCodec.VP9, bitrate=1, want_keyframe=Asked())
    image = np.zeros((4, 4, 4), np.uint8)
    for index in range(100):
        seat.see(image, 640 * index)
        seat.sound.offer(packet(pts=1920 * index, is_keyframe=True))
    pieces = await seat.batch()
    assert sum(piece.is_picture for piece in pieces) == 24
    assert sum(not piece.is_picture for piece in pieces) == 100
    assert seat.dropped == 76
    seat.see(image, 64_000)
    assert [piece.start for piece in await seat.batch()] == [192_000]


async def test_what_waits_is_read_after_the_seat_was_given_up() -> None:
    seat = Seat(VideoCodec.H264, bitrate=1, want_keyframe=Asked())
    seat.picture.offer(packet(pts=0, is_keyframe=True))
    seat.pieces.close()
    assert len(await seat.batch()) == 1
    with pytest.raises(ChannelClosed):
        await seat.batch()


@pytest.mark.parametrize("fps", [25, 30, 60])
async def test_times_are_the_media_clocks_to_the_sample(fps: int) -> None:
    seat = Seat(VideoCodec.H264, bitrate=1, want_keyframe=Asked())
    encoder = VideoEncoder(VideoCodec.H264, size=64, fps=fps, bitrate=100_000)
    image = np.zeros((64, 64, 3), np.uint8)
    times = [16_000 * index // fps for index in range(40)]
    for time in times:
        seat.picture.offer(encoder.encode(image, time, is_keyframe=time == 0))
    assert [piece.start for piece in await seat.batch()] == [3 * time for time in times]
    sound = AacEncoder()
    for tick in range(10):
        for made in sound.encode(np.zeros(960, np.float32), 16_000 + 320 * tick):
            seat.sound.offer(made)
    starts = [piece.start for piece in await seat.batch()]
    assert starts[:2] == [48_000 - 1024, 48_000]
