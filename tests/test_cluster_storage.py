"""Uploads and recordings of a cluster: made at one worker, there at all, gone from all."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from server.config import Settings
from server.inference import AvatarPort
from server.outputs.download import find_range
from server.storage.blobs import Blobs
from tests.cluster_rig import Cluster, Running, cluster
from tests.live_fakes import fake_parts
from tests.storage_rig import KINDS, storage
from tests.test_server_live import on_loopback  # noqa: F401 - a fixture

PICTURE = b"a picture of Ann, as her camera wrote it"
FILE = {"image": ("ann.png", PICTURE)}
PIXEL = bytes.fromhex(  # a PNG of one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0"
    "000003010100c9fe92ef0000000049454e44ae426082"
)


@asynccontextmanager
async def serving(
    folder: Path,
    url: str,
    **chosen: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[tuple[Cluster, httpx.AsyncClient]]:
    """Yields two workers of two places each; what is made of pictures lies in their folders."""
    settings = Settings(
        size=256, max_sessions=2, cache_dir=folder, port=0, storage=url,
        deny_list=folder / "none.json", **chosen,
    )  # fmt: skip
    fakes = fake_parts(settings)

    def fit(path: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        made = fakes.make_avatar(path)
        if path.name.startswith("upload-"):
            (path.parent / f"{path.name}.fit").write_bytes(b"made of " + path.read_bytes())
        return made

    def forget(path: Path) -> None:
        (path.parent / f"{path.name}.fit").unlink(missing_ok=True)

    parts = replace(fakes, make_avatar=fit, forget=forget)
    async with cluster(settings, workers=2, parts=parts) as rig:
        address = f"http://127.0.0.1:{rig.port}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            yield rig, client


def films(folder: Path) -> list[Path]:
    return list(folder.glob("worker-*/recordings/*"))


def left(folder: Path, digest: str) -> list[str]:
    """Returns which files of workers are of a picture, by their name or content."""
    return [
        str(path)
        for path in folder.glob("worker-*/**/*")
        if path.is_file() and (digest in path.name or PICTURE in path.read_bytes())
    ]


async def ask(worker: Running, path: str, wanted: object = None) -> httpx.Response:
    """Asks one worker, as a gateway does; to open what is wanted, if anything is."""
    headers = {"x-vivant-cluster": worker.worker._secret.decode()}
    async with httpx.AsyncClient(base_url=worker.http.address, headers=headers) as client:
        return await (client.get(path) if wanted is None else client.post(path, json=wanted))


async def opened_everywhere(rig: Cluster, **wanted: object) -> list[str]:
    """Fills both places of each worker; returns the sessions."""
    answers = [await ask(each, "/v1/sessions", wanted) for each in 2 * rig.workers]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["session_id"] for answer in answers]


async def opened(client: httpx.AsyncClient, **wanted: object) -> str:
    answer = await client.post("/v1/sessions", json=wanted)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    with storage(request.param, tmp_path, monkeypatch) as url:
        yield url


async def test_an_upload_is_everywhere_and_its_deletion_too(url: str, tmp_path: Path) -> None:
    async with serving(tmp_path, url) as (rig, client):
        added = await client.post("/v1/portraits", files=FILE, data={"name": "Ann"})
        assert added.status_code == 201, added.text
        portrait = added.json()["id"]
        for worker in rig.workers:
            there = (await ask(worker, "/v1/portraits")).json()
            assert [each["name"] for each in there if each["id"] == portrait] == ["Ann"]
            image = await ask(worker, f"/v1/portraits/{portrait}/image")
            assert image.headers["content-type"] == "image/jpeg"
        sessions = await opened_everywhere(rig, portrait=portrait)
        renamed = await client.patch(f"/v1/portraits/{portrait}", json={"name": "Anna"})
        assert renamed.status_code == 200
        for worker in rig.workers:
            there = (await ask(worker, "/v1/portraits")).json()
            assert [each["name"] for each in there if each["id"] == portrait] == ["Anna"]
        assert len({path.split("/worker-")[1][0] for path in left(tmp_path, portrait)}) == 2

        gone = await client.delete(f"/v1/portraits/{portrait}?sessions=end")
        assert gone.status_code == 204
        assert left(tmp_path, portrait) == []  # when the answer comes, and not some time later
        blobs = Blobs(url)
        assert blobs.list("portraits") == []
        (former,) = [blobs.get(each.name) for each in blobs.list("former")]
        assert hashlib.sha256(PICTURE).hexdigest().encode() in (former or b"")
        for worker in rig.workers:
            house = worker.worker.server.house
            assert portrait not in house.portraits.ready
            there = (await ask(worker, "/v1/portraits")).json()
            assert portrait not in {each["id"] for each in there}
        async with asyncio.timeout(10):
            for session in sessions:
                while (  # noqa: ASYNC110
                    await client.get(f"/v1/sessions/{session}")
                ).status_code != 404:
                    await asyncio.sleep(0.05)
        refused = await client.post("/v1/sessions", json={"portrait": portrait})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")


async def test_a_background_is_known_to_every_worker(url: str, tmp_path: Path) -> None:
    async with serving(tmp_path, url) as (rig, client):
        added = await client.post("/v1/backgrounds", files={"image": ("b.png", PIXEL)})
        assert added.status_code == 201, added.text
        await opened_everywhere(rig, background=added.json()["id"])


async def test_a_recording_is_served_after_its_worker_has_died(url: str, tmp_path: Path) -> None:
    async with serving(tmp_path, url) as (rig, client):
        portrait = (await client.post("/v1/portraits", files=FILE)).json()["id"]
        session = await opened(client, portrait=portrait)
        begun = await client.post(f"/v1/sessions/{session}/recordings", json={"format": "webm"})
        film = begun.json()["id"]
        assert (await client.get(f"/v1/recordings/{film}")).status_code == 409
        await client.post(f"/v1/sessions/{session}/speak", json={"text": "A few words."})
        await asyncio.sleep(1)
        ended = await client.delete(f"/v1/sessions/{session}/recordings/{film}")
        assert ended.json()["state"] == "closed", ended.text
        assert not films(tmp_path)
        rig.of(session).die()

        whole = await client.get(f"/v1/recordings/{film}")
        assert whole.status_code == 200
        assert whole.headers["content-type"] == "video/webm"
        assert int(whole.headers["content-length"]) == len(whole.content) == ended.json()["bytes"]
        with av.open(io.BytesIO(whole.content), "r") as container:
            assert len(list(container.decode(video=0))) > 5
        part = await client.get(f"/v1/recordings/{film}", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
        beyond = {"Range": f"bytes={len(whole.content)}-"}
        assert (await client.get(f"/v1/recordings/{film}", headers=beyond)).status_code == 416

        assert (await client.delete(f"/v1/portraits/{portrait}")).status_code == 204
        assert (await client.get(f"/v1/recordings/{film}")).status_code == 404
        assert Blobs(url).list("recordings") == []


async def test_a_film_that_shows_a_deleted_portrait_is_not_kept_elsewhere(tmp_path: Path) -> None:
    """The recording goes on at one worker while another one deletes what it shows."""
    url = (tmp_path / "storage").as_uri()
    async with serving(tmp_path, url) as (rig, client):
        portrait = (await client.post("/v1/portraits", files=FILE)).json()["id"]
        for worker in rig.workers:
            session = (await ask(worker, "/v1/sessions", {"portrait": portrait})).json()[
                "session_id"
            ]
            begun = await client.post(f"/v1/sessions/{session}/recordings")
            assert begun.status_code == 201, begun.text
        await asyncio.sleep(0.5)
        assert (await client.delete(f"/v1/portraits/{portrait}")).status_code == 204
        assert Blobs(url).list("recordings") == []
        assert Blobs(url).list("portraits") == []
        assert not films(tmp_path)


async def test_a_portrait_that_is_shown_elsewhere_stays(tmp_path: Path) -> None:
    """And goes when it is shown nowhere any more."""
    url = (tmp_path / "storage").as_uri()
    async with serving(tmp_path, url, portrait_wait=1.0) as (rig, client):
        portrait = (await client.post("/v1/portraits", files=FILE)).json()["id"]
        session = await opened(client, portrait=portrait)
        await asyncio.sleep(1.3)  # until every worker has told what it shows
        custodies = [each.worker.server.custody for each in rig.workers]
        for custody in custodies:
            await custody._clear()
        assert Blobs(url).list("portraits")
        await client.delete(f"/v1/sessions/{session}")
        await asyncio.sleep(2.2)
        for custody in custodies:
            await custody._clear()
        assert Blobs(url).list("portraits") == []


async def test_what_was_deleted_while_a_worker_was_away_is_cleared_when_it_begins(
    tmp_path: Path,
) -> None:
    url = (tmp_path / "storage").as_uri()
    async with serving(tmp_path, url) as (rig, client):
        given = {"keep": "true"}
        portrait = (await client.post("/v1/portraits", files=FILE, data=given)).json()["id"]
        await opened_everywhere(rig, portrait=portrait)
    assert left(tmp_path, portrait)
    async with serving(tmp_path, url) as (_, client):
        there = (await client.get("/v1/portraits")).json()
        assert portrait in {each["id"] for each in there}  # it was to be kept
    for blob in Blobs(url).list("portraits"):
        Blobs(url).delete(blob.name)
    async with serving(tmp_path, url) as (_, client):
        assert portrait not in {each["id"] for each in (await client.get("/v1/portraits")).json()}
        assert left(tmp_path, portrait) == []


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None),
        ("bytes=0-", (0, 10)),
        ("bytes=3-4", (3, 5)),
        ("bytes=3-400", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-40", (0, 10)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=10-", (10, 10)),
        ("bytes=" + 5000 * "9" + "-", (999999999999999999, 999999999999999999)),
        ("bytes=-0", (10, 10)),
    ],
)
def test_a_range_is_read_as_the_rfc_has_it(header: str, found: tuple[int, int] | None) -> None:
    assert find_range(header, 10) == found
