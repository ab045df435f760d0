"""The log of stages in virtual time: in order, bounded, and honest about what was not sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from server.picture import Picture, Span
from server.sound_log import SoundLog
from server.speech import SpeechQueue
from server.stages import LENGTH
from streaming_model.media import MotionChunk, VideoFrame
from tests.live_fakes import FakeAvatar, FakeState
from tests.test_line import FRAME, SECOND, Rig, hum, running
from tests.test_vad import vowel
from tests.virtual_time import VirtualClock

MILLISECOND = 1_000_000  # ns


def instants(picture: Picture) -> Iterator[int]:
    """Yields what an encoded picture went through, in the order in which it should."""
    assert picture.due is not None
    assert picture.released is not None
    yield picture.composed
    yield from ends(picture.motion)
    yield from ends(picture.render)
    yield picture.released
    yield from ends(picture.encode)


def ends(span: Span | None) -> tuple[int, int, int]:
    assert span is not None
    assert span.started is not None
    assert span.done is not None
    return span.queued, span.started, span.done


def encoded(rig: Rig) -> list[Picture]:
    return [picture for picture in rig.line.stages.pictures() if picture.outcome == "encoded"]


async def test_the_stages_of_every_picture_follow_each_other() -> None:
    async with running(draw_cost=0.012) as rig:
        rig.audience.encode_cost = 5 * MILLISECOND
        await rig.run(1)
        rig.say(1, 2.0)
        await rig.run(4)
        pictures = encoded(rig)
        assert len(pictures) > 100
        for picture in pictures:
            times = list(instants(picture))
            assert times == sorted(times)
            assert picture.due is not None
            assert picture.released is not None
            assert picture.shown is not None
            # It is encoded ahead, and waits until it is due.
            if picture.media_time > 0:  # the first has nothing before it to wait for
                assert abs(picture.released - picture.due) <= 20 * MILLISECOND
            assert 0 <= picture.shown - picture.due < 20 * MILLISECOND
            _, started, done = ends(picture.encode)
            assert done - started == 5 * MILLISECOND
            queued, _, drawn = ends(picture.render)
            assert drawn - queued >= 12 * MILLISECOND
        shown = [media_time for _, media_time, _ in rig.audience.pictures]
        assert [picture.media_time for picture in pictures] == shown[: len(pictures)]


async def test_latency_is_from_the_sound_to_its_picture_s_leaving() -> None:
    async with running(draw_cost=0.01) as rig:
        rig.audience.encode_cost = 5 * MILLISECOND
        rig.line.microphone.switch("puppet")
        pushed = [0]
        for packet in packets(vowel(2.0)):
            rig.line.microphone.push(packet, sample_rate=16_000, channels=1)
            pushed.append(rig.clock.now())
            await rig.run(0.02)
        rig.say(1, 1.0)
        await rig.run(2)
        by_source = {"voice": 0, "queue": 0, "silence": 0}
        for picture in encoded(rig):
            by_source[picture.source] += 1
            _, _, done = ends(picture.encode)
            assert picture.latency is not None
            assert picture.shown is not None
            assert picture.shown >= done
            if picture.source == "voice":
                assert picture.arrived in pushed
                assert picture.arrived <= picture.composed
                assert picture.latency == picture.shown - picture.arrived
                assert picture.latency < 400 * MILLISECOND
            else:
                assert (picture.arrived is None) == (picture.source == "silence")
                assert picture.latency == picture.shown - picture.composed
        assert by_source["voice"] > 40
        assert by_source["queue"] > 20
        counted = rig.totals.latency
        assert {source: sum(counted[source].counts) for source in counted} == by_source


def packets(speech: NDArray[np.float32]) -> Iterator[bytes]:
    for start in range(0, len(speech), 320):
        yield (3 * speech[start : start + 320] * 32767).astype("<i2").tobytes()


async def test_an_interruption_tells_which_pictures_it_dropped() -> None:
    async with running(draw_cost=0.01) as rig:
        await rig.run(1)
        rig.say(1, 5.0)
        await rig.run(1)
        asked = rig.clock.now()
        rig.line.interrupt(2)
        await rig.run(1)
        pictures = rig.line.stages.pictures()
        dropped = [picture for picture in pictures if picture.reason == "interrupted"]
        assert len(dropped) >= 3
        assert {picture.outcome for picture in dropped} == {"dropped"}
        assert {picture.utterance for picture in dropped} == {1}
        assert not [picture for picture in dropped if picture.encode is not None]
        for picture in dropped:
            again = [other for other in pictures if other.media_time == picture.media_time]
            assert again[-1].composed == asked
            assert again[-1].utterance == 2
            assert again[-1].outcome == "encoded"
        gone = [item for item in pictures if item.media_time < rig.line.timeline.position - FRAME]
        assert not [item for item in gone if item.outcome == "under_way"]
        assert rig.totals.interruptions == 1
        assert rig.totals.dropped["interrupted"] == len(dropped)


async def test_a_text_that_begins_in_silence_tells_what_it_replaced() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.say(1, 1.0)
        await rig.run(1)
        replaced = [item for item in rig.line.stages.pictures() if item.reason == "redrawn"]
        assert replaced
        assert {(item.outcome, item.source) for item in replaced} == {("dropped", "silence")}
        assert rig.totals.dropped["redrawn"] == len(replaced)


async def test_late_pictures_are_told_and_counted_as_the_line_counts_them() -> None:
    async with running(draw_cost=0.055) as rig:
        await rig.run(3)
        late = [item for item in rig.line.stages.pictures() if item.outcome == "late"]
        assert late
        assert {item.reason for item in late} <= {"model", "renderer"}
        assert sum(rig.totals.late.values()) == len(late) == rig.line.late_frames
        left_out = [item for item in rig.line.stages.pictures() if item.reason == "rate"]
        assert {item.outcome for item in left_out} == {"skipped"}


async def test_what_waits_too_long_for_the_encoder_is_late() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.audience.encode_cost = SECOND
        await rig.run(2)
        rig.audience.encode_cost = 0
        await rig.run(2)
        late = [item for item in rig.line.stages.pictures() if item.reason == "encoder"]
        assert late
        assert len(late) == rig.totals.late["encoder"] == rig.line.late_frames
        for item in late:
            assert item.encode is None
            assert item.released is not None


async def test_the_ring_holds_the_latest_and_forgets_all_when_the_line_ends() -> None:
    async with running() as rig:
        await rig.run(15)
        pictures = rig.line.stages.pictures()
        assert len(rig.line.stages) == len(pictures) == LENGTH
        starts = [picture.media_time for picture in pictures]
        assert starts == list(range(starts[0], starts[0] + LENGTH * FRAME, FRAME))
        assert rig.line.timeline.position < starts[-1]
        evicted = rig.line.stages.find(0)
        assert evicted not in pictures
    assert len(rig.line.stages) == 0


class TwiceAvatar(FakeAvatar):
    """Draws two pictures for every frame of motion, as at 50 a second."""

    def render(
        self, state: FakeState, chunks: Iterable[MotionChunk], /
    ) -> tuple[FakeState, list[VideoFrame]]:
        after, frames = super().render(state, chunks)
        both = [(frame, VideoFrame(frame.start + FRAME // 2, frame.image)) for frame in frames]
        return after, [frame for pair in both for frame in pair]


class HalfAvatar(FakeAvatar):
    """Draws a picture for every other frame of motion."""

    def render(
        self, state: FakeState, chunks: Iterable[MotionChunk], /
    ) -> tuple[FakeState, list[VideoFrame]]:
        after, frames = super().render(state, chunks)
        return after, [frame for frame in frames if frame.start % (2 * FRAME) == 0]


async def test_at_fifty_pictures_a_second_each_has_a_record() -> None:
    async with running(avatar=TwiceAvatar(size=64, fps=50)) as rig:
        await rig.run(2)
        starts = sorted(picture.media_time for picture in encoded(rig))
        assert len(starts) > 80
        assert starts == list(range(0, len(starts) * FRAME // 2, FRAME // 2))
        assert starts == [media_time for _, media_time, _ in rig.audience.pictures][: len(starts)]


async def test_at_fewer_pictures_a_second_motion_without_one_is_skipped() -> None:
    async with running(avatar=HalfAvatar(size=64)) as rig:
        await rig.run(2)
        starts = [picture.media_time for picture in encoded(rig)]
        assert starts == list(range(0, len(starts) * 2 * FRAME, 2 * FRAME))
        skipped = [item for item in rig.line.stages.pictures() if item.outcome == "skipped"]
        assert len(skipped) >= len(starts) - 1
        assert {item.reason for item in skipped} == {"rate"}
        assert not sum(rig.totals.late.values())


async def test_a_picture_lost_to_another_portrait_says_so() -> None:
    async with running(draw_cost=0.03) as rig:
        await rig.run(1.005)
        rig.line.animator.change_avatar(FakeAvatar(size=64))
        await rig.run(1)
        lost = [item for item in rig.line.stages.pictures() if item.reason == "portrait"]
        assert lost
        assert {item.outcome for item in lost} == {"dropped"}
        assert rig.totals.dropped["portrait"] == len(lost)


async def test_of_several_viewers_the_first_packet_and_the_last_count() -> None:
    async with running() as rig:
        await rig.run(1)
        picture, stages = encoded(rig)[-1], rig.line.stages
        pts = picture.media_time * 90 // 16
        for is_over in (False, False, True, True):
            rig.clock.jump(MILLISECOND)
            stages.leave(pts, is_over)
        stages.leave(pts + 1, True)  # a picture that nobody knows
        assert picture.outcome == "sent"
        assert picture.first is not None
        assert picture.last == picture.first + 3 * MILLISECOND
        assert rig.totals.sent == 1
        assert sum(rig.totals.stages["send"].counts) == 1


async def test_a_microphone_that_nobody_says_leaves_no_trail() -> None:
    async with running() as rig:
        rig.line.microphone.switch("puppet")
        rig.say(1, 6.0)
        for packet in packets(vowel(5.0)):
            rig.line.microphone.push(packet, sample_rate=16_000, channels=1)
            await rig.run(0.02)
        assert len(rig.line._sources._voiced) <= 32  # 600 ms wait at most


def test_each_utterance_knows_when_its_own_sound_came() -> None:
    clock = VirtualClock()
    queue = SpeechQueue(now=clock.now)
    queue.open(1)
    queue.open(2)
    for number in (1, 2, 1):
        clock.jump(10)
        queue.append(number, hum(0.04))
    queue.complete(1)
    arrived = []
    for start in range(3):
        assert queue.take(start * FRAME) is not None
        arrived.append(queue.arrived)
    assert arrived == [10, 30, 20]


def test_sound_is_known_by_what_waits_behind_it() -> None:
    log = SoundLog()
    assert log.arrival(0) is None
    log.note(320, 10)
    log.note(320, 20)
    log.note(320, 30)
    assert log.arrival(320) == 20
    assert log.arrival(319) == 30
    assert log.arrival(0) == 30
    assert log.arrival(5000) is None


def test_a_span_keeps_its_first_beginning_and_its_last_end() -> None:
    clock = VirtualClock()
    span = Span(clock)
    for _ in range(2):
        clock.jump(10)
        with span:
            clock.jump(5)
    assert (span.queued, span.started, span.done) == (0, 10, 30)
