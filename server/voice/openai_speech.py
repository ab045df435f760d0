"""Voices of any server that speaks OpenAI's `/v1/audio/speech`.

Address, model and key come from the environment. Phone times are unknown to that protocol, so
the clauses carry none; a clause arrives in several pieces, as the server streams it.
"""

from __future__ import annotations

import io
import os
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import numpy as np
import soxr
from numpy.typing import NDArray

from server.ingest import MAX_RATE, MIN_RATE
from server.voice.base import SpeechClause, VoiceError
from server.voice.clauses import Clause, split_clauses
from server.voice.engine import check_speed
from server.voice.levels import Leveller
from server.voice.text import readable

SAMPLE_RATE = 24_000  # Hz, what `pcm` means in this protocol
PIECE_SAMPLES = SAMPLE_RATE // 2  # least that is handed on while more is to come
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
LARGEST_ANSWER = 64 * 2**20  # bytes, 22 minutes of sound
DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini-tts"
UNSUPPORTED_FORMAT = (400, 415, 422)  # how servers refuse `pcm`


@dataclass(frozen=True, slots=True)
class SpeechServer:
    """Where the speech comes from.

    Attributes:
        base_url: up to and including `/v1`.
        model: as the server names it.
        key: sent as bearer token unless empty.
        read_seconds: longest silence of the server that is put up with.
    """

    base_url: str = DEFAULT_URL
    model: str = DEFAULT_MODEL
    key: str = field(default="", repr=False)
    read_seconds: float = READ_SECONDS

    @classmethod
    def from_environment(cls) -> SpeechServer:
        """Reads `OPENAI_BASE_URL`, `OPENAI_TTS_MODEL` and `OPENAI_API_KEY`."""
        return cls(
            base_url=os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL,
            model=os.environ.get("OPENAI_TTS_MODEL") or DEFAULT_MODEL,
            key=os.environ.get("OPENAI_API_KEY", ""),
        )


class OpenAiVoice:
    """One voice of a speech server."""

    engine = "openai"
    language = "mul"  # the server reads whatever language the text is in
    sample_rate = SAMPLE_RATE

    def __init__(self, voice: str, server: SpeechServer) -> None:
        self.name = f"openai:{voice}"
        self.label = f"{voice}, {server.model}"
        self._voice = voice
        self._server = server
        self._format = "pcm"
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        timeout = httpx.Timeout(server.read_seconds, connect=CONNECT_SECONDS)
        self._client = httpx.Client(headers=headers, timeout=timeout)

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        """Speaks `text`; a clause comes in pieces, as the server sends them, even when not asked.

        Raises:
            VoiceError: the speed is out of range, or the server refuses, fails or falls silent.
        """
        del in_pieces
        check_speed(speed)
        return self._clauses(text, speed)

    def warm_up(self) -> None:
        """Does nothing: opening a connection would cost the user money or fail for no reason."""

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _clauses(self, text: str, speed: float) -> Iterator[SpeechClause]:
        level = Leveller()
        for clause in split_clauses(text):
            words = readable(text[clause.start : clause.end])
            if not any(character.isalnum() for character in words):
                continue
            is_first = True
            for samples in self._sound(words, speed):
                levelled = level(samples) if is_first else level.hold(samples)
                yield self._piece(text, clause, levelled, is_first=is_first)
                is_first = False
            pause = np.zeros(round(clause.pause_seconds / speed * SAMPLE_RATE), np.float32)
            yield self._piece(text, clause, pause, is_first=is_first)

    def _piece(
        self, text: str, clause: Clause, samples: NDArray[np.float32], *, is_first: bool
    ) -> SpeechClause:
        start = clause.start if is_first else clause.end
        return SpeechClause(
            text=text[start : clause.end],
            text_start=start,
            text_end=clause.end,
            sample_rate=SAMPLE_RATE,
            samples=samples,
            phones=(),
            skipped=(),
        )

    def _sound(self, words: str, speed: float) -> Iterator[NDArray[np.float32]]:
        """Yields [n] float32 at 24 kHz, in pieces as they arrive."""
        body = {"model": self._server.model, "voice": self._voice, "input": words, "speed": speed}
        url = self._server.base_url.rstrip("/") + "/audio/speech"
        try:
            if self._format == "pcm":
                request = {**body, "response_format": "pcm"}
                with self._client.stream("POST", url, json=request) as response:
                    if response.status_code not in UNSUPPORTED_FORMAT:
                        yield from _decoded(response)
                        return
            with self._client.stream("POST", url, json={**body, "response_format": "wav"}) as again:
                yield from _decoded(again)
            self._format = "wav"
        except httpx.TimeoutException as error:
            raise VoiceError(f"The speech server {_host(url)} took too long to answer.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise VoiceError(f"The speech server {_host(url)} cannot be used: {error}.") from error


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host or url
    except httpx.InvalidURL:
        return url


def _decoded(response: httpx.Response) -> Iterator[NDArray[np.float32]]:
    if response.status_code != httpx.codes.OK:
        said = b"".join(_limited(response))[:300].decode("utf-8", "replace").strip()
        raise VoiceError(
            f"The speech server answered {response.status_code}: {said or 'no reason'}."
        )
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("audio/mpeg", "audio/mp3", "audio/ogg", "audio/opus", "audio/flac", "text/html"):
        raise VoiceError(f"The speech server sent {kind} instead of PCM or WAV.")
    chunks = _limited(response)
    head = next(chunks, b"")
    if head[:4] == b"RIFF":
        yield _from_wave(head + b"".join(chunks))
        return
    yield from _from_pcm(head, chunks)


def _limited(response: httpx.Response) -> Iterator[bytes]:
    total = 0
    for chunk in response.iter_bytes(8192):
        total += len(chunk)
        if total > LARGEST_ANSWER:
            raise VoiceError(f"The speech server sent more than {LARGEST_ANSWER} bytes.")
        yield chunk


def _from_pcm(head: bytes, chunks: Iterator[bytes]) -> Iterator[NDArray[np.float32]]:
    """Yields samples from 16-bit little-endian bytes that may be cut anywhere."""
    waiting = bytearray(head)
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= 2 * PIECE_SAMPLES:
            whole = len(waiting) // 2 * 2
            yield _floats(bytes(waiting[:whole]))
            del waiting[:whole]
    if len(waiting) >= 2:
        yield _floats(bytes(waiting[: len(waiting) // 2 * 2]))


def _from_wave(content: bytes) -> NDArray[np.float32]:
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:  # the last from chunks in chunks
        reason = str(error) or "it is cut off"
        raise VoiceError(f"The speech server sent a damaged WAV file: {reason}.") from error
    if not MIN_RATE <= rate <= MAX_RATE:
        raise VoiceError(f"The speech server sent WAV at {rate} Hz, which no voice has.")
    if width != 2:
        raise VoiceError(f"The speech server sent WAV with {8 * width} bits, not 16.")
    samples = _floats(frames[: len(frames) // (2 * channels) * 2 * channels])
    mono = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, SAMPLE_RATE)
    return resampled


def _floats(content: bytes) -> NDArray[np.float32]:
    return np.frombuffer(content, "<i2").astype(np.float32) / np.float32(32768)
