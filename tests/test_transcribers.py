"""What users say becomes text: by an endpoint over real HTTP, and by the recogniser that ships."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from server.config import Settings, SettingsError
from server.converse.chat_endpoint import ChatEndpoint
from server.converse.making import close_talk, make_talk
from server.converse.sphinx import Sphinx
from server.converse.transcriber import TranscriptionError
from server.converse.transcription_endpoint import TranscriptionEndpoint, TranscriptionServer

KEY = "sk-very-secret-1234567890"
SPEECH = (0.3 * np.sin(np.arange(16_000) / 10)).astype(np.float32)


class Requests:
    """What a transcription server was sent."""

    def __init__(self, status: int, body: str, *, hangs: bool = False) -> None:
        self.url = ""
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self._status, self._body, self._hangs = status, body.encode(), hangs

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(size))
        if not self._hangs:
            lines = f"HTTP/1.1 {self._status} X\r\nContent-Type: application/json\r\n"
            length = f"Content-Length: {len(self._body)}\r\nConnection: close\r\n\r\n"
            writer.write((lines + length).encode() + self._body)
            await writer.drain()
        else:
            await reader.read()  # until the client has lost its patience
        writer.close()


@asynccontextmanager
async def server(status: int, body: str, *, hangs: bool = False) -> AsyncIterator[Requests]:
    requests = Requests(status, body, hangs=hangs)
    listener = await asyncio.start_server(requests.serve, "127.0.0.1", 0)
    requests.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    yield requests
    listener.close()


async def understand(url: str, *, patience: float = 30) -> str:
    endpoint = TranscriptionEndpoint(TranscriptionServer(url, "tiny", KEY, read_seconds=patience))
    hearing = endpoint.open()
    for piece in np.split(SPEECH, 4):
        hearing.push(piece)
    try:
        return await hearing.finish()
    finally:
        await endpoint.aclose()


async def test_an_endpoint_is_sent_a_wave_file_and_gives_its_text() -> None:
    async with server(200, '{"text": " Hello\\n there. "}') as requests:
        assert await understand(requests.url) == "Hello there."
    assert "POST /v1/audio/transcriptions" in requests.heads[0]
    assert f"Bearer {KEY}" in requests.heads[0]
    body = requests.bodies[0]
    assert b'name="model"\r\n\r\ntiny' in body
    with wave.open(io.BytesIO(body[body.index(b"RIFF") :])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, 16_000)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, KEY, "answered 401"),
        (500, "", "answered 500"),
        (200, "not json", "no text"),
        (200, "[]", "no text"),
        (200, '{"text": 7}', "no text"),
    ],
)
async def test_a_bad_endpoint_is_one_sentence_without_the_key(
    status: int, body: str, sentence: str
) -> None:
    async with server(status, body) as requests:
        with pytest.raises(TranscriptionError, match=sentence) as caught:
            await understand(requests.url)
    assert KEY not in str(caught.value)


async def test_an_endpoint_that_hangs_or_is_not_there_costs_its_time_limit() -> None:
    async with server(200, "", hangs=True) as requests:
        with pytest.raises(TranscriptionError, match="too long"):
            await understand(requests.url, patience=0.5)
    with pytest.raises(TranscriptionError, match="cannot be reached"):
        await understand("http://127.0.0.1:9/v1")


def spoken(text: str) -> NDArray[np.float32]:
    from server.voice.catalog import open_voice

    voice = open_voice("joe")
    speech = np.concatenate([clause.samples for clause in voice.speak(text)])
    silence = np.zeros(4_000, np.float32)
    heard = soxr.resample(speech, voice.sample_rate, 16_000)
    return np.concatenate([silence, heard, silence]).astype(np.float32)


@pytest.mark.model
async def test_the_recogniser_that_ships_understands_two_at_once() -> None:
    pytest.importorskip("pocketsphinx")
    sphinx = Sphinx(patience=250)
    sphinx.open().drop()
    one, other = sphinx.open(), sphinx.open()
    for first, second in zip(
        np.array_split(spoken("How old are you?"), 50),
        np.array_split(spoken("Can you tell me a joke?"), 50),
        strict=True,
    ):
        one.push(first)
        one.push(first[:0])  # as resamplers give at times
        other.push(second)
    assert await one.finish() == "how old are you"
    assert await other.finish() == "can you tell me a joke"
    await sphinx.aclose()


async def test_a_recogniser_that_hangs_costs_its_time_limit() -> None:
    sphinx = Sphinx(("-c", "import time; time.sleep(60)"), patience=0.5)
    with pytest.raises(TranscriptionError, match="too long"):
        await sphinx.open().finish()
    await sphinx.aclose()


@pytest.mark.parametrize("program", ["raise SystemExit", "import sys; sys.stdin.buffer.read(9)"])
async def test_a_recogniser_that_dies_costs_its_utterance(program: str) -> None:
    sphinx = Sphinx(("-c", program))
    for _ in range(2):
        hearing = sphinx.open()
        hearing.push(SPEECH)
        with pytest.raises(TranscriptionError, match="failed"):
            await hearing.finish()
    await sphinx.aclose()


async def test_settings_choose_brains_and_transcribers() -> None:
    talk = make_talk(Settings(transcriber="off"), {})
    assert (talk.usual, set(talk.brains), talk.transcriber) == ("demo", {"demo"}, None)
    settings = Settings(
        brain_url="http://127.0.0.1:1/v1",
        transcriber_url="https://api.openai.com/v1",
        brain_key=KEY,
    )
    talk = make_talk(settings, {"OPENAI_API_KEY": "sk-other-1234567"})
    assert talk.usual == "chat"
    assert isinstance(talk.brains["chat"], ChatEndpoint)
    assert isinstance(talk.transcriber, TranscriptionEndpoint)
    assert talk.transcriber._server.key == "sk-other-1234567"
    assert KEY not in repr(settings) + repr(talk.transcriber._server)
    await close_talk(talk)
    elsewhere = make_talk(Settings(brain_url="http://elsewhere/v1"), {"OPENAI_API_KEY": KEY})
    chat = elsewhere.brains["chat"]
    assert isinstance(chat, ChatEndpoint)
    assert chat._server.key == ""
    assert make_talk(Settings(brain="external", transcriber="off"), {}).usual == "external"


@pytest.mark.parametrize(
    "make",
    [lambda: Settings(brain="chat"), lambda: Settings(transcriber="endpoint")],
)
def test_settings_that_need_an_address_say_so(make: Callable[[], Settings]) -> None:
    with pytest.raises(SettingsError, match="needs its address"):
        make_talk(make(), {})
