"""Harnesses of files that a user or a stranger gives: motion, settings, keys, films to verify."""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
from PIL import Image

from server.access.keys import KeyFile
from server.config import Settings
from server.marks.command import lines, to_json
from server.marks.ledger import Ledger
from server.marks.verify import Finding, read_watermark, verify
from server.presenter.command import read_text
from streaming_model.errors import VivantError
from streaming_model.motion_files import read_motion, write_live_link_csv, write_npz
from streaming_model.motion_space import MOTION_SIZE
from streaming_model.portrait import portrait as portraits
from tools.fuzz.containers import mutate_boxes, mutate_file, mutate_zip
from tools.fuzz.harness import MEBIBYTE, Harness
from tools.fuzz.mutate import lines_with, mutate_bytes, mutate_json

_TOML: Final = b"""port = 8081
fps = 25
background = "#336699"
allow_origin = ["https://example.org"]
gaze = "10,-5"
udp_ports = "50000-50100"
barge_in = 300
video_codecs = "vp8,h264"
brain_url = "https://example.org/v1"
recording_keep = 1.5
push_hosts = ["*.example.org"]
emotion = "happy"
"""
_KEYS: Final = b"""{"keys": [{"id": "0123456789ab", "name": "web", "sha256": "ab",
"scopes": ["control"], "created": 1.0, "expires": null}]}"""
_LEDGER: Final = b"""{"session": "s1", "began": "2026-01-01T00:00:00Z", "portrait": "", "kind": ""}
{"session": "s2", "began": "2026-01-02T00:00:00Z", "portrait": "b", "kind": "film"}
"""


def take_csv(data: bytes) -> None:
    """Reads a Live Link Face CSV."""
    _take_motion(data, "motion.csv")


def take_npz(data: bytes) -> None:
    """Reads a motion file of ours."""
    _take_motion(data, "motion.npz")


def _take_motion(data: bytes, name: str) -> None:
    motion = read_motion(_file(data, name))
    assert motion.dtype == np.float32
    assert motion.shape[1] == MOTION_SIZE


def take_settings(data: bytes) -> None:
    """Reads a settings file."""
    Settings.load(argparse.Namespace(config=str(_file(data, "settings.toml"))), {})


def take_keys(data: bytes) -> None:
    """Reads a file of keys, and asks it about one."""
    path = _file(data, "keys.json")
    path.chmod(0o600)
    for key in KeyFile(path).read():
        assert isinstance(key.name, str)


def take_ledger(data: bytes) -> None:
    """Looks a tag up in a ledger."""
    path = _file(data, "ledger.jsonl")
    Ledger(path.parent).find("abcdef")


def take_portrait(data: bytes) -> None:
    """Reads a portrait kept in the cache; one that is damaged counts as none."""
    portraits._load(_file(data, "portrait.safetensors"))


def take_script_file(data: bytes) -> None:
    """Reads the file of a script."""
    read_text(_file(data, "script.md"))


def take_film(data: bytes) -> None:
    """Verifies a film as `vivant verify` does."""
    _verify(data, "film.mp4")


def take_webm(data: bytes) -> None:
    """Looks for a watermark in a film without credentials."""
    read_watermark(_file(data, "film.webm"))


def take_still(data: bytes) -> None:
    """Verifies a picture as `vivant verify` does, by its content's own kind."""
    suffix = "png" if data.startswith(b"\x89PNG") else "jpg"
    _verify(data, f"picture.{suffix}")


def _verify(data: bytes, name: str) -> None:
    path = _file(data, name)
    finding: Finding = verify(path, Ledger(path.parent))
    for line in lines(finding):
        assert line.isprintable(), repr(line)
    json.dumps(to_json(finding))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    in_memory = "/dev/shm"
    return tempfile.TemporaryDirectory(dir=in_memory if Path(in_memory).is_dir() else None)


def _file(data: bytes, name: str) -> Path:
    path = Path(_folder().name) / name
    path.write_bytes(data)
    return path


