"""How pictures and sound are said to be AI-generated before anybody has seen or heard them.

In HTTP by the header `AI-Disclosure` (draft-abaris-aicdh), in SDP by a session attribute, which
who does not know it ignores (RFC 8866, 5.13), on data channel and WebSocket by `ai_disclosure`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DISCLOSURE: Final[Mapping[str, str]] = {"AI-Disclosure": "mode=ai-originated"}
SDP_ATTRIBUTE: Final = "a=ai-generated:audio video"


def disclosed(sdp: str) -> str:
    """Returns a session description that says that its media are AI-generated."""
    head, mark, media = sdp.partition("\r\nm=")
    return f"{head}\r\n{SDP_ATTRIBUTE}{mark}{media}"
