"""The straight line in virtual time: whole conversations in milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from server.audience import Audience, EncodedPicture
from server.direction import Direction
from server.inference import AvatarPort, AvatarState, Inference, WorkSpan
from server.ingest import AlignedAudio
from server.line import Engines, LiveLine
from server.pacing import TICK
from server.stage_totals import Totals
from server.timeline import Mark
from streaming_model.media import MotionChunk, VideoFrame
from streaming_model.motion.style import MotionStyle
from tests.live_fakes import FakeAvatar, FakeMotion
from tests.virtual_time import InlineExecutor, VirtualClock

SECOND = 1_000_000_000  # ns
FRAME = 640  # samples


class SlowInference(Inference):
    """Takes virtual time to draw."""

    def __init__(self, clock: VirtualClock, cost: int) -> None:
        super().__init__(InlineExecutor())
        self._clock, self.cost = clock, cost

    async def draw(
        self,
        avatar: AvatarPort,
        state: AvatarState,
        chunk: MotionChunk,
        span: WorkSpan | None = None,
        *,
        due: int = 0,
    ) -> tuple[AvatarState, list[VideoFrame]]:
        await self._clock.sleep_until(self._clock.now() + self.cost)
        return await super().draw(avatar, state, chunk, span, due=due)


class RecordingAudience(Audience):
    """Keeps what leaves, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        worker = InlineExecutor()
        super().__init__(
            size=64, fps=25, bitrate=100_000, picture_worker=worker, sound_worker=worker
        )
        self._clock = clock
        self.sounds: list[tuple[int, int, NDArray[np.float32]]] = []
        self.pictures: list[tuple[int, int, int]] = []  # (instant, media time, bar height)
        self.begun: list[tuple[int, int]] = []  # (instant of its encoding, media time)
        self.encode_cost = 0  # ns

    def __len__(self) -> int:
        return 1

    async def encode(
        self, image: NDArray[np.uint8], media_time: int, span: WorkSpan | None = None
    ) -> EncodedPicture:
        self.begun.append((self._clock.now(), media_time))
        with span or nullcontext():
            if self.encode_cost:
                await self._clock.sleep_until(self._clock.now() + self.encode_cost)
        return EncodedPicture(image, media_time, {})

    def show(self, picture: EncodedPicture) -> None:
        image = picture.image
        height = int((image[:, image.shape[1] // 2, 0] == 255).sum())
        self.pictures.append((self._clock.now(), picture.media_time, height))

    async def play(
        self, sound: NDArray[np.float32], media_time: int, ahead: NDArray[np.float32]
    ) -> None:
        self.sounds.append((self._clock.now(), media_time, sound))


@dataclass
class Rig:
    clock: VirtualClock
    line: LiveLine
    audience: RecordingAudience
    inference: SlowInference
    direction: Direction
    totals: Totals
    marks: list[tuple[int, Mark]] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        await self.clock.run_until(self.clock.now() + int(seconds * SECOND))

    def say(self, number: int, seconds: float) -> None:
        self.line.queue.open(number)
        self.line.queue.append(number, hum(seconds), "words")
        self.line.queue.complete(number)

    def first_sound(self) -> int:
        """Returns the instant at which the first speech left."""
        return min(at for at, _, sound in self.audience.sounds if np.abs(sound).max() > 0.1)

    def loudness(self) -> dict[int, float]:
        return {start: float(np.abs(sound).max()) for _, start, sound in self.audience.sounds}


def hum(seconds: float) -> AlignedAudio:
    time = np.arange(int(48_000 * seconds)) / 48_000
    sound = (0.3 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
    return AlignedAudio(sound[::3].copy(), sound)


@asynccontextmanager
async def running(
    *,
    draw_cost: float = 0.0,
    beside: Rig | None = None,
    motion: FakeMotion | None = None,
    avatar: FakeAvatar | None = None,
) -> AsyncIterator[Rig]:
    """Runs a line, alone or with the clock and the inference of another."""
    clock = beside.clock if beside else VirtualClock()
    inference = beside.inference if beside else SlowInference(clock, int(draw_cost * SECOND))
    worker = InlineExecutor()
    audience = RecordingAudience(clock)
    marks: list[tuple[int, Mark]] = []
    direction, totals = Direction(MotionStyle()), Totals()
    line = LiveLine(
        avatar=avatar or FakeAvatar(size=64, motion=motion or FakeMotion()),
        seed=0,
        direction=direction,
        chunk_frames=2,
        lookahead_frames=2,
        engines=Engines(inference, worker, worker, clock, totals),
        audience=audience,
        on_audible=lambda found, start: marks.extend((start, mark) for mark in found),
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(line.run())
        line.begin()
        yield Rig(clock, line, audience, inference, direction, totals, marks)
        task.cancel()


async def test_idle_sends_an_unbroken_stream_of_silence_and_rest() -> None:
    async with running() as rig:
        await rig.run(10)
    starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))
    assert len(starts) >= 480
    pictures = [start for _, start, _ in rig.audience.pictures]
    assert pictures == list(range(0, len(pictures) * FRAME, FRAME))
    assert max(rig.loudness().values()) == 0
    assert {height for _, _, height in rig.audience.pictures} == {0}
    assert rig.line.timeline.late_frames == 0


async def test_sound_and_picture_of_one_instant_leave_at_the_same_instant() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.say(1, 2.0)
        await rig.run(4)
    left = {start: instant for instant, start, _ in rig.audience.sounds}
    assert all(left[start] == instant for instant, start, _ in rig.audience.pictures)
    loud = rig.loudness()
    spoken = [start for start, level in loud.items() if level > 0.1]
    assert len(spoken) == 100
    for _, start, height in rig.audience.pictures:
        assert (height > 20) == (loud[start] > 0.1)


async def test_live_sound_leaves_within_lookahead_and_margin() -> None:
    async with running() as rig:
        await rig.run(2)
        asked = rig.clock.now()
        rig.line.queue.open(1)
        for piece in range(25):
            rig.line.queue.append(1, hum(1.0)[piece * FRAME : (piece + 1) * FRAME])
            await rig.run(0.04)
        await rig.run(1)
    assert 0.16 * SECOND < rig.first_sound() - asked <= 0.26 * SECOND


async def test_a_text_need_not_wait_for_the_lookahead() -> None:
    async with running(draw_cost=0.01) as rig:
        await rig.run(2)
        asked = rig.clock.now()
        rig.say(1, 1.0)
        await rig.run(3)
    assert rig.first_sound() - asked <= 0.15 * SECOND
    starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))
    pictures = [start for _, start, _ in rig.audience.pictures]
    assert pictures == list(range(0, len(pictures) * FRAME, FRAME))
    loud = rig.loudness()
    assert sum(level > 0.1 for level in loud.values()) == 50
    for _, start, height in rig.audience.pictures:
        assert (height > 20) == (loud[start] > 0.1)
    assert rig.line.late_frames == 0


@pytest.mark.parametrize("phase", range(0, 40, 8))
@pytest.mark.parametrize("draw_cost", [0.005, 0.02])
async def test_a_text_is_heard_as_soon_as_its_first_picture_can_be_there(
    phase: int, draw_cost: float
) -> None:
    async with running(draw_cost=draw_cost) as rig:
        await rig.run(8 + phase / 1000)  # it has learned how little it needs
        asked = rig.clock.now()
        rig.say(1, 1.0)
        await rig.run(3)
    first = rig.first_sound()
    # Two pictures' time and 10 ms, then up to 20 to the next packet and 20 to the next block.
    assert first - asked <= (2 * draw_cost + 0.01 + 0.041) * SECOND
    shown = {start: (instant, height) for instant, start, height in rig.audience.pictures}
    spoken = [start for start, level in rig.loudness().items() if level > 0.1 and start in shown]
    assert len(spoken) == 25
    assert shown[spoken[0]][0] == first  # with its own picture, not one at rest
    assert all(shown[start][1] > 20 for start in spoken)
    assert rig.line.late_frames <= 2


async def test_utterances_are_announced_when_they_are_heard() -> None:
    async with running() as rig:
        rig.say(1, 1.0)
        rig.say(2, 1.0)
        await rig.run(4)
    edges = [(mark.utterance, mark.begins, mark.ends) for _, mark in rig.marks if not mark.texts]
    begins = [(start, mark.utterance) for start, mark in rig.marks if mark.begins]
    assert edges == [(1, False, True), (2, False, True)]
    assert begins == [(0, 1), (16_000, 2)]


async def test_an_interruption_silences_within_one_packet() -> None:
    async with running() as rig:
        rig.say(1, 10.0)
        rig.say(2, 10.0)
        await rig.run(3)
        stopped = rig.clock.now()
        assert rig.line.interrupt(3) == [2]
        await rig.run(3)
    old = [instant for instant, _, sound in rig.audience.sounds if np.abs(sound).max() > 0.01]
    assert max(old) - stopped <= 0.02 * SECOND
    starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))  # silence, not a gap
    pictures = [start for _, start, _ in rig.audience.pictures]
    assert pictures == list(range(0, len(pictures) * FRAME, FRAME))  # no picture stands still
    resting = [
        height for instant, _, height in rig.audience.pictures if instant - stopped > 0.08 * SECOND
    ]
    assert len(resting) > 60
    assert set(resting) == {0}


