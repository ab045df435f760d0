"""What of an `AvatarVideoService` can be changed while it runs, and what it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipecat.services.settings import ServiceSettings
from pipecat.utils.types import NOT_GIVEN, NotGiven, is_given


def _not_given() -> NotGiven:
    return NOT_GIVEN


@dataclass
class AvatarVideoSettings(ServiceSettings):
    """Changed by a `ServiceUpdateSettingsFrame(delta=AvatarVideoSettings(style=...))`.

    Attributes:
        portrait: id of a portrait; None for the server's own.
        background: as in docs/protocol.md; None for the server's own.
        style: `emotion`, `intensity`, `head_motion` and what else docs/protocol.md names. What
            a change leaves out stays as it is.
    """

    portrait: str | NotGiven | None = field(default_factory=_not_given)
    background: str | NotGiven | None = field(default_factory=_not_given)
    style: Mapping[str, object] | NotGiven = field(default_factory=_not_given)

    def asked_for(self) -> dict[str, Any]:
        """Returns what of it a session is asked for."""
        wanted = {name: getattr(self, name) for name in ("portrait", "background", "style")}
        return {name: value for name, value in wanted.items() if is_given(value) and value}

    def over(self, before: AvatarVideoSettings) -> AvatarVideoSettings:
        """Returns a change with the style that there is after it."""
        if not is_given(self.style):
            return self
        known = before.style if is_given(before.style) else {}
        return replace(self, style={**known, **self.style})
