"""A script as a film: what a session would say, without a session and as fast as it is made.

The same narrator, queue and direction as live, on a clock that never moves; so a mark acts at
the same sample in both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from server.ahead import ahead
from server.direction import Direction
from server.media_files import UNMARKED, FilmMarks, FilmWriter
from server.pacing import MILLISECOND
from server.presenter.narrator import Context, Narrator
from server.presenter.script import Script
from server.presenter.sentence import begins_with_pause
from server.protocol import ServerEvent, Warned
from server.speaker import Speaker
from server.speech import BLOCK, Block, SpeechQueue
from server.voice.base import Voice
from streaming_model.avatar import Avatar
from streaming_model.errors import AudioError
from streaming_model.media import SAMPLE_RATE, AudioChunk, VideoFrame

_TURN = 0.005  # seconds between looks at what was made


class _StandingClock:
    """Gives a slow voice all the time it needs; whoever waits for room makes it."""

    def __init__(self, make_room: Callable[[], None]) -> None:
        self._make_room = make_room

    def now(self) -> int:
        """Returns the same instant always."""
        return 0

    async def sleep_until(self, instant: int) -> None:
        """Returns soon."""
        del instant
        self._make_room()
        await asyncio.sleep(_TURN)


class ScriptSound:
    """The sound of a script, block by block, with its marks done on the way.

    Attributes:
        direction: how the portrait is told to move; of a block once it was given.
    """

    def __init__(
        self,
        script: Script,
        *,
        voice: str,
        open_voice: Callable[[str], Voice],
        direction: Direction,
        warn: Callable[[str], None],
    ) -> None:
        self.direction = direction
        self._script = script
        self._open_voice = open_voice
        self._warn = warn
        self._queue = SpeechQueue()
        self._made: list[Block] = []
        self._position = 0  # media time of the next block
        self._voices: dict[str, Voice] = {}
        self._worker = ThreadPoolExecutor(1, "speech")
        self._speaker = Speaker(
            queue=self._queue,
            open_voice=self._open,
            publish=self._tell,
            worker_for=lambda _, **__: self._worker,
            clock=_StandingClock(self._take),
        )
        self._narrator = Narrator(
            voice=voice,
            queue=self._queue,
            speaker=self._speaker,
            direction=direction,
            publish=self._tell,
            worker=self._worker,
            seed=0,
        )

    def blocks(self) -> Iterator[Block]:
        """Yields all of it in order, a sentence at a time.

        Raises:
            AudioError: nothing in it can be said.
        """
        sentences, quiet = self._script.sentences, 0
        with asyncio.Runner() as runner, self._worker:
            for index in range(len(sentences)):
                quiet = runner.run(self._say(index, quiet))
                self._take()
                yield from self._made
                self._made.clear()
        if not self._position:
            raise AudioError("There is nothing to say in the script.")

    async def _say(self, index: int, quiet: int) -> int:
        sentences = self._script.sentences
        sentence, later = sentences[index], sentences[index + 1 : index + 2]
        lead = (sentence.not_before or 0) * MILLISECOND - self._position
        context = Context(
            quiet=quiet,
            lead=max(lead, 0),
            trims=any(map(begins_with_pause, later)),
            is_last=not later,
        )
        self._queue.open(index + 1)
        _, quiet = await self._narrator.say(index + 1, sentence, context)
        return quiet

    def _take(self) -> None:
        """Gives what was made its media time."""
        while (block := self._queue.take(self._position)) is not None:
            for trigger in block.triggers:
                trigger.act(block.start + trigger.at)
            self._position += BLOCK
            self._made.append(block)

    async def _open(self, name: str) -> Voice:
        if name not in self._voices:
            self._voices[name] = self._open_voice(name)
        return self._voices[name]

    def _tell(self, events: Sequence[ServerEvent]) -> None:
        for event in events:
            if isinstance(event, Warned):
                self._warn(event.message)


def render_script(
    avatar: Avatar,
    sound: ScriptSound,
    out: Path,
    *,
    seed: int,
    marks: FilmMarks = UNMARKED,
    progress: Callable[[float], None],
) -> float:
    """Writes the film of a portrait that reads a script; returns its length in seconds.

    Raises:
        AudioError: nothing in the script can be said.
        FilmError: the film cannot be written.
    """
    heard = 0
    with FilmWriter(
        out,
        size=avatar.size,
        fps=avatar.fps,
        is_transparent=avatar.backdrop.is_transparent,
        marks=marks,
    ) as film:
        for block, frames in ahead(_drawn(avatar, sound, seed), depth=12):
            if block is not None:
                film.write_sound(block.sound)
                heard = block.start + len(block.speech)
            for frame in frames:
                film.write_picture(frame)
            progress(heard / SAMPLE_RATE)
    return heard / SAMPLE_RATE


def _drawn(
    avatar: Avatar, sound: ScriptSound, seed: int
) -> Iterator[tuple[Block | None, list[VideoFrame]]]:
    """Yields the script's blocks, each with the pictures known then, and at last the rest."""
    direction = sound.direction
    state = avatar.start(seed=seed, style=direction.style)
    heard = 0
    for block in sound.blocks():
        additions = direction.additions.since(block.start - SAMPLE_RATE)
        motion = avatar.motion.direct(
            state.motion, direction.style_of(block), additions, at=block.start
        )
        chunk = AudioChunk(block.start, block.speech)
        heard = chunk.end
        (state,), (frames,) = avatar.step([replace(state, motion=motion)], [chunk])
        yield block, frames
    yield None, [frame for frame in avatar.finish(state) if frame.start < heard]
