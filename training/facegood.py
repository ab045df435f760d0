"""FACEGOOD's published takes: one Mandarin speaker, with the motion of the mouth at 30 fps.

A real anchor beside the targets that rules make. What these takes say, measured over all five:
the jaw follows the logarithm of the sound's energy best one frame (33 ms) later, r = 0.66 to
0.80. In silence `jawOpen` is exactly 0, except where the mouth opens ahead of a sound. The
column that the table gives for `mouthClose` is 0 throughout: the lips come together because
`jawOpen` itself goes to 0, which here means the lips' distance rather than the bone's. That
agrees with this project's convention (lips touch where `mouthClose` equals `jawOpen`) at every
frame, but says nothing of `mouthClose` above 0, so that channel is not counted as seen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.captured import Captured

CAPTURE_FPS: Final = 30.0
HELD_OUT_TAKE: Final = "1114_2_01"
_FIRST_COLUMN: Final = 1  # the names are off by one against the columns
_UNSEEN: Final = ("mouthClose",)


def load_facegood(folder: Path, *, held_out: bool = False) -> list[Captured]:
    """Returns the takes to train on, in the order of their names, or the one held out.

    Args:
        folder: holds pairs `NAME.flac` (16 kHz, mono) and `NAME.npz` (`weights`, [frames, 116],
            30 fps), `bsname.txt` (a count, then the names) and `arkit_from_facegood.json` (the
            expression for each ARKit name, where `max(a,b)` is the larger).
        held_out: whether to return `HELD_OUT_TAKE`, on which models are judged, and no other.

    Raises:
        FileNotFoundError: there are no takes, or a file is missing.
        ValueError: a take is not sampled at 16 kHz, or a name is unknown.
    """
    paths = _takes(folder, held_out=held_out)
    names = (folder / "bsname.txt").read_text(encoding="utf-8").split()[1:]
    table = json.loads((folder / "arkit_from_facegood.json").read_text(encoding="utf-8"))
    columns = {name: _columns(expression, names) for name, expression in table.items()}
    return [_load(path, columns) for path in paths]


def take_sessions(folder: Path) -> list[str]:
    """Returns the session of each take that `load_facegood` gives to train on.

    Raises:
        FileNotFoundError: there are no takes.
    """
    return [path.stem.rpartition("_")[0] for path in _takes(folder, held_out=False)]


def _takes(folder: Path, *, held_out: bool) -> list[Path]:
    paths = [
        path for path in sorted(folder.glob("*.npz")) if (path.stem == HELD_OUT_TAKE) == held_out
    ]
    if not paths:
        raise FileNotFoundError(f"There are no FACEGOOD takes (.npz) in '{folder}'.")
    return paths


def _columns(expression: str, names: list[str]) -> list[int]:
    parts = expression.removeprefix("max(").removesuffix(")").split(",")
    return [names.index(part) + _FIRST_COLUMN for part in parts]


def _load(path: Path, columns: dict[str, list[int]]) -> Captured:
    samples = _read_sound(path.with_suffix(".flac"))
    with np.load(path, allow_pickle=False) as data:
        weights = data["weights"].astype(np.float32)
    seconds = min(len(samples) / SAMPLE_RATE, len(weights) / CAPTURE_FPS)
    frames = int(seconds * MOTION_FPS)
    # Frame k stands for the middle of its samples, in both clocks.
    times = (np.arange(frames) + 0.5) / MOTION_FPS
    captured_at = (np.arange(len(weights)) + 0.5) / CAPTURE_FPS
    motion = np.zeros((frames, MOTION_SIZE), np.float32)
    mask = np.zeros(MOTION_SIZE, np.bool_)
    for name, which in columns.items():
        motion[:, INDEX[name]] = np.interp(times, captured_at, weights[:, which].max(axis=1))
        mask[INDEX[name]] = name not in _UNSEEN
    return Captured(samples[: frames * SAMPLES_PER_MOTION_FRAME], motion, mask)


def _read_sound(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        if stream.rate != SAMPLE_RATE:
            raise ValueError(f"'{path.name}' is sampled at {stream.rate} Hz, not {SAMPLE_RATE}.")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        parts = [
            part.to_ndarray().reshape(-1)
            for frame in container.decode(stream)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts).astype(np.float32)
