"""The voices a server offers, each loaded once and off the event loop.

It knows no engine: listing and opening are given to it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

from server.protocol import ProtocolError
from server.voice.base import Voice

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")

_REMOTE = "openai:"  # how names of voices on a speech server begin


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


class RemoteThreads(ThreadPoolExecutor):
    """Threads that wait for speech servers.

    Attributes:
        waiting: how many calls have not ended; the process must not wait for them to exit.
    """

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most, name)
        self.waiting = 0
        self._lock = threading.Lock()

    def submit(
        self,
        fn: Callable[ParametersT, ResultT],
        /,
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Future[ResultT]:
        """Makes a call on a thread, and counts it until it ends."""
        self._count(1)
        context = contextvars.copy_context()  # log lines tell for which session
        future = super().submit(lambda: context.run(fn, *args, **kwargs))
        future.add_done_callback(lambda _: self._count(-1))
        return future

    def _count(self, step: int) -> None:
        with self._lock:
            self.waiting += step


class Voices:
    """The catalogue, and the voices opened so far.

    Attributes:
        entries: every voice on offer.
        default: name of the voice that sessions get when they ask for none.
        worker: the thread for what is made ahead of time.
        urgent_worker: the thread for what somebody waits for.
    """

    def __init__(
        self,
        *,
        entries: Sequence[VoiceEntry],
        default: str,
        open_voice: Callable[[str], Voice],
        worker: Executor,
        urgent_worker: Executor,
        remote_worker: Executor,
    ) -> None:
        """Takes what it needs.

        Args:
            entries: every voice on offer.
            default: name of the default voice.
            open_voice: loads a voice; blocks.
            worker: where voices compute: one thread, so that they do not crowd out pictures.
            urgent_worker: where they make what somebody waits for, as the beginning of a text.
            remote_worker: where voices wait for a speech server: several threads, so that one
                server that hangs makes no other session mute.
        """
        self.entries = tuple(entries)
        self.default = default
        self._open_voice = open_voice
        self.worker = worker
        self.urgent_worker = urgent_worker
        self._remote_worker = remote_worker
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
        if not is_listed and not name.startswith(_REMOTE):
            raise ProtocolError("unknown_voice", f"There is no voice named {name[:60]!r}.")
        return name

    def worker_for(self, name: str, *, is_urgent: bool = False) -> Executor:
        """Returns where the voice of that name is to speak, now or ahead of time."""
        if name.startswith(_REMOTE):
            return self._remote_worker
        return self.urgent_worker if is_urgent else self.worker

    async def open(self, name: str) -> Voice:
        """Returns the voice, loading it on the worker the first time.

        Raises:
            VivantError: it cannot be loaded.
        """
        if name not in self._opened:
            loop = asyncio.get_running_loop()
            self._opened[name] = await loop.run_in_executor(
                self.worker_for(name), self._open_voice, name
            )
        return self._opened[name]
