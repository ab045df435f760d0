"""A script read live, in virtual time: what is heard when, and what can be changed meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.direction import Direction
from server.hearing import cut
from server.inference import Inference
from server.line import Engines, LiveLine
from server.presenter.alignment import Place, following, moved
from server.presenter.narrator import Narrator
from server.presenter.reader import Reader
from server.presenter.script import Format, parse_script
from server.protocol import (
    ProtocolError,
    ScriptPosition,
    ScriptUpdated,
    ServerEvent,
    SpeakEnded,
    SpeakStarted,
    SubtitleDelta,
    Warned,
)
from server.speaker import Speaker
from server.turns import Turns
from server.voice.base import SpeechClause, Voice
from streaming_model.motion.style import MotionStyle
from tests.live_fakes import VOICE_RATE, FakeAvatar, FakeMotion, FakeVoice
from tests.test_interrupts import LateExecutor
from tests.test_line import RecordingAudience
from tests.virtual_time import InlineExecutor, VirtualClock

SECOND = 1_000_000_000  # ns
MEDIA_SECOND = 16_000  # samples
LETTER = 800  # samples at 16 kHz of the fake voice's letters, 50 ms
EventT = TypeVar("EventT", bound=ServerEvent)


class RestingVoice(FakeVoice):
    """Hums, and leaves silence around its words as real voices do."""

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        for clause in super().speak(text, speed=speed, in_pieces=in_pieces):
            head, tail = np.zeros(VOICE_RATE // 20), np.zeros(VOICE_RATE // 2)
            samples = np.concatenate([head, clause.samples, tail]).astype(np.float32)
            yield SpeechClause(
                clause.text, clause.text_start, clause.text_end, VOICE_RATE, samples, (), ()
            )


@dataclass
class Rig:
    """One session less its sockets, with a script."""

    clock: VirtualClock
    line: LiveLine
    audience: RecordingAudience
    motion: FakeMotion
    direction: Direction
    turns: Turns
    reader: Reader
    publish: Callable[[Sequence[ServerEvent]], None]
    events: list[ServerEvent] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        await self.clock.run_until(self.clock.now() + int(seconds * SECOND))

    def read(self, source: str, format: Format = "text") -> None:
        self.reader.replace(parse_script(source, format))

    async def hear(self, source: str, seconds: float = 20, format: Format = "text") -> None:
        self.read(source, format)
        self.reader.play()
        await self.run(seconds)

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def is_over(self) -> bool:
        return self.reader.state == "ended"

    def captions(self) -> list[str]:
        return [event.text for event in self.of(SubtitleDelta)]

    def positions(self) -> list[int]:
        return [event.sentence for event in self.of(ScriptPosition)]

    def states(self) -> list[str]:
        return [event.state for event in self.of(ScriptUpdated)]

    def stretches(self) -> list[tuple[int, int]]:
        """Returns the sounds that were heard: (media time of the first sample, of the end)."""
        sound = np.concatenate([sound for _, _, sound in self.audience.sounds])
        loud = np.flatnonzero(np.abs(sound) > 0.01) // 3
        breaks = np.flatnonzero(np.diff(loud) > 100)
        starts = loud[np.concatenate([[0], breaks + 1])]
        return list(zip(starts.tolist(), (loud[np.append(breaks, -1)] + 1).tolist(), strict=True))

    def silences(self) -> list[int]:
        """Returns how long each silence between two sounds was, in samples."""
        heard = self.stretches()
        return [start - end for (_, end), (start, _) in itertools.pairwise(heard)]


@asynccontextmanager
async def running(
    *, voice: type[FakeVoice] = FakeVoice, late: int = 0, worker: Executor | None = None
) -> AsyncIterator[Rig]:
    """Runs a session whose voice takes `late` nanoseconds a clause."""
    clock, inline, motion = VirtualClock(), InlineExecutor(), FakeMotion()
    audience, turns, direction = RecordingAudience(clock), Turns(), Direction(MotionStyle())
    events: list[ServerEvent] = []
    voices: list[str] = []

    def publish(news: Sequence[ServerEvent]) -> None:
        for event in news:
            events.append(event)
            reader.heed(event)

    async def open_voice(name: str) -> Voice:
        voices.append(name)
        return voice(name)

    line = LiveLine(
        avatar=FakeAvatar(size=16, motion=motion),
        seed=0,
        direction=direction,
        chunk_frames=2,
        lookahead_frames=2,
        engines=Engines(Inference(inline), inline, inline, clock),
        audience=audience,
        on_audible=lambda marks, start: publish(turns.audible(marks, start)),
    )
    speech = worker or (LateExecutor(clock, lambda: late) if late else inline)
    speaker = Speaker(
        queue=line.queue,
        open_voice=open_voice,
        publish=publish,
        worker_for=lambda _, **__: speech,
        clock=clock,
    )
    narrator = Narrator(
        voice="hum",
        queue=line.queue,
        speaker=speaker,
        direction=direction,
        publish=publish,
        worker=inline,
        seed=0,
    )
    reader = Reader(line=line, turns=turns, narrator=narrator, publish=publish, clock=clock)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(line.run()), group.create_task(reader.run())]
        yield Rig(clock, line, audience, motion, direction, turns, reader, publish, events, voices)
        for task in tasks:
            task.cancel()


async def test_a_script_is_heard_from_beginning_to_end() -> None:
    source = "First one. Second one. Third."
    async with running() as rig:
        await rig.hear(source)
    assert rig.captions() == ["First one", "Second one", "Third"]
    assert rig.positions() == [0, 1, 2]
    first = rig.of(ScriptPosition)[1]
    assert source[first.start : first.end] == "Second one."
    assert rig.states() == ["ready", "playing", "ended"]
    assert all(not ended.interrupted for ended in rig.of(SpeakEnded))


async def test_there_is_no_gap_between_sentences() -> None:
    async with running() as rig:
        await rig.hear("One of them. Another one. And a third one.")
    assert max(rig.silences()) < 640  # what fills up the last 40 ms


async def test_a_slow_voice_makes_a_sentence_while_the_one_before_is_heard() -> None:
    async with running(late=200_000_000) as rig:
        await rig.hear("The first of them. The second of them. The third of them. And another.")
    assert max(rig.silences()) < 640
    assert rig.positions() == [0, 1, 2, 3]


async def test_positions_and_captions_come_with_the_sound() -> None:
    async with running(voice=RestingVoice) as rig:
        await rig.hear("One. [pause 1.5s] Two and a half. Three [pause 700ms] four.")
    heard = [start for start, _ in rig.stretches()]
    captions = [event.media_time for event in rig.of(SubtitleDelta)]
    assert len(captions) == len(heard) == 4
    offsets = [caption - start for caption, start in zip(captions, heard, strict=True)]
    assert all(abs(offset) < MEDIA_SECOND // 10 for offset in offsets), offsets
    begun = [event.media_time for event in rig.of(SpeakStarted)]
    assert [event.media_time for event in rig.of(ScriptPosition)] == begun


@pytest.mark.parametrize("voice", [FakeVoice, RestingVoice])
@pytest.mark.parametrize("milliseconds", [600, 40, 1200, 2345])
async def test_a_pause_is_silence_of_exactly_that_length(
    voice: type[FakeVoice], milliseconds: int
) -> None:
    mark = f"[pause {milliseconds}ms]"
    async with running(voice=voice) as rig:
        await rig.hear(f"Here it {mark} is. {mark} And there.")
    within, between = rig.silences()[:2]
    # A sine's first and last samples are below what counts as heard.
    assert within == pytest.approx(milliseconds * 16, abs=8)
    assert between == pytest.approx(milliseconds * 16, abs=8)


async def test_the_style_changes_where_its_mark_is_heard() -> None:
    source = "A sentence that is plain. [happy 0.9] This one is merry. [neutral] Over again now."
    async with running() as rig:
        await rig.hear(source, 12)
    begins = [event.media_time for event in rig.of(ScriptPosition)]
    found = [
        (at, style.emotion, style.intensity) for at, style in sorted(rig.motion.styles.items())
    ]
    assert [emotion for _, emotion, _ in found] == ["happy", "neutral"]
    assert found[0][2] == 0.9
    assert [at for at, _, _ in found] == begins[1:]


async def test_a_mark_within_a_sentence_acts_within_it() -> None:
    async with running() as rig:
        await rig.hear("Twenty letters here, [sad] and then some more.", 12)
    (position,) = rig.of(ScriptPosition)
    (at, style), *_ = sorted(rig.motion.styles.items())
    assert style.emotion == "sad"
    place = position.media_time + 21 * LETTER
    assert abs(at - place) <= 640


async def test_a_gesture_begins_where_its_mark_is_heard() -> None:
    made = []
    async with running() as rig:
        rig.read("Twenty letters here, [nod 1.5] and some more. [smile] Bye.")
        rig.reader.play()
        for _ in range(60):
            await rig.run(0.1)
            made += [g for g in rig.motion.additions.gestures if g not in made]
    positions = [event.media_time for event in rig.of(ScriptPosition)]
    assert [(gesture.name, gesture.strength) for gesture in made] == [("nod", 1.5), ("smile", 1.0)]
    assert abs(made[0].start - (positions[0] + 21 * LETTER)) <= 640
    assert made[1].start == positions[1]


async def test_the_session_has_its_own_style_again_after_the_script() -> None:
    async with running() as rig:
        await rig.hear("[happy] So it goes.", 10)
    styles = [style.emotion for _, style in sorted(rig.motion.styles.items())]
    assert styles == ["happy", "neutral"]


async def test_stressed_words_are_louder() -> None:
    async with running() as rig:
        await rig.hear("aaaaaaaaaa **bbbbbbbbbb** cccccccccc.", 1.5)
        assert [gesture.name for gesture in rig.direction.additions.gestures] == ["brow_raise"]
        await rig.run(1)
    ((begin, _),) = rig.stretches()
    sound = np.concatenate([sound for _, _, sound in rig.audience.sounds])
    third = 10 * LETTER * 3

    def level(start: int) -> float:
        return float(np.abs(sound[begin * 3 + start : begin * 3 + start + 3 * LETTER * 4]).max())

    assert level(LETTER * 9) == pytest.approx(0.3, rel=0.05)
    assert level(third + LETTER * 12) == pytest.approx(0.3 * 10 ** (3 / 20), rel=0.05)
    assert level(2 * third + LETTER * 12) == pytest.approx(0.3, rel=0.05)


async def test_another_voice_speaks_from_its_mark_on() -> None:
    async with running() as rig:
        await rig.hear("One [voice buzz] two. Three. [voice default] Four.")
    assert rig.voices == ["hum", "buzz", "buzz", "hum"]
    assert rig.captions() == ["One", "two", "Three", "Four"]


async def test_a_pause_stops_at_once_and_goes_on_with_the_word_that_was_cut() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma delta epsilon. Zeta.")
        rig.reader.play()
        await rig.run(1.0)
        rig.reader.pause()
        instant = rig.clock.now()
        await rig.run(3)
        assert rig.reader.state == "paused"
        late = [at for at, _, sound in rig.audience.sounds if np.abs(sound).max() > 0.01]
        assert max(late) - instant < 60_000_000
        ended, unheard = rig.of(SpeakEnded)
        assert ended.interrupted
        assert unheard.spoken_ms == 0
        said = ended.spoken_characters or 0
        assert 0 < said < 30
        rig.reader.play()
        await rig.run(10)
    rest = "Alpha beta gamma delta epsilon."[said:].strip()
    assert rig.captions()[1] == rest.rstrip(".")
    assert rig.captions()[2:] == ["Zeta"]
    assert rig.positions() == [0, 0, 1]
    assert rig.states() == ["ready", "playing", "paused", "playing", "ended"]


async def test_a_pause_at_the_end_of_the_sentence_lets_it_end() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma. Delta. Epsilon.")
        rig.reader.play()
        await rig.run(0.5)
        rig.reader.pause(at_sentence_end=True)
        await rig.run(5)
        assert rig.captions() == ["Alpha beta gamma"]
        assert rig.reader.state == "paused"
        rig.reader.play()
        await rig.run(5)
    assert rig.captions() == ["Alpha beta gamma", "Delta", "Epsilon"]
    assert rig.states() == ["ready", "playing", "pausing", "paused", "playing", "ended"]
    ended = {event.utterance for event in rig.of(SpeakEnded)}
    assert ended == set(range(1, rig.turns.utterance + 1))  # also those that never began


async def test_seeking_goes_to_a_sentence_and_plays_on() -> None:
    async with running() as rig:
        rig.read("[happy] Alpha. Beta. [sad] Gamma. Delta.")
        rig.reader.play()
        await rig.run(0.4)
        rig.reader.seek(2)
        while rig.positions() != [0, 2]:
            await rig.run(0.02)
        rig.reader.seek(1)
        await rig.run(10)
    assert rig.positions() == [0, 2, 1, 2, 3]
    emotions = [style.emotion for _, style in sorted(rig.motion.styles.items())]
    assert emotions == ["happy", "sad", "happy", "sad", "neutral"]


async def test_seeking_while_it_does_not_play_chooses_where_it_will() -> None:
    async with running() as rig:
        rig.read("Alpha. Beta. Gamma.")
        rig.reader.seek(1)
        await rig.run(2)
        assert not rig.captions()
        rig.reader.play()
        await rig.run(5)
        assert rig.captions() == ["Beta", "Gamma"]
        rig.reader.play()
        await rig.run(5)
    assert rig.captions()[2:] == ["Alpha", "Beta", "Gamma"]


@pytest.mark.parametrize("sentence", [-1, 3, 1000])
async def test_a_sentence_that_is_not_there_is_refused(sentence: int) -> None:
    async with running() as rig:
        rig.read("Alpha. Beta. Gamma.")
        for call in (rig.reader.seek, rig.reader.play):
            with pytest.raises(ProtocolError, match=rf"no sentence {sentence}; the script has 3"):
                call(sentence)
        rig.read(" ")
        with pytest.raises(ProtocolError, match="no sentence to speak"):
            rig.reader.play()


async def test_what_is_not_yet_spoken_can_be_changed() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma. Old one. Kept.")
        rig.reader.play()
        await rig.run(0.4)
        rig.read("Alpha beta gamma. New one. And more. Kept.")
        await rig.run(10)
    assert rig.captions() == ["Alpha beta gamma", "New one", "And more", "Kept"]
    assert rig.positions() == [0, 1, 2, 3]
    assert max(rig.silences()) < 640


async def test_a_change_of_what_was_spoken_changes_nothing_that_is_heard() -> None:
    async with running() as rig:
        rig.read("Alpha. Beta gamma. Delta.")
        rig.reader.play()
        await rig.run(0.6)
        assert rig.positions() == [0, 1]
        rig.read("Before. Alfa! Beta gamma. Delta.")
        await rig.run(5)
    assert rig.captions() == ["Alpha", "Beta gamma", "Delta"]
    assert rig.positions() == [0, 1, 3]


async def test_a_sentence_that_is_being_said_is_not_said_in_two_wordings() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma. Delta.")
        rig.reader.play()
        await rig.run(0.4)
        rig.read("Alpha beta gamma and so on. Delta.")
        await rig.run(5)
    assert rig.captions() == ["Alpha beta gamma", "Delta"]


async def test_a_script_can_grow_at_its_end_and_shrink() -> None:
    async with running() as rig:
        rig.read("Alpha beta.")
        rig.reader.play()
        await rig.run(0.3)
        rig.read("Alpha beta. Gamma. Delta.")
        await rig.run(0.2)
        rig.read("Alpha beta. Gamma.")
        await rig.run(5)
    assert rig.captions() == ["Alpha beta", "Gamma"]
    assert rig.reader.state == "ended"


async def test_a_script_that_is_emptied_ends_with_the_sentence_that_is_heard() -> None:
    async with running() as rig:
        rig.read("Alpha beta. Gamma. Delta.")
        rig.reader.play()
        await rig.run(0.3)
        rig.read("")
        await rig.run(3)
        assert rig.captions() == ["Alpha beta"]
        assert rig.is_over
        rig.read("Alpha beta.")
        rig.reader.seek(0)
        rig.read(" ")
        assert rig.reader.state == "empty"


async def test_a_change_while_paused_goes_on_in_the_middle_of_what_was_kept() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma delta. Old.")
        rig.reader.play()
        await rig.run(0.8)
        rig.reader.pause()
        said = rig.of(SpeakEnded)[0].spoken_characters or 0
        rig.read("Inserted before. Alpha beta gamma delta. New.")
        rig.reader.play()
        await rig.run(5)
    rest = "Alpha beta gamma delta"[said:].strip()
    assert rig.captions() == ["Alpha beta gamma delta", rest, "New"]


async def test_an_interruption_pauses_the_script() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma. Delta.")
        rig.reader.play()
        await rig.run(0.5)
        rig.publish(cut(rig.line, rig.turns))
        await rig.run(3)
        assert rig.reader.state == "paused"
        assert rig.states()[-1] == "paused"
        assert len(rig.captions()) == 1
        rig.reader.play()
        await rig.run(5)
    assert rig.captions()[-1] == "Delta"


async def test_a_cue_that_was_cut_off_is_taken_back() -> None:
    async with running() as rig:
        rig.read("Alpha beta gamma delta epsilon. [happy] [nod] Zeta.")
        rig.reader.play()
        ahead = int(31 * 0.05 * SECOND)
        while not rig.of(SpeakStarted):
            await rig.run(0.02)
        await rig.clock.run_until(rig.clock.now() + ahead - 100_000_000)
        rig.reader.pause()  # the next sentence is composed, but not heard
        assert "happy" in {style.emotion for style in rig.motion.styles.values()}
        assert not rig.direction.additions.gestures
        rig.motion.styles.clear()
        await rig.run(1)
        rig.reader.play()
        await rig.run(2)
    # It is told again, for the model has gone back to before it.
    assert [style.emotion for _, style in sorted(rig.motion.styles.items())] == ["happy", "neutral"]
    assert rig.positions() == [0, 0, 1]


async def test_a_failing_voice_costs_its_sentence_alone() -> None:
    async with running() as rig:
        await rig.hear("Alpha. This will fail. Gamma.")
    assert rig.captions() == ["Alpha", "Gamma"]
    assert [warning.code for warning in rig.of(Warned)] == ["voice_failed"]
    assert rig.reader.state == "ended"


async def test_subtitles_are_not_spoken_before_their_time() -> None:
    cues = [(1000, "Alpha."), (1100, "Beta gamma delta."), (4000, "Zeta."), (9000, "Eta.")]
    times = [f"00:00:{ms // 1000:02},{ms % 1000:03} --> 00:00:59,000" for ms, _ in cues]
    source = "".join(
        f"{index}\n{time}\n{text}\n\n"
        for index, (time, (_, text)) in enumerate(zip(times, cues, strict=True), 1)
    )
    async with running(voice=RestingVoice) as rig:
        rig.read(source, "srt")
        rig.reader.play()
        begun = rig.clock.now()
        await rig.run(15)
    del begun
    starts = [start for start, _ in rig.stretches()]
    first = rig.of(SpeakStarted)[0].media_time
    script = [start - first for start in starts]
    for (ms, _), heard in zip(cues, script, strict=True):
        assert heard >= ms * 16 - 8
    assert script[0] == pytest.approx(16_000, abs=16)
    assert script[2] == pytest.approx(64_000, abs=700)
    assert script[3] == pytest.approx(144_000, abs=700)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_done_no_sentence_is_heard_twice_or_left_out(seed: int) -> None:
    """Changes, pauses and interruptions at random moments; sentences are known by numbers."""
    chance = random.Random(seed)
    script = [f"Start {index} here" for index in range(5)]
    async with running() as rig:
        rig.read(". ".join(script))
        rig.reader.play()
        for _ in range(8):
            await rig.run(chance.uniform(0.02, 1.0))
            if rig.is_over:
                break
            act = chance.choice(["edit", "edit", "pause", "end", "play", "interrupt"])
            if act == "edit":
                kept = max(rig.positions(), default=-1) + 2  # one more may be on its way
                words = chance.choices(["Ab", "Cd ef", "Ij kl mn"], k=chance.randint(0, 4))
                script = script[:kept] + [f"{w} {i} now" for i, w in enumerate(words, kept)]
                rig.read(". ".join(script))
            elif act == "interrupt":
                rig.publish(cut(rig.line, rig.turns))
            elif act == "play":
                rig.reader.play()
            elif act in ("pause", "end"):
                rig.reader.pause(at_sentence_end=act == "end")
        if not rig.is_over:
            rig.reader.play()
        await rig.run(8)
        assert rig.is_over
    positions = rig.positions()
    assert positions == sorted(positions)  # never back
    assert set(positions) == set(range(len(script)))
    ended = [event.utterance for event in rig.of(SpeakEnded)]
    assert len(ended) == len(set(ended))
    assert set(ended) >= {event.utterance for event in rig.of(SpeakStarted)}


TEXTS = st.lists(st.sampled_from("abcdefg"), max_size=8)


@given(TEXTS, TEXTS, st.data())
def test_going_on_in_a_changed_script(old: list[str], new: list[str], data: st.DataObject) -> None:
    if not old:
        assert moved(old, new, Place(0)) == Place(0)
        return
    index = data.draw(st.integers(0, len(old) - 1))
    at = following(old, new, index)
    assert 0 <= at <= len(new)
    assert following(old, old, index) == index + 1
    assert following(old, [*old, *new], index) == index + 1
    if new[: index + 1] == old[: index + 1]:
        assert at == index + 1


@pytest.mark.parametrize(
    ("old", "new", "index", "expected"),
    [
        ("abc", "abc", 1, 2),
        ("abc", "xabc", 1, 3),
        ("abc", "aXc", 1, 2),
        ("abc", "aXYc", 1, 2),
        ("abc", "ac", 1, 1),
        ("abc", "c", 1, 0),
        ("abc", "", 1, 0),
        ("abcd", "XYcd", 1, 2),
    ],
)
def test_a_changed_sentence_counts_as_the_one_in_its_place(
    old: str, new: str, index: int, expected: int
) -> None:
    assert following(old, new, index) == expected
