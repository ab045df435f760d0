"""Foreign pages change nothing and read nothing, unless the operator has named their site."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from server.app import Server
from server.config import Settings
from server.origins import Origins
from tests.live_fakes import fake_parts

SITE = "https://example.org"


@asynccontextmanager
async def client(folder: Path, *allowed: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(size=256, cache_dir=folder, allow_origin=allowed)
    app = Server(settings, fake_parts(settings)).app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as made,
    ):
        await asyncio.sleep(0)
        yield made


@pytest.mark.parametrize("origin", [SITE, "null", "http://server.example.org", "http://server:81"])
async def test_a_foreign_page_changes_nothing(tmp_path: Path, origin: str) -> None:
    async with client(tmp_path) as server:
        foreign = {"Origin": origin}
        files = {"image": ("face.png", b"a picture")}  # browsers send forms anywhere unasked
        for answer in (
            await server.post("/v1/portraits", files=files, headers=foreign),
            await server.post("/v1/sessions", headers=foreign),
            await server.delete("/v1/sessions/any", headers=foreign),
        ):
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == "forbidden"
            assert origin in answer.json()["error"]["message"]
        read = await server.get("/v1/portraits", headers=foreign)
        assert len(read.json()) == 1
        assert "access-control-allow-origin" not in read.headers
        assert (await server.get("/v1/info")).json()["sessions"] == 0


async def test_our_own_page_and_programs_change_what_they_like(tmp_path: Path) -> None:
    async with client(tmp_path) as server:
        own = {"Origin": "http://server"}
        assert (await server.post("/v1/sessions", headers=own)).status_code == 201
        assert (await server.post("/v1/sessions")).status_code == 201


async def test_a_page_of_a_named_site_may_use_the_server(tmp_path: Path) -> None:
    async with client(tmp_path, SITE, "http://127.0.0.1:8000") as server:
        asked = {
            "Origin": SITE,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "content-type, if-match",
        }
        preflight = await server.options("/v1/sessions/any", headers=asked)
        assert preflight.status_code == 200
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        opened = await server.post("/v1/sessions", headers={"Origin": SITE})
        assert opened.status_code == 201
        assert opened.headers["access-control-allow-origin"] == SITE
        exposed = opened.headers["access-control-expose-headers"]
        assert {"Retry-After", "Location", "ETag"} <= set(exposed.split(", "))
        refused = await server.get("/v1/sessions/any", headers={"Origin": SITE})
        assert refused.status_code == 404
        assert refused.headers["access-control-allow-origin"] == SITE, "it may read why"
        module = await server.get("/connection.js", headers={"Origin": SITE})
        assert module.headers["access-control-allow-origin"] == SITE
        other = await server.post("/v1/sessions", headers={"Origin": "https://example.com"})
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        ((), None, True),
        ((), "http://server:8080", True),
        ((), "https://server:8080", True),  # a proxy may have taken the encryption off
        ((), "http://server", False),
        ((), SITE, False),
        ((SITE,), SITE, True),
        ((SITE,), SITE.upper(), True),
        ((SITE,), "http://example.org", False),
        ((SITE,), "https://sub.example.org", False),
        (("*",), "null", True),
    ],
)
def test_who_may_open_a_websocket(allowed: tuple[str, ...], origin: str | None, may: bool) -> None:
    headers = {"host": "server:8080"} | ({} if origin is None else {"origin": origin})
    assert Origins(allowed).may_use(Headers(headers)) is may
