"""Text that is still being written: what of it is said, when, and what steers the face."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.converse.cutter import Cutter
from server.converse.live_text import LiveText
from server.converse.marks import Mark, Unmoved, read_mark
from server.converse.spoken import SpokenText
from server.direction import Direction
from server.presenter.marks import Emotion, Gesture, Pause
from server.protocol import ServerEvent
from server.speaker import Speaker, SpeakRequest
from server.speech import Block, SpeechQueue
from server.voice.base import Voice
from streaming_model.motion.style import MotionStyle
from tests.live_fakes import FakeVoice
from tests.virtual_time import InlineExecutor, VirtualClock

SECOND = 1_000_000_000  # ns
EVERYTHING = """<happy>Hello there!</happy> I am **really** *glad* 😀 to see_you [nod]. Wow![wink]
See [my site](https://a.b/c?d=e) or <https://x.org/y>. [laughs] It is so [1], and x[i] too.

# Title
- one
- [x] two
> - quoted

```python
print("never said [nod]")
```
Then `code()` with a < b and x <3 y. ~~Gone~~ ![pic](http://q) [pause 600ms] of <b>it</b>.
|---|---|
---
__init__ snake_case"""
SAID = """Hello there! I am really glad to see_you. Wow!
See my site or https://x.org/y. It is so, and x[i] too.

Title
one
two
quoted

Then code() with a < b and x <3 y. Gone pic of it.


init snake_case"""


def read(text: str, *, cuts: list[int]) -> tuple[str, list[tuple[Mark, int]]]:
    spoken, marks, start = SpokenText(), [], 0
    for end in [*cuts, len(text)]:
        marks += spoken.push(text[start:end])
        start = end
    marks += spoken.finish()
    return spoken.text, [(placed.mark, placed.index) for placed in marks]


@pytest.mark.parametrize("seed", range(40))
def test_the_same_is_said_however_the_text_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(len(EVERYTHING)), k=chance.randint(0, 250)))
    said, marks = read(EVERYTHING, cuts=cuts)
    assert said == SAID
    assert marks == [
        (Emotion("happy"), 0),
        (Unmoved(), len("Hello there!")),
        (Gesture("nod"), SAID.index(". Wow")),
        (Gesture("wink"), SAID.index("\nSee")),
        (Pause(600), SAID.index(" of it")),
    ]


@given(st.text(alphabet="ab <>[]()*_`~#-!\n1.,/|"), st.lists(st.integers(0, 60)))
def test_no_text_hangs_and_no_cut_changes_it(text: str, cuts: list[int]) -> None:
    inside = sorted({cut for cut in cuts if cut < len(text)})
    assert read(text, cuts=inside) == read(text, cuts=[])


@given(st.text(), st.integers(0, 100))
def test_what_was_written_is_a_prefix_that_holds_what_was_said(text: str, said: int) -> None:
    spoken = SpokenText()
    spoken.push(text)
    spoken.finish()
    written = spoken.written(said)
    assert text.startswith(written)
    again = SpokenText()
    again.push(written)
    again.finish()
    if said >= len(spoken.text):
        assert len(again.text) <= len(spoken.text)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("<happy>", Emotion("happy")),
        ("<Sad 0.5>", Emotion("sad", 0.5)),
        ("[angry: 7]", Emotion("angry", 1.0)),
        ("</sad>", Unmoved()),
        ("[nod]", Gesture("nod")),
        ("<brow_raise 1.5/>", Gesture("brow_raise", 1.5)),
        ("[pause 600ms]", Pause(600)),
        ("[pause 0.5s]", Pause(500)),
        ("[pause]", Pause(500)),
        ("[pause 100s]", Pause(5000)),
        ("[laughs]", None),
        ("</nod>", None),
        ("<b>", None),
        ("[happy birthday]", None),
    ],
)
def test_marks_mean_what_they_say(text: str, mark: Mark | None) -> None:
    assert read_mark(text) == mark


def pieces(text: str, *, is_hungry: bool) -> list[str]:
    cutter, given = Cutter(), []
    for word in text.split(" "):
        cutter.push(word + " ")
        while (piece := cutter.cut(is_hungry=is_hungry)) is not None:
            given.append(piece.text)
    cutter.finish()
    while not cutter.is_done:
        last = cutter.cut(is_hungry=is_hungry)
        assert last is not None
        given.append(last.text)
    return given


LONG = (
    "Oh, hello! I am the lady of the picture, and I have sat here for five hundred years. "
    "Mr. Smith was here on Monday. What would you like to know about my smile? " + "word " * 60
)


def test_a_hungry_listener_gets_the_first_clause_and_a_patient_one_sentences() -> None:
    hungry = [piece.strip() for piece in pieces(LONG, is_hungry=True)]
    assert hungry[:2] == ["Oh, hello! I am the lady of the picture,", "and I have sat here for "
        "five hundred years."]  # fmt: skip
    assert "Mr. Smith was here on Monday." in hungry
    patient = [piece.strip() for piece in pieces(LONG, is_hungry=False)]
    assert patient[0] == "Oh, hello!"
    assert all(len(piece) <= 220 for piece in [*hungry, *patient])


@given(st.text(alphabet="ab ,.!?\n", max_size=400), st.booleans())
def test_nothing_is_lost_between_pieces(text: str, is_hungry: bool) -> None:
    assert "".join(pieces(text, is_hungry=is_hungry)) == text + " "


@dataclass
class Rig:
    clock: VirtualClock
    queue: SpeechQueue
    speaker: Speaker
    direction: Direction
    events: list[ServerEvent] = field(default_factory=list)

    def open(self, number: int = 1) -> LiveText:
        self.queue.open(number)
        text = LiveText(
            number, style=self.direction.style, direction=self.direction, clock=self.clock
        )
        self.speaker.request(SpeakRequest(number, text, "hum"))
        return text

    async def run(self, seconds: float) -> None:
        await self.clock.run_until(self.clock.now() + int(seconds * SECOND))

    def hear(self) -> list[Block]:
        """Takes all speech that waits, reaching its cues."""
        blocks: list[Block] = []
        while (block := self.queue.take(640 * len(blocks))) is not None:
            self.direction.reach(block)
            blocks.append(block)
        return blocks


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    clock, queue = VirtualClock(), SpeechQueue()
    events: list[ServerEvent] = []

    async def open_voice(name: str) -> Voice:
        return FakeVoice(name)

    speaker = Speaker(
        queue=queue,
        open_voice=open_voice,
        publish=events.extend,
        worker_for=lambda _, is_urgent: InlineExecutor(),
        clock=clock,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(speaker.run())
        yield Rig(clock, queue, speaker, Direction(MotionStyle()), events)
        task.cancel()


async def test_speech_begins_before_the_text_is_complete_and_counts_its_characters() -> None:
    async with running() as rig:
        text = rig.open()
        for delta in ("Well, that is a lo", "ng story, I", " think"):
            text.add(delta)
        await rig.run(0.2)
        begun = rig.hear()
        assert begun[0].begins
        assert "".join(word for block in begun for word in block.texts) == (
            "Well, that is a long story,"
        )
        assert begun[-1].characters[-1] >= len("Well, that is a long")
        text.add(". It was in Florence.")
        text.finish()
        await rig.run(0.2)
        rest = rig.hear()
    assert rest[-1].ends
    assert rest[-1].characters[-1] == len("Well, that is a long story, I think. It was in Florence")


async def test_a_sentence_is_said_though_the_next_one_is_long_in_coming() -> None:
    async with running() as rig:
        rig.open().add("Let me think about that.")
        await rig.run(0.1)
        assert not rig.hear()
        await rig.run(0.3)
        assert rig.hear()


async def test_emotions_and_gestures_happen_at_their_places() -> None:
    async with running() as rig:
        text = rig.open()
        text.add("This is how it was. <happy 0.9>Now I am glad. [nod]And that is all of it.")
        text.finish()
        await rig.run(0.2)
        emotions: dict[str, str] = {}
        nods: dict[str, int] = {}
        said = ""
        while (block := rig.queue.take(0)) is not None:
            rig.direction.reach(block)
            said = block.texts[0] if block.texts else said
            emotions[said] = rig.direction.style_of(block).emotion
            nods[said] = len(rig.direction.additions.gestures)
    assert list(emotions.values()) == ["neutral", "happy", "happy"]
    assert list(nods.values()) == [0, 0, 1]
    assert not rig.events


async def test_a_pause_is_silence_of_its_length() -> None:
    async def length(written: str) -> int:
        async with running() as rig:
            text = rig.open()
            text.add(written)
            text.finish()
            await rig.run(0.2)
            return sum(block.length for block in rig.hear())

    with_pause = await length("One is here. [pause 600ms] Two is there.")
    assert with_pause - await length("One is here. Two is there.") == 9_600


async def test_a_dropped_text_takes_no_more_time_and_the_next_is_said() -> None:
    async with running() as rig:
        text = rig.open()
        text.add("Something that was begun, ")
        await rig.run(0.2)
        rig.queue.drop_before(2)
        text.add("and is not wanted any more.")
        other = rig.open(2)
        other.add("Something else.")
        other.finish()
        await rig.run(0.3)
        assert {block.utterance for block in rig.hear()} == {2}
