"""A transcriber behind any server that speaks OpenAI's `/v1/audio/transcriptions`."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, field

import httpx
import numpy as np
from numpy.typing import NDArray

from server.converse.transcriber import TranscriptionError
from streaming_model.media import SAMPLE_RATE

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
_MOST_SAID = 20_000  # characters
_LARGEST = 1_000_000  # bytes of an answer


@dataclass(frozen=True, slots=True)
class TranscriptionServer:
    """Where it is.

    Attributes:
        base_url: up to and including `/v1`.
        model: as the server names it.
        key: sent as bearer token unless empty.
        read_seconds: longest wait for the text.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    read_seconds: float = READ_SECONDS


class TranscriptionEndpoint:
    """One server, for all sessions."""

    def __init__(self, server: TranscriptionServer) -> None:
        self._server = server
        self._client: httpx.AsyncClient | None = None

    def open(self) -> _Recording:
        """Begins an utterance."""
        return _Recording(self)

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def understand(self, speech: NDArray[np.float32]) -> str:
        """Returns what is said in [n] float32 at 16 kHz.

        Raises:
            TranscriptionError: the server cannot be reached, refuses, or sends nonsense.
        """
        url = self._server.base_url.rstrip("/") + "/audio/transcriptions"
        host = httpx.URL(url).host
        files = {"file": ("speech.wav", _wave(speech), "audio/wav")}
        data = {"model": self._server.model, "response_format": "json"}
        try:
            got = await self._open().post(url, files=files, data=data)
        except httpx.TimeoutException as error:
            raise TranscriptionError(f"The transcriber at {host} took too long.") from error
        except httpx.HTTPError as error:
            raise TranscriptionError(f"The transcriber at {host} cannot be reached.") from error
        if got.status_code != httpx.codes.OK:
            raise TranscriptionError(f"The transcriber at {host} answered {got.status_code}.")
        return _text(got, host)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            key = self._server.key
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx.Timeout(self._server.read_seconds, connect=CONNECT_SECONDS),
            )
        return self._client


class _Recording:
    def __init__(self, endpoint: TranscriptionEndpoint) -> None:
        self._endpoint = endpoint
        self._pieces: list[NDArray[np.float32]] = []

    def push(self, speech: NDArray[np.float32]) -> None:
        self._pieces.append(speech)

    async def finish(self) -> str:
        pieces, self._pieces = self._pieces, []
        return await self._endpoint.understand(np.concatenate(pieces))

    def drop(self) -> None:
        self._pieces = []


def _text(got: httpx.Response, host: str) -> str:
    try:
        body = got.json() if len(got.content) <= _LARGEST else None
    except (ValueError, RecursionError):
        body = None
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise TranscriptionError(f"The transcriber at {host} sent something that is no text.")
    return " ".join(text.split())[:_MOST_SAID]


def _wave(speech: NDArray[np.float32]) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(speech, -1, 1) * 32767).astype("<i2").tobytes())
    return content.getvalue()
