"""Making ahead on a thread: order, faults, stopping early, and how far ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from server.ahead import ahead


def test_it_yields_everything_in_order() -> None:
    assert list(ahead(iter(range(100)), depth=3)) == list(range(100))


def test_nothing_made_is_nothing_yielded() -> None:
    assert list(ahead([])) == []


def test_items_are_made_beside_the_caller() -> None:
    names = set(ahead(threading.current_thread().name for _ in range(3)))
    assert threading.current_thread().name not in names


def test_a_fault_comes_after_what_was_made_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("three is missing")

    seen = []
    with pytest.raises(ValueError, match="three is missing"):
        for item in ahead(items()):
            seen.append(item)
    assert seen == [1, 2]


def test_it_waits_when_enough_was_made() -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    line = ahead(items(), depth=2)
    for item in range(10):
        assert next(line) == item
        assert len(made) <= item + 1 + 2 + 1  # used, waiting, and one that waits for room
    line.close()  # type: ignore[attr-defined]  # a generator


def test_stopping_early_stops_the_making() -> None:
    before = threading.active_count()
    made = []

    def items() -> Iterator[int]:
        while True:
            made.append(0)
            yield 0

    for _ in ahead(items(), depth=2):
        break
    else:
        pytest.fail("nothing came")
    count = len(made)
    assert threading.active_count() == before
    assert len(made) == count
