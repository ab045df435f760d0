"""One script to a viewer, a film and a streaming server at once, with captions in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aioice.ice
import av
import numpy as np
import pytest

from server.config import Settings
from tests.test_outputs_push import rtmp
from tests.test_present_command import present
from tests.test_server_live import LiveServer, serving
from vivant_client import SubtitleDelta
from vivant_client.opening import join

SCRIPT = """# One of them

[happy] Two [nod] of them. [pause 700ms] **Three** of them.

- Four <break time="600ms"/> of them. [sad 0.5] And [hapy] five.
"""


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=256, cache_dir=tmp_path, port=0)) as live:
        yield live


async def test_a_script_goes_to_a_viewer_a_film_and_a_stream_at_once(
    live: LiveServer, tmp_path: Path
) -> None:
    script, film = tmp_path / "talk.md", tmp_path / "talk.mp4"
    script.write_text(SCRIPT)
    listener = rtmp()
    session_id, address = await live.session(), f"http://{live.address}"
    heard: list[tuple[int, bool]] = []
    captions: list[SubtitleDelta] = []
    async with join(address, session_id) as viewer, asyncio.TaskGroup() as group:

        async def listen() -> None:
            async for sound in viewer.sounds():
                heard.append((sound.media_time, bool(np.abs(sound.samples).max() > 0.05)))

        async def note() -> None:
            async for event in viewer.events():
                if isinstance(event, SubtitleDelta):
                    captions.append(event)

        tasks = [group.create_task(listen()), group.create_task(note())]
        command = await present(
            script, "--url", address, "--session", session_id, "--record", film,
            "--push", listener.url,
        )  # fmt: skip
        status, out, errors = await command.end()
        for task in tasks:
            task.cancel()
    assert status == 0, errors
    assert f"{script}:5:53: There is no mark '[hapy]'" in errors
    assert len(out.splitlines()) == 5
    texts = ["One of them", "Two of them", "Three of them", "Four", "of them", "And five"]
    assert [caption.text for caption in captions] == texts
    begun = [time for (time, loud), (_, was) in zip(heard[1:], heard, strict=False) if loud > was]
    for caption in captions:  # a caption begins a sound, or goes on in the middle of one
        is_heard = any(abs(time - caption.media_time) < 1600 and loud for time, loud in heard)
        assert is_heard, caption
    for index in (0, 2, 4):  # after silence
        assert min(abs(time - captions[index].media_time) for time in begun) < 1600  # 100 ms
    with av.open(str(film)) as container:
        sound = np.concatenate(
            [frame.to_ndarray()[0] for frame in container.decode(container.streams.audio[0])]
        )
    packets = np.abs(sound[: len(sound) // 960 * 960].reshape(-1, 960)).max(axis=1)
    said = np.count_nonzero(packets > 0.05) * 0.02
    letters = sum(map(len, texts))
    assert said == pytest.approx(letters * 0.05, rel=0.1)
    await asyncio.to_thread(listener.is_over.wait, 20)
    assert listener.codecs == ["aac", "h264"]
    assert listener.loudest > 0.1
