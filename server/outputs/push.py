"""A stream pushed by RTMP, SRT or RTSP, from a process of its own.

PyAV holds Python's interpreter while it opens an address, for as long as the other side likes; in
another process that is nobody's trouble, and an end can always be put to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.channel import ChannelClosed
from server.clock import Clock
from server.outputs import wire
from server.outputs.output import Output, TargetError
from server.outputs.reach import Reach, by_address
from server.outputs.seat import Seat
from server.outputs.targets import Target
from server.protocol import ServerEvent

_ROOT = Path(__file__).resolve().parents[2]  # where the package `server` is
PATIENCE = 10.0  # seconds for a target to take the stream, and then for it to take more of it
_GOODBYE = 2.0  # seconds to end the stream as its protocol wants it

TakeSeat = Callable[[], contextlib.AbstractContextManager[Seat]]


class Push(Output):
    """A stream by RTMP, SRT or RTSP."""

    def __init__(
        self,
        target: Target,
        *,
        reach: Reach,
        size: int,
        fps: int,
        take_seat: TakeSeat,
        clock: Clock,
        publish: Callable[[ServerEvent], None],
    ) -> None:
        """Takes what it needs; `take_seat` gives a seat in the audience for as long as wanted."""
        super().__init__(target, clock=clock, publish=publish)
        self._reach = reach
        self._order = wire.Order(target.url, size, fps, PATIENCE)
        self._take_seat = take_seat

    async def _attempt(self) -> None:
        address = await self._reach.find(self.target.host, self.target.port)
        order = self._order
        if self.target.scheme == "srt":  # FFmpeg would look up an address of another kind itself
            order = replace(order, url=by_address(order.url, address))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server.outputs.push_process",
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,  # FFmpeg may name addresses there
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *_paths()])},
        )
        try:
            with self._take_seat() as seat:
                async with asyncio.TaskGroup() as group:
                    feeding = group.create_task(self._feed(process, seat, order))
                    error = await self._listen(process)
                    feeding.cancel()
            raise error
        finally:
            await _end(process)

    async def _feed(self, process: Process, seat: Seat, order: wire.Order) -> None:
        """Hands pieces on until the process takes no more; then what it says ends the attempt."""
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError, ChannelClosed):
            process.stdin.write(order.line())
            while True:
                for piece in await seat.batch():
                    data = wire.pack(
                        piece.data,
                        start=piece.start,
                        is_picture=piece.is_picture,
                        is_complete=piece.is_complete,
                    )
                    process.stdin.write(data)
                await process.stdin.drain()

    async def _listen(self, process: Process) -> TargetError:
        """Returns why the process ended, or should."""
        assert process.stdout is not None
        while True:
            try:
                async with asyncio.timeout(self._order.patience):
                    line = await process.stdout.readline()
            except TimeoutError:
                verb = "answer" if self._live_since is None else "take more of the stream"
                return TargetError(
                    f"The target did not {verb} within {self._order.patience:g} seconds."
                )
            if not line:
                return TargetError("The process that pushes the stream ended by itself.")
            told: dict[str, Any] = json.loads(line)
            if "error" in told:
                message = self.target.without_secrets(told["error"])
                return TargetError(message, is_final=told["is_final"])
            if self._live_since is None:
                self._note_live()


async def _end(process: Process) -> None:
    """Ends the process: it has a moment to say goodbye to its target."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_GOODBYE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _paths() -> list[str]:
    return [path for path in (os.environ.get("PYTHONPATH"),) if path]
