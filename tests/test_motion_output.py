"""Motion out: the very frames that pictures are drawn from, by every way there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.config import Settings
from server.motion_output import Frame, MotionOutput
from server.puppet.live_link import FacePacket, LiveLinkPort
from streaming_model.media import SAMPLES_PER_MOTION_FRAME as FRAME
from streaming_model.media import MotionChunk, VideoFrame
from streaming_model.motion_files import read_motion
from streaming_model.motion_space import INDEX, MOTION_SIZE
from tests.live_fakes import FakeAvatar, FakeState
from tests.test_server_live import SIZE, LiveServer, on_loopback, serving

__all__ = ["on_loopback"]  # a fixture for every test here

JAW = INDEX["jawOpen"]
TEXT = "A line that moves the jaw for a while."


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0)) as live:
        yield live


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[int, NDArray[np.float32]]:
    """Returns the motion of every picture, by media time, as the renderer was given it."""
    given: dict[int, NDArray[np.float32]] = {}
    render = FakeAvatar.render

    def spied(
        self: FakeAvatar, state: FakeState, chunks: Iterable[MotionChunk]
    ) -> tuple[FakeState, list[VideoFrame]]:
        known = list(chunks)
        for chunk in known:
            for index, row in enumerate(chunk.motion):
                given[chunk.start + index * FRAME] = row
        return render(self, state, known)

    monkeypatch.setattr(FakeAvatar, "render", spied)
    return given


def chunk(start: int, *jaws: float) -> MotionChunk:
    motion = np.zeros((len(jaws), MOTION_SIZE), np.float32)
    motion[:, JAW] = jaws
    return MotionChunk(start * FRAME, motion, np.zeros(len(jaws), np.int64))


def left(output: MotionOutput, *untils: int) -> list[tuple[int, float]]:
    with output.listen() as frames:
        for until in untils:
            output.leave(until * FRAME)
        return [
            (frame.start // FRAME, round(float(frame.motion[JAW]), 5)) for frame in frames.drain()
        ]


def test_what_is_made_anew_takes_the_place_of_what_was() -> None:
    output = MotionOutput()
    output.add([chunk(0, 0.1, 0.2), chunk(2, 0.3, 0.4)])
    output.add([chunk(2, 0.8)])
    assert left(output, 2, 4) == [(0, 0.1), (1, 0.2), (2, 0.8)]


def test_what_comes_too_late_is_dropped_and_nothing_goes_back_in_time() -> None:
    output = MotionOutput()
    output.leave(3 * FRAME)
    output.add([chunk(2, 0.1, 0.2, 0.3)])
    assert left(output, 4, 9) == [(3, 0.2), (4, 0.3)]


def test_an_event_names_what_is_not_zero() -> None:
    motion = np.zeros(MOTION_SIZE, np.float32)
    motion[[JAW, INDEX["headYaw"]]] = 0.25, -0.1
    told = json.loads(Frame(1280, motion, 3).event().to_json())
    assert told == {
        "type": "motion.frame",
        "media_time": 1280,
        "utterance": 3,
        "coefficients": {"jawOpen": 0.25, "headYaw": -0.1},
    }


async def test_it_is_what_the_pictures_were_drawn_from(
    live: LiveServer, drawn: dict[int, NDArray[np.float32]]
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    viewer.send(type="motion.subscribe")
    viewer.send(type="speak", text=TEXT)
    await viewer.until(lambda got: got.of_type("agent.speak_ended"), seconds=20)
    viewer.send(type="motion.subscribe", active=False)
    viewer.send(type="ping", t=1)
    await viewer.until(lambda got: got.of_type("pong"))
    frames = viewer.received.of_type("motion.frame")
    count = len(frames)
    assert count > 40
    assert max(frame["coefficients"].get("jawOpen", 0) for frame in frames) > 0.3
    steps = np.diff([frame["media_time"] for frame in frames])
    assert (steps % FRAME == 0).all() and (steps > 0).all()  # one may be late on a busy machine
    compared = [frame for frame in frames if frame["media_time"] in drawn]
    assert len(compared) > 20  # a busy machine draws fewer
    for frame in compared:
        wanted = drawn[frame["media_time"]][JAW]
        assert frame["coefficients"].get("jawOpen", 0.0) == pytest.approx(wanted, abs=1e-5)
    await asyncio.sleep(0.2)
    assert len(viewer.received.of_type("motion.frame")) <= count + 1  # it was under way


async def test_it_comes_without_any_viewer_and_stops_with_the_speech_that_is_cut_off(
    live: LiveServer,
) -> None:
    session_id = await live.session()
    jaws: list[float] = []
    async with live.socket(session_id) as socket:
        await socket.send(json.dumps({"type": "motion.subscribe"}))
        await socket.send(json.dumps({"type": "speak", "text": TEXT * 5}))

        async def frames_until(is_enough: Any) -> None:  # noqa: ANN401
            async with asyncio.timeout(20):
                while not is_enough():
                    message = json.loads(await socket.recv())
                    if message["type"] == "motion.frame":
                        jaws.append(message["coefficients"].get("jawOpen", 0.0))

        await frames_until(lambda: max(jaws, default=0) > 0.3)
        await socket.send(json.dumps({"type": "interrupt"}))
        cut = len(jaws)
        await frames_until(lambda: len(jaws) >= cut + 25)
    assert max(jaws[-10:]) == 0.0
    told = (await live.client.get(f"/v1/sessions/{session_id}")).json()
    assert told["viewers"] == 0


async def test_it_can_be_fetched_as_a_file_that_grows(live: LiveServer, tmp_path: Path) -> None:
    session_id = await live.session()
    path = f"/v1/sessions/{session_id}/motion"
    take = tmp_path / "take.csv"
    await live.client.post(f"/v1/sessions/{session_id}/speak", json={"text": TEXT})
    lines: list[str] = []
    async with live.client.stream("GET", path, params={"format": "csv"}) as answer:
        assert answer.headers["content-type"].startswith("text/csv")
        async for line in answer.aiter_lines():
            lines.append(line)
            if len(lines) > 40:
                break
    take.write_text("\r\n".join(lines) + "\r\n")
    motion = read_motion(take)
    assert len(motion) == 40
    assert motion[:, JAW].max() > 0.3
    async with live.client.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        first = await anext(answer.aiter_lines())
    assert json.loads(first)["type"] == "motion.frame"
    wrong = await live.client.get(path, params={"format": "fbx"})
    assert wrong.status_code == 400
    assert (await live.client.get("/v1/sessions/nobody/motion")).status_code == 404


async def test_a_phone_s_packets_reach_whoever_listens_for_them(live: LiveServer) -> None:
    faces: list[FacePacket] = []
    listener = LiveLinkPort(faces.append)
    port = await listener.open(0)
    try:
        session_id = await live.session()
        outputs = f"/v1/sessions/{session_id}/outputs"
        url = f"livelink://127.0.0.1:{port}?subject=Mona"
        begun = await live.client.post(outputs, json={"url": url})
        assert begun.status_code == 201, begun.text
        await live.client.post(f"/v1/sessions/{session_id}/speak", json={"text": TEXT})
        async with asyncio.timeout(20):
            while not any(face.coefficients.get("jawOpen", 0) > 0.3 for face in faces):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert {face.subject for face in faces} == {"Mona"}
        steps = np.diff([face.milliseconds for face in faces])
        assert (steps % 40 == 0).all() and (steps > 0).all()
        stopped = await live.client.delete(f"{outputs}/{begun.json()['id']}")
        assert stopped.status_code == 204
    finally:
        listener.close()


async def test_a_port_at_which_nobody_listens_is_tried_again(live: LiveServer) -> None:
    listener = LiveLinkPort(lambda _: None)
    port = await listener.open(0)
    listener.close()
    session_id = await live.session()
    outputs = f"/v1/sessions/{session_id}/outputs"
    await live.client.post(outputs, json={"url": f"livelink://127.0.0.1:{port}"})
    async with asyncio.timeout(20):
        while True:
            (told,) = (await live.client.get(outputs)).json()
            if told["state"] == "retrying":
                break
            await asyncio.sleep(0.05)
    assert told["message"] == "Nobody listens at the target's port."
