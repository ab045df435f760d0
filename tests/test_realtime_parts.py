"""The parts of the Realtime API without a server: sound, items, settings."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import numpy as np
import pytest
import soxr

from server.converse.brain import ToolCall
from server.microphone_track import MicrophoneFrame
from server.realtime.audio import Dictation, Downsampler, Intake
from server.realtime.events import BYTES_PER_SECOND, EventError, NewItem, Part
from server.realtime.items import Item, Items, item_of
from server.realtime.settings import Settings, changed, for_response
from tests.test_vad import vowel
from tests.virtual_time import VirtualClock

SECOND = 1_000_000_000  # ns
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


async def test_sound_that_comes_at_once_is_heard_as_a_microphone_would_bring_it() -> None:
    clock = VirtualClock()
    heard: list[tuple[int, MicrophoneFrame]] = []
    intake = Intake(clock, lambda frame: heard.append((clock.now(), frame)))
    pcm = np.arange(3 * BYTES_PER_SECOND // 2, dtype="<i2").tobytes()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(intake.run())
        await clock.run_until(SECOND)
        began = clock.now()
        for start in range(0, len(pcm), 4_801):  # pieces of odd size
            intake.push(pcm[start : start + 4_801])
        await clock.run_until(began + 5 * SECOND)
        running.cancel()
    assert b"".join(frame.pcm for _, frame in heard) == pcm
    assert intake.given == len(pcm)
    assert {(frame.sample_rate, frame.channels) for _, frame in heard} == {(24_000, 1)}
    instants = [at - began for at, _ in heard]
    assert instants[:10] == [0] * 10  # what a stalled network may bring at once: 200 ms
    assert instants[-1] == pytest.approx(2.8 * SECOND, abs=SECOND // 25)
    assert max(np.diff(instants)) <= SECOND // 50


async def test_more_than_two_minutes_do_not_wait() -> None:
    intake, dictation = Intake(VirtualClock(), lambda _: None), Dictation()
    for buffer in (intake, dictation):
        for _ in range(120):
            buffer.push(bytes(BYTES_PER_SECOND))
        with pytest.raises(EventError, match=r"120\.0 s of audio would wait; at most 120 s may\."):
            buffer.push(bytes(2))
        buffer.clear()
        buffer.push(bytes(2))


def test_dictated_speech_is_whole_whatever_its_pieces() -> None:
    speech = vowel(0.5)
    pcm = (soxr.resample(speech, 16_000, 24_000) * 32767).astype("<i2").tobytes()
    dictation = Dictation()
    for start in range(0, len(pcm), 1_001):
        dictation.push(pcm[start : start + 1_001])
    got, seconds = dictation.commit()
    assert seconds == pytest.approx(0.5)
    assert len(got) == len(speech)
    assert np.corrcoef(got, speech)[0, 1] > 0.99
    with pytest.raises(EventError, match="holds 0 ms"):
        dictation.commit()


def test_sound_is_halved_to_the_sample() -> None:
    time = np.arange(48_000) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    downsampler = Downsampler()
    pcm = (
        b"".join(downsampler.push(piece) for piece in tone.reshape(-1, 960)) + downsampler.finish()
    )
    got = np.frombuffer(pcm, "<i2") / 32767
    assert len(got) == 24_000
    assert np.abs(got - tone[::2])[480:-480].max() < 1e-3


def test_a_brain_is_told_calls_with_their_results() -> None:
    items = Items()
    call, late = ToolCall("a", "weather", "{}"), ToolCall("b", "time", "{}")
    for item in (
        Item("1", "system", "Be kind."),
        Item("2", "user", "Rain?"),
        Item("3", "user", None, is_spoken=True),  # not understood yet
        Item("4", "assistant", "I look.", written="<happy>I look."),
        Item("5", call=call),
        Item("6", call=late),
        Item("7", call_id="a", output="no"),
        Item("8", "assistant", "", is_spoken=True, status="incomplete"),  # never heard
        Item("9", "assistant", "It is", status="incomplete"),
    ):
        items.add(item)
    told = [(each.role, each.content, each.tool_call_id) for each in items.messages()]
    assert told == [
        ("system", "Be kind.", None),
        ("user", "Rain?", None),
        ("assistant", "<happy>I look.", None),
        ("tool", "no", "a"),
        ("tool", '{"error": "no result"}', "b"),
        ("assistant", "It is [interrupted]", None),
    ]
    assert items.messages()[2].tool_calls == (call, late)


def test_items_have_their_places() -> None:
    items = Items()
    assert items.add(Item("a", "user", "A")) is None
    assert items.add(Item("c", "user", "C")) == "a"
    assert items.add(Item("b", "user", "B"), "a") == "a"
    assert items.add(Item("first", "system", "S"), "root") is None
    assert [message.content for message in items.messages()] == ["S", "A", "B", "C"]
    with pytest.raises(EventError, match="an item 'a' already"):
        items.add(Item("a"))
    with pytest.raises(EventError, match="no item 'z'"):
        items.add(Item("d"), "z")
    items.delete("b")
    assert [message.content for message in items.messages()] == ["S", "A", "C"]


@pytest.mark.parametrize(
    ("new", "piece"),
    [
        (NewItem(type="message"), "no 'role'"),
        (NewItem(type="message", role="user"), "no 'content'"),
        (NewItem(type="message", role="user", content=[Part(type="input_audio")]), "'input_audio'"),
        (NewItem(type="function_call"), "no 'call_id'"),
        (NewItem(type="function_call", call_id="a"), "no 'name'"),
        (NewItem(type="function_call_output", call_id="a"), "no 'output'"),
        (NewItem(type="function_call_output", call_id="a", output="x" * 100_001), "100,001"),
    ],
)
def test_an_item_that_is_not_whole_is_refused(new: NewItem, piece: str) -> None:
    with pytest.raises(EventError, match=piece):
        item_of(new, "item_1")


def test_a_setting_that_is_left_out_stays() -> None:
    settings, voice = changed(
        Settings("Be brief."),
        {
            "type": "realtime",
            "tools": [TOOL],
            "tracing": "auto",  # what only OpenAI has is passed over
            "max_output_tokens": 100,
            "audio": {
                "input": {"turn_detection": {"type": "semantic_vad", "create_response": False}},
                "output": {"voice": {"id": "joe"}},
            },
        },
    )
    assert voice == "joe"
    assert settings.chat_tools() == (
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}},
    )
    told = settings.describe(session_id="s", model="m", voice="joe")
    assert told["instructions"] == "Be brief."
    assert told["max_output_tokens"] == "inf"  # what is in force
    detection = told["audio"]["input"]["turn_detection"]
    assert (detection["type"], detection["create_response"]) == ("server_vad", False)
    after, _ = changed(settings, {"type": "realtime", "tools": [], "instructions": ""})
    assert (after.tools, after.instructions, after.answers_turns) == ((), "", False)
    one, metadata = for_response(settings, {"tool_choice": "none", "metadata": {"a": "b"}})
    assert one.chat_tools() == ()
    assert metadata == {"a": "b"}
    assert settings.chat_tools()


@pytest.mark.parametrize(
    ("wanted", "piece"),
    [
        ({"tool_choice": "required"}, "'required'"),
        ({"tools": [{"type": "function"}]}, "None"),
        ({"instructions": 7}, "not 7"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}, "16000"),
        ({"audio": {"input": {"turn_detection": {"type": "magic"}}}}, "'magic'"),
    ],
)
def test_a_setting_that_cannot_be_had_is_refused_with_its_value(
    wanted: dict[str, object], piece: str
) -> None:
    with pytest.raises(EventError, match=piece):
        changed(Settings(""), {"type": "realtime", **wanted})


def test_the_server_does_without_openai_s_package() -> None:
    code = "import sys, server.api, server.realtime.routes; print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
