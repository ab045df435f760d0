"""Tracks: what waits is bounded, and a viewer that takes nothing costs the others nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from server.encoder import VideoCodec, VideoEncoder
from server.tracks import PictureTrack

BLACK = np.zeros((64, 64, 3), np.uint8)


class Studio:
    """An encoder shared by tracks, as an audience does it."""

    def __init__(self, tracks: int) -> None:
        self.asked = [0] * tracks
        self.tracks = [PictureTrack(partial(self._ask, index)) for index in range(tracks)]
        self.keyframes = 0
        self._encoder = VideoEncoder(VideoCodec.VP8, size=64, fps=25, bitrate=100_000)
        self._is_wanted = True
        self._position = 0

    def _ask(self, index: int) -> None:
        self.asked[index] += 1
        self._is_wanted = True

    def show(self) -> None:
        packet = self._encoder.encode(BLACK, self._position, is_keyframe=self._is_wanted)
        self.keyframes += bool(packet.is_keyframe)
        self._is_wanted = False
        self._position += 640
        for track in self.tracks:
            track.offer(packet)


async def take(track: PictureTrack) -> av.Packet[Any]:
    return await asyncio.wait_for(track.recv(), 1)


async def test_a_viewer_that_takes_nothing_is_bounded_and_asks_for_nothing() -> None:
    studio = Studio(2)
    stuck, fine = studio.tracks
    got = []
    for _ in range(500):
        studio.show()
        assert len(stuck._packets) <= 12
        got.append((await take(fine)).pts)
    assert got == [3600 * index for index in range(500)]
    assert studio.keyframes == 1


async def test_a_viewer_that_takes_packets_again_begins_with_a_complete_picture() -> None:
    studio = Studio(1)
    (track,) = studio.tracks
    for _ in range(100):
        studio.show()
    waiting = asyncio.gather(track.recv())
    await asyncio.sleep(0)
    assert studio.asked == [1]
    studio.show()
    (packet,) = await waiting
    assert packet.is_keyframe
    assert packet.pts == 100 * 3600
    studio.show()
    assert (await take(track)).pts == 101 * 3600
    assert studio.keyframes == 2


async def test_a_stopped_track_ends_whoever_waits() -> None:
    (track,) = Studio(1).tracks
    waiting = asyncio.gather(track.recv(), return_exceptions=True)
    await asyncio.sleep(0)
    track.stop()
    assert isinstance((await waiting)[0], MediaStreamError)
    with pytest.raises(MediaStreamError):
        await track.recv()
