"""How many sessions are let in: arithmetic on what sessions cost, and what is measured for it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from server.app import Server
from server.capacity import Capacity, Load
from server.clock import MonotonicClock
from server.config import Settings
from server.cores import usable_cores
from server.gauge import Gauge, MeteredThread
from tests.live_fakes import fake_parts
from tests.virtual_time import VirtualClock

SECOND = 1_000_000_000  # ns
COST = {"inference": 0.2, "pictures": 0.1, "sound": 0.02, "cores": 0.32}


def capacity(*, cores: float = 2, share: float = 0.8, cap: int | None = None) -> Capacity:
    made = Capacity(cores=cores, share=share, cap=cap)
    made.rehearsed(COST)
    return made


def test_the_thread_that_is_full_first_limits() -> None:
    verdict = capacity(cores=64).verdict(0)
    assert (verdict.room, verdict.limit) == (4, "inference")  # 4 x 0.2 of 0.8 of its core


def test_all_threads_together_limit_on_few_cores() -> None:
    verdict = capacity(cores=1).verdict(0)  # 0.32 and a quarter of it for the loop: 0.4 each
    assert (verdict.room, verdict.limit) == (2, "cores")
    assert capacity(cores=1).verdict(1).room == 1
    assert capacity(cores=1).verdict(2).room == 0


def test_a_larger_share_lets_more_in() -> None:
    assert capacity(cores=64, share=0.4).verdict(0).room == 2
    assert capacity(cores=64, share=1).verdict(0).room == 5


def test_the_operators_limit_holds_where_it_is_lower() -> None:
    verdict = capacity(cap=2).verdict(1)
    assert (verdict.room, verdict.limit) == (1, "max_sessions")
    assert capacity(cap=2).verdict(3).room == 0
    assert capacity(cap=50).verdict(0).limit == "inference"


def test_the_first_is_let_in_even_by_a_machine_too_slow() -> None:
    slow = Capacity(cores=1, share=0.1, cap=None)
    slow.rehearsed({"inference": 3.0, "cores": 3.0})
    assert slow.verdict(0).room == 1
    assert slow.verdict(1).room == 0


def test_before_anything_is_measured_the_operators_limit_is_all_there_is() -> None:
    assert Capacity(cores=2, share=0.8, cap=3).verdict(1).room == 2
    assert Capacity(cores=2, share=0.8, cap=None).verdict(1).room > 100


def test_what_running_sessions_cost_is_learned() -> None:
    learning = capacity(cores=64)
    load = {"inference": 0.2, "pictures": 0.1, "sound": 0.02, "loop": 0.05, "cores": 0.37}
    for _ in range(200):
        learning.observe(load, watched=2)
    assert learning.cost["inference"] == pytest.approx(0.1, abs=0.001)
    assert learning.verdict(2).room == 6
    for _ in range(200):
        learning.observe({**load, "inference": 0.6}, watched=2)
    assert learning.verdict(2).room == 0


def test_sessions_that_nobody_watches_yet_are_forecast_as_watched() -> None:
    idle = capacity(cores=64)
    for _ in range(200):
        idle.observe({"inference": 0.01, "pictures": 0.0, "sound": 0.0, "loop": 0.0}, watched=0)
    assert idle.verdict(3).room == 1


def test_work_beyond_the_forecast_takes_room() -> None:
    busy = capacity(cores=64)
    for _ in range(200):  # an audience of thousands, say
        busy.observe({"loop": 0.9}, watched=0)
    verdict = busy.verdict(1)
    assert (verdict.room, verdict.limit) == (0, "loop")


def test_a_thread_that_waits_is_as_full_as_one_that_computes() -> None:
    waiting = capacity(cores=2)
    for _ in range(200):  # half of the time for the interpreter: one core is in use, two are there
        waiting.observe({"inference": 0.8, "pictures": 0.4, "cores": 0.9}, watched=4)
    verdict = waiting.verdict(4)
    assert (verdict.room, verdict.limit) == (0, "inference")


def test_late_pictures_keep_others_out_whatever_the_forecast() -> None:
    late = capacity(cores=64)
    late.is_late = True
    assert (late.verdict(1).room, late.verdict(1).limit) == (0, "late")
    assert late.verdict(0).room == 1


def test_pictures_that_leave_unevenly_keep_others_out() -> None:
    uneven = capacity(cores=64)
    uneven.is_uneven = True
    assert (uneven.verdict(1).room, uneven.verdict(1).limit) == (0, "uneven")
    assert uneven.verdict(0).room == 1
    uneven.is_late = True
    assert uneven.verdict(1).limit == "late"
    uneven.is_late = uneven.is_uneven = False
    assert uneven.verdict(1).room > 0


def test_speech_counts_on_average_and_not_in_bursts() -> None:
    load = {"inference": 0.2, "pictures": 0.1, "sound": 0.02, "loop": 0.08, "cores": 0.4}
    quiet, talking = capacity(cores=2), capacity(cores=2)
    for _ in range(200):
        quiet.observe(load, watched=1, speech=0.0)
        talking.observe(load, watched=1, speech=0.4)
    assert quiet.verdict(1).room == 3  # the fourth of 0.4 in all is the last of 1.6
    assert (talking.verdict(1).room, talking.verdict(1).limit) == (1, "cores")
    quiet.observe(load, watched=1, speech=1.0)
    assert quiet.verdict(1).room >= 2


def test_what_slowed_sessions_save_is_no_room_for_others() -> None:
    slowed = capacity(cores=64)
    slowed.is_late = True
    for _ in range(200):  # half of the pictures, half of the work
        slowed.observe({"inference": 0.4, "pictures": 0.2, "sound": 0.1, "cores": 0.7}, watched=4)
    slowed.is_late = False
    assert slowed.verdict(4).room == 0
    slowed.is_late = True
    for _ in range(200):  # but what costs more even so is believed
        slowed.observe({"inference": 1.0}, watched=2)
    assert slowed.cost["inference"] == pytest.approx(0.5, abs=0.001)


def test_the_reasons_are_told() -> None:
    told = capacity(cores=1, cap=9).describe(1)
    assert told["sessions"] == 1
    assert told["room"] == 1
    assert told["limit"] == "cores"
    assert told["max_sessions"] == 9
    assert told["cores"] == 1
    assert told["session_cost"] == {**COST, "loop": 0.08, "cores": 0.4}
    assert told["speech_cost"] == 0


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_worker_counts_computing_and_not_waiting() -> None:
    with MeteredThread("worker", MonotonicClock(), lambda: None) as worker:
        worker.submit(spin, 0.03).result()
        worker.submit(threading.Event().wait, 0.05).result()
        with pytest.raises(ZeroDivisionError):
            worker.submit(divmod, 1, 0).result()
    assert 0.03 * SECOND <= worker.spent < 0.05 * SECOND
    assert worker.busy >= 0.08 * SECOND


def test_the_gauge_divides_what_was_taken_by_the_time_that_passed() -> None:
    clock, measured = VirtualClock(), Capacity(cores=2, share=0.8, cap=None)

    def wait() -> None:
        spin(0.02)
        clock.jump(SECOND // 20)

    with (
        MeteredThread("worker", clock, lambda: None) as worker,
        MeteredThread("voice", clock, lambda: None) as voice,
    ):
        gauge = Gauge(
            workers={"inference": worker},
            voices=[voice],
            others=[],
            capacity=measured,
            clock=clock,
        )
        gauge.sample(0)
        worker.submit(wait).result()
        voice.submit(spin, 0.02).result()
        clock.jump(SECOND // 20)
        gauge.sample(1)
    assert measured.cost["inference"] == pytest.approx(0.5)
    assert measured.cost["loop"] < 0.2
    assert measured.cost["cores"] == pytest.approx(0.2 + measured.cost["loop"], rel=0.3)
    assert measured.speech == pytest.approx(0.05 * 0.2, rel=0.3)  # of which one second is little


class RecordingCapacity(Capacity):
    """Keeps the loads it is told."""

    def __init__(self) -> None:
        super().__init__(cores=64, share=0.8, cap=None)
        self.told: list[Load] = []

    def observe(self, load: Load, *, watched: int, speech: float = 0.0) -> None:
        self.told.append(load)
        super().observe(load, watched=watched, speech=speech)


def test_threads_of_an_encoder_take_cores_and_those_of_fitting_do_not() -> None:
    """An AV1 encoder has sixteen threads of its own."""
    clock, measured = VirtualClock(), RecordingCapacity()
    with (
        MeteredThread("inference", clock, lambda: None) as worker,
        MeteredThread("portraits", clock, lambda: None) as fitting,
    ):
        gauge = Gauge(
            workers={"inference": worker},
            voices=[],
            others=[fitting],
            capacity=measured,
            clock=clock,
        )
        for _ in range(3):
            gauge.sample(1)
            library = threading.Thread(target=spin, args=[0.06])
            library.start()
            library.join()
            worker.submit(spin, 0.02).result()
            fitting.submit(spin, 0.2).result()
            clock.jump(SECOND)
        gauge.sample(1)
    last = measured.told[-1]
    assert last["cores"] == pytest.approx(0.06 + 0.02 + last["loop"], rel=0.3)


async def test_a_server_measures_a_session_before_the_first_one_comes(tmp_path: Path) -> None:
    settings = Settings(size=256, cache_dir=tmp_path)
    server = Server(settings, fake_parts(settings))
    await server.warm_up()
    told = server.house.sessions.capacity.describe(0)
    assert set(told["session_cost"]) == {"inference", "pictures", "sound", "loop", "cores"}
    assert told["session_cost"].pop("sound") == 0  # Opus is coded on the loop
    assert all(0 < cost < 1 for cost in told["session_cost"].values())
    threads = {name: cost for name, cost in told["session_cost"].items() if name != "cores"}
    assert told["session_cost"]["cores"] == pytest.approx(sum(threads.values()), abs=0.001)
    assert told["room"] >= 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.25),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_quota_counts(
    tmp_path: Path, files: dict[str, str], cores: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    everything = usable_cores(tmp_path / "none")
    assert usable_cores(tmp_path) == (everything if cores is None else cores)
    assert everything >= 1
