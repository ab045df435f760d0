"""Servers as processes of their own, so that measuring shares neither loop nor interpreter.

`shipped` is `vivant serve` as users run it; `rigged` is the same server with something done to
it on purpose (`benchmarks.realtime.rigged`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 180
_SHIPPED = ("-c", "import sys; from server.cli import main; sys.exit(main())", "serve")
_RIGGED = ("-m", "benchmarks.realtime.rigged")


class MeasuringError(Exception):
    """A figure could not be measured; the message is one sentence for people."""


class ServerProcess:
    """A running server.

    Attributes:
        address: where it answers.
        pid: its process.
        client: for its REST API.
    """

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.address = address
        self.pid = process.pid
        self.client = httpx.AsyncClient(base_url=address, timeout=60)
        self._process = process

    async def open_session(self, **wanted: object) -> str:
        """Opens a session and returns its id.

        Raises:
            MeasuringError: the server refuses, or lets it wait in line.
        """
        answer = await self.client.post("/v1/sessions", json=wanted)
        if answer.status_code != 201:
            raise MeasuringError(
                f"The server did not open a session: {answer.status_code} {answer.text[:200]}"
            )
        return str(answer.json()["session_id"])

    async def close_session(self, session_id: str) -> None:
        """Ends a session."""
        (await self.client.delete(f"/v1/sessions/{session_id}")).raise_for_status()

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Returns what `path` answers."""
        return (await self.client.get(path)).raise_for_status().json()

    async def line(self) -> str:
        """Returns the next line that the server prints."""
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


@contextlib.asynccontextmanager
async def shipped(*flags: str) -> AsyncIterator[ServerProcess]:
    """Runs `vivant serve` with these flags on a free port."""
    async with _running((*_SHIPPED, *flags)) as server:
        yield server


@contextlib.asynccontextmanager
async def rigged(*flags: str) -> AsyncIterator[ServerProcess]:
    """Runs the rigged server with these flags on a free port."""
    async with _running((*_RIGGED, *flags)) as server:
        yield server


def as_users_have() -> dict[str, str]:
    """Returns the environment of a program that is measured: its code is compiled once."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@contextlib.asynccontextmanager
async def _running(arguments: Sequence[str]) -> AsyncIterator[ServerProcess]:
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            *("--port", "0"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=as_users_have(),
        )
        try:
            yield await _when_ready(process)
        except MeasuringError:
            log.seek(0)
            print(log.read().decode(errors="replace")[-4000:], file=sys.stderr)
            raise
        finally:
            await _end(process)


async def _when_ready(process: asyncio.subprocess.Process) -> ServerProcess:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode()
    except TimeoutError:
        raise MeasuringError(f"The server was not ready within {START_SECONDS} s.") from None
    found = re.search(r"http://\S+", line)
    if found is None:
        raise MeasuringError(f"The server did not start; it printed {line.strip()!r}.")
    return ServerProcess(process, found.group().rstrip("/"))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(15):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
