"""What a script's sentences, marks and warnings look like to clients. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from server.presenter.marks import Emotion, Emphasis, Gaze, Gesture, Mark, Pause, VoiceChange
from server.presenter.script import Script

_KINDS: dict[type[Mark], str] = {
    Emotion: "emotion", Gesture: "gesture", Pause: "pause", Emphasis: "emphasis", Gaze: "gaze",
    VoiceChange: "voice",
}  # fmt: skip


def describe_script(script: Script) -> dict[str, Any]:
    """Returns a script as JSON values."""
    return {
        "format": script.format,
        "text": script.source,
        "sentences": [
            {
                "start": sentence.start,
                "end": sentence.end,
                "text": sentence.text,
                "not_before_ms": sentence.not_before,
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