async def test_an_underrun_is_silence_and_the_rest_follows_unhurried() -> None:
    async with running() as rig:
        rig.line.queue.open(1)
        rig.line.queue.append(1, hum(1.0))
        await rig.run(2)
        rig.line.queue.append(1, hum(1.0))
        rig.line.queue.complete(1)
        await rig.run(2)
    loud = [start for start, level in rig.loudness().items() if level > 0.1]
    assert len(loud) == 100
    gaps = [gap for gap in np.diff(loud) if gap != TICK]
    assert len(gaps) == 1
    assert gaps[0] > 0.9 * 16_000


async def test_a_model_too_slow_shows_fewer_pictures_and_all_of_the_sound() -> None:
    async with running(draw_cost=0.06) as rig:
        await rig.run(1)
        rig.say(1, 5.0)
        await rig.run(9)
        assert rig.line.frame_rate.pictures_per_second == 12.5
    starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))
    instants = [instant for instant, _, _ in rig.audience.sounds]
    assert max(np.diff(instants)) <= 0.05 * SECOND
    assert rig.line.late_frames < 30  # until the rate was halved
    settled = [picture for picture in rig.audience.pictures if picture[0] > 3 * SECOND]
    assert set(np.diff([start for _, start, _ in settled])) == {2 * FRAME}  # and even ever since
    left = {start: instant for instant, start, _ in rig.audience.sounds}
    assert all(left[start] == instant for instant, start, _ in settled)
    loud = rig.loudness()
    for _, start, height in settled:
        assert (height > 20) == (loud[start] > 0.1)


