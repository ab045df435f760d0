"""Ten turns with a chat server over real HTTP and a real peer: the history holds what was heard."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
import time
from collections.abc import Awaitable, Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from benchmarks.viewer import Viewer, VoiceTrack
from server.app import real_parts
from server.config import Settings
from server.voice.base import Voice
from tests.chat_stub import chat_stub, writes
from tests.live_fakes import FakeEntry, fake_parts
from tests.test_conversation import VOCABULARY, sentence
from tests.test_server_live import LiveServer, after, on_loopback, serving
from tests.test_vad import vowel
from tests.words_voice import WordVoice

__all__ = ["on_loopback"]  # a fixture for every test here
_PATIENCE = 60  # seconds; a busy machine is late, not wrong


class SoundViewer(Viewer):
    """Keeps what it hears, [n] float32 at 48 kHz."""

    def __init__(self, live: LiveServer, session_id: str, microphone: VoiceTrack) -> None:
        super().__init__(live.client, session_id, microphone=microphone, keeps_pictures=False)
        self.heard: list[NDArray[np.float32]] = []

    async def _watch(self, track: MediaStreamTrack) -> None:
        if track.kind != "audio":
            await super()._watch(track)
            return
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            sound = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
            self.heard.append((sound / 32768).astype(np.float32))
            self.received.sounds.append((time.monotonic(), frame.pts or 0, 0.0))

    async def take(self) -> NDArray[np.float32]:
        """Returns what was heard since the last call, and in the half second from now."""
        count = len(self.received.sounds)
        await self.until(lambda got: len(got.sounds) > count + 25, seconds=_PATIENCE)
        sound = np.concatenate(self.heard)
        self.heard.clear()
        return sound

    async def counts(self, kind: str, least: int) -> None:
        """Returns once so many events of that type have come."""
        await self.until(lambda _: self.count(kind) >= least, seconds=_PATIENCE)

    def count(self, kind: str) -> int:
        return len(self.received.of_type(kind))


async def connected(live: LiveServer, microphone: VoiceTrack) -> tuple[SoundViewer, str]:
    session_id = await live.session(mode="converse")
    viewer = SoundViewer(live, session_id, microphone)
    live.viewers.append(viewer)
    await viewer.connect()
    await viewer.until(lambda got: got.sounds and got.pictures and got.events, seconds=_PATIENCE)
    return viewer, f"/v1/sessions/{session_id}"


async def history(live: LiveServer, path: str) -> list[dict[str, Any]]:
    answer = await live.client.get(f"{path}/history")
    entries: list[dict[str, Any]] = answer.raise_for_status().json()
    return entries


def agree(said: list[str], heard: list[tuple[str, int]], *, is_cut: bool) -> bool:
    """Whether the words are those heard; a last one cut in its last 60 ms counts as either."""
    words = [word for word, ms in heard if ms > 20]
    if not is_cut or not words:
        return words == said
    last, ms = [item for item in heard if item[1] > 20][-1]
    missing = 50 * len(last) - ms
    return (missing <= 60 and said == words) or (missing > 0 and said == words[:-1])


async def agrees(
    live: LiveServer, viewer: SoundViewer, path: str, voice: WordVoice, reply: str, *, is_cut: bool
) -> bool:
    """Whether the history has of the latest reply the words that the viewer heard."""
    entries = await history(live, path)
    entry = [item for item in entries if item["role"] == "assistant" and not item["pending"]][-1]
    assert entry["interrupted"] == is_cut
    assert reply.startswith(entry["text"])
    said = re.findall("[a-z]+", entry["text"].lower())
    heard = voice.measured(await viewer.take())
    if is_cut:  # the next answer may be on its way already, and begins with another word
        written = re.findall("[a-z]+", reply.lower())
        pairs = zip(heard, written, strict=False)
        heard = [item for item, _ in takewhile(lambda pair: pair[0][0] == pair[1], pairs)]
    return agree(said, heard, is_cut=is_cut)


@pytest.mark.soak  # the peer's sound is told apart word by word, which a busy machine blurs
async def test_ten_turns_with_three_interruptions_record_what_a_peer_heard(tmp_path: Path) -> None:
    chance = random.Random(5)
    replies = [" ".join(sentence(chance, 4) for _ in range(2)) for _ in range(11)]
    voice = WordVoice("words", VOCABULARY)

    def open_voice(_: str) -> Voice:
        return voice

    async with chat_stub(*(writes("<happy>" + reply, every=0.01) for reply in replies)) as stub:
        settings = Settings(
            size=256, cache_dir=tmp_path, port=0, brain_url=stub.url, transcriber="off"
        )
        parts = dataclasses.replace(
            fake_parts(settings),
            voice_entries=(FakeEntry("words"),),
            default_voice="words",
            open_voice=open_voice,
        )
        async with serving(settings, parts) as live:
            microphone = VoiceTrack(after(0.0, vowel(0.6)))
            viewer, path = await connected(live, microphone)

            async def speak_up() -> None:
                microphone.begin()

            async def ask_again() -> None:
                viewer.send(type="user.text", text="Wait, what?")

            async def press_stop() -> None:
                await live.client.post(f"{path}/interrupt")

            cuts: dict[int, Callable[[], Awaitable[None]]] = {
                2: speak_up, 5: ask_again, 7: press_stop,
            }  # fmt: skip
            agreed = []
            for turn in range(10):
                if turn != 6:  # what cut off turn 5 is its question
                    viewer.send(type="user.text", text=f"Question {turn}?")
                await viewer.counts("agent.speak_started", turn + 1)
                if turn in cuts:
                    await asyncio.sleep(chance.uniform(0.5, 1.2))
                    await cuts[turn]()
                await viewer.counts("agent.speak_ended", turn + 1)
                agreed.append(
                    await agrees(live, viewer, path, voice, replies[turn], is_cut=turn in cuts)
                )
            assert agreed == [True] * 10
            viewer.send(type="user.text", text="And now?")
            await viewer.counts("agent.speak_started", 11)
            told = stub.requests[-1]["messages"]
    assert [message["role"] for message in told] == ["system", *["user", "assistant"] * 10, "user"]
    assert told[6]["content"].endswith(" [interrupted]")
    assert all("agent.speak" not in str(message) for message in told)
    assert viewer.count("user.speech_started") == 1


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
        async with serving(settings, real_parts(settings)) as live:
            viewer, path = await connected(live, VoiceTrack(np.zeros(0, np.float32)))
            await live.client.post(f"{path}/say", json={"text": "How are you?"})
            await viewer.counts("agent.speak_started", 1)
            await asyncio.sleep(3.0)
            await live.client.post(f"{path}/say", json={"text": "Really?"})
            await viewer.counts("agent.speak_ended", 2)
            entries = await history(live, path)
            ended = viewer.received.of_type("agent.speak_ended")
    assert [entry["role"] for entry in entries] == ["user", "assistant"] * 2
    spoken = "".join(e["text"] for e in viewer.received.of_type("agent.reply.delta")
                     if e["utterance"] == ended[0]["utterance"])  # fmt: skip
    heard = entries[1]["text"]
    assert entries[1]["interrupted"]
    assert spoken.startswith(heard)
    assert spoken[len(heard)] in " ,."  # a whole word
    # English takes 12 to 20 characters a second; a count that ran ahead or behind would show.
    assert 9 <= len(heard) / (ended[0]["spoken_ms"] / 1000) <= 22
    assert entries[3]["text"] == "Yes, I am."
    assert stub.requests[1]["messages"][2]["content"].endswith(" [interrupted]")
