"""The SRT caller: against a listener of our own, and libsrt's where it is installed."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server.outputs.srt import SrtError, SrtStream
from server.outputs.srt_packets import lost_numbers
from tests.srt_listener import SrtListener

PACKET = SrtStream.PAYLOAD


def content(packets: int) -> bytes:
    return random.Random(0).randbytes(packets * PACKET)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("passphrase", ["", "correct horse battery"])
@pytest.mark.parametrize("key", ["", "&pbkeylen=32"])
def test_what_is_written_arrives_in_order_though_packets_are_lost(
    passphrase: str, key: str
) -> None:
    listener = SrtListener(loses=lambda index: index % 7 == 3, passphrase=passphrase)
    secret = f"&passphrase={passphrase.replace(' ', '%20')}{key}" if passphrase else ""
    sent = content(200)
    try:
        url = f"srt://127.0.0.1:{listener.port}?streamid=publish:live/x{secret}"
        with SrtStream(url, patience=5) as stream:
            for start in range(0, len(sent), 7 * PACKET):
                stream.write(sent[start : start + 7 * PACKET])
            until(lambda: len(listener.received) == len(sent))
        until(lambda: listener.is_over)
    finally:
        listener.close()
    assert listener.received == sent
    assert listener.stream_id == "publish:live/x"
    assert listener.repeated >= 200 // 7
    assert listener.acknowledged


@pytest.mark.parametrize(
    ("listens", "passphrase", "sentence", "is_final"),
    [
        ({"refuses": 1404}, "", "knows no such stream id", True),
        ({"refuses": 1402}, "", "overloaded", False),
        (
            {"passphrase": "the right passphrase"},
            "the wrong passphrase",
            "passphrase is wrong",
            True,
        ),
        ({"passphrase": "the right passphrase"}, "", "encryption", True),
    ],
)
def test_a_refusal_is_explained(
    listens: dict[str, object], passphrase: str, sentence: str, is_final: bool
) -> None:
    listener = SrtListener(**listens)  # type: ignore[arg-type]
    secret = f"?passphrase={passphrase.replace(' ', '%20')}" if passphrase else ""
    try:
        with pytest.raises(SrtError, match=sentence) as caught:
            SrtStream(f"srt://127.0.0.1:{listener.port}{secret}", patience=5)
    finally:
        listener.close()
    assert caught.value.is_final is is_final


def test_nobody_there_is_refused_at_once_and_silence_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        port = mute.getsockname()[1]
        with pytest.raises(SrtError, match=r"did not answer within 0\.3 seconds"):
            SrtStream(f"srt://127.0.0.1:{port}", patience=0.3)
    with pytest.raises(ConnectionRefusedError):
        SrtStream(f"srt://127.0.0.1:{port}", patience=5)


def test_a_listener_that_vanishes_is_noticed() -> None:
    listener = SrtListener()
    with SrtStream(f"srt://127.0.0.1:{listener.port}", patience=5) as stream:
        stream.write(content(1))
        listener.close()
        with pytest.raises((SrtError, ConnectionRefusedError)):
            until(lambda: not stream.write(content(1)))


def test_ranges_of_lost_packets_are_spelt_out_also_where_numbers_begin_anew() -> None:
    words = [5, 1 << 31 | 8, 10, 1 << 31 | (2**31 - 1), 1]
    body = b"".join(word.to_bytes(4, "big") for word in words)
    assert list(lost_numbers(body)) == [5, 8, 9, 10, 2**31 - 1, 0, 1]


@pytest.mark.parametrize("passphrase", ["", "correct-horse-battery"])
def test_libsrt_takes_it(tmp_path: Path, passphrase: str) -> None:
    program = shutil.which("srt-live-transmit")
    if program is None:
        pytest.skip("srt-live-transmit is not installed (apt-get install srt-tools)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = f"&passphrase={passphrase}" if passphrase else ""
    sent = content(300)
    with (tmp_path / "got").open("wb") as got:
        listener = subprocess.Popen(
            [
                program,
                "-q",
                "-to:20",
                f"srt://127.0.0.1:{port}?mode=listener{secret}",
                "file://con",
            ],
            stdout=got,
        )
        try:
            time.sleep(0.5)
            with SrtStream(f"srt://127.0.0.1:{port}?streamid=x{secret}", patience=5) as stream:
                for start in range(0, len(sent), PACKET):
                    stream.write(sent[start : start + PACKET])
                    time.sleep(0.002)
                until(lambda: (tmp_path / "got").stat().st_size >= len(sent))
        finally:
            listener.kill()
            listener.wait()
    assert (tmp_path / "got").read_bytes() == sent
