"""The rules that keep the architecture from rotting, run by a tool and not by memory."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_import_rules_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_serving_imports_neither_torch_nor_diffusers() -> None:
    code = (
        "import sys, server.app, streaming_model.avatar;"
        "print([name for name in ('torch', 'diffusers', 'mediapipe') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_serving_alone_imports_nothing_of_several_machines() -> None:
    code = (
        "import sys, server.app, server.cli;"
        "server.cli.parser().parse_args(['serve', '--ray', 'auto']);"
        "print([name for name in sys.modules if name.split('.')[0] == 'ray'"
        " or name.startswith('server.cluster.') and name != 'server.cluster.command'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_changelog_names_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.M)


def test_requirements_name_no_address_and_no_torch() -> None:
    for name in ("runtime.txt", "dev.txt"):
        pins = (ROOT / "requirements" / name).read_text()
        assert "://" not in pins
        assert not re.search(r"^(torch|nvidia-|triton)", pins, re.M)
        assert "--hash=sha256:" in pins
