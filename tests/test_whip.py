"""WHIP and WHEP with real peers (aiortc, libwebrtc): what RFC 9725 asks for, status by status."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.viewer import VoiceTrack
from examples import whip_whep
from server.config import Settings
from server.protocol import ProtocolError
from server.whip.fragment import parse_fragment
from tests.test_server_live import SIZE, LiveServer, after, loud, on_loopback, serving
from tests.test_transport_wide_live import until
from tests.test_vad import vowel

__all__ = ["on_loopback"]  # a fixture for every test here

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "1 1 udp 2130706431 127.0.0.1 9 typ host"


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    turn = "turn:127.0.0.1:9?transport=udp"
    settings = Settings(
        size=SIZE,
        cache_dir=tmp_path,
        port=0,
        ice_servers=(turn,),
        ice_username="you",
        ice_credential="secret",
    )
    async with serving(settings) as live:
        yield live


@asynccontextmanager
async def peer(*, receives: bool = True) -> AsyncIterator[RTCPeerConnection]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    if receives:
        for kind in ("audio", "video"):
            connection.addTransceiver(kind, direction="recvonly")
    try:
        yield connection
    finally:
        await connection.close()


async def offered(connection: RTCPeerConnection) -> str:
    await connection.setLocalDescription(await connection.createOffer())
    sdp: str = connection.localDescription.sdp
    return sdp


async def posted(live: LiveServer, path: str, offer: str, **headers: str) -> httpx.Response:
    return await live.client.post(path, content=offer, headers={**SDP, **headers})


async def answered(connection: RTCPeerConnection, answer: httpx.Response) -> None:
    assert answer.status_code == 201, answer.text
    description = RTCSessionDescription(sdp=answer.text, type="answer")
    await connection.setRemoteDescription(description)


async def test_a_whep_player_sees_and_hears_until_it_leaves(live: LiveServer) -> None:
    session_id = await live.session()
    async with peer() as connection:
        answer = await posted(live, f"/whep/{session_id}", await offered(connection))
        await answered(connection, answer)
        assert answer.headers["content-type"] == "application/sdp"
        assert answer.headers["accept-patch"] == FRAGMENT["Content-Type"]
        assert answer.headers["etag"].strip('"') in answer.text
        link = answer.headers["link"]
        assert link.startswith('<turn:127.0.0.1:9?transport=udp>; rel="ice-server"')
        assert 'username="you"; credential="secret"; credential-type="password"' in link
        sound, picture = (each.receiver.track for each in connection.getTransceivers())
        async with asyncio.timeout(20):
            assert (await picture.recv()).width == SIZE  # type: ignore[union-attr]
            assert (await sound.recv()).sample_rate == 48_000  # type: ignore[union-attr]
        where = answer.headers["location"]
        assert (await live.client.delete(where)).status_code == 200
        await until(lambda: connection.connectionState in ("closed", "failed"))
        assert (await live.client.delete(where)).status_code == 404
    told = (await live.client.get(f"/v1/sessions/{session_id}")).json()
    assert told["viewers"] == 0


async def test_a_whip_client_s_voice_is_said_and_it_is_sent_nothing(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    voice = VoiceTrack(after(0.2, vowel(1.0)))
    async with peer(receives=False) as connection:
        connection.addTransceiver(voice, direction="sendonly")
        answer = await posted(live, f"/whip/{session_id}", await offered(connection))
        await answered(connection, answer)
        assert "a=recvonly" in answer.text
        await until(lambda: connection.connectionState == "connected")
        told = (await live.client.get(f"/v1/sessions/{session_id}")).json()
        assert told["viewers"] == 1  # the other one
        voice.begin()
        await viewer.until(lambda got: len(loud(got)) > 20)


async def test_a_voice_for_a_conversation_is_listened_to(live: LiveServer) -> None:
    session_id = await live.session(mode="converse")
    viewer = await live.viewer(session_id)
    voice = VoiceTrack(after(0.2, vowel(1.0)))
    async with peer(receives=False) as connection:
        connection.addTransceiver(voice, direction="sendonly")
        await answered(
            connection, await posted(live, f"/whip/{session_id}", await offered(connection))
        )
        await until(lambda: connection.connectionState == "connected")
        voice.begin()
        await viewer.until(lambda got: got.of_type("user.speech_stopped"))
        assert not viewer.received.of_type("agent.speak_started")


async def test_candidates_may_come_later(live: LiveServer) -> None:
    session_id = await live.session()
    async with peer() as connection:
        offer = await offered(connection)
        lines = offer.splitlines()
        bare = [line for line in lines if not line.startswith(("a=candidate", "a=end-of"))]
        answer = await posted(live, f"/whep/{session_id}", "\r\n".join(bare) + "\r\n")
        await answered(connection, answer)
        first = lines.index(next(line for line in lines if line.startswith("m=")))
        ice = ("m=", "a=mid", "a=ice-", "a=candidate", "a=end-of")
        fragment = "\r\n".join(line for line in lines[first:] if line.startswith(ice))
        told = await live.client.patch(
            answer.headers["location"],
            content=fragment + "\r\n",
            headers={**FRAGMENT, "If-Match": answer.headers["etag"]},
        )
        assert told.status_code == 204, told.text
        await until(lambda: connection.connectionState == "connected")


async def test_ice_begins_anew_while_media_goes_on(live: LiveServer) -> None:
    """libwebrtc restarts, as a browser does after a change of network."""
    webrtc: Any = pytest.importorskip("webrtc", reason="wrtc is not installed (pip install wrtc)")
    session_id = await live.session()
    connection = webrtc.RTCPeerConnection()
    try:
        for kind in ("audio", "video"):
            connection.add_transceiver(kind, webrtc.RTCRtpTransceiverInit(direction="recvonly"))
        answer = await libwebrtc_posts(live, connection, session_id)
        old = answer.headers["etag"]
        await until(lambda: connection.connection_state == "connected")
        ports = await ports_of(webrtc, connection)
        connection.restart_ice()
        await connection.set_local_description(await connection.create_offer())
        await until(lambda: connection.ice_gathering_state == "complete")
        restart = await live.client.patch(
            answer.headers["location"],
            content=connection.local_description.sdp,
            headers={**FRAGMENT, "If-Match": "*"},
        )
        assert restart.status_code == 200, restart.text
        assert restart.headers["etag"] not in ("", old)
        await connection.set_remote_description(
            webrtc.RTCSessionDescriptionInit(type="answer", sdp=renewed(answer.text, restart.text))
        )
        async with asyncio.timeout(30):
            while await ports_of(webrtc, connection) == ports:
                assert connection.connection_state == "connected"
                await asyncio.sleep(0.1)
        before = await received(webrtc, connection)
        await asyncio.sleep(0.5)
        assert await received(webrtc, connection) > before
        stale = await live.client.patch(
            answer.headers["location"],
            content=f"m=audio 9 RTP 0\na=candidate:{CANDIDATE}\n",
            headers={**FRAGMENT, "If-Match": old},
        )
        assert stale.status_code == 412
    finally:
        connection.close()


async def libwebrtc_posts(live: LiveServer, connection: Any, session_id: str) -> httpx.Response:  # noqa: ANN401
    import webrtc

    await connection.set_local_description(await connection.create_offer())
    await until(lambda: connection.ice_gathering_state == "complete")
    answer = await posted(live, f"/whep/{session_id}", connection.local_description.sdp)
    assert answer.status_code == 201, answer.text
    await connection.set_remote_description(
        webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer.text)
    )
    return answer


async def ports_of(webrtc: Any, connection: Any) -> set[int]:  # noqa: ANN401
    """Returns the server's ports of the pair in use."""
    stats = await connection.get_stats()
    pairs = [each for each in stats.values() if isinstance(each, webrtc.RTCIceCandidatePairStats)]
    chosen = {pair.remote_candidate_id for pair in pairs if pair.nominated}
    return {stats[each].port for each in chosen if each in stats}


