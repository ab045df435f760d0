"""Blocks of audio in, pictures on the timeline; able to take back what was not seen yet.

States are immutable values, so the last second's are kept: to change what is about to leave
(an interruption, a text that can begin early) is to go back to the state before it and hear
something else from there. The picture never stands still. It knows nothing of when media
leaves, beyond the timeline.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence

from server.channel import Channel, Overflow
from server.clock import Clock
from server.direction import Direction
from server.frame_rate import FrameRate
from server.inference import AvatarPort, Inference, MotionState
from server.pacing import Pace, pace, to_nanoseconds, to_samples
from server.picture import Drawn, Reason, Span
from server.speech import BLOCK, Block
from server.stages import Stages
from server.timeline import Timeline
from streaming_model.media import (
    SAMPLE_RATE,
    SAMPLES_PER_MOTION_FRAME,
    AudioChunk,
    MotionChunk,
)

_MOST_WAITING = 50  # blocks, two seconds of audio
_KEPT = 25  # blocks whose state before them is remembered
_SMOOTHING = 0.1


class Animator:
    """The model's side of one session.

    Attributes:
        avatar: the portrait that speaks.
        draw_cost: smoothed time to draw a picture, in 16 kHz samples.
        move_cost: smoothed time to make a chunk of motion, in 16 kHz samples.
        end: media time up to which it was given audio.
    """

    def __init__(
        self,
        *,
        avatar: AvatarPort,
        seed: int,
        direction: Direction,
        inference: Inference,
        clock: Clock,
        timeline: Timeline[Drawn],
        stages: Stages,
        frame_rate: FrameRate,
        is_watched: Callable[[], bool],
        on_picture: Callable[[int], None],
        on_motion: Callable[[Sequence[MotionChunk]], None] = lambda _: None,
        on_placed: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes what it needs.

        `on_motion` is told all motion, in order but for what a rewind makes anew.
        `on_picture` is told the start of every picture when it is there, in time or not; those
        that were drawn anew after a rewind tell nothing of how long pictures take.
        """
        self.avatar = avatar
        self.draw_cost = self.move_cost = 0.0
        self.end = 0
        self._seed = seed
        self._direction = direction
        self._inference = inference
        self._clock = clock
        self._timeline = timeline
        self._stages = stages
        self._frame_rate = frame_rate
        self._is_watched = is_watched
        self._on_picture, self._on_motion = on_picture, on_motion
        self._on_placed = on_placed
        self._state = avatar.start(seed=seed)
        self._blocks: Channel[Block] = Channel(_MOST_WAITING + 2 * _KEPT, Overflow.REFUSE)
        self._current: Block | None = None  # being heard
        self._next = 0  # start of the first block not heard yet
        self._heard: deque[tuple[Block, MotionState]] = deque(maxlen=_KEPT)  # with state before
        self._has_gap = False
        self._redrawn_from = self._redrawn_to = 0  # media time
        self._take = 0  # raised by every rewind: work begun before it is void

    @property
    def next(self) -> int:
        """Media time of the first audio not heard yet: from here on motion can be changed."""
        return self._next

    def offer(self, block: Block) -> bool:
        """Queues the next block; returns False while two seconds wait already."""
        if len(self._blocks) >= _MOST_WAITING or not self._blocks.offer(block):
            return False
        self.end = block.start + BLOCK
        return True

    def change_avatar(self, avatar: AvatarPort) -> None:
        """Lets another portrait go on from the next picture on."""
        fresh = avatar.start(seed=self._seed)
        if avatar.motion is self.avatar.motion:
            fresh = dataclasses.replace(fresh, motion=self._state.motion)
        else:
            self._heard.clear()
        self.avatar, self._state = avatar, fresh

    def rewind(self, blocks: Sequence[Block]) -> None:
        """Makes the model hear these blocks instead of what it was given from there on."""
        if not blocks:
            return
        start = blocks[0].start
        self._take += 1
        waiting = [] if self._current is None else [self._current]
        waiting += self._blocks.drain()
        self._current = None
        while self._heard and self._heard[-1][0].start >= start:
            block, before = self._heard.pop()
            self._next = block.start
            self._state = dataclasses.replace(self._state, motion=before)
        before_start = [block for block in waiting if block.start < start]
        for block in [*before_start, *blocks]:
            if block.start >= self._next:
                self._blocks.offer(block)
        self.end = blocks[-1].start + BLOCK
        self._redrawn_from = max(start, self._timeline.open_from)
        self._redrawn_to = self.end
        self._timeline.doubt(start)
        self._has_gap = True

    def forget(self) -> None:
        """Drops what waits to be heard and the states that were remembered."""
        self._blocks.drain()
        self._heard.clear()

    async def run(self) -> None:
        """Animates blocks until cancelled."""
        async for block in self._blocks:
            take, generator, before = self._take, self.avatar.motion, self._state.motion
            self._current = block
            self._direction.reach(block)
            wanted = self._direction.style_of(block)
            additions = self._direction.additions.since(block.start - SAMPLE_RATE)
            directed = generator.direct(before, wanted, additions, at=block.start)
            chunk = AudioChunk(block.start, block.speech, block.utterance)
            span = self._stages.span()
            state, motion = await self._inference.step(
                generator, directed, chunk, span, due=self._instant_of(block.start)
            )
            if motion:
                self.move_cost = self._smoothed(self.move_cost, span.queued)
            if take != self._take:
                continue  # rewound meanwhile: the block, or another in its place, waits again
            self._current = None
            self._next = block.start + BLOCK
            if generator is not self.avatar.motion:
                self._stages.drop(self._stages.find(block.start), "portrait")
                continue  # a portrait with another generator took over meanwhile
            self._heard.append((block, before))
            self._state = dataclasses.replace(self._state, motion=state)
            self._on_motion(motion)
            for frame in _frame_by_frame(motion):
                if take == self._take:
                    await self._draw(frame, take, span)

    async def _draw(self, motion: MotionChunk, take: int, moved: Span) -> None:
        picture = self._stages.find(motion.start)
        picture.motion = picture.motion or moved
        if (reason := self._why_not_drawn(motion.start)) is not None:
            self._stages.skip(picture, reason)
            self._has_gap = True
            return
        avatar, state = self.avatar, self._state
        if self._has_gap:
            # Pictures were left out: the cadence counts them, so it begins anew from here.
            state = dataclasses.replace(avatar.start(seed=self._seed), motion=state.motion)
            self._has_gap = False
        span = picture.render = self._stages.span()
        due = self._instant_of(motion.start)
        after, frames = await self._inference.draw(avatar, state, motion, span, due=due)
        self.draw_cost = self._smoothed(self.draw_cost, span.queued)
        if avatar is not self.avatar or take != self._take:
            is_other = avatar is not self.avatar
            self._stages.drop(picture, "portrait" if is_other else self._stages.cause)
            return
        self._state = dataclasses.replace(after, motion=self._state.motion)
        for drawn in self._stages.draw(picture, frames):
            start = drawn.frame.start
            self._note_instant(start)
            is_late = self._timeline.add_frame(start, drawn) is Pace.DROP
            self._stages.place(drawn.picture, is_late=is_late)
            self.note(is_late=is_late)
        self._on_placed()

    def _instant_of(self, start: int) -> int:
        """Returns the instant at which what begins at media time `start` is to leave."""
        return self._clock.now() + to_nanoseconds(start - self._timeline.position)

    def _smoothed(self, cost: float, began: int) -> float:
        return cost + _SMOOTHING * (to_samples(self._clock.now() - began) - cost)

    def _note_instant(self, start: int, *, early_by: int = 0) -> None:
        """Tells that the picture at `start` is there, or will be `early_by` samples from now."""
        if start >= self._redrawn_to:
            self._on_picture(start - early_by)

    def note(self, *, is_late: bool) -> None:
        """Notes whether a picture came in time, for the frame rate."""
        self._frame_rate.note(self._clock.now(), is_late=is_late, draw_cost=int(self.draw_cost))

    def _why_not_drawn(self, start: int) -> Reason | None:
        """Returns why a picture drawn now is unwanted, unseen or too late; None if it is not."""
        if not self._is_watched():
            return "unwatched"
        if start < self._redrawn_from:
            return self._stages.cause
        if not self._frame_rate.includes(start):
            return "rate"
        expected = start - int(self.draw_cost)
        if pace(media_time=expected, position=self._timeline.position) is Pace.DROP:
            self._timeline.late_frames += 1
            self._note_instant(start, early_by=int(self.draw_cost))
            self.note(is_late=True)
            return "model"
        return None


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
