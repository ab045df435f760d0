"""What `GET /v1/capacity` tells of a cluster: as one server tells it of itself, and each worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.cluster.port import Report

Room = dict[str, Any]


def describe(workers: Sequence[tuple[Report, Room]], waiting: int) -> Room:
    """Returns the room of all workers together.

    What is a number of sessions or of cores is the sum; what one session takes, and the load of
    a worker's threads, the mean of workers; `limit` what limits most of them.

    Args:
        workers: each with what it tells of itself.
        waiting: how many clients wait, at whichever gateway.
    """
    open_to_all = [room for report, room in workers if not report.is_draining]
    limits = Counter(each["limit"] for each in open_to_all)
    most = [each["max_sessions"] for each in open_to_all]
    return {
        "sessions": sum(room["sessions"] for _, room in workers),
        "room": sum(each["room"] for each in open_to_all),
        "limit": limits.most_common(1)[0][0] if limits else "no_worker",
        "max_sessions": None if None in most else sum(most),
        "cores": round(sum(each["cores"] for each in open_to_all), 2),
        "core_share": _mean(each["core_share"] for each in open_to_all),
        "session_cost": _means([each["session_cost"] for each in open_to_all]),
        "speech_cost": _mean(each["speech_cost"] for each in open_to_all),
        "load": _means([each["load"] for each in open_to_all]),
        "waiting": waiting,
        "workers": [
            {
                "worker": report.worker,
                "name": report.name,
                "pid": report.pid,
                "sessions": room["sessions"],
                "room": room["room"],
                "waiting": room["waiting"],
                "draining": report.is_draining,
            }
            for report, room in workers
        ],
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return round(sum(found) / len(found), 4) if found else 0.0


def _means(tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: _mean(table[name] for table in tables if name in table) for name in names}
