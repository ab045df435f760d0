"""How a server's or a film's pictures are marked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.marks.badge import BADGE_CORNER, BADGE_TEXT, Badge, Corner


@dataclass(frozen=True, slots=True)
class MarkOptions:
    """How pictures are marked.

    Attributes:
        text: of the badge.
        corner: where the badge is.
        font: file that the badge's letters are taken from, None for the built-in ones.
        no_badge: why there is no badge, None where there is one.
        no_watermark: why there is no watermark, None where there is one.
        no_credentials: why films get no content credentials, None where they get some.
        certificate, key: files of the operator's certificate, PEM; None for one made here.
    """

    text: str = BADGE_TEXT
    corner: Corner = BADGE_CORNER
    font: Path | None = None
    no_badge: str | None = None
    no_watermark: str | None = None
    no_credentials: str | None = None
    certificate: Path | None = None
    key: Path | None = None

    def badge(self, size: int) -> Badge:
        """Returns the badge for pictures of one size."""
        return Badge(size, text=self.text, corner=self.corner, font=self.font)

    @property
    def omissions(self) -> list[str]:
        """What is left out and why, a sentence each, for the log."""
        left_out = {
            "Pictures get no badge": self.no_badge,
            "Pictures get no watermark": self.no_watermark,
            "Films get no content credentials": self.no_credentials,
        }
        return [f"{what}: {reason}" for what, reason in left_out.items() if reason is not None]
