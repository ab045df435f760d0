"""Many viewers, few encoders."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import server.audience
from server.audience import Audience
from server.bandwidth import Bandwidth, Rung
from server.encoder import SoundCodec, VideoCodec, VideoEncoder
from server.speech import BLOCK, silent_block
from server.timeline import CODER_DELAY, Timeline
from server.watchers import Terms
from tests.virtual_time import InlineExecutor

SIZE = 64
FRAME = 640  # samples
MOST = 400_000
NOTHING = np.zeros(CODER_DELAY, np.float32)


class Inbox:
    """A track that keeps what it is offered."""

    def __init__(self) -> None:
        self.packets: list[Any] = []
        self.begun_anew = 0

    def offer(self, packet: object) -> None:
        self.packets.append(packet)

    def begin_anew(self) -> None:
        self.begun_anew += 1


@dataclass(eq=False)
class Watcher:
    """The parts of a peer that an audience touches."""

    codec: VideoCodec
    rung: Rung = Rung.HIGH
    bandwidth: Bandwidth = field(default_factory=lambda: Bandwidth(most=MOST))
    picture: Inbox = field(default_factory=Inbox)
    sound: Inbox = field(default_factory=Inbox)


class CountingEncoder(VideoEncoder):
    """Counts how many there are, what each encodes and at what rate."""

    made: list[CountingEncoder]

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **named)
        self.rates: list[int] = []
        self.made.append(self)

    def encode(self, image: NDArray[np.uint8], media_time: int, *, is_keyframe: bool) -> Any:  # noqa: ANN401
        self.rates.append(self.bitrate)
        return super().encode(image, media_time, is_keyframe=is_keyframe)


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[CountingEncoder]:
    CountingEncoder.made = []
    monkeypatch.setattr(server.audience, "VideoEncoder", CountingEncoder)
    return CountingEncoder.made


def audience(worker: Executor | None = None, *, size: int = SIZE) -> Audience:
    inline = InlineExecutor()
    return Audience(
        size=size, fps=25, bitrate=MOST, picture_worker=worker or inline, sound_worker=inline
    )


def seat(house: Audience, codec: VideoCodec) -> Watcher:
    watcher = Watcher(codec)
    house.add(watcher)  # type: ignore[arg-type]
    return watcher


async def show(house: Audience, first: int, count: int) -> None:
    for index in range(first, first + count):
        image = np.full((SIZE, SIZE, 3), index % 200, np.uint8)
        house.show(await house.encode(image, FRAME * index))


async def test_a_picture_is_encoded_once_per_codec(encoders: list[CountingEncoder]) -> None:
    house = audience()
    watchers = [seat(house, codec) for codec in VideoCodec for _ in range(3)]
    await show(house, 0, 10)
    assert sorted(encoder.codec.value for encoder in encoders) == ["AV1", "H264", "VP8", "VP9"]
    assert [len(encoder.rates) for encoder in encoders] == [10, 10, 10, 10]
    for watcher in watchers:
        alike = [other for other in watchers if other.codec is watcher.codec]
        assert all(other.picture.packets == watcher.picture.packets for other in alike)


async def test_sound_is_encoded_once_for_everyone() -> None:
    house = audience()
    watchers = [seat(house, codec) for codec in VideoCodec for _ in range(2)]
    await house.play(np.zeros(960, np.float32), 0, NOTHING)
    assert len({id(watcher.sound.packets[0]) for watcher in watchers}) == 1


async def test_who_wants_sound_and_pictures_as_they_are_gets_no_packets(
    encoders: list[CountingEncoder],
) -> None:
    class Raw:
        def __init__(self) -> None:
            self.got: list[tuple[object, int]] = []

        def see(self, image: NDArray[np.uint8], media_time: int) -> None:
            self.got.append((image.shape, media_time))

        def hear(self, sound: NDArray[np.float32], media_time: int) -> None:
            self.got.append((sound.shape, media_time))

    house, raw = audience(), Raw()
    carrier = Watcher(VideoCodec.VP8)
    house.add(carrier, Terms(raw=raw, raw_sound=raw))  # type: ignore[arg-type]
    await house.play(np.zeros(960, np.float32), 320, NOTHING)
    await show(house, 1, 1)
    assert raw.got == [((960,), 320), ((SIZE, SIZE, 3), FRAME)]
    assert encoders == []
    assert house.bytes_sent == 0
    viewer = seat(house, VideoCodec.VP8)
    await house.play(np.zeros(960, np.float32), 640, NOTHING)
    assert len(viewer.sound.packets) == 1
    assert carrier.sound.packets == carrier.picture.packets == []


async def test_all_of_a_rung_get_what_the_weakest_of_it_carries(
    encoders: list[CountingEncoder],
) -> None:
    house = audience()
    seat(house, VideoCodec.VP8)
    weak = seat(house, VideoCodec.VP8)
    await show(house, 0, 2)
    weak.bandwidth.note_loss(0.4, sent=0, now=10**9)
    await show(house, 2, 2)
    (encoder,) = encoders
    assert encoder.rates == [MOST, MOST, weak.bandwidth.rate, weak.bandwidth.rate]
    assert weak.bandwidth.rate == pytest.approx(0.8 * MOST, abs=2)


async def test_a_bad_connection_spoils_nobodys_picture(encoders: list[CountingEncoder]) -> None:
    house = audience()
    strong, weak = seat(house, VideoCodec.VP8), seat(house, VideoCodec.VP8)
    await show(house, 0, 10)
    weak.bandwidth.note_estimate(150_000, sent=0, now=0)
    await show(house, 10, 10)
    high, low = encoders
    assert high.rates == 20 * [MOST]
    assert low.rates == 10 * [weak.bandwidth.rate]
    assert weak.picture.begun_anew == 1
    assert strong.picture.begun_anew == 0
    assert weak.picture.packets[10].is_keyframe
    assert not any(packet.is_keyframe for packet in strong.picture.packets[1:])
    weak.bandwidth.note_estimate(2_000_000, sent=0, now=0)
    await show(house, 20, 10)
    assert len(low.rates) == 10
    assert weak.picture.packets[20] is strong.picture.packets[20]
    assert weak.picture.packets[20].is_keyframe


@pytest.mark.parametrize("codec", list(VideoCodec))
async def test_the_next_picture_is_complete_when_one_was_lost(codec: VideoCodec) -> None:
    house = audience()
    watcher = seat(house, codec)
    await show(house, 0, 10)
    house.want_keyframe(watcher)  # type: ignore[arg-type]
    await show(house, 10, 3)
    complete = [index for index, packet in enumerate(watcher.picture.packets) if packet.is_keyframe]
    assert complete == [0, 10]


async def test_encoding_holds_up_neither_the_event_loop_nor_the_sound() -> None:
    """Pictures of 1024 x 1024 noise, as fast as they can be made."""
    size, turns, sounds = 1024, [], []
    with ThreadPoolExecutor(1) as pictures, ThreadPoolExecutor(1) as sound:
        house = Audience(
            size=size, fps=25, bitrate=4_000_000, picture_worker=pictures, sound_worker=sound
        )
        seat(house, VideoCodec.H264)
        images = np.random.default_rng(0).integers(0, 255, (4, size, size, 3), np.uint8)
        is_over = asyncio.Event()

        async def keep_time() -> None:
            while not is_over.is_set():
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                turns.append(time.perf_counter() - began)

        async def speak() -> None:
            index = 0
            while not is_over.is_set():
                began = time.perf_counter()
                await house.play(np.zeros(960, np.float32), 320 * index, NOTHING)
                sounds.append(time.perf_counter() - began)
                await asyncio.sleep(0.005)
                index += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(keep_time())
            group.create_task(speak())
            began = time.perf_counter()
            for index in range(12):
                house.show(await house.encode(images[index % 4], FRAME * index))
            encoding = (time.perf_counter() - began) / 12
            is_over.set()
    # Ratios, since the machine is shared: a loop that waited for pictures would be as slow.
    assert np.median(turns) < 0.25 * encoding
    assert np.median(sounds) < 0.5 * encoding


async def test_an_encoder_goes_with_its_last_viewer(encoders: list[CountingEncoder]) -> None:
    house = audience()
    first, second = seat(house, VideoCodec.VP8), seat(house, VideoCodec.VP8)
    await show(house, 0, 2)
    house.remove(first)  # type: ignore[arg-type]
    await show(house, 2, 1)
    house.remove(second)  # type: ignore[arg-type]
    await show(house, 3, 1)
    seat(house, VideoCodec.VP8)
    await show(house, 4, 1)
    assert [len(encoder.rates) for encoder in encoders] == [3, 1]


async def test_what_is_heard_at_a_time_stamp_is_the_sound_of_that_media_time() -> None:
    """Opus gives its sound 6.5 ms late; a viewer's lips would be that much early."""
    house = audience()
    viewer = seat(house, VideoCodec.VP8)
    noise = np.random.default_rng(0).normal(0, 0.1, 50 * 960)
    spoken: NDArray[np.float32] = np.convolve(noise, np.ones(8) / 8, "same").astype(np.float32)
    timeline: Timeline[None] = Timeline()
    for start in range(0, 25 * BLOCK, BLOCK):
        sound = spoken[3 * start : 3 * (start + BLOCK)]
        timeline.add_audio(replace(silent_block(start, 0), sound=sound))
    while (departure := timeline.depart()) is not None:
        await house.play(departure.sound, departure.start, departure.ahead)
    heard = decoded(viewer.sound.packets)
    late = [float(spoken[9_600:19_200] @ heard[9_600 + lag :][:9_600]) for lag in range(-480, 481)]
    assert abs(int(np.argmax(late)) - 480) <= 5  # 0.1 ms


