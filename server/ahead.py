"""Stages of a file's making side by side: one makes what comes next while the last is used."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Final, TypeVar

Item = TypeVar("Item")

_END: Final = object()


def ahead(items: Iterable[Item], *, depth: int = 8) -> Iterator[Item]:
    """Yields `items` in order, of which a thread of its own makes up to `depth` ahead.

    What making them raises is raised here, after those made before. If the caller stops early
    nothing more is made.
    """
    line: Queue[Item | object] = Queue(depth)
    stopped = threading.Event()

    def fill() -> None:
        try:
            for item in items:
                line.put(item)
                if stopped.is_set():
                    return
        finally:
            line.put(_END)

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        made = thread.submit(fill)
        item = None
        try:
            while (item := line.get()) is not _END:
                yield item  # type: ignore[misc]  # all but the end are items
        finally:
            stopped.set()
            while item is not _END:  # the thread may wait for room in the line
                item = line.get()
        made.result()
