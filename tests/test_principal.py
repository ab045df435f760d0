"""Who acts: the request's caller, then a session's opener, whatever runs in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.principal import (
    LOCAL,
    PRINCIPAL,
    KnowsCaller,
    Principal,
    acting,
    on_behalf_of,
    session_now,
)

ALICE, BOB = Principal("alice"), Principal("bob")
Seen = list[tuple[Principal, str | None]]


async def ask(path: str, seen: Seen, *, kind: str = "http", caller: object = None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if caller is not None:
            scope[PRINCIPAL] = caller  # access control may stand inside
        await asyncio.sleep(0)
        seen.append((acting(), session_now()))

    async def nothing() -> Message:
        raise AssertionError

    async def drop(_: Any) -> None:  # noqa: ANN401
        return

    await KnowsCaller(app)({"type": kind, "path": path}, nothing, drop)


@pytest.mark.parametrize(
    ("path", "session"),
    [
        ("/v1/sessions/abc/speak", "abc"),
        ("/v1/sessions/abc", "abc"),
        ("/whep/abc/viewer", "abc"),
        ("/whip/abc", "abc"),
        ("/v1/sessions", None),
        ("/v1/sessions/", None),
        ("/v1/portraits/abc", None),
        ("/", None),
    ],
)
async def test_a_request_is_its_caller_s_and_its_session_s(path: str, session: str | None) -> None:
    seen: Seen = []
    await ask(path, seen)
    await ask(path, seen, caller=ALICE, kind="websocket")
    await ask(path, seen, caller="not one")
    assert seen == [(LOCAL, session), (ALICE, session), (LOCAL, session)]
    assert (acting(), session_now()) == (LOCAL, None)


async def test_requests_at_the_same_time_are_apart() -> None:
    seen: Seen = []
    async with asyncio.TaskGroup() as group:
        group.create_task(ask("/whep/a", seen, caller=ALICE))
        group.create_task(ask("/whep/b", seen, caller=BOB))
    assert sorted(seen, key=repr) == [(ALICE, "a"), (BOB, "b")]


async def test_what_a_session_does_is_its_opener_s_even_if_a_stranger_s_request_let_it_in() -> None:
    seen: Seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[PRINCIPAL] = BOB
        with on_behalf_of(ALICE, "hers"):
            await asyncio.sleep(0)
            seen.append((acting(), session_now()))
        seen.append((acting(), session_now()))

    async def nothing(*_: object) -> Any:  # noqa: ANN401
        raise AssertionError

    await KnowsCaller(app)({"type": "http", "path": "/v1/sessions/his"}, nothing, nothing)
    assert seen == [(ALICE, "hers"), (BOB, "his")]
