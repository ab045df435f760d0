"""Says one sentence of a script: through the session's voices into its queue of speech.

Styles and gestures become cues of the queue, so that they happen where their place in the text
is heard. It decides nothing about what is said when: that is the reader's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from server.direction import Direction
from server.pacing import MILLISECOND
from server.presenter.marks import Emotion, Emphasis, Gaze, Gesture
from server.presenter.recording import Clip
from server.presenter.sentence import Mood, Placed, Sentence
from server.presenter.steps import Silence, Speech, mood_at, steps_of
from server.presenter.take import Take, place_in
from server.protocol import ProtocolError, ServerEvent, Style, Warned
from server.speaker import Speaker
from server.speech import Passage, SpeechQueue

_BEAT = "brow_raise"  # brows and pitch accents go together (Graf et al. 2002, "Visual prosody")
_BEAT_STRENGTH = 0.6
_BEAT_LEAD = 80 * MILLISECOND  # that the brows begin before the word


@dataclass(frozen=True, slots=True)
class Context:
    """How a sentence stands between its neighbours.

    Attributes:
        skip: characters of it that were said before; in a recording, milliseconds.
        quiet: samples of silence that its predecessor ended with; 0 after a break.
        lead: samples of silence before it.
        trims: whether its successor begins with a pause.
        is_last: whether none follows.
    """

    skip: int = 0
    quiet: int = 0
    lead: int = 0
    trims: bool = False
    is_last: bool = False


class Narrator:
    """The script's way to the voices of one session.

    Attributes:
        voice: name of the session's voice.
    """

    def __init__(
        self,
        *,
        voice: str,
        queue: SpeechQueue,
        speaker: Speaker,
        direction: Direction,
        publish: Callable[[list[ServerEvent]], None],
        worker: Executor,
        seed: int,
    ) -> None:
        """Takes the session's parts; `worker` is where recordings are converted."""
        self._worker = worker
        self.voice = voice
        self._queue = queue
        self._speaker = speaker
        self._direction = direction
        self._publish = publish
        self._seed = seed

    async def say(self, number: int, sentence: Sentence, context: Context) -> tuple[int, int]:
        """Says a sentence as utterance `number`, which the queue holds open.

        Returns when all of it is queued, or when the utterance was dropped: how many samples
        it has, and how many of silence it ends with.
        """
        take = Take(number, self._queue, quiet=context.quiet)
        if sentence.clip is not None:
            return await self._play(take, sentence, sentence.clip, context)
        take.cue(self._turn(mood_at(sentence, context.skip)))
        mood = mood_at(sentence, context.skip)
        if context.lead:
            take.silence(context.lead + context.quiet)
        for step in steps_of(sentence, context.skip):
            if isinstance(step, Silence):
                mood = self._place(take, step.cues, mood, at_end=True)
                take.silence(step.samples)
            else:
                mood = await self._speak(take, step, mood)
            if not take.is_wanted:
                break
        rest = 0 if context.is_last else sentence.rest * MILLISECOND
        quiet = take.finish(rest=rest, trims=context.trims)
        if context.is_last:
            take.cue(lambda at: self._direction.turn(at, None))
        self._queue.complete(number)
        return take.length, quiet

    async def _play(
        self, take: Take, sentence: Sentence, clip: Clip, context: Context
    ) -> tuple[int, int]:
        """Plays a part of a recording, and its captions' marks with it."""
        skip = context.skip * MILLISECOND
        begins, length = clip.caption - skip, clip.end - clip.start - skip
        passage = Passage(sentence.text, 0, begins, length) if sentence.text else None
        mood = self._pass_over(take, sentence, passage)
        pieces, loop = clip.pieces(skip), asyncio.get_running_loop()
        while (piece := await loop.run_in_executor(self._worker, next, pieces, None)) is not None:
            if passage is not None and begins < take.end + len(piece):
                early = max(begins - take.end, 0)
                take.add(piece[:early])
                piece = piece[early:]
                here = passage.after(-take.end)
                take.add_clause(piece, sentence.text, here, begin=0)
                later = [mark for mark in sentence.marks if take.place(mark.at) >= 0]
                mood = self._place(take, later, mood)
                passage = None
            else:
                take.add(piece)
            await self._speaker.wait_for_room(take.number)
            if not take.is_wanted:
                break
        take.finish(rest=0, trims=False)
        if context.is_last:
            take.cue(lambda at: self._direction.turn(at, None))
        self._queue.complete(take.number)
        return take.length, 0

    def _pass_over(self, take: Take, sentence: Sentence, passage: Passage | None) -> Mood:
        """Lets what marks have set that lie before the beginning hold from there on."""
        mood = sentence.mood
        for placed in sentence.marks:
            if passage is not None and place_in(passage, placed.at) < 0:
                mood = mood.after(placed.mark)
        take.cue(self._turn(mood))
        return mood

    async def _speak(self, take: Take, step: Speech, mood: Mood) -> Mood:
        """Says one stretch; returns the mood after it."""
        waiting = list(step.cues)
        for placed in waiting:
            if isinstance(placed.mark, Emphasis):
                take.stress(placed.at, placed.at + placed.mark.length)
        voice = step.voice or self.voice
        async for clause in self._speaker.clauses(take.number, step.text, voice):
            take.add_clause(clause.audio, clause.text, clause.passage, begin=step.start)
            if clause.passage is not None:
                end = step.start + clause.passage.index + len(clause.passage.text)
                due = [placed for placed in waiting if placed.at < end]
                waiting = waiting[len(due) :]
                mood = self._place(take, due, mood)
            await self._speaker.wait_for_room(take.number)
        return self._place(take, waiting, mood, at_end=True)

    def _place(
        self, take: Take, marks: list[Placed] | tuple[Placed, ...], mood: Mood, *,
        at_end: bool = False,
    ) -> Mood:  # fmt: skip
        """Puts cues where their characters are heard; returns the mood after them."""
        for placed in marks:
            mood = mood.after(placed.mark)
            at = None if at_end else placed.at
            match placed.mark:
                case Emotion() | Gaze():
                    take.cue(self._turn(mood), at=at)
                case Gesture(name=name, strength=strength):
                    take.cue(self._gesture(name, strength), at=at)
                case Emphasis():
                    take.cue(self._gesture(_BEAT, _BEAT_STRENGTH), at=at, early=_BEAT_LEAD)
        return mood

    def _turn(self, mood: Mood) -> Callable[[int], None]:
        emotion, gaze = mood.emotion, mood.gaze
        change = Style(
            emotion=emotion.name if emotion else None,
            intensity=emotion.intensity if emotion else None,
            gaze=gaze.target if gaze else None,
        )
        return lambda at: self._direction.turn(at, change)

    def _gesture(self, name: str, strength: float) -> Callable[[int], None]:
        self._seed += 1
        seed = self._seed

        def make(at: int) -> None:
            try:
                self._direction.cue_gesture(name, at=at, strength=strength, seed=seed)
            except ProtocolError as error:
                self._publish([Warned(error.code, str(error))])

        return make
