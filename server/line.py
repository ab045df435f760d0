"""The straight line of one live session: audio, motion, pictures, and out together.

Four loops joined by bounded channels: one composes a block of audio every 40 ms from what is
to be said or from silence, the animator turns blocks into pictures, one lets sound leave when the
media clock says so, one has the pictures encoded a little before they are due and lets them
leave. It decides nothing about turns and knows no protocol: what became audible is handed to
`on_audible`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from server.animator import Animator
from server.audience import Audience
from server.channel import Channel, Overflow
from server.clock import Clock
from server.direction import Direction
from server.echo import PlayedSound
from server.frame_rate import FrameRate
from server.inference import AvatarPort, Inference
from server.media_clock import MediaClock
from server.motion_output import MotionOutput
from server.pacing import MILLISECOND, TICK, Experience, Pace, pace, to_samples
from server.picture import Drawn, Origin
from server.sources import Sources
from server.speech import BLOCK, Block, silent_block
from server.speech_output import SpeechOutput, SpokenSound
from server.stage_totals import Totals
from server.stages import Stages
from server.timeline import Mark, Timeline

_PICTURES = 4
_RETRY = 5_000_000  # ns
_PATIENCE = 80 * MILLISECOND  # with the encoder; ITU-R BT.1359 bears 90 ms of sound before picture
_EARLY = TICK  # that pictures are encoded before they are due, where they are there
_SMOOTHING = 8  # pictures
_LEAD = 10 * MILLISECOND  # that a text begins ahead, besides what its first picture costs
_MOST_WAIT = 80 * MILLISECOND  # for a block of a live voice that is late


@dataclass(frozen=True, slots=True)
class Engines:
    """What all sessions share: the threads of model and encoders, the clock, sums, experience."""

    inference: Inference
    picture_worker: Executor
    sound_worker: Executor
    clock: Clock
    totals: Totals = field(default_factory=Totals)
    experience: Experience = field(default_factory=Experience)


class LiveLine:
    """One session's media.

    Attributes:
        animator: turns the audio into pictures.
        queue: what waits to be said.
        microphone: the live voice.
        timeline: what was made and has not left.
        frame_rate: how many pictures are made.
        stages: when each stage of each picture was.
        motion: what pictures are drawn from, for those who draw their own.
        speech: what is said, for those who carry it by other ways than to viewers.
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
        self._media_clock = MediaClock(
            engines.clock,
            engines.experience,
            chunk_frames=chunk_frames,
            lookahead_frames=lookahead_frames,
        )
        self._played = PlayedSound()
        self._sources = Sources(engines.clock, self._media_clock, self._played)
        self.queue, self.microphone = self._sources.queue, self._sources.microphone
        self.stages = Stages(engines.clock, engines.totals)
        self.timeline: Timeline[Drawn] = Timeline(self.stages.displace, frames_ahead=_EARLY)
        self.frame_rate = FrameRate(avatar.fps)
        self.motion = MotionOutput()
        self.speech = SpeechOutput()
        self.animator = Animator(
            avatar=avatar,
            seed=seed,
            direction=direction,
            inference=engines.inference,
            clock=engines.clock,
            timeline=self.timeline,
            stages=self.stages,
            frame_rate=self.frame_rate,
            is_watched=lambda: len(audience) > 0,
            on_picture=self._note_picture,
            on_motion=self.motion.add,
            on_placed=lambda: self._hand_over(self.timeline.take_frames()),
        )
        self._direction = direction
        self._composed = 0  # media time up to which audio was composed
        self._clock = engines.clock
        self._audience = audience
        self._on_audible = on_audible
        # What the model must have heard to draw a picture, wherever in a chunk it is.
        self._sight = (chunk_frames + lookahead_frames) * BLOCK
        self._begun = asyncio.Event()
        self._pictures: Channel[Drawn] = Channel(_PICTURES, Overflow.DROP_OLDEST)
        self._departed = asyncio.Event()  # sound has, and with it the pictures of its time
        self._departure_due = 0  # the instant at which that was due
        self._not_shown = 0
        self._encode_cost = 0  # samples, smoothed

    @property
    def utterance(self) -> int:
        """The number that silence carries now."""
        return self._sources.utterance

    @property
    def late_frames(self) -> int:
        """Pictures that missed their time so far."""
        return self.timeline.late_frames + self._pictures.dropped + self._not_shown

    @property
    def latency(self) -> int:
        """Samples from a microphone's sound to its leaving with its picture."""
        return self._media_clock.delay.samples + self.microphone.samples

    def begin(self) -> None:
        """Starts the media clock, in step with other sessions'; later calls change nothing."""
        if not self._begun.is_set():
            self._media_clock.begin()
            self._begun.set()

    def instant(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, at which `media_time` is due to leave."""
        return self._media_clock.departure(media_time)

    def report_instant(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, that sender reports give for `media_time`."""
        return self._media_clock.report(media_time)

    def interrupt(self, floor: int) -> list[int]:
        """Drops all speech below utterance `floor`; returns what had not been heard at all.

        The sound stops at once; the model takes back what it heard of it, so that the face
        comes to rest with the next pictures.
        """
        self._sources.utterance = floor
        unheard = self.timeline.interrupt(floor) + self.queue.drop_before(floor)
        self._audience.hush()
        self._direction.take_back(self.timeline.position)
        starts = range(_next_block_start(self.timeline.position), self._composed, BLOCK)
        self.stages.interrupted()
        blocks = [silent_block(start, floor) for start in starts]
        for block in blocks:
            if block.start >= self.timeline.open_from:  # what was taken before is shown still
                self.stages.compose(block, Origin(), reason="interrupted")
        self.animator.rewind(blocks)
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
            self.motion.close()
            self._pictures.drain()
            self.animator.forget()
            self.stages.clear()

    async def _compose(self) -> None:
        while True:
            await self._until_due()
            await self._until_heard()
            start = self._composed
            self._media_clock.pause_if_behind(self._media_clock.now - start)
            await self._add(self._take(start))

    def _take(self, start: int) -> Block:
        block = self._sources.take(start)
        for trigger in block.triggers:
            trigger.act(start + trigger.at)
        self.stages.compose(block, self._sources.origin)
        return block

    async def _until_due(self) -> None:
        """Returns when the next block is to be composed; a text may begin meanwhile."""
        while True:
            self._sources.forget_news()
            await self._begin_early()
            due = self._media_clock.due(self._composed)
            if self._clock.now() >= due:
                return
            await self._sources.wait(due)

    async def _until_heard(self) -> None:
        """Waits for a live voice's sound that is late, while it can still leave in time.

        So late packets are met by the one delay there is, and need no store of their own.
        """
        start = self._composed
        wait = min(_MOST_WAIT, self._media_clock.delay.samples - 2 * TICK)
        latest = self._media_clock.due(start + wait)
        while self._sources.is_late:
            if self._clock.now() >= latest:
                self._media_clock.excuse(start + BLOCK)
                return
            self._sources.forget_news()
            await self._sources.wait(latest)

    async def _begin_early(self) -> None:
        """Lets speech that is there already begin in the silence that has not left yet.

        Sound from a microphone must wait until the model has looked ahead; a text's does not:
        what lies ahead of it is known, and is composed at once as far as the model looks.
        """
        # What it hears anew makes two chunks; another session's picture may be under way.
        head_start = _LEAD + 2 * int(self.animator.move_cost + self.animator.draw_cost)
        first = max(self.timeline.open_from, self._media_clock.leaving + head_start)
        first = _next_block_start(first)
        is_silent = not self.timeline.holds_speech and not self.microphone.is_speech
        end = max(self._composed, first + self._sight)
        if first < self._composed and is_silent and self.queue.can_begin(end - first):
            blocks = [self._take(start) for start in range(first, self._composed, BLOCK)]
            self.timeline.replace_audio(blocks)
            self.animator.rewind(blocks)
            while self._composed < end:
                await self._add(self._take(self._composed))

    async def _add(self, block: Block) -> None:
        self.timeline.add_audio(block)
        self._composed = block.start + BLOCK
        await self._animate(block)

    async def _animate(self, block: Block) -> None:
        """Hands a block to the animator; while the model is seconds behind, so is everything."""
        while self.animator.end <= block.start and not self.animator.offer(block):
            await self._clock.sleep_until(self._clock.now() + _RETRY)

    async def _release(self) -> None:
        while True:
            position = self.timeline.position
            due = self.instant(position)
            await self._clock.sleep_until(due)
            self._media_clock.pause_if_behind(to_samples(self._clock.now() - due))
            departure = self.timeline.depart()
            if departure is None:
                await self._clock.sleep_until(self._clock.now() + _RETRY)
                continue
            self._departure_due = due
            self._departed.set()
            self.motion.leave(self.timeline.position)
            self._hand_over(departure.frames)
            if departure.is_speech:
                said = self.timeline.spoken.characters
                self.speech.leave(
                    SpokenSound(departure.utterance, departure.start, departure.sound, said)
                )
            if departure.marks:
                self._on_audible(departure.marks, departure.start)
            self._played.add(departure.sound)
            await self._audience.play(departure.sound, departure.start, departure.ahead)
            self._media_clock.delay.correction(is_silent=not departure.is_speech)

    def _hand_over(self, frames: Sequence[tuple[int, Drawn]]) -> None:
        """Gives pictures to the encoder."""
        dropped = self._pictures.dropped
        for start, drawn in frames:
            self.stages.release(drawn.picture, due=self.instant(start))
            self._pictures.offer(drawn)
        if self._pictures.dropped > dropped:
            self.animator.note(is_late=True)  # encoding does not keep up

    def _note_picture(self, media_time: int) -> None:
        """Lets the delay know of a picture that was drawn; encoding it is still to come."""
        self._media_clock.note_picture(media_time - self._encode_cost)

    async def _show(self) -> None:
        async for frame, picture in self._pictures:
            self.stages.overtake(picture)
            # One that waited for the encoder is as late as one that waited for the model.
            position = self.timeline.position
            if pace(media_time=frame.start, position=position, tolerance=_PATIENCE) is Pace.DROP:
                self._not_shown += 1
                self.stages.late(picture, "encoder")
                self.animator.note(is_late=True)  # encoding does not keep up
            else:
                span = self.stages.encoding(picture)
                encoded = await self._audience.encode(frame.image, frame.start, span)
                # Beyond a tick it is no cost that a later start would meet, but a queue.
                cost = min(to_samples(self._clock.now() - span.queued), TICK)
                self._encode_cost += (cost - self._encode_cost) // _SMOOTHING
                # How long that took is not to be seen: pauses would be as uneven.
                while self.timeline.position <= frame.start:
                    self._departed.clear()
                    await self._departed.wait()
                    picture.due = self._departure_due  # the delay may have changed meanwhile
                self._audience.show(encoded)
                self.stages.shown(picture)


def _next_block_start(media_time: int) -> int:
    return -(-media_time // BLOCK) * BLOCK
