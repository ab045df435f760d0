"""Log lines: their form, what they know, and that no library is heard below warnings."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.clock import MonotonicClock
from server.gauge import MeteredThread
from server.logs import JsonLines, TextLines
from server.principal import Principal, on_behalf_of
from server.secrecy import Redactor
from server.voices import RemoteThreads
from tests.test_server_app import ROOT


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "server.x", "levelname": "INFO", "msg": message, "created": 0.25, **extra}
    )


def test_a_line_for_programs_is_one_object_with_session_and_caller() -> None:
    with on_behalf_of(Principal("alice"), "abc"):
        line = JsonLines(Redactor()).format(record("it\nhappens", pictures=3, place=Path("/a")))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "server.x",
        "message": "it\nhappens",
        "session": "abc",
        "who": "alice",
        "pictures": 3,
        "place": "/a",
    }
    assert "session" not in json.loads(JsonLines(Redactor()).format(record("outside")))


def test_a_line_for_people() -> None:
    with on_behalf_of(Principal("alice"), "abc"):
        line = TextLines(Redactor()).format(record("it happens", pictures=3, words="two words"))
    assert line == (
        "1970-01-01T00:00:00.250Z INFO server.x: it happens "
        '[session=abc who=alice pictures=3 words="two words"]'
    )


def test_an_error_brings_its_traceback_without_the_secret_in_it() -> None:
    try:
        raise ValueError("the key hunter22 is wrong")
    except ValueError:
        failed = record("failed", exc_info=sys.exc_info())
    for lines in (JsonLines, TextLines):
        line = lines(Redactor(["hunter22"])).format(failed)
        assert "ValueError: the key ... is wrong" in line
        assert "hunter22" not in line


@pytest.mark.parametrize(
    ("text", "cleared"),
    [
        ("no key, no token, nothing", "no key, no token, nothing"),
        ("rtmp://a.example/live/KEY-1 failed", "rtmp://a.example/... failed"),
        ("rtmps://me:word@a.example:443/live/KEY-1?x=2", "rtmps://a.example:443/..."),
        ("srt://h:9000?streamid=KEY&passphrase=word", "srt://h:9000/..."),
        ("whip+https://h/w/KEY", "whip+https://h/..."),
        ("at http://me:word@h/path.", "at http://...@h/path."),
        ("GET https://h/p?token=KEY&x=1 401", "GET https://h/p?... 401"),
        ("Authorization: Bearer abcd.EF-12", "Authorization: Bearer ..."),
        ("key sk-abcdef123456 refused", "key sk-... refused"),
        ("eyJhbGciOi.eyJzdWIi.c2ln", "eyJ..."),
        ('{"token": "abcdef"}', '{"token": "..."}'),
        ("brain_key=abcdef and api_key: abcdef", "brain_key=abcdef and api_key: ..."),
        ("TURN_SECRET=abcdef;", "TURN_SECRET=...;"),
    ],
)
def test_secrets_are_known_by_their_looks(text: str, cleared: str) -> None:
    assert Redactor().clear(text) == cleared
    assert Redactor().clear(cleared) == cleared


def test_a_secret_within_another_leaves_nothing_of_it() -> None:
    assert Redactor(["open", "opensesame", "ab"]).clear("opensesame open ab") == "... ... ab"


def served(folder: Path, *flags: str) -> tuple[list[str], str]:
    """Runs a server with a session in it; returns its lines on standard error, and its output."""
    command = [sys.executable, "-m", "tests.live_fakes", "--port", "0", "--log-level", "info"]
    with subprocess.Popen(
        [*command, "--cache-dir", str(folder), *flags],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stderr is not None
        lines = [running.stderr.readline()]
        while "ready" not in lines[-1]:
            assert lines[-1], running.communicate()
            lines.append(running.stderr.readline())
        address = lines[-1].partition("http://")[2].split("/")[0]
        with httpx.Client(base_url=f"http://{address}") as client:
            session_id = client.post("/v1/sessions").json()["session_id"]
            client.get(f"/v1/sessions/{session_id}?token=KEY-IN-THE-QUERY")
            client.get("/healthz")
            client.get("/no/such/KEY-IN-THE-PATH")
            client.delete(f"/v1/sessions/{session_id}")
        os.kill(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=20)
        assert running.returncode == 0
        return lines + err.splitlines(), out


def test_a_server_tells_its_sessions_and_requests_in_json(tmp_path: Path) -> None:
    lines, out = served(tmp_path, "--log-format", "json")
    assert out == ""
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert {line["level"] for line in told} == {"info"}
    assert "ready" in [line["message"] for line in told]
    (opened,) = (line for line in told if line["message"] == "session opened")
    (closed,) = (line for line in told if line["message"] == "session closed")
    assert opened["session"] == closed["session"]
    assert closed["reason"] == "client"
    requests = [line for line in told if line["logger"] == "server.request_log"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/v1/sessions", 201),
        ("GET", "/v1/sessions/{session_id}", 200),
        ("GET", "page", 404),
        ("DELETE", "/v1/sessions/{session_id}", 204),
    ]
    assert [line.get("session") for line in requests[1:2]] == [opened["session"]]
    assert all(line["client"] == "127.0.0.1" and line["ms"] >= 0 for line in requests)
    assert "KEY-IN-THE" not in "".join(lines)


def test_a_server_tells_people_the_same_in_text(tmp_path: Path) -> None:
    lines, out = served(tmp_path)
    assert "Vivant is ready at http://" in out
    assert any(" INFO server.sessions: session opened [session=" in line for line in lines)
    assert "KEY-IN-THE" not in "".join(lines)


async def test_what_a_worker_thread_logs_tells_the_session_that_it_works_for() -> None:
    clock, loop = MonotonicClock(), asyncio.get_running_loop()
    threads = [MeteredThread("speech", clock, lambda: None), RemoteThreads(1, "remote voice")]
    for thread in threads:
        with thread:
            for name in ("abc", "def"):
                with on_behalf_of(Principal("alice"), name):
                    line = loop.run_in_executor(
                        thread, JsonLines(Redactor()).format, record("spoken")
                    )
                told = json.loads(await line)
                assert (told["session"], told["who"]) == (name, "alice")
            line = loop.run_in_executor(thread, JsonLines(Redactor()).format, record("idle"))
            assert "session" not in json.loads(await line)
