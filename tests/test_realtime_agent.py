"""A realtime client's agent in virtual time: who is answered when, and what is given back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.converse.brain import BrainError, TextDelta, ToolCall
from server.converse.talk import BrainRequest
from server.protocol import ProtocolError, StateUpdated
from server.realtime.agent import RealtimeAgent
from server.realtime.audio import Intake
from server.realtime.desk import RealtimeDesk
from server.realtime.events import EventError, read_event, read_json
from server.realtime.settings import Settings, changed, for_response
from tests.test_conversation import Rig, conversing

LONG = "Alpha bravo charlie delta. Echo foxtrot golf hotel. India juliett kilo lima."


@dataclass
class Client:
    """What one client sent and was told."""

    rig: Rig
    agent: RealtimeAgent
    stack: ExitStack
    events: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, **fields: object) -> None:
        await RealtimeDesk(self.agent).obey(read_event(fields))

    async def ask(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send(type="conversation.item.create", item=item)
        await self.send(type="response.create")

    async def update(self, **session: object) -> None:
        await self.send(type="session.update", session={"type": "realtime", **session})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def done(self) -> list[tuple[str, str | None]]:
        """Returns (status, reason) of all responses that are done."""
        details = [event["response"]["status_details"] for event in self.of("response.done")]
        return [(each["type"], each.get("reason")) for each in details]

    async def until_done(self, count: int) -> None:
        await self.rig.until(lambda: len(self.of("response.done")) == count)


@asynccontextmanager
async def attached(rig: Rig) -> AsyncIterator[Client]:
    session, events = rig.session, list[dict[str, Any]]()

    def send(kind: str, /, **fields: object) -> None:
        json.dumps(fields)
        events.append({"type": kind, **fields})

    async with asyncio.TaskGroup() as group:
        agent = RealtimeAgent(
            session=session,
            talk=session.converse.conversation._talk,
            intake=Intake(rig.clock, lambda _: None),
            model="any",
            voices=lambda: ["words"],
            send=send,
            group=group,
        )
        with ExitStack() as stack:
            agent.enter(stack)
            yield Client(rig, agent, stack, events)


async def test_a_voice_that_may_not_interrupt_is_answered_afterwards(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig, attached(rig) as client:
        detection = {"type": "server_vad", "interrupt_response": False}
        await client.update(audio={"input": {"turn_detection": detection}})
        assert not rig.session.may_interrupt
        rig.brain.say(LONG, "Zulu.")
        rig.ears.texts = ["Wait!"]
        await client.ask("Go on.")
        await rig.run(1.5)
        await rig.speak_into_microphone(0.8)
        await rig.be_silent(1.0)
        await client.until_done(2)
        assert client.done() == [("completed", None), ("completed", None)]
        assert rig.told == [("user", "Go on."), ("assistant", LONG), ("user", "Wait!")]


async def test_a_turn_that_nobody_asked_to_answer_waits_for_response_create(
    tmp_path: Path,
) -> None:
    async with conversing(tmp_path) as rig, attached(rig) as client:
        detection = {"type": "server_vad", "create_response": False}
        await client.update(audio={"input": {"turn_detection": detection}})
        rig.brain.say("Zulu.")
        rig.ears.texts = ["Hello."]
        await rig.speak_into_microphone(0.8)
        await rig.be_silent(1.0)
        await rig.run(2.0)
        assert len(client.of("input_audio_buffer.committed")) == 1
        assert not client.of("response.created")
        await client.send(type="response.create")
        await client.until_done(1)
        assert rig.told == [("user", "Hello.")]


async def test_what_was_said_as_the_client_came_is_not_lost(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig:
        rig.brain.say("Zulu.")
        rig.ears.texts = ["Hello."]
        await rig.speak_into_microphone(0.8)
        async with attached(rig) as client:
            await rig.be_silent(1.0)
            await client.until_done(1)
            assert not client.of("input_audio_buffer.speech_stopped")
            assert [event["item"]["content"] for event in client.of("conversation.item.done")][
                :1
            ] == [[{"type": "input_text", "text": "Hello."}]]


async def test_an_answer_of_the_session_s_own_gives_way(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig:
        rig.brain.say(LONG, "Zulu.", "Yankee.")
        rig.say("Go on.")
        await rig.run(1.0)
        async with attached(rig) as client:
            await client.ask("Who is there?")
            await client.until_done(1)
            assert rig.told == [("user", "Who is there?")]  # a conversation of its own
        rig.say("And now?")
        await rig.until(lambda: rig.history[-1]["text"] == "Yankee.")
        texts = [(entry["role"], entry["text"]) for entry in rig.history]
        assert ("assistant", "Zulu.") in texts


def ears_of(rig: Rig) -> str:
    return rig.session.line.microphone.mode


async def test_the_session_s_ears_are_given_back_as_they_were(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig:
        session = rig.session
        session.converse.configure(BrainRequest(brain="off"))
        session.switch_microphone("puppet")
        async with attached(rig) as client:
            assert ears_of(rig) == "listen"
            off = {"type": "server_vad", "interrupt_response": False}
            await client.update(audio={"input": {"turn_detection": off}})
            with pytest.raises(ProtocolError, match="Another agent answers"), ExitStack() as stack:
                client.agent.enter(stack)
            assert ears_of(rig) == "listen"
        assert ears_of(rig) == "puppet"
        assert session.may_interrupt
        assert not session.converse.conversation.is_on


async def test_who_leaves_in_the_middle_leaves_silence(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig:
        async with attached(rig) as client:
            rig.brain.say(LONG)
            await client.ask("Go on.")
            await rig.run(2.0)
            rig.heard()
        assert client.done() == [("cancelled", "client_cancelled")]
        await rig.run(1.0)
        assert rig.heard() == []
        assert rig.history[-1]["interrupted"]


async def test_the_portrait_thinks_until_its_answer_is_heard(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig, attached(rig) as client:
        rig.brain.say("Zulu.")
        rig.brain.replies.append([ToolCall("a", "f", "{}")])
        await client.ask("Who is there?")
        await client.until_done(1)
        states = [event.state for event in rig.of(StateUpdated)]
        assert states == ["thinking", "speaking", "idle"]
        await client.ask("And?")
        await client.until_done(2)
        assert [event.state for event in rig.of(StateUpdated)][3:] == ["thinking", "idle"]


async def test_words_before_a_call_are_said_and_the_next_answer_follows(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig, attached(rig) as client:
        call = ToolCall("call_1", "weather", "{}")
        rig.brain.replies.append([TextDelta("Alpha bravo charlie."), call])
        rig.brain.say("Zulu.")
        await client.ask("Rain?")
        await rig.until(lambda: bool(client.of("response.function_call_arguments.done")))
        assert not client.of("response.done")
        output = {"type": "function_call_output", "call_id": "call_1", "output": "yes"}
        await client.send(type="conversation.item.create", item=output)
        await client.send(type="response.create")
        with pytest.raises(EventError, match="is in progress"):
            await client.send(type="response.create")
        await client.until_done(2)
        kinds = [event["type"] for event in client.events]
        assert kinds.index("response.done") < len(kinds) - kinds[::-1].index("response.created")
        first = client.of("response.done")[0]["response"]["output"]
        assert [item["type"] for item in first] == ["message", "function_call"]
        messages = rig.brain.questions[-1].messages[1:]
        assert [message.role for message in messages] == ["user", "assistant", "tool"]
        assert messages[1].content == "Alpha bravo charlie."
        states = [event.state for event in rig.of(StateUpdated)]
        assert states == ["thinking", "speaking", "idle"] * 2


async def test_a_brain_that_breaks_off_is_told_and_heard_so_far(tmp_path: Path) -> None:
    async with conversing(tmp_path) as rig, attached(rig) as client:
        error = BrainError("broken_off", "It ended in the middle.")
        rig.brain.replies.append([TextDelta("Alpha bravo."), error])
        await client.ask("Who is there?")
        await client.until_done(1)
        response = client.of("response.done")[0]["response"]
        assert response["status_details"]["error"]["message"] == "It ended in the middle."
        assert response["output"][0]["content"][0]["transcript"] == "Alpha bravo."


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)
_NAMES = "type role content call_id output audio input format turn_detection voice tools response"
_FIELDS = st.dictionaries(st.sampled_from(_NAMES.split()), _JSON, max_size=5)


@given(st.text(max_size=40) | _FIELDS.map(json.dumps))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(EventError) as caught:
        read_event(read_json(text))
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 300


@given(_FIELDS, st.dictionaries(st.sampled_from(["input", "output"]), _FIELDS, max_size=2))
def test_no_settings_do_more_than_be_refused(
    fields: dict[str, object], audio: dict[str, object]
) -> None:
    wanted = {**fields, "type": "realtime", "audio": audio}
    for change in (changed, for_response):
        try:
            change(Settings(""), wanted)
        except EventError as error:
            assert error.param
