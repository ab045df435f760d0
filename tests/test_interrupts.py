"""Interruptions at random moments: how much old sound still leaves, and what was heard of it."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.direction import Direction
from server.hearing import Hearing, cut
from server.inference import Inference
from server.line import Engines, LiveLine
from server.microphone_track import MicrophoneFrame
from server.protocol import ServerEvent, SpeakEnded, SpeakStarted, UserSpeechStarted
from server.speaker import Speaker, SpeakRequest, _passage
from server.speech import characters_said
from server.turns import Turns
from server.voice.base import Phone, SpeechClause
from streaming_model.motion.style import MotionStyle
from tests.live_fakes import FakeAvatar, FakeVoice
from tests.test_line import RecordingAudience, hum
from tests.test_vad import vowel
from tests.virtual_time import InlineExecutor, VirtualClock, settle

SECOND = 1_000_000_000  # ns
MILLISECOND = 1_000_000  # ns


class ManyClocks(VirtualClock):
    """Virtual time for many sessions at once: all who wait for an instant wake together."""

    async def run_until(self, instant: int) -> None:
        await settle()
        while self._sleepers and self._sleepers[0][0] <= instant:
            self._now = self._sleepers[0][0]
            while self._sleepers and self._sleepers[0][0] == self._now:
                waiting = heapq.heappop(self._sleepers)[2]
                if not waiting.done():
                    waiting.set_result(None)
            await settle()
        self._now = instant


class LateExecutor(Executor):
    """Does the work at once and hands it over later, as a voice that has to think."""

    def __init__(self, clock: VirtualClock, pick_delay: Callable[[], int]) -> None:
        self._clock, self._pick_delay = clock, pick_delay
        self._waiting: set[asyncio.Task[None]] = set()

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        later = self._resolve(future, fn(*args, **kwargs))
        task = asyncio.get_running_loop().create_task(later)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return future

    async def _resolve(self, future: Future[Any], result: object) -> None:
        await self._clock.sleep_until(self._clock.now() + self._pick_delay())
        future.set_result(result)


@dataclass
class Rig:
    """One session less its sockets."""

    clock: VirtualClock
    line: LiveLine
    audience: RecordingAudience
    turns: Turns
    speaker: Speaker
    hearing: Hearing
    events: list[ServerEvent] = field(default_factory=list)

    def say(self, text: str) -> int:
        number = self.turns.open()
        self.line.queue.open(number)
        self.speaker.request(SpeakRequest(number, text, "hum"))
        return number

    def interrupt(self) -> None:
        self.events += cut(self.line, self.turns)

    def last_loud_after(self, instant: int) -> int:
        """Returns for how many nanoseconds after `instant` something was still heard."""
        last = instant
        for at, _, sound in reversed(self.audience.sounds):
            if at <= instant:
                break
            if np.abs(sound).max() > 0.01:
                last = max(last, at)
        return last - instant

    def ended(self) -> list[SpeakEnded]:
        return [event for event in self.events if isinstance(event, SpeakEnded)]


def make_rig(clock: VirtualClock, *, seed: int = 0, barge_in: int | None = 0) -> Rig:
    delays = random.Random(seed)
    worker = InlineExecutor()
    audience = RecordingAudience(clock)
    turns, events = Turns(), list[ServerEvent]()
    line = LiveLine(
        avatar=FakeAvatar(size=16),
        seed=0,
        direction=Direction(MotionStyle()),
        chunk_frames=2,
        lookahead_frames=2,
        engines=Engines(Inference(worker), worker, worker, clock),
        audience=audience,
        on_audible=lambda marks, start: events.extend(turns.audible(marks, start)),
    )

    async def open_voice(name: str) -> FakeVoice:
        return FakeVoice(name)

    late = LateExecutor(clock, lambda: delays.randrange(0, 250, 10) * MILLISECOND)
    speaker = Speaker(
        queue=line.queue,
        open_voice=open_voice,
        publish=events.extend,
        worker_for=lambda _, **__: late,
        clock=clock,
    )
    hearing = Hearing(line=line, turns=turns, publish=events.extend, clock=clock, barge_in=barge_in)
    return Rig(clock, line, audience, turns, speaker, hearing, events)


@asynccontextmanager
async def running(rigs: Sequence[Rig]) -> AsyncIterator[VirtualClock]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(rig.line.run()) for rig in rigs]
        tasks += [group.create_task(rig.speaker.run()) for rig in rigs]
        for rig in rigs:
            rig.line.begin()
        yield rigs[0].clock
        for task in tasks:
            task.cancel()


@pytest.mark.wide
async def test_after_a_thousand_interruptions_nothing_old_is_heard_for_long() -> None:
    """Before the first sound, in it, between sentences and after the last one."""
    clock = ManyClocks()
    rigs = [make_rig(clock, seed=seed) for seed in range(25)]
    moments = random.Random(0)
    late: list[int] = []
    phases = {"before": 0, "during": 0}
    async with running(rigs):
        await clock.run_until(SECOND // 2)
        for _ in range(40):
            for rig in rigs:
                rig.say("Four. Five. Sixes.")
            begins = clock.now()
            plan = sorted(
                (moments.randrange(0, 900, 5) * MILLISECOND, index) for index in range(25)
            )
            asked: dict[int, int] = {}
            for wait, index in plan:
                await clock.run_until(begins + wait)
                speaking = rigs[index].turns.speaking
                phases["before" if speaking is None else "during"] += 1
                rigs[index].interrupt()
                asked[index] = clock.now()
            await clock.run_until(begins + 1_150 * MILLISECOND)
            late += [rigs[index].last_loud_after(instant) for index, instant in asked.items()]
            for rig in rigs:
                rig.audience.sounds.clear()
                rig.audience.pictures.clear()
    assert len(late) == 1_000
    assert min(phases.values()) > 150, phases
    assert np.percentile(late, 95) <= 100 * MILLISECOND
    assert max(late) <= 200 * MILLISECOND
    for rig in rigs:
        begun = [event.utterance for event in rig.events if isinstance(event, SpeakStarted)]
        numbers = [event.utterance for event in rig.ended()]
        assert len(numbers) == len(set(numbers)) == 40  # whoever waits for an end gets one
        assert set(begun) <= set(numbers)


async def test_what_was_composed_and_not_heard_is_told_to_have_ended() -> None:
    clock = VirtualClock()
    rig = make_rig(clock)
    async with running([rig]):
        await clock.run_until(SECOND)
        number = rig.turns.open()
        rig.line.queue.open(number)
        push(rig, 0.05)
        rig.line.queue.complete(number)
        while not rig.line.timeline.holds_speech:
            await clock.run_until(clock.now() + 5 * MILLISECOND)
        assert rig.turns.speaking is None
        assert rig.line.queue.is_empty
        rig.interrupt()
        await clock.run_until(2 * SECOND)
    (ended,) = rig.ended()
    assert (ended.utterance, ended.interrupted) == (number, True)
    assert (ended.spoken_ms, ended.spoken_characters) == (0, 0)
    assert not any(isinstance(event, SpeakStarted) for event in rig.events)


async def test_a_text_heard_to_its_end_is_told_in_full() -> None:
    clock = VirtualClock()
    rig = make_rig(clock)
    text = "One two three.Four five"
    async with running([rig]):
        await clock.run_until(SECOND)
        rig.say(text)
        await clock.run_until(6 * SECOND)
    (ended,) = rig.ended()
    letters = len("One two three") + len("Four five")  # the fake hums 50 ms for each
    assert (ended.spoken_ms, ended.spoken_characters) == (50 * letters, len(text))


@pytest.mark.parametrize("after_ms", [100, 730, 1_400])
async def test_an_interrupted_text_is_told_as_far_as_it_was_heard(after_ms: int) -> None:
    clock = VirtualClock()
    rig = make_rig(clock)
    text = "one two three four five six seven eight nine ten"
    async with running([rig]):
        await clock.run_until(SECOND)
        rig.say(text)
        while rig.turns.speaking is None:
            await clock.run_until(clock.now() + 5 * MILLISECOND)
        await clock.run_until(clock.now() + after_ms * MILLISECOND)
        rig.interrupt()
        await clock.run_until(6 * SECOND)
    (ended,) = rig.ended()
    heard = sum(np.abs(sound).max() > 0.1 for _, _, sound in rig.audience.sounds)
    # The packet that was fading out when it was cut is not counted.
    assert ended.spoken_ms in (20 * heard, 20 * (heard - 1))
    assert ended.spoken_characters is not None
    said = text[: ended.spoken_characters]
    letters = ended.spoken_ms / 50
    assert len(said) <= letters
    assert letters - len(said) < 7  # less than a word
    assert said == "" or text[ended.spoken_characters] == " "


async def test_silence_while_a_voice_thinks_is_not_counted_as_spoken() -> None:
    clock = VirtualClock()
    rig = make_rig(clock)
    async with running([rig]):
        await clock.run_until(SECOND)
        rig.line.queue.open(rig.turns.open())
        push(rig, 0.5)
        await clock.run_until(3 * SECOND)
        push(rig, 0.3)
        await clock.run_until(5 * SECOND)
        rig.interrupt()
    (ended,) = rig.ended()
    assert (ended.spoken_ms, ended.spoken_characters) == (800, None)


def push(rig: Rig, seconds: float) -> None:
    rig.line.queue.append(rig.turns.utterance, hum(seconds))


def test_pauses_and_phones_tell_where_words_are() -> None:
    phones = (Phone("sil", 0, 2_400), Phone("ə", 2_400, 12_000), Phone("sil", 12_000, 24_000))
    clause = SpeechClause("ab cd", 10, 15, 24_000, np.zeros(24_000, np.float32), phones, ())
    passage = _passage(clause)
    assert (passage.start, passage.end) == (1_600, 8_000)
    positions = (0, 1_600, 4_800, 7_900, 8_000, 16_000)
    assert [characters_said([passage], at) for at in positions] == [0, 0, 12, 12, 15, 15]


def speak_into(rig: Rig, sound: NDArray[np.float32]) -> Iterator[None]:
    """Lets a viewer say 16 kHz sound, 20 ms at a time."""
    for piece in np.array_split(3 * sound, len(sound) // 320):
        pcm = (np.clip(np.repeat(piece, 3), -1, 1) * 32767).astype("<i2").tobytes()
        rig.hearing.take("viewer", MicrophoneFrame(pcm, 48_000, 1))
        yield


@pytest.mark.parametrize(
    ("barge_in", "expected_ms"), [(0, (0, 20)), (400 * 16, (280, 380)), (None, None)]
)
async def test_the_policy_decides_when_a_voice_interrupts(
    barge_in: int | None, expected_ms: tuple[int, int] | None
) -> None:
    clock = VirtualClock()
    rig = make_rig(clock, barge_in=barge_in)
    rig.line.microphone.switch("listen")
    noticed: int | None = None
    stopped: int | None = None
    async with running([rig]):
        await clock.run_until(SECOND)
        rig.say("x" * 100)
        while rig.turns.speaking is None:
            await clock.run_until(clock.now() + 5 * MILLISECOND)
        for _ in speak_into(rig, vowel(1.5, pitch=180)):
            await clock.run_until(clock.now() + 20 * MILLISECOND)
            if noticed is None and any(isinstance(e, UserSpeechStarted) for e in rig.events):
                noticed = clock.now()
            if stopped is None and rig.ended():
                stopped = clock.now()
    assert noticed is not None
    if expected_ms is None:
        assert stopped is None
    else:
        assert stopped is not None
        assert expected_ms[0] <= (stopped - noticed) // MILLISECOND <= expected_ms[1]


async def test_a_short_sound_does_not_interrupt_when_half_a_second_is_asked_for() -> None:
    clock = VirtualClock()
    rig = make_rig(clock, barge_in=500 * 16)
    rig.line.microphone.switch("listen")
    async with running([rig]):
        await clock.run_until(SECOND)
        rig.say("x" * 100)
        await clock.run_until(2 * SECOND)
        sound = np.concatenate([vowel(0.3, pitch=180), np.zeros(16_000, np.float32)])
        for _ in speak_into(rig, sound):
            await clock.run_until(clock.now() + 20 * MILLISECOND)
    assert any(isinstance(event, UserSpeechStarted) for event in rig.events)
    assert not rig.ended()
