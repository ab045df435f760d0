"""`vivant present` as a user meets it: what it shows, what it refuses, how it exits."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.cli import main
from server.config import Settings
from tests.test_server_live import LiveServer, serving

PROGRAM = "import sys; from server.cli import main; sys.exit(main())"


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)) as live:
        yield live


class Command:
    """A running `vivant present`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, word: str, *, errors: bool = False) -> str:
        stream = self.process.stderr if errors else self.process.stdout
        assert stream is not None
        while line := (await stream.readline()).decode():
            if word in line:
                return line
        raise AssertionError(f"{word!r} was not said")

    async def end(self) -> tuple[int, str, str]:
        out, errors = await self.process.communicate()
        return self.process.returncode or 0, out.decode(), errors.decode()


async def present(*words: str | Path, stdin: int = asyncio.subprocess.DEVNULL) -> Command:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "present", *map(str, words),
        stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return Command(process)


def written(folder: Path, text: str, name: str = "talk.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def test_it_plays_shows_sentences_and_warnings_and_ends_its_session(
    live: LiveServer, tmp_path: Path
) -> None:
    script = written(tmp_path, "# Hello\n\n- One [hapy] item.\n- Another.\n", "talk.md")
    command = await present(script, "--url", f"http://{live.address}")
    status, out, errors = await command.end()
    assert status == 0, errors
    lines = out.splitlines()
    assert [line.split("  ")[1:] for line in lines] == [
        ["1/3", "Hello"], ["2/3", "One item."], ["3/3", "Another."],
    ]  # fmt: skip
    assert lines[0].startswith("0:00")
    assert f"{script}:3:7: There is no mark '[hapy]'" in errors
    assert f"Watch at http://{live.address}/view/" in errors
    assert len(live.server.house.sessions) == 0


async def test_it_joins_a_session_and_leaves_it_open(live: LiveServer, tmp_path: Path) -> None:
    session_id = await live.session()
    script = written(tmp_path, "One. Two. Three.")
    url = ("--url", f"http://{live.address}", "--session", session_id)
    status, out, errors = await (await present(script, *url, "--sentence", "2")).end()
    assert (status, out.split()) == (0, ["0:00", "3/3", "Three."]), errors
    assert len(live.server.house.sessions) == 1


async def test_ctrl_c_ends_it_cleanly(live: LiveServer, tmp_path: Path) -> None:
    script = written(tmp_path, " ".join(["A rather long sentence."] * 40))
    command = await present(script, "--url", f"http://{live.address}")
    await command.until("1/40")
    command.process.send_signal(signal.SIGINT)
    status, _, errors = await command.end()
    assert status == 130
    assert "Traceback" not in errors
    assert len(live.server.house.sessions) == 0


async def test_at_a_terminal_ctrl_c_pauses_and_enter_goes_on(
    live: LiveServer, tmp_path: Path
) -> None:
    session_id = await live.session()
    session = live.server.house.sessions.find(session_id)
    script = written(tmp_path, " ".join(["A rather long sentence."] * 40))
    keyboard, terminal = pty.openpty()
    try:
        url = ("--url", f"http://{live.address}", "--session", session_id)
        command = await present(script, *url, stdin=terminal)
        await command.until("1/40")
        command.process.send_signal(signal.SIGINT)
        await command.until("Paused. Enter goes on, Ctrl-C ends.", errors=True)
        assert session.presenter.reader.state == "paused"
        os.write(keyboard, b"\n")
        await command.until("/40")
        command.process.send_signal(signal.SIGINT)
        await command.until("Paused.", errors=True)
        command.process.send_signal(signal.SIGINT)
        assert (await command.end())[0] == 130
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert session.presenter.reader.state == "paused"
    assert len(live.server.house.sessions) == 1


async def test_it_records_what_it_presents(live: LiveServer, tmp_path: Path) -> None:
    film = tmp_path / "talk.mp4"
    script = written(tmp_path, "One of them. Two of them.")
    command = await present(script, "--url", f"http://{live.address}", "--record", film)
    status, _, errors = await command.end()
    assert status == 0, errors
    assert film.read_bytes()[4:8] == b"ftyp"
    assert f"{film} is written." in errors


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("none.txt",), "There is no script 'none.txt'."),
        (("empty.txt",), "There is nothing to say in 'empty.txt'."),
        (("binary.txt",), "'binary.txt' is not text in UTF-8 (byte 1 is 0xff)."),
        (("words.srt",), "There is not one cue of SubRip subtitles in the text."),
        (("one.txt", "--sentence", "3"), "There is no sentence 3; the script has 1, from 0."),
        (("one.txt", "--session", "nobody"), "There is no session 'nobody'."),
        (("one.txt", "--session", "x", "--voice", "joe"), "--voice is for a new session;"),
        (("one.txt", "--voice", "nobody"), "There is no voice named 'nobody'."),
        (("one.txt", "--record", "a.gif"), "'a.gif' is neither."),
        (("one.txt", "--record", "no/a.mp4"), "There is no folder 'no'"),
        (("one.txt", "--push", "ftp://x"), "ftp"),
        (("one.txt", "--url", "localhost"), "'localhost' is not the address of a server"),
        (("one.txt", "--url", "http://127.0.0.1:1"), "cannot be reached"),
    ],
)
async def test_bad_input_costs_one_sentence_and_exit_code_2(
    live: LiveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    reason: str,
) -> None:
    written(tmp_path, "One.", "one.txt")
    written(tmp_path, " \n", "empty.txt")
    written(tmp_path, "words", "words.srt")
    (tmp_path / "binary.txt").write_bytes(b"a\xff\xfe")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    url = () if "--url" in words else ("--url", f"http://{live.address}")
    status, out, errors = await (await present(*words, *url)).end()
    assert (status, out) == (2, "")
    last = errors.splitlines()[-1]
    assert last.startswith("vivant: ")
    assert reason in last
    assert "Traceback" not in errors


def test_a_script_can_be_checked_without_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = written(tmp_path, "One. Two."), written(tmp_path, "One [sad 7].", "bad.txt")
    assert main(["present", str(good), "--check"]) == 0
    assert capsys.readouterr().out == f"{good}: 2 sentences, 0 warnings\n"
    assert main(["present", str(bad), "--check"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{bad}:1:5: 'sad' takes a number from 0 to 1, not '7'."
    )
