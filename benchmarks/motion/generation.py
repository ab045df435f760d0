"""Motion of whole recordings by one setting of the model, kept on disk so that it is made once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.motion.clips import Motion, Samples
from server.voice.cache import cache_folder
from streaming_model import motion as motion_package
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, MotionStyle, load_motion_generator
from streaming_model.motion.networks import DEFAULT_FOLDER

_WEIGHT_FILES: Final = (".onnx", ".json", ".safetensors")
BATCH: Final = 16  # recordings generated together: faster, and the same motion


@dataclass(frozen=True, slots=True)
class Setting:
    """How the model is run.

    Attributes:
        name: for people.
        weights: folder in the serving layout.
        steps: sampler steps, the model's own number if None.
        chunk: motion frames made per call of the sampler.
        lookahead: motion frames of audio heard ahead.
    """

    name: str
    weights: Path = DEFAULT_FOLDER
    steps: int | None = None
    chunk: int = 2
    lookahead: int = 2

    def generator(self) -> MotionGenerator:
        """Returns the generator.

        Raises:
            ModelFileError: a file of the weights is missing or damaged.
            ValueError: a number is outside what the model was trained for.
        """
        return load_motion_generator(
            self.weights,
            steps=self.steps,
            chunk_frames=self.chunk,
            lookahead_frames=self.lookahead,
        )


def generate(
    setting: Setting,
    recordings: Sequence[Samples],
    *,
    seed: int = 0,
    style: MotionStyle | None = None,
) -> list[Motion]:
    """Returns [frames, 58] for each recording, from the cache where it was made before."""
    chosen = style or MotionStyle()
    path = cache_folder() / "bench-motion" / f"{_key(setting, recordings, seed, chosen)}.npz"
    if path.exists():
        with np.load(path) as stored:
            return [stored[f"arr_{index}"] for index in range(len(recordings))]
    motions = run(setting.generator(), recordings, seed=seed, style=chosen)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npz")
    np.savez(partial, *motions)  # named arr_0 and so on
    partial.replace(path)
    return motions


def run(
    generator: MotionGenerator,
    recordings: Sequence[Samples],
    *,
    seed: int = 0,
    style: MotionStyle | None = None,
) -> list[Motion]:
    """Returns [frames, 58] for each recording, longest together.

    Each recording has a seed of its own, or all would blink and nod at the same times.
    """
    order = sorted(range(len(recordings)), key=lambda index: -len(recordings[index]))
    motions: dict[int, Motion] = {}
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        states = [generator.start(seed=1000 * seed + index, style=style) for index in chosen]
        audio = [AudioChunk(0, recordings[index]) for index in chosen]
        states, chunks = generator.step(states, audio)
        for index, state, given in zip(chosen, states, chunks, strict=True):
            whole = [chunk.motion for chunk in (*given, *generator.finish(state))]
            frames = len(recordings[index]) // SAMPLES_PER_MOTION_FRAME
            motions[index] = np.concatenate(whole)[:frames]
    return [motions[index] for index in range(len(recordings))]


def _key(setting: Setting, recordings: Sequence[Samples], seed: int, style: MotionStyle) -> str:
    digest = hashlib.sha256(_code().encode())
    digest.update(_weights(setting.weights, _changed(setting.weights)).encode())
    values = [getattr(style, each.name) for each in fields(style)]
    digest.update(repr((setting.steps, setting.chunk, setting.lookahead, seed, values)).encode())
    for samples in recordings:
        digest.update(len(samples).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(samples).tobytes())
    return digest.hexdigest()[:24]


@lru_cache(maxsize=1)
def _code() -> str:
    """Returns a digest of the code between audio and motion."""
    digest = hashlib.sha256()
    root = Path(motion_package.__file__).parent
    parts = [*sorted(root.glob("*.py")), *sorted((root.parent / "audio").glob("*.py"))]
    for path in [*parts, Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _changed(folder: Path) -> tuple[tuple[str, int], ...]:
    return tuple((path.name, path.stat().st_mtime_ns) for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in _WEIGHT_FILES)


@lru_cache(maxsize=8)
def _weights(folder: Path, changed: tuple[tuple[str, int], ...]) -> str:
    """Returns a digest of the serving files; `changed` makes a stale answer impossible."""
    digest = hashlib.sha256(repr([name for name, _ in changed]).encode())
    for path in _files(folder):
        digest.update(path.read_bytes())
    return digest.hexdigest()
