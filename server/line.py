"""The straight line of one live session: audio, motion, pictures, and out together.

Four loops joined by bounded channels: one composes a block of audio every 40 ms from what is
to be said or from silence, the animator turns blocks into pictures, one lets sound and
pictures leave when the media clock says so, one has the pictures encoded. It decides nothing
about turns and knows no protocol: what became audible is handed to `on_audible`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from server.animator import Animator
from server.arrivals import Arrivals
from server.audience import Audience
from server.channel import Channel, Overflow
from server.clock import Clock
from server.direction import Direction
from server.echo import PlayedSound
from server.frame_rate import FrameRate
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
    VideoFrame,
)

_PICTURES = 4
_STALL = 100 * MILLISECOND  # behind by more, the media clock pauses instead of bursting
_RETRY = 5_000_000  # ns
_PATIENCE = 80 * MILLISECOND  # with the encoder; ITU-R BT.1359 bears 90 ms of sound before picture
_LEAD = 10 * MILLISECOND  # that a text begins ahead, besides what its first picture costs
_MARGIN = 30 * MILLISECOND  # first guess of what computing costs on top of the lookahead
_MOST_WAIT = 80 * MILLISECOND  # for a block of a live voice that is late
_MOST_MARGIN = 400 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Engines:
    """What all sessions share: the model's thread, the encoders' threads and the clock."""

    inference: Inference
    picture_worker: Executor
    sound_worker: Executor
    clock: Clock


class LiveLine:
    """One session's media.

    Attributes:
        animator: turns the audio into pictures.
        utterance: the number that silence carries now.
        queue: what waits to be said.
        microphone: the live voice.
        timeline: what was made and has not left.
        frame_rate: how many pictures are made.
    """

    def __init__(
        self,
        *,
        avatar: AvatarPort,
        seed: int,
        direction: Direction,
        chunk_frames: int,
        lookahead_frames: int,
        engines: Engines,
        audience: Audience,
        on_audible: Callable[[Sequence[Mark], int], None],
    ) -> None:
        self.utterance = 0
        self._news = asyncio.Event()
        self.queue = SpeechQueue(self._news.set)
        self._played = PlayedSound()
        self.microphone = MicrophoneLane(self._played, self._note_voice)
        self._arrivals = Arrivals()
        self.timeline: Timeline[VideoFrame] = Timeline()
        self.frame_rate = FrameRate(avatar.fps)
        self.animator = Animator(
            avatar=avatar,
            seed=seed,
            direction=direction,
            inference=engines.inference,
            clock=engines.clock,
            timeline=self.timeline,
            frame_rate=self.frame_rate,
            is_watched=lambda: len(audience) > 0,
            on_picture=self._note_need,
        )
        self._composed = 0  # media time up to which audio was composed
        self._unlearned = 0  # media time before which lateness is not the machine's
        self._clock = engines.clock
        self._audience = audience
        self._on_audible = on_audible
        self._schedule = Schedule(0)
        self._unbroken = Schedule(0)  # as if the media clock had never paused
        self._delay = PlayoutDelay(_limits(chunk_frames, lookahead_frames))
        # What the model must have heard to draw a picture, wherever in a chunk it is.
        self._sight = (chunk_frames + lookahead_frames) * BLOCK
        self._step = chunk_frames * BLOCK  # of the model; all sessions take theirs together
        self._begun = asyncio.Event()
        self._pictures: Channel[VideoFrame] = Channel(_PICTURES, Overflow.DROP_OLDEST)
        self._not_shown = 0

    @property
    def late_frames(self) -> int:
        """Pictures that missed their time so far."""
        return self.timeline.late_frames + self._pictures.dropped + self._not_shown

    @property
    def latency(self) -> int:
        """Samples from a microphone's sound to its leaving with its picture."""
        return self._delay.samples + self.microphone.samples

    def begin(self) -> None:
        """Starts the media clock, in step with other sessions'; later calls change nothing."""
        if not self._begun.is_set():
            self._schedule = self._unbroken = Schedule(self._clock.now()).in_step(self._step)
            self._begun.set()

    def instant(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, at which `media_time` is due to leave."""
        return self._schedule.instant(media_time + self._delay.samples)

    def report_instant(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, that sender reports give for `media_time`.

        Pauses and a growing delay are left out of it: a receiver fits one straight line through
        many reports (WebRTC's RtpToNtpEstimator), and a step that only one of the two tracks has
        reported yet would put sound and picture apart for as long as the fit remembers it.
        """
        return self._unbroken.instant(media_time)

    def interrupt(self, floor: int) -> list[int]:
        """Drops all speech below utterance `floor`; returns what had not been heard at all.

        The sound stops at once; the model takes back what it heard of it, so that the face
        comes to rest with the next pictures.
        """
        self.utterance = floor
        unheard = self.timeline.interrupt(floor) + self.queue.drop_before(floor)
        self._audience.hush()
        starts = range(_next_block_start(self.timeline.position), self._composed, BLOCK)
        self.animator.rewind([silent_block(start, floor) for start in starts])
        return unheard

    async def run(self) -> None:
        """Runs the line until cancelled."""
        await self._begun.wait()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._compose(), name="compose")
                group.create_task(self.animator.run(), name="animate")
                group.create_task(self._release(), name="release")
                group.create_task(self._show(), name="show")
        finally:
            # The parts of a line know each other, so that it is gone only when garbage is
            # collected; what is large goes now.
            self.timeline.clear()
            self._pictures.drain()
            self.animator.forget()

    async def _compose(self) -> None:
        while True:
            await self._until_due()
            await self._until_heard()
            start = self._composed
            self._pause_if_behind(self._schedule.media_time(self._clock.now()) - start)
            block = self._next_block(start)
            self._schedule = self._schedule.later(self._arrivals.shift())
            await self._add(block)

    async def _until_due(self) -> None:
        """Returns when the next block is to be composed; a text may begin meanwhile."""
        while True:
            self._news.clear()
            await self._begin_early()
            due = self._schedule.instant(self._composed)
            if self._clock.now() >= due:
                return
            await self._doze(due)

    async def _until_heard(self) -> None:
        """Waits for a live voice's sound that is late, while it can still leave in time.

        So late packets are met by the one delay there is, and need no store of their own.
        """
        start = self._composed
        wait = min(_MOST_WAIT, self._delay.samples - 2 * TICK)
        latest = self._schedule.instant(start + wait)
        while self.queue.is_empty and self.microphone.is_late:
            if self._clock.now() >= latest:
                self._unlearned = start + BLOCK
                return
            self._news.clear()
            await self._doze(latest)

    async def _doze(self, instant: int) -> None:
        """Returns at the instant, or before when there is more to say."""
        async with asyncio.TaskGroup() as group:
            ends = [
                group.create_task(self._clock.sleep_until(instant)),
                group.create_task(self._hear_news()),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                task.cancel()

    async def _hear_news(self) -> None:
        await self._news.wait()

    async def _begin_early(self) -> None:
        """Lets speech that is there already begin in the silence that has not left yet.

        Sound from a microphone must wait until the model has looked ahead; a text's does not:
        what lies ahead of it is known, and is composed at once as far as the model looks.
        """
        # What it hears anew makes two chunks; another session's picture may be under way.
        head_start = _LEAD + 2 * int(self.animator.move_cost + self.animator.draw_cost)
        leaving = self._schedule.media_time(self._clock.now()) - self._delay.samples
        first = _next_block_start(max(self.timeline.position, leaving + head_start))
        is_silent = not self.timeline.holds_speech and not self.microphone.is_speech
        end = max(self._composed, first + self._sight)
        if first < self._composed and is_silent and self.queue.can_begin(end - first):
            blocks = [self._next_block(start) for start in range(first, self._composed, BLOCK)]
            self.timeline.replace_audio(blocks)
            self.animator.rewind(blocks)
            while self._composed < end:
                await self._add(self._next_block(self._composed))

    async def _add(self, block: Block) -> None:
        self.timeline.add_audio(block)
        self._composed = block.start + BLOCK
        await self._animate(block)

    async def _animate(self, block: Block) -> None:
        """Hands a block to the animator; while the model is seconds behind, so is everything."""
        while self.animator.end <= block.start and not self.animator.offer(block):
            await self._clock.sleep_until(self._clock.now() + _RETRY)

    def _next_block(self, start: int) -> Block:
        block = self.queue.take(start)
        if block is None and self.queue.is_empty:
            block = self._next_of_voice(start)
        else:
            self.microphone.pause()
        if block is None:
            return silent_block(start, self.utterance)
        self.utterance = max(self.utterance, block.utterance)
        return block

    def _next_of_voice(self, start: int) -> Block | None:
        was_flowing, now = self.microphone.is_flowing, self._clock.now()
        block = self.microphone.take(start, self.utterance)
        if was_flowing and self.microphone.is_flowing:
            left_over = self.microphone.samples
            self._arrivals.taken(self._schedule.instant(start), now, left_over=left_over)
        else:
            self._arrivals.break_off(now)
        return block

    def _note_voice(self) -> None:
        self._arrivals.complete(self._clock.now())
        self._news.set()

    async def _release(self) -> None:
        while True:
            position = self.timeline.position
            await self._clock.sleep_until(self.instant(position))
            self._pause_if_behind(to_samples(self._clock.now() - self.instant(position)))
            departure = self.timeline.depart()
            if departure is None:
                await self._clock.sleep_until(self._clock.now() + _RETRY)
                continue
            dropped = self._pictures.dropped
            for _, frame in departure.frames:
                self._pictures.offer(frame)
            if self._pictures.dropped > dropped:
                self.animator.note(is_late=True)  # encoding does not keep up
            if departure.marks:
                self._on_audible(departure.marks, departure.start)
            self._played.add(departure.sound)
            await self._audience.play(departure.sound, departure.start, departure.ahead)
            self._delay.correction(is_silent=not departure.is_speech)

    async def _show(self) -> None:
        async for frame in self._pictures:
            # One that waited for the encoder is as late as one that waited for the model.
            position = self.timeline.position
            if pace(media_time=frame.start, position=position, tolerance=_PATIENCE) is Pace.DROP:
                self._not_shown += 1
                self.animator.note(is_late=True)  # encoding does not keep up
            else:
                await self._audience.show(frame.image, frame.start)

    def _note_need(self, start: int) -> None:
        if start < self._unlearned:
            return
        self._delay.observe(self._schedule.media_time(self._clock.now()) - start)

    def _pause_if_behind(self, behind: int) -> None:
        if behind > _STALL:
            self._schedule = self._schedule.later(behind).in_step(self._step)


def _next_block_start(media_time: int) -> int:
    return -(-media_time // BLOCK) * BLOCK


def _limits(chunk_frames: int, lookahead_frames: int) -> DelayLimits:
    """Returns bounds for a block that leaves with the last frame of its chunk."""
    least = (chunk_frames - 1 + lookahead_frames) * SAMPLES_PER_MOTION_FRAME + TICK
    return DelayLimits(least=least, initial=least + _MARGIN, most=least + _MOST_MARGIN)
