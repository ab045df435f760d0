"""Styles: bad values are refused with the value, and weights get the numbers they name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from streaming_model.errors import ModelFileError
from streaming_model.motion.networks import DEFAULT_FOLDER, MotionNetworks
from streaming_model.motion.style import (
    EMOTIONS,
    FIRST_STYLE_NAMES,
    STYLE_NAMES,
    MotionStyle,
)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"head_motion": -1.0}, "head_motion must be a number of at least 0, got -1.0"),
        ({"blink_rate": float("nan")}, "blink_rate must be a number of at least 0, got nan"),
        ({"intensity": 1.5}, "intensity must be a number from 0 to 1, got 1.5"),
        ({"intensity": float("nan")}, "intensity must be a number from 0 to 1, got nan"),
        ({"whisper": -0.1}, "whisper must be a number from 0 to 1, got -0.1"),
        ({"emotion": "bored"}, "emotion must be one of neutral, happy, .* auto, got 'bored'"),
        ({"gaze_target": "left"}, "the gaze target must be viewer, away or a point .* got 'left'"),
        ({"gaze_target": (31.0, 0.0)}, r"within 30 degrees .*, got \(31.0, 0.0\)"),
        ({"gaze_target": (0.0, float("nan"))}, r"got \(0.0, nan\)"),
        ({"gaze_target": (1.0,)}, r"got \(1.0,\)"),
    ],
)
def test_an_impossible_value_is_refused_in_a_sentence(
    values: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        MotionStyle(**values)  # type: ignore[arg-type]


def test_the_vector_follows_the_names_that_the_weights_know() -> None:
    style = MotionStyle(emotion="sad", intensity=0.75, whisper=0.5, head_motion=0.75)
    full = dict(zip(STYLE_NAMES, style.vector(), strict=True))
    assert full["sad"] == 0.75 and full["whisper"] == 0.5
    assert full["head"] == pytest.approx(0.75 * 1.6 - 1)
    assert full["captured"] == 0.0 and all(full[name] == 0 for name in EMOTIONS if name != "sad")
    order = ("whisper", "brows", "sad", "jaw")
    np.testing.assert_array_equal(style.vector(order), [full[name] for name in order])
    np.testing.assert_array_equal(style.vector(FIRST_STYLE_NAMES), style.vector()[:4])
    with pytest.raises(ValueError, match="no number named 'mood'"):
        style.vector(("jaw", "mood"))


def test_the_manner_of_filmed_people_is_asked_for_as_it_was_trained() -> None:
    told = dict(zip(STYLE_NAMES, MotionStyle(captured=1.0).vector(), strict=True))
    assert told.pop("captured") == 1.0
    assert not any(told.values())


def test_neutral_and_auto_ask_the_network_for_no_emotion() -> None:
    for emotion in ("neutral", "auto"):
        assert not MotionStyle(emotion=emotion, intensity=1.0).emotion_weights().any()


def test_weights_say_which_styles_they_know(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(DEFAULT_FOLDER, folder)
    serving = folder / "serving.json"
    values = json.loads(serving.read_text())
    values.pop("style_names", None)
    serving.write_text(json.dumps(values))
    assert MotionNetworks(folder).settings.style_names == FIRST_STYLE_NAMES
    serving.write_text(json.dumps({**values, "style_names": list(STYLE_NAMES)}))
    assert MotionNetworks(folder).settings.style_names == STYLE_NAMES
    serving.write_text(json.dumps({**values, "style_names": ["jaw", "mood"]}))
    with pytest.raises(ModelFileError, match="unknown style 'mood'"):
        MotionNetworks(folder)
