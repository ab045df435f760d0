"""What the catalogue of portraits asks before it shows, changes or keeps one of somebody's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol


class Guard(Protocol):
    """Decides whose uploads are for whom; all but the questions of who may is asked on a worker."""

    @property
    def is_screening(self) -> bool:
        """Whether there is any face that may not be used."""

    def screen(self, picture: Path | bytes, /) -> None:
        """Accepts a picture whose face may be used."""

    def may_see(self, portrait: str, /) -> bool:
        """Returns whether who acts now may see and show an upload."""

    def may_change(self, portrait: str, /) -> bool:
        """Returns whether who acts now may change and delete an upload."""

    def note_films(self, portrait: str, films: Sequence[str], /) -> None:
        """Notes recordings that show an upload."""

    def retire(self, portrait: str, reason: str, /) -> None:
        """Takes leave of an upload that is about to be deleted."""


class Unguarded:
    """Everything is for everybody."""

    is_screening = False

    def screen(self, picture: Path | bytes, /) -> None:
        """Accepts every picture."""

    def may_see(self, portrait: str, /) -> bool:
        """Returns True."""
        del portrait
        return True

    may_change = may_see

    def note_films(self, portrait: str, films: Sequence[str], /) -> None:
        """Notes nothing."""

    def retire(self, portrait: str, reason: str, /) -> None:
        """Notes nothing."""


Prepare = Callable[[str, bytes], None]


def prepare_nothing(portrait: str, data: bytes) -> None:
    """Does nothing before a picture is kept."""
    del portrait, data
