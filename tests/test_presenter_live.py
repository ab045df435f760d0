"""A script on a live server: over HTTP, over the WebSocket, and as a viewer hears it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioice.ice
import numpy as np
import pytest

from server.config import Settings
from tests.test_server_live import LiveServer, serving
from vivant_client import (
    RefusedError,
    ScriptPosition,
    ScriptUpdated,
    SpeakEnded,
    SubtitleDelta,
    connect,
)

LETTER = 800  # samples at 16 kHz of the fake voice's letters


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out; a test must not depend on the machine's network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)) as live:
        yield live


async def test_a_viewer_hears_a_script_with_its_captions_and_an_edit(live: LiveServer) -> None:
    source = "[happy] One of them. [pause 600ms] Two [nod] of them. Old. Four."
    async with connect(f"http://{live.address}") as session, asyncio.TaskGroup() as group:
        script = await session.script.put(source)
        assert [item["text"] for item in script["sentences"]] == [
            "One of them.", "Two of them.", "Old.", "Four.",
        ]  # fmt: skip
        seen: list[Any] = []
        heard: list[tuple[int, bool]] = []

        async def note() -> None:
            async for event in session.events():
                seen.append(event)
                if isinstance(event, ScriptUpdated) and event.state == "ended":
                    return

        async def listen() -> None:
            async for sound in session.sounds():
                heard.append((sound.media_time, bool(np.abs(sound.samples).max() > 0.05)))

        noting = group.create_task(note())
        listening = group.create_task(listen())
        await asyncio.sleep(0)
        answer = await session.script.play()
        assert answer["state"] == "playing"
        await session.wait_for(ScriptPosition)
        await session.script.change("New one. Four.", sentence=2)
        await noting
        await asyncio.sleep(0.2)
        listening.cancel()
        after = await session.script.get()
    captions = [event for event in seen if isinstance(event, SubtitleDelta)]
    assert [event.text for event in captions] == ["One of them", "Two of them", "New one", "Four"]
    positions = [event.sentence for event in seen if isinstance(event, ScriptPosition)]
    assert positions == [0, 1, 2, 3]
    assert after["state"] == "ended"
    assert after["text"].endswith("Two [nod] of them. New one. Four.")
    begun = [time for (time, loud), (_, was) in zip(heard[1:], heard, strict=False) if loud > was]
    # Sound begins anew after the pause alone, and its captions come with it.
    for caption in captions[:2]:
        assert min(abs(time - caption.media_time) for time in begun) < 1600  # 100 ms
    silent = [time for time, loud in heard if not loud]
    first, second = (caption.media_time for caption in captions[:2])
    gap = sum(first < time < second for time in silent) * 20
    assert gap == pytest.approx(600, abs=40)


async def test_the_socket_and_http_steer_one_script(live: LiveServer) -> None:
    session_id = await live.session()
    path = f"/v1/sessions/{session_id}/script"
    assert (await live.client.get(path)).json()["state"] == "empty"
    async with live.socket(session_id) as socket:

        async def until(kind: str, **fields: object) -> dict[str, Any]:
            async for text in socket:
                event: dict[str, Any] = json.loads(text)
                if event["type"] == kind and fields.items() <= event.items():
                    return event
            raise AssertionError(f"no {kind}")

        await socket.send(json.dumps({
            "type": "script.update", "format": "markdown",
            "text": "# Hello there\n\n- a long item of it\n- the last one [hapy]\n",
        }))  # fmt: skip
        event = await until("script.updated", state="ready")
        assert (event["sentences"], event["warnings"], event["revision"]) == (3, 1, 1)
        told = (await live.client.get(path)).json()
        assert told["warnings"] == [
            {
                "line": 4,
                "column": 16,
                "message": "There is no mark '[hapy]'; did you mean '[happy]'?",
            }
        ]
        await socket.send(json.dumps({"type": "script.play", "sentence": 1}))
        position = await until("script.position")
        assert position["sentence"] == 1
        assert told["text"][position["start"] : position["end"]] == "a long item of it"
        answer = await live.client.post(f"{path}/pause", json={"at": "now"})
        assert answer.status_code == 202
        await until("script.updated", state="paused", sentence=1)
        await socket.send(json.dumps({"type": "script.seek", "sentence": 9}))
        error = await until("error")
        assert error["message"] == "There is no sentence 9; the script has 3, from 0."
        await socket.send(json.dumps({"type": "script.seek", "sentence": 2}))
        await until("script.updated", state="paused", sentence=2)
        async with live.socket(session_id) as other:
            greeting = [json.loads(await other.recv())["type"] for _ in range(3)]
            assert greeting == ["session.ready", "ai_disclosure", "script.updated"]
        assert (await live.client.post(f"{path}/play")).json()["state"] == "playing"
        await until("script.position", sentence=2)
        await until("script.updated", state="ended")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("PUT", "", {"text": "x" * 100_001}, 422, "100,001 characters; at most 100,000"),
        ("PUT", "", {"text": "Words.", "format": "srt"}, 422, "not one cue"),
        ("PUT", "", {"text": "Words.", "format": "pdf"}, 400, "'pdf'"),
        ("PUT", "", {"words": "x"}, 400, "text"),
        ("PATCH", "", {"text": "x", "sentence": 5}, 400, "no sentence 5; the script has 2"),
        ("PATCH", "", {"text": "x", "sentence": -1}, 400, "-1"),
        ("POST", "/seek", {"sentence": 2}, 400, "no sentence 2; the script has 2"),
        ("POST", "/seek", {}, 400, "sentence"),
        ("POST", "/pause", {"at": "dawn"}, 400, "'dawn'"),
    ],
)
async def test_bad_requests_are_refused_with_one_sentence(
    live: LiveServer, method: str, path: str, body: dict[str, Any], status: int, reason: str
) -> None:
    url = f"/v1/sessions/{await live.session()}/script"
    await live.client.put(url, json={"text": "One. Two."})
    answer = await live.client.request(method, url + path, json=body)
    assert answer.status_code == status, answer.text
    message = answer.json()["error"]["message"]
    assert reason in message
    assert message.endswith(".") and "\n" not in message
    assert (await live.client.get(url)).json()["text"] == "One. Two."


async def test_an_empty_script_is_not_played_and_an_interruption_is_told(live: LiveServer) -> None:
    async with connect(f"http://{live.address}", media=False) as session:
        with pytest.raises(RefusedError, match="no sentence to speak"):
            await session.script.play()
        await session.script.put("A sentence that is long enough. Another.")
        async with asyncio.TaskGroup() as group:
            paused = group.create_task(
                session.wait_for(ScriptUpdated, lambda event: event.state == "paused")
            )
            begun = group.create_task(session.wait_for(ScriptPosition))
            await asyncio.sleep(0)
            await session.script.play()
            await begun
            await session.interrupt()
            assert (await paused).sentence == 0
        ended = await session.finished(1)
        assert isinstance(ended, SpeakEnded) and ended.interrupted