def _csv_seeds() -> Sequence[bytes]:
    text = io.StringIO()
    write_live_link_csv(text, np.linspace(0, 1, 5 * MOTION_SIZE, dtype=np.float32).reshape(5, -1))
    return [text.getvalue().encode()]


def _npz_seeds() -> Sequence[bytes]:
    path = _file(b"", "seed.npz")
    write_npz(path, np.linspace(0, 1, 5 * MOTION_SIZE, dtype=np.float32).reshape(5, -1))
    return [path.read_bytes()]


def _portrait_seeds() -> Sequence[bytes]:
    """Returns a small file of the right form: the real ones are megabytes."""
    from safetensors.numpy import save

    arrays = {name: np.zeros((2, 2, 3), np.uint8) for name in ("picture", "matte", "background")}
    about = {"fit": {}, "blendshapes": {}, "warnings": [], "content_hash": "ab"}
    landmarks = {"landmarks": np.zeros((478, 3), np.float32)}
    return [save({**arrays, **landmarks}, {"about": json.dumps(about)})]


def film_seeds(kind: str) -> Sequence[bytes]:
    """Returns a film of a second, with credentials where its kind can have them."""
    from server.marks.badge import BADGE_CORNER, BADGE_TEXT
    from server.marks.options import MarkOptions
    from server.marks.seal import marks_of_film
    from server.media_files import UNMARKED, FilmWriter
    from streaming_model.media import VideoFrame

    folder = Path(_folder().name)
    path = folder / f"seed.{kind}"
    marks = UNMARKED
    if kind == "mp4":
        options = MarkOptions(text=BADGE_TEXT, corner=BADGE_CORNER)
        marks = marks_of_film(options, folder / "marks", "portrait")
    with FilmWriter(path, size=256, fps=25, marks=marks) as film:
        for index in range(5):
            image = np.full((256, 256, 3), 20 * index, np.uint8)
            film.write_picture(VideoFrame(640 * index, image, 0))
            film.write_sound(np.zeros(1920, np.float32))
    return [path.read_bytes()]


def _still_seeds() -> Sequence[bytes]:
    made = []
    for name in ("PNG", "JPEG"):
        content = io.BytesIO()
        Image.new("RGB", (320, 320), (90, 120, 60)).save(content, name)
        made.append(content.getvalue())
    return made


def _first(mutate: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """Returns a mutator that half of the time damages credentials alone, where they stand."""

    def first(data: bytes, random: Random) -> bytes:
        at = data.find(b"jumb")
        if at < 0 or random.random() < 0.5:
            return mutate(data, random)
        return data[:at] + mutate_bytes(data[at : at + 6000], random) + data[at + 6000 :]

    return first


_WORDS: Final = (
    "Timecode",
    "[table]",
    "[[a]]",
    "x = 1",
    "inf",
    "nan",
    "1e40",
    "00:00:00:00.000",
    ",,,",
    '"',
)
CSV: Final = Harness(take_csv, _csv_seeds, lines_with(_WORDS))
NPZ: Final = Harness(take_npz, _npz_seeds, mutate_zip)
SETTINGS: Final = Harness(take_settings, lambda: [_TOML], lines_with(_WORDS), longest=20_000)
KEYS: Final = Harness(take_keys, lambda: [_KEYS], mutate_json, longest=20_000)
LEDGER: Final = Harness(take_ledger, lambda: [_LEDGER], lines_with(_WORDS), (), longest=20_000)
PORTRAIT: Final = Harness(take_portrait, _portrait_seeds, mutate_bytes, ())
SCRIPT_FILE: Final = Harness(take_script_file, lambda: [b"\xef\xbb\xbfHello."], longest=4_000)
FILM: Final = Harness(
    take_film, lambda: film_seeds("mp4"), _first(mutate_boxes), (VivantError,), 2.0, longest=300_000
)
FILM_WEBM: Final = Harness(
    take_webm, lambda: film_seeds("webm"), mutate_bytes, (VivantError,), 2.0, longest=300_000
)
STILL: Final = Harness(take_still, _still_seeds, mutate_file, (VivantError,), 2.0, 300 * MEBIBYTE)
