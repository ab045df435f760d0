"""WHIP: sessions published to an endpoint made of aiortc, and to ones that refuse."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

import server.outputs.output
import server.outputs.whip
from server.config import Settings
from tests.test_outputs_push import free_port, mute_server, outputs, push
from tests.test_outputs_recording import is_state, live, on_loopback, until
from tests.test_server_live import LiveServer, serving
from tests.whip_server import TOKEN, WhipServer, whip_server

SIZE = 256
__all__ = ["live", "on_loopback"]  # fixtures for every test here
KEY = "s3cret-stream-key"


@pytest.fixture
async def endpoint() -> AsyncIterator[WhipServer]:
    async with whip_server() as server:
        yield server


async def patiently(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the endpoint has no event for it
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("way", ["whip", "elsewhere"])
async def test_a_session_is_published_and_ended_as_rfc_9725_has_it(
    live: LiveServer, endpoint: WhipServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session_id = await live.session(background="transparent")
    url = f"whip+http://{endpoint.address}/{way}/{KEY}"
    async with live.socket(session_id) as events:
        told = await push(live, session_id, url, bearer=TOKEN)
        await until(events, is_state("output.updated", "live"))
        await patiently(lambda: len(endpoint.pictures) > 25 and endpoint.sounds > 50)
        answers = await outputs(live, session_id)
        await live.client.delete(f"/v1/sessions/{session_id}/outputs/{told['id']}")
        await until(events, is_state("output.updated", "closed"))
    (offer,) = endpoint.offers
    assert offer.count("a=sendonly") == 2
    assert "a=candidate" in offer
    assert endpoint.deleted == ["1"]
    picture = endpoint.pictures[-1]
    assert picture.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(picture[30, 4], (0, 177, 64), atol=12)  # green, not packed
    for secret in (KEY, TOKEN):
        assert secret not in json.dumps([told, answers])
        assert secret not in caplog.text


async def test_an_endpoint_that_goes_away_is_published_to_again(
    live: LiveServer, endpoint: WhipServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.outputs.output, "FIRST_WAIT", 0.2)
    session_id = await live.session()
    async with live.socket(session_id) as events:
        await push(live, session_id, f"whip+http://{endpoint.address}/whip/{KEY}", bearer=TOKEN)
        await until(events, is_state("output.updated", "live"))
        await patiently(lambda: len(endpoint.pictures) > 5)
        await endpoint.drop()
        lost = await until(events, is_state("output.updated", "retrying"))
        await until(events, is_state("output.updated", "live"))
        before = len(endpoint.pictures)
        await patiently(lambda: len(endpoint.pictures) > before + 5)
    assert lost["message"] == "The target closed the connection."
    assert len(endpoint.offers) == 2


@pytest.mark.parametrize(
    ("path", "status", "bearer", "state", "sentence"),
    [
        ("whip", 201, "wrong", "failed", "status 401: it wants another token."),
        ("whip", 201, None, "failed", "status 401: it wants another token."),
        ("whip", 403, TOKEN, "failed", "status 403: the token does not allow it."),
        ("whip", 404, TOKEN, "failed", "status 404: it knows no such stream."),
        ("whip", 503, TOKEN, "retrying", "status 503: it is overloaded."),
        ("whip", 418, TOKEN, "retrying", "with status 418."),
        ("whip", 200, TOKEN, "retrying", "with status 200."),
        ("loop", 201, TOKEN, "failed", "redirects more than 5 times."),
        ("nonsense", 201, TOKEN, "failed", "answer is malformed."),
    ],
)
async def test_a_refusal_is_explained(
    live: LiveServer,
    endpoint: WhipServer,
    path: str,
    status: int,
    bearer: str | None,
    state: str,
    sentence: str,
) -> None:
    endpoint.status = status
    session_id = await live.session()
    async with live.socket(session_id) as events:
        await push(live, session_id, f"whip+http://{endpoint.address}/{path}/{KEY}", bearer=bearer)
        told = await until(events, is_state("output.updated", state))
    assert told["message"].endswith(sentence)
    assert (told["retry_s"] is None) is (state == "failed")
    if path == "nonsense":
        await patiently(lambda: endpoint.deleted == ["0"])  # it had made a session


async def test_nobody_there_and_nobody_who_answers(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.outputs.whip, "PATIENCE", 1.0)
    session_id = await live.session()
    with mute_server() as mute:
        async with live.socket(session_id) as events:
            for port, sentence in ((free_port(), "refuses connections"), (mute, "did not answer")):
                await push(live, session_id, f"whip+http://127.0.0.1:{port}/whip/{KEY}")
                told = await until(events, is_state("output.updated", "retrying"))
                assert sentence in told["message"]
                for output in await outputs(live, session_id):
                    await live.client.delete(f"/v1/sessions/{session_id}/outputs/{output['id']}")
                await until(events, is_state("output.updated", "closed"))


async def test_a_redirection_does_not_lead_where_streams_may_not_go(
    tmp_path: Path, endpoint: WhipServer
) -> None:
    settings = Settings(size=SIZE, cache_dir=tmp_path, port=0, push_hosts=("localhost",))
    endpoint.app.post("/away/{stream}")(away)
    async with serving(settings) as live:
        session_id = await live.session()
        async with live.socket(session_id) as events:
            port = endpoint.address.rpartition(":")[2]
            await push(live, session_id, f"whip+http://localhost:{port}/away/{KEY}", bearer=TOKEN)
            told = await until(events, is_state("output.updated", "failed"))
    assert told["message"] == "The target redirects to where streams may not be pushed."
    assert endpoint.requests == []


async def away(stream: str) -> object:
    from fastapi import Response

    return Response(status_code=307, headers={"Location": f"http://127.0.0.1:1/whip/{stream}"})
