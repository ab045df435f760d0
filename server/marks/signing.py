"""Signs a film in a process of its own, for a server that is at work meanwhile.

c2pa hashes by pieces of 256 MB, two at a time, and a copy of one in this process would hold every
thread for two pictures' time. The key goes by the pipe, never by an argument that `ps` shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

from server.marks.certificates import Certificate
from server.marks.credentials import CredentialsError, Statement, sign_film

_ROOT: Final = Path(__file__).resolve().parents[2]
_FAILED: Final = 3


def sign_apart(path: Path, certificate: Certificate, statement: Statement) -> None:
    """Gives a finished film credentials, as `sign_film` does.

    Raises:
        CredentialsError: they cannot be made for it, or not written.
    """
    order = {
        "path": str(path.resolve()),
        "certificate": asdict(certificate) | {"key": certificate.key.decode()},
        "session_id": statement.session_id,
        "made": statement.made.isoformat(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "server.marks.signing"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])},
    )
    if done.returncode:
        reason = done.stderr.strip() if done.returncode == _FAILED else ""
        sentence = f"'{path.name}' gets no content credentials: the signing process broke off."
        raise CredentialsError(reason or sentence)


def main() -> int:
    """Signs what standard input says."""
    order = json.load(sys.stdin)
    fields = order["certificate"]
    certificate = Certificate(**{**fields, "key": fields["key"].encode()})
    statement = Statement(order["session_id"], datetime.fromisoformat(order["made"]))
    try:
        sign_film(Path(order["path"]), certificate, statement)
    except CredentialsError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
