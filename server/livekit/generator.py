"""A portrait as a video generator of LiveKit Agents: in the agent's own process, without a server.

    generator = await PortraitGenerator.open("me.jpg")
    runner = AvatarRunner(room, audio_recv=audio, video_gen=generator, options=generator.options)

`AvatarRunner` pulls as fast as it shows, so nothing here keeps time. The parts are the server's:
speech waits in its queue, and leaves beside its pictures through its timeline.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarOptions, VideoGenerator

from server.consent.screening import refuse_denied
from server.inference import AvatarPort, Inference
from server.ingest import SOUND_RATE, SOUND_RATIO, Ingest
from server.livekit.frames import audio_frame, video_frame
from server.marks.marker import MarkedAvatar, Marker, payload_of
from server.marks.options import MarkOptions
from server.speech import BLOCK, Block, SpeechQueue, silent_block
from server.timeline import Departure, Timeline
from streaming_model.media import SAMPLE_RATE, AudioChunk, MotionChunk, VideoFrame

Item: TypeAlias = rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd

_MOST_AHEAD: Final = 120 * SAMPLE_RATE  # samples that may wait to be heard
_KEPT: Final = 25  # blocks whose state before them is remembered
_EARLY: Final = 4 * BLOCK  # speech that must be there to begin in place of silence not yet shown


class PortraitGenerator(VideoGenerator):
    """Yields pictures all the time, with them the sound that they were made from, and its end.

    Args:
        avatar: the portrait, such as `streaming_model.Avatar`.
        seed: decides head motion, blinks and gaze.
        marks: how its pictures are marked as made by a machine.
        worker: one thread, for the model.
    """

    def __init__(
        self,
        avatar: AvatarPort,
        *,
        seed: int = 0,
        marks: MarkOptions | None = None,
        worker: Executor | None = None,
    ) -> None:
        marker = Marker(marks or MarkOptions(), payload_of(secrets.token_urlsafe(12)))
        self._avatar = MarkedAvatar(avatar, marker)
        self._seed = seed
        self._worker = worker or ThreadPoolExecutor(1, "portrait")
        self._inference = Inference(self._worker)
        self._queue = SpeechQueue()
        self._timeline: Timeline[VideoFrame] = Timeline()
        self._state = self._avatar.start(seed=seed)
        self._heard: deque[tuple[int, Any]] = deque(maxlen=_KEPT)  # start, state before it
        self._again: deque[Block] = deque()  # to be heard in the place of others
        self._composed = self._made = 0  # media time up to which there are sound, and pictures
        self._utterance = 0
        self._ingest: Ingest | None = None  # of the segment that comes
        self._take = 0  # raised by every rewind: work begun before it is void
        self._news = asyncio.Event()
        self._counted = 0  # samples that were yielded of the segment that is heard

    @classmethod
    async def open(
        cls, picture: Path | str | bytes | None = None, *, size: int = 512, seed: int = 0
    ) -> Self:
        """Returns the generator of a picture, the Mona Lisa if none is given; takes seconds.

        Raises:
            PortraitError: the picture cannot be used.
        """
        from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar

        worker = ThreadPoolExecutor(1, "portrait")
        source = BUILTIN_PORTRAIT if picture is None else picture
        loop = asyncio.get_running_loop()
        taken = Path(source) if isinstance(source, str) else source
        await loop.run_in_executor(worker, refuse_denied, taken)
        avatar = await loop.run_in_executor(worker, lambda: Avatar.from_image(source, size=size))
        return cls(avatar, seed=seed, worker=worker)

    @property
    def options(self) -> AvatarOptions:
        """What an `AvatarRunner` must know of it."""
        return AvatarOptions(
            video_width=self._avatar.size,
            video_height=self._avatar.size,
            video_fps=self._avatar.fps,
            audio_sample_rate=SOUND_RATE,
            audio_channels=1,
        )

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Takes the next of what is to be said; waits while two minutes of it wait.

        Raises:
            AudioError: the rate or the channels are out of range.
        """
        if isinstance(frame, AudioSegmentEnd):
            self._complete()
            return
        if self._ingest is None:
            self._ingest = Ingest(sample_rate=frame.sample_rate, channels=frame.num_channels)
            self._utterance += 1
            self._queue.open(self._utterance)
        number = self._utterance
        self._queue.append(number, self._ingest.push_pcm16(bytes(frame.data)))
        while self._queue.samples > _MOST_AHEAD and self._queue.holds(number):
            self._news.clear()
            await self._news.wait()

    def clear_buffer(self) -> None:
        """Says no more of what waits: the sound stops, the mouth closes with the next pictures."""
        self._utterance += 1
        self._ingest = None
        self._queue.drop_before(self._utterance)
        self._timeline.interrupt(self._utterance)
        starts = range(self._first(), self._composed, BLOCK)
        self._rewind([silent_block(start, self._utterance) for start in starts])
        self._news.set()

    def __aiter__(self) -> AsyncIterator[Item]:
        """Yields for as long as it is asked."""
        return self._stream()

    async def aclose(self) -> None:
        """Ends its thread."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _complete(self) -> None:
        if self._ingest is not None:
            self._queue.append(self._utterance, self._ingest.finish())
            self._queue.complete(self._utterance)
            self._ingest = None

    async def _stream(self) -> AsyncGenerator[Item, None]:
        loop = asyncio.get_running_loop()
        while True:
            self._begin_early()
            await self._animate(self._next())
            while self._timeline.position < self._made:
                take = self._take
                departure = self._timeline.depart()
                if departure is None:
                    break
                for _, frame in departure.frames:
                    yield await loop.run_in_executor(self._worker, video_frame, frame.image)
                for item in self._sound(departure):
                    if take == self._take:  # or it was cleared just now
                        yield item

    def _next(self) -> Block:
        """Returns what the model hears next."""
        if self._again:
            return self._again.popleft()
        block = self._queue.take(self._composed) or silent_block(self._composed, self._utterance)
        self._news.set()
        self._timeline.add_audio(block)
        self._composed = block.start + BLOCK
        return block

    def _begin_early(self) -> None:
        """Lets speech that is there already begin in the silence that was not shown yet."""
        first = self._first()
        is_silent = not self._timeline.holds_speech and not self._again
        if first < self._composed and is_silent and self._queue.can_begin(_EARLY):
            starts = range(first, self._composed, BLOCK)
            blocks = [
                self._queue.take(start) or silent_block(start, self._utterance) for start in starts
            ]
            self._timeline.replace_audio(blocks)
            self._rewind(blocks)

    def _first(self) -> int:
        """Returns where the first block begins of which nothing was yielded."""
        return -(-self._timeline.position // BLOCK) * BLOCK

    def _rewind(self, blocks: Sequence[Block]) -> None:
        """Makes the model hear these blocks, up to the last one, in place of what it heard."""
        if not blocks:
            return
        start = blocks[0].start
        motion = self._state.motion
        while self._heard and self._heard[-1][0] >= start:
            motion = self._heard.pop()[1]
        # The cadence counts pictures, so it begins anew.
        self._state = dataclasses.replace(self._avatar.start(seed=self._seed), motion=motion)
        self._again = deque(blocks)
        self._made = min(self._made, start)
        self._take += 1

    async def _animate(self, block: Block) -> None:
        take, before = self._take, self._state.motion
        chunk = AudioChunk(block.start, block.speech, block.utterance)
        after, moved = await self._inference.step(self._avatar.motion, before, chunk)
        if take != self._take:
            return  # rewound meanwhile: the block, or another in its place, is heard again
        self._heard.append((block.start, before))
        self._state = dataclasses.replace(self._state, motion=after)
        for motion in moved:
            drawn, frames = await self._inference.draw(self._avatar, self._state, motion)
            if take != self._take:
                return
            self._state = dataclasses.replace(drawn, motion=after)
            for frame in frames:
                self._timeline.add_frame(frame.start, frame)
            self._made = _end(motion)

    def _sound(self, departure: Departure[VideoFrame]) -> list[Item]:
        """Returns the sound that leaves, without silence and padding, and the segment's end."""
        items: list[Item] = []
        if any(mark.begins for mark in departure.marks):
            self._counted = 0
        if departure.is_speech:
            spoken = self._timeline.spoken.samples
            own = (spoken - self._counted) * SOUND_RATIO
            self._counted = spoken
            if own:
                items.append(audio_frame(departure.sound[:own]))
        if any(mark.ends for mark in departure.marks):
            items.append(AudioSegmentEnd())
        return items


def _end(motion: MotionChunk) -> int:
    return motion.start + len(motion.motion) * BLOCK
