"""How far a stream may go that a client names the target of.

Whoever brings a key is trusted with the server's own network. Whoever holds the token of a session
only, a visitor as a rule, could otherwise send it to what only the server can reach (server-side
request forgery): such streams go to the public internet, and to hosts that the operator names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import urlsplit

from server.fetching import Address, Resolve, is_public, resolve
from server.outputs.output import TargetError


@dataclass(frozen=True, slots=True)
class Reach:
    """How far.

    Attributes:
        hosts: whom streams may be pushed to; what is named there, and not by `*` alone, is free.
        is_anywhere: whether private addresses may be reached, too.
        resolve: finds a host's addresses.
    """

    hosts: tuple[str, ...] = ("*",)
    is_anywhere: bool = True
    resolve: Resolve = field(default=resolve)

    async def find(self, host: str, port: int) -> Address | None:
        """Returns the address to connect to, which was checked; None where it may be any.

        Raises:
            TargetError: there is no such host, or it is not on the public internet.
        """
        is_named = any(each != "*" and fnmatchcase(host, each) for each in self.hosts)
        if self.is_anywhere or is_named:
            return None
        try:
            addresses = [ip_address(host)]
        except ValueError:
            addresses = await self._resolved(host, port)
        if not addresses or not all(is_public(each) for each in addresses):
            sentence = f"The target {host[:80]!r} is not on the public internet."
            raise TargetError(sentence, is_final=True)
        return addresses[0]

    async def _resolved(self, host: str, port: int) -> list[Address]:
        try:
            return await self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise TargetError(f"There is no host {host[:80]!r}.") from error


def by_address(url: str, address: Address | None) -> str:
    """Returns a URL with an address in place of its host, or as it is without one."""
    if address is None:
        return url
    parts = urlsplit(url)
    host = f"[{address}]" if address.version == 6 else str(address)
    user = parts.netloc.rpartition("@")[0]
    place = host if parts.port is None else f"{host}:{parts.port}"
    return parts._replace(netloc=f"{user}@{place}" if user else place).geturl()
