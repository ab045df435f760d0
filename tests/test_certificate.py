"""HTTPS with a certificate of our own, and clients that bring their key over it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from server.access import certificate
from server.access.certificate import Certificate, certificate_for, names_of_machine
from server.access.client_key import read_key
from server.access.keys import KeyFile
from server.app import Server, bind, http_server
from server.cli import parser
from server.config import Settings, SettingsError
from server.protocol import Failed
from tests.live_fakes import fake_parts
from vivant_client import Portraits, RefusedError, SpeakEnded, connect, join, resume
from vivant_client.errors import ClientError

LAN = "192.0.2.7"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIVANT_API_KEY", raising=False)


def signed(folder: Path, **more: object) -> Certificate:
    settings = Settings(tls_self_signed=True, tls_dir=folder / "tls", **more)  # type: ignore[arg-type]
    found = certificate_for(settings)
    assert found is not None
    return found


def names(found: Certificate) -> x509.SubjectAlternativeName:
    made = x509.load_pem_x509_certificate(found.file.read_bytes())
    return made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_our_own_names_the_machine_and_is_its_owner_s(tmp_path: Path) -> None:
    found = signed(tmp_path, host=LAN)
    named = names(found)
    addresses = {str(each) for each in named.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", "::1", LAN} <= addresses
    assert {"localhost", socket.gethostname()} <= set(named.get_values_for_type(x509.DNSName))
    assert stat.S_IMODE(found.key.stat().st_mode) == 0o600
    der = ssl.PEM_cert_to_DER_cert(found.file.read_text())
    assert found.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()


def test_it_stays_the_same_until_it_no_longer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = signed(tmp_path).fingerprint
    assert signed(tmp_path).fingerprint == first
    moved = signed(tmp_path, host=LAN).fingerprint
    assert moved != first, "the machine has another address"
    monkeypatch.setattr(certificate, "_RENEWED", timedelta(days=396))
    assert signed(tmp_path, host=LAN).fingerprint != moved, "it would expire soon"
    (tmp_path / "tls" / "key.pem").write_text("no key")
    signed(tmp_path)


def test_what_cannot_be_met_is_not_named() -> None:
    assert x509.IPAddress(ipaddress.ip_address("0.0.0.0")) not in names_of_machine("0.0.0.0")
    assert x509.DNSName("me.example") in names_of_machine("me.example")


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    own, other = signed(tmp_path / "a"), signed(tmp_path / "b")
    missing = tmp_path / "none.pem"
    for wrong in (
        {"tls_cert": own.file},
        {"tls_key": own.key},
        {"tls_cert": missing, "tls_key": own.key},
        {"tls_cert": own.file, "tls_key": other.key},
        {"tls_cert": own.key, "tls_key": own.key},
        {"tls_cert": own.file, "tls_key": own.key, "tls_self_signed": True},
        {"tls_self_signed": True, "tls_dir": own.file / "below"},
    ):
        with pytest.raises(SettingsError) as caught:
            certificate_for(Settings(**wrong))
        assert str(caught.value).endswith(".")
    assert certificate_for(Settings(tls_cert=own.file, tls_key=own.key)) == own
    assert certificate_for(Settings()) is None


@asynccontextmanager
async def encrypted(folder: Path) -> AsyncIterator[tuple[str, str, Certificate]]:
    """Yields the address of a server of HTTPS that takes keys, a key, and the certificate."""
    file = KeyFile(folder / "keys.json")
    key = file.add("program")
    settings = Settings(
        size=256, cache_dir=folder, port=0, require_key=True, keys_file=file.path, max_sessions=1
    )
    found = signed(folder)
    listener = bind(settings)
    with contextlib.closing(listener):
        server = Server(settings, fake_parts(settings))
        http = http_server(server, found)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(http.serve(sockets=[listener]))
            try:
                yield f"https://127.0.0.1:{listener.getsockname()[1]}", key, found
            finally:
                server.end()
                http.should_exit = True
                await serving


async def test_a_program_speaks_and_shares_over_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with encrypted(tmp_path) as (address, key, found):
        monkeypatch.setenv("SSL_CERT_FILE", str(found.file))
        with pytest.raises(RefusedError) as caught:
            async with connect(address, media=False):
                raise AssertionError
        assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
        async with connect(address, key=key, media=False, keep=True) as session:
            ended = await session.finished(await session.speak("hi"))
            assert isinstance(ended, SpeakEnded)
            watcher = await session.share("watch")
            owner = session.token
        async with join(address, session.id, key=watcher, media=False) as seen:
            with pytest.raises(RefusedError) as caught:
                await seen.speak("no")
            assert caught.value.status == 403
            with seen._events.listen() as events:
                await seen.send("speak", text="no")
                while not isinstance(event := await seen._events.next(events), Failed):
                    pass
            assert event.code == "forbidden"
        async with resume(address, session.id, owner, media=False) as again:
            await again.interrupt()
        async with Portraits(address, key) as portraits:
            assert len(await portraits.all()) == 1
        monkeypatch.setenv("VIVANT_API_KEY", key)
        async with connect(address, media=False) as other:
            assert other.id != session.id


async def test_a_stranger_s_websocket_is_refused_before_it_opens(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (address, key, found):
        context = ssl.create_default_context(cafile=str(found.file))
        where = f"{address.replace('https', 'wss')}/v1/sessions/none/events"
        offers: list[tuple[dict[str, Any], int]] = [
            ({}, 401),
            ({"subprotocols": ["vivant", "vivant-token.x"]}, 401),
            ({"additional_headers": {"Origin": "https://evil.example"}}, 403),
        ]
        for offer, status in offers:
            with pytest.raises(InvalidStatus) as caught:
                async with websocket(where, ssl=context, proxy=None, **offer):
                    raise AssertionError
            assert caught.value.response.status_code == status
            assert "server" not in caught.value.response.headers
        protocols = [Subprotocol("vivant"), Subprotocol(f"vivant-token.{key}")]
        async with websocket(where, ssl=context, proxy=None, subprotocols=protocols) as socket:
            assert socket.subprotocol == "vivant", "which holds no secret"
            assert "not_found" in str(await socket.recv())


async def test_http_gets_nothing_where_https_is(tmp_path: Path) -> None:
    async with encrypted(tmp_path) as (address, _, _), httpx.AsyncClient() as client:
        with pytest.raises(httpx.HTTPError):
            await client.get(address.replace("https", "http"))


def test_commands_read_their_key_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("vvt_x\n")
    asked = ["present", "a.md", "--key-file"]
    assert read_key(parser().parse_args([*asked, str(path)])) == "vvt_x"
    assert read_key(parser().parse_args(asked[:2])) is None
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(Exception, match="cannot be read"):
            read_key(parser().parse_args([*asked, str(wrong)]))
    path.write_text(" \n")
    with pytest.raises(Exception, match="empty"):
        read_key(parser().parse_args([*asked, str(path)]))
    with pytest.raises(ClientError, match="characters"):
        connect("http://127.0.0.1:1", key="a b")
