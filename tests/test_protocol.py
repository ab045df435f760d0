"""The protocol: what is understood, what is refused, and that the page and the code agree."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import protocol
from server.protocol import ProtocolError, parse_message

PAGE = Path(__file__).parent.parent / "docs" / "protocol.md"


UNDERSTOOD: list[tuple[str, protocol.ClientMessage]] = [
    ('{"type":"speak","text":"Hi"}', protocol.Speak(text="Hi")),
    ('{"type":"speak","text":"Hi","voice":"joe"}', protocol.Speak(text="Hi", voice="joe")),
    ('{"type":"speak.start","voice":"joe"}', protocol.SpeakStart(voice="joe")),
    ('{"type":"speak.delta","text":" and"}', protocol.SpeakDelta(text=" and")),
    ('{"type":"speak.end"}', protocol.SpeakEnd()),
    ('{"type":"user.text","text":"Hi"}', protocol.UserText(text="Hi")),
    (
        '{"type":"brain.tool_result","call_id":"a","content":"b"}',
        protocol.ToolResult(call_id="a", content="b"),
    ),
    ('{"type":"interrupt"}', protocol.Interrupt()),
    ('{"type":"microphone","mode":"puppet"}', protocol.Microphone(mode="puppet")),
    (
        '{"type":"audio.start","sample_rate":16000}',
        protocol.AudioStart(sample_rate=16_000, channels=1),
    ),
    ('{"type":"audio.end"}', protocol.AudioEnd()),
    ('{"type":"session.update","voice":"joe"}', protocol.SessionUpdate(voice="joe")),
    (
        '{"type":"session.update","background":"green"}',
        protocol.SessionUpdate(background="green"),
    ),
    ('{"type":"session.keep_alive"}', protocol.KeepAlive()),
    ('{"type":"ping","t":1.5}', protocol.Ping(t=1.5)),
    (
        '{"type":"speak","text":"Hi","style":{"emotion":"sad"}}',
        protocol.Speak(text="Hi", style=protocol.Style(emotion="sad")),
    ),
    (
        '{"type":"session.update","style":{"gaze":[5,0]}}',
        protocol.SessionUpdate(style=protocol.Style(gaze=(5, 0))),
    ),
    ('{"type":"gesture","name":"nod"}', protocol.Gesture(name="nod")),
    (
        '{"type":"motion","coefficients":{"jawOpen":0.5},"mode":"replace"}',
        protocol.Motion(coefficients={"jawOpen": 0.5}, mode="replace"),
    ),
    ('{"type":"interrupt","future":"field"}', protocol.Interrupt()),
]


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD)
def test_messages_are_understood(text: str, expected: protocol.ClientMessage) -> None:
    assert parse_message(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad_request"),
        ("{", "bad_request"),
        ("[" * 100_000, "bad_request"),
        ("[]", "bad_request"),
        ("null", "bad_request"),
        ("{}", "unknown_message"),
        ('{"type":7}', "unknown_message"),
        ('{"type":["speak"]}', "unknown_message"),
        ('{"type":"dance"}', "unknown_message"),
        ('{"type":"speak"}', "bad_request"),
        ('{"type":"speak","text":7}', "bad_request"),
        ('{"type":"speak","text":"  "}', "bad_request"),
        ('{"type":"microphone","mode":"loud"}', "bad_request"),
        ('{"type":"audio.start","sample_rate":"fast"}', "bad_request"),
        ('{"type":"ping"}', "bad_request"),
        ('{"type":"gesture"}', "bad_request"),
        ('{"type":"motion","coefficients":{"jawOpen":"wide"}}', "bad_request"),
        ('{"type":"session.update","style":{"mood":"fine"}}', "bad_request"),
        ('{"type":"ping","t":NaN}', "bad_request"),
        ('{"type":"ping","t":1e999}', "bad_request"),
        (json.dumps({"type": "speak", "text": "x" * 10_001}), "text_too_long"),
        (json.dumps({"type": "speak", "text": "x" * 300_000}), "bad_request"),
    ],
)
def test_nonsense_is_refused_with_a_code_and_one_sentence(text: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_message(text)
    assert caught.value.code == code
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 200


def test_a_refused_value_is_quoted() -> None:
    with pytest.raises(ProtocolError, match=r"field 'style\.intensity': .*, not 'much'\."):
        parse_message('{"type":"session.update","style":{"intensity":"much"}}')


@given(st.text() | st.recursive(st.none() | st.text(), st.lists, max_leaves=5).map(json.dumps))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_message(text)


def test_ten_thousand_characters_are_spoken() -> None:
    protocol.check_text("x" * 10_000)


def test_events_are_flat_json() -> None:
    event = protocol.SpeakEnded(3, 640, interrupted=True)
    assert json.loads(event.to_json()) == {
        "type": "agent.speak_ended",
        "utterance": 3,
        "media_time": 640,
        "interrupted": True,
        "spoken_ms": 0,
        "spoken_characters": None,
    }


def table(title: str) -> dict[str, str]:
    """Returns the rows of one table of the page: from the names in the first column."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|\n]+) \|([^|\n]*)\|", section, re.MULTILINE)
    return {name: row for names, row in rows for name in re.findall(r"`([^`]+)`", names)}


def test_the_page_lists_every_server_event_and_its_fields() -> None:
    rows = table("Server to client")
    events = {
        kind.type: kind
        for kind in protocol.ServerEvent.__subclasses__()
        if kind.__module__.startswith("server.")
    }  # not what clients make of unknown ones
    assert set(rows) == set(events)
    for name, kind in events.items():
        listed = set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)|: .*?(;|$)", "", rows[name])))
        assert listed == {item.name for item in fields(kind)}, name


def test_the_page_lists_every_client_message() -> None:
    kinds = protocol.ClientMessage.__args__
    assert set(table("Client to server")) == {kind.model_fields["type"].default for kind in kinds}
