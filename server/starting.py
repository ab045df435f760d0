"""Imports what `vivant serve` needs, and leaves out what that brings along for others.

It knows which packages look for more than the server uses; nothing here changes what they do.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Any

# httpx brings a command line of its own (pygments, rich, click: 0.07 s). Numba asks at its first
# call whether SciPy's BLAS is there (0.25 s); no kernel of ours multiplies matrices.
NEEDLESS = ("httpx._main", "scipy")


def import_server() -> None:
    """Imports the server and what draws; before there is another thread."""
    with _uncollected(), _hidden(*NEEDLESS):
        import httpx  # noqa: F401
        import numba.np.arraymath  # noqa: F401

        import server.app  # noqa: F401
    gc.freeze()  # there was nothing to collect, and later collections need not look through it


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Has imports of these fail, as they do where they are not installed."""
    modules: dict[str, Any] = sys.modules  # None is how Python marks what cannot be imported
    hidden = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Lets no collection run: what is imported stays, and looking through it takes 0.1 s."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
