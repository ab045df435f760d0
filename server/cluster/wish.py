"""What the body of a request names: the session that it is about, or the portrait that it wants.

Pure, but for reading the body; the worker that is asked reads it again, and says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Message, Receive

from server.access.rules import Found, Reach

_LARGEST: Final = 262_144  # bytes of a body that is looked into
_OPEN: Final = "/v1/sessions"
_REQUEST: Final = ("requestData", "request_data", "body")  # where Pipecat's clients put ours


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request names beside its path.

    Attributes:
        session: None for none.
        portrait: None for none, which is the usual one.
    """

    session: str | None = None
    portrait: str | None = None


def has_wish(found: Found, path: str) -> bool:
    """Returns whether a request's body is to be looked into."""
    return found.rule.reach is Reach.INNER or path == _OPEN


def wish_of(body: bytes, path: str) -> Wish:
    """Returns what a body names; nothing where it cannot be read.

    >>> wish_of(b'{"portrait": "mona_lisa"}', "/v1/sessions")
    Wish(session=None, portrait='mona_lisa')
    >>> wish_of(b'{"pc_id": "s1.v1"}', "/api/offer").session
    's1'
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return Wish()
    if not isinstance(given, Mapping):
        return Wish()
    if path == _OPEN:
        return Wish(portrait=_text(given, "portrait"))
    connection = _text(given, "pc_id")
    inner: Mapping[str, Any] = next(
        (given[each] for each in _REQUEST if isinstance(given.get(each), Mapping)), {}
    )
    session = _text(inner, "session_id")
    if connection is not None and "." in connection:
        session = connection.partition(".")[0]
    return Wish(session, _text(inner, "portrait"))


async def read_wish(receive: Receive, path: str) -> tuple[Wish, Receive]:
    """Returns what a request's body names, and the body once more."""
    messages: list[Message] = []
    size, more = 0, True
    while more and size <= _LARGEST:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    wish = wish_of(b"".join(each.get("body", b"") for each in messages), path)

    async def again() -> Message:
        return messages.pop(0) if messages else await receive()

    return wish, again


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    return value if isinstance(value, str) else None
