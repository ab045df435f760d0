"""What the server says, as the dataclasses of its protocol. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from server.protocol import ServerEvent


@dataclass(frozen=True, slots=True)
class UnknownEvent(ServerEvent):
    """Something that a newer server says."""

    type: ClassVar[str] = "unknown"
    name: str
    content: dict[str, Any] = field(default_factory=dict)


_KINDS = {kind.type: kind for kind in ServerEvent.__subclasses__() if kind is not UnknownEvent}


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
    kind = _KINDS.get(name)
    if kind is None:
        return UnknownEvent(name, message)
    known = {item.name: message[item.name] for item in fields(kind) if item.name in message}
    try:
        return kind(**known)
    except TypeError:
        return UnknownEvent(name, message)