async def test_outputs_get_what_viewers_get_and_a_rate_of_their_own_costs_an_encoder(
    encoders: list[CountingEncoder],
) -> None:
    house = audience()
    viewer = seat(house, VideoCodec.H264)
    shared = [admit(house, Terms(SoundCodec.AAC, is_flat=True)) for _ in range(2)]
    own = admit(house, Terms(SoundCodec.AAC, is_flat=True, bitrate=200_000))
    await show(house, 0, 10)
    assert all(output.picture.packets == viewer.picture.packets for output in shared)
    assert own.picture.packets[0] is not viewer.picture.packets[0]
    assert sorted(len(encoder.rates) for encoder in encoders) == [10, 10]
    for tick in range(10):
        await house.play(np.zeros(960, np.float32), 320 * tick, NOTHING)
    assert [len(viewer.sound.packets), viewer.sound.packets[0].pts] == [10, 0]
    assert shared[0].sound.packets == shared[1].sound.packets == own.sound.packets
    steps = np.diff([packet.pts for packet in own.sound.packets])
    assert set(steps) == {1024}
    assert house.viewers == 1


async def test_outputs_get_complete_pictures_at_least_so_often(
    encoders: list[CountingEncoder],
) -> None:
    house = audience()
    output = admit(house, Terms(spacing=4 * FRAME))
    await show(house, 0, 10)
    complete = [index for index, packet in enumerate(output.picture.packets) if packet.is_keyframe]
    assert complete == [0, 7]  # never more often than every quarter of a second
    assert len(encoders) == 1


