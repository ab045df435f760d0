"""The script of a session from a client's side: give it, change it, read it aloud.

What is heard of it comes as `ScriptPosition` and `ScriptUpdated` among the session's events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from server.protocol import ScriptFormat

Call = Callable[..., Awaitable[dict[str, Any]]]
Upload = Callable[..., Awaitable[dict[str, Any]]]


class ScriptControl:
    """The script of one session; every call raises ClientError when the server refuses it."""

    def __init__(self, call: Call, upload: Upload) -> None:
        """Takes how to call the server: (method, path after the session's, **body)."""
        self._call = call
        self._upload = upload

    async def get(self) -> dict[str, Any]:
        """Returns the script, its sentences and warnings, and what is done with it."""
        return await self._call("GET", "/script")

    async def put(self, text: str, *, format: ScriptFormat = "text") -> dict[str, Any]:
        """Gives a script; returns it."""
        return await self._call("PUT", "/script", text=text, format=format)

    async def put_recording(self, file: Path, captions: str | None = None) -> dict[str, Any]:
        """Gives an audio or video file as the script, and SubRip captions; returns the script.

        Raises:
            OSError: the file cannot be read.
        """
        values = {} if captions is None else {"captions": captions}
        return await self._upload("/script/audio", file, field="audio", values=values)

    async def change(self, text: str, *, sentence: int | None = None) -> dict[str, Any]:
        """Gives another text for all of it, or from a sentence on; returns the script."""
        body = {} if sentence is None else {"sentence": sentence}
        return await self._call("PATCH", "/script", text=text, **body)

    async def play(self, sentence: int | None = None) -> dict[str, Any]:
        """Reads it aloud, from a sentence or from where it is."""
        return await self._call("POST", "/script/play", sentence=sentence)

    async def pause(self, at: Literal["now", "sentence_end"] = "now") -> dict[str, Any]:
        """Stops reading."""
        return await self._call("POST", "/script/pause", at=at)

    async def seek(self, sentence: int) -> dict[str, Any]:
        """Goes to the beginning of a sentence."""
        return await self._call("POST", "/script/seek", sentence=sentence)
