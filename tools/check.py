"""Runs every static check, prints one line for each, and fails if any fails.

The checks are ruff (lint and format), mypy, import-linter, the page's types, and whether the web
component is made from its present sources.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is started as a script
from tools.node import node, npm

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SOURCES = (
    "server", "streaming_model", "vivant_client", "examples", "tests", "training", "benchmarks",
    "tools",
)  # fmt: skip

PYTHON_CHECKS: dict[str, list[str]] = {
    "ruff": [str(BIN / "ruff"), "check", *SOURCES],
    "format": [str(BIN / "ruff"), "format", "--check", *SOURCES],
    "mypy": [str(BIN / "mypy")],
    "imports": [str(BIN / "lint-imports")],
}


def javascript() -> list[list[str]]:
    """Returns the commands that check the page's types and that the web component is up to date."""
    return [
        npm("ci", "--silent", "--no-audit", "--no-fund"),
        node("node_modules/typescript/bin/tsc", "-p", "jsconfig.json"),
        node("tools/embed.mjs", "--check"),
    ]


def passes(commands: list[list[str]]) -> bool:
    """Runs the commands of one check; shows the output of the first that fails."""
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            return False
    return True


def main() -> int:
    """Runs the checks named as arguments, or all of them; returns the exit status."""
    checks = {name: [command] for name, command in PYTHON_CHECKS.items()}
    checks["javascript"] = javascript()
    failed = []
    for name in sys.argv[1:] or checks:
        well = passes(checks[name])
        print(f"{name:12} {'ok' if well else 'FAILED'}", flush=True)
        if not well:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
