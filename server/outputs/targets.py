"""Where a stream may be pushed to: addresses read, checked, and told without their secrets.

Pure. A stream key is part of an RTMP address's path, of an SRT address's stream id or of a WHIP
address's path or query, so none of these is ever told again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl, urlsplit

from server.protocol import ProtocolError

_PORTS = {
    "rtmp": 1935, "rtmps": 443, "srt": None, "rtsp": 554, "rtsps": 322,
    "whip+https": 443, "whip+http": 80, "livelink": 11111,
}  # fmt: skip
_SRT_PARAMETERS = ("streamid", "latency", "mode", "passphrase", "pbkeylen", "transtype")
_MOST = 2048  # characters


@dataclass(frozen=True, slots=True)
class Target:
    """Where a stream goes.

    Attributes:
        scheme: rtmp, rtmps, srt, rtsp, rtsps, whip+https, whip+http or livelink.
        url: the whole address, secrets and all.
        host: its host.
        port: its port.
        bearer: the token that a WHIP endpoint wants.
    """

    scheme: str
    url: str = field(repr=False)
    host: str
    port: int
    bearer: str | None = field(default=None, repr=False)

    @property
    def is_whip(self) -> bool:
        """Whether it is spoken to by WebRTC."""
        return self.scheme.startswith("whip")

    @property
    def is_motion(self) -> bool:
        """Whether it is sent motion instead of sound and pictures."""
        return self.scheme == "livelink"

    @property
    def shown(self) -> str:
        """The address without what may be secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/..."

    def without_secrets(self, text: str) -> str:
        """Returns a text of others about this target, cleared of its secrets."""
        parts = urlsplit(self.url)
        secrets = [self.url, self.bearer, parts.password, parts.username, parts.query, parts.path]
        secrets += [value for _, value in parse_qsl(parts.query)]
        secrets += parts.path.split("/")
        for secret in sorted({each for each in secrets if each}, key=len, reverse=True):
            if len(secret) > 3:
                text = text.replace(secret, "...")
        return text


def read_target(url: str, *, bearer: str | None, hosts: Sequence[str]) -> Target:
    """Returns where a stream is to go.

    Raises:
        ProtocolError: `bad_request`, the address is none, or not one that streams are pushed to;
            `forbidden`, its host is not among those of the settings.
    """
    if len(url) > _MOST:
        raise ProtocolError("bad_request", f"The address is longer than {_MOST} characters.")
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProtocolError("bad_request", "The address of the output is malformed.") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        known = ", ".join(f"{name}://" for name in _PORTS)
        raise ProtocolError(
            "bad_request", f"An output's address begins with one of {known}, not {scheme[:20]!r}."
        )
    if not host or any(ord(letter) < 33 for letter in url.strip()):
        raise ProtocolError("bad_request", f"The address of the {scheme} output names no host.")
    port = port or _PORTS[scheme]
    if port is None:
        raise ProtocolError("bad_request", f"An SRT address needs a port: srt://{host[:80]}:PORT.")
    if bearer is not None and (not scheme.startswith("whip") or not _is_token(bearer)):
        raise ProtocolError(
            "bad_request", "A bearer token goes with WHIP only, and is letters without spaces."
        )
    if not any(fnmatchcase(host, pattern) for pattern in hosts):
        raise ProtocolError("forbidden", f"This server does not push streams to {host[:80]!r}.")
    if scheme == "srt":
        _check_srt(parts.query)
    return Target(scheme, url.strip(), host, port, bearer)


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= 4096


def _check_srt(query: str) -> None:
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(given) - set(_SRT_PARAMETERS))
    if unknown:
        known = ", ".join(_SRT_PARAMETERS)
        raise ProtocolError(
            "bad_request", f"An SRT address takes {known}; {unknown[0][:20]!r} is none of them."
        )
    if given.get("mode", "caller") != "caller" or given.get("transtype", "live") != "live":
        raise ProtocolError("bad_request", "SRT is pushed as mode=caller and transtype=live only.")
    latency = given.get("latency", "0")
    if not latency.isdecimal() or int(latency) > 10_000:
        raise ProtocolError(
            "bad_request", f"An SRT latency is 0 to 10000 milliseconds, not {latency[:20]!r}."
        )
    if len(given.get("streamid", "").encode()) > 512:
        raise ProtocolError("bad_request", "An SRT stream id has at most 512 bytes.")
    if "passphrase" in given and not 10 <= len(given["passphrase"].encode()) <= 79:
        raise ProtocolError("bad_request", "An SRT passphrase has 10 to 79 bytes.")
    if given.get("pbkeylen", "16") not in ("16", "24", "32"):
        raise ProtocolError("bad_request", "An SRT key has 16, 24 or 32 bytes (pbkeylen).")
