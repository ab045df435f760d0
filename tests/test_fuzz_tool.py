"""The fuzzing tool itself: what it takes for a finding, and that it notices deaths and growth."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from streaming_model.errors import AudioError
from tools.fuzz import __main__ as tool
from tools.fuzz import registry
from tools.fuzz.harness import MEBIBYTE, Harness, Misbehaviour, feed

GREEDY = b"greedy"


def _refuse(data: bytes) -> None:
    error = AudioError()
    error.args = (data.decode(),)  # past the escapes
    raise error


def _spend(seconds: float) -> None:
    ends = time.process_time() + seconds
    while time.process_time() < ends:
        pass


@pytest.mark.parametrize(
    ("take", "kind"),
    [
        (lambda data: [][len(data)], "exception"),
        (lambda data: _spend(0.2), "slow"),
        (lambda data: bytearray(b"x" * 60 * MEBIBYTE), "memory"),
        (lambda data: _refuse(b"no sentence"), "sentence"),
        (lambda data: _refuse(b"Two\nlines."), "sentence"),
        (lambda data: _refuse(b""), "sentence"),
    ],
)
def test_what_a_parser_must_not_do_is_a_finding(take: Callable[[bytes], object], kind: str) -> None:
    seconds = 0.1 if kind == "slow" else 60.0
    harness = Harness(take, lambda: [b"a"], seconds=seconds, memory=20 * MEBIBYTE)
    with pytest.raises(Misbehaviour) as found:
        feed(harness, b"a")
    assert found.value.kind == kind


def test_a_refusal_of_one_sentence_is_none() -> None:
    assert not feed(Harness(_refuse, list), b"It is too long.").accepted


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Harness], Path]:
    """Returns a function that enters a harness as `planted`, and returns its folder."""
    module = ModuleType("tools.fuzz.planted")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(registry.HARNESSES, "planted", "planted:PLANTED")
    monkeypatch.setattr(tool, "FOLDER", tmp_path)

    def plant(harness: Harness) -> Path:
        monkeypatch.setattr(module, "PLANTED", harness, raising=False)
        return tmp_path / "planted"

    return plant


def test_an_input_that_kills_the_process_is_kept(planted: Callable[[Harness], Path]) -> None:
    folder = planted(Harness(lambda data: os.abort() if b"!" in data else None, lambda: [b"a!"]))
    folder.mkdir()
    total = tool.Total()
    assert not tool._run_child("planted", folder, total, 5.0, again=True)
    (kept,) = [path for path in (folder / "findings").iterdir() if path.suffix != ".txt"]
    assert kept.name.startswith("crash-")
    assert b"!" in kept.read_bytes()
    assert total.deaths == 1


def test_memory_that_grows_is_noticed(planted: Callable[[Harness], Path]) -> None:
    leaked: list[bytes] = []

    def leak(data: bytes) -> None:
        leaked.append(os.urandom(200_000))
        _spend(0.002)

    folder = planted(Harness(leak, lambda: [b"a"]))
    folder.mkdir()
    total = tool.Total()
    assert tool._run_child("planted", folder, total, 4.0, again=True)
    assert total.executions > 3
    assert total.growth > 0
