"""Scripts as films: the sound of it, where marks act, and `vivant render` with them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from server.cli import main
from server.direction import Direction
from server.presenter.film import ScriptSound
from server.presenter.script import Format, parse_script
from server.speech import BLOCK, Block
from server.voice.base import Voice
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.errors import AudioError
from streaming_model.motion.style import MotionStyle
from tests.live_fakes import open_fake_voice

LETTER = 800  # samples at 16 kHz of the fake voice's letters


def sound_of(
    source: str, format: Format = "text"
) -> tuple[list[Block], list[str], Direction, list[str]]:
    """Returns the blocks, the emotion of each, the direction, and the warnings."""
    warnings: list[str] = []
    direction = Direction(MotionStyle())
    sound = ScriptSound(
        parse_script(source, format),
        voice="hum",
        open_voice=open_fake_voice,
        direction=direction,
        warn=warnings.append,
    )
    blocks = list(sound.blocks())
    return blocks, [direction.style_of(block).emotion for block in blocks], direction, warnings


def test_blocks_follow_each_other_and_marks_act_in_place() -> None:
    blocks, emotions, direction, warnings = sound_of("Ten letters. [happy] Merry. [nod] Bye.")
    assert [block.start for block in blocks] == [BLOCK * index for index in range(len(blocks))]
    begins = [block.start for block in blocks if block.begins]
    assert emotions.index("happy") * BLOCK == begins[1]
    (nod,) = direction.additions.gestures
    assert (nod.name, nod.start) == ("nod", begins[2])
    assert not warnings


def test_a_pause_is_exact_and_a_long_one_holds_nothing_up() -> None:
    blocks, *_ = sound_of("One [pause 45s] two.")
    speech = np.concatenate([block.speech for block in blocks])
    loud = np.flatnonzero(np.abs(speech) > 0.01)
    assert np.diff(loud).max() == pytest.approx(45 * 16_000, abs=8)


def test_subtitles_are_said_at_their_times() -> None:
    source = "1\n00:00:02,000 --> 00:00:03,000\nOne.\n\n2\n00:00:40,000 --> 00:00:41,000\nTwo.\n"
    blocks, *_ = sound_of(source, "srt")
    speech = np.concatenate([block.speech for block in blocks])
    loud = np.flatnonzero(np.abs(speech) > 0.01)
    assert loud[0] == pytest.approx(32_000, abs=16)
    assert loud[np.argmax(np.diff(loud)) + 1] == pytest.approx(640_000, abs=16)


def test_a_voice_that_fails_costs_its_sentence() -> None:
    blocks, _, _, warnings = sound_of("One. This will fail. Two.")
    assert warnings == ["The voice has a cold."]
    assert sum(block.begins for block in blocks) == 3


def test_a_script_without_a_sentence_has_no_sound() -> None:
    with pytest.raises(AudioError, match="nothing to say"):
        sound_of("[nod]")


@pytest.mark.model
def test_render_obeys_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.voice.catalog.open_voice", open_voice)
    out = tmp_path / "a.mp4"
    words = ["render", str(BUILTIN_PORTRAIT), "-o", str(out), "--size", "256", "--voice", "hum"]
    assert main([*words, "--text", "Abc [pause 1s] [sad] def [hapy]."]) == 0
    assert "--text:1:26: There is no mark '[hapy]'" in capsys.readouterr().err
    with av.open(str(out)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == pytest.approx(25 * 1.3, abs=2)
    script = tmp_path / "talk.md"
    script.write_text("# Abc\n\n- def\n")
    assert main([*words, "--script", str(script)]) == 0
    assert main([*words, "--script", str(tmp_path / "none.md")]) == 2
    assert "There is no script" in capsys.readouterr().err
    assert main([*words, "--script", str(script), "--text", "x"]) == 2
    assert "exactly one of" in capsys.readouterr().err


def open_voice(name: str) -> Voice:
    return open_fake_voice(name)
