"""Seals films: finds the certificate, states what is true of them, and notes them in the ledger."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from server.marks.certificates import (
    Certificate,
    CertificateError,
    local_certificate,
    read_certificate,
)
from server.marks.credentials import Statement, sign_film
from server.marks.ledger import Entry, Ledger
from server.marks.marker import Marker, payload_of
from server.marks.options import MarkOptions
from server.marks.signing import sign_apart
from server.media_files import FilmMarks

MARKS_FOLDER = "marks"  # in the cache folder: ledger and local certificate


@dataclass(frozen=True)
class Sealer:
    """Gives films their credentials.

    Attributes:
        folder: where the certificate made on this machine is kept.
        own: the operator's certificate, None to use the one made here.
        is_omitted: whether films get no credentials at all.
    """

    folder: Path
    own: Certificate | None = None
    is_omitted: bool = False

    @classmethod
    def of(cls, options: MarkOptions, folder: Path) -> Sealer:
        """Returns the sealer that the options ask for.

        Raises:
            CertificateError: the operator's certificate cannot be used, or its key is missing.
        """
        if options.no_credentials is not None:
            return cls(folder, is_omitted=True)
        if options.certificate is None and options.key is None:
            return cls(folder)
        if options.certificate is None or options.key is None:
            raise CertificateError("A certificate and its key go together: only one was given.")
        return cls(folder, read_certificate(options.certificate, options.key))

    @cached_property
    def certificate(self) -> Certificate:
        """What films are signed with; made the first time, where the operator has none."""
        return self.own or local_certificate(self.folder)

    def seal(self, path: Path, session_id: str) -> None:
        """Gives a finished film its credentials, without disturbing live sessions.

        Raises:
            CertificateError: none can be made on this machine.
            CredentialsError: the film gets none; it is whole, though.
        """
        if not self.is_omitted:
            sign_apart(path, self.certificate, Statement(session_id, datetime.now(tz=UTC)))


def marks_of_film(options: MarkOptions, folder: Path, portrait: str, rights: str = "") -> FilmMarks:
    """Returns the marks of one film that is made without a session, and notes it in the ledger.

    Raises:
        CertificateError: the operator's certificate cannot be used.
    """
    sealer = Sealer.of(options, folder)
    name = f"film-{secrets.token_urlsafe(12)}"
    began = datetime.now(tz=UTC).isoformat(timespec="seconds")
    Ledger(folder).note(Entry(name, began, portrait, "film"))
    marker = Marker(options, payload_of(name))

    def seal(path: Path) -> None:
        if not sealer.is_omitted:
            sign_film(path, sealer.certificate, Statement(name, datetime.now(tz=UTC), rights))

    return FilmMarks(marker.mark_frame, seal)
