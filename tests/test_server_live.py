"""The live server end to end: real aiortc peers on loopback, a fake face and voice."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aioice.ice
import httpx
import numpy as np
import pytest
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    pack_remb_fci,
)
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK

from benchmarks.viewer import Received, Viewer, VoiceTrack
from server.app import Parts, Server
from server.clock import MonotonicClock
from server.config import Settings
from server.encoder import VideoCodec
from server.ice_servers import IceServer
from server.protocol import Warned
from server.sender_reports import NtpClock
from server.webrtc import Peer
from tests import layout
from tests.cluster_rig import cluster
from tests.live_fakes import fake_parts
from tests.lossy_link import LossyLink, Weather
from tests.test_vad import vowel

SIZE = 256


class LiveServer:
    """A server on a port of its own."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.address = f"127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=f"http://{self.address}", timeout=30)
        self.viewers: list[Viewer] = []

    async def session(self, **wanted: object) -> str:
        answer = await self.client.post("/v1/sessions", json=wanted)
        assert answer.status_code == 201, answer.text
        session_id: str = answer.json()["session_id"]
        return session_id

    async def viewer(
        self,
        session_id: str,
        *,
        microphone: VoiceTrack | None = None,
        codec: str | None = None,
        offers_video_first: bool = False,
        token: str | None = None,
    ) -> Viewer:
        viewer = Viewer(
            self.client,
            session_id,
            token=token,
            microphone=microphone,
            codec=codec,
            offers_video_first=offers_video_first,
        )
        self.viewers.append(viewer)
        await viewer.connect()
        await viewer.until(lambda got: got.pictures and got.sounds and got.events)
        return viewer

    def socket(self, session_id: str) -> connect:
        return connect(f"ws://{self.address}/v1/sessions/{session_id}/events")

    async def aclose(self) -> None:
        for viewer in self.viewers:
            await viewer.close()
        await self.client.aclose()


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out; a test must not depend on the machine's network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=SIZE, max_sessions=2, cache_dir=tmp_path, port=0)) as live:
        yield live


@asynccontextmanager
async def serving(settings: Settings, parts: Parts | None = None) -> AsyncIterator[LiveServer]:
    """Yields a server of the fake model in this process, unless it is given other parts.

    With `--layout ray` it is a worker behind a gateway.
    """
    if layout.chosen == "ray":
        async with cluster(settings, workers=1, parts=parts) as rig:
            live = LiveServer(rig.workers[0].worker.server, rig.port)
            try:
                yield live
            finally:
                await live.aclose()
        return
    server = Server(settings, parts or fake_parts(settings))
    await server.warm_up()
    config = uvicorn.Config(server.app, port=0, log_level="error", ws="websockets-sansio")
    http = uvicorn.Server(config)
    http.capture_signals = contextless  # type: ignore[assignment,method-assign]
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(http.serve())
        while not http.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        live = LiveServer(server, http.servers[0].sockets[0].getsockname()[1])
        try:
            yield live
        finally:
            await live.aclose()
            server.end()
            http.should_exit = True
            # A test that fails must not cancel uvicorn: its lifespan would outlive it, and hang.
            await serving


class contextless:
    """A context manager that does nothing: signals are the test runner's."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


def bar(image: NDArray[np.uint8] | None) -> float:
    """Returns the share of the middle column that the white bar fills."""
    assert image is not None
    return float((image[:, SIZE // 2].mean(axis=-1) > 200).mean())


def after(seconds: float, speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns 16 kHz speech after silence, louder and at 48 kHz."""
    silence = np.zeros(int(48_000 * seconds))
    return np.concatenate([silence, 3 * np.repeat(speech, 3)]).astype(np.float32)


def loud(received: Received) -> list[tuple[float, float]]:
    return [(arrival, level) for arrival, _, level in received.sounds if level > 0.05]


