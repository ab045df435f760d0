"""A session's outputs from a client's side: films of it, and streaming servers it is pushed to.

How they fare comes as `recording.updated` and `output.updated` among the session's events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from vivant_client.rest import Rest

Call = Callable[..., Awaitable[dict[str, Any]]]


class OutputControl:
    """The outputs of one session; every call raises ClientError when the server refuses it."""

    def __init__(self, call: Call, rest: Rest) -> None:
        """Takes how to call the server: (method, path after the session's, **body)."""
        self._call = call
        self._rest = rest

    async def record(self, format: Literal["mp4", "webm"] | None = None) -> str:
        """Begins a film; returns its id."""
        return str((await self._call("POST", "/recordings", format=format))["id"])

    async def finish(self, recording: str, path: Path) -> None:
        """Ends a film, and writes it to a file here.

        Raises:
            OSError: the file cannot be written.
        """
        ended = await self._call("DELETE", f"/recordings/{recording}")
        await self._rest.download(str(ended["url"]), path)

    async def push(self, url: str) -> str:
        """Begins to push the session to a streaming server; returns the output's id."""
        return str((await self._call("POST", "/outputs", url=url))["id"])

    async def stop(self, output: str) -> None:
        """Ends a pushed stream."""
        await self._call("DELETE", f"/outputs/{output}")
