"""Recordings on disk: named, found, and forgotten in time."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from server.outputs.library import Library, session_of
from server.protocol import ProtocolError
from tests.virtual_time import VirtualClock

SESSION = "aB3_-cdefghijklm"


def library(folder: Path, *, kept: float = 3600) -> Library:
    return Library(folder, kept=kept, clock=VirtualClock())


def test_films_are_named_by_time_and_session_and_never_alike(tmp_path: Path) -> None:
    films = library(tmp_path / "new")
    names = []
    for suffix in (".mp4", ".webm", ".mp4"):
        path = films.new(SESSION, suffix)
        path.touch()
        names.append(path.name)
    assert len({Path(name).stem for name in names}) == 3
    for name in names:
        assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z(-\d)?_{SESSION}\.(mp4|webm)", name)
        assert session_of(Path(name).stem) == SESSION
    assert {path.name for path in films.of_session(SESSION)} == set(names)
    assert films.of_session("another") == []
    assert films.find(Path(names[1]).stem).name == names[1]


@pytest.mark.parametrize(
    "name",
    ["", "x", "../secret", "20260102T030405Z_../../x", "20260102T030405Z_x", "%00", "a" * 300],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.mp4").touch()
    (tmp_path / "films").mkdir()
    with pytest.raises(ProtocolError, match="There is no recording"):
        library(tmp_path / "films").find(name)


@pytest.mark.parametrize(("kept", "left"), [(3600, ["new"]), (0, ["new", "old"])])
def test_old_films_are_forgotten_and_nothing_else(
    tmp_path: Path, kept: float, left: list[str]
) -> None:
    for session, hours in (("new", 0), ("old", 2)):
        path = tmp_path / f"20260102T030405Z_{session}.mp4"
        path.touch()
        time = path.stat().st_mtime - 3600 * hours
        os.utime(path, (time, time))
    (tmp_path / "holiday.mp4").touch()
    os.utime(tmp_path / "holiday.mp4", (0, 0))
    films = library(tmp_path, kept=kept)
    films.forget_old()
    assert [session_of(path.stem) for path in films._films()] == left
    assert (tmp_path / "holiday.mp4").exists()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk_is_told_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 5_000_000))
    with pytest.raises(ProtocolError, match="The disk is full: 5 MB are left"):
        library(tmp_path).new(SESSION, ".mp4")
