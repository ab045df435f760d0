"""Secrets planted wherever they may be brought are nowhere in log lines, events and error texts.

A real process is asked, everything it logs at its most talkative is read, and everything that it
answers but the credentials that are meant for the asker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.test_server_app import ROOT

PLANTED = {
    "VIVANT_BRAIN_KEY": "sk-planted-brain-key-0001",
    "VIVANT_TRANSCRIBER_KEY": "planted-transcriber-key-0002",
    "VIVANT_TURN_SECRET": "planted-turn-secret-0003",
    "VIVANT_API_KEY": "planted-api-key-0020-of-thirty-two-or-more",
    "VIVANT_TOKEN_SECRET": "planted-token-secret-0021-of-thirty-two-or-more",
    "OPENAI_API_KEY": "sk-planted-openai-key-0004",
}
BROUGHT = (
    "planted-rtmp-stream-key-0005",
    "planted-rtsp-password-0006",
    "planted-srt-passphrase-0007",
    "planted-srt-stream-id-0008",
    "planted-whip-token-0009",
    "planted-whip-path-0010",
    "planted-ftp-password-0011",
    "planted-session-token-0012",
    "planted-query-token-0013",
    "planted-realtime-key-0014",
    "planted-ice-password-0015",
    "planted-path-0016",
    "planted-bearer-for-rtmp-0017",
    "planted-listed-token-0018",
    "planted-bad-srt-value-0019",
    "planted-livekit-token-0022",
    "planted-livekit-password-0023",
)
(RTMP, RTSP, SRT, STREAM_ID, WHIP, WHIP_PATH, FTP, TOKEN, QUERY, REALTIME, ICE, PATH, BEARER,
 LISTED, BAD_SRT, LIVEKIT, LIVEKIT_PASSWORD) = BROUGHT  # fmt: skip
OFFER = f"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\nm=audio 9 X 0\r\na=ice-pwd:{ICE}\r\na=rtpmap:{ICE}\r\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuses everything, quoting all it was sent, as servers do that mean well."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        head.sort(key=lambda line: not line.lower().startswith("authorization"))
        body = json.dumps({"error": {"message": f"No: {' '.join(head)}"}}).encode()
        writer.write(
            b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        await writer.drain()
    writer.close()


@asynccontextmanager
async def served(
    folder: Path, log_format: str, endpoint: str, told: list[str]
) -> AsyncIterator[str]:
    """Runs a server; yields its address, and adds to `told` all that it wrote."""
    flags = ["--port", "0", "--cache-dir", str(folder), "--max-sessions", "2"]
    flags += ["--log-level", "debug", "--log-format", log_format]
    flags += ["--ice-servers", "turn:127.0.0.1:9", "--brain", "chat", "--brain-url", endpoint]
    flags += ["--transcriber", "endpoint", "--transcriber-url", endpoint]
    flags += ["--audit-log", str(folder / "audit.jsonl"), "--max-outputs", "8"]
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.live_fakes", *flags, cwd=ROOT, env=os.environ | PLANTED,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert running.stdout is not None
    while "ready" not in (line := (await running.stdout.readline()).decode()):
        assert line, told
        told.append(line)
    try:
        yield line.partition("http://")[2].split("/")[0]
    finally:
        running.send_signal(signal.SIGTERM)
        told.append((await running.communicate())[0].decode())
        told.append((folder / "audit.jsonl").read_text())
        assert running.returncode == 0


def outputs(port: int) -> list[dict[str, str]]:
    whip = f"whip+http://127.0.0.1:{port}/{WHIP_PATH}?key={WHIP_PATH}"
    return [
        {"url": f"rtmp://127.0.0.1:9/live/{RTMP}"},
        {"url": f"rtsp://me:{RTSP}@127.0.0.1:9/{RTSP}"},
        {"url": f"srt://127.0.0.1:9?passphrase={SRT}&streamid={STREAM_ID}"},
        {"url": f"srt://127.0.0.1:9?latency={BAD_SRT}&{BAD_SRT}=1"},
        {"url": f"srt://127.0.0.1?passphrase={SRT}"},
        {"url": whip, "bearer": WHIP},
        {"url": f"whip+http://me:{WHIP}@127.0.0.1:{port}/{WHIP_PATH}"},
        {"url": f"ftp://me:{FTP}@127.0.0.1/{FTP}"},
        {"url": f"rtmp://127.0.0.1:x/{RTMP}"},
        {"url": f"rtmp://127.0.0.1:9/live/{RTMP}", "bearer": BEARER},
        {"url": f"rtmp:///{RTMP}"},
    ]


def livekit(port: int) -> list[dict[str, str]]:
    """Returns rooms that cannot be entered."""
    urls = (
        f"ws://127.0.0.1:{port}",
        f"ws://me:{LIVEKIT_PASSWORD}@127.0.0.1:{port}",
        f"ftp://me:{LIVEKIT_PASSWORD}@h",
    )
    return [{"livekit_url": url, "livekit_token": LIVEKIT} for url in urls]


def requests(session_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns calls that are all refused, or ought to be."""
    path = f"/v1/sessions/{session_id}"
    wrong = {"Authorization": f"Bearer {TOKEN}"}
    return [
        ("POST", f"{path}/resume", {"json": {"token": TOKEN}}),
        ("POST", f"{path}/resume", {"json": {"token": [LISTED]}}),
        ("POST", f"{path}/resume", {"content": f'{{"token": "{TOKEN}"'}),
        ("POST", f"{path}/offer", {"json": {"type": "offer", "sdp": OFFER, "token": TOKEN}}),
        ("POST", f"{path}/offer", {"json": {"type": "offer", "sdp": OFFER}}),
        ("POST", f"{path}/offer", {"json": {"type": "answer", "sdp": OFFER, "token": TOKEN}}),
        ("POST", f"/whep/{session_id}?token={QUERY}", {"headers": wrong, "content": OFFER}),
        ("DELETE", f"/whep/{session_id}/x", {"headers": wrong}),
        ("PATCH", path, {"json": {"portrait": "nobody"}, "headers": wrong}),
        ("GET", f"/v1/sessions/none?token={QUERY}", {"headers": wrong}),
        ("GET", f"/{PATH}/x?token={QUERY}", {}),
        ("POST", f"/v1/sessions?key={QUERY}", {"json": {"mode": "loud"}, "headers": wrong}),
    ]


