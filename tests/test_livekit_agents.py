"""LiveKit's own AgentSession with our plugin: an agent that speaks through a portrait."""

from __future__ import annotations

import asyncio
import inspect
import re
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.utils.audio import audio_frames_from_file
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from livekit.agents.voice.room_io import RoomOptions

from examples import livekit_agent
from server.config import Settings
from tests.conftest import ROOT
from tests.livekit_cloud import KEY, SECRET, URL, Cloud, until
from tests.livekit_room import (
    AGENT,
    FINISHED,
    ROOM,
    STARTED,
    hum,
    joined,
    live,
    loudness,
    sfu,
    told,
    watching,
)
from tests.test_livekit_sessions import PICTURE
from tests.test_server_live import SIZE, LiveServer, serving
from vivant_client.errors import ClientError, RefusedError, UnreachableError
from vivant_client.livekit import AvatarSession

__all__ = ["live", "sfu"]  # fixtures
AVATAR = "vivant-avatar-agent"
_API_KEY = "a-key-of-the-tests-that-is-long-enough-for-anybody"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", URL), ("API_KEY", KEY), ("API_SECRET", SECRET)):
        monkeypatch.setenv(f"LIVEKIT_{name}", value)
    monkeypatch.delenv("VIVANT_URL", raising=False)
    monkeypatch.delenv("VIVANT_API_KEY", raising=False)


