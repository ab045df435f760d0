"""The README's own words are run, so that they stay true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_model.avatar import BUILTIN_PORTRAIT

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_it_fits_on_a_few_screens() -> None:
    assert len(README.splitlines()) < 150


def test_every_link_and_picture_in_it_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_its_make_targets_exist() -> None:
    targets = re.findall(r"^    make (\w+)", README, re.M)
    assert {"run", "test"} <= set(targets)
    makefile = (ROOT / "Makefile").read_text()
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_its_commands_are_understood() -> None:
    commands = [line.split("#")[0] for line in re.findall(r"^    (vivant .*)", README, re.M)]
    assert len(commands) >= 6
    for command in commands:
        words = command.split()[1:]
        verb = words[0]
        help_text = subprocess.run(
            [Path(sys.executable).parent / "vivant", verb, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for word in words[1:]:
            if word.startswith("-"):
                assert word in help_text, command


@pytest.mark.model
def test_its_snippet_runs(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (tmp_path / "portrait.jpg").write_bytes(BUILTIN_PORTRAIT.read_bytes())
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 25
    assert lines[1] == "0.04 (512, 512, 3)"
