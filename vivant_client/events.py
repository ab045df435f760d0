"""What the server says, as the dataclasses of its protocol. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from server.protocol import EventsAttached, ServerEvent


@dataclass(frozen=True, slots=True)
class UnknownEvent(ServerEvent):
    """Something that a newer server says."""

    type: ClassVar[str] = "unknown"
    name: str
    content: dict[str, Any] = field(default_factory=dict)


_NUMBER = re.compile(r'\{"seq": (\d+), ')
_KINDS = {kind.type: kind for kind in ServerEvent.__subclasses__() if kind is not UnknownEvent}


def number_of(text: str) -> int | None:
    """Returns the number of a message that has one.

    >>> number_of('{"seq": 7, "type": "pong", "t": 1}'), number_of('{"type": "pong", "t": 1}')
    (7, None)
    """
    found = _NUMBER.match(text)
    return int(found[1]) if found else None


def read_event(text: str) -> ServerEvent | None:
    """Reads one message of the server; None where it is no message at all.

    Fields that are unknown here are left out; a message that lacks one is an `UnknownEvent`.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    name = message.pop("type")
    if name != EventsAttached.type:
        message.pop("seq", None)
    kind = _KINDS.get(name)
    if kind is None:
        return UnknownEvent(name, message)
    known = {item.name: message[item.name] for item in fields(kind) if item.name in message}
    try:
        return kind(**known)
    except TypeError:
        return UnknownEvent(name, message)
