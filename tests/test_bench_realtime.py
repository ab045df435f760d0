"""The parts of the real-time benchmark that can be wrong without a server."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.realtime.admission import Load, load_lines
from benchmarks.realtime.browser import MeasuringPath, Offsets
from benchmarks.realtime.figures import Spread, lags, median_step, onsets, pair_offsets, slope
from benchmarks.realtime.interrupt import old_sound_milliseconds
from benchmarks.realtime.offset_lines import offset_lines
from benchmarks.realtime.relay import (
    Relay,
    Trouble,
    first_candidate,
    with_candidate,
    without_candidates,
)
from benchmarks.realtime.results import Line, Report, Verdict
from benchmarks.realtime.rigged import flashing
from benchmarks.realtime.sounds import BURST_SECONDS, MICROPHONE_RATE, clicks, voice_with_bursts
from benchmarks.realtime.tap import Packet, Sound, Tap
from server.config import Settings
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from tests.live_fakes import fake_parts

ANSWER = (
    "v=0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
    "a=candidate:2 1 udp 1694498815 198.51.100.7 5000 typ srflx raddr 0.0.0.0 rport 0\r\n"
    "a=end-of-candidates\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    "a=mid:1\r\n"
)


def test_a_spread_tells_percentiles_and_the_greatest() -> None:
    spread = Spread.of([float(value) for value in range(101)])
    assert (spread.p50, spread.p95, spread.p99, spread.most, spread.count) == (50, 95, 99, 100, 101)
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_flashes_pair_with_the_nearest_click_and_strays_with_none() -> None:
    offsets = pair_offsets([0.0, 1000.0, 5000.0], [12.0, 990.0, 7000.0])
    assert offsets.tolist() == [12.0, -10.0]
    assert pair_offsets([], [1.0]).size == 0
    # 200 ms late by a path of 120 ms, and the next flash 520 ms after the last
    late = pair_offsets([0.0, 520.0, 1040.0], [320.0, 840.0, 1360.0], path=120.0)
    assert late.tolist() == [200.0, 200.0, 200.0]


def test_the_path_is_one_for_a_run_and_taken_out_of_every_window() -> None:
    starts = [np.array([-26.0, -24.0, -22.0]), np.array([-25.0, -25.0])]
    windows = [
        Offsets(flashes=[1000.0, 2000.0], clicks=[980.0, 1975.0], paths=starts),
        Offsets(flashes=[500.0], clicks=[470.0], paths=[np.array([-31.0])]),
    ]
    path = MeasuringPath.of(windows)
    assert (path.value, path.clips) == (-25.0, 3)
    assert path.error == pytest.approx(np.std([-24, -25, -31]) / 3**0.5)
    assert [list(window.seen(path)) for window in windows] == [[5.0, 0.0], [-5.0]]
    assert MeasuringPath.of([Offsets()]) == MeasuringPath(0.0, 0.0, 0)


def test_a_browser_whose_own_clips_are_uneven_is_not_believed() -> None:
    even, uneven = np.array([-26.0, -24.0]), np.array([-60.0, 0.0])
    assert Offsets(paths=[even, even, uneven]).is_sound
    starved = Offsets([9.0], flashes=[0.0], clicks=[40.0], paths=[even, uneven, uneven])
    lines = offset_lines("at the start", starved, MeasuringPath(-25.0, 1.0, 8))
    assert [line.verdict for line in lines[:2]] == [Verdict.NOT_MEASURED] * 2


def test_a_slope_is_per_unit_and_of_one_reading_zero() -> None:
    assert slope([0, 1, 2, 3], [10, 12, 14, 16]) == pytest.approx(2)
    assert slope([0], [10]) == 0


def test_a_median_step_sees_a_steady_rise_and_no_single_one() -> None:
    assert median_step([10, 12, 14, 16]) == 2
    assert median_step([10, 10, 10, 20, 20, 20]) == 0
    assert median_step([10]) == 0


def test_lags_go_to_the_first_effect_within_reach() -> None:
    assert lags([0.0, 1.0, 2.0], [2.1, 0.2, 0.3], most=0.5) == pytest.approx([0.2, 0.1])


def test_onsets_follow_quiet() -> None:
    times = [0.0, 0.02, 0.04, 0.5, 0.52, 0.54]
    loud = [False, True, True, False, True, True]
    assert onsets(times, loud, quiet=0.3) == [0.02, 0.52]


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (Line("a", "b", 10.0, "ms", most=10.0), Verdict.PASS),
        (Line("a", "b", 10.1, "ms", most=10.0), Verdict.FAIL),
        (Line("a", "b", 3.0, "", least=4.0), Verdict.FAIL),
        (Line("a", "b", 4.0, "", least=4.0), Verdict.PASS),
        (Line("a", "b", 4.0, ""), Verdict.REPORTED),
        (Line("a", "b", None, "", most=1.0), Verdict.NOT_MEASURED),
    ],
)
def test_a_line_says_whether_its_limit_is_kept(line: Line, verdict: Verdict) -> None:
    assert line.verdict is verdict
    assert Report({}, [line]).keeps_limits == (verdict is not Verdict.FAIL)


def test_sessions_hold_up_to_the_first_number_that_does_not() -> None:
    def load(sessions: int, p99: float) -> Load:
        return Load(sessions, p50=40.0, p99=p99, fps=25.0, cores=0.2, own_cores=0.1)

    loads = [load(1, 45.0), load(2, 50.0), load(3, 70.0), load(4, 55.0)]
    held, beyond, *pauses = load_lines(
        loads,
        {"limit": "cores", "session_cost": {"inference": 0.1, "cores": 0.2}, "speech_cost": 0.12},
        12,
    )
    assert (held.value, held.verdict) == (2, Verdict.FAIL)
    assert (beyond.value, beyond.verdict) == (2, Verdict.FAIL)
    assert "10 % of inference, 20 % of cores, 12 % of a core for its voice" in beyond.note
    assert "limited by cores" in held.note
    assert [line.value for line in pauses] == [45.0, 50.0, 70.0, 55.0]


def test_a_report_is_written_for_programs_and_for_people(tmp_path: Path) -> None:
    report = Report({"cores": 2}, [Line("offset", "p95", 12.34, "ms", most=20.0, note="n")])
    data, text = report.write(tmp_path / "new")
    assert json.loads(data.read_text())["lines"][0]["verdict"] == "pass"
    assert "| offset | p95 | 12.3 ms | ≤ 20 ms | pass | n |" in text.read_text()


def test_old_sound_ends_with_the_last_packet_that_is_not_silent() -> None:
    sounds = [Sound(0.9, 0, 0.3), Sound(1.1, 960, 0.3), Sound(1.12, 1920, 0.0)]
    assert old_sound_milliseconds(sounds, 1.0) == pytest.approx(100)
    assert old_sound_milliseconds(sounds, 1.2) == 0


def test_media_time_follows_the_sender_report_over_the_end_of_the_numbers() -> None:
    tap = Tap([Packet(0.0, 0, 0, ends_frame=True, payload=b"x")])
    with pytest.raises(LookupError, match="report"):
        tap.media_seconds(0, 90_000)
    tap.report = (100.0, 2**32 - 45_000)
    assert tap.media_seconds(45_000, 90_000) == pytest.approx(101)
    assert tap.media_seconds(2**32 - 90_000, 90_000) == pytest.approx(99.5)


def test_clicks_begin_with_frames_and_bursts_stand_out() -> None:
    pcm = np.frombuffer(clicks(seconds=4), "<i2").reshape(-1, SAMPLES_PER_MOTION_FRAME)
    assert np.flatnonzero(np.abs(pcm).max(axis=1) > 0).tolist() == [5, 18, 35, 56, 69, 86]
    voice = voice_with_bursts([0.5], seconds=1.0)
    loud = np.flatnonzero(np.abs(voice) > 0.4) / MICROPHONE_RATE
    assert 0.5 <= loud.min() < 0.52
    assert loud.max() < 0.5 + BURST_SECONDS


def test_the_answer_names_the_relay_once_in_each_section_that_named_the_server() -> None:
    answer = ANSWER.format(host="10.0.0.9", port=4000)
    assert first_candidate(answer) == ("10.0.0.9", 4000)
    changed = with_candidate(answer, ("127.0.0.1", 7))
    assert changed.count("a=candidate:") == 1
    assert "a=candidate:1 1 udp 2130706431 127.0.0.1 7 typ host\r\n" in changed
    assert "a=mid:1" in changed
    bare = without_candidates(answer)
    assert "candidate" not in bare
    with pytest.raises(ValueError, match="candidate"):
        first_candidate(bare)


class Echo(asyncio.DatagramProtocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.transport.sendto(data, address)


class Inbox(asyncio.DatagramProtocol):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        del address
        self.packets.append(data)


async def through(trouble: Trouble, count: int) -> tuple[list[bytes], Relay]:
    """Sends numbered packets to an echo behind a relay; returns what came back."""
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    relay = Relay(trouble)
    answer = ANSWER.format(host="127.0.0.1", port=server.get_extra_info("sockname")[1])
    way = first_candidate(await relay.carry(answer))
    inbox = Inbox()
    client, _ = await loop.create_datagram_endpoint(lambda: inbox, remote_addr=way)
    for number in range(count):
        client.sendto(bytes([number]))
        if number % 10 == 9:
            await asyncio.sleep(0.002)
    await asyncio.sleep(2 * trouble.jitter + 0.05)
    for transport in (client, server):
        transport.close()
    relay.close()
    return inbox.packets, relay


async def test_a_relay_without_trouble_carries_everything_both_ways() -> None:
    packets, relay = await through(Trouble(), 50)
    assert packets == [bytes([number]) for number in range(50)]
    assert relay.lost_share == 0


async def test_a_relay_loses_its_share_and_lets_packets_overtake() -> None:
    packets, relay = await through(Trouble(0.2, 0.02, random.Random(1)), 250)
    assert relay.lost_share == pytest.approx(0.2, abs=0.06)
    assert 110 < len(packets) < 210
    assert packets != sorted(packets)


def test_a_picture_flashes_with_the_loud_block_it_was_made_from(tmp_path: Path) -> None:
    parts = flashing(fake_parts(Settings(size=256, cache_dir=tmp_path)))
    avatar, _ = parts.make_avatar(tmp_path / "face.png")
    state = avatar.start()
    sound = np.zeros(10 * SAMPLES_PER_MOTION_FRAME, np.float32)
    sound[3 * SAMPLES_PER_MOTION_FRAME + 100] = 0.9
    (motion_state,), (chunks,) = avatar.motion.step([state.motion], [AudioChunk(0, sound)])
    state = type(state)(state.inner, motion_state)
    _, frames = avatar.render(state, chunks)
    bright = [int(frame.image[100, 128].max()) > 200 for frame in frames]
    assert len(frames) == 8
    assert [index for index, is_bright in enumerate(bright) if is_bright] == [3]