async def voiced(seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    for frame in hum(seconds, 24_000):
        yield frame


@asynccontextmanager
async def speaking(
    live: LiveServer,
    **wanted: Any,  # noqa: ANN401 - the plugin's
) -> AsyncIterator[tuple[AgentSession[None], AvatarSession]]:
    """Yields an agent that has a face, in a room."""
    session: AgentSession[None] = AgentSession()
    avatar = AvatarSession(api_url=f"http://{live.address}", **wanted)
    async with joined(AGENT, kind="agent") as room:
        await avatar.start(session, room=room)
        options = RoomOptions(audio_input=False, text_input=False)
        await session.start(Agent(instructions=""), room=room, room_options=options, record=False)
        await asyncio.wait_for(avatar.wait_for_join(), 60)
        try:
            yield session, avatar
        finally:
            await session.aclose()
            await avatar.aclose()


async def test_an_agent_speaks_through_a_portrait(live: LiveServer, sfu: Cloud) -> None:
    async with watching() as user, speaking(live, avatar_id="mona_lisa") as (session, avatar):
        assert isinstance(avatar, BaseAvatarSession)
        await until(lambda: user.sound and user.pictures)
        handle = session.say("A tone.", audio=voiced(0.6))
        await asyncio.wait_for(handle.wait_for_playout(), 60)
        assert not handle.interrupted
        assert [call.method for call in sfu.calls] == [STARTED, FINISHED]
        assert told(sfu.of(FINISHED)[0])["playback_position"] == pytest.approx(0.6, abs=0.03)
        await until(lambda: loudness(user) > 0.5 * 48_000)
        described = live.server.house.sessions.find(avatar.session_id or "").describe()
        assert described["portrait"] == "mona_lisa"
        assert avatar.provider == "vivant"
    await until(lambda: len(live.server.house.sessions) == 0)
    assert sfu.member(AVATAR) is None


async def test_an_interrupted_agent_falls_silent_and_goes_on(live: LiveServer, sfu: Cloud) -> None:
    async with speaking(live) as (session, _):
        handle = session.say("A long tone.", audio=voiced(8.0))
        await until(lambda: sfu.of(STARTED))
        await session.interrupt()
        await asyncio.wait_for(handle.wait_for_playout(), 60)
        assert handle.interrupted
        (end,) = sfu.of(FINISHED)
        assert told(end)["interrupted"] is True
        assert told(end)["playback_position"] < 6.0
        again = session.say("Another.", audio=voiced(0.3))
        await asyncio.wait_for(again.wait_for_playout(), 60)
        assert told(sfu.of(FINISHED)[1])["interrupted"] is False


async def test_the_token_lets_the_avatar_in_and_says_for_whom(live: LiveServer, sfu: Cloud) -> None:
    async with speaking(live, avatar_participant_identity="ada"):
        member = sfu.member("ada")
        assert member is not None
        assert member.claims["attributes"] == {"lk.publish_on_behalf": AGENT}
        assert member.claims["kind"] == "agent"
        assert member.claims["video"]["room"] == ROOM


async def test_a_picture_is_brought_along(live: LiveServer, sfu: Cloud, tmp_path: Path) -> None:
    del sfu
    picture = tmp_path / "me.jpg"
    picture.write_bytes(PICTURE)
    async with speaking(live, avatar_image=picture) as (_, avatar):
        described = live.server.house.sessions.find(avatar.session_id or "").describe()
        assert described["portrait"].startswith("upload-")


async def test_a_server_that_wants_a_key_is_given_it(
    tmp_path: Path, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(size=SIZE, cache_dir=tmp_path, port=0, require_key=True, api_key=_API_KEY)
    async with serving(settings) as live:
        with pytest.raises(RefusedError) as caught:
            async with speaking(live):
                pass
        assert caught.value.status == 401
        assert sfu.member(AVATAR) is None
        async with speaking(live, api_key=_API_KEY):
            assert sfu.member(AVATAR) is not None
        await until(lambda: sfu.member(AVATAR) is None)
        monkeypatch.setenv("VIVANT_API_KEY", _API_KEY)
        async with speaking(live):
            assert sfu.member(AVATAR) is not None


async def test_what_goes_wrong_is_said(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError, match="There is no portrait 'nobody'"):
        async with speaking(live, avatar_id="nobody"):
            pass
    assert sfu.member(AVATAR) is None
    with pytest.raises(ClientError, match="VIVANT_URL"):
        AvatarSession()
    with pytest.raises(ClientError, match="not the address of a server"):
        AvatarSession(api_url="127.0.0.1:8080")
    live.address = "127.0.0.1:9"
    with pytest.raises(UnreachableError):
        async with speaking(live):
            pass
    monkeypatch.delenv("LIVEKIT_API_SECRET")
    with pytest.raises(ClientError, match="LIVEKIT_API_SECRET is not set"):
        async with speaking(live):
            pass


class Job:
    """What the example needs of a job."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room

    async def connect(self) -> None:
        return


async def test_the_example_greets_with_a_face(
    live: LiveServer, sfu: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting = tmp_path / "hello.wav"
    with wave.open(str(greeting), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(b"".join(bytes(frame.data) for frame in hum(0.5, 24_000)))
    monkeypatch.setenv("GREETING", str(greeting))
    monkeypatch.setenv("VIVANT_URL", f"http://{live.address}")
    async with watching() as user, joined(AGENT, kind="agent") as room:
        await livekit_agent.entrypoint(Job(room))  # type: ignore[arg-type]
        await until(lambda: sfu.of(FINISHED))
        frames = [frame async for frame in audio_frames_from_file(str(greeting))]
        seconds = sum(frame.duration for frame in frames)  # their decoder leaves out the last
        end = told(sfu.of(FINISHED)[0])
        assert end == {
            "playback_position": pytest.approx(seconds, abs=0.002),
            "interrupted": False,
        }
        await until(lambda: loudness(user) > 0.5 * seconds * 48_000)
        assert np.concatenate(user.sound).any()


async def test_the_page_s_lines_give_a_face_in_the_agent_s_own_process(sfu: Cloud) -> None:
    page = (ROOT / "docs/livekit.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = [block for block in blocks if "def give_face" in block]
    names: dict[str, Any] = {}
    exec(compile(code, "docs/livekit.md", "exec"), names)
    session: AgentSession[None] = AgentSession()
    async with watching(), joined(AGENT, kind="agent") as room:
        runner = await names["give_face"](session, room)
        options = RoomOptions(audio_input=False, text_input=False)
        await session.start(Agent(instructions=""), room=room, room_options=options, record=False)
        handle = session.say("A tone.", audio=voiced(0.4))
        await asyncio.wait_for(handle.wait_for_playout(), 60)
        member = sfu.member(AGENT)
        assert member is not None
        names_of_tracks = {track.name for track in member.publications.values()}
        assert names_of_tracks == {"avatar_audio", "avatar_video"}
        await session.aclose()
        await runner.aclose()


def test_the_page_names_what_the_plugin_takes() -> None:
    page = (ROOT / "docs/livekit.md").read_text()
    for name in inspect.signature(AvatarSession.__init__).parameters:
        assert name == "self" or f"`{name}`" in page, name


def test_the_example_is_short() -> None:
    assert len(Path(livekit_agent.__file__ or "").read_text().splitlines()) <= 40