async def received(webrtc: Any, connection: Any) -> int:  # noqa: ANN401
    stats = (await connection.get_stats()).values()
    return sum(
        each.packets_received for each in stats if isinstance(each, webrtc.RTCInboundRtpStreamStats)
    )


def renewed(answer: str, fragment: str) -> str:
    """Returns the answer with the ICE of a fragment, as a WHIP client makes it (RFC 9725)."""
    ice = ("a=ice-ufrag", "a=ice-pwd", "a=candidate", "a=end-of-candidates")
    new = [line for line in fragment.splitlines() if line.startswith(ice)]
    lines: list[str] = []
    for line in answer.splitlines():
        if line.startswith("a=ice-ufrag"):
            lines += new[:2] if "m=video" in "".join(lines) else new
        if not line.startswith(ice):
            lines.append(line)
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("way", ["whep", "whip"])
async def test_what_cannot_be_is_refused_with_the_right_code(live: LiveServer, way: str) -> None:
    session_id = await live.session()
    path, client = f"/{way}/{session_id}", live.client
    async with peer() as connection:
        offer = await offered(connection)
        assert (await client.post(path, json={"sdp": offer})).status_code == 415
        assert (await posted(live, path, "no session description")).status_code == 400
        assert (await posted(live, f"/{way}/nobody", offer)).status_code == 404
        wrong = await posted(live, path, offer, Authorization="Bearer guessed")
        assert (wrong.status_code, wrong.headers["www-authenticate"][:6]) == (401, "Bearer")
        for method in ("GET", "HEAD", "PUT"):
            refused = await client.request(method, path)
            assert (refused.status_code, refused.headers["allow"]) == (405, "POST, OPTIONS")
        asked = await client.options(path)
        assert (asked.status_code, asked.headers["accept-post"]) == (204, "application/sdp")
        answer = await posted(live, path, offer)
        where, tag = answer.headers["location"], answer.headers["etag"]
        for method in ("GET", "HEAD", "PUT", "POST"):
            assert (await client.request(method, where)).status_code == 405
        fragment = f"m=audio 9 RTP 0\r\na=candidate:{CANDIDATE}\r\n"

        async def patched(content: str, **headers: str) -> int:
            given = {**FRAGMENT, **{name.replace("_", "-"): each for name, each in headers.items()}}
            return (await client.patch(where, content=content, headers=given)).status_code

        assert await patched(fragment) == 428
        assert await patched(fragment, If_Match='"another"') == 412
        assert await patched(fragment, If_Match=tag, Content_Type="application/sdp") == 415
        assert await patched("a=candidate:nonsense", If_Match=tag) == 400
        assert await patched(fragment, If_Match="*") == 400  # no ufrag
        assert await patched(fragment, If_Match=tag) == 204
        assert (await client.delete(f"{where}x")).status_code == 404
        assert (await client.delete(where)).status_code == 200


