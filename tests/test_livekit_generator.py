"""A portrait in an agent's own process: alone, and pulled by LiveKit's own AvatarRunner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice.avatar import (
    AudioSegmentEnd,
    AvatarRunner,
    DataStreamAudioReceiver,
    QueueAudioOutput,
)
from livekit.agents.voice.io import PlaybackFinishedEvent

from server.livekit.generator import Item, PortraitGenerator
from server.marks.options import MarkOptions
from streaming_model.errors import AudioError
from tests.live_fakes import FakeAvatar
from tests.livekit_cloud import Cloud, until
from tests.livekit_room import (
    AGENT,
    AVATAR,
    FINISHED,
    STARTED,
    Agent,
    hum,
    joined,
    loudness,
    sfu,
    told,
    watching,
)
from tests.virtual_time import InlineExecutor

__all__ = ["sfu"]  # a fixture
SIZE = 64
PLAIN = MarkOptions(no_badge="a test looks at pixels", no_watermark="the same")


@asynccontextmanager
async def generating(fps: int = 25) -> AsyncIterator[PortraitGenerator]:
    avatar = FakeAvatar(size=SIZE, fps=fps)
    generator = PortraitGenerator(avatar, marks=PLAIN, worker=InlineExecutor())
    yield generator
    await generator.aclose()


async def say(generator: PortraitGenerator, seconds: float, rate: int = 24_000) -> None:
    for frame in hum(seconds, rate):
        await generator.push_audio(frame)
    await generator.push_audio(AudioSegmentEnd())


async def pull(items: AsyncIterator[Item], enough: Callable[[list[Item]], object]) -> list[Item]:
    """Returns what is yielded until it is enough."""
    pulled: list[Item] = []
    while not enough(pulled):
        pulled.append(await anext(items))
        assert len(pulled) < 2000
    return pulled


def pictures(count: int) -> Callable[[list[Item]], object]:
    return lambda items: sum(isinstance(item, rtc.VideoFrame) for item in items) >= count


def ended(items: list[Item]) -> bool:
    return bool(items) and isinstance(items[-1], AudioSegmentEnd)


def sound(items: list[Item]) -> np.ndarray[Any, np.dtype[np.int16]]:
    pieces = [
        np.frombuffer(item.data, np.int16) for item in items if isinstance(item, rtc.AudioFrame)
    ]
    return np.concatenate([np.zeros(0, np.int16), *pieces])


def opening(frame: rtc.VideoFrame) -> float:
    """Returns how far the mouth is open: how much of the middle column is bright."""
    luma = np.frombuffer(frame.data, np.uint8)[: SIZE * SIZE].reshape(SIZE, SIZE)
    return float((luma[:, SIZE // 2] > 160).mean())


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
async def test_all_of_a_segment_comes_out_with_its_pictures_and_its_end(rate: int) -> None:
    async with generating() as generator:
        items = aiter(generator)
        silent = await pull(items, pictures(5))
        assert sound(silent).size == 0
        assert all(opening(item) == 0 for item in silent if isinstance(item, rtc.VideoFrame))
        await say(generator, 1.01, rate)
        spoken = await pull(items, ended)
        assert len(sound(spoken)) == pytest.approx(1.01 * 48_000, abs=3)
        frames = [item for item in spoken if isinstance(item, rtc.VideoFrame)]
        assert len(frames) == pytest.approx(25, abs=2)
        after = await pull(items, pictures(10))
        assert sound(after).size == 0
        assert isinstance(after[-1], rtc.VideoFrame)
        assert opening(after[-1]) == 0


async def test_the_mouth_moves_with_the_sound_that_is_yielded_beside_it() -> None:
    async with generating() as generator:
        items = aiter(generator)
        await pull(items, pictures(3))
        for _ in range(3):
            await say(generator, 0.4)  # ten pictures, then silence
            spoken = await pull(items, ended)
            spoken += await pull(items, pictures(4))
            for index, item in enumerate(spoken):
                if isinstance(item, rtc.VideoFrame):
                    following = spoken[index + 1 : index + 2]
                    has_sound = any(isinstance(each, rtc.AudioFrame) for each in following)
                    assert (opening(item) > 0.3) == has_sound, index
            await pull(items, pictures(7))


@pytest.mark.parametrize("fps", [15, 30])
async def test_other_rates_of_pictures_stay_beside_their_sound(fps: int) -> None:
    async with generating(fps) as generator:
        items = aiter(generator)
        await say(generator, 2.0)
        spoken = await pull(items, ended)
        assert len(sound(spoken)) == pytest.approx(2 * 48_000, abs=3)
        assert generator.options.video_fps == fps


async def test_speech_that_is_there_begins_with_the_next_picture() -> None:
    async with generating() as generator:
        items = aiter(generator)
        await pull(items, pictures(20))
        await say(generator, 0.4)
        begun = await pull(items, lambda items: sound(items).size)
        assert sum(isinstance(item, rtc.VideoFrame) for item in begun) <= 2


async def test_a_cleared_buffer_leaves_no_sound_no_end_and_a_mouth_that_closes() -> None:
    async with generating() as generator:
        items = aiter(generator)
        for pulled in range(3, 23):  # at every place within a chunk
            await say(generator, 2.0)
            await pull(items, lambda items, most=pulled: len(items) >= most)  # type: ignore[misc]
            generator.clear_buffer()
            after = await pull(items, pictures(12))
            assert sound(after).size == 0
            assert not any(isinstance(item, AudioSegmentEnd) for item in after)
            frames = [item for item in after if isinstance(item, rtc.VideoFrame)]
            assert [opening(frame) for frame in frames[1:]] == 11 * [0]


async def test_what_comes_after_a_clear_is_a_segment_of_its_own() -> None:
    async with generating() as generator:
        items = aiter(generator)
        for frame in hum(2.0, 24_000):
            await generator.push_audio(frame)
        await pull(items, pictures(6))
        generator.clear_buffer()
        await generator.push_audio(AudioSegmentEnd())  # that of the segment that is no more
        await say(generator, 0.3)
        spoken = await pull(items, ended)
        assert len(sound(spoken)) == pytest.approx(0.3 * 48_000, abs=3)


async def test_segments_have_ends_of_their_own_also_empty_ones() -> None:
    async with generating() as generator:
        items = aiter(generator)
        await say(generator, 0.2)
        await say(generator, 0.3)
        lengths = [len(sound(await pull(items, ended))) / 48_000 for _ in range(2)]
        assert lengths == pytest.approx([0.2, 0.3], abs=0.001)


async def test_a_slow_voice_is_waited_for_with_open_eyes_and_a_closed_mouth() -> None:
    async with generating() as generator:
        items = aiter(generator)
        frames = list(hum(0.4, 24_000))
        for frame in frames[:4]:
            await generator.push_audio(frame)
        first = await pull(items, pictures(20))
        for frame in frames[4:]:
            await generator.push_audio(frame)
        await generator.push_audio(AudioSegmentEnd())
        rest = await pull(items, ended)
        assert len(sound(first + rest)) == pytest.approx(0.4 * 48_000, abs=3)


async def test_too_much_at_once_waits_until_it_was_heard_or_cleared() -> None:
    async with generating() as generator:
        minute = rtc.AudioFrame(bytes(2 * 16_000 * 60), 16_000, 1, 16_000 * 60)
        await generator.push_audio(minute)
        await generator.push_audio(minute)
        async with asyncio.TaskGroup() as group:
            pushing = group.create_task(generator.push_audio(minute))
            await asyncio.sleep(0)
            assert not pushing.done()
            generator.clear_buffer()


async def test_impossible_sound_is_refused() -> None:
    async with generating() as generator:
        with pytest.raises(AudioError, match="4000 Hz"):
            await generator.push_audio(rtc.AudioFrame(bytes(80), 4_000, 1, 40))


async def test_pictures_are_marked_unless_somebody_says_why_not() -> None:
    plain = PortraitGenerator(FakeAvatar(size=256), marks=PLAIN, worker=InlineExecutor())
    marked = PortraitGenerator(FakeAvatar(size=256), worker=InlineExecutor())
    (bare,), (badged,) = [await pull(aiter(each), pictures(1)) for each in (plain, marked)]
    assert isinstance(bare, rtc.VideoFrame)
    assert isinstance(badged, rtc.VideoFrame)
    assert bytes(bare.data) != bytes(badged.data)


@asynccontextmanager
async def running(room: rtc.Room, audio: Any) -> AsyncIterator[AvatarRunner]:  # noqa: ANN401
    generator = PortraitGenerator(FakeAvatar(size=SIZE), marks=PLAIN)
    runner = AvatarRunner(room, audio_recv=audio, video_gen=generator, options=generator.options)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.aclose()
        await generator.aclose()


async def test_an_agent_shows_itself_through_livekits_own_runner(sfu: Cloud) -> None:
    audio = QueueAudioOutput(wait_playback_start=True)
    starts: list[object] = []
    ends: list[PlaybackFinishedEvent] = []
    audio.on("playback_started", starts.append)
    audio.on("playback_finished", ends.append)
    async with (
        watching() as user,
        joined(AGENT, kind="agent") as room,
        running(room, audio),
    ):
        await until(lambda: len(sfu.subscribed) == 2)
        for frame in hum(0.6, 24_000):
            await audio.capture_frame(frame)
        audio.flush()
        await until(lambda: ends)
        assert not ends[0].interrupted
        assert ends[0].playback_position == pytest.approx(0.6, abs=0.001)
        assert len(starts) == 1
        for frame in hum(5.0, 24_000):
            await audio.capture_frame(frame)
        audio.flush()
        await until(lambda: len(starts) == 2)
        audio.clear_buffer()
        await until(lambda: len(ends) == 2)
        assert ends[1].interrupted
        assert ends[1].playback_position < 3.0
        await until(lambda: loudness(user) > 0.5 * 48_000)
        assert user.pictures[0].shape == (SIZE, SIZE, 3)


async def test_an_agent_elsewhere_speaks_through_livekits_own_receiver(sfu: Cloud) -> None:
    async with joined(AVATAR, kind="agent") as there, joined(AGENT, kind="agent") as here:
        receiver = DataStreamAudioReceiver(there, sender_identity=AGENT)
        async with running(there, receiver):
            speaker = Agent(here)
            await speaker.say(0.5)
            event = await speaker.end()
            assert event.playback_position == pytest.approx(0.5, abs=0.001)
            await speaker.say(5.0)
            await until(lambda: speaker.started == 2)
            speaker.output.clear_buffer()
            assert (await speaker.end()).interrupted
            assert [call.method for call in sfu.of(STARTED)] == [STARTED] * 2
            assert told(sfu.of(FINISHED)[1])["interrupted"] is True


@pytest.mark.model
async def test_the_shipped_model_speaks() -> None:
    generator = await PortraitGenerator.open(size=256)
    items = aiter(generator)
    try:
        await pull(items, pictures(3))
        await say(generator, 0.8)
        spoken = await pull(items, ended)
        frames = [item for item in spoken if isinstance(item, rtc.VideoFrame)]
        assert len(frames) == pytest.approx(20, abs=3)
        assert len({bytes(frame.data) for frame in frames}) > 10
    finally:
        await generator.aclose()
