"""What `make test` runs, and what it leaves to `make test ARGS=--all`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tools import test as tool

TESTS = Path(__file__).parent
Runs = Callable[..., list[list[str]]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Returns a function that gives the arguments of both runs, and runs nothing."""

    def told(*words: str) -> list[list[str]]:
        seen: list[list[str]] = []

        def note(run: list[str], *, env: Mapping[str, str] | None = None) -> int:
            seen.append(run)
            return 0

        monkeypatch.setattr(sys, "argv", ["test.py", *words])
        monkeypatch.setattr(tool, "_pytest", note)
        assert tool.main() == 0
        return seen

    monkeypatch.chdir(TESTS.parent)
    return told


def test_every_name_of_what_is_left_out_is_a_files() -> None:
    for name in tool._BESIDE:
        assert list(TESTS.glob(f"test_{name}.py")), name


def test_the_short_run_leaves_out_what_stands_beside_the_line(runs: Runs) -> None:
    beside, alone = runs()
    assert "not wide" in beside[beside.index("-m") + 1] and "-n" in beside
    assert "tests/test_server_live.py" in beside and "tests/test_cluster_layout.py" not in beside
    assert "tests/test_page_portrait.py" in alone and "tests/test_page_films.py" not in alone
    assert "tests/test_server_live.py" not in alone and "-n" not in alone


def test_all_of_them_are_run_when_asked_for(runs: Runs) -> None:
    beside, alone = runs("--all")
    assert {word for word in beside if word.endswith(".py")} == {
        f"tests/{path.name}" for path in TESTS.glob("test_*.py")
    }
    assert "wide" not in beside[beside.index("-m") + 1] + alone[alone.index("-m") + 1]
    assert "tests/test_page_films.py" in alone


@pytest.mark.parametrize("words", [["tests/test_cluster_layout.py::test_any"], ["-k", "cluster"]])
def test_what_is_named_is_run_wherever_it_stands(runs: Runs, words: list[str]) -> None:
    for run in runs(*words):
        assert set(words) <= {*run}
        assert "wide" not in run[run.index("-m") + 1]


def test_a_marker_of_ones_own_is_one_run(runs: Runs) -> None:
    assert runs("-m", "soak", "-x") == [["-m", "soak", "-x"]]