async def hear(address: str, session_id: str, told: list[str]) -> None:
    """Says something to the brain, which fails; keeps all that is told until there is no more."""
    url = f"ws://{address}/v1/sessions/{session_id}/events?token={QUERY}"
    async with connect(url, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
        await socket.send(json.dumps({"type": "session.update", "token": LISTED}))
        await socket.send(json.dumps({"type": "user.text", "text": "Hello?"}))
        async for message in socket:
            told.append(str(message))


async def knock_by_realtime(address: str, session_id: str, told: list[str]) -> None:
    url = f"ws://{address}/v1/realtime?session={session_id}"
    protocols = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{REALTIME}")]
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, subprotocols=protocols):
            pass
    told.append(str(refused.value.response.body))


async def ask_everything(address: str, port: int, told: list[str]) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=20) as client:
        opened = (await client.post("/v1/sessions", json={"mode": "converse"})).json()
        session_id: str = opened["session_id"]
        async with asyncio.TaskGroup() as group:
            group.create_task(hear(address, session_id, told))
            await knock_by_realtime(address, session_id, told)
            for method, url, options in requests(session_id):
                answer = await client.request(method, url, **options)
                assert answer.status_code >= 400, (method, url)
                told.append(f"{answer.headers} {answer.text}")
            proven = {"Authorization": f"Bearer {PLANTED['VIVANT_API_KEY']}"}
            for body in livekit(port):
                url = "/v1/livekit/sessions"
                answer = await client.post(url, json=body, headers=proven)
                assert answer.status_code >= 400
                told.append(answer.text)
            for output in outputs(port):
                answer = await client.post(f"/v1/sessions/{session_id}/outputs", json=output)
                told.append(answer.text)
            async with asyncio.timeout(30):
                while not has_all_news("".join(told)):  # noqa: ASYNC110 - it is told by events
                    await asyncio.sleep(0.05)
            told.append((await client.get(f"/v1/sessions/{session_id}/outputs")).text)
            told.append((await client.get("/metrics")).text)
            told.append((await client.get("/v1/capacity")).text)
            await client.delete(f"/v1/sessions/{session_id}")


def has_all_news(told: str) -> bool:
    """Tells whether the brain and each of the outputs has failed once."""
    return '"brain.failed"' in told and all(
        f'"url": "{scheme}://' in told.replace('":"', '": "')
        for scheme in ("rtmp", "rtsp", "srt", "whip+http")
    ) and told.count('"retry_s"') >= 4  # fmt: skip


def found_in(told: Sequence[str], secrets: Sequence[str]) -> list[str]:
    return [
        f"{secret}: {text[max(0, text.index(secret) - 200) :][:400]}"
        for secret in secrets
        for text in told
        if secret in text
    ]


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_nothing_that_is_told_or_logged_holds_a_secret(
    log_format: str, tmp_path: Path
) -> None:
    told: list[str] = []
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}/v1"
    async with server, served(tmp_path, log_format, endpoint, told) as address:
        await ask_everything(address, port, told)
    logged = "".join(told)
    assert "brain.failed" in logged  # else this test looks for nothing
    assert "server.request_log" in logged
    assert not found_in(told, [*PLANTED.values(), *BROUGHT])


def test_a_setting_that_is_refused_does_not_show_its_password(tmp_path: Path) -> None:
    from server.config import SettingsError
    from tests.test_config import load

    cases: list[tuple[list[str], dict[str, str]]] = [
        (["--brain-url", f"http://me:{RTMP}@host/v1"], {}),
        ([], {"VIVANT_TRANSCRIBER_URL": f"https://me:{RTMP}@host/v1"}),
        ([], {"VIVANT_BRAIN_KEY": f"{RTMP} {RTMP}"}),
        ([], {"VIVANT_TURN_SECRET": f"{RTMP} {RTMP}"}),
    ]
    for flags, environment in cases:
        with pytest.raises(SettingsError) as refused:
            load(*flags, environment=environment)
        assert RTMP not in str(refused.value)
    (tmp_path / "vivant.toml").write_text(f'brain_key = "{RTMP} {RTMP}"\n')
    with pytest.raises(SettingsError, match="must be a key") as refused:
        load("--config", str(tmp_path / "vivant.toml"))
    assert RTMP not in str(refused.value)
