"""The deny-list of this machine, as its settings say, for servers and for commands."""

from __future__ import annotations

import argparse
from pathlib import Path

from server.config import Settings
from server.consent.deny import DenyList


def deny_list_of(settings: Settings) -> DenyList:
    """Returns the operator's list of faces that may not be used."""
    return DenyList(settings.deny_list, net=settings.face_embedder, distance=settings.deny_distance)


def refuse_denied(picture: Path | bytes) -> None:
    """Accepts a picture whose face may be used by this machine's list; also one that is not there.

    Raises:
        FaceDeniedError: it may not.
        VivantError: the list or a setting cannot be used.
    """
    if isinstance(picture, bytes) or picture.is_file():
        deny_list_of(Settings.load(argparse.Namespace())).screen(picture)
