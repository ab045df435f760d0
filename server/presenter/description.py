"""What a script's sentences, marks and warnings look like to clients. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from server.pacing import MILLISECOND
from server.presenter.marks import Emotion, Emphasis, Gaze, Gesture, Mark, Pause, VoiceChange
from server.presenter.script import Script
from server.presenter.sentence import Sentence

_KINDS: dict[type[Mark], str] = {
    Emotion: "emotion", Gesture: "gesture", Pause: "pause", Emphasis: "emphasis", Gaze: "gaze",
    VoiceChange: "voice",
}  # fmt: skip


def _recorded(sentence: Sentence) -> list[int] | None:
    """Returns from when to when the sentence is in its recording, in milliseconds."""
    clip = sentence.clip
    return None if clip is None else [clip.start // MILLISECOND, clip.end // MILLISECOND]


def describe_script(script: Script) -> dict[str, Any]:
    """Returns a script as JSON values."""
    return {
        "format": "audio" if script.is_recorded else script.format,
        "text": script.source,
        "sentences": [
            {
                "start": sentence.start,
                "end": sentence.end,
                "text": sentence.text,
                "not_before_ms": sentence.not_before,
                "recorded_ms": _recorded(sentence),
                "marks": [
                    {
                        "type": _KINDS[type(placed.mark)],
                        **asdict(placed.mark),
                        "at": placed.at,
                        "start": placed.start,
                        "end": placed.end,
                    }
                    for placed in sentence.marks
                ],
            }
            for sentence in script.sentences
        ],
        "warnings": [asdict(notice) for notice in script.notices],
    }