@pytest.mark.parametrize("offers_video_first", [False, True])
async def test_a_viewer_sees_and_hears_from_the_first_second_on(
    live: LiveServer, offers_video_first: bool
) -> None:
    viewer = await live.viewer(await live.session(), offers_video_first=offers_video_first)
    await viewer.until(lambda got: len(got.pictures) > 30)
    received = viewer.received
    assert received.of_type("session.ready")[0]["size"] == SIZE
    steps = np.diff([pts for _, pts, _ in received.pictures])
    # A busy machine leaves pictures out, and keeps the others at their instants.
    assert (steps % 3600 == 0).all()
    assert (steps > 0).all()
    assert {bar(image) for _, _, image in received.pictures} == {0.0}
    assert not loud(received)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_text_is_spoken_and_moves_the_face(live: LiveServer, codec: str) -> None:
    viewer = await live.viewer(await live.session(), codec=codec)
    viewer.send(type="speak", text="A whole sentence. And one more.")
    await viewer.until(lambda got: len(got.of_type("session.state_updated")) == 2)
    received = viewer.received
    assert max(bar(image) for _, _, image in received.pictures) > 0.5
    assert len(loud(received)) > 60  # packets of 20 ms: 29 letters of 50 ms
    kinds = [event["type"] for event in received.events if event["type"] != "metrics"]
    assert kinds == [
        "session.ready",
        "ai_disclosure",
        "media.origin",
        "agent.speak_started",
        "subtitle.delta",
        "session.state_updated",
        "subtitle.delta",
        "agent.speak_ended",
        "session.state_updated",
    ]
    await viewer.until(lambda got: bar(got.pictures[-1][2]) == 0.0)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_background_changes_while_two_sessions_are_watched(
    live: LiveServer, codec: str
) -> None:
    clear_id, blue_id = await live.session(background="transparent"), await live.session()
    clear, blue = await live.viewer(clear_id, codec=codec), await live.viewer(blue_id, codec=codec)
    ready = clear.received.of_type("session.ready")[-1]
    assert (ready["background"], ready["layout"]) == ("transparent", "packed")
    assert shape(clear) == (2 * SIZE, SIZE)
    pillar, nothing = SIZE // 2, 4
    packed = clear.received.pictures[-1][2]
    assert packed is not None
    assert packed[SIZE + 30, pillar].min() > 240
    assert packed[SIZE + 30, nothing].max() < 12
    assert shape(blue) == (SIZE, SIZE)
    blue.send(type="session.update", background="#0000ff")
    await blue.until(lambda _: corner(blue)[2] > 200)
    clear.send(type="session.update", background="#ff0000")
    await clear.until(lambda _: shape(clear) == (SIZE, SIZE) and corner(clear)[0] > 200)
    assert clear.received.of_type("session.ready")[-1]["layout"] == "plain"
    assert corner(blue)[2] > 200
    assert (await live.client.get(f"/v1/sessions/{blue_id}")).json()["background"] == "#0000ff"
    blue.send(type="session.update", background="puce")
    await blue.until(lambda got: got.of_type("error"))
    assert blue.received.of_type("error")[-1]["code"] == "unknown_background"
    clear.send(type="session.update", background="transparent")
    await clear.until(lambda _: shape(clear) == (2 * SIZE, SIZE))
    late = await live.viewer(clear_id, codec=codec)
    assert shape(late) == (2 * SIZE, SIZE)


def shape(viewer: Viewer) -> tuple[int, ...]:
    image = viewer.received.pictures[-1][2]
    assert image is not None
    return image.shape[:2]


def corner(viewer: Viewer) -> list[int]:
    image = viewer.received.pictures[-1][2]
    assert image is not None
    return [int(level) for level in image[4, 4]]


