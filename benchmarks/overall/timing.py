"""Processor time of pieces of work and of parts of them, on the thread that does them."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any


class Stopwatch:
    """Milliseconds of this thread, by what they were taken for.

    Attributes:
        spent: so far, by name.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Counts what is done meanwhile under `name`."""
        before = time.thread_time()
        try:
            yield
        finally:
            self.spent[name] += 1000 * (time.thread_time() - before)

    def lap(self) -> dict[str, float]:
        """Returns what was spent since the last lap, by name."""
        spent, self.spent = dict(self.spent), defaultdict(float)
        return spent


@contextlib.contextmanager
def watched(stopwatch: Stopwatch, places: dict[tuple[Any, str], str]) -> Iterator[None]:
    """Times, as long as it is entered, functions where their callers look for them.

    Args:
        stopwatch: gets the times.
        places: by module or class and attribute, the name under which its calls are counted.

    Raises:
        AttributeError: there is no such attribute (any more).
    """
    with contextlib.ExitStack() as stack:
        for (owner, attribute), name in places.items():
            original = getattr(owner, attribute)
            setattr(owner, attribute, _timed(stopwatch, name, original))
            stack.callback(setattr, owner, attribute, original)
        yield


def _timed(stopwatch: Stopwatch, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    def timed(*args: object, **kwargs: object) -> object:
        with stopwatch.time(name):
            return work(*args, **kwargs)

    return timed
