"""Streams pushed from a live session: to listeners on this machine, and to targets that fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import server.outputs.output
import server.outputs.push
from server.outputs.targets import read_target
from server.protocol import ProtocolError
from tests.srt_listener import SrtListener
from tests.test_outputs_film import seen
from tests.test_outputs_recording import is_state, live, on_loopback, record, stop, until
from tests.test_server_live import LiveServer

SIZE = 256
__all__ = ["live", "on_loopback"]  # fixtures for every test here
KEY = "s3cret-stream-key"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Listener:
    """FFmpeg as a server of RTMP or RTSP: takes one stream until it ends, or so many packets."""

    def __init__(self, url: str, *, most: int | None = None, **options: str) -> None:
        self.url, self._options, self._most = url, options, most
        self.times: dict[str, list[float]] = {"video": [], "audio": []}
        self.codecs: list[str] = []
        self.loudest = 0.0
        self.error: Exception | None = None
        self.is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with av.open(self.url, options=self._options) as stream:
                self.codecs = sorted(each.codec_context.name for each in stream.streams)
                for packet in stream.demux():
                    if packet.pts is not None:
                        kind = packet.stream.type
                        self.times[kind].append(float(packet.pts * packet.time_base))
                        for frame in packet.decode() if kind == "audio" else ():
                            assert isinstance(frame, av.AudioFrame)
                            loudest = float(np.abs(frame.to_ndarray()).max())
                            self.loudest = max(self.loudest, loudest)
                    if self._most and sum(map(len, self.times.values())) >= self._most:
                        break
        except (av.error.FFmpegError, OSError) as error:
            self.error = error
        finally:
            self.is_over.set()

    async def until(self, packets: int) -> None:
        async with asyncio.timeout(60):
            while min(map(len, self.times.values())) < packets:
                assert self.error is None, self.error
                await asyncio.sleep(0.05)


def rtmp(**options: Any) -> Listener:  # noqa: ANN401
    return Listener(f"rtmp://127.0.0.1:{free_port()}/live/{KEY}", listen="1", **options)


async def push(live: LiveServer, session_id: str, url: str, **more: object) -> dict[str, Any]:
    answer = await live.client.post(f"/v1/sessions/{session_id}/outputs", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def outputs(live: LiveServer, session_id: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = (
        await live.client.get(f"/v1/sessions/{session_id}/outputs")
    ).json()
    return told


async def test_a_session_goes_to_a_viewer_a_file_rtmp_and_srt_at_once(
    live: LiveServer, tmp_path: Path
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id, codec="H264")
    srt = SrtListener(loses=lambda index: index % 50 == 9)
    listener = rtmp()
    try:
        async with live.socket(session_id) as events:
            recording = await record(live, session_id)
            one = await push(live, session_id, listener.url)
            two = await push(live, session_id, f"srt://127.0.0.1:{srt.port}?streamid={KEY}")
            live_ones = [await until(events, is_state("output.updated", "live")) for _ in range(2)]
            assert {each["output"] for each in live_ones} == {one["id"], two["id"]}
            pictures = len(viewer.received.pictures)
            await events.send(json.dumps({"type": "speak", "text": "Hello to all of you."}))
            await until(events, lambda event: event["type"] == "agent.speak_ended")
            await listener.until(60)
            for told in (one, two):
                await live.client.delete(f"/v1/sessions/{session_id}/outputs/{told['id']}")
            for _ in range(2):
                await until(events, is_state("output.updated", "closed"))
            assert await outputs(live, session_id) == []
            await stop(live, session_id, recording["id"])
            await viewer.until(lambda got: len(got.pictures) > pictures + 50)
    finally:
        await asyncio.to_thread(srt.close)
    await asyncio.to_thread(listener.is_over.wait, 20)
    assert listener.codecs == ["aac", "h264"]
    assert listener.loudest > 0.1
    steps = np.diff(listener.times["video"])
    np.testing.assert_allclose(steps / 0.04, np.round(steps / 0.04), atol=0.03)  # FLV: whole ms
    assert np.median(steps) == pytest.approx(0.04, abs=1e-3)
    assert np.diff(listener.times["audio"]).max() < 0.05
    assert srt.stream_id == KEY
    (tmp_path / "got.ts").write_bytes(srt.received)
    assert {kind for kind, _, _ in packets(tmp_path / "got.ts")} == {"video", "audio"}
    assert len(seen(tmp_path / "recordings" / f"{recording['id']}.mp4")) > 50


def packets(path: Path) -> list[tuple[str, float, int]]:
    with av.open(str(path)) as film:
        return [
            (packet.stream.type, float(packet.pts * packet.time_base), packet.size)
            for packet in film.demux()
            if packet.pts is not None
        ]


async def test_rtsp_is_pushed_and_complete_pictures_come_every_two_seconds(
    live: LiveServer,
) -> None:
    listener = Listener(
        f"rtsp://127.0.0.1:{free_port()}/live", rtsp_flags="listen", listen_timeout="20"
    )
    session_id = await live.session()  # nobody watches: it is drawn for the stream alone
    async with live.socket(session_id) as events:
        told = await push(live, session_id, listener.url, bitrate=300)
        await until(events, is_state("output.updated", "live"))
        await listener.until(60)
        await live.client.delete(f"/v1/sessions/{session_id}/outputs/{told['id']}")
        await until(events, is_state("output.updated", "closed"))
    assert listener.codecs == ["aac", "h264"]


@contextlib.contextmanager
def mute_server() -> Iterator[int]:
    """Yields the port of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_targets_that_refuse_hang_and_die_are_tried_again_and_others_go_on(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server.outputs.output, "FIRST_WAIT", 0.2)
    monkeypatch.setattr(server.outputs.push, "PATIENCE", 2.5)
    caplog.set_level(logging.DEBUG)
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    dies, good = rtmp(most=100), rtmp()
    told: list[dict[str, Any]] = []
    with mute_server() as mute:
        async with live.socket(session_id) as events:
            refusing = f"rtmp://127.0.0.1:{free_port()}/live/{KEY}"
            hanging = f"rtmp://127.0.0.1:{mute}/live/{KEY}"
            ids = [
                (await push(live, session_id, url))["id"]
                for url in (refusing, hanging, dies.url, good.url)
            ]
            waiting = set(ids[:3])
            while waiting:
                event = await until(events, is_state("output.updated", "retrying"), seen=told)
                waiting.discard(event["output"])
            answers = await outputs(live, session_id)
            packets_before = len(good.times["video"])
            await good.until(packets_before + 25)
            for each in ids:
                await live.client.delete(f"/v1/sessions/{session_id}/outputs/{each}")
            for _ in ids:
                await until(events, is_state("output.updated", "closed"), seen=told)
    messages: dict[str, str] = {}
    for event in told:
        if event.get("retry_s"):
            messages.setdefault(event["output"], event["message"])
    assert messages[ids[0]] == "The target refuses connections."
    assert messages[ids[1]] == "The target did not answer within 2.5 seconds."
    assert "closed the connection" in messages[ids[2]]
    waits = [e["retry_s"] for e in told if e.get("retry_s") and e["output"] == ids[0]]
    assert waits[:3] == [0.2, 0.4, 0.8][: len(waits)]
    assert ids[3] not in messages
    assert KEY not in json.dumps([told, answers])
    assert KEY not in caplog.text
    assert all(answer["url"].endswith("/...") for answer in answers)
    count = len(viewer.received.pictures)
    await viewer.until(lambda got: len(got.pictures) > count + 10)


