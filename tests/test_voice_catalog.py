"""Which voices there are and which one is chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from server.voice import catalog
from server.voice.base import UnknownVoiceError, VoiceError


def costs(**factors: float) -> Callable[[str], float]:
    return lambda name: factors[name]


@pytest.mark.parametrize(
    ("cores", "fast", "natural", "chosen"),
    [
        (2, 0.05, 0.33, "af_heart"),
        (2, 0.10, 0.95, "joe"),
        (8, 0.05, 0.33, "af_heart"),
        (4, 0.05, 0.90, "joe"),
    ],
)
def test_the_most_natural_voice_that_holds_is_chosen(
    cores: float, fast: float, natural: float, chosen: str
) -> None:
    measure = costs(joe=fast, af_heart=natural)
    assert catalog.best_voice(cores=cores, measure=measure) == chosen


def test_kokoro_is_not_even_loaded_where_it_is_hopeless() -> None:
    assert catalog.best_voice(cores=1, measure=costs(joe=0.05)) == "joe"


def test_a_broken_natural_voice_leaves_the_fast_one() -> None:
    def measure(name: str) -> float:
        if name == "af_heart":
            raise VoiceError("The Kokoro model cannot be loaded.")
        return 0.05

    assert catalog.best_voice(cores=4, measure=measure) == "joe"


def test_the_choice_is_remembered_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    measured: list[str] = []

    def measure(name: str) -> float:
        measured.append(name)
        return 0.9 if name == "af_heart" else 0.01

    monkeypatch.setattr(catalog, "real_time_factor", measure)
    monkeypatch.setattr(catalog, "available_cores", lambda: 4.0)
    assert catalog.choose_voice() == "joe"
    assert catalog.choose_voice() == "joe"
    assert measured == ["joe", "af_heart"]
    path = tmp_path / "voice-choice.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "machine": "another"}))
    catalog.choose_voice()
    assert len(measured) == 4


def test_at_least_three_english_kokoro_voices_ship() -> None:
    shipped = [voice for voice in catalog.list_voices() if voice.engine == "kokoro"]
    assert len([voice for voice in shipped if voice.language.startswith("en")]) >= 3
    assert len({voice.name for voice in catalog.list_voices()}) == len(catalog.list_voices())


def test_an_unknown_voice_is_refused_with_the_names() -> None:
    with pytest.raises(UnknownVoiceError, match=r"no voice 'homer'; the voices are joe, af_heart"):
        catalog.open_voice("homer")
    with pytest.raises(UnknownVoiceError):
        catalog.open_voice("openai:")


def test_a_remote_voice_is_listed_when_its_server_is_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert all(voice.engine != "openai" for voice in catalog.list_voices())
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    assert any(voice.engine == "openai" for voice in catalog.list_voices())
