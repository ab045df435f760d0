"""Fetches a small file from an address that a client gave, and from nowhere that it should not.

A server that fetches what strangers ask for can be sent to what only it can reach: the router, a
cloud's metadata, its own services (server-side request forgery). So a host is resolved once, all
its addresses must be public, and the connection goes to the very address that was checked; every
redirection is checked alike. It knows nothing of what is fetched.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from server.protocol import ProtocolError

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[Address]]]

_PORTS: Final = {"http": 80, "https": 443}
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_LONGEST: Final = 2048  # characters of an address
_SHOWN: Final = 80  # characters of it that are told back
# IPv6 addresses that a gateway makes IPv4 ones of: NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056).
_TRANSLATED: Final = tuple(
    IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)


class FetchError(ProtocolError):
    """What was asked for cannot be fetched."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a request goes: an address, and the host that it is a request for."""

    parts: SplitResult
    host: str
    port: int
    address: Address


def is_public(address: Address) -> bool:
    """Returns whether an address belongs to the internet and to nothing nearer or special."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


async def resolve(host: str, port: int) -> list[Address]:
    """Returns a host's addresses.

    Raises:
        OSError: it has none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class Fetcher:
    """Fetches.

    Args:
        most: bytes of a file.
        seconds: for all of it, redirections too.
        may_reach: says which addresses may be connected to.
        resolve: finds a host's addresses.
        trust: whose certificates are believed; the system's if None.
    """

    def __init__(
        self,
        *,
        most: int,
        seconds: float,
        may_reach: Callable[[Address], bool] = is_public,
        resolve: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._may_reach = may_reach
        self._resolve = resolve
        self._trust = trust or _usual_trust()

    async def fetch(self, url: str) -> bytes:
        """Returns what is at an address.

        Raises:
            FetchError: `bad_request`, it is no address of HTTP; `forbidden`, it is not public;
                `fetch_failed`, it cannot be reached, answers otherwise than with a file, or takes
                too long; `fetch_too_large`.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url)
        except TimeoutError:
            sentence = f"{_shown(url)} did not come within {self._seconds:g} s."
            raise FetchError("fetch_failed", sentence) from None

    async def _follow(self, url: str) -> bytes:
        # An operator's proxy would resolve names by itself, so none is asked.
        async with httpx.AsyncClient(
            trust_env=False, timeout=self._seconds, verify=self._trust
        ) as client:
            for _ in range(_MOST_REDIRECTS + 1):
                place = await self._find(url)
                try:
                    answer = await client.send(_request(client, place), stream=True)
                    async with contextlib.aclosing(answer):
                        if answer.status_code not in _REDIRECTS:
                            return await self._read(answer, url)
                        url = urljoin(url, answer.headers.get("location", ""))
                except httpx.HTTPError as error:
                    reason = str(error) or type(error).__name__
                    sentence = f"{_shown(url)} cannot be fetched: {reason}."
                    raise FetchError("fetch_failed", sentence) from None
        sentence = f"{_shown(url)} is redirected more than {_MOST_REDIRECTS} times."
        raise FetchError("fetch_failed", sentence)

    async def _find(self, url: str) -> _Place:
        parts, host, port = _read(url)
        try:
            addresses = [ip_address(host)]
        except ValueError:
            try:
                addresses = await self._resolve(host, port)
            except (OSError, UnicodeError):
                sentence = f"The host {host[:_SHOWN]!r} is not known."
                raise FetchError("fetch_failed", sentence) from None
        if not addresses or not all(self._may_reach(address) for address in addresses):
            sentence = f"The host {host[:_SHOWN]!r} is not on the public internet."
            raise FetchError("forbidden", sentence)
        return _Place(parts, host, port, addresses[0])

    async def _read(self, answer: httpx.Response, url: str) -> bytes:
        if answer.status_code != httpx.codes.OK:
            sentence = f"{_shown(url)} answered {answer.status_code}."
            raise FetchError("fetch_failed", sentence)
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > self._most:
                sentence = f"{_shown(url)} is larger than {self._most / 2**20:g} MB."
                raise FetchError("fetch_too_large", sentence)
        return bytes(content)


@functools.cache
def _usual_trust() -> ssl.SSLContext:
    return ssl.create_default_context()  # some 20 ms


def _read(url: str) -> tuple[SplitResult, str, int]:
    """Returns an address's parts, its host and its port."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise FetchError("bad_request", f"{_shown(url)} is malformed.") from None
    if parts.scheme not in _PORTS or not host or len(url) > _LONGEST:
        sentence = f"{_shown(url)} is not an address that begins with https:// or http://."
        raise FetchError("bad_request", sentence)
    if parts.username is not None or any(ord(letter) < 33 for letter in url.strip()):
        sentence = "An address to fetch has no user, no password and no blanks in it."
        raise FetchError("bad_request", sentence)
    return parts, host, port or _PORTS[parts.scheme]


def _request(client: httpx.AsyncClient, place: _Place) -> httpx.Request:
    """Returns a request to the address that was checked, in the name of its host."""
    parts = place.parts._replace(netloc=f"{_bracketed(str(place.address))}:{place.port}")
    host = _bracketed(place.host)
    if place.port != _PORTS[place.parts.scheme]:
        host = f"{host}:{place.port}"
    # What is packed may unpack to any size.
    headers = {"Host": host, "Accept-Encoding": "identity"}
    extensions = {"sni_hostname": place.host}  # whose certificate TLS wants
    return client.build_request(
        "GET", parts._replace(fragment="").geturl(), headers=headers, extensions=extensions
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown(url: str) -> str:
    """Returns an address as it may be told: what follows a `?` is often secret."""
    return repr(url.partition("?")[0][:_SHOWN])
