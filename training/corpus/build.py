"""Makes the corpus: every part in shards of five minutes, over several processes.

A shard depends on the seed, its part's name and its own number alone, so that a stopped run
goes on where it was, in any order and on any number of cores.
"""

from __future__ import annotations

import multiprocessing
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streaming_model.media import SAMPLE_RATE
from training.corpus.alignment import aligned
from training.corpus.espeak import espeak_utterances
from training.corpus.festival import festival_utterances
from training.corpus.flite import FLITE_TRAINING_VOICES, flite_utterances
from training.corpus.texts import made_up_sentences, word_salads, written_texts
from training.corpus.utterances import Utterance, load_utterances, save_utterances

SHARD_SECONDS: Final = 300.0

Speaker = Callable[[float, np.random.Generator], Iterator[Utterance]]


@dataclass(frozen=True, slots=True)
class CorpusSettings:
    """What a corpus is made from.

    Attributes:
        folder: where the shards go.
        seed: of every random choice.
        scale: share of every part's ordinary length.
        extra_styles: folder with more Kokoro speakers, or None.
        recorded: folder of recorded speech (`python -m training recordings`), or None.
    """

    folder: Path
    seed: int = 20
    scale: float = 1.0
    extra_styles: Path | None = None
    recorded: Path | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Speech by one engine.

    Attributes:
        name: of the part and of its folder.
        seconds: how much of it there is at scale 1.
        speak: yields utterances of at least so many seconds in all, by the given generator.
    """

    name: str
    seconds: float
    speak: Callable[[CorpusSettings, float, np.random.Generator], Iterator[Utterance]]


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a part."""

    part: str
    number: int
    seconds: float
    path: Path


def english_texts(rng: np.random.Generator) -> list[str]:
    """Returns sentences in random order: half of them written, half made up."""
    written = written_texts()
    made = made_up_sentences(len(written) // 2, rng=rng) + word_salads(len(written), rng=rng)
    texts = written + made
    return [texts[index] for index in rng.permutation(len(texts))]


def _flite(_: CorpusSettings, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    return flite_utterances(
        english_texts(rng), voices=FLITE_TRAINING_VOICES, seconds=seconds, rng=rng
    )


def _piper(_: CorpusSettings, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    from server.voice.catalog import open_voice
    from training.corpus.neural import speak

    voice, spoken = open_voice("joe"), 0.0
    for text in english_texts(rng):
        for utterance in speak(voice, text, speed=float(rng.uniform(0.8, 1.3))):
            spoken += len(utterance.samples) / SAMPLE_RATE
            yield utterance
        if spoken > seconds:
            return


def _kokoro(
    settings: CorpusSettings, seconds: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    from training.corpus.neural import kokoro_styles, mixed_utterances

    styles = kokoro_styles(settings.extra_styles)
    return mixed_utterances(english_texts(rng), styles, seconds=seconds, rng=rng)


def _kokoro_lent(
    settings: CorpusSettings, seconds: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    from training.corpus.neural import kokoro_styles, kokoro_timbres, mixed_utterances

    return mixed_utterances(
        english_texts(rng),
        kokoro_styles(settings.extra_styles),
        seconds=seconds,
        rng=rng,
        timbres=kokoro_timbres(settings.extra_styles),
    )


def _kokoro_world(
    settings: CorpusSettings, seconds: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    from training.corpus.kokoro_world import world_styles, world_utterances

    return world_utterances(world_styles(settings.extra_styles), seconds=seconds, rng=rng)


def _festival(_: CorpusSettings, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    return festival_utterances(seconds, rng=rng)


def _espeak(_: CorpusSettings, seconds: float, rng: np.random.Generator) -> Iterator[Utterance]:
    return espeak_utterances(seconds, rng=rng)


PARTS: Final = (
    Part("kokoro", 6300.0, _kokoro),
    Part("kokoro-lent", 3600.0, _kokoro_lent),
    Part("kokoro-world", 1500.0, _kokoro_world),
    Part("piper", 1200.0, _piper),
    Part("flite", 7200.0, _flite),
    Part("festival", 5400.0, _festival),
    Part("espeak", 5400.0, _espeak),
)


def shards(settings: CorpusSettings, parts: Sequence[Part] = PARTS) -> list[Shard]:
    """Returns every file of the corpus, slow engines first."""
    listed = []
    for part in parts:
        seconds = part.seconds * settings.scale
        count = max(1, round(seconds / SHARD_SECONDS))
        listed += [
            Shard(
                part.name, number, seconds / count, settings.folder / part.name / f"{number:03}.npz"
            )
            for number in range(count)
        ]
    return listed


def make_corpus(settings: CorpusSettings, *, jobs: int = 1, parts: Sequence[Part] = PARTS) -> None:
    """Makes the shards that are not there yet, in `jobs` processes, with a progress bar.

    Raises:
        ValueError: fewer than one job.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    wanted = shards(settings, parts)
    missing = [shard for shard in wanted if not shard.path.exists()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, TimeRemainingColumn()) as progress,
        # A new process for each shard: eSpeak NG and Kokoro keep state from text to text.
        ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool,
    ):
        task = progress.add_task("corpus", total=len(wanted), completed=len(wanted) - len(missing))
        running = {pool.submit(make_shard, settings, shard, parts): shard for shard in missing}
        for done in as_completed(running):
            done.result()
            progress.update(task, advance=1, description=f"corpus, {running[done].part}")


def make_shard(settings: CorpusSettings, shard: Shard, parts: Sequence[Part] = PARTS) -> None:
    """Writes one shard, under another name until it is whole."""
    part = next(each for each in parts if each.name == shard.part)
    key = zlib.crc32(shard.part.encode())
    rng = np.random.default_rng([settings.seed, key, shard.number])
    utterances = list(part.speak(settings, shard.seconds, rng))
    partial = shard.path.with_name(f"{shard.number:03}.part.npz")
    save_utterances(partial, utterances)
    partial.replace(shard.path)


def load_corpus(settings: CorpusSettings, *, parts: Sequence[Part] = PARTS) -> list[Utterance]:
    """Returns all utterances, in the order of parts and shards, with phone times made alike.

    Raises:
        FileNotFoundError: a shard has not been made, or there is no recorded speech.
    """
    paths = [shard.path for shard in shards(settings, parts)]
    if settings.recorded is not None:
        recorded = sorted(settings.recorded.glob("*.npz"))
        if not recorded:
            raise FileNotFoundError(f"There is no recorded speech (.npz) in '{settings.recorded}'.")
        paths += recorded
    return aligned([utterance for path in paths for utterance in load_utterances(path)])
