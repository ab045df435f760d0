"""The simulation against queueing theory, and the arithmetic of many machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scaling.costs import Costs, fan_out, fleet
from benchmarks.scaling.queueing import erlang_b, erlang_c, mean_wait, servers_for
from benchmarks.scaling.simulation import Outcome, Scene, simulate

ONE = Costs(places=1)


def test_erlangs_formulas_give_the_tables_of_textbooks() -> None:
    assert erlang_b(10, 5.0) == pytest.approx(0.018385, abs=1e-6)
    assert erlang_c(10, 8.0) == pytest.approx(0.40918, abs=1e-5)
    assert erlang_c(1, 0.5) == pytest.approx(0.5)  # M/M/1: the load itself
    assert mean_wait(1, 0.5, 1.0) == pytest.approx(1.0)  # rho / (mu - lambda)
    assert servers_for(8.0, 0.41) == 10
    with pytest.raises(ValueError, match="8 servers cannot carry"):
        erlang_c(8, 8.0)


def scene(workers: int, load: float, **more: object) -> Scene:
    mean_s = 100.0
    made = Scene(load / mean_s, mean_s, workers, seconds=200_000, warm_s=5_000, line=None)
    return replace(made, **more)  # type: ignore[arg-type]


def test_with_one_line_for_all_waits_are_erlangs() -> None:
    """Waits are alike for some 900 s at this load, so that they count as 650 draws: 5 %."""
    outcome = simulate(scene(10, 8.0, shares_line=True, seconds=600_000), ONE)
    assert outcome.share_waiting == pytest.approx(erlang_c(10, 8.0), rel=0.1)
    assert outcome.mean_wait == pytest.approx(mean_wait(10, 8.0, 100.0), rel=0.2)


def test_without_a_line_losses_are_erlangs() -> None:
    outcome = simulate(scene(10, 8.0, line=0), ONE)
    lost = outcome.refused / (outcome.refused + len(outcome.waits))
    assert lost == pytest.approx(erlang_b(10, 8.0), rel=0.1)


def test_places_of_three_count_as_three_servers() -> None:
    outcome = simulate(scene(4, 9.6, shares_line=True, seconds=600_000), Costs(places=3))
    assert outcome.share_waiting == pytest.approx(erlang_c(12, 9.6), rel=0.1)


def test_a_line_at_each_worker_costs_waits_but_no_places() -> None:
    common = simulate(scene(10, 8.0, shares_line=True), ONE)
    apart = simulate(scene(10, 8.0), ONE)
    assert apart.mean_wait > common.mean_wait


def test_sessions_are_as_many_as_littles_law_says() -> None:
    outcome = simulate(scene(40, 20.0), ONE)
    live = [sessions for second, sessions, _, _ in outcome.live if second > 5_000]
    assert sum(live) / len(live) == pytest.approx(20.0, rel=0.05)  # L = lambda W


def test_sessions_of_dead_workers_go_on_where_there_is_room() -> None:
    calm = scene(20, 10.0, deaths=3.0)
    outcome = simulate(calm, Costs(places=1))
    met = outcome.resumed + outcome.lost
    seen = 10.0 * 3.0 * calm.seconds / 3600  # sessions times deaths of each worker an hour
    assert met == pytest.approx(seen, rel=0.1)
    assert outcome.lost / met < 0.01
    full = simulate(scene(10, 9.9, deaths=3.0, line=0), Costs(places=1))
    assert full.lost / (full.lost + full.resumed) > 0.1


def test_an_autoscaler_ends_the_wait_of_a_burst() -> None:
    burst = (2_000.0, 4_000.0, 3.0)
    made = Scene(0.5, 100.0, 60, 8_000, burst=burst)
    left, scaled = simulate(made, ONE), simulate(replace(made, headroom=0.1), ONE)

    def waits(outcome: Outcome) -> float:
        return max(wait for came, wait in outcome.waits if came > 3_000)

    assert waits(scaled) < waits(left) / 5


def test_a_seed_gives_one_outcome() -> None:
    made = scene(5, 4.0, deaths=1.0, seconds=5_000)
    assert simulate(made, ONE, seed=3) == simulate(made, ONE, seed=3)


def test_a_fleet_is_the_sum_of_its_workers() -> None:
    took = fleet(10_000, 3_400, Costs())
    assert (took.cores, round(took.gbps, 1)) == (6_800, 15.6)


def test_a_million_viewers_need_a_tree_of_relays() -> None:
    tree = fan_out(1_000_000, kbps=1_564)
    fan = int(0.7 * 10e6 / 1_564)
    leaves = -(-1_000_000 // fan)
    assert (tree.relays, tree.layers) == (leaves + 1, 2)
    assert tree.tbps == pytest.approx(1.564)
    assert fan_out(1, kbps=1_564).relays == 0