async def test_an_interruption_is_heard_within_two_hundred_milliseconds(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    viewer.send(type="speak", text="x" * 200)
    await viewer.until(lambda got: len(loud(got)) > 20)
    asked = asyncio.get_running_loop().time()
    answer = await live.client.post(f"/v1/sessions/{session_id}/interrupt")
    assert answer.status_code == 202
    await viewer.until(lambda got: got.of_type("agent.speak_ended"))
    await asyncio.sleep(0.6)
    # Packets of 20 ms: 200 ms of old sound, and the receiver's own jitter buffer of four.
    assert sum(arrival > asked for arrival, _ in loud(viewer.received)) <= 10 + 4
    (ended,) = viewer.received.of_type("agent.speak_ended")
    assert ended["interrupted"] is True
    assert answer.json()["utterance"] > ended["utterance"]
    await viewer.until(lambda got: bar(got.pictures[-1][2]) == 0.0)


async def test_a_microphone_drives_the_portrait(live: LiveServer) -> None:
    microphone = VoiceTrack(after(0.5, vowel(2.0)))
    viewer = await live.viewer(await live.session(), microphone=microphone)
    viewer.send(type="microphone", mode="puppet")
    microphone.begin()
    await viewer.until(lambda got: got.of_type("agent.speak_ended"))
    received = viewer.received
    assert max(bar(image) for _, _, image in received.pictures) > 0.1
    kinds = [event["type"] for event in received.events]
    for kind in ("user.speech_started", "agent.speak_started", "user.speech_stopped"):
        assert kind in kinds
    assert len(loud(received)) > 40


async def test_a_viewer_who_speaks_interrupts_the_portrait(live: LiveServer) -> None:
    microphone = VoiceTrack(after(0.0, vowel(1.0)))
    viewer = await live.viewer(await live.session(), microphone=microphone)
    viewer.send(type="microphone", mode="listen")
    viewer.send(type="speak", text="x" * 200)
    await viewer.until(lambda got: got.of_type("agent.speak_started"))
    microphone.begin()
    await viewer.until(lambda got: got.of_type("agent.speak_ended"))
    assert viewer.received.of_type("user.speech_started")
    assert viewer.received.of_type("agent.speak_ended")[0]["interrupted"] is True


async def test_pcm_over_the_websocket_is_spoken(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    pcm = (3 * vowel(1.0) * 32767).astype("<i2")
    async with live.socket(session_id) as socket:
        await socket.send(json.dumps({"type": "audio.start", "sample_rate": 16_000}))
        for piece in np.array_split(pcm, 20):
            await socket.send(piece.tobytes())
        await socket.send(json.dumps({"type": "audio.end"}))
        await expect(socket, "agent.speak_ended")
    await viewer.until(lambda got: len(loud(got)) > 30)


async def expect(socket: ClientConnection, kind: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        while True:
            event: dict[str, object] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


async def test_nonsense_on_the_websocket_is_answered_and_survived(live: LiveServer) -> None:
    async with live.socket(await live.session()) as socket:
        await expect(socket, "session.ready")
        nonsense: list[tuple[str | bytes, str]] = [
            ("{", "bad_request"),
            ('{"type":"dance"}', "unknown_message"),
            (json.dumps({"type": "speak", "text": "x" * 10_001}), "text_too_long"),
            ('{"type":"speak","text":"Hi","voice":"nobody"}', "unknown_voice"),
            ('{"type":"session.update","portrait":"nobody"}', "not_found"),
            ('{"type":"audio.start","sample_rate":1}', "audio_unusable"),
            ('{"type":"audio.start","sample_rate":16000,"channels":99}', "audio_unusable"),
            ('{"type":"gesture","name":"dance"}', "bad_request"),
            ('{"type":"gesture","name":"nod","strength":9}', "bad_request"),
            ('{"type":"motion","coefficients":{"jaw":0.5}}', "bad_request"),
            ('{"type":"session.update","style":{"emotion":"bored"}}', "bad_request"),
            (b"\x00\x00", "bad_request"),
            ('{"type":"audio.end"}', "bad_request"),
        ]
        for message, code in nonsense:
            await socket.send(message)
            assert (await expect(socket, "error"))["code"] == code
        await socket.send('{"type":"audio.start","sample_rate":16000}')
        await socket.send(b"\x00\x00\x00")
        assert (await expect(socket, "error"))["code"] == "audio_unusable"
        await socket.send('{"type":"ping","t":7}')
        assert (await expect(socket, "pong"))["t"] == 7


async def test_a_failing_voice_warns_and_the_next_sentence_is_spoken(live: LiveServer) -> None:
    async with live.socket(await live.session()) as socket:
        for text, code in [("fail", "voice_failed"), ("explode", "voice_failed")]:
            await socket.send(json.dumps({"type": "speak", "text": text}))
            assert (await expect(socket, "warning"))["code"] == code
        await socket.send(json.dumps({"type": "speak", "text": "Well."}))
        assert (await expect(socket, "subtitle.delta"))["text"] == "Well"
        for text in ("Grün.", "..."):
            await socket.send(json.dumps({"type": "speak", "text": text}))
            assert (await expect(socket, "warning"))["code"] == "text_unpronounceable"


async def test_sessions_do_not_hear_each_other(live: LiveServer) -> None:
    first, second = await live.session(), await live.session()
    talking, silent = await live.viewer(first), await live.viewer(second)
    await live.client.post(f"/v1/sessions/{first}/speak", json={"text": "Only here."})
    await talking.until(lambda got: got.of_type("agent.speak_ended"))
    assert loud(talking.received)
    assert not loud(silent.received)
    assert not silent.received.of_type("agent.speak_started")
    assert max(bar(image) for _, _, image in silent.received.pictures) == 0.0


async def test_what_a_viewer_sends_beside_a_microphone_is_declined(live: LiveServer) -> None:
    viewer = Viewer(live.client, await live.session())
    live.viewers.append(viewer)
    viewer.connection.addTransceiver("audio", direction="sendrecv")
    viewer.connection.addTransceiver("video", direction="sendrecv")
    await viewer.connect()
    await viewer.until(lambda got: got.pictures and got.sounds)
    directions = [item.currentDirection for item in viewer.connection.getTransceivers()]
    assert directions == ["sendrecv", "recvonly", "inactive", "inactive"]


async def test_two_viewers_of_a_session_see_the_same(live: LiveServer) -> None:
    session_id = await live.session()
    first = await live.viewer(session_id)
    second = await live.viewer(session_id, codec="H264")
    await live.client.post(f"/v1/sessions/{session_id}/speak", json={"text": "For both."})
    for viewer in (first, second):
        await viewer.until(lambda got: got.of_type("agent.speak_ended"))
        assert loud(viewer.received)
        assert max(bar(image) for _, _, image in viewer.received.pictures) > 0.5


def only_peer(live: LiveServer, session_id: str) -> Peer:
    (peer,) = live.server.house.sessions.find(session_id).viewers.peers
    return peer


def video_receiver(viewer: Viewer) -> tuple[Any, int]:
    """Returns the viewer's receiver of pictures and the number of its source."""
    (receiver,) = [
        item.receiver for item in viewer.connection.getTransceivers() if item.kind == "video"
    ]
    (source,) = receiver.getSynchronizationSources()
    return receiver, source.source


async def test_a_lost_picture_is_asked_for_and_comes_complete(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    await viewer.until(lambda got: len(got.pictures) > 20)
    peer = only_peer(live, session_id)
    keyframes: list[int] = []
    offer = peer.picture.offer

    def spy(packet: object) -> None:
        keyframes.append(int(packet.is_keyframe))  # type: ignore[attr-defined]
        offer(packet)  # type: ignore[arg-type]

    peer.picture.offer = spy  # type: ignore[method-assign]
    receiver, source = video_receiver(viewer)
    await receiver._send_rtcp_pli(source)
    await viewer.until(lambda _: sum(keyframes), seconds=2)
    assert sum(keyframes) == 1


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("request_format", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
async def test_a_complete_picture_comes_with_the_next_frame(
    live: LiveServer, codec: str, request_format: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id, codec=codec)
    await viewer.until(lambda got: len(got.pictures) > 10)
    peer = only_peer(live, session_id)
    seen: list[str] = []
    offer, want_keyframe = peer.picture.offer, peer._want_keyframe

    def note_picture(packet: Any) -> None:  # noqa: ANN401
        seen.append("complete" if packet.is_keyframe else "difference")
        offer(packet)

    def note_request(who: Peer) -> None:
        seen.append("request")
        want_keyframe(who)

    monkeypatch.setattr(peer.picture, "offer", note_picture)
    monkeypatch.setattr(peer, "_want_keyframe", note_request)
    receiver, source = video_receiver(viewer)
    await receiver._send_rtcp(
        RtcpPsfbPacket(
            fmt=request_format, ssrc=receiver._RTCRtpReceiver__rtcp_ssrc, media_ssrc=source
        )
    )
    await viewer.until(lambda _: "complete" in seen, seconds=2)
    between = seen[seen.index("request") : seen.index("complete")]
    assert len(between) <= 2  # the request, and at most the picture that was being encoded


async def test_the_bit_rate_follows_what_the_receiver_estimates(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    peer = only_peer(live, session_id)
    receiver, source = video_receiver(viewer)

    async def estimate(rate: int) -> None:
        await receiver._send_rtcp(
            RtcpPsfbPacket(
                fmt=RTCP_PSFB_APP,
                ssrc=receiver._RTCRtpReceiver__rtcp_ssrc,
                media_ssrc=0,
                fci=pack_remb_fci(rate, [source]),
            )
        )

    assert peer.bandwidth.rate == 1_500_000
    peer.picture.bytes_sent += 10**6  # as if a lively picture had just been sent
    await estimate(500_000)
    await viewer.until(lambda _: peer.bandwidth.rate < 500_000, seconds=2)
    assert peer.bandwidth.rate == pytest.approx(0.95 * 420_000, rel=0.01)
    (encoding,) = live.server.house.sessions.find(session_id)._audience._encodings.values()
    await viewer.until(
        lambda _: encoding.encoder and encoding.encoder.bitrate == peer.bandwidth.rate, seconds=1
    )
    await estimate(5_000_000)
    await viewer.until(lambda _: peer.bandwidth.rate == 1_500_000, seconds=2)


async def test_a_microphone_does_not_wait_in_a_jitter_buffer(live: LiveServer) -> None:
    """Sixteen packets, a third of a second, is how long aiortc stands still after a lost one."""
    session_id = await live.session()
    microphone = VoiceTrack(after(0.0, vowel(0.5)))
    viewer = await live.viewer(session_id, microphone=microphone)
    lane = live.server.house.sessions.find(session_id).line.microphone
    lane.switch("puppet")
    await viewer.until(lambda _: lane.is_flowing)
    link = LossyLink(viewer.connection, Weather(loss=0.2))
    await asyncio.sleep(2)
    assert link.dropped > 10
    await viewer.until(lambda _: lane.is_flowing)
    assert lane.samples < 160 * 16


async def test_a_stuck_viewer_and_a_stuck_socket_slow_nobody(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, other_id = await live.session(), await live.session()
    stuck = await live.viewer(session_id)
    session = live.server.house.sessions.find(session_id)
    (peer,) = session.viewers.peers

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(peer.sound, "recv", never)
    monkeypatch.setattr(peer.picture, "recv", never)
    fine = await live.viewer(session_id)
    other = await live.viewer(other_id)
    async with raw_socket(live, session_id) as unread:
        assert unread
        before = len(stuck.received.pictures)
        seen = len(fine.received.pictures), len(other.received.pictures)
        for _ in range(2_000):  # events that the socket does not take
            session.events.publish([Warned("flood", "x" * 1_000)])
        await fine.until(lambda got: len(got.pictures) >= seen[0] + 50)
        await other.until(lambda got: len(got.pictures) >= seen[1] + 50)
        assert len(stuck.received.pictures) <= before + 15
        assert len(peer.sound._packets) <= 25
        assert len(peer.picture._packets) <= 12
        assert all(len(listener) <= 256 for listener in session.events._listeners)
        steps = np.diff([pts for _, pts, _ in fine.received.pictures[seen[0] :]])
        assert (steps % 3600 == 0).all() and (steps > 0).all()  # a busy machine leaves some out
        await live.client.delete(f"/v1/sessions/{session_id}")
        await fine.until(lambda got: got.of_type("session.closed"))
    assert (await live.client.get(f"/v1/sessions/{session_id}")).status_code == 404


@asynccontextmanager
async def raw_socket(live: LiveServer, session_id: str) -> AsyncIterator[socket.socket]:
    """Yields an open WebSocket that nobody reads."""
    host, port = live.address.split(":")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
        request = (
            f"GET /v1/sessions/{session_id}/events HTTP/1.1\r\nHost: {live.address}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await asyncio.get_running_loop().sock_sendall(raw, request.encode())
        assert b"101" in await asyncio.get_running_loop().sock_recv(raw, 64)
        yield raw


@pytest.mark.parametrize(
    "sdp",
    ["", "nonsense", "v=0\r\n", "v=0\r\nm=video 9 X 96\r\n", "v=0\nm=audio\n" * 9, "x" * 200_000],
)
async def test_a_malformed_offer_is_refused_and_survived(live: LiveServer, sdp: str) -> None:
    session_id = await live.session()
    path = f"/v1/sessions/{session_id}/offer"
    answer = await live.client.post(path, json={"type": "offer", "sdp": sdp})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_sdp"
    await live.viewer(session_id)


async def test_a_full_house_lets_wait_and_then_enter(live: LiveServer) -> None:
    sessions = [await live.session(), await live.session()]
    answer = await live.client.post("/v1/sessions", json={"voice": "buzz"})
    assert answer.status_code == 202
    waiting = answer.json()
    assert (waiting["position"], waiting["size"], waiting["layout"]) == (1, SIZE, "plain")
    path = f"/v1/sessions/{waiting['session_id']}"
    state = (await live.client.get(path)).json()
    assert (state["state"], state["position"]) == ("queued", 1)
    refused = await live.client.post(f"{path}/speak", json={"text": "Me first."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "queued")
    async with live.socket(waiting["session_id"]) as socket:
        assert (await expect(socket, "session.queued"))["position"] == 1
        await socket.send('{"type":"ping","t":7}')
        assert (await expect(socket, "pong"))["t"] == 7
        await socket.send('{"type":"speak","text":"Me first."}')
        assert (await expect(socket, "error"))["code"] == "queued"
        await socket.send(b"\x00\x00")
        assert (await expect(socket, "error"))["code"] == "queued"
        await live.client.delete(f"/v1/sessions/{sessions[0]}")
        assert (await expect(socket, "session.queued"))["position"] == 0
        assert (await expect(socket, "session.ready"))["voice"] == "buzz"
        await socket.send('{"type":"speak","text":"Now."}')
        await live.viewer(waiting["session_id"])
        await expect(socket, "agent.speak_started")


async def test_a_client_in_line_is_told_why_it_ended(live: LiveServer) -> None:
    for _ in range(2):
        await live.session()
    waiting = (await live.client.post("/v1/sessions")).json()["session_id"]
    async with live.socket(waiting) as socket:
        await live.client.delete(f"/v1/sessions/{waiting}")
        assert (await expect(socket, "session.closed"))["reason"] == "client"
        with pytest.raises(ConnectionClosedOK):
            await socket.recv()


async def test_a_lost_connection_is_resumed_in_mid_sentence(live: LiveServer) -> None:
    opened = (await live.client.post("/v1/sessions")).json()
    session_id, token = opened["session_id"], opened["token"]
    lost = await live.viewer(session_id, token=token)
    lost.send(type="speak", text="x" * 100)  # five seconds
    await lost.until(lambda got: got.of_type("agent.speak_started"))
    (started,) = lost.received.of_type("agent.speak_started")
    path = f"/v1/sessions/{session_id}"
    resumed = (await live.client.post(f"{path}/resume", json={"token": token})).json()
    assert (resumed["session_id"], resumed["state"]) == (session_id, "speaking")
    assert resumed["utterance"] == started["utterance"]
    back = await live.viewer(session_id, token=token)
    await back.until(lambda got: len(got.events) > 2)
    assert [event["type"] for event in back.received.events[:3]] == [
        "session.ready",
        "ai_disclosure",
        "session.state_updated",
    ]
    assert back.received.of_type("session.state_updated")[0]["media_time"] > started["media_time"]
    await back.until(lambda got: got.of_type("agent.speak_ended"))
    (ended,) = back.received.of_type("agent.speak_ended")
    assert ended["media_time"] - started["media_time"] == pytest.approx(5 * 16_000, abs=1_300)
    assert len(loud(back.received)) > 20
    assert (await live.client.get(path)).json()["viewers"] == 1  # the lost one was let go
    forged = await live.client.post(f"{path}/resume", json={"token": "x"})
    assert (forged.status_code, forged.json()["error"]["code"]) == (403, "forbidden")
    await live.client.delete(path)
    late = await live.client.post(f"{path}/resume", json={"token": token})
    assert (late.status_code, late.json()["error"]["code"]) == (410, "session_gone")


async def test_an_ended_session_says_goodbye(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    async with live.socket(session_id) as socket:
        await live.client.delete(f"/v1/sessions/{session_id}")
        assert (await expect(socket, "session.closed"))["reason"] == "client"
    await viewer.until(lambda got: got.of_type("session.closed"))
    assert (await live.client.get(f"/v1/sessions/{session_id}")).status_code == 404


async def test_opening_and_closing_leaves_nothing_behind(live: LiveServer) -> None:
    async def once() -> None:
        session_id = await live.session()
        viewer = await live.viewer(session_id)
        viewer.send(type="speak", text="Short.")
        await viewer.until(lambda got: got.of_type("agent.speak_started"))
        await live.client.delete(f"/v1/sessions/{session_id}")
        await viewer.close()
        await asyncio.sleep(0.3)

    def count() -> tuple[int, int]:
        gc.collect()
        return threading.active_count(), len(asyncio.all_tasks())

    await once()
    before = count()
    for _ in range(3):
        await once()
    assert count() == before
    assert len(live.server.house.sessions) == 0


async def test_an_offer_whose_candidates_cannot_be_resolved_still_connects(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Firefox offers: its addresses hidden behind mDNS names, and the end of them told."""
    post = live.client.post

    async def hide_addresses(address: str, **body: Any) -> httpx.Response:  # noqa: ANN401
        if "offer" in address:
            body["json"]["sdp"] = _with_hidden_addresses(body["json"]["sdp"])
        return await post(address, **body)

    monkeypatch.setattr(live.client, "post", hide_addresses)
    viewer = await live.viewer(await live.session())
    assert viewer.connection.connectionState == "connected"


async def test_a_stun_server_that_is_dead_delays_nobody_for_long() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        peer = Peer(
            codecs=[VideoCodec.VP8],
            ice_servers=[IceServer(f"stun:127.0.0.1:{deaf.getsockname()[1]}")],
            bitrate=1_000_000,
            clock=MonotonicClock(),
            want_keyframe=lambda _: None,
        )
        viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in ("audio", "video"):
            viewer.addTransceiver(kind, direction="recvonly")
        await viewer.setLocalDescription(await viewer.createOffer())
        began = asyncio.get_running_loop().time()
        await peer.accept(
            viewer.localDescription.sdp, instant_of=lambda _: 0, ntp=NtpClock(MonotonicClock())
        )
        spent = asyncio.get_running_loop().time() - began
        assert deaf.recv(2048)  # it was asked
        await peer.close()
        await viewer.close()
    assert spent < 2.5  # 0.8 s, and a busy machine


@pytest.mark.soak
async def test_fifty_interruptions_over_webrtc_are_heard_at_once(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    peer = only_peer(live, session_id)
    audience = live.server.house.sessions.find(session_id)._audience
    loud: set[int] = set()  # time stamps of the packets that carry speech
    left: list[tuple[float, int | None]] = []
    play, recv = audience.play, peer.sound.recv

    async def note_loud(
        sound: NDArray[np.float32], media_time: int, ahead: NDArray[np.float32]
    ) -> None:
        if max(np.abs(sound[len(ahead) :]).max(), np.abs(ahead).max()) > 0.01:
            loud.add(3 * media_time)
        await play(sound, media_time, ahead)

    async def note_leaving() -> Any:  # noqa: ANN401
        packet = await recv()
        left.append((time.monotonic(), packet.pts))
        return packet

    audience.play = note_loud  # type: ignore[method-assign]
    peer.sound.recv = note_leaving  # type: ignore[method-assign]
    moments = random.Random(0)
    late = []
    for _ in range(50):
        await live.client.post(f"/v1/sessions/{session_id}/speak", json={"text": "One. Two. Six."})
        await asyncio.sleep(moments.uniform(0, 0.9))
        asked = time.monotonic()
        await live.client.post(f"/v1/sessions/{session_id}/interrupt")
        await asyncio.sleep(0.4)
        old = [at - asked for at, stamp in left if at > asked and stamp in loud]
        late.append(max(old, default=0.0))
    assert any(late)
    assert np.percentile(late, 95) <= 0.1
    assert max(late) <= 0.2
    assert len(viewer.received.of_type("agent.speak_ended")) >= 49


def _with_hidden_addresses(sdp: str) -> str:
    lines = sdp.replace("127.0.0.1", "0b1c2d3e-0000-4000-8000-123456789abc.local").splitlines()
    assert any(".local" in line for line in lines if line.startswith("a=candidate"))
    hidden = ["c=IN IP4 0.0.0.0" if line.startswith("c=") else line for line in lines]
    sections = "\r\n".join(hidden).split("\r\nm=")
    ended = [
        section
        if index == 0 or "a=end-of-candidates" in section
        else section + "\r\na=end-of-candidates"
        for index, section in enumerate(sections)
    ]
    return "\r\nm=".join(ended) + "\r\n"
