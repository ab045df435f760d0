"""Harnesses of text that is to be said: scripts, captions, streamed answers, spoken forms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Final

from server.converse.cutter import Cutter
from server.converse.spoken import SpokenText
from server.outputs.targets import read_target
from server.presenter.script import MOST_CHARACTERS, Format, ScriptError, parse_script
from server.protocol import MAX_TEXT
from server.secrecy import Redactor, without_passwords
from server.voice.clauses import find_breaks
from server.voice.g2p import EnglishPhonemes, english
from server.voice.text import readable, spoken_form
from tools.fuzz.harness import Harness
from tools.fuzz.mutate import lines_with

_WORDS: Final = (
    *("[smile]", "[nod 0.5]", "[pause 300ms]", "[look left]", "<happy>", "</happy>", "<break"),
    *('<break time="1s"/>', '<emphasis level="strong">', "<voice name=joe>", "<!--", "-->", "```"),
    *("# ", "> ", "- ", "1. ", "| a | b |\n|---|---|", "[a](http://b.c)", "![x](y)", "**", "__"),
    *("~~", "`", "&amp;", "&#x110000;", "\\[", "[[", "]]", "<", ">", "[^1]", "***", "---", "$\\$"),
    *("00:00:01,000 --> 00:00:02,500", "-->", "99:99:99,999 --> 0", "1\n", "\t", "WEBVTT"),
    *("https://example.org/a?b=c", "a@b.com", "$1,234.56", "12/11/2026", "3.5 km/h", "MCMXCIV"),
    *("U.S.A.", "e.g.", "Dr.", "10^-5", "½", "IV", "1st", "100%", "²", "...", "?!", "；", "。"),
)
_TEXT: Final = """# A day at the sea

Good morning. [smile] Dr. Smith has 1,234.56 dollars, or $12; see https://example.org/a_b?c=1.

> <happy>What *a* **lovely** day!</happy> <break time="500ms"/> [pause 300ms] [nod 0.8]

- one, [link](http://example.org "title") and `code`
- two [look left] 3.5 km/h at 10:30 on 12/11/2026

```python
print("not said")
```

| a | b |
|---|---|
| 1 | 2 |
"""
_CAPTIONS: Final = """1
00:00:00,000 --> 00:00:01,500
Good morning. [smile]

2
00:00:01,500 --> 00:00:04,000
<i>What</i> a day
of sun.

3
00:00:05,000 --> 00:00:06,000
[nod] Bye.
"""
mutate_script: Final = lines_with(_WORDS)


def take_script(data: bytes) -> None:
    """Reads a script; its first letter tells the format."""
    formats: tuple[Format, ...] = ("text", "markdown", "srt")
    text = _text(data[1:], MOST_CHARACTERS)
    script = parse_script(text, formats[data[0] % 3 if data else 0])
    for sentence in script.sentences:
        assert 0 <= sentence.start <= sentence.end <= len(text)
    for notice in script.notices:
        assert notice.line >= 1
        assert notice.column >= 1
        assert notice.message.endswith((".", "?"))
        assert "\n" not in notice.message


def take_answer(data: bytes) -> None:
    """Reads an answer that is written bit by bit, as a brain streams it, and cuts it."""
    text = _text(data, MAX_TEXT)
    spoken, cutter = SpokenText(), Cutter()
    random = Random(len(text))
    position = given = 0
    while position < len(text):
        size = random.choice((1, 3, 17, 400))
        spoken.push(text[position : position + size])
        cutter.push(spoken.text[given:])
        given = len(spoken.text)
        if random.random() < 0.2:
            cutter.cut(is_hungry=random.random() < 0.5)
        position += size
    spoken.finish()
    cutter.push(spoken.text[given:])
    cutter.finish()
    pieces = 0
    while not cutter.is_done:
        assert cutter.cut(is_hungry=False) is not None
        pieces += 1
        assert pieces <= MAX_TEXT + 1


def take_speech(data: bytes) -> None:
    """Turns any text into what an English voice says."""
    text = _text(data, MAX_TEXT)
    phonemes = _english()
    start = 0
    for end, _ in [*find_breaks(text), (len(text), 0)]:
        if end > start:
            clause = text[start:end]
            readable(clause)
            spoken = spoken_form(clause, knows=phonemes.knows)
            phonemes(spoken.tokens)
            start = end


def take_address(data: bytes) -> None:
    """Reads where a stream is to be pushed, and takes secrets out of what is said of it."""
    text = _text(data, 10_000)
    without_passwords(text)
    Redactor(["a secret"]).clear(text)
    target = read_target(text, bearer=None, hosts=("*",))
    target.without_secrets(text)


def _text(data: bytes, most: int) -> str:
    return data.decode("utf-8", "surrogatepass" if data[:1] == b"{" else "replace")[:most]


def _seeds(text: str, captions: str) -> Sequence[bytes]:
    return [b"\0" + text.encode(), b"\1" + text.encode(), b"\2" + captions.encode()]


@cache
def _english() -> EnglishPhonemes:
    return english(british=False)


def _address_seeds() -> Sequence[bytes]:
    return [
        b"rtmp://user:secret@example.org/live/key",
        b"srt://127.0.0.1:9000?streamid=a&passphrase=0123456789&latency=200",
        b"rtsp://example.org:8554/live",
        b"https://example.org/whip/room?token=abc",
        b"livelink://192.168.1.5:11111",
    ]


SCRIPT: Final = Harness(
    take_script, lambda: _seeds(_TEXT, _CAPTIONS), mutate_script, (ScriptError,), longest=20_000
)
ANSWER: Final = Harness(take_answer, lambda: [_TEXT.encode()], mutate_script, (), longest=10_000)
SPEECH: Final = Harness(take_speech, lambda: [_TEXT.encode()], mutate_script, (), longest=10_000)
ADDRESS: Final = Harness(take_address, _address_seeds, lines_with(_WORDS), longest=2_000)
