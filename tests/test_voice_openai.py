"""A remote voice against a real HTTP server on this machine."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from server.voice.base import VoiceError
from server.voice.openai_speech import SAMPLE_RATE, OpenAiVoice, SpeechServer

SECONDS = 1.5


def tone(rate: int) -> bytes:
    wave_form = 0.05 * np.sin(2 * np.pi * 220 * np.arange(round(SECONDS * rate)) / rate)
    return (wave_form * 32767).astype("<i2").tobytes()


class SpeechHandler(BaseHTTPRequestHandler):
    """Speaks a tone; the model's name says how to misbehave."""

    requests: list[dict[str, object]]
    keys: list[str | None]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append({"path": self.path, **body})
        self.keys.append(self.headers["Authorization"])
        model, kind = body["model"], body["response_format"]
        if model == "refuses":
            self._answer(401, "application/json", b'{"error": {"message": "bad key"}}')
        elif model == "sleeps":
            time.sleep(1.0)
            self._answer(200, "audio/pcm", tone(SAMPLE_RATE))
        elif model == "only-wav" and kind == "pcm":
            self._answer(400, "application/json", b'{"error": "unknown format"}')
        elif model == "only-wav":
            self._answer(200, "audio/wav", self._wave())
        elif model == "mp3":
            self._answer(200, "audio/mpeg", b"ID3")
        else:
            self._stream(tone(SAMPLE_RATE))

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client of "sleeps" has gone
            self.wfile.write(content)

    def _stream(self, content: bytes) -> None:
        """Sends chunks of odd length, so that samples are cut in two."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", "audio/pcm")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(content), 4999):
            piece = content[start : start + 4999]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _wave(self) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(16_000)
            writer.writeframes(tone(16_000))
        return file.getvalue()

    def log_message(self, format: str, *args: object) -> None:
        """Stays quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    SpeechHandler.requests, SpeechHandler.keys = [], []
    http = ThreadingHTTPServer(("127.0.0.1", 0), SpeechHandler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}/v1"
    http.shutdown()
    http.server_close()
    thread.join()


def spoken_seconds(voice: OpenAiVoice, text: str) -> float:
    return sum(len(clause.samples) for clause in voice.speak(text)) / SAMPLE_RATE


def test_streams_pcm_in_pieces(server: str) -> None:
    voice = OpenAiVoice("alloy", SpeechServer(server, "tone", "secret"))
    clauses = list(voice.speak("Hello there. **Bold** 日本語 words.", speed=1.0))
    voice.close()
    assert [request["input"] for request in SpeechHandler.requests] == [
        "Hello there.",
        "Bold 日本語 words.",
    ]
    first = SpeechHandler.requests[0]
    assert (first["path"], first["voice"], first["response_format"]) == (
        "/v1/audio/speech",
        "alloy",
        "pcm",
    )
    assert SpeechHandler.keys[0] == "Bearer secret"
    assert len(clauses) > 4  # several pieces for each clause
    assert [clause.text for clause in clauses if clause.text] == [
        "Hello there.",
        "**Bold** 日本語 words.",
    ]
    sound = np.concatenate([clause.samples for clause in clauses])
    assert len(sound) / SAMPLE_RATE == pytest.approx(2 * SECONDS + 0.8, abs=0.05)
    assert np.abs(np.diff(sound)).max() < 0.05  # no click where chunks were cut
    assert np.sqrt(np.mean(sound[: SAMPLE_RATE // 2] ** 2)) == pytest.approx(0.1, rel=0.1)


def test_falls_back_to_wav(server: str) -> None:
    voice = OpenAiVoice("alloy", SpeechServer(server, "only-wav"))
    assert spoken_seconds(voice, "Hello there.") == pytest.approx(SECONDS + 0.4, abs=0.05)
    assert spoken_seconds(voice, "Again.") > SECONDS
    voice.close()
    formats = [request["response_format"] for request in SpeechHandler.requests]
    assert formats == ["pcm", "wav", "wav"]
    assert SpeechHandler.keys == [None, None, None]


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("refuses", "answered 401: .*bad key"),
        ("sleeps", "took too long"),
        ("mp3", "sent audio/mpeg instead of PCM or WAV"),
    ],
)
def test_failures_are_one_sentence(server: str, model: str, sentence: str) -> None:
    voice = OpenAiVoice("alloy", SpeechServer(server, model, "secret", read_seconds=0.3))
    with pytest.raises(VoiceError, match=sentence) as failure:
        list(voice.speak("Hello."))
    voice.close()
    assert "secret" not in str(failure.value)
    assert "secret" not in repr(voice._server)


def test_an_absent_server_is_one_sentence() -> None:
    voice = OpenAiVoice("alloy", SpeechServer("http://127.0.0.1:9/v1", "tone"))
    with pytest.raises(VoiceError, match=r"127\.0\.0\.1 cannot be used"):
        list(voice.speak("Hello."))
    voice.close()


def test_the_environment_configures_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://speech.test/v1")
    monkeypatch.setenv("OPENAI_TTS_MODEL", "kokoro")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert SpeechServer.from_environment() == SpeechServer("http://speech.test/v1", "kokoro", "")