async def test_a_model_a_little_too_slow_does_not_drift() -> None:
    async with running(draw_cost=0.045) as rig:
        await rig.run(30)
        assert rig.line.frame_rate.pictures_per_second == 12.5
        assert rig.line.latency <= 0.34 * 16_000
        assert rig.line.late_frames < 15


async def test_the_full_rate_comes_back_when_the_machine_is_free_again() -> None:
    async with running(draw_cost=0.06) as rig:
        await rig.run(10)
        rig.inference.cost = SECOND // 100
        freed = rig.clock.now()
        await rig.run(20)
        assert not rig.line.frame_rate.is_reduced
    starts = [start for instant, start, _ in rig.audience.pictures if instant > freed + 15 * SECOND]
    assert set(np.diff(starts)) == {FRAME}


async def test_a_machine_far_too_slow_goes_down_two_steps_and_no_further() -> None:
    async with running(draw_cost=0.13) as rig:
        await rig.run(12)
        assert rig.line.frame_rate.pictures_per_second == 6.25
    starts = [start for instant, start, _ in rig.audience.pictures if instant > 8 * SECOND]
    assert set(np.diff(starts)) == {4 * FRAME}


async def test_a_picture_that_waited_too_long_for_the_encoder_is_not_shown_late() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.audience.encode_cost = int(0.1 * SECOND)
        rig.say(1, 4.0)
        await rig.run(6)
    left = {start: instant for instant, start, _ in rig.audience.sounds}
    waits = [instant - left[start] for instant, start in rig.audience.begun]
    assert max(waits) <= 0.08 * SECOND
    assert len(rig.audience.pictures) > 25 + 30  # fewer, not none
    assert rig.line.late_frames > 5
    starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))


