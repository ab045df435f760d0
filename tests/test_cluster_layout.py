"""The end-to-end tests of one process, unchanged, through a gateway and a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.config import Settings
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