async def test_a_host_that_does_not_exist_is_not_tried_again(live: LiveServer) -> None:
    session_id = await live.session()
    async with live.socket(session_id) as events:
        told = await push(live, session_id, f"rtmp://nowhere.invalid/live/{KEY}")
        failed = await until(
            events, lambda e: e["type"] == "output.updated" and e["state"] not in ("connecting",)
        )
    # Where no name server answers at all, it may be there later.
    assert (failed["state"], failed["message"]) == (
        "failed",
        "There is no host 'nowhere.invalid'.",
    ) or "name server" in failed["message"]
    gone = await live.client.delete(f"/v1/sessions/{session_id}/outputs/{told['id']}")
    assert gone.status_code == 204


async def test_the_process_that_pushes_ends_with_its_session(live: LiveServer) -> None:
    session_id = await live.session()
    listener = rtmp()
    async with live.socket(session_id) as events:
        await push(live, session_id, listener.url)
        await until(events, is_state("output.updated", "live"))
        await live.client.delete(f"/v1/sessions/{session_id}")
        await until(events, is_state("output.updated", "closed"))
    assert await asyncio.to_thread(listener.is_over.wait, 20)


@pytest.mark.parametrize(
    ("url", "more", "code", "sentence"),
    [
        ("http://example.org/x", {}, "bad_request", "rtmp://.*not 'http'"),
        ("rtmp://", {}, "bad_request", "names no host"),
        ("rtmp://a b/c", {}, "bad_request", "names no host|malformed"),
        ("rtmp://a:99999/c", {}, "bad_request", "malformed"),
        ("srt://example.org", {}, "bad_request", "needs a port"),
        ("srt://example.org:9000?mode=listener", {}, "bad_request", "mode=caller"),
        ("srt://example.org:9000?latency=soon", {}, "bad_request", "not 'soon'"),
        ("srt://example.org:9000?passphrase=short", {}, "bad_request", "10 to 79"),
        ("srt://example.org:9000?colour=red", {}, "bad_request", "'colour' is none"),
        ("rtmp://example.org/x", {"bearer": "t"}, "bad_request", "WHIP only"),
        ("whip+https://example.org/x", {"bearer": "a b"}, "bad_request", "without spaces"),
        ("rtmp://elsewhere.org/x", {}, "forbidden", "'elsewhere.org'"),
        ("x" * 5000, {}, "bad_request", "longer than 2048"),
    ],
)
def test_impossible_targets_are_refused_with_what_is_wrong(
    url: str, more: dict[str, str], code: str, sentence: str
) -> None:
    hosts = ("example.org", "*.example.org", "a")
    with pytest.raises(ProtocolError, match=sentence) as caught:
        read_target(url, bearer=more.get("bearer"), hosts=hosts)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_a_target_is_told_without_its_secrets() -> None:
    target = read_target(
        f"rtmps://user:{KEY}@live.example.org/app/{KEY}?auth={KEY}", bearer=None, hosts=("*",)
    )
    assert target.shown == "rtmps://live.example.org:443/..."
    assert KEY not in repr(target)
    assert KEY not in target.without_secrets(f"cannot open {target.url}: {KEY} is wrong")


@pytest.mark.parametrize("wanted", [{}, {"url": 7}, {"url": "rtmp://a/b", "bitrate": 5}])
async def test_a_malformed_request_is_refused(live: LiveServer, wanted: dict[str, Any]) -> None:
    session_id = await live.session()
    answer = await live.client.post(f"/v1/sessions/{session_id}/outputs", json=wanted)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_an_output_that_does_not_exist_cannot_be_ended(live: LiveServer) -> None:
    session_id = await live.session()
    answer = await live.client.delete(f"/v1/sessions/{session_id}/outputs/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
