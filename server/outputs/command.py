"""`vivant record`: records a session of a running server, and fetches the film.

It speaks the protocol's HTTP calls and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.access.client_key import add_key, read_key
from streaming_model.errors import VivantError

if TYPE_CHECKING:
    import httpx

_LOOK_AGAIN = 0.3  # seconds
_FORMATS = {".mp4": "mp4", ".webm": "webm"}


class RecordError(VivantError):
    """The session cannot be recorded, or the film not fetched."""

    code = "recording_failed"


def add_record(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the parser."""
    record = commands.add_parser("record", help="record a session of a running server")
    record.add_argument("--url", default="http://127.0.0.1:8080", help="the server")
    add_key(record)
    record.add_argument(
        "--session",
        required=True,
        metavar="ID",
        help="the session; --session=ID where it begins with -",
    )
    record.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.mp4|webm")
    record.add_argument(
        "--seconds", type=float, metavar="N", help="how long; until Ctrl-C if not given"
    )
    record.set_defaults(run=run_record)


def run_record(options: argparse.Namespace) -> int:
    """Records until told to stop, and writes the film."""
    import httpx

    from vivant_client.rest import key_headers

    out: Path = options.output
    film = _FORMATS.get(out.suffix.lower())
    if film is None:
        raise RecordError(f"A recording ends in .mp4 or .webm; '{out.name}' does not.")
    if not out.parent.is_dir():
        raise RecordError(f"There is no folder '{out.parent}' to write '{out.name}' in.")
    path = f"/v1/sessions/{options.session}/recordings"
    headers = key_headers(read_key(options))
    try:
        with httpx.Client(base_url=options.url, headers=headers, timeout=30) as client:
            recording = _asked(client.post(path, json={"format": film}))
            with contextlib.suppress(KeyboardInterrupt):
                _wait(client, path, recording["id"], options.seconds)
            told = _stopped(client, path, recording["id"])
            _fetch(client, told, out)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise RecordError(f"The server at '{options.url}' cannot be used: {reason}.") from error
    print(f"{out}: {told.get('seconds', recording['seconds']):.1f} s, {told['bytes']} bytes")  # noqa: T201 - a command line
    return 0


def _wait(client: httpx.Client, path: str, recording_id: str, seconds: float | None) -> None:
    """Returns when the film is long enough, or has ended by itself."""
    while True:
        told = _told(client, path, recording_id)
        if told["state"] not in ("waiting", "recording"):
            return
        if seconds is not None and told["seconds"] >= seconds:
            return
        time.sleep(_LOOK_AGAIN)


def _stopped(client: httpx.Client, path: str, recording_id: str) -> dict[str, Any]:
    answer = client.delete(f"{path}/{recording_id}")
    if answer.status_code == 404:  # the session has ended, and the recording with it
        return _told(client, path, recording_id)
    return _asked(answer)


def _told(client: httpx.Client, path: str, recording_id: str) -> dict[str, Any]:
    answer = client.get(path)
    recordings: list[dict[str, Any]] = answer.json() if answer.is_success else []
    for told in recordings:
        if told["id"] == recording_id:
            return told
    raise RecordError("The recording has ended without a picture.")


def _asked(answer: httpx.Response) -> dict[str, Any]:
    """Returns what was answered.

    Raises:
        RecordError: it is a refusal.
    """
    if answer.is_success:
        told: dict[str, Any] = answer.json()
        return told
    try:
        raise RecordError(str(answer.json()["error"]["message"]))
    except (ValueError, LookupError, TypeError):
        host, status = answer.url.host, answer.status_code
        raise RecordError(f"What answers at '{host}' is no Vivant: status {status}.") from None


def _fetch(client: httpx.Client, told: dict[str, Any], out: Path) -> None:
    part = out.with_name(f".{out.name}.part")
    try:
        with client.stream("GET", told["url"]) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                file.write(piece)
        part.replace(out)
    except OSError as error:
        raise RecordError(f"'{out}' cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
