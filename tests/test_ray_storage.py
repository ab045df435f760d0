"""Two workers of Ray's, processes of their own, with S3 (moto's server) for what they share.

`python -m pytest -m ray tests/test_ray_storage.py`.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path

import av
import httpx
import pytest

from server.storage.blobs import Blobs
from tests.storage_rig import storage
from tests.test_ray import gateway
from tests.test_server_live import on_loopback  # noqa: F401 - a fixture

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(280)]
FILE = {"image": ("ann.png", b"a picture of Ann")}


def of_workers(folder: Path, portrait: str) -> list[Path]:
    """Returns what workers have of a portrait."""
    return list(folder.glob(f"workers/**/*{portrait}*"))


async def workers(http: httpx.AsyncClient) -> dict[int, int]:
    """Returns the sessions of each worker, by its process."""
    told = (await http.get("/v1/capacity")).json()["workers"]
    return {each["pid"]: each["sessions"] for each in told}


async def test_uploads_films_the_line_and_figures_are_those_of_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage("s3", tmp_path, monkeypatch) as url:
        flags = ("--ray", "--ray-workers", "2", "--storage", url, "--max-sessions", "1")
        with gateway(tmp_path, "gateway", *flags) as running:
            async with httpx.AsyncClient(base_url=running.address, timeout=60) as http:
                added = await http.post("/v1/portraits", files=FILE)
                assert added.status_code == 201, added.text
                wanted = {"portrait": added.json()["id"]}
                opened = [await http.post("/v1/sessions", json=wanted) for _ in range(3)]
                assert [each.status_code for each in opened] == [201, 201, 202]
                one, two, three = (each.json()["session_id"] for each in opened)
                begun = await http.post(f"/v1/sessions/{one}/recordings", json={"format": "webm"})
                film = begun.json()["id"]
                await asyncio.sleep(1.5)
                assert sorted((await workers(http)).values()) == [1, 1]
                figures = (await http.get("/metrics")).text
                assert 'vivant_sessions_open{worker="worker-0"} 1.0' in figures
                assert 'vivant_sessions_open{worker="worker-1"} 1.0' in figures
                ended = await http.delete(f"/v1/sessions/{one}/recordings/{film}")
                assert ended.json()["state"] == "closed", ended.text

                before = await workers(http)
                await http.delete(f"/v1/sessions/{two}")
                async with asyncio.timeout(30):  # the place is for who waits
                    while (  # noqa: ASYNC110
                        await http.get(f"/v1/sessions/{three}")
                    ).json().get("state") != "idle":
                        await asyncio.sleep(0.2)
                await http.delete(f"/v1/sessions/{one}")
                await http.delete(f"/v1/sessions/{three}")
                for pid in before:  # neither has anything that the other has not
                    os.kill(pid, signal.SIGKILL)
                async with asyncio.timeout(120):  # until Ray has started two others
                    while len(set(await workers(http)) - set(before)) < 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.5)
                whole = await http.get(f"/v1/recordings/{film}")
                assert whole.status_code == 200, whole.text
                with av.open(io.BytesIO(whole.content), "r") as container:
                    assert len(list(container.decode(video=0))) > 5
                gone = await http.delete(f"/v1/portraits/{wanted['portrait']}")
                assert gone.status_code == 204, gone.text
                assert (await http.get(f"/v1/recordings/{film}")).status_code == 404
                assert Blobs(url).list("portraits") == Blobs(url).list("recordings") == []
                assert of_workers(tmp_path, wanted["portrait"]) == []


async def test_a_worker_more_is_started_for_who_waits(tmp_path: Path) -> None:
    flags = ("--ray", "--ray-workers", "1", "--ray-most-workers", "2", "--max-sessions", "1")
    with gateway(tmp_path, "gateway", *flags) as running:
        async with httpx.AsyncClient(base_url=running.address, timeout=60) as http:
            assert len(await workers(http)) == 1
            opened = [await http.post("/v1/sessions") for _ in range(2)]
            assert [each.status_code for each in opened] == [201, 202]
            path = f"/v1/sessions/{opened[1].json()['session_id']}"
            async with asyncio.timeout(120):
                while (await http.get(path)).json().get("state") != "idle":  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            async with asyncio.timeout(10):
                while sorted((await workers(http)).values()) != [1, 1]:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
