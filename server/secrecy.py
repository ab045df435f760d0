"""Takes out of a text what nobody may read in a log: keys, tokens, passwords, stream keys.

The last line of defence: whoever writes a log line leaves secrets out in the first place, and this
finds what others put in, such as a library's error that quotes an address. It knows no logger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_HIDDEN: Final = "..."
_LEAST: Final = 4  # characters of a secret; a shorter one would take words apart
_PATTERNS: Final = (
    # A stream key is part of the path, of the query or of the user name.
    (
        re.compile(r"\b((?:rtmps?|rtsps?|srt|whip\+https?)://)(?:[^\s/@]*@)?([^\s/?#'\"]*)\S*"),
        r"\1\2/...",
    ),
    (re.compile(r"(\w://)[^\s/@'\"]+@"), r"\1...@"),
    (re.compile(r"(\b(?:https?|wss?)://[^\s?'\"]*\?)[^\s'\"]*"), r"\1..."),
    (re.compile(r"(\b(?:Bearer|Basic)\s+)[\w.~+/=-]{4,}", re.IGNORECASE), r"\1..."),
    (re.compile(r"\b(sk-|openai-insecure-api-key\.)[\w*.-]{6,}"), r"\1..."),
    (re.compile(r"\bvvt_[\w-]+"), "vvt_..."),  # a key of ours
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "eyJ..."),  # a JSON Web Token
    (
        re.compile(
            r"(\b(?:[a-z]+[_-])?(?:token|secret|password|passwd|passphrase|credential|streamid"
            r"|api[_-]?key|authorization)[\"']?\s*[=:]\s*[\"']?)"
            r"(?!\.\.\.|Bearer|Basic)[^\s\"',;&)}\]]{4,}",
            re.IGNORECASE,
        ),
        r"\1...",
    ),
)


_PASSWORD: Final = re.compile(r"(\w://[^\s/@:]*:)[^\s/@]+@")


def without_passwords(text: str) -> str:
    """Returns a text without the passwords of addresses in it, all else being as it was."""
    return _PASSWORD.sub(rf"\1{_HIDDEN}@", text)


class Redactor:
    """Knows the secrets of the settings by heart, and the rest by their looks."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _LEAST}
        self._known = sorted(known, key=len, reverse=True)

    def clear(self, text: str) -> str:
        """Returns a text without secrets."""
        for secret in self._known:
            text = text.replace(secret, _HIDDEN)
        for pattern, cleared in _PATTERNS:
            text = pattern.sub(cleared, text)
        return text
