"""Captured speech: sound with the motion of a real face, one `.npz` file for each stretch.

The form in which motion of real people reaches training, wherever it was captured. A file is
also a motion file (`streaming_model.motion_files`), so `vivant render` can play it. Knows
nothing of films and faces.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import MOTION_NAMES, MOTION_SIZE

_FULL_SCALE: Final = 32767.0


class Captured(NamedTuple):
    """One stretch of speech.

    Attributes:
        samples: [640 * frames] float32, 16 kHz, in -1..1.
        motion: [frames, 58] float32; frame k is the motion at the middle of samples 640 k to
            640 (k + 1). Relative to the speaker's own neutral.
        mask: [58] bool, the channels that were really seen; the others are zero and say nothing.
    """

    samples: NDArray[np.float32]
    motion: NDArray[np.float32]
    mask: NDArray[np.bool_]


def save_captured(path: Path, item: Captured, *, source: str, extra: Mapping[str, Any]) -> None:
    """Writes one item, under another name until it is whole.

    Args:
        path: ends in `.npz`.
        item: what to write; the samples become 16-bit PCM.
        source: name of the recording it comes from.
        extra: further arrays and numbers to keep beside it, by name.

    Raises:
        ValueError: sound and motion are not equally long, or not of 58 channels.
    """
    frames = len(item.motion)
    if item.motion.shape != (frames, MOTION_SIZE) or item.mask.shape != (MOTION_SIZE,):
        raise ValueError(f"motion is {item.motion.shape}, mask {item.mask.shape}")
    if len(item.samples) != frames * SAMPLES_PER_MOTION_FRAME:
        raise ValueError(f"{len(item.samples)} samples do not fit {frames} frames of motion")
    pcm = np.round(np.clip(item.samples, -1, 1) * _FULL_SCALE).astype(np.int16)
    partial = path.with_name(f".{path.stem}.part.npz")
    np.savez_compressed(
        partial,
        samples=pcm,
        motion=item.motion.astype(np.float32),
        mask=item.mask,
        names=np.array(MOTION_NAMES),
        fps=np.array(MOTION_FPS),
        source=np.array(source),
        **extra,
    )
    partial.replace(path)


def load_captured(folder: Path) -> list[Captured]:
    """Reads every item of a folder, in the order of their names.

    Raises:
        FileNotFoundError: the folder holds no item.
    """
    paths = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    if not paths:
        raise FileNotFoundError(f"There is no captured speech (.npz) in '{folder}'.")
    return [_load(path) for path in paths]


def _load(path: Path) -> Captured:
    with np.load(path, allow_pickle=False) as data:
        samples = data["samples"].astype(np.float32) / np.float32(_FULL_SCALE)
        return Captured(samples, data["motion"], data["mask"])
