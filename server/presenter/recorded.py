"""A recording as a script: its parts are the sentences, its captions their text. Pure."""

from __future__ import annotations

from dataclasses import replace

from server.pacing import MILLISECOND
from server.presenter.marks import Emotion, Gaze, Gesture
from server.presenter.recording import Clip, Recording, clips, on_block, quiet_places
from server.presenter.scan import Fault
from server.presenter.script import Script, notices_of, parse_script
from server.presenter.sentence import Mood, Sentence

_DONE = (Emotion, Gaze, Gesture)


def recorded_script(recording: Recording, captions: str | None) -> Script:
    """Returns a recording as a script.

    Without captions (SubRip subtitles, with marks) it is cut where it is quiet. With them each
    cue is a sentence, from its beginning to the next one's. Marks for emotions, gestures and
    gaze act; others would change the sound, and are told as warnings.

    Raises:
        ScriptError: the captions hold no cue that begins within the recording, or are too long.
    """
    if captions is None:
        parts = clips(recording, quiet_places(recording))
        sentences = [Sentence(0, 0, "", clip=clip) for clip in parts]
        return Script(sentences=tuple(sentences), is_recorded=True)
    script = parse_script(captions, "srt")
    cues, faults = _usable(script, recording)
    parts = clips(recording, [_start(cue) for cue in cues[1:]])
    read, mood = list[Sentence](), Mood()
    for index, (cue, clip) in enumerate(zip(cues, parts, strict=False)):
        begins = _start(cue) if index == 0 else 0  # what comes before the first cue is its own
        marks = tuple(placed for placed in cue.marks if isinstance(placed.mark, _DONE))
        faults += [
            Fault(placed.start, "this mark would change a recording's sound and does nothing")
            for placed in cue.marks
            if placed not in marks
        ]
        part = Clip(recording, clip.start, clip.end, min(begins, clip.end))
        read.append(replace(cue, marks=marks, mood=mood, rest=0, not_before=None, clip=part))
        for placed in marks:
            mood = mood.after(placed.mark)
    notices = (*script.notices, *notices_of(captions, faults))
    return replace(script, sentences=tuple(read), notices=notices, is_recorded=True)


def _usable(script: Script, recording: Recording) -> tuple[list[Sentence], list[Fault]]:
    """Returns the cues that have a part of the recording of their own, and what the others lack."""
    cues, faults = list[Sentence](), list[Fault]()
    for cue in script.sentences:
        if _start(cue) >= recording.samples:
            faults.append(Fault(cue.start, "this cue begins after the recording's end"))
        elif cues and _start(cue) <= _start(cues[-1]):
            faults.append(Fault(cue.start, "this cue begins together with the one before"))
        else:
            cues.append(cue)
    return cues, faults


def _start(cue: Sentence) -> int:
    """Returns where a cue begins in the recording, in samples."""
    return on_block((cue.not_before or 0) * MILLISECOND)
