"""`python -m training extract FILM... --output FOLDER`: captured speech from films of people.

Finished films are skipped, so a stopped run can be started again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streaming_model.errors import VivantError
from streaming_model.media import SAMPLE_RATE
from training.captured import save_captured
from training.extract.film import Film
from training.extract.index import Index, digest_of
from training.extract.reasons import Reason
from training.extract.segments import Segment, make_segment
from training.extract.shots import Refused, shots
from training.extract.watching import Sighting, watch

CONSENT: Final = (
    "Use only films of people who have agreed to it: a face and a voice are personal data."
)
SHORTEST: Final = 1.0  # s: with less, neither a neutral nor a lag can be found
NOTHING_USABLE, UNREADABLE, INTERRUPTED = 1, 2, 130  # exit statuses

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a film.

    Attributes:
        min_face: width of the face in pixels.
        min_seconds: of an item.
    """

    min_face: int = 100
    min_seconds: float = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    usual = Settings()
    parser.add_argument("films", nargs="+", type=Path, metavar="FILM")
    parser.add_argument("--output", type=Path, required=True, help="folder for the items")
    parser.add_argument("--min-face", type=int, default=usual.min_face, help="pixels")
    parser.add_argument("--min-seconds", type=_seconds, default=usual.min_seconds)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= SHORTEST:
        raise argparse.ArgumentTypeError(f"must be at least {SHORTEST:g}, got {text}")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit status."""
    print(CONSENT)
    settings = Settings(options.min_face, options.min_seconds)
    try:
        return extract(options.films, options.output, settings)
    except KeyboardInterrupt:
        return INTERRUPTED


def extract(films: Sequence[Path], folder: Path, settings: Settings) -> int:
    """Extracts every film that is not done yet; returns the exit status.

    One that cannot be read does not stop the others.
    """
    status = 0
    for path in films:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            status = max(status, _extract_one(path, folder, settings))
        except VivantError as error:
            print(f"training extract: {error}", file=sys.stderr)
            status = UNREADABLE
        except OSError as error:
            said = f"'{folder}' cannot be written: {error.strerror}."
            print(f"training extract: {said}", file=sys.stderr)
            return UNREADABLE
    return status


def _extract_one(path: Path, folder: Path, settings: Settings) -> int:
    film, index = Film(path), Index.open(folder)
    digest = digest_of(path)
    if index.holds(digest, asdict(settings)):
        print(f"{film.name}: done before")
        return 0 if index.films[digest]["items"] else NOTHING_USABLE
    for stale in folder.glob(f"{digest[:12]}-*.npz"):  # of a stopped run, or asked for otherwise
        stale.unlink()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), transient=True) as progress:
        task = progress.add_task(film.name, total=film.seconds or None)
        entry = extract_film(
            film,
            folder,
            settings,
            stem=digest[:12],
            tell=lambda seconds: progress.update(task, completed=seconds),
        )
    index.add(digest, entry)
    print(report(entry))
    return 0 if entry["items"] else NOTHING_USABLE


def extract_film(
    film: Film, folder: Path, settings: Settings, *, stem: str, tell: Tell
) -> dict[str, Any]:
    """Writes the items of one film; returns its entry for the index.

    Args:
        film: the film.
        folder: where the items go, as `<stem>-<number>.npz`.
        settings: what is asked of it.
        stem: of the items' names.
        tell: called with the seconds of film that are done.

    Raises:
        FilmUnreadableError: no picture can be decoded.
        ModelFileError: a model file is missing or damaged.
    """
    sound, refused = film.sound(), Refused()
    items: list[dict[str, Any]] = []
    lags: list[float] = []
    if sound is None:
        refused.add(Reason.NO_SOUND, round(film.seconds * SAMPLE_RATE))
    for shot in shots(_told(film, settings, tell), refused) if sound is not None else ():
        made = make_segment(shot, sound, min_seconds=settings.min_seconds)
        if isinstance(made, Segment):
            name = f"{stem}-{len(items):03}.npz"
            _save(folder / name, made, source=film.name)
            items.append({"file": name, **_rounded(made.quality.numbers())})
            continue
        reason, lag = made
        refused.add(reason, shot[-1].time - shot[0].time)
        if reason is Reason.SHIFTED and lag is not None:
            lags.append(lag.milliseconds)
    seconds = {str(reason): each / SAMPLE_RATE for reason, each in refused.samples.items()}
    return {
        "name": film.name,
        "settings": asdict(settings),
        "items": items,
        "refused": _rounded(seconds),
        "refused_lags_ms": lags,
    }


def _told(film: Film, settings: Settings, tell: Tell) -> Iterator[Sighting]:
    for sighting in watch(film, min_face=settings.min_face):
        tell(sighting.time / SAMPLE_RATE)
        yield sighting


def _save(path: Path, segment: Segment, *, source: str) -> None:
    numbers = {name: np.array(value) for name, value in segment.quality.numbers().items()}
    extra = {"neutral": segment.neutral, **numbers}
    save_captured(path, segment.item, source=source, extra=extra)


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 3) for name, number in numbers.items()}


def report(entry: dict[str, Any]) -> str:
    """Returns what became of a film, for people: a line in all and one for each reason."""
    items = entry["items"]
    seconds = sum(item["seconds"] for item in items)
    lines = [f"{entry['name']}: {len(items)} items, {seconds:.1f} s"]
    if items:
        lags = ", ".join(f"{item['lag_ms']:+.0f}" for item in items)
        lines.append(f"  sound after lips: {lags} ms")
    for reason, length in sorted(entry["refused"].items(), key=lambda each: -each[1]):
        lines.append(f"  left out {length:.1f} s: {reason}")
    if entry["refused_lags_ms"]:
        lags = ", ".join(f"{lag:+.0f}" for lag in entry["refused_lags_ms"])
        lines.append(f"  sound after lips where left out: {lags} ms")
    return "\n".join(lines)
