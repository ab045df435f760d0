"""`vivant keys`: makes API keys, lists and revokes them. A running server knows at once."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server.access.keys import KeyFile, KeysError, keys_path
from server.access.principal import Scope

_UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}  # seconds


def add_keys(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the parser."""
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a key and print it, this once")
    add.add_argument("name", metavar="NAME", help="who it is for")
    add.add_argument(
        "--scopes",
        default="control",
        metavar="SCOPES",
        help=f"what it may do, separated by commas: {', '.join(Scope)} (default: control)",
    )
    add.add_argument("--expires", metavar="TIME", help="such as 12h or 90d; never if not given")
    add.set_defaults(run=run_add)
    listed = actions.add_parser("list", help="list the keys, without their secrets")
    listed.set_defaults(run=run_list)
    revoke = actions.add_parser("revoke", help="take a key away")
    revoke.add_argument("name", metavar="NAME", help="its name or id")
    revoke.set_defaults(run=run_revoke)
    for action in (add, listed, revoke):
        action.add_argument(
            "--keys-file", type=Path, metavar="FILE", help="where they are kept, as for `serve`"
        )


def run_add(options: argparse.Namespace) -> int:
    """Makes a key; prints it alone, so that a script can take it."""
    scopes = tuple(each.strip() for each in options.scopes.split(",") if each.strip())
    lifetime = None if options.expires is None else _lifetime(options.expires)
    file = _file(options)
    key = file.add(options.name, scopes, lifetime=lifetime)
    print(f"A key for '{options.name}'. It is shown this once:", file=sys.stderr)  # noqa: T201
    print(key)  # noqa: T201
    return 0


def run_list(options: argparse.Namespace) -> int:
    """Lists the keys."""
    for key in _file(options).read():
        expires = "never expires" if key.expires is None else f"expires {_date(key.expires)}"
        scopes = ",".join(key.scopes)
        print(f"{key.id} {key.name:20} {scopes:16} made {_date(key.created)}, {expires}")  # noqa: T201
    return 0


def run_revoke(options: argparse.Namespace) -> int:
    """Takes a key away."""
    key = _file(options).revoke(options.name)
    print(f"The key '{key.name}' ({key.id}) is valid no more, nor what was made with it.")  # noqa: T201
    return 0


def _file(options: argparse.Namespace) -> KeyFile:
    given = options.keys_file or os.environ.get("VIVANT_KEYS_FILE")
    return KeyFile(Path(given) if given else keys_path())


def _lifetime(text: str) -> float:
    """Reads `90d`, `12h` or `30m` as seconds.

    Raises:
        KeysError: it is none of them.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text)
    if match is None:
        raise KeysError(f"A time is a number of minutes, hours or days as 30m, 12h, 90d: {text!r}.")
    return int(match[1]) * float(_UNITS[match[2]])


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
