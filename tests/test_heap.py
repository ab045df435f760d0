"""Memory that is free goes back to the system, between sessions and at no other time."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from server.heap import Leftovers, give_back

_MIB = 2**20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is known to keep it")
def test_what_is_free_goes_back_though_something_behind_it_is_in_use() -> None:
    pieces = [bytes(100_000) for _ in range(1000)]  # too small for mappings of their own
    last = pieces.pop()
    full = _resident()
    del pieces
    give_back()
    assert full - _resident() > 50 * _MIB
    assert len(last) == 100_000


def test_it_is_given_back_once_after_sessions_and_while_none_is_open() -> None:
    leftovers = Leftovers()
    assert not leftovers.are_due(opened=0, live=0)
    assert not leftovers.are_due(opened=2, live=2)
    assert not leftovers.are_due(opened=2, live=1)
    assert leftovers.are_due(opened=2, live=0)
    assert not leftovers.are_due(opened=2, live=0)
    assert not leftovers.are_due(opened=3, live=1)
    assert leftovers.are_due(opened=3, live=0)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
