"""One recording: packets from its seat into a film, on a thread of its own, within limits.

Nothing waits for it; whatever goes wrong with the disk ends it alone. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av

from server.channel import ChannelClosed
from server.ingest import SOUND_RATIO
from server.outputs.film import Film, WholeFile
from server.outputs.library import LEAST_FREE
from server.outputs.options import OutputOptions
from server.outputs.repair import end_after_whole_fragments
from server.outputs.seat import Piece, Seat
from server.protocol import RecordingState, RecordingUpdated, ServerEvent
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_NICER = 5  # than the process: viewers' pictures go first
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Recording:
    """A film that is being made.

    Attributes:
        id: its name, by time and session.
        path: where it is.
        seat: what it gets.
        state: what it does.
        reason: why it ended: `request`, `session`, `duration`, `size`, `disk_full`, `disk_error`,
            `error`, or `nothing` where no picture came.
    """

    def __init__(
        self,
        path: Path,
        *,
        make_film: Callable[[WholeFile], Film],
        seal: Callable[[Path], None] = lambda _: None,
        keep: Callable[[Path], None] = lambda _: None,
        seat: Seat,
        options: OutputOptions,
        publish: Callable[[ServerEvent], None],
    ) -> None:
        self.id = path.stem
        self.path = path
        self.seat = seat
        self.state: RecordingState = "waiting"
        self.reason: str | None = None
        self._make_film = make_film
        self._seal = seal
        self._keep = keep
        self._options = options
        self._publish = publish
        self._film: Film | None = None
        self._size, self._seconds, self._media_time = 0, 0.0, 0
        self._is_broken = False
        self.ended = asyncio.Event()

    def stop(self, reason: str) -> None:
        """Ends it with what was taken so far; later calls change nothing."""
        self.reason = self.reason or reason
        self.seat.pieces.close()

    async def run(self) -> None:
        """Writes until stopped, or until a limit or the disk ends it."""
        worker = ThreadPoolExecutor(1, "recording", initializer=_give_way)
        loop = asyncio.get_running_loop()
        try:
            self._film = await loop.run_in_executor(worker, self._open)
            await self._write(worker)
        except OSError as error:
            self._is_broken = True
            self._note(error)
        except Exception:  # noqa: BLE001 - the recording's edge: the session goes on
            _LOG.exception("recording %s failed", self.id)
            self._is_broken = True
            self.reason = "error"
        finally:
            self.stop("session")
            await loop.run_in_executor(worker, self._close)
            worker.shutdown(wait=False)
            self.ended.set()
            self._tell("failed" if self._is_failed else "closed")

    def describe(self) -> dict[str, Any]:
        """Returns what the API tells of it."""
        return {
            "id": self.id,
            "format": self.path.suffix[1:],
            "state": self.state,
            "reason": self.reason if self.ended.is_set() else None,
            "seconds": round(self._seconds, 3),
            "bytes": self._size,
            "media_time": self._media_time,
        }

    @property
    def _is_failed(self) -> bool:
        return self._size == 0 or self.reason in ("disk_error", "error")

    async def _write(self, worker: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        self._tell("waiting")
        while True:
            try:
                pieces = await self.seat.batch()
            except ChannelClosed:
                return
            reason = await loop.run_in_executor(worker, self._add, pieces)
            if self.state == "waiting" and self._seconds:
                self._tell("recording")
            if reason is not None:
                self.reason = self.reason or reason
                return

    def _open(self) -> Film:
        return self._make_film(WholeFile(self.path, "xb"))

    def _add(self, pieces: Sequence[Piece]) -> str | None:
        """Writes, on the thread; returns why it is enough, or None."""
        film = self._film
        assert film is not None
        film.write(pieces)
        self._size, self._seconds = film.size, film.seconds
        self._media_time = (film.origin or 0) // SOUND_RATIO
        if self._seconds >= self._options.longest:
            return "duration"
        if self._size >= self._options.largest:
            return "size"
        if shutil.disk_usage(self.path.parent).free < LEAST_FREE:
            return "disk_full"
        return None

    def _close(self) -> None:
        """Completes the film, on the thread; one that the disk refused is left as it is."""
        film = self._film
        if film is None:
            return
        if film.origin is None:
            self.reason = "nothing" if self.reason in ("request", "session") else self.reason
            film.abandon()
            self.path.unlink(missing_ok=True)
            return
        try:
            # What completes a film changes its beginning, too: without room for all of it, the
            # fragments that are whole would be lost.
            if self._is_broken:
                film.abandon()
                if self.path.suffix == ".mp4":
                    end_after_whole_fragments(self.path)
            else:
                film.close()
                self._seal_film()
        except (OSError, av.error.FFmpegError) as error:
            self._note(error)
        self._size = self.path.stat().st_size
        self._keep_film()

    def _seal_film(self) -> None:
        """Lets the film say who made it; one that cannot is whole all the same."""
        try:
            self._seal(self.path)
        except VivantError as error:
            _LOG.warning("recording %s: %s", self.id, error)

    def _keep_film(self) -> None:
        """Hands the film over; one that nobody takes stays where it is."""
        try:
            self._keep(self.path)
        except VivantError as error:
            _LOG.warning("recording %s stays here: %s", self.id, error)

    def _note(self, error: OSError | av.error.FFmpegError) -> None:
        _LOG.warning("recording %s ends: %s", self.id, error.strerror)
        self.reason = "disk_full" if error.errno in _FULL else "disk_error"

    def _tell(self, state: RecordingState) -> None:
        self.state = state
        reason = self.reason if state in ("closed", "failed") else None
        self._publish(RecordingUpdated(self.id, state, reason, round(self._seconds, 3), self._size))


def _give_way() -> None:
    """Makes the calling thread nicer than the process, where the system can."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICER)
