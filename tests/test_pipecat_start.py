"""Starting a session as Pipecat's runner starts a bot, before the offer comes."""

from __future__ import annotations

from pathlib import Path

import httpx

from server.app import Server
from server.config import Settings
from tests.live_fakes import fake_parts


async def test_starting_opens_a_session_and_says_how_it_is_reached(tmp_path: Path) -> None:
    stun = ("stun:stun.example.org:3478",)
    settings = Settings(size=256, max_sessions=1, cache_dir=tmp_path, ice_servers=stun)
    app = Server(settings, fake_parts(settings)).app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client,
    ):
        refused = await client.post("/start", json={"transport": "daily"})
        assert refused.status_code == 400
        assert "'daily'" in refused.json()["error"]["message"]
        assert (await client.post("/start", json={"createDailyRoom": True})).status_code == 400
        unknown = {"body": {"portrait": "nobody"}}
        assert (await client.post("/start", json=unknown)).status_code == 404
        started = (await client.post("/start")).json()
        session_id = started["sessionId"]
        assert started["iceConfig"] == {"iceServers": [{"urls": "stun:stun.example.org:3478"}]}
        assert (await client.get(f"/v1/sessions/{session_id}")).json()["brain"] == "demo"
        assert (await client.post("/start", json={})).status_code == 503  # it is the only place
        offer = {"sdp": "nonsense", "type": "offer"}
        path = f"/sessions/{session_id}/api/offer"
        assert (await client.post(path, json=offer)).status_code == 400
        assert (await client.post("/sessions/x/api/offer", json=offer)).status_code == 404
        none = {"pc_id": f"{session_id}.x", "candidates": []}
        assert (await client.patch(path, json=none)).status_code == 404
