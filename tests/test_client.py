"""The Python client against a live server: what it says, hears, sees, and what it raises."""

from __future__ import annotations

import asyncio
import hashlib
import re
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioice.ice
import numpy as np
import pytest
from PIL import Image

import vivant_client
from examples import add_portrait, push_audio, say
from server.config import Settings
from server.protocol import Failed
from tests.chat_stub import calls, chat_stub, writes
from tests.test_server_live import LiveServer, bar, serving
from vivant_client import (
    NoRoomError,
    Queued,
    RefusedError,
    SessionClosed,
    SessionEndedError,
    SpeakEnded,
    SpeakStarted,
    SubtitleDelta,
    UnknownEvent,
    UnreachableError,
    connect,
    resume,
)
from vivant_client.events import read_event

ROOT = Path(__file__).resolve().parent.parent
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.S)


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out; a test must not depend on the machine's network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with serving(house(tmp_path)) as live:
        yield url(live)


def house(folder: Path, **settings: Any) -> Settings:  # noqa: ANN401
    return Settings(size=256, max_sessions=1, queue_length=1, cache_dir=folder, port=0, **settings)


def url(live: LiveServer) -> str:
    return f"http://{live.address}"


def hum(seconds: float, rate: int = 16_000) -> np.ndarray[Any, np.dtype[np.float32]]:
    time = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)


async def test_what_is_said_is_seen_and_heard_at_the_media_time_that_events_tell(
    address: str,
) -> None:
    async with connect(address) as session, asyncio.TaskGroup() as group:
        started = group.create_task(session.wait_for(SpeakStarted))
        number = await session.speak("x" * 20)  # a second
        heard = group.create_task(first_loud(session))
        begin = (await started).media_time
        async for frame in session.frames():
            if bar(frame.image) > 0.5:
                break
        assert frame.image.shape == (256, 256, 3)
        assert abs(frame.media_time - begin) <= 2 * 640
        assert abs(await heard - begin) <= 2 * 320
        ended = await session.finished(number)
        assert ended.spoken_ms == pytest.approx(1000, abs=60) and not ended.interrupted
        assert await session.finished(number) == ended  # told again to who asks late


async def first_loud(session: vivant_client.Session) -> int:
    async for sound in session.sounds():
        assert sound.samples.shape == (960,) and sound.samples.dtype == np.float32
        if np.abs(sound.samples).max() > 0.1:
            return sound.media_time
    raise AssertionError("nothing was heard")


async def test_media_time_goes_on_evenly(address: str) -> None:
    async with connect(address) as session:
        times = []
        async for frame in session.frames():
            times.append(frame.media_time)
            if len(times) == 12:
                break
        assert set(np.diff(times)) <= {640, 1280}
        assert all(time % 640 == 0 for time in times)


@pytest.mark.parametrize("kind", ["float", "int16", "bytes", "stereo"])
async def test_pushed_sound_is_said_whatever_its_kind(address: str, kind: str) -> None:
    sound = hum(0.5)
    pcm = (sound * 32767).astype("<i2")
    samples: Any = {
        "float": sound,
        "int16": pcm,
        "bytes": pcm.tobytes(),
        "stereo": np.stack([sound, sound], 1),
    }[kind]
    async with connect(address, media=False) as session, asyncio.TaskGroup() as group:
        ended = group.create_task(session.wait_for(SpeakEnded))
        async with session.audio(16_000, channels=2 if kind == "stereo" else 1) as audio:
            await audio.push(samples)
        assert (await ended).spoken_ms == pytest.approx(500, abs=60)


async def test_a_live_voice_moves_the_mouth(address: str) -> None:
    async with connect(address) as session, asyncio.TaskGroup() as group:
        await session.microphone("puppet")
        speaking = group.create_task(session.push_voice(3 * hum(2.0, 44_100), rate=44_100))
        async with asyncio.timeout(10):
            async for frame in session.frames():
                if bar(frame.image) > 0.5:
                    break
        await speaking


async def test_an_interruption_and_captions_come_as_typed_events(address: str) -> None:
    async with connect(address, media=False) as session, asyncio.TaskGroup() as group:
        caption = group.create_task(session.wait_for(SubtitleDelta))
        number = await session.speak("x" * 100)
        assert (await caption).text.startswith("x")
        after = await session.interrupt()
        ended = await session.finished(number)
        assert ended.interrupted and ended.spoken_ms < 4000 and after > number


async def test_changes_gestures_and_motion_reach_the_session(address: str) -> None:
    async with connect(address, media=False) as session, asyncio.TaskGroup() as group:
        ready = group.create_task(session.wait_for(vivant_client.SessionReady))
        await asyncio.sleep(0)
        await session.update(voice="buzz", style={"emotion": "sad"})
        assert (await ready).voice == "buzz" and (await ready).style["emotion"] == "sad"
        assert await session.gesture("nod") >= 0
        failed = group.create_task(session.wait_for(Failed))
        await asyncio.sleep(0)
        await session.motion({"jawOpen": 0.5})
        await session.motion({"jaw": 0.5})
        assert "'jaw'" in (await failed).message


