"""How commands that talk to a server come by its key: from a file or from the environment.

Not by an option's value: everybody on the machine could read that in the list of processes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from server.access.keys import KeysError


def add_key(command: argparse.ArgumentParser) -> None:
    """Adds the option to a command."""
    command.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="with the server's API key in it, where it takes one; $VIVANT_API_KEY if not given",
    )


def read_key(options: argparse.Namespace) -> str | None:
    """Returns the key in the file that was named; None for that of the environment, if any.

    Raises:
        KeysError: the file cannot be read, or holds no key.
    """
    path: Path | None = options.key_file
    if path is None:
        return None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise KeysError(f"The key in '{path}' cannot be read: {reason}.") from None
    if not key:
        raise KeysError(f"The file '{path}' is empty: there is no key in it.")
    return key
