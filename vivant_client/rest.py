"""The REST half of docs/protocol.md; every refusal becomes an exception with the server's words."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from vivant_client.errors import ClientError, NoRoomError, RefusedError, UnreachableError

_PATIENCE = 30.0  # seconds; fitting a portrait takes a few
_LONG_PATIENCE = 300.0  # seconds; for an upload
# Seconds; servers hang up after five, and a request that crosses with that would be lost.
_LONGEST_IDLE = 2.0
_USUAL_WAIT = 5.0  # seconds, where a full server does not say


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as it was given.

    Attributes:
        session_id: its name.
        token: proves that it is ours, to come back to it; empty if it is not.
        ice_servers: STUN and TURN servers, as in RTCIceServer.
    """

    session_id: str
    token: str
    ice_servers: tuple[dict[str, Any], ...]


class Rest:
    """Calls of one server.

    Attributes:
        address: such as `http://127.0.0.1:8080`.
        headers: what every request brings: the key, if there is one.

    Raises:
        ClientError: the address is not one of HTTP, or the key has characters that no key has.
    """

    def __init__(self, address: str, key: str | None = None) -> None:
        """Takes the address and an API key or token; `VIVANT_API_KEY` if none is given."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ClientError(f"'{address}' is not the address of a server (http://host:port).")
        self.address = address.rstrip("/")
        self.headers = key_headers(key)
        self._http = httpx.AsyncClient(
            base_url=self.address,
            headers=self.headers,
            timeout=_PATIENCE,
            limits=httpx.Limits(keepalive_expiry=_LONGEST_IDLE),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of its connections."""
        await self._http.aclose()

    async def open(self, wanted: dict[str, Any]) -> Opened:
        """Opens a session, or a place in the line.

        Raises:
            ClientError: the server refuses or cannot be reached.
        """
        return _opened(await self.call("POST", "/v1/sessions", wanted))

    async def resume(self, session_id: str, token: str) -> Opened:
        """Comes back to a session.

        Raises:
            ClientError: it has gone, or the server cannot be reached.
        """
        path = f"/v1/sessions/{session_id}/resume"
        return _opened(await self.call("POST", path, {"token": token}))

    async def join(self, session_id: str) -> Opened:
        """Finds a session that somebody else opened.

        Raises:
            ClientError: there is none, or the server cannot be reached.
        """
        await self.call("GET", f"/v1/sessions/{session_id}")
        info = await self.call("GET", "/v1/info")
        return Opened(session_id, "", tuple(info["ice_servers"]))

    async def download(self, path: str, file: Path) -> None:
        """Writes what the server has at a path to a file.

        Raises:
            ClientError: the server refuses, or cannot be reached.
            OSError: the file cannot be written.
        """
        try:
            async with self._http.stream("GET", path) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                with file.open("wb") as film:
                    async for piece in answer.aiter_bytes():
                        film.write(piece)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{self.address} broke off: {error}.") from None

    async def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Makes a call; returns the JSON object of its answer, {} where there is none.

        Raises:
            NoRoomError: 503, `capacity`.
            RefusedError: any other refusal.
            UnreachableError: there is no answer.
        """
        return await self._answered(self._http.request(method, path, json=body))

    async def upload(
        self, path: str, file: Path, *, field: str, values: dict[str, str]
    ) -> dict[str, Any]:
        """Sends a file and other fields as a form; returns the JSON object of the answer.

        Raises:
            ClientError: the server refuses, or cannot be reached.
            OSError: the file cannot be read.
        """
        with file.open("rb") as content:
            files = {field: (file.name, content)}
            return await self._answered(
                self._http.put(path, files=files, data=values, timeout=_LONG_PATIENCE)
            )

    async def send_picture(
        self, path: str, name: str, content: bytes, values: dict[str, str]
    ) -> dict[str, Any]:
        """Sends a picture and other fields as a form; returns the JSON object of the answer.

        Raises:
            ClientError: the server refuses, or cannot be reached.
        """
        files = {"image": (name, content)}
        return await self._answered(
            self._http.post(path, files=files, data=values, timeout=_LONG_PATIENCE)
        )

    async def _answered(self, request: Awaitable[httpx.Response]) -> dict[str, Any]:
        try:
            answer = await request
        except httpx.TimeoutException:
            raise UnreachableError(f"{self.address} does not answer.") from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(f"{self.address} cannot be reached: {reason}.") from None
        if answer.is_error:
            raise _refusal(answer)
        content = answer.json() if answer.content else {}
        return content if isinstance(content, dict) else {"items": content}


def key_headers(key: str | None = None) -> dict[str, str]:
    """Returns the headers that bring a key; that of `VIVANT_API_KEY` if none is given.

    Raises:
        ClientError: it has characters that no key has.
    """
    key = key or os.environ.get("VIVANT_API_KEY")
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ClientError("The key has characters that no key has.")
    return {"Authorization": f"Bearer {key}"}


def _opened(answer: dict[str, Any]) -> Opened:
    return Opened(
        session_id=answer["session_id"],
        token=answer["token"],
        ice_servers=tuple(answer["ice_servers"]),
    )


def _refusal(answer: httpx.Response) -> RefusedError:
    code, sentence = "refused", f"The server answered {answer.status_code}."
    try:
        error = answer.json()["error"]
        code, sentence = str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError):
        pass  # not ours: a proxy's page
    if code == "capacity" and answer.status_code == 503:
        return NoRoomError(sentence, retry_after=_retry_after(answer))
    return RefusedError(code, sentence, status=answer.status_code)


def _retry_after(answer: httpx.Response) -> float:
    try:
        return float(answer.headers["Retry-After"])
    except (LookupError, ValueError):
        return _USUAL_WAIT
