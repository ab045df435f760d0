"""Sessions to be entered by `async with`: new ones, and those that were lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Literal

from server.protocol import Queued
from vivant_client.rest import Rest
from vivant_client.session import Session


def connect(
    address: str,
    *,
    portrait: str | None = None,
    voice: str | None = None,
    background: str | None = None,
    style: Mapping[str, object] | None = None,
    seed: int | None = None,
    mode: Literal["present", "converse"] | None = None,
    media: bool = True,
    keep: bool = False,
    key: str | None = None,
    on_queued: Callable[[Queued], None] | None = None,
) -> Session:
    """Returns a session to be entered by `async with`; waits in line while the server is full.

    Args:
        address: of the server, such as `http://127.0.0.1:8080`.
        portrait: id of a portrait; the server's own if None. So are voice, background and style.
        voice: name of a voice.
        background: see docs/protocol.md.
        style: see docs/protocol.md.
        seed: decides head and blinks.
        mode: `converse` for one that answers what its user says.
        media: whether pictures and sound are wanted; without, the session speaks to others.
        keep: leaves the session open at the end, for `resume` or other viewers.
        key: API key, where the server takes one; that of `VIVANT_API_KEY` if None.
        on_queued: is told the place in line whenever it changes.

    Entering it raises:
        NoRoomError: the line is full, too; `retry_after` says when to come again.
        RefusedError: the server refuses what is asked for.
        UnreachableError: there is no server, or no way for media.
    """
    wanted = {
        "portrait": portrait,
        "voice": voice,
        "background": background,
        "style": style,
        "seed": seed,
        "mode": mode,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return Session(
        Rest(address, key),
        lambda rest: rest.open(given),
        media=media,
        keep=keep,
        on_queued=on_queued,
    )


def resume(
    address: str,
    session_id: str,
    token: str,
    *,
    media: bool = True,
    keep: bool = False,
    key: str | None = None,
    on_queued: Callable[[Queued], None] | None = None,
) -> Session:
    """Returns a session that was lost, to be entered again within the server's `resume_timeout`.

    Without a key its token serves as one.

    Entering it raises what `connect` does; `RefusedError` with code `session_gone` if too late.
    """
    return Session(
        Rest(address, key or os.environ.get("VIVANT_API_KEY") or token),
        lambda rest: rest.resume(session_id, token),
        media=media,
        keep=keep,
        on_queued=on_queued,
    )


def join(address: str, session_id: str, *, media: bool = True, key: str | None = None) -> Session:
    """Returns somebody else's session, to watch it and speak through it; leaving does not end it.

    `key` is an API key or a token of the session, where the server takes one.

    Entering it raises `RefusedError` with code `not_found` if there is none.
    """
    return Session(
        Rest(address, key),
        lambda rest: rest.join(session_id),
        media=media,
        keep=True,
        on_queued=None,
    )
