"""Writes the tables and plots of docs/scaling.md: `python -m benchmarks.scaling [--out FOLDER]`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.scaling.costs import Costs, fan_out, fleet
from benchmarks.scaling.queueing import servers_for
from benchmarks.scaling.simulation import Outcome, Scene, simulate

SESSIONS = 10_000
MEAN_S = 300.0
COSTS = Costs()
_WARM_S = 60.0
Row = dict[str, float | int]


def main() -> None:
    """Simulates everything: a minute of processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("artifacts/scaling"))
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    plt.rcParams["svg.hashsalt"] = "vivant"
    told = {
        "costs": asdict(COSTS),
        "fleets": fleets(),
        "spare": spare(folder),
        "burst": burst(folder),
        "deaths": deaths(),
        "fan_out": [
            {"viewers": viewers, **asdict(fan_out(viewers, kbps=COSTS.session_kbps))}
            for viewers in (1_000, 10_000, 100_000, 1_000_000)
        ],
    }
    (folder / "scaling.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))


def scene(workers: int) -> Scene:
    """Returns ten thousand sessions, as they are in the long run."""
    return Scene(SESSIONS / MEAN_S, MEAN_S, workers, 900, warm_s=_WARM_S, sessions=SESSIONS)


def fleets() -> list[Row]:
    """How many workers it takes so that one session in a hundred waits, with one line for all."""
    rows = []
    for sessions in (100, 1_000, 10_000):
        workers = -(-servers_for(sessions, 0.01) // COSTS.places)
        rows.append({"sessions": sessions, **asdict(fleet(sessions, workers, COSTS))})
    return rows


def spare(folder: Path) -> list[Row]:
    """Waits by the places beyond sessions, with a line at each worker and one for all."""
    rows: list[Row] = []
    for share in (0.0025, 0.005, 0.01, 0.02):
        workers = int(SESSIONS * (1 + share) / COSTS.places) + 1
        made = scene(workers)
        apart, common = (
            simulate(replace(made, shares_line=shared), COSTS) for shared in (False, True)
        )
        rows.append(
            {
                "spare": share,
                "workers": workers,
                "waiting": apart.share_waiting,
                "wait_s": apart.mean_wait,
                "waiting_one_line": common.share_waiting,
                "wait_s_one_line": common.mean_wait,
            }
        )
    figure, axes = plt.subplots(figsize=(6, 3.2))
    percent = [100 * row["spare"] for row in rows]
    axes.plot(percent, [100 * row["waiting"] for row in rows], "o-", label="a line at each worker")
    axes.plot(
        percent, [100 * row["waiting_one_line"] for row in rows], "s--", label="one line for all"
    )
    axes.set(xlabel="places more than sessions, %", ylabel="sessions that wait, %")
    axes.legend()
    _save(figure, folder / "spare.svg")
    return rows


def burst(folder: Path) -> list[Row]:
    """Three times the rate for two minutes: waits with and without an autoscaler."""
    figure, axes = plt.subplots(figsize=(6, 3.2))
    rows: list[Row] = []
    for headroom in (0.05, 0.3):
        workers = int(SESSIONS / (1 - headroom) / COSTS.places) + 1
        for scales in (False, True):
            made = replace(
                scene(workers),
                burst=(_WARM_S + 60, _WARM_S + 180, 3.0),
                headroom=headroom if scales else None,
            )
            outcome = simulate(made, COSTS)
            rows.append({"headroom": headroom, "autoscaler": scales, **_waits(outcome)})
            axes.plot(
                [second - _WARM_S - 60 for second, *_ in outcome.live],
                [waiting for _, _, _, waiting in outcome.live],
                "-" if scales else ":",
                label=f"{headroom:.0%} free{', autoscaler' if scales else ''}",
            )
    axes.set(xlabel="seconds after the burst began", ylabel="clients in line")
    axes.legend(fontsize=8)
    _save(figure, folder / "burst.svg")
    return rows


def deaths() -> list[Row]:
    """What becomes of sessions whose worker dies, by how often that is and how much is free."""
    rows: list[Row] = []
    for free in (0.01, 0.05):
        workers = int(SESSIONS / (1 - free) / COSTS.places) + 1
        for rate in (0.1, 1.0, 5.0):
            outcome = simulate(replace(scene(workers), deaths=rate), COSTS)
            sessions = len(outcome.waits)
            rows.append(
                {
                    "free": free,
                    "deaths_an_hour": rate,
                    "met": (outcome.resumed + outcome.lost) / sessions,
                    "lost": outcome.lost / sessions,
                    "abandoned": outcome.abandoned / sessions,
                }
            )
    return rows


def _waits(outcome: Outcome) -> Row:
    asked = len(outcome.waits) + outcome.refused
    return {
        "waiting": outcome.share_waiting,
        "p95_s": outcome.wait_quantile(0.95),
        "worst_s": outcome.wait_quantile(1.0),
        "refused": outcome.refused / asked,
        "workers": max(places for _, _, places, _ in outcome.live) // COSTS.places,
    }


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