async def test_a_conversation_is_held_and_what_was_heard_of_it_is_told(address: str) -> None:
    async with connect(address, mode="converse", media=False) as session:
        assert await session.talk.say("Who are you?") == 1
        await session.wait_for(SpeakEnded)
        user, answer = await session.talk.history()
        assert user == {"role": "user", "turn": 1, "text": "Who are you?", "source": "text"}
        assert answer["text"] and not answer["interrupted"]
        manner = await session.talk.brain("off", prompt="Be brief.")
        assert (manner["brain"], manner["prompt"]) == ("off", "Be brief.")
        with pytest.raises(RefusedError, match="does not converse"):
            await session.talk.say("Are you there?")
        with pytest.raises(RefusedError, match="no brain 'chat' here"):
            await session.talk.brain("chat")


async def test_a_program_answers_for_itself_in_pieces(address: str) -> None:
    async with connect(address, media=False) as session, asyncio.TaskGroup() as group:
        await session.talk.brain("external")
        asked = group.create_task(session.wait_for(vivant_client.UserTranscript))
        await asyncio.sleep(0)
        await session.talk.say("Who are you?")
        assert (await asked).text == "Who are you?"
        ended = group.create_task(session.wait_for(SpeakEnded))
        async with session.talk.reply() as text:
            await text.write("<happy>I am an ag")
            await text.write("ent.")
        assert (await ended).spoken_characters == len("I am an agent")  # without the full stop
        answer = (await session.talk.history())[-1]
        assert answer["text"] == "I am an agent." and not answer["pending"]


async def test_a_tool_that_the_brain_calls_is_answered(tmp_path: Path) -> None:
    async with chat_stub(calls("look_up", '{"year": 1503}'), writes("It was Leonardo.")) as stub:
        settings = house(tmp_path, brain_url=stub.url)
        tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
        async with (
            serving(settings) as live,
            connect(url(live), mode="converse", media=False) as session,
            asyncio.TaskGroup() as group,
        ):
            await session.talk.brain(tools=[tool])
            called = group.create_task(session.wait_for(vivant_client.BrainToolCall))
            await asyncio.sleep(0)
            await session.talk.say("Who painted you?")
            call = await called
            assert (call.name, call.arguments) == ("look_up", '{"year": 1503}')
            ended = group.create_task(session.wait_for(SpeakEnded))
            await session.talk.give_result(call.call_id, "Leonardo da Vinci")
            await ended
    assert stub.requests[1]["messages"][-1]["content"] == "Leonardo da Vinci"


async def test_a_transparent_picture_is_told_with_its_matte(address: str) -> None:
    async with connect(address, background="transparent") as session:
        async for frame in session.frames():
            rgba = frame.rgba
            break
        assert rgba.shape == (256, 256, 4)
        assert rgba[128, 2, 3] < 10 and rgba[128, 128, 3] > 245


async def test_refusals_are_exceptions_with_the_servers_sentence(address: str) -> None:
    with pytest.raises(RefusedError, match="nobody") as caught:
        async with connect(address, voice="nobody"):
            pass
    assert (caught.value.code, caught.value.status) == ("unknown_voice", 422)
    async with connect(address, media=False) as session:
        with pytest.raises(RefusedError, match="There is no text to speak"):
            await session.speak("  ")
        with pytest.raises(RefusedError, match="dance"):
            await session.gesture("dance")
        with pytest.raises(vivant_client.ClientError, match="without media"):
            await session.push_voice(hum(0.1), rate=16_000)
        with pytest.raises(vivant_client.ClientError, match="not a number"):
            async with session.audio(16_000) as audio:
                await audio.push(np.array([np.nan], np.float32))


async def test_what_cannot_be_reached_is_said() -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        async with connect("http://127.0.0.1:9"):
            pass
    with pytest.raises(vivant_client.ClientError, match="'ftp://here' is not the address"):
        connect("ftp://here")


async def test_a_full_house_is_waited_for_and_a_full_line_is_told(address: str) -> None:
    places: list[Queued] = []
    async with asyncio.TaskGroup() as group, asyncio.timeout(20):
        async with connect(address, media=False):
            entering = asyncio.Event()

            async def come_later() -> str:
                def note(place: Queued) -> None:
                    places.append(place)
                    entering.set()

                async with connect(address, media=False, on_queued=note) as late:
                    return late.ready.portrait

            waiting = group.create_task(come_later())
            await entering.wait()
            with pytest.raises(NoRoomError) as caught:
                async with connect(address):
                    pass
            assert caught.value.retry_after > 0 and caught.value.code == "capacity"
        assert await waiting == "mona_lisa"
    assert places[0].position == 1


async def test_a_session_that_was_kept_is_resumed(address: str) -> None:
    async with connect(address, keep=True) as session:
        number = await session.speak("x" * 60)
        await session.wait_for(SpeakStarted)
    async with resume(address, session.id, session.token) as back:
        assert back.id == session.id
        assert not (await back.finished(number)).interrupted
    with pytest.raises(RefusedError) as caught:
        async with resume(address, session.id, session.token):
            pass
    assert caught.value.code == "session_gone"


