"""Live motion on its way into the face: clocks, neutral, smoothing, parts."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from pathlib import Path

import aioice.ice
import numpy as np
import pytest
from numpy.typing import NDArray

from server.config import Settings
from server.live_motion import PARTS, LiveMotion, SenderClock, relative
from server.protocol import MotionConfigure, ProtocolError
from streaming_model.motion.additive import Additions, LiveFrames, blend
from streaming_model.motion.one_euro import OneEuro, one_euro
from streaming_model.motion_space import INDEX, MOTION_NAMES, MOTION_SIZE
from tests.test_server_live import serving
from vivant_client import connect

BLOCK = 640  # samples, 40 ms
Floats = NDArray[np.float32]


def earliest(seconds: float) -> int:
    """Returns the first media time that can still be changed: it goes on in blocks."""
    return math.ceil(seconds * 25) * BLOCK


def arrivals(
    rate: float, seconds: float, jitter: float, seed: int = 0
) -> list[tuple[float, float]]:
    """Returns (seen, arrived) in seconds of frames on a network with up to `jitter` of delay."""
    random = np.random.default_rng(seed)
    seen = np.arange(int(rate * seconds)) / rate
    arrived = np.maximum.accumulate(seen + 0.02 + jitter * random.random(len(seen)))
    return list(zip(seen.tolist(), arrived.tolist(), strict=True))


def shown(live: LiveFrames, times: range) -> Floats:
    """Returns [frames, 58] of a face that does nothing by itself."""
    rest = np.zeros((len(times), MOTION_SIZE), np.float32)
    return blend(
        Additions(live=live), rest, times=list(times), speaking=np.zeros(len(times), np.float32)
    )


def send(live: LiveMotion, t: float | None, at: int, **coefficients: float) -> LiveFrames:
    return live.hear(coefficients, at=at, t=t, weight=1.0, mode="replace")


@pytest.mark.parametrize("rate", [25.0, 30.0, 60.0])
def test_with_the_senders_times_jitter_moves_nothing(rate: float) -> None:
    """A steady turn of the head stays steady on a network with 60 ms of jitter."""

    def speeds(*, with_times: bool) -> Floats:
        live, made = LiveMotion(), []
        waiting = arrivals(rate, 6.0, 0.06)
        for block in range(25 * 6):
            now = block / 25
            while waiting and waiting[0][1] <= now:
                seen, arrived = waiting.pop(0)
                frames = send(
                    live, 1000 * seen if with_times else None, earliest(arrived), headYaw=0.1 * seen
                )
            if now > 3:
                made.append(shown(frames, range(block * BLOCK, block * BLOCK + 1))[0])
        return np.diff(np.array(made)[:, INDEX["headYaw"]]) * 25

    steady, jumpy = speeds(with_times=True), speeds(with_times=False)
    assert np.abs(steady - 0.1).max() < 0.05
    assert np.std(steady) < 0.25 * np.std(jumpy)


def test_the_senders_clock_may_begin_anew_and_overtaken_frames_are_left_out() -> None:
    clock = SenderClock()
    assert clock.place(5_000, BLOCK) == BLOCK
    later = clock.place(5_040, 2 * BLOCK)
    assert later == 2 * BLOCK
    assert clock.place(5_020, 2 * BLOCK) is None
    assert clock.place(7, 10 * BLOCK) == 10 * BLOCK  # the page was loaded again
    assert clock.place(600_000, 11 * BLOCK) == 11 * BLOCK


def test_a_hiccup_of_the_network_costs_no_latency_for_long() -> None:
    clock = SenderClock()
    for index in range(250):
        late = 8_000 if 100 <= index < 103 else 0
        placed = clock.place(40.0 * index, index * BLOCK + late)
    assert placed == 249 * BLOCK


def test_the_neutral_is_taken_from_the_last_half_second() -> None:
    live = LiveMotion()
    with pytest.raises(ProtocolError, match="No live motion came"):
        live.calibrate(reset=False)
    for index in range(30):
        send(live, None, index * BLOCK, browInnerUp=0.2, headYaw=0.3, eyeLookInLeft=0.1)
    live.calibrate(reset=False)
    frames = send(
        live, None, 30 * BLOCK, browInnerUp=0.6, headYaw=0.1, eyeLookInLeft=0.0, eyeLookOutLeft=0.2
    )
    row = frames.rows[-1]
    assert row[INDEX["browInnerUp"]] == pytest.approx(0.5)
    assert row[INDEX["headYaw"]] == pytest.approx(-0.2)
    assert row[INDEX["eyeLookOutLeft"]] == pytest.approx(0.3) and row[INDEX["eyeLookInLeft"]] == 0
    assert row[INDEX["headPitch"]] == 0
    live.calibrate(reset=True)
    again = send(live, None, 31 * BLOCK, headYaw=0.1).rows[-1]
    assert again[INDEX["headYaw"]] == pytest.approx(0.1)


def test_a_neutral_face_is_rest_and_the_range_stays_whole() -> None:
    random = np.random.default_rng(3)
    neutral = (0.4 * random.random(MOTION_SIZE)).astype(np.float32)
    np.testing.assert_allclose(relative(neutral, neutral), 0, atol=1e-6)
    full = np.ones(MOTION_SIZE, np.float32)
    assert relative(full, neutral)[INDEX["jawOpen"]] == 1


def test_parts_are_mixed_as_told_and_changes_are_eased() -> None:
    live = LiveMotion()
    live.configure(MotionConfigure(parts={"mouth": "off", "head": "add"}))
    for index in range(25):
        frames = send(live, None, index * BLOCK, jawOpen=0.8, browInnerUp=0.6, headYaw=0.2)
    row = shown(frames, range(24 * BLOCK, 24 * BLOCK + 1))[0]
    assert row[INDEX["jawOpen"]] == 0
    assert row[INDEX["browInnerUp"]] == pytest.approx(0.6)
    assert row[INDEX["headYaw"]] == pytest.approx(0.2)
    live.configure(MotionConfigure(parts={"mouth": "replace"}))
    for index in range(25, 50):
        frames = send(live, None, index * BLOCK, jawOpen=0.8, browInnerUp=0.6, headYaw=0.2)
    jaw = shown(frames, range(24 * BLOCK, 50 * BLOCK, BLOCK))[:, INDEX["jawOpen"]]
    assert jaw[-1] == pytest.approx(0.8) and np.diff(jaw).max() < 0.2 and np.diff(jaw).min() >= 0


def test_every_coefficient_belongs_to_one_part() -> None:
    assert (np.sum(list(PARTS.values()), axis=0) == 1).all()


def test_a_lost_face_fades_and_one_that_comes_back_comes_in_softly() -> None:
    live = LiveMotion()
    for index in range(25):
        frames = send(live, 40.0 * index, index * BLOCK, headYaw=0.3)
    gone = shown(frames, range(0, 60 * BLOCK, BLOCK))[:, INDEX["headYaw"]]
    assert gone[31] == pytest.approx(0.3) and not gone[24 + 19 :].any()  # within 0.75 s
    for index in range(60, 75):
        frames = send(live, 40.0 * index, index * BLOCK, headYaw=-0.3)
    back = shown(frames, range(0, 75 * BLOCK, BLOCK))[:, INDEX["headYaw"]]
    assert np.abs(np.diff(back)).max() < 0.1 and back[-1] == pytest.approx(-0.3)


def filtered(rows: Floats, smoothing: float) -> Floats:
    state: OneEuro | None = None
    result = []
    for row in rows:
        state, out = one_euro(state, row, seconds=1 / 30, smoothing=smoothing)
        result.append(out)
    return np.array(result)


def test_smoothing_calms_a_face_at_rest() -> None:
    noise = np.random.default_rng(1).normal(0.5, 0.01, (120, MOTION_SIZE)).astype(np.float32)
    calm = filtered(noise, 0.5)[30:, INDEX["jawOpen"]]
    assert calm.std() < 0.6 * noise[30:, INDEX["jawOpen"]].std()
    np.testing.assert_array_equal(filtered(noise, 0.0), noise)


def test_smoothing_keeps_a_blink_and_a_nod() -> None:
    time = np.arange(60) / 30
    rows = np.zeros((60, MOTION_SIZE), np.float32)
    rows[:, INDEX["eyeBlinkLeft"]] = np.exp(-(((time - 1) / 0.07) ** 2))
    rows[:, INDEX["headPitch"]] = 0.2 * np.sin(2 * np.pi * 1.5 * time)
    out = filtered(rows, 0.5)
    assert out[:, INDEX["eyeBlinkLeft"]].max() > 0.75
    pitch = out[:, INDEX["headPitch"]]
    assert np.corrcoef(pitch, rows[:, INDEX["headPitch"]])[0, 1] > 0.97


@pytest.mark.parametrize("way", ["data channel", "websocket"])
async def test_sixty_frames_a_second_arrive_by_either_way(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])
    async with serving(Settings(size=256, max_sessions=1, cache_dir=tmp_path, port=0)) as live:
        address = f"http://{live.address}"
        async with connect(address, media=False) as session:
            viewer = await live.viewer(session.id)

            async def by_channel(message: str) -> None:
                viewer.channel.send(message)

            send_text = by_channel if way == "data channel" else session.send_text
            direction = live.server.house.sessions.find(session.id).direction
            await send_frames(send_text, count=90)
            await viewer.until(lambda _: direction.live.frames is not None)
            async with asyncio.timeout(5):
                while direction.live.heard < 90:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            assert not viewer.received.of_type("error")


async def send_frames(send_text: Callable[[str], Awaitable[None]], *, count: int) -> None:
    """Sends whole faces as fast as they come from a phone."""
    for index in range(count):
        face = dict.fromkeys(MOTION_NAMES, 0.1)
        await send_text(
            json.dumps({"type": "motion", "coefficients": face, "t": 1000 * index / 60})
        )
        await asyncio.sleep(1 / 60)
