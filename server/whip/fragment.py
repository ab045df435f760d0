"""SDP fragments (RFC 8840, section 9): ICE told bit by bit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from server.ice import IceDescription
from server.protocol import ProtocolError

MEDIA_TYPE: Final = "application/trickle-ice-sdpfrag"
_MOST_CANDIDATES: Final = 100
_SHOWN: Final = 60  # characters of a line that is at fault
_EOL: Final = "\r\n"


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a client tells of its ICE.

    Attributes:
        username: its username fragment, or None.
        password: of the same generation, or None.
        candidates: those of the first media section, which carries the whole bundle.
    """

    username: str | None
    password: str | None
    candidates: tuple[RTCIceCandidate, ...]

    def description(self) -> IceDescription:
        """Returns it as a new generation of ICE.

        Raises:
            ProtocolError: `bad_request`, its username fragment or its password is missing.
        """
        if self.username is None or self.password is None:
            raise ProtocolError(
                "bad_request", "An ICE restart needs 'a=ice-ufrag' and 'a=ice-pwd'."
            )
        return IceDescription(self.username, self.password, self.candidates)


def parse_fragment(text: str) -> Fragment:
    """Returns what a fragment says.

    Raises:
        ProtocolError: `bad_request`, a line is none of SDP, a candidate is malformed, or
            there are more than a hundred.
    """
    attributes: dict[str, str] = {}
    candidates: list[RTCIceCandidate] = []
    sections = 0
    for line in filter(None, map(str.strip, text.splitlines())):
        kind, equals, value = line.partition("=")
        if not equals or len(kind) != 1:
            raise ProtocolError("bad_request", f"'{line[:_SHOWN]}' is not a line of SDP.")
        sections += kind == "m"
        if kind != "a" or sections > 1:
            continue  # the bundle's other sections have nothing of their own
        name, _, argument = value.partition(":")
        if name == "candidate":
            candidates.append(_candidate(argument))
        else:
            attributes.setdefault(name, argument)
    if len(candidates) > _MOST_CANDIDATES:
        raise ProtocolError(
            "bad_request", f"There are {len(candidates)} candidates; {_MOST_CANDIDATES} may be."
        )
    return Fragment(attributes.get("ice-ufrag"), attributes.get("ice-pwd"), tuple(candidates))


def format_fragment(ours: IceDescription, *, answer: str) -> str:
    """Returns our side of a restart; `answer` is the description that the connection began with."""
    lines = answer.splitlines()
    media = next(line for line in lines if line.startswith("m="))
    mid = next(line for line in lines if line.startswith("a=mid:"))
    group = [line for line in lines if line.startswith("a=group:BUNDLE")]
    candidates = [f"a=candidate:{candidate_to_sdp(each)}" for each in ours.candidates]
    told = [
        *group,
        media,
        mid,
        f"a=ice-ufrag:{ours.username}",
        f"a=ice-pwd:{ours.password}",
        *candidates,
        "a=end-of-candidates",
    ]
    return _EOL.join(told) + _EOL


def _candidate(argument: str) -> RTCIceCandidate:
    try:
        return candidate_from_sdp(argument)
    except (AssertionError, ValueError, IndexError) as error:
        raise ProtocolError(
            "bad_request", f"'{argument[:_SHOWN]}' is not an ICE candidate."
        ) from error
