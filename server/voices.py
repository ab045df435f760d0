"""The voices a server offers, each loaded once and off the event loop.

It knows no engine: listing and opening are given to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Protocol

from server.protocol import ProtocolError
from server.voice.base import Voice


class VoiceEntry(Protocol):
    """One line of the list of voices."""

    @property
    def name(self) -> str:
        """What clients ask for."""
        ...

    @property
    def engine(self) -> str:
        """Who makes the sound."""
        ...

    @property
    def language(self) -> str:
        """BCP 47 tag."""
        ...

    @property
    def label(self) -> str:
        """A few words for people."""
        ...


class Voices:
    """The catalogue, and the voices opened so far.

    Attributes:
        entries: every voice on offer.
        default: name of the voice that sessions get when they ask for none.
    """

    def __init__(
        self,
        *,
        entries: Sequence[VoiceEntry],
        default: str,
        open_voice: Callable[[str], Voice],
        worker: Executor,
    ) -> None:
        self.entries = tuple(entries)
        self.default = default
        self._open_voice = open_voice
        self._worker = worker
        self._opened: dict[str, Voice] = {}

    def check(self, name: str | None) -> str:
        """Returns the name, or the default for None.

        Raises:
            ProtocolError: `unknown_voice`.
        """
        if name is None:
            return self.default
        is_listed = name == self.default or any(entry.name == name for entry in self.entries)
        # A remote speech server knows more voices than it tells.
        if not is_listed and not name.startswith("openai:"):
            raise ProtocolError("unknown_voice", f"There is no voice named {name[:60]!r}.")
        return name

    async def open(self, name: str) -> Voice:
        """Returns the voice, loading it on the worker the first time.

        Raises:
            VivantError: it cannot be loaded.
        """
        if name not in self._opened:
            loop = asyncio.get_running_loop()
            self._opened[name] = await loop.run_in_executor(self._worker, self._open_voice, name)
        return self._opened[name]
