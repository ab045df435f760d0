"""TURN credentials: as coturn reckons them, for so long, told wherever servers are told.

The last test asks a real coturn on loopback for a relay, where one is installed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aioice.stun
import aioice.turn
import httpx
import pytest

from server.app import Server
from server.config import Settings, SettingsError
from server.ice_servers import IceServer, TurnSecret, make_ice_servers
from tests.live_fakes import fake_parts

SECRET = "north-wind-and-sun"
URLS = ("stun:stun.example.org:3478", "turn:turn.example.org:3478?transport=udp")


def test_credentials_are_a_date_and_its_signature() -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    username, password = TurnSecret(SECRET, 600).credentials(now)
    assert username == f"{int(now.timestamp()) + 600}:vivant"
    expected = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password) == expected


def test_only_turn_servers_get_credentials_and_nothing_shows_the_secret() -> None:
    servers = make_ice_servers(
        URLS, username=None, credential=None, secret=TurnSecret(SECRET, 3600)
    )
    stun, turn = (server.describe() for server in servers)
    assert stun == {"urls": URLS[0]}
    assert set(turn) == {"urls", "username", "credential"}
    assert SECRET not in f"{servers!r} {stun} {turn}"
    leased = servers[1].leased()
    assert leased.credential is not None
    assert leased.credential not in repr(leased)
    fixed = make_ice_servers(URLS, username="me", credential="word", secret=None)[1]
    assert fixed.describe() == {"urls": URLS[1], "username": "me", "credential": "word"}


def test_a_secret_and_a_password_are_one_too_many(tmp_path: Path) -> None:
    settings = Settings(turn_secret=SECRET, ice_credential="word", cache_dir=tmp_path)
    with pytest.raises(SettingsError, match="not both") as caught:
        Server(settings, fake_parts(settings))
    assert SECRET not in str(caught.value)


@asynccontextmanager
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        size=256, cache_dir=folder, ice_servers=URLS, turn_secret=SECRET, turn_time=100
    )
    app = Server(settings, fake_parts(settings)).app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client,
    ):
        await asyncio.sleep(0)
        yield client


async def test_they_are_told_wherever_servers_are_told(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        opened = (await http.post("/v1/sessions")).json()
        info = (await http.get("/v1/info")).json()
        resumed = await http.post(
            f"/v1/sessions/{opened['session_id']}/resume", json={"token": opened["token"]}
        )
        links = (await http.options(f"/whep/{opened['session_id']}")).headers["Link"]
    found = re.search(r'username="(\d+):vivant"; credential="([^"]+)"', links)
    assert found is not None
    told = [answer["ice_servers"][1]["username"] for answer in (opened, info, resumed.json())]
    now = datetime.now(tz=UTC).timestamp()
    for date in [found[1], *(name.partition(":")[0] for name in told)]:
        assert now + 40 < int(date) <= now + 101


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[int]:
    """Runs coturn on loopback with our secret; yields its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = folder / "turnserver.conf"
    config.write_text(
        f"listening-ip=127.0.0.1\nlistening-port={port}\nrealm=vivant\nuse-auth-secret\n"
        f"static-auth-secret={SECRET}\nallow-loopback-peers\nno-tls\nno-dtls\nno-cli\n"
        f"log-file=stdout\npidfile={folder}/pid\nuserdb={folder}/db\n"
    )
    program = shutil.which("turnserver")
    assert program is not None
    running = await asyncio.create_subprocess_exec(
        program, "-c", str(config), stdout=asyncio.subprocess.DEVNULL, cwd=folder
    )
    try:
        yield port
    finally:
        running.terminate()
        await running.wait()


async def ask_for_relay(port: int, server: IceServer) -> str:
    """Returns the relay's address; coturn may still be starting."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(aioice.stun.TransactionTimeout, ConnectionError):
                transport, _ = await aioice.turn.create_turn_endpoint(
                    asyncio.DatagramProtocol,
                    server_addr=("127.0.0.1", port),
                    username=server.username or "",
                    password=server.credential or "",
                )
                address = transport.get_extra_info("sockname")
                transport.close()
                return str(address[0])


@pytest.mark.skipif(not shutil.which("turnserver"), reason="apt-get install coturn")
async def test_coturn_gives_a_relay_for_them_and_none_once_they_have_expired(
    tmp_path: Path,
) -> None:
    async with coturn(tmp_path) as port:
        url = f"turn:127.0.0.1:{port}"
        assert await ask_for_relay(port, IceServer(url, secret=TurnSecret(SECRET, 60)).leased())
        for seconds, secret in ((-60, SECRET), (60, "another secret")):
            expired = IceServer(url, secret=TurnSecret(secret, seconds)).leased()
            with pytest.raises(aioice.stun.TransactionFailed, match="401"):
                await ask_for_relay(port, expired)
