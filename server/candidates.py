"""Which of the addresses that a client names for itself ICE may try: some, and none that is none.

Each is sent up to seven packets, so that a server that tries whatever it is told to is a cannon
for whoever loads it (RFC 8445, section 19.5.1). Private addresses are tried: viewers in the same
network have them. What is sent holds nothing that the services of others obey, and no answer of
theirs is told. It decides and sends nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Final

import aioice.ice
from aioice.mdns import is_mdns_hostname
from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from server.protocol import ProtocolError

MOST: Final = 32  # of one connection, and of each section of its offer
MOST_NAMES: Final = 8  # that are looked up in the network (mDNS)
_MOST_SECTIONS: Final = 16  # of an offer; browsers send three
_PRIVILEGED: Final = 1024  # ports below are of servers: no browser has one
_SERVED: Final = (443,)  # but where media goes by it to pass firewalls
_LINE: Final = "a=candidate:"


class Candidates:
    """Those of one connection, as long as it lives."""

    def __init__(self) -> None:
        self._taken = 0
        self._names = 0

    def admit(self, candidates: Iterable[RTCIceCandidate]) -> list[RTCIceCandidate]:
        """Returns which of further candidates may be tried."""
        admitted = []
        for each in candidates:
            is_name = is_mdns_hostname(each.ip)
            has_room = self._taken < MOST and (not is_name or self._names < MOST_NAMES)
            if has_room and (is_name or may_be_tried(each)):
                self._taken += 1
                self._names += is_name
                admitted.append(each)
        return admitted


def bounded(offer: str) -> tuple[str, list[RTCIceCandidate]]:
    """Returns an offer with the candidates that may be tried, and those that are names.

    A name is looked up for a second, which the answer must not wait for.

    Raises:
        ProtocolError: `invalid_sdp`, it has too many sections.
        ValueError, LookupError, AssertionError: a candidate is malformed.
    """
    sections = offer.split("\nm=")
    if len(sections) - 1 > _MOST_SECTIONS:
        sentence = f"The offer has {len(sections) - 1} sections; {_MOST_SECTIONS} may be."
        raise ProtocolError("invalid_sdp", sentence)
    names: dict[tuple[str, int], RTCIceCandidate] = {}
    kept = []
    for section in sections:
        candidates, lines = Candidates(), []
        for line in section.split("\n"):
            if line.startswith(_LINE):
                found = candidate_from_sdp(line.removeprefix(_LINE).strip())
                is_admitted = bool(candidates.admit([found]))
                if is_admitted and is_mdns_hostname(found.ip):
                    names[found.ip, found.port] = found
                elif is_admitted:
                    lines.append(line)
            else:
                lines.append(line)
        kept.append("\n".join(lines))
    return "\nm=".join(kept), list(names.values())[:MOST_NAMES]


def may_be_tried(candidate: RTCIceCandidate) -> bool:
    """Returns whether a client can be at an address: at a host, by UDP, where no server listens."""
    try:
        address = ipaddress.ip_address(candidate.ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return False
    if candidate.protocol.lower() != "udp" or not _is_client_s(candidate.port):
        return False
    if address.is_loopback:
        return _is_among_ours(str(address))
    is_special = address.is_multicast or address.is_unspecified or address.is_reserved
    return not (is_special or address.is_link_local)


def _is_client_s(port: int) -> bool:
    return _PRIVILEGED <= port < 65_536 or port in _SERVED


def _is_among_ours(loopback: str) -> bool:
    """Returns whether ICE uses that address of ours, which it does not outside of tests."""
    ours: Callable[..., list[str]] = aioice.ice.get_host_addresses
    return loopback in ours(use_ipv4=True, use_ipv6=True)