async def test_the_end_of_a_session_is_told_to_whoever_waits(tmp_path: Path) -> None:
    async with (
        serving(house(tmp_path)) as live,
        connect(url(live)) as session,
        asyncio.TaskGroup() as group,
    ):
        last = group.create_task(events_of(session))
        watching = group.create_task(until_ended(session))
        await asyncio.sleep(0)
        await live.client.delete(f"/v1/sessions/{session.id}")
        assert (await last)[-1] == SessionClosed("client")
        await watching
        with pytest.raises(SessionEndedError, match="has ended"):
            await session.finished(77)
        with pytest.raises(SessionEndedError):
            await session.motion({})


async def events_of(session: vivant_client.Session) -> list[vivant_client.ServerEvent]:
    return [event async for event in session.events()]


async def until_ended(session: vivant_client.Session) -> None:
    async for _ in session.frames():
        pass


async def test_an_error_of_the_caller_comes_out_as_it_is(tmp_path: Path) -> None:
    async with serving(house(tmp_path)) as live:
        with pytest.raises(KeyError, match="mine"):
            async with connect(url(live)) as session:
                raise KeyError("mine")
        answer = await live.client.get(f"/v1/sessions/{session.id}")
        assert answer.status_code == 404  # it was given back


def test_events_of_a_newer_server_are_no_error() -> None:
    assert read_event('{"type":"dance","step":2}') == UnknownEvent("dance", {"step": 2})
    assert read_event('{"type":"agent.speak_started","utterance":1}') == UnknownEvent(
        "agent.speak_started", {"utterance": 1}
    )
    newer = '{"type":"agent.speak_started","utterance":1,"media_time":2,"mood":3}'
    assert read_event(newer) == SpeakStarted(1, 2)
    assert read_event("[1]") is read_event("{") is read_event('{"type":1}') is None


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
async def test_the_pages_examples_run(snippet: str, address: str) -> None:
    assert snippet.endswith("asyncio.run(main())\n")
    code = snippet.removesuffix("asyncio.run(main())\n").replace("http://127.0.0.1:8080", address)
    names: dict[str, Any] = {}
    exec(code, names)
    async with asyncio.timeout(20):
        await names["main"]()


async def test_the_examples_run(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "said.png"
    await say.main(address, "Hello there.", str(picture))
    assert picture.stat().st_size > 100
    file = tmp_path / "speech.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes((hum(0.4) * 32767).astype("<i2").tobytes())
    await push_audio.main(address, str(file))
    printed = capsys.readouterr().out
    assert "Hello" in printed and "heard 0.4 s" in printed


def png(path: Path, shade: int) -> Path:
    Image.new("RGB", (120, 90), (shade, shade, shade)).save(path)
    return path


async def test_portraits_are_looked_at_kept_renamed_and_deleted(
    address: str, tmp_path: Path
) -> None:
    picture = png(tmp_path / "aunt.png", 120)
    async with vivant_client.Portraits(address) as portraits:
        found = await portraits.preview(picture)
        assert (found.accepted, found.code, found.width, found.height) == (True, "ok", 120, 90)
        assert found.frame == (15, 0, 90, 90)
        assert found.landmarks.shape == (478, 2)
        part = await portraits.preview(picture.read_bytes(), crop=(10, 10, 50, 60))
        assert part.frame == (10, 15, 50, 50)
        before = await portraits.all()
        unsaid = await portraits.add(picture, crop=(10, 10, 50, 60))
        assert (unsaid.kept, len(unsaid.notices)) == (False, 1)
        added = await portraits.add(
            picture, crop=(10, 10, 50, 60), rights="generated-face", note="drawn", keep=True
        )
        assert (added.name, added.builtin, added.kept, added.notices) == ("aunt", False, True, ())
        said = await portraits.rights(added.id)
        assert (said.rights, said.note, said.who) == ("generated-face", "drawn", "local")
        assert said.picture_sha256 == hashlib.sha256(picture.read_bytes()).hexdigest()
        assert said.portrait_sha256 != said.picture_sha256, "only a part is kept"
        renamed = await portraits.rename(added.id, "Mary")
        assert [*before, renamed] == await portraits.all()
        await portraits.delete(added.id)
        assert await portraits.all() == before
        with pytest.raises(RefusedError) as caught:
            await portraits.delete(before[0].id)
        assert caught.value.code == "forbidden"
        night = await portraits.preview(png(tmp_path / "night.png", 0))
        assert (night.accepted, night.code, night.frame) == (False, "no_face", None)
        assert night.landmarks.shape == (0, 2)


async def test_the_example_of_a_portrait_runs(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await add_portrait.main(address, str(png(tmp_path / "aunt.png", 60)), "Aunt Mary")
    assert "Note: A fake." in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"night\.png: There is no face"):
        await add_portrait.main(address, str(png(tmp_path / "night.png", 0)))
