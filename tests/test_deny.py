"""The deny-list: copies of a denied face are refused wherever pictures come in, others are not."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut, cat

from server.app import Server
from server.cli import main
from server.config import Settings
from server.consent.deny import DenyList, DenyListError, FaceDeniedError
from streaming_model.errors import ModelFileError, NoFaceError
from streaming_model.portrait.identity import EMBEDDER, FaceEmbedder
from tests.live_fakes import fake_parts
from tests.test_consent import OWN, error_of, serving, traces

pytestmark = pytest.mark.model
Picture = NDArray[np.uint8]
MONA_LISA = Path(__file__).parents[1] / "streaming_model" / "assets" / "mona_lisa.jpg"


def file_of(picture: Picture, kind: str = "PNG", **how: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, kind, **how)
    return data.getvalue()


@cache
def eileen() -> Picture:
    picture: Picture = astronaut()  # type: ignore[no-untyped-call]
    return picture


def turned(picture: Picture, degrees: float) -> Picture:
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    made: Picture = cv2.warpAffine(picture, matrix, (width, height)).astype(np.uint8)
    return made


def shaded(picture: Picture, share: float) -> Picture:
    made: Picture = np.clip(picture * share, 0, 255).astype(np.uint8)
    return made


COPIES: dict[str, Callable[[Picture], bytes]] = {
    "as it is": file_of,
    "cropped": lambda picture: file_of(picture[20:230, 120:330]),
    "closely cropped": lambda picture: file_of(picture[60:200, 155:290]),
    "re-encoded": lambda picture: file_of(picture, "JPEG", quality=25),
    "mirrored": lambda picture: file_of(picture[:, ::-1].copy()),
    "darker": lambda picture: file_of(shaded(picture, 0.5)),
    "lighter": lambda picture: file_of(shaded(picture, 1.4)),
    "smaller": lambda picture: file_of(cv2.resize(picture, None, fx=0.8, fy=0.8).astype(np.uint8)),
    "larger": lambda picture: file_of(cv2.resize(picture, None, fx=2, fy=2).astype(np.uint8)),
    "turned right": lambda picture: file_of(turned(picture, 10)),
    "turned left": lambda picture: file_of(turned(picture, -10)),
    "all of it": lambda picture: file_of(
        shaded(turned(picture[20:230, 120:330][:, ::-1].copy(), 8), 0.8), "JPEG", quality=40
    ),
}


@pytest.fixture(scope="module")
def denied(tmp_path_factory: pytest.TempPathFactory) -> DenyList:
    folder = tmp_path_factory.mktemp("deny")
    (folder / "eileen.png").write_bytes(file_of(eileen()))
    listed = DenyList(folder / "config" / "denied-faces.json")
    listed.add(folder / "eileen.png", "she asked for it")
    return listed


@pytest.mark.parametrize("copy", COPIES)
def test_copies_of_a_denied_picture_are_refused(denied: DenyList, copy: str) -> None:
    with pytest.raises(FaceDeniedError) as caught:
        denied.screen(COPIES[copy](eileen()))
    assert "asked" not in str(caught.value)
    assert denied.faces()[0].id not in str(caught.value)


def test_other_faces_and_none_are_not(denied: DenyList) -> None:
    denied.screen(MONA_LISA)
    denied.screen(file_of(cat()))  # type: ignore[no-untyped-call]
    denied.screen(b"no picture")


def test_a_denied_face_beside_a_larger_one_is_found(denied: DenyList, tmp_path: Path) -> None:
    own = np.asarray(Image.open(MONA_LISA).convert("RGB"))
    small = cv2.resize(eileen()[:300, 80:380], (360, 360)).astype(np.uint8)
    both = np.full((own.shape[0], own.shape[1] + 360, 3), 128, np.uint8)
    both[:, : own.shape[1]] = own
    both[:360, own.shape[1] :] = small
    with pytest.raises(FaceDeniedError):
        denied.screen(file_of(both))


def test_the_file_holds_numbers_and_no_picture(denied: DenyList) -> None:
    values = json.loads(denied.path.read_text())
    (face,) = values["faces"]
    assert set(face) == {"id", "added", "note", "embedder", "embedding"}
    assert denied.path.stat().st_size < 2_000
    assert denied.path.stat().st_mode & 0o077 == 0


def test_entries_come_and_go_while_a_server_reads_them(tmp_path: Path) -> None:
    picture = tmp_path / "eileen.png"
    picture.write_bytes(file_of(eileen()))
    reader = DenyList(tmp_path / "faces.json")
    assert reader.is_empty
    reader.screen(picture)
    writer = DenyList(tmp_path / "faces.json")
    face = writer.add(picture)
    with pytest.raises(FaceDeniedError):
        reader.screen(picture)
    with pytest.raises(DenyListError, match="no entry 'none'"):
        writer.remove("none")
    writer.remove(face.id)
    reader.screen(picture)
    with pytest.raises(NoFaceError, match=r"^There is no face in 'cat\.png'\.$"):
        (tmp_path / "cat.png").write_bytes(file_of(cat()))  # type: ignore[no-untyped-call]
        writer.add(tmp_path / "cat.png")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"faces": [{"id": 1}]}', '{"faces": 3}']
    + [json.dumps({"faces": [{"id": "a", "added": "", "note": "", "embedder": "x",
                              "embedding": each}]}) for each in ("!", "AAA=", "AADAfw==")],
)  # fmt: skip
def test_a_list_that_cannot_be_read_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faces.json"
    path.write_text(text)
    with pytest.raises(DenyListError, match=r"^The deny-list .*\.$"):
        DenyList(path).screen(MONA_LISA)


def test_entries_of_another_net_are_told(tmp_path: Path, denied: DenyList) -> None:
    values = json.loads(denied.path.read_text())
    values["faces"][0]["embedder"] = "another"
    path = tmp_path / "faces.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DenyListError, match="another face embedder"):
        DenyList(path).screen(MONA_LISA)


def test_nets_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="missing"):
        FaceEmbedder(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no net")
    with pytest.raises(ModelFileError, match="damaged"):
        FaceEmbedder(tmp_path / "bad.onnx")
    motion = EMBEDDER.parents[1] / "motion" / "denoiser.onnx"
    with pytest.raises(ModelFileError, match="takes"):
        FaceEmbedder(motion)


async def test_a_server_refuses_a_denied_face_at_every_door(
    tmp_path: Path, denied: DenyList
) -> None:
    log = tmp_path / "audit.jsonl"
    picture = file_of(eileen())
    files = {"image": ("eileen.png", picture)}
    async with serving(tmp_path, audit_log=log) as client:
        kept = await client.post("/v1/portraits", files=files, data=OWN | {"keep": "true"})
        portrait = kept.json()["id"]
        (tmp_path / "none.json").write_bytes(denied.path.read_bytes())
        for path in ("/v1/portraits", "/v1/portraits/preview"):
            refused = await client.post(path, files=files, data={"rights": "own-picture"})
            assert error_of(refused) == (403, "face_denied"), path
            part = {"crop": "120,20,210,210", "rights": "own-picture"}
            refused = await client.post(path, files=files, data=part)
            assert error_of(refused) == (403, "face_denied"), "also a part"
        opened = await client.post("/v1/sessions", json={"portrait": portrait})
        assert error_of(opened) == (403, "face_denied"), "what is there already, too"
        other = (await client.post("/v1/sessions")).json()["session_id"]
        changed = await client.patch(f"/v1/sessions/{other}", json={"portrait": portrait})
        assert error_of(changed) == (403, "face_denied")
        assert (await client.delete(f"/v1/portraits/{portrait}")).status_code == 204
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    noted = [line for line in lines if line["deed"] == "portrait.denied"]
    assert [line["picture_sha256"] for line in noted] == [hashlib.sha256(picture).hexdigest()] * 2


async def test_a_server_does_not_start_with_a_denied_portrait(
    tmp_path: Path, denied: DenyList
) -> None:
    picture = tmp_path / "eileen.png"
    picture.write_bytes(file_of(eileen()))
    settings = Settings(size=256, cache_dir=tmp_path, portrait=str(picture), deny_list=denied.path)
    server = Server(settings, fake_parts(settings))
    with pytest.raises(FaceDeniedError):
        await server.warm_up()


def test_the_operators_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("VIVANT_AUDIT_LOG", str(tmp_path / "audit.jsonl"))
    picture, copy = tmp_path / "eileen.png", tmp_path / "copy.jpg"
    picture.write_bytes(file_of(eileen()))
    copy.write_bytes(COPIES["all of it"](eileen()))
    assert main(["deny", "add", str(picture), "--note", "letter of May 3"]) == 0
    face = capsys.readouterr().out.partition(":")[0]
    assert main(["deny", "list"]) == 0
    shown = capsys.readouterr().out
    assert face in shown and "letter of May 3" in shown
    assert main(["deny", "list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["id"], entry["note"]) == (face, "letter of May 3")
    assert main(["deny", "check", str(copy)]) == 1
    assert "refused" in capsys.readouterr().out
    assert main(["deny", "check", str(MONA_LISA)]) == 0
    assert "another face" in capsys.readouterr().out
    out = tmp_path / "film.mp4"
    assert main(["render", str(copy), "--text", "Hello.", "-o", str(out)]) == 2
    told = capsys.readouterr().err
    assert "deny-list" in told and "May" not in told
    assert not out.exists()
    assert main(["portrait", "check", str(copy), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "face_denied"
    assert main(["deny", "remove", face]) == 0
    assert main(["deny", "remove", face]) == 2
    assert main(["deny", "add", str(tmp_path / "none.png")]) == 2
    deeds = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(deed["deed"], deed["face"]) for deed in deeds] == [
        ("face.denied", face), ("face.allowed", face),
    ]  # fmt: skip


async def test_uploads_are_listed_shown_and_deleted_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"image": ("ann.png", b"a picture of Ann")}
    async with serving(tmp_path) as client:
        data = OWN | {"keep": "true", "name": "Ann"}
        portrait = (await client.post("/v1/portraits", files=files, data=data)).json()["id"]
        where = ["--cache-dir", str(tmp_path)]
        assert main(["portrait", "list", *where]) == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in (portrait, "own-picture", "local", "kept", "Ann"))
        assert main(["portrait", "list", "--json", *where]) == 0
        told: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        assert [each["portrait"] for each in told] == [portrait]
        assert main(["portrait", "show", portrait, *where]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["name"], shown["rights"]) == ("Ann", "own-picture")
        assert main(["portrait", "delete", portrait, *where]) == 0
    assert not traces(tmp_path / "uploads", b"a picture of Ann", portrait.encode())
    for action in ("show", "delete"):
        assert main(["portrait", action, portrait, *where]) == 2
        assert "no uploaded portrait" in capsys.readouterr().err
