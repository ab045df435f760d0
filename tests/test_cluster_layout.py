"""The end-to-end tests of one process, unchanged, through a gateway and a worker."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server.config import Settings
from server.protocol import CapacityError, ProtocolError
from tests.cluster_rig import cluster
from tests.test_server_live import (  # noqa: F401 - collected here, too
    SIZE,
    LiveServer,
    on_loopback,
    test_a_full_house_lets_wait_and_then_enter,
    test_a_lost_connection_is_resumed_in_mid_sentence,
    test_a_viewer_sees_and_hears_from_the_first_second_on,
    test_an_ended_session_says_goodbye,
    test_an_interruption_is_heard_within_two_hundred_milliseconds,
    test_nonsense_on_the_websocket_is_answered_and_survived,
    test_pcm_over_the_websocket_is_spoken,
)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    settings = Settings(size=SIZE, max_sessions=2, cache_dir=tmp_path, port=0)
    async with cluster(settings, workers=1) as rig:
        live = LiveServer(rig.workers[0].worker.server, rig.port)
        try:
            yield live
        finally:
            await live.aclose()


async def test_figures_and_capacity_are_those_of_all_workers(tmp_path: Path) -> None:
    settings = Settings(size=SIZE, max_sessions=2, cache_dir=tmp_path, port=0)
    async with cluster(settings, workers=2) as rig:
        address = f"http://127.0.0.1:{rig.port}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            assert (await client.post("/v1/sessions")).status_code == 201
            page = (await client.get("/metrics")).text
            async with asyncio.timeout(10):  # workers tell of themselves once a second
                while (  # noqa: ASYNC110
                    told := (await client.get("/v1/capacity")).json()
                )["room"] != 3:
                    await asyncio.sleep(0.1)
            rig.workers[0].die()
            left = (await client.get("/metrics")).text
    (family,) = [
        each for each in text_string_to_metric_families(page) if each.name == "vivant_sessions_open"
    ]
    assert {each.labels["worker"] for each in family.samples} == {"worker-0", "worker-1"}
    assert sum(each.value for each in family.samples) == 1
    assert {each["name"] for each in told["workers"]} == {"worker-0", "worker-1"}
    assert told["sessions"] == 1
    assert 'worker="worker-1"' in left
    assert 'worker="worker-0"' not in left


async def test_a_gateway_is_ready_while_a_worker_is(tmp_path: Path) -> None:
    settings = Settings(size=SIZE, max_sessions=2, cache_dir=tmp_path, port=0)
    async with cluster(settings, workers=1) as rig:
        address = f"http://127.0.0.1:{rig.port}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            assert (await client.get("/readyz")).status_code == 200
            rig.workers[0].die()
            await rig.directory.leave(rig.workers[0].worker.id)
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            told = (await client.get("/v1/capacity")).json()
            assert (told["room"], told["limit"], told["workers"]) == (0, "no_worker", [])


@pytest.mark.parametrize(
    "error",
    [CapacityError("All places are taken.", retry_after=7), ProtocolError("gone", "It has gone.")],
)
def test_a_refusal_is_the_same_in_another_process(error: ProtocolError) -> None:
    told = pickle.loads(pickle.dumps(error))
    assert (type(told), str(told), vars(told)) == (type(error), str(error), vars(error))
