"""Ten turns with a chat server over real HTTP and a real peer: the history holds what was heard."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from server.app import Parts, real_parts
from server.config import Settings
from server.voice.base import Voice
from tests.chat_stub import chat_stub, writes
from tests.live_fakes import FakeEntry, fake_parts
from tests.test_conversation import VOCABULARY
from tests.test_server_live import on_loopback, serving
from tests.test_vad import vowel
from tests.words_voice import WordVoice
from vivant_client import (
    ReplyDelta,
    ServerEvent,
    Session,
    SpeakEnded,
    SpeakStarted,
    UserSpeechStarted,
    UserTranscript,
    connect,
)

__all__ = ["on_loopback"]  # a fixture for every test here
_PATIENCE = 60  # seconds; a busy machine is late, not wrong
_SECOND = 16_000  # media time
_PIECE = 320  # 20 ms of media time
_LETTER = 50  # ms
EventT = TypeVar("EventT", bound=ServerEvent)


class Witness:
    """Keeps all that a client hears, by its media time, and all that it is told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[ServerEvent] = []
        self._sounds: dict[int, NDArray[np.float32]] = {}
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        async for sound in self.session.sounds():
            self._sounds[sound.media_time // _PIECE] = sound.samples
            await self._tell()

    async def follow(self) -> None:
        async for event in self.session.events():
            self.events.append(event)
            await self._tell()

    async def until(self, condition: Callable[[], object]) -> None:
        """Returns once the condition holds."""
        async with asyncio.timeout(_PATIENCE), self._news:
            await self._news.wait_for(lambda: bool(condition()))

    async def hears(self, media_time: int) -> None:
        """Returns once it has heard what belongs to a media time."""
        await self.until(lambda: max(self._sounds, default=0) * _PIECE >= media_time)

    def between(self, start: int, end: int) -> NDArray[np.float32]:
        """Returns what was heard from one media time to another, [n] at 48 kHz."""
        silence = np.zeros(3 * _PIECE, np.float32)
        places = range(start // _PIECE, end // _PIECE)
        return np.concatenate([self._sounds.get(place, silence) for place in places])

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    async def nth(self, kind: type[EventT], index: int) -> EventT:
        """Returns an event of a kind, counted from 0, once it has come."""
        await self.until(lambda: len(self.of(kind)) > index)
        return self.of(kind)[index]

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def witnessed(session: Session) -> AsyncIterator[Witness]:
    """Yields the witness of a session that it enters."""
    async with session, asyncio.TaskGroup() as group:
        witness = Witness(session)
        tasks = [group.create_task(witness.listen()), group.create_task(witness.follow())]
        await witness.hears(1)
        yield witness
        for task in tasks:
            task.cancel()


def words_of(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


def reply_of(chance: random.Random, sentences: int) -> str:
    """Returns sentences of four words, no word twice, so that what is heard tells its place."""
    words = chance.sample(VOCABULARY[:-1], 4 * sentences)
    return " ".join(
        " ".join(words[start : start + 4]).capitalize() + "." for start in range(0, len(words), 4)
    )


def heard_in(sound: NDArray[np.float32], voice: WordVoice) -> list[tuple[str, int]]:
    """Returns (word, ms) as heard; a pause of a busy server within a word splits none."""
    heard: list[tuple[str, int]] = []
    for word, ms in voice.measured(sound):
        if heard and heard[-1][0] == word:
            heard[-1] = word, heard[-1][1] + ms
        elif ms > 20:
            heard.append((word, ms))
    return heard


def assert_agrees(entry: dict[str, Any], heard: list[tuple[str, int]], *, is_cut: bool) -> None:
    """The words of the history are those heard; a last one cut near its end may be either.

    The server counts in packets of 20 ms, and a word takes up to two windows of 20 ms more by ear.
    """
    said, words = words_of(entry["text"]), [word for word, _ in heard]
    assert entry["interrupted"] == is_cut, (entry, heard)
    if is_cut and words:
        missing = _LETTER * len(words[-1]) - heard[-1][1]
        if said == words[:-1]:
            assert missing > -40, (entry, heard)
            return
        assert missing <= 60, (entry, heard)
    assert said == words, (entry, heard)


def word_parts(settings: Settings, voice: WordVoice) -> Parts:
    def open_voice(_: str) -> Voice:
        return voice

    return dataclasses.replace(
        fake_parts(settings),
        voice_entries=(FakeEntry("words"),),
        default_voice="words",
        open_voice=open_voice,
    )


async def speak_up(session: Session) -> None:
    speech = np.concatenate([vowel(0.6), np.zeros(_SECOND, np.float32)])
    await session.push_voice(np.clip(3 * speech, -1, 1).astype(np.float32), rate=_SECOND)


async def test_ten_turns_with_three_interruptions_record_what_a_peer_heard(tmp_path: Path) -> None:
    chance = random.Random(5)
    cut_short = (2, 5, 7)
    # What is interrupted goes on for eight seconds more: a busy machine is late with the cut.
    replies = [reply_of(chance, 6 if turn in cut_short else 1) for turn in range(11)]
    voice = WordVoice("words", VOCABULARY)
    async with chat_stub(*(writes("<happy>" + reply, every=0.01) for reply in replies)) as stub:
        settings = Settings(
            size=256, cache_dir=tmp_path, port=0, brain_url=stub.url, transcriber="off"
        )
        async with (
            serving(settings, word_parts(settings, voice)) as live,
            witnessed(connect(f"http://{live.address}", mode="converse")) as witness,
        ):
            session = witness.session
            cuts: dict[int, Callable[[], Awaitable[object]]] = {
                2: lambda: speak_up(session),
                5: lambda: session.talk.say("Wait, what?"),
                7: session.interrupt,
            }
            for turn in range(11):
                if turn != 6:  # what cut off turn 5 is its question
                    await session.talk.say(f"Question {turn}?")
                begun = await witness.nth(SpeakStarted, turn)
                if turn in cuts:
                    await witness.hears(begun.media_time + int(_SECOND * chance.uniform(0.5, 1.2)))
                    await cuts[turn]()
                if turn < 10:
                    await witness.nth(SpeakEnded, turn)
            history = await session.talk.history()
            told = stub.requests[-1]["messages"]
            await witness.hears(witness.of(SpeakStarted)[-1].media_time)
    answers = [entry for entry in history if entry["role"] == "assistant"]
    starts = [event.media_time for event in witness.of(SpeakStarted)]
    for turn, entry in enumerate(answers[:10]):
        assert replies[turn].startswith(entry["text"])
        heard = heard_in(witness.between(starts[turn], starts[turn + 1]), voice)
        assert_agrees(entry, heard, is_cut=turn in cut_short)
    assert [entry["text"] for entry in answers[:10]].count("") == 0
    assert [message["role"] for message in told] == ["system", *["user", "assistant"] * 10, "user"]
    assert [index for index in range(10) if "[interrupted]" in told[2 + 2 * index]["content"]] == [
        *cut_short
    ]
    assert [event.source for event in witness.of(UserTranscript)] == ["text"] * 11
    assert len(witness.of(UserSpeechStarted)) == 1


@pytest.mark.model
@pytest.mark.timeout(900)  # a fresh copy compiles the renderer first
async def test_the_shipped_voice_is_cut_at_a_word_and_heard_as_long_as_recorded(
    tmp_path: Path,
) -> None:
    reply = (
        "<happy>Good day to you, my dear visitor. [nod] I have been sitting in this chair for more "
        "than five hundred years, and nobody has ever asked me whether I am comfortable."
    )
    async with chat_stub(writes(reply, every=0.01), writes("Yes, I am.")) as stub:
        settings = Settings(
            size=256, cache_dir=tmp_path, port=0, brain_url=stub.url, voice="joe", transcriber="off"
        )
        async with (
            serving(settings, real_parts(settings)) as live,
            witnessed(connect(f"http://{live.address}", mode="converse")) as witness,
        ):
            await witness.session.talk.say("How are you?")
            begun = await witness.nth(SpeakStarted, 0)
            await witness.hears(begun.media_time + 3 * _SECOND)
            await witness.session.talk.say("Really?")
            await witness.nth(SpeakEnded, 1)
            entries = await witness.session.talk.history()
    assert [entry["role"] for entry in entries] == ["user", "assistant"] * 2
    ended = witness.of(SpeakEnded)
    deltas = witness.of(ReplyDelta)
    spoken = "".join(e.text for e in deltas if e.utterance == ended[0].utterance)
    heard = entries[1]["text"]
    assert entries[1]["interrupted"]
    assert spoken.startswith(heard)
    assert spoken[len(heard)] in " ,."  # a whole word
    # English takes 12 to 20 characters a second; a count that ran ahead or behind would show.
    assert 9 <= len(heard) / (ended[0].spoken_ms / 1000) <= 22
    assert entries[3]["text"] == "Yes, I am."
    assert stub.requests[1]["messages"][2]["content"].endswith(" [interrupted]")
