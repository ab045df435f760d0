"""What docs/faults.md promises, with real peers over a bad link in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import aioice.ice
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.viewer import Viewer
from server.encoder import VideoEncoder
from streaming_model.backdrop import KEEP
from tests.live_fakes import FakeAvatar
from tests.lossy_link import LossyLink, Weather
from tests.test_server_live import LiveServer, bar, expect, live, loud, on_loopback, only_peer

__all__ = ["live", "on_loopback"]  # fixtures


GRAIN = np.random.default_rng(0)


async def watched(live: LiveServer) -> tuple[str, Viewer, LossyLink]:
    """Returns a session, its viewer and the way from the server to it, still good."""
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    await viewer.until(lambda got: len(got.pictures) > 10)
    link = LossyLink(only_peer(live, session_id)._connection, Weather())
    return session_id, viewer, link


@pytest.mark.parametrize(
    "weather",
    [
        pytest.param(Weather(loss=0.03, delay=0.02), id="loss"),
        pytest.param(Weather(delay=0.02, jitter=0.05), id="jitter and reordering"),
        # aiortc's own receiver now and then loses the thread here, on a good machine too.
        pytest.param(
            Weather(loss=0.03, delay=0.02, jitter=0.05), id="both", marks=pytest.mark.soak
        ),
    ],
)
async def test_a_bad_link_costs_some_quality_and_never_the_conversation(
    live: LiveServer, weather: Weather
) -> None:
    _, viewer, link = await watched(live)
    link.weather = weather
    sounds, pictures = len(viewer.received.sounds), len(viewer.received.pictures)
    viewer.send(type="speak", text="x" * 50)
    await viewer.until(lambda got: got.of_type("agent.speak_ended"), seconds=20)
    received = viewer.received
    assert link.sent > 150
    assert (link.dropped > 0) == (weather.loss > 0)
    assert max(bar(image) for _, _, image in received.pictures[pictures:]) > 0.5
    # Of 125 packets in 2.5 s; aiortc's receiver conceals nothing and drops what comes late, which
    # on a busy machine, with both troubles at once, is more than half of it.
    heard = 0.3 if weather.loss and weather.jitter else 0.5
    await viewer.until(lambda got: len(loud(got)) > heard * 125)
    await viewer.until(lambda got: len(got.sounds) - sounds > 50)
    link.heal()
    seen = len(received.pictures)
    await viewer.until(lambda got: len(got.pictures) > seen + 25, seconds=20)
    await viewer.until(lambda got: bar(got.pictures[-1][2]) == 0.0)
    assert set(np.diff([pts for _, pts, _ in received.pictures[-10:]])) == {3600}


def grainy(self: FakeAvatar, row: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draws what takes many bits: every picture has another grain."""
    del row
    image = np.full((self.size, self.size, 3), 96, np.uint8)
    image[::2, ::2] += GRAIN.integers(0, 30, image[::2, ::2].shape, np.uint8)
    return image


@pytest.mark.soak  # the same receiver: once in some five runs it asks for nothing more
async def test_a_narrow_link_gets_a_lower_bit_rate_and_keeps_its_sound(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAvatar, "_draw", grainy)
    session_id, viewer, link = await watched(live)
    peer = only_peer(live, session_id)
    link.weather = Weather(rate=600_000)
    await viewer.until(lambda _: peer.bandwidth.rate < 500_000, seconds=30)
    await asyncio.sleep(2)  # what waits in the link and is sent again goes by
    dropped, sent, sounds = link.dropped, link.sent, len(viewer.received.sounds)
    await asyncio.sleep(2)
    assert link.dropped - dropped < 0.25 * (link.sent - sent)
    assert len(viewer.received.sounds) - sounds > 0.6 * 100
    seen = len(viewer.received.pictures)
    link.heal()
    # aiortc's receiver waits for lost packets until 128 newer ones are there.
    await viewer.until(lambda got: len(got.pictures) > seen + 25, seconds=20)


async def test_a_client_that_vanishes_is_let_go_and_the_session_lives(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    session_id, viewer, _ = await watched(live)

    def deaf(*_: object) -> None:
        return

    hooked: Any = viewer.connection
    for transport in hooked._RTCPeerConnection__iceTransports:
        for protocol in transport._connection._protocols:
            monkeypatch.setattr(protocol, "datagram_received", deaf)
            monkeypatch.setattr(protocol, "send_stun", deaf)
    async with asyncio.timeout(20):
        while (await described(live, session_id))["viewers"] > 0:  # noqa: ASYNC110 - from outside
            await asyncio.sleep(0.1)
    assert not live.server.house.sessions.find(session_id)._audience._encodings
    again = await live.viewer(session_id)
    await again.until(lambda got: len(got.pictures) > 5)


async def described(live: LiveServer, session_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await live.client.get(f"/v1/sessions/{session_id}")).json()
    return answer


@pytest.mark.parametrize("culprit", ["encoder", "renderer"])
async def test_a_thread_that_raises_ends_its_session_and_no_other(
    live: LiveServer, culprit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_id, doomed_id = await live.session(), await live.session()
    healthy, _ = await live.viewer(healthy_id), await live.viewer(doomed_id)
    doomed = live.server.house.sessions.find(doomed_id)

    def burn(*_: object, **__: object) -> None:
        raise RuntimeError("the machine is on fire")

    async with live.socket(doomed_id) as socket:
        await expect(socket, "session.ready")
        if culprit == "encoder":
            (encoding,) = doomed._audience._encodings.values()
            assert isinstance(encoding.encoder, VideoEncoder)
            monkeypatch.setattr(encoding.encoder, "encode", burn)
        else:
            animator = doomed.line.animator
            burning = animator.avatar.with_backdrop(KEEP)  # the other session's is the same one
            monkeypatch.setattr(burning, "render", burn)
            animator.change_avatar(burning)
        closed = await expect(socket, "session.closed")
    assert closed["reason"] == "failed"
    seen = len(healthy.received.pictures)
    await healthy.until(lambda got: len(got.pictures) > seen + 20)
    assert (await live.client.get(f"/v1/sessions/{doomed_id}")).status_code == 404
    assert (await live.client.get("/readyz")).status_code == 200
