"""What a model may write into its reply to steer the face: `<happy>`, `[sad 0.5]`, `[nod]`.

Pure: one mark in, its meaning out. They are those of scripts (`server.presenter.marks`), read with
more patience: nobody is there to mend them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.presenter.marks import Emotion, Gesture, Pause
from streaming_model.motion.gestures import GESTURES
from streaming_model.motion.style import EMOTION_CHOICES

LONGEST_PAUSE = 5_000  # ms; a model that asks for more has lost its way
_USUAL_PAUSE = 500  # ms
_STRONGEST = 2.0  # of a gesture
_MARK = re.compile(
    r"[<\[]\s*(?P<close>/?)\s*(?P<name>[A-Za-z_]+)(?:\s*[\s:=]\s*(?P<number>\d{1,6}(?:\.\d{1,6})?)"
    r"\s*(?P<unit>ms|s)?)?\s*/?\s*[>\]]"
)


@dataclass(frozen=True, slots=True)
class Unmoved:
    """From here on the session's own style again."""


Mark = Emotion | Gesture | Pause | Unmoved


def read_mark(text: str) -> Mark | None:
    """Returns what `<name>`, `<name 0.5>`, `</name>` or the same in square brackets asks for.

    None for anything else. Numbers beyond what is possible act as the nearest possible one: a
    model's slip must not cost its sentence.
    """
    found = _MARK.fullmatch(text)
    if found is None:
        return None
    name, number = found["name"].lower(), found["number"]
    value = None if number is None else float(number)
    if name in EMOTION_CHOICES:
        intensity = None if value is None else min(value, 1.0)
        return Unmoved() if found["close"] else Emotion(name, intensity)
    if found["close"]:
        return None
    if name in GESTURES:
        return Gesture(name, 1.0 if value is None else min(value, _STRONGEST))
    if name == "pause":
        unit = 1000 if found["unit"] == "s" else 1
        wanted = _USUAL_PAUSE if value is None else round(value * unit)
        return Pause(min(wanted, LONGEST_PAUSE))
    return None
