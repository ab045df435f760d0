"""Looks the pinned packages up in databases of known holes, by pip-audit: `make audit`.

    python tools/audit.py [--service pypi|osv]...

It succeeds only if every pin was looked up and none is known to be broken: a database that is not
reachable, or does not know a package, is told and is no clean bill. pip-audit gets an environment
of its own (`build/audit`), so that it is no dependency of what it looks at.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "build" / "audit"
PIP_AUDIT = "pip-audit>=2.10,<3"
FILES = ("runtime", "dev")
SERVICES = ("pypi", "osv")


@dataclass(frozen=True)
class Verdict:
    """What one database said of one list of pins.

    Attributes:
        known: packages that it knows.
        unknown: packages that it does not.
        holes: a line for each known hole.
        failure: why nothing was looked up; empty if it was.
    """

    known: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()
    failure: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether every package was looked up and none is known to be broken."""
        return bool(self.known) and not (self.unknown or self.holes or self.failure)


def main() -> int:
    """Asks the databases; returns 0 if one of them clears every list, 1 for holes, 2 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--service", action="append", choices=SERVICES, help="all if not given")
    options = parser.parse_args()
    verdicts = {
        (name, service): look_up(name, service)
        for name in FILES
        for service in options.service or SERVICES
    }
    for (name, service), verdict in verdicts.items():
        print(told(f"requirements/{name}.txt at {service}", verdict))
    if any(verdict.holes for verdict in verdicts.values()):
        return 1
    is_cleared = all(
        any(verdict.is_clean for (file, _), verdict in verdicts.items() if file == name)
        for name in FILES
    )
    return 0 if is_cleared else 2


def look_up(name: str, service: str) -> Verdict:
    """Returns what a database says of a list of pins."""
    if not (TOOL / "bin" / "pip-audit").exists():
        venv.create(TOOL, with_pip=True)
        pip = [str(TOOL / "bin" / "python"), "-m", "pip", "install", "--quiet", PIP_AUDIT]
        subprocess.run(pip, check=True)
    pins = ["--requirement", str(ROOT / "requirements" / f"{name}.txt")]
    asked = subprocess.run(
        [
            *(str(TOOL / "bin" / "pip-audit"), *pins, "--disable-pip", "--require-hashes"),
            *("--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
    )
    return read(asked.stdout, asked.stderr)


def read(output: str, complaint: str) -> Verdict:
    """Returns what pip-audit's report says."""
    if not output.strip():
        last = complaint.strip().splitlines()[-1:] or ["pip-audit said nothing."]
        return Verdict(failure=last[0])
    packages: Sequence[dict[str, Any]] = json.loads(output)["dependencies"]
    return Verdict(
        known=tuple(each["name"] for each in packages if "skip_reason" not in each),
        unknown=tuple(each["name"] for each in packages if "skip_reason" in each),
        holes=tuple(
            f"{each['name']} {each['version']}: {hole['id']}, mended in "
            f"{', '.join(hole['fix_versions']) or 'no version yet'}"
            for each in packages
            for hole in each.get("vulns", ())
        ),
    )


def told(what: str, verdict: Verdict) -> str:
    """Returns what is to be printed of a verdict."""
    if verdict.failure:
        return f"{what}: NOT LOOKED UP: {verdict.failure}"
    lines = [f"{what}: {len(verdict.known)} packages looked up, {len(verdict.holes)} known holes"]
    lines += [f"  {hole}" for hole in verdict.holes]
    if verdict.unknown:
        shown = ", ".join(verdict.unknown[:5])
        lines.append(f"  NOT LOOKED UP: {len(verdict.unknown)} that it does not know ({shown}...)")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
