"""An endpoint like OpenAI's for a bot: it writes one sentence, and speaks by a tone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np

SENTENCE = "I have a face now."
SECONDS = 1.5
RATE = 24_000  # Hz, of OpenAI's pcm


class Handler(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []  # path, what was said or is to be said

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/chat/completions":
            self.asked.append((self.path, body["messages"][-1]["content"]))
            self._answer("text/event-stream", b"".join(map(_chunk, [SENTENCE, None])) + DONE)
        else:
            self.asked.append((self.path, body["input"]))
            time = np.arange(round(SECONDS * RATE)) / RATE
            self._answer("audio/pcm", (15_000 * np.sin(2500 * time)).astype("<i2").tobytes())

    def _answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Stays quiet."""


DONE = b"data: [DONE]\n\n"


def _chunk(text: str | None) -> bytes:
    choice = {
        "index": 0,
        "delta": {} if text is None else {"role": "assistant", "content": text},
        "finish_reason": "stop" if text is None else None,
    }
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


@contextmanager
def openai_stub() -> Iterator[str]:
    """Yields its address; what it is asked is in `Handler.asked`."""
    Handler.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
