"""LiveKit Agents' contract with an avatar, held against their real package in a room in memory."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from server.config import Settings
from server.livekit import presence, speech
from server.livekit.contract import read_format
from server.protocol import ProtocolError
from tests.livekit_cloud import Cloud, until
from tests.livekit_room import (
    AGENT,
    AVATAR,
    FINISHED,
    STARTED,
    Watcher,
    agent,
    hum,
    invited,
    joined,
    live,
    loudness,
    sfu,
    told,
    watching,
)
from tests.test_server_live import SIZE, LiveServer, serving

__all__ = ["live", "sfu"]  # fixtures
CLEAR = "lk.clear_buffer"


def test_the_versions_of_the_packages_are_told() -> None:
    for name in ("livekit-agents", "livekit", "livekit-api"):
        print(f"{name} {importlib.metadata.version(name)}")  # noqa: T201 - for who reads the log
    assert importlib.metadata.version("livekit-agents") >= "1.8"


@pytest.mark.parametrize(
    ("rate", "channels"), [(16_000, 1), (24_000, 1), (48_000, 1), (24_000, 2), (48_000, 2)]
)
async def test_a_segment_is_heard_and_seen_and_its_end_is_told(
    live: LiveServer, sfu: Cloud, rate: int, channels: int
) -> None:
    async with watching() as user, agent() as speaker:
        opened = await invited(live)
        assert opened["identity"] == AVATAR
        await until(lambda: user.sound and user.pictures)
        await speaker.say(1.0, rate, channels)
        event = await speaker.end()
        assert not event.interrupted
        assert event.playback_position == pytest.approx(1.0, abs=0.001)
        assert speaker.started == 1
        assert [call.method for call in sfu.calls] == [STARTED, FINISHED]
        assert {call.target for call in sfu.calls} == {AGENT}
        await until(lambda: loudness(user) > 0.9 * 48_000)
        assert loudness(user) == pytest.approx(48_000, rel=0.06)
        assert pitch(user) == pytest.approx(220, abs=3)
        assert user.pictures[0].shape == (SIZE, SIZE, 3)
        assert max(picture.max() for picture in user.pictures[-20:]) > 200  # the mouth opened


def pitch(watcher: Watcher) -> float:
    """Returns the frequency of most of what was heard, in Hz."""
    heard = np.concatenate(watcher.sound).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard))
    return float(np.argmax(spectrum)) * 48_000 / len(heard)


async def test_segments_are_heard_one_after_the_other(live: LiveServer, sfu: Cloud) -> None:
    async with agent() as speaker:
        await invited(live)
        for seconds in (0.3, 0.2, 0.4):
            await speaker.say(seconds)
        await speaker.end()
        assert [call.method for call in sfu.calls] == 3 * [STARTED, FINISHED]
        positions = [event.playback_position for event in speaker.finished]
        assert positions == pytest.approx([0.3, 0.2, 0.4], abs=0.001)
        assert not any(event.interrupted for event in speaker.finished)


async def test_tracks_are_published_as_avatars_do_and_never_without_a_picture(
    live: LiveServer, sfu: Cloud
) -> None:
    async with watching() as user:
        began = time.monotonic()
        await invited(live)
        await until(lambda: len(sfu.subscribed) == 2)
        ready = time.monotonic() - began
        avatar = sfu.member(AVATAR)
        assert avatar is not None
        voice, face = avatar.publications.values()
        assert (voice.name, voice.source) == ("avatar_audio", rtc.TrackSource.SOURCE_MICROPHONE)
        assert (face.name, face.source) == ("avatar_video", rtc.TrackSource.SOURCE_CAMERA)
        assert not face.options.simulcast
        # The agent speaks once it sees the face: whoever is there must hear the voice by then.
        assert [name for name, _ in sfu.subscribed] == ["avatar_audio", "avatar_video"]
        # What is published has a picture already: no green frame.
        assert sfu.captured[face.track][0] < sfu.published[face.sid]
        await until(lambda: len(user.pictures) > 3)
        assert all(picture.any() for picture in user.pictures)
        print(f"from the call to the face: {ready:.2f} s")  # noqa: T201 - for who reads the log


async def test_the_mouth_opens_and_closes_with_the_sound(live: LiveServer, sfu: Cloud) -> None:
    async with watching() as user, agent() as speaker:
        await invited(live)
        await until(lambda: user.sound and user.pictures)
        offsets: list[float] = []
        for _ in range(7):
            pictures, sounds = len(user.pictures), len(user.sound)
            await speaker.say(0.4)
            await speaker.end()
            await asyncio.sleep(0.3)
            opened = [picture[-1, SIZE // 2].max() > 160 for picture in user.pictures[pictures:]]
            loud = [int(np.abs(sound).max()) > 1000 for sound in user.sound[sounds:]]
            seen, heard = user.seen[pictures:], user.heard[sounds:]
            for edge in (1, -1):  # the first and the last that are
                picture = seen[::edge][opened[::edge].index(True)]
                sound = heard[::edge][loud[::edge].index(True)]
                # The last picture stays for its 40 ms, the last sound is 10 ms long.
                offsets.append(picture - sound + (0 if edge == 1 else 0.03))
        assert sfu.member(AVATAR) is not None
        middle = sorted(offsets)[len(offsets) // 2]
        print(f"picture behind sound: {1000 * middle:.0f} ms in the middle")  # noqa: T201
        assert abs(middle) < 0.06  # ITU-R BT.1359: 45 ms before, 125 ms behind go unnoticed


async def test_an_avatar_that_is_not_spoken_to_stays_until_it_has_been_quiet_for_long(
    tmp_path: Path, sfu: Cloud
) -> None:
    settings = Settings(size=SIZE, cache_dir=tmp_path, port=0, idle_timeout=0.5, quiet_timeout=4.0)
    async with serving(settings) as live, agent() as speaker:
        opened = await invited(live)
        await speaker.say(0.2)
        await speaker.end()
        await asyncio.sleep(2.0)  # somebody is connected: the agent
        assert live.server.house.sessions.get(opened["session_id"]) is not None
        await until(lambda: sfu.member(AVATAR) is None)


async def test_an_empty_room_is_waited_for_no_longer_than_a_while(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.livekit.visit._EMPTY", 0.2)
    await invited(live)
    avatar = sfu.member(AVATAR)
    assert avatar is not None
    await until(lambda: len(avatar.publications) == 2)
    assert sfu.subscribed == []


async def test_a_cleared_buffer_is_silent_at_once_and_its_position_told(
    live: LiveServer, sfu: Cloud
) -> None:
    async with watching() as user, agent() as speaker:
        await invited(live)
        await until(lambda: user.sound and user.pictures)
        for attempt in range(5):
            await speaker.say(5.0)
            await until(lambda: speaker.started > attempt)  # noqa: B023
            await asyncio.sleep(0.1 + 0.13 * attempt)
            speaker.output.clear_buffer()
            event = await speaker.end()
            assert event.interrupted
            assert len(speaker.finished) == attempt + 1
            await until(lambda: is_silent(user))
            assert 0.05 < event.playback_position < 4.0
        waits = [seconds for method, seconds in sfu.answered if method == CLEAR]
        assert len(waits) == 5
        print(f"clear_buffer answered in {1000 * max(waits):.1f} ms")  # noqa: T201
        assert sorted(waits)[2] < 0.1  # the median: a busy machine is late, not wrong
        # The packet in which it falls silent is not counted, and pieces of 10 ms are.
        told_of = sum(event.playback_position for event in speaker.finished)
        assert loudness(user) / 48_000 == pytest.approx(told_of, abs=5 * 0.03)


def is_silent(watcher: Watcher) -> bool:
    """Whether the last 300 ms were."""
    return not any(np.abs(piece).max() > 1000 for piece in watcher.sound[-30:])


async def test_all_that_waits_is_cleared_and_every_end_is_told(
    live: LiveServer, sfu: Cloud
) -> None:
    async with agent() as speaker:
        await invited(live)
        for _ in range(3):
            await speaker.say(2.0)
        await until(lambda: speaker.started == 1)
        speaker.output.clear_buffer()
        await speaker.end()
        assert [event.interrupted for event in speaker.finished] == [True] * 3
        assert [event.playback_position for event in speaker.finished][1:] == [0, 0]
        await speaker.say(0.2)  # and the next is heard as if nothing had been
        event = await speaker.end()
        assert not event.interrupted
        assert event.playback_position == pytest.approx(0.2, abs=0.001)
        assert len(sfu.of(FINISHED)) == 4


async def test_what_is_sent_after_a_clear_in_the_same_stream_is_not_heard(
    live: LiveServer, sfu: Cloud
) -> None:
    async with agent() as speaker:
        await invited(live)
        frames = list(hum(2.0, 24_000))
        for frame in frames[:20]:
            await speaker.output.capture_frame(frame)
        await until(lambda: speaker.started == 1)
        speaker.output.clear_buffer()
        await until(lambda: speaker.finished)
        for frame in frames[20:]:
            await speaker.output.capture_frame(frame)
        speaker.output.flush()
        await speaker.say(0.2)
        await until(lambda: len(speaker.finished) == 2)
        assert [event.interrupted for event in speaker.finished] == [True, False]
        assert told(sfu.of(FINISHED)[1])["playback_position"] == pytest.approx(0.2, abs=0.001)


async def test_an_end_that_got_lost_holds_up_nothing(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "IDLE", 1.0)
    sfu.loses_trailers = True
    async with agent() as speaker:
        await invited(live)
        await speaker.say(0.2)
        await speaker.say(0.3)
        await speaker.end()
        assert [event.playback_position for event in speaker.finished] == pytest.approx(
            [0.2, 0.3], abs=0.001
        )


async def test_a_slow_voice_is_waited_for(live: LiveServer, sfu: Cloud) -> None:
    async with agent() as speaker:
        await invited(live)
        for frame in hum(0.5, 24_000):
            await speaker.output.capture_frame(frame)
            await asyncio.sleep(0.1)  # twice as long as it is
        speaker.output.flush()
        event = await speaker.end()
        assert event.playback_position == pytest.approx(0.5, abs=0.001)  # silence is not counted
        assert len(sfu.of(STARTED)) == 1


async def test_a_call_that_fails_is_made_again(live: LiveServer, sfu: Cloud) -> None:
    sfu.fails = {STARTED: 1, FINISHED: 2}
    async with agent() as speaker:
        await invited(live)
        await speaker.say(0.2)
        await speaker.end()
        assert speaker.started == 1
        assert [call.method for call in sfu.calls] == [STARTED, FINISHED]


async def test_an_agent_that_does_not_want_to_know_the_beginning_is_told_the_end(
    live: LiveServer, sfu: Cloud
) -> None:
    async with agent(wait_playback_start=False) as speaker:
        await invited(live)
        for _ in range(2):
            await speaker.say(0.2)
            await speaker.end()
        assert [call.method for call in sfu.calls] == [STARTED, FINISHED, FINISHED]


async def test_nobody_else_speaks_through_the_avatar_or_stops_it(
    live: LiveServer, sfu: Cloud
) -> None:
    async with joined("the-intruder") as intruder, agent() as speaker:
        await invited(live)
        await until(lambda: sfu.member(AVATAR))
        writer = await intruder.local_participant.stream_bytes(
            name="AUDIO_1",
            topic="lk.audio_stream",
            destination_identities=[AVATAR],
            attributes={"sample_rate": "24000", "num_channels": "1"},
        )
        await writer.write(bytes(48_000))
        await writer.aclose()
        await speaker.say(0.6)
        await until(lambda: speaker.started == 1)
        answer = await intruder.local_participant.perform_rpc(
            destination_identity=AVATAR, method=CLEAR, payload=""
        )
        assert answer == "reject"
        event = await speaker.end()
        assert not event.interrupted
        assert len(sfu.of(FINISHED)) == 1


@pytest.mark.parametrize(
    "attributes",
    [{}, {"sample_rate": "24000"}, {"sample_rate": "4000", "num_channels": "1"}],
)
async def test_a_stream_that_cannot_be_read_has_an_end_too(
    live: LiveServer, sfu: Cloud, attributes: dict[str, str]
) -> None:
    async with joined(AGENT, kind="agent") as room:
        await invited(live)
        room.local_participant.register_rpc_method(FINISHED, lambda _: "ok")
        writer = await room.local_participant.stream_bytes(
            name="AUDIO_1",
            topic="lk.audio_stream",
            destination_identities=[AVATAR],
            attributes=attributes,
        )
        await writer.write(bytes(4800))
        await writer.aclose()
        await until(lambda: sfu.of(FINISHED))
        assert told(sfu.of(FINISHED)[0]) == {"playback_position": 0.0, "interrupted": True}


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        {"sample_rate": "24000", "num_channels": ""},
        {"sample_rate": "-1", "num_channels": "1"},
        {"sample_rate": "9999999", "num_channels": "1"},
        {"sample_rate": "24e3", "num_channels": "1"},
    ],
)
def test_attributes_that_say_no_format_are_refused(attributes: dict[str, str] | None) -> None:
    with pytest.raises(ProtocolError, match=r"A stream's attribute"):
        read_format(attributes)
    assert read_format({"sample_rate": "24000", "num_channels": "2"}).frame == 4


async def test_the_avatar_leaves_when_its_agent_does(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_RETURNS", 100_000_000)
    async with agent() as speaker:
        opened = await invited(live)
        await speaker.say(0.2)
        await speaker.end()
    await until(lambda: sfu.member(AVATAR) is None)
    await until(lambda: live.server.house.sessions.get(opened["session_id"]) is None)


async def test_an_agent_that_comes_back_finds_its_avatar(live: LiveServer, sfu: Cloud) -> None:
    async with joined(AGENT, kind="agent"):
        await invited(live)
    async with agent() as speaker:
        await speaker.say(0.2)
        assert (await speaker.end()).playback_position == pytest.approx(0.2, abs=0.001)


async def test_an_avatar_whose_agent_never_comes_leaves(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_COMES", 300_000_000)
    opened = await invited(live)
    await until(lambda: live.server.house.sessions.get(opened["session_id"]) is None)
    assert sfu.member(AVATAR) is None


@pytest.mark.parametrize("gone", ["room", "avatar"])
async def test_the_session_ends_with_the_room_and_when_the_avatar_is_sent_away(
    live: LiveServer, sfu: Cloud, gone: str
) -> None:
    async with agent() as speaker:
        opened = await invited(live)
        await speaker.say(2.0)
        await until(lambda: speaker.started)
        if gone == "room":
            sfu.close_room("studio")
        else:  # as LiveKit's base class of plugins does at the end of a job
            sfu.lose(AVATAR)
        await until(lambda: live.server.house.sessions.get(opened["session_id"]) is None)


async def test_another_avatar_of_the_same_name_takes_its_place(
    live: LiveServer, sfu: Cloud
) -> None:
    async with agent() as speaker:
        first = await invited(live)
        await until(lambda: len(sfu.subscribed) == 2)
        second = await invited(live)  # as a client does that was not answered in time
        await until(lambda: live.server.house.sessions.get(first["session_id"]) is None)
        await until(lambda: len(sfu.subscribed) == 4)
        await speaker.say(0.2)
        assert (await speaker.end()).playback_position == pytest.approx(0.2, abs=0.001)
        assert live.server.house.sessions.get(second["session_id"]) is not None


@pytest.mark.parametrize("way", ["delete", "shutdown", "interrupt"])
async def test_the_end_of_what_is_said_is_told_however_it_ends(
    live: LiveServer, sfu: Cloud, way: str
) -> None:
    async with agent() as speaker:
        opened = await invited(live)
        await speaker.say(2.0)
        await speaker.say(1.0)
        await until(lambda: speaker.started)
        session_id = opened["session_id"]
        if way == "delete":
            answer = await live.client.delete(f"/v1/livekit/sessions/{session_id}")
            assert answer.status_code == 204
        elif way == "shutdown":
            live.server.end()
        else:
            await live.client.post(f"/v1/sessions/{session_id}/interrupt")
        await speaker.end()
        assert [event.interrupted for event in speaker.finished] == [True, True]
        assert speaker.finished[0].playback_position < 1.9
        if way != "interrupt":
            await until(lambda: sfu.member(AVATAR) is None)


async def test_a_session_that_fails_tells_the_end_of_what_it_said(
    live: LiveServer, sfu: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(closing: asyncio.Event) -> None:
        del closing
        raise RuntimeError("the stage is on fire")

    async with agent() as speaker:
        opened = await invited(live)
        await speaker.say(2.0)
        await speaker.say(1.0)
        await until(lambda: speaker.started)
        session = live.server.house.sessions.find(opened["session_id"])
        await session.accompany(fail)
        await speaker.end()
        assert [event.interrupted for event in speaker.finished] == [True, True]
        await until(lambda: sfu.member(AVATAR) is None)
        assert session.reason == "failed"
        assert "the stage is on fire" in caplog.text


async def test_a_room_that_takes_no_tracks_is_left(live: LiveServer, sfu: Cloud) -> None:
    sfu.publishing = "insufficient permissions to publish"
    opened = await invited(live)
    await until(lambda: live.server.house.sessions.get(opened["session_id"]) is None)
    assert sfu.member(AVATAR) is None


async def test_what_others_say_through_the_session_is_not_the_agents(
    live: LiveServer, sfu: Cloud
) -> None:
    async with watching() as user, agent() as speaker:
        opened = await invited(live)
        await until(lambda: len(sfu.subscribed) == 4 or len(user.pictures) > 2)
        path = f"/v1/sessions/{opened['session_id']}/speak"
        assert (await live.client.post(path, json={"text": "Hello."})).status_code == 202
        await until(lambda: loudness(user) > 4_800)
        await asyncio.sleep(0.5)
        assert sfu.calls == []
        await speaker.say(0.2)
        assert (await speaker.end()).playback_position == pytest.approx(0.2, abs=0.001)
        assert np.concatenate(user.sound).any()