async def test_the_session_s_token_is_a_bearer_token(live: LiveServer) -> None:
    opened = (await live.client.post("/v1/sessions", json={})).json()
    bearer = {"Authorization": f"Bearer {opened['token']}"}
    async with peer() as connection:
        offer = await offered(connection)
        answer = await posted(live, f"/whep/{opened['session_id']}", offer, **bearer)
        assert answer.status_code == 201
        assert (await live.client.delete(answer.headers["location"])).status_code == 200


def test_a_fragment_tells_of_the_first_section_alone() -> None:
    found = parse_fragment(
        f"a=ice-ufrag:one\r\na=ice-pwd:{'p' * 22}\r\na=group:BUNDLE 0 1\r\nm=audio 9 RTP 0\r\n"
        f"a=mid:0\r\na=candidate:{CANDIDATE}\r\nm=video 9 RTP 0\r\na=candidate:{CANDIDATE}\r\n"
    )
    assert (found.username, found.password) == ("one", "p" * 22)
    assert [each.ip for each in found.candidates] == ["127.0.0.1"]
    assert found.description().candidates == found.candidates


@pytest.mark.parametrize("text", ["nonsense", "a=candidate:1 1 udp x", "a=candidate:x\n" * 101])
def test_a_broken_fragment_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_fragment(text)


async def test_the_example_says_a_file_and_films_it(live: LiveServer, tmp_path: Path) -> None:
    speech, film = tmp_path / "speech.wav", tmp_path / "film.mp4"
    with wave.open(str(speech), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes((vowel(3.0) * 32767).astype("<i2").tobytes())
    await whip_whep.main(str(live.client.base_url), str(speech), str(film), seconds=4.0)
    with av.open(str(film)) as container:
        pictures = [frame.width for frame in container.decode(video=0)]
    with av.open(str(film)) as container:
        loudest = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
    assert len(pictures) > 20
    assert set(pictures) == {SIZE}
    assert loudest > 0.1
    page = Path(__file__).parent.parent / "docs" / "whip.md"
    assert "examples/whip_whep.py" in page.read_text(encoding="utf-8")
