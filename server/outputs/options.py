"""What outputs may take and where they may go, for all sessions of a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from server.voice.cache import cache_folder


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Limits and places.

    Attributes:
        folder: where recordings are kept.
        longest: seconds that a recording may last.
        largest: bytes that a recording may have.
        kept: seconds after which a recording is deleted; 0 for never.
        most: outputs of one session at once, recordings among them.
        seal: gives a film that is finished, of a session of an id, what says who made it.
        hosts: whom streams may be pushed to: names, `*.name`, or `*` for anybody.
    """

    folder: Path = field(default_factory=lambda: cache_folder() / "recordings")
    longest: float = 14_400.0
    largest: int = 4_000_000_000
    kept: float = 604_800.0
    most: int = 4
    hosts: tuple[str, ...] = ("*",)
    seal: Callable[[Path, str], None] = lambda _path, _session: None
