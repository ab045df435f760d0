"""The held-out set: voices and texts that no model of ours was trained on, with phone times.

One file of utterances a voice, in a folder; made once, in some ten minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.motion.recorded import VOICE as RECORDED
from benchmarks.motion.recorded import recorded_utterances
from server.voice.kokoro import KokoroVoice
from training.corpus import (
    FLITE_HELD_OUT_VOICES,
    Utterance,
    load_utterances,
    save_utterances,
    speak_with_flite,
    written_texts,
)
from training.corpus.neural import KOKORO_HELD_OUT, speak

PACES: Final = (0.9, 1.15)  # each text is read slowly and quickly
PROMPTS: Final = 40
ENGLISH: Final = "ab"  # what the names of American and British speakers begin with


def make_held_out(folder: Path) -> None:
    """Makes the files that are not in `folder` yet, with a progress bar.

    Raises:
        NoRecordingsError: the recorded prompts are not installed; the voices are made before.
    """
    makers = {
        **{f"flite-{name}": _flite(name) for name in FLITE_HELD_OUT_VOICES},
        **{f"kokoro-{name}": _kokoro(name) for name in KOKORO_HELD_OUT if name[0] in ENGLISH},
        RECORDED: recorded_utterances(PROMPTS),
    }
    columns = (TextColumn("{task.description:24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        for name, utterances in makers.items():
            path = folder / f"{name}.npz"
            if path.exists():
                continue
            task = progress.add_task(name, total=None)
            made = []
            for utterance in utterances:
                made.append(utterance)
                progress.update(task, description=f"{name}, {len(made)}")
            partial = path.with_name(f"{name}.part.npz")
            save_utterances(partial, made)
            partial.replace(path)
            progress.update(task, total=1, completed=1)


def load_held_out(paths: list[Path]) -> dict[str, list[Utterance]]:
    """Returns the utterances of each file, by the file's name.

    Raises:
        FileNotFoundError: a file is not there.
    """
    return {path.stem: load_utterances(path) for path in paths}


def _flite(name: str) -> Iterator[Utterance]:
    for pace in PACES:
        for text in written_texts(held_out=True):
            yield speak_with_flite(text, voice=name, stretch=1 / pace)


def _kokoro(name: str) -> Iterator[Utterance]:
    voice = KokoroVoice(name)
    for pace in PACES:
        for text in written_texts(held_out=True):
            yield from speak(voice, text, speed=pace)
