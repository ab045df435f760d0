"""OpenAI's Realtime API, spoken by OpenAI's own package to a live server of this repository."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import re
import wave
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import openai
import pytest
from websockets import Origin, Subprotocol
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from examples import openai_realtime
from server.config import Settings
from server.converse.making import make_talk
from server.converse.talk import Talk
from server.converse.transcriber import TranscriptionError
from tests.chat_stub import HEAD, Behaviour, Stub, answers, calls, chat_stub, sends, writes
from tests.realtime_client import RATE, RealtimeClient, checked, realtime
from tests.test_conversation import VOCABULARY, ScriptedTranscriber
from tests.test_converse_live import Witness, heard_in, on_loopback, witnessed, word_parts, words_of
from tests.test_server_live import LiveServer, bar, serving
from tests.test_vad import vowel
from tests.words_voice import WordVoice
from vivant_client import SpeakEnded, SpeakStarted, UserTranscript, connect

__all__ = ["on_loopback"]  # a fixture for every test here
VOICE = WordVoice("words", VOCABULARY)
LONG = "Alpha bravo charlie delta. Echo foxtrot golf hotel. India juliett kilo lima. Mike november."
CUT = " ".join([LONG] * 4)  # a busy machine is late with the cut
SPOKEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
SPEECH = np.concatenate([vowel(0.8), np.zeros(16_000, np.float32)])
TOOL = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@dataclasses.dataclass
class House:
    """A live server with a chat server behind it, and ears that understand what they are told."""

    live: LiveServer
    brain: Stub
    ears: ScriptedTranscriber


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> ScriptedTranscriber:
    ears = ScriptedTranscriber()

    def make(settings: Settings) -> Talk:
        return dataclasses.replace(make_talk(settings), transcriber=ears)

    monkeypatch.setattr("server.app.make_talk", make)
    return ears


@asynccontextmanager
async def house(
    tmp_path: Path, ears: ScriptedTranscriber, *replies: str | Behaviour
) -> AsyncIterator[House]:
    behaviours = [writes(each) if isinstance(each, str) else each for each in replies]
    async with chat_stub(*behaviours) as brain:
        settings = Settings(
            size=256, cache_dir=tmp_path, port=0, brain_url=brain.url, brain_fallback="Sorry."
        )
        async with serving(settings, word_parts(settings, VOICE)) as live:
            yield House(live, brain, ears)


async def status(live: LiveServer, session_id: str) -> int:
    return (await live.client.get(f"/v1/sessions/{session_id}")).status_code


def told(brain: Stub, index: int = -1) -> list[tuple[str, str]]:
    """Returns (role, content) of what the brain was told, less the system prompt."""
    messages = brain.requests[index]["messages"]
    assert messages[0]["role"] == "system"
    return [(message["role"], message["content"]) for message in messages[1:]]


def test_the_version_of_the_package_is_told() -> None:
    print(f"openai {openai.__version__}")  # noqa: T201 - for whoever reads the log with `-s`
    assert int(openai.__version__.split(".")[0]) >= 3


async def test_a_text_is_answered_by_the_demo_in_openai_s_order(tmp_path: Path) -> None:
    settings = Settings(size=256, cache_dir=tmp_path, port=0, transcriber="off")
    async with serving(settings) as live:
        async with realtime(live.address) as client:
            created = (await client.nth("session.created"))["session"]
            assert created["model"] == "gpt-realtime"
            assert created["audio"]["output"]["voice"] == "hum"
            assert created["audio"]["input"]["turn_detection"]["create_response"] is True
            session = (await live.client.get(f"/v1/sessions/{created['id']}")).json()
            assert session["brain"] == "demo"
            await client.ask("Good bye!")
            done = (await client.nth("response.done"))["response"]
        assert [event["type"] for event in client.events[1:3]] == [
            "conversation.item.added",
            "conversation.item.done",
        ]
        kinds = [event["type"] for event in client.events[3:]]
        assert list(dict.fromkeys(kinds)) == SPOKEN
        assert done["status"] == "completed"
        (message,) = done["output"]
        transcript = message["content"][0]["transcript"]
        assert transcript
        assert client.words(done["id"]) == transcript
        spoken = client.sound(done["id"])
        assert np.abs(spoken).max() == pytest.approx(0.3, abs=0.02)
        letters = sum(len(sentence.strip()) for sentence in transcript.split("."))
        assert len(spoken) / RATE == pytest.approx(0.05 * letters, abs=0.1)
        async with asyncio.timeout(20):  # its session ends with it
            while await status(live, created["id"]) != 404:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)


async def test_words_come_with_their_sound(tmp_path: Path, ears: ScriptedTranscriber) -> None:
    async with house(tmp_path, ears, LONG) as it, realtime(it.live.address) as client:
        await client.ask("Go on.")
        response_id = (await client.nth("response.done"))["response"]["id"]
    seconds = 0.0
    written: dict[str, float] = {}
    for event in client.events:
        if event["type"] == "response.output_audio.delta":
            seconds += len(base64.b64decode(event["delta"])) / 2 / RATE
        elif event["type"] == "response.output_audio_transcript.delta":
            written |= dict.fromkeys(words_of(event["delta"]), seconds)
    for word in words_of(LONG):  # 50 ms a letter; a word counts as said at its end
        before = LONG[: LONG.lower().index(word)]
        end = 0.05 * (len(before) - before.count(". ") + len(word))  # no gap between sentences
        assert -0.15 < written[word] - end < 0.15, (word, written[word], end)
    assert client.words(response_id) == LONG
    assert [word for word, _ in VOICE.measured(client.sound(response_id), RATE)] == words_of(LONG)


async def test_speech_appended_at_once_is_a_turn_and_is_answered(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    ears.texts = ["Who are you?"]
    async with house(tmp_path, ears, "Alpha bravo.") as it, realtime(it.live.address) as client:
        transcription = {"model": "whisper-1"}
        await client.update(
            instructions="You are a lighthouse.", audio={"input": {"transcription": transcription}}
        )
        await client.append(SPEECH)
        done = (await client.nth("response.done"))["response"]
        assert done["status"] == "completed"
        assert it.brain.requests[0]["messages"][0]["content"] == "You are a lighthouse."
        assert told(it.brain) == [("user", "Who are you?")]
    started = client.of("input_audio_buffer.speech_started")[0]
    stopped = client.of("input_audio_buffer.speech_stopped")[0]
    committed = client.of("input_audio_buffer.committed")[0]
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]
    assert started["audio_start_ms"] == 0  # with what was heard before it was noticed
    assert 1300 <= stopped["audio_end_ms"] <= 1600  # 0.8 s of voice and 0.6 s of silence
    heard = client.of("conversation.item.input_audio_transcription.completed")[0]
    assert heard["transcript"] == "Who are you?"
    assert heard["usage"]["seconds"] == stopped["audio_end_ms"] / 1000
    assert len(ears.heard) == 1


async def test_a_committed_buffer_is_answered_when_asked(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    ears.texts = ["First.", "Second."]
    async with house(tmp_path, ears, "Alpha.") as it, realtime(it.live.address) as client:
        await client.update(audio={"input": {"turn_detection": None}})
        assert (
            client.of("session.updated")[0]["session"]["audio"]["input"]["turn_detection"] is None
        )
        buffer = client.connection.input_audio_buffer
        await buffer.commit()
        refused = (await client.nth("error"))["error"]
        assert refused["code"] == "input_audio_buffer_commit_empty"
        await client.append(vowel(0.5))
        await buffer.clear()
        await client.nth("input_audio_buffer.cleared")
        for seconds in (0.5, 1.0):
            await client.append(vowel(seconds), piece=2_401)
            await buffer.commit()
        await client.connection.response.create()
        await client.nth("response.done")
        assert told(it.brain) == [("user", "First. Second.")] or told(it.brain) == [
            ("user", "First."),
            ("user", "Second."),
        ]
        assert ears.heard == [8_000, 16_000]
        assert len(it.brain.requests) == 1
    assert not client.of("input_audio_buffer.speech_started")


async def test_a_response_is_cancelled_and_truncated(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    async with (
        house(tmp_path, ears, CUT, "Zulu.") as it,
        realtime(it.live.address) as client,
    ):
        await client.connection.response.cancel()
        assert (await client.nth("error"))["error"]["code"] == "response_cancel_not_active"
        await client.ask("Go on.")
        await client.until(lambda: "delta" in client.words_so_far())
        await client.connection.response.cancel()
        done = (await client.nth("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"]["reason"] == "client_cancelled"
        (message,) = done["output"]
        assert message["status"] == "incomplete"
        transcript = message["content"][0]["transcript"]
        heard = [word for word, _ in VOICE.measured(client.sound(done["id"]), RATE)]
        assert words_of(transcript) in (heard, heard[:-1])
        item_id = message["id"]
        await client.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=99_000
        )
        whole = await client.nth("conversation.item.truncated")
        assert whole["audio_end_ms"] == len(client.sound(done["id"])) * 1000 // RATE
        await client.connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=700
        )
        assert (await client.nth("conversation.item.truncated", 1))["audio_end_ms"] == 700
        await client.connection.conversation.item.retrieve(item_id=item_id)
        kept = (await client.nth("conversation.item.retrieved"))["item"]
        assert kept["content"] == [{"type": "output_audio", "transcript": "Alpha bravo"}]
        await client.ask("What?")
        await client.nth("response.done", 1)
        assert told(it.brain) == [
            ("user", "Go on."),
            ("assistant", "Alpha bravo [interrupted]"),
            ("user", "What?"),
        ]


async def test_a_voice_interrupts_and_is_answered(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    ears.texts = ["Wait!"]
    async with (
        house(tmp_path, ears, CUT, "Zulu.") as it,
        realtime(it.live.address) as client,
    ):
        await client.ask("Go on.")
        await client.until(lambda: "bravo" in client.words_so_far())
        await client.append(SPEECH)
        done = (await client.nth("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"]["reason"] == "turn_detected"
        kinds = client.kinds()
        assert kinds.index("input_audio_buffer.speech_started") < kinds.index("response.done")
        (message,) = done["output"]
        transcript = message["content"][0]["transcript"]
        assert CUT.startswith(transcript)
        assert (await client.nth("response.done", 1))["response"]["status"] == "completed"
        interrupted = f"{transcript.rstrip()} [interrupted]"
        assert told(it.brain)[1:] == [("assistant", interrupted), ("user", "Wait!")]
    assert not client.of("error")


async def test_speech_before_the_answer_is_heard_joins_the_question(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    ears.texts = ["First.", TranscriptionError("The server is out."), ""]
    hangs = sends(HEAD, hangs=True)
    async with (
        house(tmp_path, ears, hangs, hangs, "Bravo.") as it,
        realtime(it.live.address) as client,
    ):
        await client.append(SPEECH)
        await client.nth("response.created")
        await client.append(SPEECH)  # a cough, while the brain thinks
        failed = await client.nth("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["message"] == "The server is out."
        await client.nth("response.created", 1)
        await client.append(SPEECH)
        await client.nth("response.created", 2)
        await client.until(lambda: client.of("response.done")[2:])
        ends = [event["response"]["status"] for event in client.of("response.done")]
        assert ends == ["cancelled", "cancelled", "completed"]
        assert [event["response"]["output"] for event in client.of("response.done")[:2]] == [[], []]
        assert told(it.brain) == [("user", "First.")]


async def test_a_function_is_called_and_its_result_answered(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    call = calls("weather", '{"city": "Oslo"}')
    async with (
        house(tmp_path, ears, call, "Victor whiskey.") as it,
        realtime(it.live.address) as client,
    ):
        await client.update(tools=[TOOL])
        await client.ask("Is it raining?")
        done = (await client.nth("response.done"))["response"]
        assert done["status"] == "completed"
        (item,) = done["output"]
        assert (item["type"], item["name"], item["call_id"]) == (
            "function_call",
            "weather",
            "call_7",
        )
        assert item["arguments"] == '{"city": "Oslo"}'
        arguments = client.of("response.function_call_arguments.done")[0]
        assert arguments["item_id"] == item["id"]
        asked = it.brain.requests[0]["tools"][0]
        assert asked["type"] == "function"
        assert asked["function"]["parameters"] == TOOL["parameters"]
        create = client.connection.conversation.item.create
        await create(item={"type": "function_call_output", "call_id": "nobody", "output": "{}"})
        assert (await client.nth("error"))["error"]["code"] == "invalid_tool_call_id"
        await create(item={"type": "function_call_output", "call_id": "call_7", "output": "rain"})
        await client.connection.response.create(response={"tool_choice": "none"})
        done = (await client.nth("response.done", 1))["response"]
        assert done["output"][0]["content"][0]["transcript"] == "Victor whiskey."
        messages = it.brain.requests[1]["messages"][1:]
        assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
        assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == "call_7"
        assert messages[2]["content"] == "rain"
        assert "tools" not in it.brain.requests[1]


BAD: list[tuple[str, str, str]] = [
    ("{", "invalid_json", "not JSON: '{'"),
    ("[]", "invalid_json", "not a JSON object"),
    ('{"event_id": "e", "type": "dance"}', "invalid_value", "'dance'"),
    ('{"type": "conversation.item.create"}', "missing_required_parameter", "'item'"),
    (
        '{"type": "input_audio_buffer.append", "audio": "?!"}',
        "invalid_value",
        "not Base64: '?!'",
    ),
    ('{"type": "input_audio_buffer.commit"}', "invalid_value", "'server_vad'"),
    ('{"type": "conversation.item.retrieve", "item_id": "x"}', "item_not_found", "'x'"),
    ('{"type": "conversation.item.delete", "item_id": "x"}', "item_not_found", "'x'"),
    ('{"type": "session.update", "session": {}}', "missing_required_parameter", "session.type"),
    (
        '{"type": "session.update", "session": {"type": "transcription"}}',
        "invalid_value",
        "not 'transcription'",
    ),
    (
        '{"type": "session.update", "session": {"type": "realtime", "audio": {"output": '
        '{"format": {"type": "audio/pcmu"}}}}}',
        "invalid_value",
        "'audio/pcmu'",
    ),
    (
        '{"type": "session.update", "session": {"type": "realtime", "output_modalities": '
        '["text"]}}',
        "invalid_value",
        "['text']",
    ),
    (
        '{"type": "session.update", "session": {"type": "realtime", "tools": [{"type": "mcp"}]}}',
        "invalid_value",
        "'mcp'",
    ),
    (
        '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", '
        '"content": [{"type": "input_image", "image_url": "data:"}]}}',
        "invalid_value",
        "'input_image'",
    ),
    (
        '{"type": "response.create", "response": {"conversation": "none"}}',
        "invalid_value",
        "'none'",
    ),
]


async def test_bad_events_are_refused_one_by_one_and_the_socket_lives(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    async with house(tmp_path, ears, "Alpha.") as it, realtime(it.live.address) as client:
        for text, _, _ in BAD:
            await client.connection.send_raw(text)
        await client.nth("error", len(BAD) - 1)
        for (text, code, piece), event in zip(BAD, client.of("error"), strict=True):
            error = event["error"]
            assert (error["code"], error["type"]) == (code, "invalid_request_error"), text
            assert piece in error["message"], error
            assert error["message"].endswith(".")
        assert client.of("error")[2]["error"]["event_id"] == "e"
        await client.ask("Still there?")
        assert (await client.nth("response.done"))["response"]["status"] == "completed"


async def test_a_voice_that_is_not_there_is_refused_and_the_rest_is_done(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    async with house(tmp_path, ears, "Alpha.") as it, realtime(it.live.address) as client:
        await client.update(instructions="Be brief.", audio={"output": {"voice": "marin"}})
        error = (await client.nth("error"))["error"]
        assert error["param"] == "session.audio.output.voice"
        assert "'marin'" in error["message"]
        assert "words" in error["message"]
        told = client.of("session.updated")[0]["session"]
        assert told["instructions"] == "Be brief."
        assert told["audio"]["output"]["voice"] == "words"


async def test_a_second_response_waits_for_the_sound_of_the_first_only(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    hanging = writes("Alpha bravo.", every=0.2)
    async with house(tmp_path, ears, hanging, "Zulu.") as it, realtime(it.live.address) as client:
        await client.ask("One.")
        await client.connection.response.create()
        error = (await client.nth("error"))["error"]
        assert error["code"] == "conversation_already_has_active_response"
        await client.until(lambda: "Alpha" in client.words_so_far())
        await client.until(lambda: client.of("response.done") or len(it.brain.serving) == 0)
        await client.say("Two.")
        await client.connection.response.create()
        done = await client.nth("response.done", 1)
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Zulu."


async def test_a_brain_that_fails_is_a_response_that_failed(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    async with (
        house(tmp_path, ears, answers(500, "no"), "Alpha.") as it,
        realtime(it.live.address) as client,
    ):
        await client.ask("One.")
        done = (await client.nth("response.done"))["response"]
        assert done["status"] == "failed"
        assert done["status_details"]["error"]["code"] == "refused"
        assert done["output"][0]["content"][0]["transcript"] == "Sorry."
        await client.ask("Two.")
        assert (await client.nth("response.done", 1))["response"]["status"] == "completed"


async def test_a_viewer_of_the_session_sees_and_hears_the_same(
    tmp_path: Path, ears: ScriptedTranscriber
) -> None:
    async with (
        house(tmp_path, ears, LONG, "Zulu yankee.") as it,
        witnessed(connect(f"http://{it.live.address}")) as witness,
    ):
        session = witness.session
        async with realtime(it.live.address, key=session.token, session=session.id) as client:
            assert (await client.nth("session.created"))["session"]["id"] == session.id
            async with asyncio.TaskGroup() as group:
                seen = group.create_task(talking_pictures(witness))
                await client.ask("Go on.")
                done = (await client.nth("response.done"))["response"]
                ended = await witness.nth(SpeakEnded, 0)
            begun = witness.of(SpeakStarted)[0].media_time
            assert seen.result()
            assert all(begun <= at <= ended.media_time for at in seen.result())
            await witness.hears(ended.media_time + 8_000)
            same_words(client, witness, done["id"])
            assert witness.of(UserTranscript)[0].text == "Go on."
            await session.talk.say("And a viewer types.")
            await client.nth("response.done", 1)
            assert told(it.brain)[-1] == ("user", "And a viewer types.")
            history = await session.talk.history()
            assert [entry["text"] for entry in history] == [
                "Go on.",
                LONG,
                "And a viewer types.",
                "Zulu yankee.",
            ]
        answer = await it.live.client.get(f"/v1/sessions/{session.id}")
        assert answer.json()["brain"] == "off"  # as it was


async def talking_pictures(witness: Witness) -> list[int]:
    """Returns the media times of the pictures that a viewer saw with an open mouth."""
    times: list[int] = []
    async for frame in witness.session.frames():
        if bar(frame.image) > 0.5:
            times.append(frame.media_time)
        ends = witness.of(SpeakEnded)
        if ends and frame.media_time > ends[0].media_time + 3_200:
            return times
    raise AssertionError("the session ended")


def same_words(client: RealtimeClient, witness: Witness, response_id: str) -> None:
    """What a viewer heard is what the client got: the same words, as long, at the same places."""
    begun, ended = witness.of(SpeakStarted)[0], witness.of(SpeakEnded)[0]
    viewed = heard_in(witness.between(begun.media_time, ended.media_time + 1_600), VOICE)
    got = [word for word, _ in VOICE.measured(client.sound(response_id), RATE)]
    assert [word for word, _ in viewed] == got == words_of(LONG)
    length = len(client.sound(response_id)) / RATE
    assert ended.spoken_ms / 1000 == pytest.approx(length, abs=0.05)


async def test_a_handshake_that_cannot_be_served_gets_its_status(tmp_path: Path) -> None:
    settings = Settings(size=256, max_sessions=1, queue_length=0, cache_dir=tmp_path, port=0)
    async with serving(settings) as live:
        session_id = await live.session()
        for key, query, status in (
            ("any", {"session": "nobody"}, 404),
            ("wrong", {"session": session_id}, 401),
            ("wrong", {}, 503),
        ):
            with pytest.raises(InvalidStatus) as caught:
                async with realtime(live.address, key=key, **query):
                    pass
            assert caught.value.response.status_code == status
            assert b'"invalid_request_error"' in (caught.value.response.body or b"")
        async with realtime(live.address, session=session_id) as client:
            await client.nth("session.created")
            with pytest.raises(ExceptionGroup) as closed:
                async with realtime(live.address, session=session_id) as second:
                    await second.until(lambda: False)
            assert closed.group_contains(Exception)
            assert not client.of("error")


@pytest.mark.single_layout("a gateway refuses Realtime where no worker has room (503)")
async def test_who_waits_for_a_place_is_served_when_it_is_there(tmp_path: Path) -> None:
    settings = Settings(size=256, max_sessions=1, queue_length=1, cache_dir=tmp_path, port=0)
    async with serving(settings) as live:
        session_id = await live.session()
        async with realtime(live.address) as client:
            assert (await live.client.get("/v1/capacity")).json()["waiting"] == 1
            await client.ask("Are you there?")
            assert client.events == []
            await live.client.delete(f"/v1/sessions/{session_id}")
            await client.nth("response.done")


async def test_a_session_that_ends_says_so(tmp_path: Path) -> None:
    settings = Settings(size=256, cache_dir=tmp_path, port=0)
    async with serving(settings) as live:
        with pytest.raises(ExceptionGroup) as caught:
            async with realtime(live.address) as client:
                session_id = (await client.nth("session.created"))["session"]["id"]
                await live.client.delete(f"/v1/sessions/{session_id}")
                await client.nth("error")
                await client.until(lambda: False)
        assert caught.group_contains(ConnectionClosedOK)
        assert client.of("error")[0]["error"]["code"] == "session_expired"


async def test_a_session_that_ends_in_the_middle_of_a_word_ends_its_socket(
    tmp_path: Path, ears: ScriptedTranscriber, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(tmp_path, ears, CUT) as it:
        with pytest.raises(ExceptionGroup) as caught:
            async with realtime(it.live.address) as client:
                session_id = (await client.nth("session.created"))["session"]["id"]
                gone = weakref.ref(it.live.server.house.sessions.find(session_id))
                await client.ask("Go on.")
                await client.until(lambda: "bravo" in client.words_so_far())
                await it.live.client.delete(f"/v1/sessions/{session_id}")
                await client.until(lambda: False)
        assert caught.group_contains(ConnectionClosedOK)
        async with asyncio.timeout(20):
            while it.live.server.house.sessions.get(session_id):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
        del caught
        assert gone() is None  # nobody keeps it
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_page_brings_its_key_as_a_subprotocol(tmp_path: Path) -> None:
    settings = Settings(size=256, cache_dir=tmp_path, port=0)
    async with serving(settings) as live:
        opened = (await live.client.post("/v1/sessions")).json()
        url = f"ws://{live.address}/v1/realtime?session={opened['session_id']}"
        for key, status in ((opened["token"], None), ("wrong", 401)):
            protocols = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]
            if status is None:
                async with websocket(url, subprotocols=protocols) as page:
                    assert page.subprotocol == "realtime"
                    assert checked(await page.recv(decode=False))["type"] == "session.created"
            else:
                with pytest.raises(InvalidStatus) as caught:
                    await websocket(url, subprotocols=protocols)
                assert caught.value.response.status_code == status
        with pytest.raises(InvalidStatus) as foreign:
            await websocket(url, origin=Origin("https://elsewhere.example"))
        assert foreign.value.response.status_code == 403


async def test_a_client_that_asks_for_more_than_it_reads_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.realtime.socket._UNSENT", 150)  # beyond it the socket is closed
    settings = Settings(size=256, cache_dir=tmp_path, port=0)
    retrieve = json.dumps({"type": "conversation.item.retrieve", "item_id": "long"})
    part = {"type": "input_text", "text": "x" * 20_000}
    item = {"id": "long", "type": "message", "role": "system", "content": [part]}
    async with (
        serving(settings) as live,
        asyncio.TaskGroup() as group,
        websocket(f"ws://{live.address}/v1/realtime", max_queue=1, compression=None) as client,
    ):
        await client.send(json.dumps({"type": "conversation.item.create", "item": item}))

        async def ask() -> None:
            for _ in range(1_000):  # 20 MB, more than any buffer on the way
                await client.send(retrieve)

        asking = group.create_task(ask())
        await asyncio.sleep(1)
        async with asyncio.timeout(60):
            kinds = [json.loads(await client.recv())["type"] for _ in range(1_003)]
        await asking
        assert kinds.count("conversation.item.retrieved") == 1_000


async def test_the_example_runs(
    tmp_path: Path, ears: ScriptedTranscriber, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "said.wav"
    async with house(tmp_path, ears, "Alpha bravo.", "Zulu.") as it:
        lines = iter(["Who are you?\n", "And you?\n"])
        await openai_realtime.main(f"http://{it.live.address}", lines, str(file))
    printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"Open http://{it.live.address}/view/\S+ and ask something\.", printed[0])
    assert printed[1:] == ["Alpha bravo.", "Zulu."]
    with wave.open(str(file)) as sound:
        assert sound.getframerate() == RATE
        pcm = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float32)
    assert VOICE.heard(pcm / np.float32(32768), RATE) == ["alpha", "bravo", "zulu"]


def test_the_example_is_short_and_on_its_page() -> None:
    example = Path(openai_realtime.__file__)
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 40
    page = example.parent.parent / "docs" / "openai_realtime.md"
    assert f"examples/{example.name}" in page.read_text(encoding="utf-8")
