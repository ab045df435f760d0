"""What docs/puppet.md tells people to type is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from server.cli import parser

PAGE = (Path(__file__).parent.parent / "docs" / "puppet.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ +vivant (puppet .*)$", PAGE, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command: str) -> None:
    assert parser().parse_args(shlex.split(command)).run.__name__ == "run_puppet"


def test_every_option_is_on_the_page() -> None:
    assert len(COMMANDS) >= 3
    for option in ("--mic", "--camera", "--speaker", "--live-link", "--lips", "--portrait"):
        assert option in PAGE