async def test_after_a_standstill_nothing_bursts() -> None:
    async with running() as rig:
        await rig.run(1)
        rig.clock.jump(SECOND // 2)
        resumed = rig.clock.now()
        await rig.run(1)
    after = [instant for instant, _, _ in rig.audience.sounds if instant > resumed]
    assert min(np.diff(after)) >= 0.019 * SECOND


async def test_sender_reports_stay_on_one_line_through_a_standstill() -> None:
    async with running() as rig:
        await rig.run(1)
        before = [rig.line.report_instant(start) for start in (0, 16_000)]
        rig.clock.jump(SECOND // 2)
        await rig.run(1)
    assert [rig.line.report_instant(start) for start in (0, 16_000)] == before
    assert before[1] - before[0] == SECOND


async def test_another_portrait_goes_on_in_mid_sentence() -> None:
    async with running() as rig:
        rig.say(1, 3.0)
        await rig.run(1)
        motion = rig.line.animator.avatar.motion
        assert isinstance(motion, FakeMotion)
        rig.line.animator.change_avatar(FakeAvatar(size=64, motion=motion))
        await rig.run(1)
        rig.line.animator.change_avatar(FakeAvatar(size=64, motion=FakeMotion()))
        await rig.run(3)
    assert len([level for level in rig.loudness().values() if level > 0.1]) == 150
    starts = [start for _, start, _ in rig.audience.pictures]
    assert starts == sorted(starts)
    assert starts[-1] > 4.5 * 16_000
    assert rig.audience.pictures[-1][2] == 0


async def test_nothing_is_drawn_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as rig:
        monkeypatch.setattr(RecordingAudience, "__len__", lambda _: 0)
        await rig.run(2)
        assert rig.audience.pictures == []
        assert rig.line.timeline.late_frames == 0
        monkeypatch.setattr(RecordingAudience, "__len__", lambda _: 1)
        await rig.run(1)
    starts = [start for _, start, _ in rig.audience.pictures]
    assert starts
    assert starts[0] > 1.7 * 16_000
    assert set(np.diff(starts)) == {FRAME}


@pytest.mark.parametrize("apart", [0.003, 0.04, 0.071])
async def test_sessions_begun_at_any_time_share_their_batches(apart: float) -> None:
    motion = FakeMotion()
    async with running(motion=motion) as first:
        await first.run(1 + apart)
        async with running(motion=motion, beside=first):
            await first.run(0.2)
            motion.batches.clear()
            await first.run(2)
    assert motion.batches == [2] * 50


async def test_after_a_standstill_sessions_share_their_batches_again() -> None:
    motion = FakeMotion()
    async with running(motion=motion) as first:
        await first.run(0.5)
        async with running(motion=motion, beside=first):
            await first.run(0.5)
            first.clock.jump(int(0.333 * SECOND))
            await first.run(0.5)
            motion.batches.clear()
            await first.run(2)
    assert motion.batches == [2] * 50


async def test_pictures_leave_evenly_however_long_encoding_takes() -> None:
    async with running(draw_cost=0.008) as rig:
        await rig.run(5)  # the delay learns
        for index in range(50):
            rig.audience.encode_cost = int((0.002, 0.013)[index % 2] * SECOND)
            await rig.run(0.04)
    instants = [instant for instant, _, _ in rig.audience.pictures if instant > 5.1 * SECOND]
    pauses = np.diff(instants)
    assert len(pauses) > 40
    assert np.abs(pauses - 0.04 * SECOND).max() <= 0.001 * SECOND
