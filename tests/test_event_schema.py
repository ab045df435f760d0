"""The published schema: it fits what is parsed and what is sent, on every way there is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from server.config import Settings
from server.event_schema import message_schema, server_events
from tests.test_protocol import UNDERSTOOD
from tests.test_server_live import SIZE, LiveServer, on_loopback, serving

__all__ = ["on_loopback"]  # a fixture for every test here


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0)) as live:
        yield live


def validator(side: str) -> Draft202012Validator:
    schema = message_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator({**schema, "$ref": f"#/$defs/{side}"})


@pytest.mark.parametrize("text", [text for text, _ in UNDERSTOOD])
def test_what_the_parser_takes_the_schema_takes(text: str) -> None:
    validator("client").validate(json.loads(text))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "speak"},
        {"type": "speak", "text": 3},
        {"type": "dance"},
        {"type": "gesture", "name": "nod", "mode": "sometimes"},
        {"type": "audio.start", "sample_rate": "fast"},
        [],
    ],
)
def test_what_the_parser_refuses_the_schema_refuses(message: object) -> None:
    assert not validator("client").is_valid(message)


def test_every_event_has_a_schema_and_no_two_share_a_type() -> None:
    kinds = [kind.type for kind in server_events()]
    assert len(set(kinds)) == len(kinds) > 20
    told = message_schema()["$defs"]
    assert {told[kind.__name__]["properties"]["type"]["const"] for kind in server_events()} == set(
        kinds
    )


async def test_what_is_sent_fits_by_socket_data_channel_and_server_sent_events(
    live: LiveServer,
) -> None:
    schema = (await live.client.get("/v1/schema")).json()
    check = Draft202012Validator({**schema, "$ref": "#/$defs/server"})
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    viewer.send(type="motion.subscribe")
    streamed: list[dict[str, Any]] = []
    async with live.client.stream("GET", f"/v1/sessions/{session_id}/events", timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        viewer.send(type="speak", text="Said by all three.")
        viewer.send(type="speak", text="")  # refused
        async for name, message in server_sent(stream):
            assert name == message["type"]
            streamed.append(message)
            if name == "agent.speak_ended":
                break
    await viewer.until(lambda got: got.of_type("agent.speak_ended"))
    for message in [*streamed, *viewer.received.events]:
        check.validate(message)
    spoken = [each for each in streamed if each["type"].startswith(("agent.", "subtitle."))]
    assert streamed[0]["type"] == "session.ready"
    assert all(each in viewer.received.events for each in spoken)
    assert viewer.received.of_type("error") and viewer.received.of_type("motion.frame")
    assert (await live.client.get("/v1/sessions/nobody/events")).status_code == 404


async def server_sent(stream: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in stream.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
