"""Measures how portraits look when they move, and makes a gallery of it.

Groups for `--only`: sheets (pictures, nothing measured), rest, sweeps, blink, pose, others,
folds, still, plate, lips, identity, speed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.renderer import tables
from benchmarks.renderer.gallery import Page, gallery
from benchmarks.renderer.limits import LIMITS
from benchmarks.renderer.measures import GROUPS
from benchmarks.renderer.measuring import Ruler, RulerError
from benchmarks.renderer.sheets import contact_sheet, eye_sheet, mouth_sheet, strips
from benchmarks.renderer.subject import Curve, NoFaceError, Subject
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.errors import VivantError
from streaming_model.portrait import make_portrait

SHEETS: Final = "sheets"
WITHOUT_RULER: Final = {SHEETS, "speed"}
SUFFIXES: Final = {".png", ".jpg", ".jpeg", ".webp"}
TITLE: Final = "Vivant: how the renderer looks"


def main() -> int:
    """Runs the command line; returns the exit status."""
    options = read_options()
    cv2.setNumThreads(1)
    groups = options.only.split(",")
    pages: list[Page] = []
    try:
        with ExitStack() as stack:
            ruler = stack.enter_context(Ruler()) if set(groups) - WITHOUT_RULER else None
            for page in measured(pictures_in(options.pictures), ruler, groups, size=options.size):
                pages.append(page)
                if options.out:
                    write_all(options.out, pages, size=options.size)
    except (RulerError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.out and pages:
        print(f"{options.out / 'index.html'}, table.md, table.csv and a sheet of each portrait")
    return 0 if pages else 1


def measured(
    paths: Sequence[Path], ruler: Ruler | None, groups: Sequence[str], *, size: int
) -> Iterator[Page]:
    """Measures each picture, shows how far it is, and prints what was found.

    A picture that cannot be a portrait is skipped with one sentence.
    """
    with progress_bar() as progress:
        task = progress.add_task("", total=len(paths) * len(groups))
        for index, path in enumerate(paths):
            try:
                portrait = make_portrait(path)
                subject = Subject(path.stem, portrait, ruler, size=size)
            except (VivantError, NoFaceError) as error:
                progress.console.print(f"{path.name}: {error}")
                continue
            figures: dict[str, float] = {}
            curves: dict[str, Curve] = {}
            for group in groups:
                progress.update(task, description=f"{path.stem}: {group}")
                if group in GROUPS:
                    found = GROUPS[group](subject)
                    figures |= found.figures
                    curves |= found.curves
                    print_figures(progress.console, f"{path.stem}, {group}", found.figures)
                progress.advance(task)
            progress.update(task, completed=(index + 1) * len(groups))
            yield page_of(subject, figures, curves, with_sheets=SHEETS in groups)


def page_of(
    subject: Subject, figures: dict[str, float], curves: dict[str, Curve], *, with_sheets: bool
) -> Page:
    """Returns what the gallery shows of a portrait."""
    portrait, renderer = subject.portrait, subject.renderer
    sheets = {}
    if with_sheets:
        sheets = {
            "Poses": contact_sheet(renderer),
            "Mouth": mouth_sheet(portrait, renderer),
            "Eyes": eye_sheet(portrait, renderer),
        }
    return Page(
        name=subject.name,
        picture=portrait.picture,
        warnings=portrait.warnings,
        figures=figures,
        curves=curves,
        sheets=sheets,
        strips=strips(portrait, renderer) if with_sheets else (),
    )


def write_all(out: Path, pages: Sequence[Page], *, size: int) -> None:
    """Writes the gallery, both tables and the last portrait's sheets."""
    out.mkdir(parents=True, exist_ok=True)
    results = {page.name: page.figures for page in pages}
    (out / "index.html").write_text(gallery(pages, title=TITLE, size=size))
    (out / "table.md").write_text(tables.markdown(results))
    (out / "table.csv").write_text(tables.comma_separated(results))
    for title, sheet in pages[-1].sheets.items():
        name = f"{pages[-1].name}-{title.lower()}.png"
        cv2.imwrite(str(out / name), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def print_figures(console: Console, heading: str, figures: Mapping[str, float]) -> None:
    """Prints one group, what misses its limit marked."""
    console.print(heading)
    missed = {
        name
        for limit in LIMITS
        for name in limit.figures
        if name in figures and not limit.is_kept(figures[name])
    }
    for name, value in figures.items():
        mark = "  <- misses its limit" if name in missed else ""
        console.print(f"  {name:26} {value:8.3f}{mark}")


def read_options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.renderer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "pictures",
        type=Path,
        nargs="*",
        default=[BUILTIN_PORTRAIT],
        help="files or folders; `python -m benchmarks.renderer.portraits` makes a folder",
    )
    parser.add_argument("--out", type=Path, help="folder for gallery, tables and sheets")
    parser.add_argument("--only", default=",".join([SHEETS, *GROUPS]), metavar="GROUP,GROUP")
    parser.add_argument("--size", type=int, default=512, help="side of the frames, 256 to 1024")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - {SHEETS, *GROUPS}
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    return options


def pictures_in(places: Sequence[Path]) -> list[Path]:
    """Returns the files named, and the pictures in the folders named."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        found += [path for path in inside if path.suffix.lower() in SUFFIXES]
    return found


def progress_bar() -> Progress:
    """Returns a bar that says which portrait and which group."""
    return Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(highlight=False, markup=False),
        transient=True,
    )


if __name__ == "__main__":
    sys.exit(main())
