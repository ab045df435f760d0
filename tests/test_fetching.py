"""Fetching what a client names: nothing that is not public, nothing endless, nothing unchecked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from server.fetching import Address, Fetcher, FetchError, is_public
from server.refusals import status_of

MOST = 1000  # bytes


class Site:
    """Answers every request on a port of this machine with the next of `answers`."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[str] = []
        self._answers = list(answers)
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        with contextlib.suppress(ConnectionError):  # it may hang up early
            writer.write(self._answers.pop(0))
            await writer.drain()
        await closed(writer)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def site(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    served = Site(*answers)
    async with await asyncio.start_server(served.answer, "127.0.0.1", 0, ssl=tls) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


def found(content: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n".encode() + content


def moved(location: str) -> bytes:
    return found(b"", status="302 Found", headers=f"Location: {location}\r\n")


class Names:
    """A name server that knows one answer after the other."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append(host)
        address = self._addresses.pop(0) if len(self._addresses) > 1 else self._addresses[0]
        return [ip_address(each) for each in address.split()]


def anywhere(_: Address) -> bool:
    return True


def fetcher(
    *addresses: str, may_reach: Callable[[Address], bool] = anywhere, seconds: float = 20
) -> Fetcher:
    names = Names(*(addresses or ("127.0.0.1",)))
    return Fetcher(most=MOST, seconds=seconds, may_reach=may_reach, resolve=names)


async def refused(fetcher: Fetcher, url: str, code: str, *words: str) -> None:
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(url)
    assert caught.value.code == code, caught.value
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:db8::1",
    ],
)
def test_what_is_near_or_special_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111"])
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


async def test_a_file_comes_from_the_address_that_was_checked_under_its_hosts_name() -> None:
    async with site(found(b"picture")) as there:
        names = Names("127.0.0.1", "192.0.2.1")  # another answer the second time (DNS rebinding)
        fetcher = Fetcher(most=MOST, seconds=20, may_reach=anywhere, resolve=names)
        url = f"http://pictures.example:{there.port}/me.png?key=1#top"
        assert await fetcher.fetch(url) == b"picture"
    assert names.asked == ["pictures.example"]
    (request,) = there.requests
    assert request.startswith("GET /me.png?key=1 HTTP/1.1\r\n")
    assert f"\r\nhost: pictures.example:{there.port}\r\n" in request.lower()
    assert "\r\naccept-encoding: identity\r\n" in request.lower()


async def test_the_certificate_must_be_the_hosts(tmp_path: Path) -> None:
    serving, trust = certified("pictures.example", tmp_path)
    for host, is_fetched in (("pictures.example", True), ("other.example", False)):
        async with site(found(b"picture"), tls=serving) as there:
            fetcher = Fetcher(
                most=MOST, seconds=20, may_reach=anywhere, resolve=Names("127.0.0.1"), trust=trust
            )
            url = f"https://{host}:{there.port}/me.png"
            if is_fetched:
                assert await fetcher.fetch(url) == b"picture"
            else:
                await refused(fetcher, url, "fetch_failed", "cannot be fetched")


def certified(host: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Returns what serves as `host`, and what believes only that."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(private + public)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "both.pem")
    return serving, ssl.create_default_context(cadata=public.decode())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]:8080/x",
        "http://169.254.169.254/latest/meta-data/",
        "https://internal.example/",
        "http://2130706433/",
    ],
)
async def test_a_private_host_is_refused_before_anything_is_sent(url: str) -> None:
    connects_nowhere = Fetcher(most=MOST, seconds=20, resolve=Names("10.0.0.1"))
    await refused(connects_nowhere, url, "forbidden", "is not on the public internet")
    assert status_of("forbidden") == 403


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    fetcher = Fetcher(most=MOST, seconds=20, resolve=Names("1.1.1.1 10.0.0.1"))
    await refused(fetcher, "https://both.example/", "forbidden", "both.example")


async def test_redirections_are_followed_and_checked() -> None:
    def not_ten(address: Address) -> bool:
        return not str(address).startswith("10.")

    async with site(moved("/second"), found(b"there")) as there:
        url = f"http://here.example:{there.port}/first"
        assert await fetcher(may_reach=not_ten).fetch(url) == b"there"
    async with site(moved("http://inside.example/")) as there:
        url = f"http://here.example:{there.port}/first"
        inside = fetcher("127.0.0.1", "10.0.0.1", may_reach=not_ten)
        await refused(inside, url, "forbidden", "inside.example")
    async with site(*[moved("/again")] * 6) as there:
        url = f"http://here.example:{there.port}/first"
        await refused(fetcher(), url, "fetch_failed", "more than 5 times")
    assert len(there.requests) == 6


async def test_a_redirection_cannot_change_to_another_scheme() -> None:
    async with site(moved("file:///etc/passwd")) as there:
        await refused(fetcher(), f"http://here.example:{there.port}/", "bad_request", "file:///etc")


async def test_what_is_too_large_is_not_read_to_its_end() -> None:
    async with site(found(bytes(MOST)), found(bytes(100 * MOST))) as there:
        url = f"http://here.example:{there.port}/"
        assert len(await fetcher().fetch(url)) == MOST
        await refused(fetcher(), url, "fetch_too_large", "larger than")
    assert status_of("fetch_too_large") == 413


async def test_a_site_that_says_nothing_is_waited_for_no_longer_than_allowed() -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await closed(writer)
        hung_up.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://slow.example:{port}/"
        await refused(fetcher(seconds=0.2), url, "fetch_failed", "did not come within 0.2 s")
        await hung_up.wait()


async def test_a_refusal_tells_its_status_and_no_secret() -> None:
    async with site(found(b"", status="404 Not Found")) as there:
        url = f"http://here.example:{there.port}/me.png?signature=s3cret"
        with pytest.raises(FetchError) as caught:
            await fetcher().fetch(url)
    assert "answered 404" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert status_of("fetch_failed") == 502


async def test_nobody_listening_is_told() -> None:
    async with site() as there:
        port = there.port
    await refused(fetcher(), f"http://gone.example:{port}/", "fetch_failed", "cannot be fetched")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://here.example/a",
        "//here.example/a",
        "http://",
        "http://here.example:port/",
        "http://user:word@here.example/",
        "http://here.example/a b",
        "http://here.example/" + "a" * 2048,
    ],
)
async def test_what_is_no_address_of_http_is_refused(url: str) -> None:
    await refused(fetcher(), url, "bad_request")
    assert status_of("bad_request") == 400


async def test_an_unknown_host_is_told() -> None:
    async def unknown(host: str, port: int) -> list[Address]:
        raise OSError("no such host")

    fetcher = Fetcher(most=MOST, seconds=20, resolve=unknown)
    await refused(fetcher, "http://nowhere.example/", "fetch_failed", "nowhere.example")
