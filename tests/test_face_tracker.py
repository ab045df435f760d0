"""The page's face tracker: fetched from npm's package, checked, served; and its absence."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from server import face_tracker
from server.face_tracker import FILES, MODEL, TrackerError, tracker_file, tracker_folder, unpack
from tests.live_fakes import house


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for member in (*FILES.values(), "package/README.md", "../outside"):
            content = f"content of {member}".encode()
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def take_out(package: Path, folder: Path) -> None:
    unpack(package, folder, sha512=hashlib.sha512(package.read_bytes()).hexdigest())


def test_what_is_needed_is_taken_out_of_the_package(package: Path, tmp_path: Path) -> None:
    folder = tracker_folder(tmp_path)
    take_out(package, folder)
    assert {path.name for path in folder.iterdir()} == set(FILES)
    for name in FILES:
        assert tracker_file(name, tmp_path) == folder / name
    assert (folder / "vision_bundle.mjs").read_text() == "content of package/vision_bundle.mjs"


def test_another_package_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match="its SHA-512 is another"):
        unpack(package, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_without_npm_the_way_to_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert face_tracker.main() == 2
    assert "There is no npm: install Node.js" in capsys.readouterr().err


def test_what_npm_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = ["sh", "-c", "echo 'npm error 404 Not Found' >&2; exit 1"]
    monkeypatch.setattr(face_tracker, "_npm", lambda: failing)
    with pytest.raises(TrackerError, match=r"could not get .*: npm error 404 Not Found"):
        face_tracker.fetch(tmp_path)


async def test_the_server_has_the_model_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Path
) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    async with house(tmp_path) as client:
        model = await client.get(f"/face_tracker/{MODEL}")
        assert model.status_code == 200 and len(model.content) > 3_000_000
        missing = await client.get("/face_tracker/vision_bundle.mjs")
        assert missing.status_code == 404
        assert "make camera" in missing.json()["error"]["message"]
        take_out(package, tracker_folder())
        script = await client.get("/face_tracker/vision_bundle.mjs")
        assert script.headers["content-type"].split(";")[0] in {
            "text/javascript",
            "application/javascript",
        }
        wasm = await client.get("/face_tracker/vision_wasm_internal.wasm")
        assert wasm.headers["content-type"] == "application/wasm"
        assert (await client.get("/face_tracker/README.md")).status_code == 404
        assert (await client.get("/face_tracker/..%2Fserver.log")).status_code == 404
