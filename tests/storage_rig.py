"""Storages for tests: a folder, memory, and moto's server in a process of its own, which is S3."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

KINDS = ("folder", "memory", "s3")
_START = 60.0  # seconds for moto beside other work
_BUCKET = "vivant"


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[str]:
    """Yields the address of an S3-compatible server of our own, as `AWS_ENDPOINT_URL` has it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = folder / "moto.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        end = time.monotonic() + _START
        while True:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def storage(kind: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yields the address of an empty storage."""
    if kind == "folder":
        yield (folder / "storage").as_uri()
        return
    if kind == "memory":
        yield f"memory://{secrets.token_hex(8)}"
        return
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        patch.setenv(name, value)
    with s3(folder) as address:
        patch.setenv("AWS_ENDPOINT_URL", address)
        from s3fs import S3FileSystem

        S3FileSystem.clear_instance_cache()
        S3FileSystem().mkdir(_BUCKET)
        yield f"s3://{_BUCKET}/under/{secrets.token_hex(4)}"
        S3FileSystem.clear_instance_cache()