async def test_transparent_pictures_are_packed_for_viewers_and_green_behind_for_outputs() -> None:
    house = audience()
    viewer, output = seat(house, VideoCodec.H264), admit(house, Terms(is_flat=True))
    await show(house, 0, 3)
    assert output.picture.packets == viewer.picture.packets
    clear = np.zeros((SIZE, SIZE, 4), np.uint8)
    clear[16:48, 16:48] = 255
    for index in range(3, 6):
        house.show(await house.encode(clear, FRAME * index))
    await show(house, 10, 2)
    assert output.picture.begun_anew == 2
    heights = [[image.height for image in pictures(each)] for each in (viewer, output)]
    assert heights == [3 * [SIZE] + 3 * [2 * SIZE] + 2 * [SIZE], 8 * [SIZE]]
    green = pictures(output)[4].to_ndarray(format="rgb24")[4, 4]
    np.testing.assert_allclose(green, (0, 177, 64), atol=8)
    assert output.picture.packets[6:] == viewer.picture.packets[6:]


async def test_who_takes_pictures_as_they_are_drawn_costs_no_encoder(
    encoders: list[CountingEncoder],
) -> None:
    house, seen = audience(), Sketchbook()
    admit(house, Terms(raw=seen))
    await show(house, 0, 4)
    assert seen.times == [0, FRAME, 2 * FRAME, 3 * FRAME]
    assert encoders == []
    assert len(house) == 1


class Sketchbook:
    """Takes pictures as they are drawn."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def see(self, image: NDArray[np.uint8], media_time: int) -> None:
        assert image.shape == (SIZE, SIZE, 3)
        self.times.append(media_time)


def admit(house: Audience, terms: Terms) -> Watcher:
    watcher = Watcher(VideoCodec.H264)
    house.add(watcher, terms)  # type: ignore[arg-type]
    return watcher


def pictures(watcher: Watcher) -> list[Any]:
    decoder: Any = av.CodecContext.create("h264", "r")
    packets = [av.Packet(bytes(packet)) for packet in watcher.picture.packets]
    return [frame for packet in packets for frame in decoder.decode(packet)]


def decoded(packets: list[Any]) -> NDArray[np.float32]:
    """Returns what a decoder makes of Opus packets, each at its time stamp, left channel."""
    decoder: Any = av.CodecContext.create("opus", "r")
    heard = np.zeros(len(packets) * 960, np.float32)
    for packet in packets:
        for frame in decoder.decode(av.Packet(bytes(packet))):
            heard[packet.pts :][:960] = frame.to_ndarray()[0]
    return heard


async def test_the_sound_encoder_and_its_threads_go_with_the_last_viewer() -> None:
    at_rest, house = native_threads(), audience()
    first, last = seat(house, VideoCodec.VP8), seat(house, VideoCodec.VP8)
    silence = np.zeros(960, np.float32)
    await house.play(silence, 0, NOTHING)
    house.remove(first)  # type: ignore[arg-type]
    await house.play(silence, 320, NOTHING)
    assert len(last.sound.packets) == 2
    house.remove(last)  # type: ignore[arg-type]
    assert native_threads() == at_rest
    back = seat(house, VideoCodec.VP8)
    await house.play(silence, 640, NOTHING)
    assert len(back.sound.packets) == 1


def native_threads() -> int:
    """Returns how many threads the process has, those of FFmpeg among them."""
    return len(list(Path("/proc/self/task").iterdir()))
