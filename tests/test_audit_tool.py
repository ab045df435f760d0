"""`make audit` tells holes, and does not take silence for a clean bill."""

from __future__ import annotations

import json

from tools.audit import Verdict, read, told

CLEAN = {"name": "a", "version": "1", "vulns": []}
BROKEN = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def report(*packages: object) -> Verdict:
    return read(json.dumps({"dependencies": packages}), "")


def test_all_looked_up_and_none_broken_is_clean() -> None:
    assert report(CLEAN).is_clean


def test_a_hole_is_told_with_the_version_that_mends_it() -> None:
    verdict = report(CLEAN, BROKEN)
    assert not verdict.is_clean
    assert "b 2: PYSEC-1, mended in 2.1" in told("pins", verdict)


def test_what_was_not_looked_up_is_not_clean() -> None:
    for verdict in (report(CLEAN, UNKNOWN), report(), read("", "no network\n")):
        assert not verdict.is_clean
    assert "NOT LOOKED UP: no network" in told("pins", read("", "no network\n"))
    assert "NOT LOOKED UP: 1" in told("pins", report(CLEAN, UNKNOWN))
