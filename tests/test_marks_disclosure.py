"""Before anybody sees or hears it, it is said to be AI-generated: SDP, HTTP, and an event."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from server.config import Settings
from server.marks.disclosure import SDP_ATTRIBUTE, disclosed
from server.marks.payload import tag_of
from tests.test_outputs_recording import is_state, record, stop, until
from tests.test_server_live import LiveServer, on_loopback, serving

__all__ = ["on_loopback"]  # a fixture for every test here


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=256, cache_dir=tmp_path, port=0)) as live:
        yield live


async def offered() -> tuple[RTCPeerConnection, str]:
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="recvonly")
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return peer, peer.localDescription.sdp


def check(answer: httpx.Response, sdp: str) -> None:
    assert answer.headers["AI-Disclosure"] == "mode=ai-originated"
    session, _, media = sdp.partition("\r\nm=")
    assert SDP_ATTRIBUTE in session.split("\r\n")
    assert SDP_ATTRIBUTE not in media


async def test_answers_say_it_and_aiortc_takes_them(live: LiveServer) -> None:
    session_id = await live.session()
    peer, offer = await offered()
    native = await live.client.post(
        f"/v1/sessions/{session_id}/offer", json={"type": "offer", "sdp": offer}
    )
    check(native, native.json()["sdp"])
    await peer.setRemoteDescription(RTCSessionDescription(native.json()["sdp"], "answer"))
    await peer.close()
    peer, offer = await offered()
    whep = await live.client.post(
        f"/whep/{session_id}", content=offer, headers={"Content-Type": "application/sdp"}
    )
    assert whep.status_code == 201
    check(whep, whep.text)
    await peer.close()


async def test_a_session_says_it_first_on_every_connection(live: LiveServer) -> None:
    session_id = await live.session()
    async with live.socket(session_id) as socket:
        first, second = [json.loads(await socket.recv()) for _ in range(2)]
    assert first["type"] == "session.ready"
    assert second == {
        "type": "ai_disclosure",
        "media": ["audio", "video"],
        "badge": "AI-generated",
        "watermark": tag_of(session_id),
    }
    viewer = await live.viewer(session_id)
    await viewer.until(lambda got: "ai_disclosure" in [each["type"] for each in got.events])


async def test_what_is_left_out_is_not_claimed(tmp_path: Path) -> None:
    settings = Settings(
        size=256, cache_dir=tmp_path, port=0, no_badge_reason="x", no_watermark_reason="y"
    )
    async with serving(settings) as live, live.socket(await live.session()) as socket:
        await socket.recv()
        told = json.loads(await socket.recv())
    assert told == {
        "type": "ai_disclosure",
        "media": ["audio", "video"],
        "badge": None,
        "watermark": None,
    }


async def test_a_film_says_it_when_it_is_fetched(live: LiveServer) -> None:
    session_id = await live.session()
    async with live.socket(session_id) as events:
        recording = await record(live, session_id)
        await until(events, is_state("recording.updated", "recording"))
        await stop(live, session_id, recording["id"])
    film = await live.client.get(f"/v1/recordings/{recording['id']}")
    assert film.headers["AI-Disclosure"] == "mode=ai-originated"


def test_a_description_without_media_is_whole_all_the_same() -> None:
    assert disclosed("v=0\r\ns=-") == f"v=0\r\ns=-\r\n{SDP_ATTRIBUTE}"
