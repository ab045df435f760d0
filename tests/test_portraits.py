"""The catalogue of portraits: what is kept, what is ready, what is forgotten."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from server import portraits as module
from server.inference import AvatarPort, Inference
from server.portrait_pictures import PortraitEntry, forget_nothing
from server.portraits import Portraits
from server.protocol import ProtocolError
from server.uploads import UploadFolder
from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.crop import Crop
from streaming_model.errors import CropError, ImageUnreadableError
from tests.live_fakes import FakeAvatar
from tests.virtual_time import InlineExecutor


def files_in(folder: Path, name: str = "") -> list[Path]:
    return list(folder.rglob(f"*{name}*" if name else "upload-*"))


BUILTIN = PortraitEntry("mona", "Mona", True, Path("mona.jpg"))


def catalogue(
    folder: Path,
    fit: Callable[[Path], tuple[AvatarPort, tuple[str, ...]]] | None = None,
    *,
    forget: Callable[[Path], None] = forget_nothing,
) -> Portraits:
    worker = InlineExecutor()
    return Portraits(
        [BUILTIN],
        default="mona",
        uploads=UploadFolder(folder),
        size=64,
        make_avatar=fit or (lambda _: (FakeAvatar(size=64), ())),
        inference=Inference(worker),
        worker=worker,
        forget=forget,
    )


async def test_uploads_outlive_the_server(tmp_path: Path) -> None:
    added = await catalogue(tmp_path).add(b"picture", "aunt.mary.png")
    again = catalogue(tmp_path)
    assert [entry.id for entry in again.list()] == ["mona", added.id]
    assert again.check(added.id).name == "aunt.mary"
    assert (await again.image(added.id))[:2] == b"\xff\xd8"


async def test_a_portrait_is_fitted_once_and_only_the_last_few_stay_ready(tmp_path: Path) -> None:
    fitted: list[str] = []

    def fit(path: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        fitted.append(path.name)
        return FakeAvatar(size=64), ()

    portraits = catalogue(tmp_path, fit)
    assert await portraits.avatar("mona") is await portraits.avatar("mona")
    assert fitted == ["mona.jpg"]
    green = Backdrop.parse("green")
    before_green = await portraits.avatar("mona", green)
    assert before_green.backdrop == green
    assert before_green.motion is (await portraits.avatar("mona")).motion
    assert (await portraits.avatar("mona")).backdrop == KEEP
    assert fitted == ["mona.jpg"]
    for index in range(4):
        await portraits.add(f"{index}".encode(), "a.png")
    await portraits.avatar("mona")
    assert fitted.count("mona.jpg") == 2


async def test_the_picture_of_an_upload_is_drawn_once(tmp_path: Path) -> None:
    def refuse(_: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        raise AssertionError("fitted again")

    first = catalogue(tmp_path)
    added = await first.add(b"picture", "aunt.png")
    image = await first.image(added.id)
    again = catalogue(tmp_path, refuse)
    assert await again.image(added.id) == image
    assert [entry.id for entry in again.list()] == ["mona", added.id]


async def test_a_refused_upload_is_not_called_by_our_name_for_it(tmp_path: Path) -> None:
    def refuse(path: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        raise ImageUnreadableError(f"{path.name} is empty.")

    with pytest.raises(ImageUnreadableError, match=r"^The picture is empty\.$"):
        await catalogue(tmp_path, refuse).add(b"", "aunt.png")
    assert not files_in(tmp_path)


async def test_the_oldest_upload_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UPLOADS", 2)
    portraits = catalogue(tmp_path)
    added = [await portraits.add(f"{index}".encode(), "a.png") for index in range(3)]
    assert [entry.id for entry in portraits.list()] == ["mona", added[1].id, added[2].id]
    assert len(files_in(tmp_path)) == 2
    await portraits.image(added[1].id)
    await portraits.add(b"another", "a.png")
    assert not files_in(tmp_path, added[1].id)
    with pytest.raises(ProtocolError, match="There is no portrait"):
        await portraits.avatar(added[0].id)


async def test_a_name_is_kept_as_it_was_given(tmp_path: Path) -> None:
    portraits = catalogue(tmp_path)
    added = await portraits.add(b"picture", "IMG 1.png", name=" Tante Mary & Söhne, Dr. h. c. ")
    assert added.name == "Tante Mary & Söhne, Dr. h. c."
    assert catalogue(tmp_path).check(added.id).name == added.name
    renamed = await portraits.rename(added.id, "Mary")
    assert (renamed.id, renamed.name) == (added.id, "Mary")
    assert catalogue(tmp_path).check(added.id).name == "Mary"
    assert (await portraits.add(b"picture", "IMG 2.png")).name == "Mary"
    assert (await portraits.add(b"picture", "IMG 2.png", name="Anna")).name == "Anna"
    assert len(portraits.list()) == 2


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "two\nlines", "\x00", "\ud800"])
async def test_an_impossible_name_is_refused_and_changes_nothing(tmp_path: Path, name: str) -> None:
    portraits = catalogue(tmp_path)
    added = await portraits.add(b"picture", "aunt.png")
    with pytest.raises(ProtocolError, match=r"^A portrait's name .*\.$") as caught:
        await portraits.rename(added.id, name)
    assert caught.value.code == "bad_request"
    with pytest.raises(ProtocolError):
        await portraits.add(b"another", "aunt.png", name=name)
    assert [entry.name for entry in portraits.list()] == ["Mona", "aunt"]
    assert len(files_in(tmp_path)) == 1


async def test_a_deleted_portrait_leaves_nothing(tmp_path: Path) -> None:
    forgotten: list[bytes] = []
    portraits = catalogue(tmp_path, forget=lambda path: forgotten.append(path.read_bytes()))
    kept = await portraits.add(b"kept", "uncle.png", name="Uncle")
    added = await portraits.add(b"picture", "aunt.png", name="Aunt")
    await portraits.image(added.id)
    await portraits.remove(added.id)
    assert forgotten == [b"picture"]
    assert not files_in(tmp_path, added.id)
    assert [entry.id for entry in catalogue(tmp_path).list()] == ["mona", kept.id]
    for lost in (portraits.avatar, portraits.image, portraits.remove):
        with pytest.raises(ProtocolError, match="There is no portrait"):
            await lost(added.id)
    assert portraits.name(added.id) == "Aunt"
    assert (await portraits.add(b"picture", "aunt.png")).name == "aunt", "and may come again"
    assert portraits.name(added.id) == "aunt"


async def test_one_that_comes_with_the_server_is_neither_renamed_nor_deleted(
    tmp_path: Path,
) -> None:
    portraits = catalogue(tmp_path)
    for deed, refused in {
        "renamed": portraits.rename("mona", "Lisa"),
        "deleted": portraits.remove("mona"),
    }.items():
        sentence = f"'Mona' comes with the server and cannot be {deed}."
        with pytest.raises(ProtocolError, match=sentence) as caught:
            await refused
        assert caught.value.code == "forbidden"
    assert [entry.name for entry in portraits.list()] == ["Mona"]


async def test_of_a_cropped_picture_only_the_crop_is_kept(tmp_path: Path) -> None:
    shades = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) % 251
    data = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(data, "PNG")
    portraits = catalogue(tmp_path)
    await portraits.add(data.getvalue(), "crowd.jpg", crop=Crop(10, 20, 30, 16))
    (file,) = files_in(tmp_path)
    assert file.suffix == ".png"
    np.testing.assert_array_equal(np.asarray(Image.open(file))[..., 0], shades[20:36, 10:40])
    with pytest.raises(CropError, match=r"30 x 29 at 10, 20 .* 64 x 48 pixels"):
        await portraits.add(data.getvalue(), "crowd.jpg", crop=Crop(10, 20, 30, 29))
    assert len(files_in(tmp_path)) == 1


async def test_no_name_escapes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    for name in ("../../etc/passwd", "", "..", "/", "ж.png", "a" * 500, "a\x00b.png"):
        await catalogue(folder).add(name.encode() or b"none", name)
    assert {path.parent for path in files_in(tmp_path)} == {folder}
