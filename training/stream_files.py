"""Streams on disk: made once by several processes, fifty to a file, taken up again if stopped."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streaming_model.motion.style import Activity
from training.corpus.build import CorpusSettings, load_corpus
from training.corpus.utterances import Utterance
from training.dataset import Stream, make_streams

_PER_FILE: Final = 50

_corpus: list[Utterance] = []  # of a worker process, loaded once


def made_streams(
    corpus: CorpusSettings, folder: Path, count: int, *, seed: int, jobs: int
) -> list[Stream]:
    """Returns the first `count` streams of a seed, making those that `folder` lacks."""
    starts = range(0, count, _PER_FILE)
    files = {start: folder / f"{start:05}.npz" for start in starts}
    missing = [start for start in starts if not files[start].exists()]
    columns = (TextColumn("streams"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns) as progress,
        ProcessPoolExecutor(jobs, context, _load, (corpus,)) as pool,
    ):
        bar = progress.add_task("streams", total=len(starts), completed=len(starts) - len(missing))
        running = [pool.submit(_make_file, files[start], start, seed) for start in missing]
        for done in as_completed(running):
            done.result()
            progress.advance(bar)
    return [stream for start in starts for stream in load_streams(files[start])][:count]


def _load(corpus: CorpusSettings) -> None:
    _corpus[:] = load_corpus(corpus)


def _make_file(path: Path, start: int, seed: int) -> None:
    streams = list(make_streams(_corpus, range(start, start + _PER_FILE), seed=seed))
    partial = path.with_name(f"{path.stem}.part.npz")
    save_streams(partial, streams)
    partial.replace(path)


def save_streams(path: Path, streams: Sequence[Stream]) -> None:
    """Writes streams to one .npz file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        mel=np.stack([stream.mel for stream in streams]),
        phones=np.stack([stream.phones for stream in streams]),
        motion=np.stack([stream.motion for stream in streams]),
        mask=np.stack([stream.mask for stream in streams]),
        style=np.stack([stream.style for stream in streams]),
        activity=np.array([int(stream.activity) for stream in streams]),
    )


def load_streams(path: Path) -> Iterator[Stream]:
    """Yields what `save_streams` wrote."""
    with np.load(path) as data:
        fields = {name: data[name] for name in data.files}
    for index in range(len(fields["mel"])):
        row = {name: values[index] for name, values in fields.items()}
        yield Stream(**{**row, "activity": Activity(int(row["activity"]))})
