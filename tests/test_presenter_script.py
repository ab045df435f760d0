"""Scripts as they are written, and the sentences, marks and warnings that come of them."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.presenter.marks import NAMES, Emotion, Emphasis, Gaze, Gesture, Pause, VoiceChange
from server.presenter.script import (
    MOST_CHARACTERS,
    Format,
    Script,
    ScriptError,
    format_of,
    parse_script,
)
from streaming_model.motion.gestures import GESTURES

FORMATS = get_args(Format)
SRT = """1
00:00:01,000 --> 00:00:02,500
Hello <i>there</i>,
my [happy] friend.

2
00:00:03,200 --> 00:00:04,000
Änd again. And more.
"""


def texts(script: Script) -> list[str]:
    return [sentence.text for sentence in script.sentences]


def marks(script: Script, index: int = 0) -> list[tuple[int, object]]:
    return [(placed.at, placed.mark) for placed in script.sentences[index].marks]


def messages(script: Script) -> list[str]:
    return [notice.message for notice in script.notices]


def test_sentences_are_numbered_and_know_where_they_stand() -> None:
    source = "First one. Second\none!\n\nDr. Who [nod] asks? "
    script = parse_script(source)
    assert texts(script) == ["First one.", "Second one!", "Dr. Who asks?"]
    written = [source[sentence.start : sentence.end] for sentence in script.sentences]
    assert written == ["First one.", "Second\none!", "Dr. Who [nod] asks?"]
    assert not script.notices


@pytest.mark.parametrize(
    ("written", "mark"),
    [
        ("[happy]", Emotion("happy")),
        ("[sad 0.5]", Emotion("sad", 0.5)),
        ("[Neutral]", Emotion("neutral")),
        ("[auto]", Emotion("auto")),
        *((f"[{name}]", Gesture(name)) for name in GESTURES),
        ("[nod 1.5]", Gesture("nod", 1.5)),
        ("[pause 600ms]", Pause(600)),
        ("[pause 1.2s]", Pause(1200)),
        ("[pause 2 s]", Pause(2000)),
        ("[pause]", Pause(500)),
        ("[gaze away]", Gaze("away")),
        ("[gaze -10, 5]", Gaze((-10.0, 5.0))),
        ("[voice af_heart]", VoiceChange("af_heart")),
        ("[voice default]", VoiceChange(None)),
        ('<break time="600ms"/>', Pause(600)),
        ("<break time='1.5s' />", Pause(1500)),
        ('<break strength="strong"/>', Pause(800)),
        ("<break/>", Pause(500)),
    ],
)
@pytest.mark.parametrize("format", ["text", "markdown"])
def test_a_mark_is_obeyed_at_its_place_and_not_spoken(
    written: str, mark: object, format: Format
) -> None:
    script = parse_script(f"Well {written} then.", format)
    assert texts(script) == ["Well then."]
    assert marks(script) == [(5, mark)]
    assert not script.notices


@pytest.mark.parametrize(
    "written",
    ["[emphasis]very big[/emphasis]", "**very big**", "<emphasis>very big</emphasis>",
     '<emphasis level="strong">very big</emphasis>', "<b>very big</b>"],
)  # fmt: skip
@pytest.mark.parametrize("format", ["text", "markdown"])
def test_words_are_stressed(written: str, format: Format) -> None:
    script = parse_script(f"A {written} dog.", format)
    assert texts(script) == ["A very big dog."]
    assert marks(script) == [(2, Emphasis(8))]
    assert not script.notices


def test_stress_over_two_sentences_is_in_both() -> None:
    script = parse_script("One [emphasis]two. Three[/emphasis] four.")
    assert marks(script, 0) == [(4, Emphasis(4))]
    assert marks(script, 1) == [(0, Emphasis(5))]


@pytest.mark.parametrize(
    ("written", "line", "column", "reason"),
    [
        ("One.\nTwo [hapy] three.", 2, 5, "did you mean '[happy]'?"),
        ("[dance] One.", 1, 1, "There is no mark '[dance]'."),
        ("One [sad 2].", 1, 5, "from 0 to 1, not '2'"),
        ("One [nod often].", 1, 5, "from 0 to 2, not 'often'"),
        ("One [pause long].", 1, 5, "not 'long'"),
        ("One [pause 2h].", 1, 5, "not '2h'"),
        ("One [pause 61s].", 1, 5, "at most 60 s, not '61s'"),
        ("One [gaze up].", 1, 5, "not 'up'"),
        ("One [gaze 90,0].", 1, 5, "not '90,0'"),
        ("One [voice].", 1, 5, "needs one name"),
        ("One [voice bob].", 1, 5, "There is no voice 'bob'."),
        ("One [emphasis]two.", 1, 5, "not ended"),
        ("One two[/emphasis].", 1, 8, "no emphasis to end"),
        ("One [/happy].", 1, 5, "holds until the next one"),
        ("One [pause 5s two.", 1, 5, "not closed by ']'"),
        ("One <break time='soon'/>.", 1, 5, "not 'soon'"),
        ("One <break strength='huge'/>.", 1, 5, "not 'huge'"),
        ("One <prosody rate='fast'>two</prosody>.", 1, 5, "<prosody> has no meaning"),
        ("One <!-- two.", 1, 5, "not closed by '-->'"),
    ],
)
def test_a_broken_mark_is_told_with_its_place_and_the_rest_is_spoken(
    written: str, line: int, column: int, reason: str
) -> None:
    script = parse_script(written, knows_voice=lambda name: name != "bob")
    notice = script.notices[0]
    assert (notice.line, notice.column) == (line, column)
    assert reason in notice.message
    assert re.fullmatch(r"[A-Z'].*[.?]", notice.message)
    spoken = " ".join(texts(script))
    assert "One" in spoken
    assert "[" not in spoken
    assert "<" not in spoken
    assert ("two" in written.lower()) == ("two" in spoken.lower())


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("He sayed [sic] so.", "He sayed sic so."),
        ("It is known [1].", "It is known."),
        ("It is known [2, 3] so.", "It is known so."),
        ("As [the king] said.", "As the king said."),
        ("[T]he dog walk[ed] on.", "The dog walked on."),
        (r"Write \[nod\] here.", "Write [nod] here."),
        ("If 3 < 4 and 5 > 2, go.", "If 3 < 4 and 5 > 2, go."),
        ("See <!-- a note\n\nto me --> that.", "See that."),
        ("Windows\r\nlines.", "Windows lines."),
    ],
)
def test_other_brackets_are_prose_or_references(written: str, spoken: str) -> None:
    script = parse_script(written)
    assert " ".join(texts(script)) == spoken
    assert not script.notices


def test_markdown_becomes_what_one_would_say() -> None:
    source = (
        "# A *title*\n\nText with a [link](https://example.org/nod), `code` and ![a dog](d.png).\n"
        "- one\n- two\n\n1. first\n\n> quoted\n> words\n\n| a | b |\n|---|---|\n| c | d |\n\n"
        "~~gone~~ kept &amp; said \\*\n\n```\nx = 1\n```\n"
    )
    script = parse_script(source, "markdown")
    assert texts(script) == [
        "A title", "Text with a link, code and a dog.", "one", "two", "first", "quoted words",
        "a, b", "c, d", "kept & said *",
    ]  # fmt: skip
    assert messages(script) == ["A block of code is not spoken."]
    assert script.notices[0].line == source[: source.index("```")].count("\n") + 1


def test_ranges_of_markdown_point_at_the_words() -> None:
    source = "# Title\n\n- **Bold** start [a](http://b.c/a) a.\n- same same\n- same same\n"
    script = parse_script(source, "markdown")
    written = [source[sentence.start : sentence.end] for sentence in script.sentences]
    assert written[0] == "Title"
    assert written[1].startswith("**Bold** start [a](http://b.c/a) a.")
    assert written[2:] == ["same same", "same same"]
    starts = [sentence.start for sentence in script.sentences]
    assert starts == sorted(set(starts))


def test_subtitles_keep_their_times() -> None:
    script = parse_script(SRT, "srt")
    assert texts(script) == ["Hello there, my friend.", "Änd again. And more."]
    assert [sentence.not_before for sentence in script.sentences] == [1000, 3200]
    assert marks(script) == [(16, Emotion("happy"))]
    assert SRT[script.sentences[1].start : script.sentences[1].end] == "Änd again. And more."
    again = parse_script(SRT.replace("\n", "\r\n"), "srt")
    assert texts(again) == texts(script)


def test_a_subtitle_with_broken_times_is_told_and_costs_no_other() -> None:
    script = parse_script(f"{SRT}\n3\n00:00:05 -- 6\nLost\n\n4\nx --> y\nBad\n", "srt")
    assert texts(script)[0] == "Hello there, my friend."
    assert any("times cannot be read" in message for message in messages(script))
    assert "-->" not in " ".join(texts(script))
    with pytest.raises(ScriptError, match="not one cue"):
        parse_script("Just words.", "srt")


def test_what_marks_set_holds_until_the_next_one() -> None:
    script = parse_script(
        "[happy] One. Two [sad 0.3] three. [gaze away] Four.\n\n[neutral]\n\nFive."
    )
    moods = [sentence.mood.emotion for sentence in script.sentences]
    assert moods == [None, Emotion("happy"), Emotion("sad", 0.3), Emotion("sad", 0.3)]
    assert marks(script, 3) == [(0, Emotion("neutral"))]
    assert script.sentences[3].mood.gaze == Gaze("away")


def test_marks_after_the_last_word_belong_to_it() -> None:
    script = parse_script("Bye. [nod]\n\n[smile]")
    assert marks(script) == [(4, Gesture("nod")), (4, Gesture("smile"))]
    assert script.sentences[0].end == len("Bye. [nod]\n\n[smile]")


def test_a_script_that_is_too_long_is_refused_with_its_length() -> None:
    with pytest.raises(ScriptError, match="100,001 characters"):
        parse_script("x" * (MOST_CHARACTERS + 1))


@pytest.mark.parametrize("format", FORMATS)
def test_half_a_character_does_no_harm(format: Format) -> None:
    script = parse_script(SRT.replace("Hello", "Hel\ud800lo"), format)
    assert "Hel\ufffdlo" in script.source
    assert script.source.encode()


@pytest.mark.parametrize(
    ("name", "format"), [("a.md", "markdown"), ("A.SRT", "srt"), ("a.txt", "text"), ("a", "text")]
)
def test_a_file_name_tells_the_format(name: str, format: Format) -> None:
    assert format_of(name) == format


PIECES = st.one_of(
    st.sampled_from([
        *(f"[{name}]" for name in NAMES), "[", "]", "[[", "[/", "<", ">", "</", "/>", "<!--", "-->",
        "<break time='1s'/>", "<b>", "</b>", "<bre", "ak/>", "**", "*", "`", "```\n", "# ", "- ",
        "> ", "| ", "|-|\n", "~~", "\\", "\\[", "&lt;", "&#91;", "\n", "\n\n", "\r\n", " ", "    ",
        "\t", ". ", "word ", "Word. ", "(x)", "](", "http://a.b ", "1\n", "00:00:01,000",
        " --> ", "00:00:02,000\n", "\0", "\ue000", "\u2028", "[pause 1s", "[hapy]",
    ]),
    st.text(max_size=6),
    st.characters(),
)  # fmt: skip
SOURCES = st.lists(PIECES, max_size=40).map("".join)


@given(SOURCES, st.sampled_from(FORMATS))
def test_any_source_gives_ranges_inside_it_in_order(source: str, format: Format) -> None:
    try:
        script = parse_script(source, format)
    except ScriptError:
        assert format == "srt"
        return
    for sentence in script.sentences:
        assert 0 <= sentence.start < sentence.end <= len(source)
        assert sentence.text == " ".join(sentence.text.split())
        for placed in sentence.marks:
            assert sentence.start <= placed.start < placed.end <= sentence.end
            length = placed.mark.length if isinstance(placed.mark, Emphasis) else 0
            assert 0 <= placed.at <= placed.at + length <= len(sentence.text)
    lines = source.split("\n")
    for notice in script.notices:
        assert 1 <= notice.line <= len(lines)
        assert 1 <= notice.column <= len(lines[notice.line - 1]) + 1


@given(SOURCES.map(lambda source: re.sub(r"[\\`&]", "", source)), st.sampled_from(FORMATS))
def test_no_mark_is_ever_spoken(source: str, format: Format) -> None:
    try:
        script = parse_script(source, format)
    except ScriptError:
        return
    for text in texts(script):
        assert "[" not in text
        assert not re.search(r"<[A-Za-z/!]", text)


@given(st.lists(st.sampled_from(["Alpha", "beta", "[nod]", "gamma.", "\n\n", "**delta**", "[x]"])))
def test_every_word_is_spoken_once_and_in_order(words: list[str]) -> None:
    said = [word.strip("*") for word in words if word[0].isalpha() or word[0] == "*"]
    for format in ("text", "markdown"):
        script = parse_script(" ".join(words), format)
        assert " ".join(texts(script)).split() == said
