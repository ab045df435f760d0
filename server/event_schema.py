"""The JSON Schema of the messages of docs/protocol.md, made from what parses and writes them."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from server import protocol
from server.protocol import ClientMessage, ServerEvent

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEMPLATE: Final = "#/$defs/{model}"


@cache
def message_schema() -> dict[str, Any]:
    """Returns one schema with `client`, what clients send, and `server`, what they are told."""
    definitions: dict[str, Any] = {}
    client = TypeAdapter(ClientMessage).json_schema(ref_template=_TEMPLATE)
    definitions |= {name: _typed(each) for name, each in client.pop("$defs").items()}
    definitions["client"] = {"title": "What clients send", **client}
    kinds = sorted(server_events(), key=lambda kind: kind.type)
    definitions |= {kind.__name__: _event_schema(kind) for kind in kinds}
    definitions["server"] = {
        "title": "What the server sends",
        "oneOf": [{"$ref": _TEMPLATE.format(model=kind.__name__)} for kind in kinds],
    }
    return {"$schema": DIALECT, "title": "Vivant's messages", "$defs": definitions}


def server_events() -> list[type[ServerEvent]]:
    """Returns every kind of event that the server sends."""
    found = vars(protocol).values()
    return [
        each
        for each in found
        if isinstance(each, type) and issubclass(each, ServerEvent) and each is not ServerEvent
    ]


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns a message's schema with its type required, which has a default for Python alone."""
    if "const" not in schema.get("properties", {}).get("type", {}):
        return schema
    return {**schema, "required": ["type", *schema.get("required", [])]}


def _event_schema(kind: type[ServerEvent]) -> dict[str, Any]:
    """Returns an event's schema: fields, all of them sent, and its type."""
    schema = TypeAdapter(kind).json_schema(ref_template=_TEMPLATE, mode="serialization")
    assert "$defs" not in schema, f"{kind.__name__} is not flat"
    fields: dict[str, Any] = schema.get("properties", {})
    return {
        **schema,
        "description": kind.__doc__,
        "properties": {"type": {"const": kind.type}, **fields},
        "required": ["type", *fields],
    }
