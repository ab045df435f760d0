"""A picture on its way in, with what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

from streaming_model.crop import Crop


@dataclass(frozen=True, slots=True)
class Brought:
    """A picture that somebody brings, with what they say of it.

    Attributes:
        data: the file.
        filename: as they call it.
        name: of the portrait; the file's if None.
        crop: the part that is meant.
        rights: by what right it is used, as they say it; None for nothing.
        note: a few words on that.
        keep: whether it is to outlive its sessions.
        session: the session that it is for, or None.
        address: where it comes from, or None.
    """

    data: bytes
    filename: str
    name: str | None = None
    crop: Crop | None = None
    rights: str | None = None
    note: str | None = None
    keep: bool = False
    session: str | None = None
    address: str | None = None
