"""The catalogue of portraits: what is kept, what is ready, what is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from server import portraits as module
from server.inference import AvatarPort, Inference
from server.portraits import PortraitEntry, Portraits
from server.protocol import ProtocolError
from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.errors import ImageUnreadableError
from tests.live_fakes import FakeAvatar
from tests.virtual_time import InlineExecutor


def files_in(folder: Path, name: str = "") -> list[Path]:
    return list(folder.rglob(f"*{name}*" if name else "upload-*"))


BUILTIN = PortraitEntry("mona", "Mona", True, Path("mona.jpg"))


def catalogue(
    folder: Path, fit: Callable[[Path], tuple[AvatarPort, tuple[str, ...]]] | None = None
) -> Portraits:
    worker = InlineExecutor()
    return Portraits(
        [BUILTIN],
        default="mona",
        folder=folder,
        size=64,
        make_avatar=fit or (lambda _: (FakeAvatar(size=64), ())),
        inference=Inference(worker),
        worker=worker,
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


async def test_no_name_escapes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    for name in ("../../etc/passwd", "", "..", "/", "ж.png", "a" * 500, "a\x00b.png"):
        await catalogue(folder).add(name.encode() or b"none", name)
    assert {path.parent for path in files_in(tmp_path)} == {folder}
