"""libwebrtc itself as a viewer, without a browser, where `wrtc` is installed: its own estimate.

pip install wrtc
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from benchmarks.realtime.servers import MeasuringError


async def estimates(
    client: httpx.AsyncClient,
    session_id: str,
    *,
    settle: int,
    seconds: int,
    report: Callable[[float], None],
) -> list[float]:
    """Returns the receiver's `estimatedPlayoutTimestamp`, picture's less sound's, each second, ms.

    Positive: the sound is late. The first `settle` seconds are left out.

    Raises:
        MeasuringError: `wrtc` is not installed, or gives no estimate.
    """
    try:
        import webrtc
    except ImportError:
        raise MeasuringError("wrtc is not installed (pip install wrtc).") from None
    connection = webrtc.RTCPeerConnection()
    try:
        for kind in ("audio", "video"):
            connection.add_transceiver(kind, webrtc.RTCRtpTransceiverInit(direction="recvonly"))
        await connection.set_local_description(await connection.create_offer())
        async with asyncio.timeout(5):
            while connection.ice_gathering_state != "complete":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        offer = connection.local_description
        assert offer is not None
        answer = await client.post(
            f"/v1/sessions/{session_id}/offer", json={"type": "offer", "sdp": offer.sdp}
        )
        answer.raise_for_status()
        await connection.set_remote_description(
            webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer.json()["sdp"])
        )
        await asyncio.sleep(settle)
        found: list[float] = []
        for second in range(seconds):
            await asyncio.sleep(1)
            playout = {
                entry.kind: instant
                for entry in (await connection.get_stats()).values()
                if isinstance(entry, webrtc.RTCInboundRtpStreamStats)
                and (instant := entry.estimated_playout_timestamp)
            }
            if len(playout) == 2:
                found.append(playout["video"] - playout["audio"])
            report((second + 1) / seconds)
    finally:
        connection.close()
    if not found:
        raise MeasuringError("wrtc gave no estimate of playout.")
    return found
