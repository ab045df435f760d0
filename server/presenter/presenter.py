"""The presenter of one session: takes scripts and what is to be done with them, and tells.

Scripts are read on a worker, for a long one takes a third of a second. It knows no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from server.audit import file_hash
from server.clock import Clock
from server.direction import Direction
from server.line import LiveLine
from server.presenter.bookmark import Bookmark
from server.presenter.description import describe_script
from server.presenter.narrator import Narrator
from server.presenter.reader import Reader
from server.presenter.recorded import recorded_script
from server.presenter.recording import read_recording
from server.presenter.script import Script, parse_script
from server.protocol import (
    ProtocolError,
    ScriptFormat,
    ScriptPause,
    ScriptPlay,
    ScriptSeek,
    ScriptUpdate,
    ServerEvent,
)
from server.session_audit import SessionAudit
from server.speaker import Speaker
from server.turns import Turns
from server.voices import Voices

ScriptMessage = ScriptUpdate | ScriptPlay | ScriptPause | ScriptSeek


@dataclass(frozen=True, slots=True)
class Workers:
    """Where a presenter computes.

    Attributes:
        text: reads scripts, which somebody waits for.
        sound: converts recordings as they are played.
        files: decodes recordings, which takes seconds.
    """

    text: Executor
    sound: Executor
    files: Executor


class Presenter:
    """What one session's clients ask of its script.

    Attributes:
        narrator: says its sentences, in the session's voice.
        reader: reads it.
    """

    def __init__(
        self,
        *,
        voice: str,
        line: LiveLine,
        turns: Turns,
        speaker: Speaker,
        direction: Direction,
        voices: Voices,
        publish: Callable[[Sequence[ServerEvent]], None],
        workers: Workers,
        clock: Clock,
        seed: int,
        audit: SessionAudit,
    ) -> None:
        """Takes the session's parts."""
        self.narrator = Narrator(
            voice=voice,
            queue=line.queue,
            speaker=speaker,
            direction=direction,
            publish=publish,
            worker=workers.sound,
            seed=seed,
        )
        self.reader = Reader(
            line=line, turns=turns, narrator=self.narrator, publish=publish, clock=clock
        )
        self._voices = voices
        self._workers = workers
        self._changing = asyncio.Lock()
        self._audit = audit

    async def update(
        self, text: str, *, format: ScriptFormat | None = None, sentence: int | None = None
    ) -> None:
        """Takes a script, or another text from one of its sentences on, also while it is read.

        Raises:
            ScriptError: it cannot be read.
            ProtocolError: `bad_request`, there is no such sentence.
        """
        async with self._changing:
            before = self.reader.script
            if before.is_recorded and format is None:
                raise ProtocolError(
                    "bad_request", "A recording's text cannot be changed: give a script anew."
                )
            source = text if sentence is None else _kept(before, sentence) + text
            script = await self._parsed(source, format or before.format)
            self._audit.text("script", source)
            self.reader.replace(script)

    async def go_on(self, bookmark: Bookmark) -> None:
        """Takes up a script that was read elsewhere; the sound of a recording is lost.

        Raises:
            ScriptError: it cannot be read here.
        """
        if bookmark.is_recorded or not bookmark.source:
            return
        script = await self._parsed(bookmark.source, bookmark.format)
        self.reader.go_on(script, bookmark)

    async def take_recording(self, path: Path, name: str, captions: str | None) -> None:
        """Takes an audio or video file as the script, with captions if there are any.

        Raises:
            AudioError: the file cannot be used, or is too long.
            ScriptError: the captions cannot be read.
        """
        async with self._changing:
            work = partial(_recorded, path, name, captions)
            loop = asyncio.get_running_loop()
            script = await loop.run_in_executor(self._workers.files, work)
            digest = await loop.run_in_executor(self._workers.files, file_hash, path)
            self._audit.note("script.recorded", audio_sha256=digest)
            self.reader.replace(script)

    async def obey(self, message: ScriptMessage) -> None:
        """Does what a message asks for.

        Raises:
            VivantError: it cannot be done.
        """
        match message:
            case ScriptUpdate(text=text, format=format, sentence=sentence):
                await self.update(text, format=format, sentence=sentence)
            case ScriptPlay(sentence=sentence):
                self.reader.play(sentence)
            case ScriptPause(at=at):
                self.reader.pause(at_sentence_end=at == "sentence_end")
            case ScriptSeek(sentence=sentence):
                self.reader.seek(sentence)

    def describe(self) -> dict[str, Any]:
        """Returns what `GET /v1/sessions/{id}/script` tells."""
        return self.brief() | describe_script(self.reader.script)

    def brief(self) -> dict[str, Any]:
        """Returns what is done with the script."""
        reader = self.reader
        return {
            "state": reader.state,
            "revision": reader.revision,
            "sentence": reader.place.sentence,
        }

    async def _parsed(self, source: str, format: ScriptFormat) -> Script:
        work = partial(parse_script, source, format, knows_voice=self._knows_voice)
        return await asyncio.get_running_loop().run_in_executor(self._workers.text, work)

    def _knows_voice(self, name: str) -> bool:
        try:
            self._voices.check(name)
        except ProtocolError:
            return False
        return True


def _recorded(path: Path, name: str, captions: str | None) -> Script:
    return recorded_script(read_recording(path, name), captions)


def _kept(script: Script, sentence: int) -> str:
    """Returns the source up to a sentence: its marks and what makes it an item go with it.

    Raises:
        ProtocolError: `bad_request`, there is no such sentence.
    """
    count = len(script.sentences)
    if not 0 <= sentence <= count:
        raise ProtocolError(
            "bad_request", f"There is no sentence {sentence}; the script has {count}, from 0."
        )
    if sentence == count:
        return script.source
    end = script.sentences[sentence].start
    begin = script.sentences[sentence - 1].end if sentence else 0
    line = script.source.rfind("\n", begin, end) + 1
    before = script.source[line:end]
    is_item = line > begin and not any(map(str.isalpha, before))  # "- ", "12. ", "## "
    return script.source[: line if is_item else end]
