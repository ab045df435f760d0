"""libwebrtc as the viewer (`pip install wrtc`): its feedback is followed, also for our codecs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RtcpPsfbPacket

from server.config import Settings
from server.webrtc import Peer
from tests.live_fakes import FakeAvatar
from tests.lossy_link import LossyLink, Weather
from tests.test_faults import grainy
from tests.test_server_live import LiveServer, only_peer, serving

NARROW = 600_000  # bits a second


@asynccontextmanager
async def watched_by_libwebrtc(live: LiveServer) -> AsyncIterator[tuple[Peer, str]]:
    """Yields the server's side of a viewer's connection, and the answer it got."""
    webrtc: Any = pytest.importorskip("webrtc", reason="wrtc is not installed (pip install wrtc)")
    session_id = await live.session()
    connection = webrtc.RTCPeerConnection()
    for kind in ("audio", "video"):
        connection.add_transceiver(kind, webrtc.RTCRtpTransceiverInit(direction="recvonly"))
    await connection.set_local_description(await connection.create_offer())
    await until(lambda: connection.ice_gathering_state == "complete")
    answer = await live.client.post(
        f"/v1/sessions/{session_id}/offer",
        json={"type": "offer", "sdp": connection.local_description.sdp},
    )
    sdp = answer.raise_for_status().json()["sdp"]
    description = webrtc.RTCSessionDescriptionInit(type="answer", sdp=sdp)
    await connection.set_remote_description(description)
    try:
        yield only_peer(live, session_id), sdp
    finally:
        connection.close()


async def until(is_true: Callable[[], bool], *, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 - polled from outside
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
async def test_the_bit_rate_follows_transport_wide_feedback_down_and_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAvatar, "_draw", grainy)
    async with (
        serving(Settings(size=256, cache_dir=tmp_path, port=0)) as live,
        watched_by_libwebrtc(live) as (peer, answer),
    ):
        assert "transport-cc" in answer
        assert "draft-holmer-rmcat-transport-wide-cc-extensions-01" in answer
        await until(lambda: peer.picture.bytes_sent > 200_000)
        assert peer.bandwidth.rate == peer.bandwidth.most
        link = LossyLink(peer._connection, Weather(rate=NARROW))
        await until(lambda: peer._congestion.estimate < NARROW)
        assert peer.bandwidth.rate < NARROW
        await asyncio.sleep(2)  # what waits in the link goes by
        dropped, sent = link.dropped, link.sent
        await asyncio.sleep(3)
        assert link.dropped - dropped < 0.1 * (link.sent - sent)
        link.heal()
        low = peer.bandwidth.rate
        await until(lambda: peer.bandwidth.rate > 1.3 * low)


@pytest.mark.alone  # SVT-AV1 takes real-time priority while it opens
@pytest.mark.timeout(120)
@pytest.mark.parametrize("codec", ["vp9", "av1"])
async def test_a_complete_picture_of_a_codec_of_ours_comes_with_the_next_frame(
    codec: str, tmp_path: Path
) -> None:
    """As `test_server_live` has it for aiortc's own."""
    settings = Settings(size=256, cache_dir=tmp_path, port=0, video_codecs=(codec,))
    async with serving(settings) as live, watched_by_libwebrtc(live) as (peer, answer):
        assert f"{codec.upper()}/90000" in answer
        (sender,) = (one for one in peer._connection.getSenders() if one.kind == "video")
        seen = note_pictures(peer)
        await until(lambda: len(seen) > 10 and "complete" not in seen[-10:])
        for request_format in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            asked = len(seen)
            await sender._handle_rtcp_packet(
                RtcpPsfbPacket(fmt=request_format, ssrc=1, media_ssrc=sender._ssrc)
            )
            await until(lambda since=asked: len(seen) > since + 10)  # type: ignore[misc]
            assert seen[asked : asked + 2].count("complete") == 1  # one may be under way


def note_pictures(peer: Peer) -> list[str]:
    """Returns a list that grows by every picture that is offered to this viewer."""
    seen: list[str] = []
    offer = peer.picture.offer

    def note(packet: Any) -> None:  # noqa: ANN401
        seen.append("complete" if packet.is_keyframe else "difference")
        offer(packet)

    peer.picture.offer = note  # type: ignore[method-assign]
    return seen
