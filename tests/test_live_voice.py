"""A voice through the whole line in virtual time: jitter, a slow model, a step in load."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from server.pacing import MILLISECOND, TICK
from tests.test_line import SECOND, Rig, running

_MS = 1_000_000  # ns
_PACKET = 20 * _MS
_SECONDS = 16
_EVERY = 35  # packets from mark to mark
_LEARNED = 5 * SECOND


def tone(level: float) -> bytes:
    time = np.arange(960) / 48_000
    return (level * np.sin(2 * np.pi * 200 * time) * 32_767).astype("<i2").tobytes()


_VOICE, _MARK = tone(0.1), tone(0.9)


@dataclass
class Spoken:
    """What came of a voice.

    Attributes:
        lags: ms from when a marked packet was sent to when its picture left, after learning.
        gaps: ms between packets of sound.
        unsaid: packets in which the voice is missing.
        strays: pictures that did not leave with their sound.
        late: pictures that were dropped.
        delay: the playout delay at the end, in ms.
    """

    lags: list[float]
    gaps: list[float]
    unsaid: int
    strays: int
    late: int
    delay: float


def packets(
    jitter: float, *, phase: float = 7.0, seconds: int = _SECONDS
) -> Iterator[tuple[int, int]]:
    """Yields (sent, came) of a voice's packets, in order, each up to `jitter` ms late."""
    chance, last = random.Random(3), 0
    for index in range(seconds * 50):
        sent = SECOND // 2 + int(phase * _MS) + (index + 1) * _PACKET
        last = max(last, sent + int(chance.uniform(0, jitter) * _MS))
        yield sent, last


async def speak(
    jitter: float,
    *,
    phase: float = 7.0,
    draw_cost: float = 0.01,
    seconds: int = _SECONDS,
    meanwhile: Callable[[Rig], None] = lambda _: None,
) -> Spoken:
    async with running(draw_cost=draw_cost) as rig:
        rig.line.microphone.switch("puppet")
        marks = []
        for index, (sent, came) in enumerate(packets(jitter, phase=phase, seconds=seconds)):
            await rig.clock.run_until(came)
            is_mark = index % _EVERY == 20
            if is_mark:
                marks.append(sent)
            pcm = _MARK if is_mark else _VOICE
            rig.line.microphone.push(pcm, sample_rate=48_000, channels=1)
            meanwhile(rig)
        return summary(rig, marks)


def summary(rig: Rig, marks: list[int]) -> Spoken:
    left = {start: instant for instant, start, _ in rig.audience.sounds}
    loud = rig.loudness()
    shown = {start: instant for instant, start, _ in rig.audience.pictures}
    onsets = [s for s in loud if loud[s] > 0.5 and loud.get(s - TICK, 0) <= 0.5]
    lags = []
    for sent in marks:
        onset = next((s for s in onsets if left[s] > sent), None)
        if onset is not None and sent > _LEARNED and onset // 640 * 640 in shown:
            lags.append((shown[onset // 640 * 640] - sent) / _MS)
    began = min(s for s in loud if loud[s] > 0.05)
    return Spoken(
        lags=lags,
        gaps=[float(gap) / _MS for gap in np.diff(list(left.values()))],
        unsaid=sum(level < 0.05 for start, level in loud.items() if start > began),
        strays=sum(instant != left[start] for start, instant in shown.items()),
        late=rig.line.late_frames,
        delay=rig.line._media_clock.delay.samples / MILLISECOND,
    )


@pytest.mark.parametrize("phase", [0.0, 7.0, 19.0, 27.0, 39.0])
async def test_a_steady_voice_waits_for_chunk_and_lookahead_and_little_more(phase: float) -> None:
    spoken = await speak(0, phase=phase)
    assert len(spoken.lags) > 10
    # 120 until the model has heard enough, 20 for the packet that completes the block, 10 to draw.
    assert np.percentile(spoken.lags, 95) <= 120 + 20 + 10 + 15
    assert spoken.unsaid == spoken.strays == 0
    assert spoken.late <= 3


@pytest.mark.parametrize(("jitter", "most"), [(10, 180), (30, 200), (60, 245)])
async def test_jitter_costs_what_it_is_and_no_sound(jitter: float, most: float) -> None:
    spoken = await speak(jitter)
    assert np.percentile(spoken.lags, 95) <= most
    assert spoken.unsaid == spoken.strays == 0
    assert spoken.late <= 6
    assert min(spoken.gaps) >= 18
    assert max(spoken.gaps) <= 41


async def test_a_slow_model_costs_its_own_time() -> None:
    fast, slow = await speak(0, draw_cost=0.005), await speak(0, draw_cost=0.03)
    cost = np.median(slow.lags) - np.median(fast.lags)
    assert 10 <= cost <= 30
    assert slow.late <= 6
    assert slow.unsaid == slow.strays == 0


async def test_a_step_in_load_grows_the_delay_at_once_and_calm_gives_it_back() -> None:
    delays: list[float] = []

    def load(rig: Rig) -> None:
        now = rig.clock.now()
        rig.inference.cost = (35 if 6 * SECOND < now < 8 * SECOND else 5) * _MS
        delays.append(rig.line._media_clock.delay.samples / MILLISECOND)

    spoken = await speak(0, seconds=150, meanwhile=load)  # it keeps it for two minutes
    assert max(delays) >= 155
    assert spoken.delay <= 143
    assert spoken.late <= 8
    assert spoken.unsaid == 0
    assert spoken.strays <= 8  # a picture may leave up to 20 ms after its sound
    assert min(spoken.gaps) >= 18
    assert max(spoken.gaps) <= 41


async def test_a_stall_of_the_network_is_silence_and_its_backlog_goes_in_a_pause() -> None:
    async with running(draw_cost=0.01) as rig:
        lane = rig.line.microphone
        lane.switch("puppet")
        for index in range(12 * 50):
            in_stall = 150 <= index < 165  # 300 ms, which all come at once at its end
            if not in_stall:
                await rig.clock.run_until(SECOND // 2 + (index + 1) * _PACKET)
            is_pause = 250 <= index < 300
            lane.push(tone(0.0 if is_pause else 0.1), sample_rate=48_000, channels=1)
            if index == 148:
                await rig.clock.run_until(SECOND // 2 + 165 * _PACKET)
        waiting = lane.samples
        starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))
    assert waiting <= 60 * 16


async def test_a_microphone_that_pauses_sending_costs_a_picture_at_most() -> None:
    """Opus's DTX: in silence one packet every 400 ms."""
    async with running(draw_cost=0.01) as rig:
        lane = rig.line.microphone
        lane.switch("puppet")
        skipped = 0
        for index in range(16 * 50):
            await rig.clock.run_until(SECOND // 2 + (index + 1) * _PACKET)
            is_pause = index // 100 % 2 == 1
            if is_pause and index % 20:
                skipped += 960
                continue
            pcm = tone(0.0) if is_pause else _VOICE
            lane.push(pcm, sample_rate=48_000, channels=1, missing=skipped)
            skipped = 0
        loud = rig.loudness()
        assert rig.line.frame_rate.pictures_per_second == 25
        assert rig.line.late_frames <= 4 * 3
        assert rig.line._media_clock.delay.samples <= 190 * MILLISECOND
    starts = [start for _, start, _ in rig.audience.sounds]
    assert starts == list(range(0, len(starts) * TICK, TICK))
    assert sum(level > 0.05 for level in loud.values()) >= 4 * 98
