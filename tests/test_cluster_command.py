"""`vivant serve --ray`: what is refused before anything starts, and where sessions go."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli import main, parser
from server.cluster.command import ClusterOptions
from server.cluster.directory import PATIENCE, MemoryDirectory
from server.cluster.placement import Placement
from server.cluster.port import Report
from tests.virtual_time import VirtualClock


def test_the_flags_say_where_and_how_many() -> None:
    read = parser().parse_args
    assert read(["serve"]).ray is None
    assert ClusterOptions.of(read(["serve", "--ray"])) == ClusterOptions("local", 1, 1.0)
    flags = ["serve", "--ray", "auto", "--ray-workers", "3", "--ray-cores", "0.5"]
    assert ClusterOptions.of(read(flags)) == ClusterOptions("auto", 3, 0.5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--ray-workers", "0"], "--ray-workers must be from 1 to 10000, not 0."),
        (["--ray-cores", "0"], "--ray-cores must be from 0.1 to 1024, not 0."),
    ],
)
def test_impossible_numbers_are_refused(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--ray", *flags]) == 2
    assert capsys.readouterr().err == f"vivant: {said}\n"


def test_without_ray_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["serve", "--ray"]) == 2
    assert capsys.readouterr().err == "vivant: --ray needs Ray: pip install 'vivant[ray]'.\n"


def report(worker: str, *, room: int, waiting: int = 0, warm: str = "mona_lisa") -> Report:
    return Report(worker, "http://x", room, 0, waiting, 1, frozenset({warm}))


def order(*reports: Report, portrait: str | None = None) -> list[str]:
    return [each.worker for each in Placement().order(reports, portrait)]


def test_a_worker_with_room_and_the_portrait_warm_is_first() -> None:
    full, cold = report("full", room=0, warm="p"), report("cold", room=9)
    warm = report("warm", room=1, warm="p")
    assert order(full, cold, warm, portrait="p") == ["warm", "cold", "full"]
    assert order(cold, warm) == ["cold", "warm"]


def test_where_none_has_room_the_shortest_line_is_first() -> None:
    assert order(report("a", room=0, waiting=3), report("b", room=0, waiting=1)) == ["b", "a"]


def test_who_drains_or_is_left_out_is_not_asked() -> None:
    draining = Report("d", "http://x", 5, 0, 0, 1, frozenset(), is_draining=True)
    reports = [draining, report("a", room=1)]
    assert [each.worker for each in Placement().order(reports, None)] == ["a"]
    assert Placement().order(reports, None, without={"a"}) == []


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_a_burst_between_two_reports_fills_rooms_and_no_more(rooms: list[int]) -> None:
    placement = Placement()
    reports = [report(f"w{number}", room=room) for number, room in enumerate(rooms)]
    placed: dict[str, int] = {}
    for _ in range(sum(rooms)):
        first = placement.order(reports, None)[0]
        placement.note(first)
        placed[first.worker] = placed.get(first.worker, 0) + 1
    assert placed == {f"w{number}": room for number, room in enumerate(rooms) if room}


async def test_who_says_nothing_for_five_seconds_is_not_listed() -> None:
    clock = VirtualClock()
    directory = MemoryDirectory(clock)
    await directory.report(report("a", room=1))
    clock.jump(PATIENCE)
    await directory.report(report("b", room=2))
    assert [each.worker for each in await directory.living()] == ["a", "b"]
    clock.jump(1)
    await directory.report(report("b", room=1))
    assert await directory.living() == [report("b", room=1)]
    await directory.leave("b")
    assert await directory.living() == []
