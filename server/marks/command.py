"""`vivant verify`: tells who made a film or a picture, and when; the flags of `vivant render`.

It exits with 0 where a mark was found, 1 where none was, 2 where the file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.marks.verify import Finding
    from server.media_files import FilmMarks

NO_MARK = "no mark found"


def add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the parser."""
    command = commands.add_parser("verify", help="tell who made a film or a picture, and when")
    command.add_argument("file", type=Path, metavar="FILE", help="a film or a picture")
    command.add_argument(
        "--ledger", type=Path, metavar="FOLDER", help="of a server; this machine's if not given"
    )
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(run=run_verify)


def add_marks(command: argparse.ArgumentParser) -> None:
    """Adds the flags that say how a film is marked."""
    from server.consent.rights import RIGHTS
    from server.marks.badge import BADGE_CORNER, BADGE_TEXT, CORNERS

    marks = command.add_argument_group("marks")
    marks.add_argument("--badge-text", default=BADGE_TEXT, help="what the badge says")
    marks.add_argument(
        "--badge-corner", choices=CORNERS, default=BADGE_CORNER, help="where the badge is"
    )
    marks.add_argument("--badge-font", type=Path, metavar="FILE", help="needed beyond English")
    marks.add_argument(
        "--rights", choices=RIGHTS, help="by what right the picture is used, for the credentials"
    )
    for what in ("badge", "watermark", "credentials"):
        marks.add_argument(
            f"--no-{what}-reason", type=_reason, metavar="WHY", help=f"leave out the {what}"
        )
    marks.add_argument(
        "--c2pa-certificate", type=Path, metavar="FILE", help="PEM; made here if not given"
    )
    marks.add_argument("--c2pa-key", type=Path, metavar="FILE", help="its private key, PEM")


def marks_for(options: argparse.Namespace) -> FilmMarks:
    """Returns the marks of a film that the flags ask for; what is left out is told.

    Raises:
        BadgeError: there can be no such badge.
        CertificateError: the certificate cannot be used.
    """
    from server.marks.badge import check_badge
    from server.marks.options import MarkOptions
    from server.marks.seal import MARKS_FOLDER, marks_of_film
    from server.voice.cache import cache_folder

    check_badge(options.badge_text, options.badge_font)
    asked = MarkOptions(
        text=options.badge_text,
        corner=options.badge_corner,
        font=options.badge_font,
        no_badge=options.no_badge_reason,
        no_watermark=options.no_watermark_reason,
        no_credentials=options.no_credentials_reason,
        certificate=options.c2pa_certificate,
        key=options.c2pa_key,
    )
    for sentence in asked.omissions:
        print(f"vivant: {sentence}", file=sys.stderr)
    return marks_of_film(
        asked, cache_folder() / MARKS_FOLDER, options.portrait.name, options.rights or ""
    )


def run_verify(options: argparse.Namespace) -> int:
    """Tells what is found; returns 1 where that is nothing."""
    from server.marks.ledger import Ledger
    from server.marks.seal import MARKS_FOLDER
    from server.marks.verify import verify
    from server.voice.cache import cache_folder

    folder = options.ledger or cache_folder() / MARKS_FOLDER
    finding = verify(options.file, Ledger(folder))
    if options.json:
        print(json.dumps(to_json(finding), indent=2))
    else:
        print(f"{options.file}: {'made by Vivant' if finding.is_ours else NO_MARK}")
        for line in lines(finding):
            print(f"  {line}")
    return 0 if finding.is_ours else 1


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a reason is some words")
    return text


def lines(finding: Finding) -> Iterator[str]:
    """Yields what was found, for people."""
    if (told := finding.credentials) is not None:
        states = {
            "trusted": "valid, by a signer whom C2PA trusts",
            "valid": "valid, by a signer whom no list of trust names",
            "broken": "BROKEN: the file was changed after it was signed",
        }
        yield f"content credentials: {states[told.state]}"
        yield f"  made by {told.generator}{' at ' if told.when else ''}{told.when}"
        yield f"  signed by {told.signer}"
        if told.rights:
            yield f"  the picture was said to be used by right of: {told.rights}"
        if told.source_type:
            yield f"  the pictures are {told.source_type}"
    if (reading := finding.reading) is not None:
        payload = reading.payload
        yield f"watermark: session {payload.tag} of {payload.day}"
        yield f"  {reading.match.score:.0f} standard deviations above chance"
    for entry in finding.entries:
        yield f"ledger: {entry.kind} {entry.session}, portrait {entry.portrait}, {entry.began}"
    if finding.tag and not finding.entries:
        yield f"ledger: nothing here is known of session {finding.tag}"


def to_json(finding: Finding) -> dict[str, object]:
    """Returns what was found, for programs."""
    reading = finding.reading
    return {
        "marked": finding.is_ours,
        "credentials": None if finding.credentials is None else asdict(finding.credentials),
        "watermark": None
        if reading is None
        else {
            "tag": reading.payload.tag,
            "day": reading.payload.day.isoformat(),
            "score": round(reading.match.score, 1),
        },
        "sessions": [asdict(entry) for entry in finding.entries],
    }
