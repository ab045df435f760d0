"""Harnesses of the whole server: requests by HTTP, conversations by WebSocket, as ASGI brings them.

The model is the tests' stand-in, all else is what `vivant serve` runs. An input is a request as
text, or messages line by line. Nothing is pushed to other machines.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import MutableMapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from server.app import Server
from server.config import Settings
from tests.live_fakes import fake_parts
from tools.fuzz.descriptions import mutate_sdp, offers
from tools.fuzz.harness import MEBIBYTE, Harness, Misbehaviour
from tools.fuzz.messages import MESSAGES
from tools.fuzz.messages import REALTIME as REALTIME_MESSAGES
from tools.fuzz.mutate import lines_with, mutate_bytes, mutate_json
from tools.fuzz.pictures import seeds as pictures
from tools.fuzz.sounds import encoded

Message = MutableMapping[str, Any]
_ID: Final = "SESSION"  # in a path, the session that there is
_EXPECTED: Final = (501, 502, 503, 507)  # of what is no fault of the client's
_PATIENCE: Final = 60.0  # seconds of wall time, however busy the machine is
_BOUNDARY: Final = b"aBoundary"
_JSON: Final = "application/json"
_BINARY: Final = b"\xff"  # begins a line that is sent as a binary message
_HEADERS: Final = (
    *("Content-Type: application/json", "Content-Type: multipart/form-data; boundary=x"),
    *("Content-Encoding: gzip", "Content-Length: 99999999999", "Transfer-Encoding: chunked"),
    *("Range: bytes=0-", "If-Match: *", "Origin: https://example.org", "Authorization: Bearer a"),
    *("Content-Type: multipart/form-data", "Content-Type: application/sdp", "Accept: */*"),
)
_REQUESTS: Final[tuple[tuple[str, str, object], ...]] = (
    ("POST", f"/v1/sessions/{_ID}/speak", {"text": "Hello.", "voice": None, "style": None}),
    ("POST", f"/v1/sessions/{_ID}/gesture", {"name": "nod", "strength": 1, "duration": None}),
    ("POST", f"/v1/sessions/{_ID}/interrupt", None),
    ("POST", f"/v1/sessions/{_ID}/say", {"text": "Who are you?"}),
    ("POST", f"/v1/sessions/{_ID}/tokens", {"scopes": ["watch"], "seconds": 60}),
    ("POST", f"/v1/sessions/{_ID}/resume", {"token": "abc"}),
    ("PATCH", f"/v1/sessions/{_ID}", {"background": "green", "style": {"emotion": "happy"}}),
    ("PUT", f"/v1/sessions/{_ID}/brain", {"brain": "demo", "prompt": "x", "tools": []}),
    ("PUT", f"/v1/sessions/{_ID}/script", {"text": "One. Two.", "format": "markdown"}),
    ("PATCH", f"/v1/sessions/{_ID}/script", {"text": "Three.", "sentence": 1}),
    ("POST", f"/v1/sessions/{_ID}/script/play", {"sentence": 0}),
    ("POST", f"/v1/sessions/{_ID}/script/pause", {"at": "now"}),
    ("POST", f"/v1/sessions/{_ID}/script/seek", {"sentence": 1}),
    ("POST", f"/v1/sessions/{_ID}/outputs", {"url": "rtmp://a.example/b", "bearer": None}),
    ("POST", "/v1/sessions", {"mode": "converse", "seed": 1, "voice": "hum"}),
    ("PATCH", "/v1/portraits/mona_lisa", {"name": "Lisa"}),
    ("POST", "/v1/livekit/sessions", {"livekit_url": "wss://a.example", "livekit_token": "a"}),
    ("POST", "/api/offer", {"sdp": "v=0", "type": "offer", "requestData": {"session_id": _ID}}),
    ("PATCH", "/api/offer", {"pc_id": f"{_ID}.x", "candidates": [{"candidate": "a"}]}),
    ("POST", "/start", {"transport": "webrtc", "body": {"mode": "present"}}),
    ("GET", f"/v1/sessions/{_ID}/timeline?limit=5&since=0&format=trace", None),
    ("GET", f"/v1/sessions/{_ID}/script", None),
    ("GET", f"/v1/sessions/{_ID}/recordings", None),
    ("GET", "/v1/portraits/mona_lisa/image", None),
    ("GET", "/v1/recordings/20260101T000000Z_abc?x=1", None),
    ("GET", "/face_tracker/vision.js", None),
    ("DELETE", "/v1/portraits/upload-0123", None),
)


class _Complaints(logging.Handler):
    """Keeps what the server logs as errors: a session that broke is told nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line."""
        self.told.append(self.format(record))


class _House:
    """A server with one session, which is opened anew when it has ended."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        settings = Settings(
            size=256,
            max_sessions=3,
            queue_length=0,
            max_outputs=1,
            push_hosts=(),
            recording_time=1.0,
            cache_dir=Path(self._folder.name),
            keys_file=Path(self._folder.name) / "keys.json",
            no_credentials_reason="they would take longest",
        )
        self.server = Server(settings, fake_parts(settings))
        self._is_open = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self.complaints = _Complaints()
        logging.getLogger("server").addHandler(self.complaints)

    async def open(self) -> None:
        """Begins the server's life, once; it ends with the process."""
        if self._life is None:
            self._life = asyncio.get_running_loop().create_task(self._live())
        await self._is_open.wait()

    async def _live(self) -> None:
        async with self.server.app.router.lifespan_context(self.server.app):
            self._is_open.set()
            await asyncio.Event().wait()

    async def session(self) -> str:
        """Returns the id of a session just opened.

        Raises:
            Misbehaviour: none opens.
        """
        status, body = await self.request("POST", "/v1/sessions", [], b"")
        if status == 201:
            return str(json.loads(body)["session_id"])
        raise Misbehaviour("exception", "session", f"no session opens: {status} {body[:200]!r}")

    async def close(self) -> None:
        """Ends the session, and what else an input has opened; returns when they have ended.

        Raises:
            Misbehaviour: one does not end.
        """
        sessions = self.server.house.sessions
        for session in sessions.all():
            await self.request("DELETE", f"/v1/sessions/{session.id}", [], b"")
        for _ in range(3_000):
            if not len(sessions):
                return
            await asyncio.sleep(0.01)
        raise Misbehaviour("exception", "session", "a session does not end")

    async def request(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[int, bytes]:
        """Returns the status and the body of an answer."""
        pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]
        answer: list[Message] = []

        async def receive() -> Message:
            if not pieces:
                return {"type": "http.disconnect"}
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Message) -> None:
            answer.append(message)

        route, _, query = path.partition("?")
        scope = {**_scope("http", route, query, headers), "method": method}
        await asyncio.wait_for(self.server.app(scope, receive, send), _PATIENCE)
        if not answer:
            return 0, b""
        content = b"".join(each.get("body", b"") for each in answer[1:])
        return answer[0]["status"], content

    async def talk(self, path: str, messages: Sequence[Message]) -> list[Message]:
        """Sends messages by WebSocket and leaves; returns what was answered."""
        waiting = [{"type": "websocket.connect"}, *messages]
        answers: list[Message] = []

        async def receive() -> Message:
            if waiting:
                return waiting.pop(0)
            await asyncio.sleep(0.02)  # what was read is obeyed by another task
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Message) -> None:
            answers.append(message)

        route, _, query = path.partition("?")
        scope = {
            **_scope("websocket", route, query, []),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        await asyncio.wait_for(self.server.app(scope, receive, send), _PATIENCE)
        return answers

    def check(self) -> None:
        """Accepts a server that has logged no error.

        Raises:
            Misbehaviour: it has.
        """
        if self.complaints.told:
            told, self.complaints.told = self.complaints.told, []
            raise Misbehaviour("exception", told[0][-120:], told[0][-1500:])


@cache
def loop() -> asyncio.Runner:
    """Returns what runs the server, in which tasks live on from input to input."""
    return asyncio.Runner()


def end() -> None:
    """Ends the server; nothing may be given to it any more."""
    loop().close()


def take_request(data: bytes) -> None:
    """Makes a request, and looks at what it is answered."""
    loop().run(_request(data))


def take_talk(data: bytes) -> None:
    """Sends messages of our protocol, and sound, to a session."""
    loop().run(_talk(data, f"/v1/sessions/{_ID}/events"))


def take_realtime(data: bytes) -> None:
    """Sends events of OpenAI's Realtime API to a session."""
    loop().run(_talk(data, f"/v1/realtime?session={_ID}"))


async def _request(data: bytes) -> None:
    house = await _house()
    session_id = await house.session()
    try:
        head, _, body = data.partition(b"\n\n")
        first, *rest = head.replace(_ID.encode(), session_id.encode()).split(b"\n")
        method, _, path = first.decode("latin-1").partition(" ")
        pairs = [line.partition(b":") for line in rest]
        headers = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        body = body.replace(_ID.encode(), session_id.encode())
        status, content = await house.request(method[:10].upper(), "/" + path[1:], headers, body)
        _check_answer(status, content)
    finally:
        await house.close()
    house.check()


async def _talk(data: bytes, path: str) -> None:
    house = await _house()
    session_id = await house.session()
    try:
        await house.talk(
            path.replace(_ID, session_id), [_message(line) for line in data.split(b"\n")]
        )
        for _ in range(3):
            await asyncio.sleep(0)
    finally:
        await house.close()
    house.check()


def _message(line: bytes) -> Message:
    if line.startswith(_BINARY):
        return {"type": "websocket.receive", "bytes": line[1:]}
    return {"type": "websocket.receive", "text": line.decode("utf-8", "replace")}


def _check_answer(status: int, content: bytes) -> None:
    """Accepts an answer of the shape that is documented.

    Raises:
        Misbehaviour: it is the server's fault, or its reason is no sentence.
    """
    if status >= 500 and status not in _EXPECTED:
        raise Misbehaviour("exception", f"status {status}", repr(content[:300]))
    if status < 400 or not content.startswith(b'{"error"'):
        return
    error = json.loads(content)["error"]
    text = error["message"]
    if not text.endswith((".", "?")) or len(text) > 2_500 or "\n" in text:
        raise Misbehaviour("sentence", str(error["code"]), repr(text[:300]))


def _scope(kind: str, path: str, query: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def _house() -> _House:
    house = _made()
    await house.open()
    return house


@cache
def _made() -> _House:
    return _House()


def _as_text(method: str, path: str, kind: str, body: bytes) -> bytes:
    head = f"{method} {path}\nContent-Type: {kind}\nIf-Match: *"
    return head.encode() + b"\n\n" + body


def _form(parts: Sequence[tuple[str, str | None, bytes]]) -> bytes:
    """Returns a body of multipart/form-data; parts are (name, file name, content)."""
    made = b""
    for name, filename, content in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        head = f'Content-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        made += b"--" + _BOUNDARY + b"\r\n" + head + content + b"\r\n"
    return made + b"--" + _BOUNDARY + b"--\r\n"


def _request_seeds() -> Sequence[bytes]:
    seeds = [
        _as_text(method, path, _JSON, b"" if body is None else json.dumps(body).encode())
        for method, path, body in _REQUESTS
    ]
    form = f"multipart/form-data; boundary={_BOUNDARY.decode()}"
    png = next(each for each in pictures() if each.startswith(b"\x89PNG"))
    rights = ("rights", None, b"own-picture")
    for path in ("/v1/portraits", "/v1/portraits/preview", "/v1/backgrounds"):
        parts = [("image", "me.png", png), ("crop", None, b"0,0,20,20"), rights]
        seeds.append(_as_text("POST", path, form, _form(parts)))
    sound = encoded("wav", "pcm_s16le") or b""
    parts = [
        ("audio", "a.wav", sound),
        ("captions", None, b"1\n00:00:00,000 --> 00:00:00,100\nHi\n"),
    ]
    seeds.append(_as_text("PUT", f"/v1/sessions/{_ID}/script/audio", form, _form(parts)))
    fields = [("livekit_url", None, b"wss://a.example"), ("livekit_token", None, b"t")]
    parts = [*fields, ("avatar_image", "a.png", png)]
    seeds.append(_as_text("POST", "/v1/livekit/sessions", form, _form(parts)))
    for path in (f"/whep/{_ID}", f"/whip/{_ID}?use=listen"):
        seeds.append(_as_text("POST", path, "application/sdp", offers()[0]))
    return seeds


def _mutate_request(data: bytes, random: Random) -> bytes:
    head, _, body = data.partition(b"\n\n")
    if random.random() < 0.4:
        head = _mutate_head(head, random)
    if random.random() < 0.8:
        if body.lstrip()[:1] in (b"{", b"["):
            body = mutate_json(body, random)
        else:
            body = (mutate_sdp if body.startswith(b"v=0") else _mutate_form)(body, random)
    return head + b"\n\n" + body


def _mutate_form(body: bytes, random: Random) -> bytes:
    boundary = b"--" + _BOUNDARY
    parts = body.split(boundary)
    match random.randrange(6):
        case 0:
            parts[1:1] = parts[1:2] * random.choice((1, 50, 1_500))
        case 1:
            at = random.randrange(len(parts))
            parts[at] = b"\r\nX-Long: " + b"a" * random.choice((100, 20_000)) + parts[at]
        case 2:
            del parts[random.randrange(len(parts))]
        case 3:
            random.shuffle(parts)
        case _:
            return mutate_bytes(body, random)
    return boundary.join(parts)


_mutate_head: Final = lines_with(_HEADERS)


def _mutate_talk(data: bytes, random: Random) -> bytes:
    messages = data.split(b"\n")
    for _ in range(random.choice((1, 2, 4))):
        at = random.randrange(len(messages))
        match random.randrange(6):
            case 0:
                messages.insert(at, random.choice(messages))
            case 1:
                del messages[at : at + 2]
            case 2:
                random.shuffle(messages)
            case 3:
                sound = random.randbytes(random.choice((0, 1, 2, 640, 9_601)))
                messages.insert(at, _BINARY + sound.replace(b"\n", b"\0"))
            case _:
                messages[at] = mutate_json(messages[at], random).replace(b"\n", b" ")
        messages = messages or [b"{}"]
    return b"\n".join(messages)


def _talk_seeds(messages: Sequence[dict[str, Any]]) -> list[bytes]:
    lines = [json.dumps(message).encode() for message in messages]
    sound = _BINARY + bytes(range(11, 250)) * 8
    start = json.dumps({"type": "audio.start", "sample_rate": 16_000}).encode()
    spoken = [start, sound, sound, b'{"type": "audio.end"}']
    return [b"\n".join(lines), b"\n".join(spoken), b"\n".join(reversed(lines))]


_MEMORY: Final = 256 * MEBIBYTE
HTTP: Final = Harness(take_request, _request_seeds, _mutate_request, (), 3.0, _MEMORY, 300_000)
SESSION: Final = Harness(
    take_talk, lambda: _talk_seeds(MESSAGES), _mutate_talk, (), 3.0, _MEMORY, 300_000
)
REALTIME: Final = Harness(
    take_realtime, lambda: _talk_seeds(REALTIME_MESSAGES), _mutate_talk, (), 3.0, _MEMORY, 300_000
)
