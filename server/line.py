"""The straight line of one live session: audio, motion, pictures, and out together.

Four loops joined by bounded channels: `compose` makes a block of audio every 40 ms from what
is to be said or from silence, `animate` turns blocks into pictures, `release` lets sound and
pictures leave when the media clock says so, `show` encodes the pictures. It decides nothing
about turns and knows no protocol: what became audible is handed to `on_audible`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from server.audience import Audience
from server.channel import Channel, Overflow
from server.clock import Clock
from server.inference import AvatarPort, Inference
from server.microphone import MicrophoneLane
from server.pacing import (
    MILLISECOND,
    TICK,
    DelayLimits,
    Pace,
    PlayoutDelay,
    Schedule,
    pace,
    to_samples,
)
from server.speech import BLOCK, Block, SpeechQueue, silent_block
from server.timeline import Mark, Timeline
from streaming_model.media import (
    SAMPLES_PER_MOTION_FRAME,
    AudioChunk,
    MotionChunk,
    VideoFrame,
)

_BLOCKS = 50  # two seconds of audio may wait for the model
_PICTURES = 4
_STALL = 100 * MILLISECOND  # behind by more, the media clock pauses instead of bursting
_RETRY = 5_000_000  # ns
_MARGIN = 60 * MILLISECOND  # first guess of what computing costs on top of the lookahead
_MOST_MARGIN = 400 * MILLISECOND
_SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class Engines:
    """What all sessions share: the model's thread, the encoders' threads and the clock."""

    inference: Inference
    picture_worker: Executor
    sound_worker: Executor
    speech_worker: Executor
    clock: Clock


class LiveLine:
    """One session's media.

    Attributes:
        avatar: the portrait that speaks.
        utterance: the number that silence carries now.
        queue: what waits to be said.
        microphone: the live voice.
        timeline: what was made and has not left.
        draw_cost: smoothed time to draw a picture, in 16 kHz samples.
    """

    def __init__(
        self,
        *,
        avatar: AvatarPort,
        seed: int,
        chunk_frames: int,
        lookahead_frames: int,
        engines: Engines,
        audience: Audience,
        on_audible: Callable[[Sequence[Mark], int], None],
    ) -> None:
        self.avatar = avatar
        self.utterance = 0
        self.queue = SpeechQueue()
        self.microphone = MicrophoneLane()
        self.timeline: Timeline[VideoFrame] = Timeline()
        self.draw_cost = 0.0
        self._seed = seed
        self._inference = engines.inference
        self._clock = engines.clock
        self._audience = audience
        self._on_audible = on_audible
        self._state = avatar.start(seed=seed)
        self._lost_cadence = False
        self._schedule = Schedule(0)
        self._delay = PlayoutDelay(_limits(chunk_frames, lookahead_frames))
        self._begun = asyncio.Event()
        self._blocks: Channel[Block] = Channel(_BLOCKS, Overflow.REFUSE)
        self._pictures: Channel[VideoFrame] = Channel(_PICTURES, Overflow.DROP_OLDEST)

    @property
    def latency(self) -> int:
        """Samples from a microphone's sound to its leaving with its picture."""
        return self._delay.samples + self.microphone.samples

    def begin(self) -> None:
        """Starts the media clock; later calls change nothing."""
        if not self._begun.is_set():
            self._schedule = Schedule(self._clock.now())
            self._begun.set()

    def instant(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, at which `media_time` is due to leave."""
        return self._schedule.instant(media_time + self._delay.samples)

    def change_avatar(self, avatar: AvatarPort) -> None:
        """Lets another portrait go on speaking from the next picture on."""
        fresh = avatar.start(seed=self._seed)
        if avatar.motion is self.avatar.motion:
            fresh = dataclasses.replace(fresh, motion=self._state.motion)
        self.avatar, self._state = avatar, fresh

    def interrupt(self, floor: int) -> list[int]:
        """Drops all speech below utterance `floor`; returns what had not been heard at all."""
        self.utterance = floor
        unheard = self.queue.drop_before(floor)
        self.timeline.interrupt(floor)
        return unheard

    async def run(self) -> None:
        """Runs the line until cancelled."""
        await self._begun.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._compose(), name="compose")
            group.create_task(self._animate(), name="animate")
            group.create_task(self._release(), name="release")
            group.create_task(self._show(), name="show")

    async def _compose(self) -> None:
        start = 0
        while True:
            await self._clock.sleep_until(self._schedule.instant(start))
            self._pause_if_behind(self._schedule.media_time(self._clock.now()) - start)
            block = self._next_block(start)
            self.timeline.add_audio(block)
            await self._blocks.put(block)
            start += BLOCK

    def _next_block(self, start: int) -> Block:
        block = self.queue.take(start)
        if block is None and self.queue.is_empty:
            block = self.microphone.take(start, self.utterance)
        if block is None:
            return silent_block(start, self.utterance)
        self.utterance = max(self.utterance, block.utterance)
        return block

    async def _animate(self) -> None:
        async for block in self._blocks:
            generator = self.avatar.motion
            chunk = AudioChunk(block.start, block.speech, block.utterance)
            state, motion = await self._inference.step(generator, self._state.motion, chunk)
            if generator is not self.avatar.motion:
                continue  # a portrait with another generator took over meanwhile
            self._state = dataclasses.replace(self._state, motion=state)
            for frame in _frame_by_frame(motion):
                await self._draw(frame)

    async def _draw(self, motion: MotionChunk) -> None:
        expected = motion.start - int(self.draw_cost)
        is_late = pace(media_time=expected, position=self.timeline.position) is Pace.DROP
        if is_late or not len(self._audience):
            self.timeline.late_frames += is_late and len(self._audience) > 0
            self._lost_cadence = True
            return
        avatar, state = self.avatar, self._state
        if self._lost_cadence:
            # Pictures were left out: the cadence counts them, so it begins anew from here.
            state = dataclasses.replace(avatar.start(seed=self._seed), motion=state.motion)
            self._lost_cadence = False
        began = self._clock.now()
        after, frames = await self._inference.draw(avatar, state, motion)
        self._note_cost(to_samples(self._clock.now() - began))
        if avatar is not self.avatar:
            return
        self._state = dataclasses.replace(after, motion=self._state.motion)
        for frame in frames:
            self._delay.observe(self._schedule.media_time(self._clock.now()) - frame.start)
            self.timeline.add_frame(frame.start, frame.utterance, frame)

    async def _release(self) -> None:
        while True:
            position = self.timeline.position
            await self._clock.sleep_until(self.instant(position))
            self._pause_if_behind(to_samples(self._clock.now() - self.instant(position)))
            departure = self.timeline.depart()
            if departure is None:
                await self._clock.sleep_until(self._clock.now() + _RETRY)
                continue
            for _, frame in departure.frames:
                self._pictures.offer(frame)
            if departure.marks:
                self._on_audible(departure.marks, departure.start)
            await self._audience.play(departure.sound, departure.start)
            self._delay.correction(is_silent=not departure.is_speech)

    async def _show(self) -> None:
        async for frame in self._pictures:
            await self._audience.show(frame.image, frame.start)

    def _pause_if_behind(self, behind: int) -> None:
        if behind > _STALL:
            self._schedule = self._schedule.later(behind)

    def _note_cost(self, samples: int) -> None:
        self.draw_cost += _SMOOTHING * (samples - self.draw_cost)


def _limits(chunk_frames: int, lookahead_frames: int) -> DelayLimits:
    """Returns bounds for a block that leaves with the last frame of its chunk."""
    least = (chunk_frames - 1 + lookahead_frames) * SAMPLES_PER_MOTION_FRAME + TICK
    return DelayLimits(least=least, initial=least + _MARGIN, most=least + _MOST_MARGIN)


def _frame_by_frame(chunks: Sequence[MotionChunk]) -> list[MotionChunk]:
    return [
        MotionChunk(
            chunk.start + index * SAMPLES_PER_MOTION_FRAME,
            chunk.motion[index : index + 1],
            chunk.utterance[index : index + 1],
        )
        for chunk in chunks
        for index in range(len(chunk.motion))
    ]
