"""What every route takes: which scope, of which session, and what it costs. Default: nobody may.

A route without a rule here answers nobody who has to bring a key, and tests/test_red_team.py fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from starlette.routing import compile_path

from server.access.principal import Scope
from server.outputs.library import session_of

MEGABYTE: Final = 1_000_000
PICTURE_BODY: Final = 20 * 2**20 + 64 * 1024  # bytes: a picture with its boundaries and headers


class Reach(Enum):
    """Whom a route is for."""

    PUBLIC = "everybody, without a key"
    SHARED = "whoever brings a key or any session's token"
    SESSION = "a key, or a token of the session in the path"
    FILM = "a key, or a token of the session that the recording in the path is of"
    JOINED = "a key, or a token of the session in the query; a key alone where there is none"
    INNER = "a key or a token; which session it is about, the route reads in the body and checks"
    SERVER = "a key"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route takes.

    Attributes:
        reach: whom it is for.
        scope: what they must be allowed to do.
        cost: of a request, by the rate limits.
        largest: bytes that its body may have.
    """

    reach: Reach
    scope: Scope = Scope.WATCH
    cost: float = 1.0
    largest: int = 2 * MEGABYTE


class Found(NamedTuple):
    """The rule of a request, and what it is about.

    Attributes:
        rule: what it takes.
        session: None for none, or one that is not known yet.
        recording: None for none.
    """

    rule: Rule
    session: str | None
    recording: str | None = None


OPENING: Final = 10.0  # what requests cost, at least, that may open a session
PUBLIC: Final = Rule(Reach.PUBLIC, cost=0.2)  # also the page's files
_FREE: Final = Rule(Reach.PUBLIC, cost=0.0)
_LOGIN: Final = Rule(Reach.SHARED, cost=5.0)
_SHARED: Final = Rule(Reach.SHARED)
_WATCH: Final = Rule(Reach.SESSION)
_SPEAK: Final = Rule(Reach.SESSION, Scope.SPEAK)
_CONTROL: Final = Rule(Reach.SESSION, Scope.CONTROL)
_CONNECT: Final = Rule(Reach.SESSION, cost=5.0)
_SERVER: Final = Rule(Reach.SERVER, Scope.CONTROL)
_OPEN: Final = Rule(Reach.SERVER, Scope.CONTROL, cost=10.0)
_PICTURE: Final = Rule(Reach.SERVER, Scope.CONTROL, cost=20.0, largest=PICTURE_BODY)
_RECORDED: Final = Rule(Reach.SESSION, Scope.SPEAK, cost=20.0, largest=101 * MEGABYTE)
_FILM: Final = Rule(Reach.FILM, Scope.CONTROL)

_WHEP: Final = "/whep/{session_id}"
_WHIP: Final = "/whip/{session_id}"
_ONE: Final = "/v1/sessions/{session_id}"

RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "/healthz": {"GET": _FREE},
    "/readyz": {"GET": _FREE},
    "/metrics": {"GET": Rule(Reach.SERVER, Scope.METRICS)},
    "/docs": {"GET": _SHARED},
    "/openapi.json": {"GET": _SHARED},
    "/v1/login": {"GET": _SHARED, "POST": _LOGIN, "DELETE": PUBLIC},
    "/v1/info": {"GET": _SHARED},
    "/v1/capacity": {"GET": _SHARED},
    "/v1/workers/{worker}/drain": {"POST": _SERVER},  # of gateways alone
    "/v1/voices": {"GET": _SHARED},
    "/v1/schema": {"GET": _SHARED},
    "/v1/head.glb": {"GET": _SHARED},
    "/face_tracker/{name}": {"GET": _SHARED},
    "/v1/portraits": {"GET": _SHARED, "POST": _PICTURE},
    "/v1/portraits/preview": {"POST": _PICTURE},
    "/v1/portraits/{portrait_id}": {"PATCH": _SERVER, "DELETE": _SERVER},
    "/v1/portraits/{portrait_id}/image": {"GET": _SHARED},
    "/v1/portraits/{portrait_id}/rights": {"GET": _SERVER},
    "/v1/backgrounds": {"POST": _PICTURE},
    "/v1/sessions": {"POST": _OPEN},
    _ONE: {"GET": _WATCH, "PATCH": _CONTROL, "DELETE": _CONTROL},
    f"{_ONE}/tokens": {"POST": _CONTROL},
    f"{_ONE}/resume": {"POST": _CONTROL},
    f"{_ONE}/timeline": {"GET": _WATCH},
    f"{_ONE}/offer": {"POST": _CONNECT},
    f"{_ONE}/events": {"GET": _WATCH, "WS": _CONNECT},
    f"{_ONE}/motion": {"GET": _WATCH},
    f"{_ONE}/history": {"GET": _WATCH},
    f"{_ONE}/speak": {"POST": _SPEAK},
    f"{_ONE}/gesture": {"POST": _SPEAK},
    f"{_ONE}/interrupt": {"POST": _SPEAK},
    f"{_ONE}/say": {"POST": _SPEAK},
    f"{_ONE}/brain": {"PUT": _CONTROL},
    f"{_ONE}/script": {"GET": _WATCH, "PUT": _SPEAK, "PATCH": _SPEAK},
    f"{_ONE}/script/audio": {"PUT": _RECORDED},
    f"{_ONE}/script/play": {"POST": _SPEAK},
    f"{_ONE}/script/pause": {"POST": _SPEAK},
    f"{_ONE}/script/seek": {"POST": _SPEAK},
    f"{_ONE}/recordings": {"GET": _CONTROL, "POST": _CONTROL},
    f"{_ONE}/recordings/{{recording_id}}": {"DELETE": _CONTROL},
    f"{_ONE}/outputs": {"GET": _CONTROL, "POST": _CONTROL},
    f"{_ONE}/outputs/{{output_id}}": {"DELETE": _CONTROL},
    "/v1/recordings/{recording_id}": {"GET": _FILM, "DELETE": _FILM},
    "/v1/recordings/{recording_id}/credentials": {"GET": _FILM},
    "/v1/realtime": {"WS": Rule(Reach.JOINED, Scope.SPEAK, cost=10.0)},
    "/v1/livekit/sessions": {"POST": Rule(Reach.SERVER, Scope.CONTROL, 10.0, PICTURE_BODY)},
    "/v1/livekit/sessions/{session_id}": {"DELETE": _CONTROL},
    "/api/offer": {
        "POST": Rule(Reach.INNER, Scope.SPEAK, cost=10.0),
        "PATCH": Rule(Reach.INNER, Scope.SPEAK),
    },
    "/start": {"POST": Rule(Reach.INNER, Scope.SPEAK, cost=10.0)},
    "/sessions/{session_id}/api/offer": {
        "POST": Rule(Reach.SESSION, Scope.SPEAK, cost=5.0),
        "PATCH": _SPEAK,
    },
    _WHEP: dict.fromkeys(("GET", "PUT", "OPTIONS"), _WATCH) | {"POST": _CONNECT},
    _WHIP: dict.fromkeys(("GET", "PUT", "OPTIONS"), _SPEAK)
    | {"POST": Rule(Reach.SESSION, Scope.SPEAK, cost=5.0)},
    f"{_WHEP}/{{viewer_id}}": dict.fromkeys(
        ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"), _WATCH
    ),
    f"{_WHIP}/{{viewer_id}}": dict.fromkeys(
        ("GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"), _SPEAK
    ),
    "/view/{session_id}": {"GET": PUBLIC},  # a page; what it shows it asks for
    "/face_worker.js": {"GET": PUBLIC},
}
_COMPILED: Final = [(compile_path(path)[0], methods) for path, methods in RULES.items()]


def find_rule(method: str, path: str, query: bytes = b"") -> Found | None:
    """Returns what a request takes; None where no route has a rule for it.

    Args:
        method: of HTTP, or `WS`.
        path: decoded, without the prefix of a proxy.
        query: as it came.
    """
    method = "GET" if method == "HEAD" else method
    for pattern, methods in _COMPILED:
        match = pattern.match(path)
        if match is not None and method in methods:
            rule = methods[method]
            parts = match.groupdict()
            session = _session(rule.reach, parts, query)
            return Found(rule, session, parts.get("recording_id"))
    return None


def _session(reach: Reach, parts: Mapping[str, Any], query: bytes) -> str | None:
    match reach:
        case Reach.SESSION:
            return str(parts["session_id"])
        case Reach.FILM:
            return session_of(parts["recording_id"]) or ""
        case Reach.JOINED:
            named = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("session")
            return named[-1] if named else None
        case _:
            return None
