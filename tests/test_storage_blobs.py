"""Objects in a folder, in memory and in S3: the same behaviour, told in one sentence when not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import fsspec
import pytest

from server.storage.blobs import PIECE, Blobs
from server.storage.errors import StorageError
from tests.storage_rig import KINDS, storage


@pytest.fixture(params=KINDS)
def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Blobs]:
    with storage(request.param, tmp_path, monkeypatch) as url:
        yield Blobs(url)


def test_what_is_put_is_found_listed_read_and_deleted(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.list("portraits") == []
    assert blobs.get("portraits/a/name") is None
    assert blobs.find("portraits/a/name") is None
    blobs.put("portraits/a/name", b"Ann")
    blobs.put("portraits/b/empty", b"")
    blobs.put("others/c", b"not asked for")
    large = bytes(range(256)) * (PIECE // 256) + b"and a little more"
    (tmp_path / "film").write_bytes(large)
    blobs.put_file("portraits/a/film", tmp_path / "film")

    listed = {each.name: each.size for each in blobs.list("portraits")}
    assert listed == {"portraits/a/film": len(large), "portraits/a/name": 3, "portraits/b/empty": 0}
    found = blobs.find("portraits/a/name")
    assert found is not None
    assert found.size == 3
    assert found.changed > 1_600_000_000
    assert found in blobs.list("portraits/a")
    assert blobs.find("portraits/a") is None  # a folder, if anything
    assert b"".join(blobs.read("portraits/a/film", 5, len(large) - 3)) == large[5:-3]
    assert b"".join(blobs.read("portraits/a/film", 7, 7)) == b""

    blobs.put("portraits/a/name", b"Anna")
    again = blobs.find("portraits/a/name")
    assert again is not None
    assert again.version != found.version
    assert blobs.get("portraits/a/name") == b"Anna"

    blobs.delete("portraits/a/name")
    blobs.delete("portraits/a/name")
    assert blobs.get("portraits/a/name") is None
    assert [each.name for each in blobs.list("portraits/a")] == ["portraits/a/film"]


def test_nothing_unfinished_is_seen_in_a_folder(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    with pytest.raises(StorageError):
        blobs.put_file("films/a", tmp_path / "none")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_impossible_storage_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(StorageError, match=r"^--storage nonsense://x: .*nonsense.*\.$"):
        Blobs("nonsense://x")
    with pytest.raises(StorageError, match=r"^--storage gs://bucket: .*install gcsfs"):
        Blobs("gs://bucket")
    monkeypatch.setattr(fsspec.core, "url_to_fs", Mock(side_effect=ImportError("no s3fs")))
    with pytest.raises(StorageError, match=r"pip install 'vivant\[s3\]'\.$"):
        Blobs("s3://bucket")


def test_a_storage_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage("s3", tmp_path, monkeypatch) as url:
        blobs = Blobs(url)
        missing = Blobs("s3://no-such-bucket")
        with pytest.raises(StorageError, match=r"^The storage s3://no-such-bucket cannot be used"):
            missing.put("a", b"")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match=r"^The storage s3://vivant/under/\w+ cannot be used"):
        blobs.put("a", b"")


def test_the_server_imports_no_storage_library() -> None:
    assert importlib.util.find_spec("s3fs") is not None
    program = (
        "import sys, server.cli, server.app; from server.config import Settings; "
        "from server.storage.making import Places; Places(Settings()).uploads(); "
        "print('server.storage.blobs' in sys.modules, 's3fs' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["False", "False"]
