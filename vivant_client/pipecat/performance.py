"""One session from a pipeline's side: what is given to it to be said, and what comes of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final

from loguru import logger
from pipecat.frames.frames import Frame as PipelineFrame
from pipecat.frames.frames import TTSAudioRawFrame, TTSStartedFrame
from pipecat.processors.frame_processor import FrameProcessor

from server.protocol import Expiring, Failed, ServerEvent, SessionClosed, SpeakEnded, SpeakStarted
from vivant_client.errors import ClientError, SessionEndedError
from vivant_client.media import MEDIA_RATE, Frame, Sound
from vivant_client.pipecat.answers import SOUND_RATE, Answers, Words
from vivant_client.pipecat.images import Images
from vivant_client.pipecat.lockstep import Lockstep
from vivant_client.session import Session
from vivant_client.sound import to_pcm16

_REMEMBERED: Final = 16  # contexts
_STALLED_SECONDS: Final = 5  # without an end of what was given, after which it is not waited for
_MEDIA_SAMPLE: Final = 1_000_000_000 // MEDIA_RATE  # ns


class Performance:
    """Speaks through a session until it ends, or the pipeline does.

    Attributes:
        session: what speaks.

    Args:
        session: entered already.
        stage: whose frames they are.
        images: makes frames of pictures.
    """

    def __init__(self, session: Session, *, stage: FrameProcessor, images: Images) -> None:
        self.session = session
        self._stage = stage
        self._images = images
        self._answers: Answers[PipelineFrame] = Answers()
        self._lockstep = Lockstep()
        self._saying: tuple[object, ...] | None = None  # what kind of sound is being given
        self._contexts: deque[object] = deque(maxlen=_REMEMBERED)  # of what came lately
        self._past: frozenset[object] = frozenset()  # of what was cut off
        self._epoch: int | None = None  # of media time, on the pipeline's clock
        self._delay = 0  # ns from an answer's being given to its being heard
        # Held while something is pushed, so that nothing is overtaken or follows an interruption.
        self._order = asyncio.Lock()
        self._may_speak, self._is_silent = asyncio.Event(), asyncio.Event()
        self._may_speak.set()
        self._is_silent.set()
        self._is_cut = asyncio.Event()

    async def run(self) -> None:
        """Brings what the session shows and says into the pipeline.

        Raises:
            ClientError: the session has ended.
        """
        session, failures = self.session, list[Exception]()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._cut_off())
                tasks.create_task(self._follow(session.events()))
                tasks.create_task(self._follow(session.frames()))
                tasks.create_task(self._follow(session.sounds()))
        except* ClientError as group:
            failures += group.exceptions
        finally:
            await self._let_go()
        raise min(failures, key=lambda each: not isinstance(each, SessionEndedError))

    def is_past(self, frame: PipelineFrame) -> bool:
        """Whether a frame is of an answer that was cut off.

        An interruption overtakes what waits in Pipecat's queues, which comes after it then.
        """
        context = getattr(frame, "context_id", None)
        if isinstance(frame, TTSStartedFrame):
            self._past -= {context}  # some voices use the same one again
        if context is not None and context not in self._contexts:
            self._contexts.append(context)
        return context in self._past

    async def say(self, frame: TTSAudioRawFrame) -> None:
        """Gives a piece of a voice to be said.

        Raises:
            SessionEndedError: there is nobody any more to say it.
        """
        await self._may_speak.wait()
        kind = (frame.context_id, frame.sample_rate, frame.num_channels)
        if kind != self._saying:
            await self.end_answer()
            await self._open_answer(frame)
            self._saying = kind
        self._answers.give(frame.num_frames)
        await self.session.send_bytes(frame.audio)

    async def end_answer(self) -> None:
        """Says that all of the answer was given.

        Raises:
            SessionEndedError: there is nobody any more to say it.
        """
        if self._saying is not None:
            self._saying = None
            self._answers.complete()
            await self.session.send("audio.end")

    async def pass_on(self, frame: PipelineFrame) -> None:
        """Pushes a frame as soon as all that was given before it has been heard."""
        async with self._order:
            if not self._answers.hold(frame):
                await self._stage.push_frame(frame)

    async def interrupt(self) -> list[PipelineFrame]:
        """Lets nothing that was given be seen or heard any more; returns the frames it kept."""
        async with self._order:
            self._past = frozenset(self._contexts)
            self._contexts.clear()
            if self._answers.is_empty:
                return []
            kept = self._answers.interrupt()
            self._saying = None
            self._is_silent.set()
            self._may_speak.clear()
            self._is_cut.set()
            return kept

    async def finish(self) -> None:
        """Returns when all that was given has been heard.

        Raises:
            SessionEndedError: it will never be.
        """
        await self.end_answer()
        try:
            await asyncio.wait_for(
                self._is_silent.wait(), self._answers.seconds_left + _STALLED_SECONDS
            )
        except TimeoutError:
            logger.warning(f"{self._stage}: the end of the last answer never came.")

    async def _open_answer(self, frame: TTSAudioRawFrame) -> None:
        if self._answers.is_empty:
            await self._stage.start_ttfb_metrics()
        self._answers.open(frame.context_id, frame.sample_rate, given_at=self._now())
        self._is_silent.clear()
        await self.session.send(
            "audio.start", sample_rate=frame.sample_rate, channels=frame.num_channels
        )

    async def _cut_off(self) -> None:
        """Has the server stop whenever that is wanted; until it has, nothing more is given."""
        while True:
            await self._is_cut.wait()
            self._is_cut.clear()
            self._answers.go_on(await self.session.interrupt())
            self._may_speak.set()

    async def _let_go(self) -> None:
        """Lets what was kept go, for nothing more is heard."""
        self._may_speak.set()
        self._is_silent.set()
        async with self._order:
            await self._push(self._answers.interrupt())

    async def _follow(self, stream: AsyncIterator[Frame | Sound | ServerEvent]) -> None:
        async for item in stream:
            async with self._order:
                await self._take(item)
        raise SessionEndedError("The connection for media was lost.", reason="lost")

    async def _take(self, item: Frame | Sound | ServerEvent) -> None:
        match item:
            case Frame() | Sound():
                for each in self._lockstep.add(item):
                    await self._perform(each)
            case SpeakStarted():
                await self._push(self._answers.started(item))
            case SpeakEnded():
                await self._push(self._answers.ended(item))
            case Expiring(reason="idle", seconds=int()):
                await self.session.send("session.keep_alive")  # the pipeline decides that
            case Failed(message=message):
                await self._stage.push_error(message)
            case SessionClosed(reason=reason):
                sentence = f"The session has ended ({reason})."
                raise SessionEndedError(sentence, reason=reason)
        if self._answers.is_empty:
            self._is_silent.set()

    async def _perform(self, item: Frame | Sound) -> None:
        if isinstance(item, Sound):
            await self._push(self._answers.hear(item))
        elif self._answers.may_show(item.media_time):
            image = self._images.make(item)
            if image is not None:
                image.pts = self._pts(item.media_time)
                await self._stage.push_frame(image)

    async def _push(self, due: Iterable[Words | PipelineFrame]) -> None:
        for item in due:
            if isinstance(item, Words):
                await self._speak(item)
                continue
            if item.pts is not None:
                item.pts += self._delay  # a word's, by the clock of the voice
            await self._stage.push_frame(item)

    async def _speak(self, words: Words) -> None:
        if words.is_first:
            self._delay = self._now() - words.given_at
            await self._stage.stop_ttfb_metrics()
        audio = to_pcm16(words.samples)
        frame = TTSAudioRawFrame(audio, SOUND_RATE, num_channels=1, context_id=words.context)
        frame.pts = self._pts(words.media_time)
        await self._stage.push_frame(frame)

    def _pts(self, media_time: int) -> int:
        nanoseconds = media_time * _MEDIA_SAMPLE
        if self._epoch is None:
            self._epoch = self._now() - nanoseconds
        return self._epoch + nanoseconds

    def _now(self) -> int:
        return self._stage.get_clock().get_time()
