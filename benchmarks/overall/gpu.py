"""What a card holds: batches of pictures and motion on a torch device, and the bytes they move.

Where there is no card nothing is measured, and the report says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.overall.results import Figure, Table
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.device.avatar import load_device_motion
from streaming_model.device.pictures import DevicePictures, likely_motions
from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer

Report = Callable[[str, float], None]
PART: Final = "gpu"
NOT_MEASURED: Final = "not measured on a GPU"
SIZES: Final = (512, 1024)  # pixels
BATCHES: Final = (1, 2, 4, 8, 16, 32)  # sessions
REPEATS: Final = 200  # batches: enough for a 99th percentile
_WARM_UP: Final = 3
_PERIOD_MS: Final = 1000 / MOTION_FPS
_COPIED: Final = 1 << 28  # bytes, much more than any cache
# Bytes of a pixel that are read or written at least once: three maps written and read, a texture
# of four float64, a plate of three int32, RGB written, read and written, I420 written.
BYTES_A_PIXEL: Final = 2 * 12 + 32 + 12 + 9 + 1.5


def device_here() -> torch.device | None:
    """Returns the first card, None where there is none."""
    return torch.device("cuda") if torch.cuda.is_available() else None


def nothing_measured() -> Table:
    """Returns the table of a machine without a card."""
    return Table(PART, "On a GPU", ("what", "measured"), (("everything", NOT_MEASURED),))


def measure(
    device: torch.device,
    report: Report,
    *,
    sizes: Sequence[int] = SIZES,
    batches: Sequence[int] = BATCHES,
    repeats: int = REPEATS,
) -> tuple[list[Figure], Table]:
    """Returns what batches cost on a device, and the table of them.

    A number of sessions holds when the 99th percentiles of a batch of their pictures and of a
    batch of their motion, for a picture, are within a picture's time together.
    """
    most = max(batches)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    copied = _copy_rate(device)
    portrait, generator = make_portrait(BUILTIN_PORTRAIT), load_device_motion(device, most=most)
    figures = [Figure(PART, f"a copy within memory, {card}", "GB/s", (copied / 1e9,))]
    motion = {}
    for count in batches:
        report(f"motion of {count}", 0)
        motion[count] = _spent(generator, count, repeats)
    rows = []
    for index, size in enumerate(sizes):
        canvas = DevicePictures([Renderer(portrait, size=size)], device, is_i420=True)
        canvas.prepare(most)
        held = 0
        for count in batches:
            report(f"{count} pictures of {size} x {size}", index / len(sizes))
            drawn = _drawn(canvas, count, repeats)
            late = float(np.percentile(drawn, 99) + np.percentile(motion[count], 99))
            held = count if late <= _PERIOD_MS else held
            each = float(np.median(drawn)) / count
            share = BYTES_A_PIXEL * size * size / (each / 1000) / copied
            rows.append(
                (
                    f"{size} x {size}",
                    str(count),
                    f"{each:.3f}",
                    f"{float(np.median(motion[count])) / count:.3f}",
                    f"{late:.2f}",
                    f"{100 * share:.3g} %",
                )
            )
            name = f"a picture of {size} x {size}, {count} in a batch"
            figures.append(Figure(PART, name, "ms", tuple(drawn / count)))
        figures.append(
            Figure(
                PART,
                f"sessions that hold at {size} x {size}, of {most} tried",
                "",
                (float(held),),
                note="device and positions alone: without marks, encoding, sending",
            )
        )
    columns = (
        "pictures",
        "sessions",
        "a picture, ms",
        "its motion, ms",
        "p99 of both batches, ms",
        "of a copy's bandwidth, at least",
    )
    return figures, Table(PART, f"On {card}", columns, tuple(rows))


def _spent(generator: MotionGenerator, count: int, repeats: int) -> NDArray[np.float64]:
    """Returns how long motion took for a picture of all, in milliseconds, of each batch."""
    rng = np.random.default_rng(count)
    states = [generator.start(seed=seed) for seed in range(count)]
    chunk = generator.chunk_frames * SAMPLES_PER_MOTION_FRAME
    spent = []
    for index in range(repeats + _WARM_UP):
        sound = (0.1 * rng.standard_normal((count, chunk))).astype(np.float32)
        inputs = [AudioChunk(index * chunk, row) for row in sound]
        began = time.perf_counter()
        states, _ = generator.step(states, inputs)
        spent.append(1000 * (time.perf_counter() - began) / generator.chunk_frames)
    return np.array(spent[_WARM_UP:])


def _drawn(canvas: DevicePictures, count: int, repeats: int) -> NDArray[np.float64]:
    """Returns how long batches of pictures took until they were in host memory, in ms."""
    rows = likely_motions(24)
    spent = []
    for index in range(repeats + _WARM_UP):
        chosen = rows[(index + np.arange(count)) % len(rows)]
        began = time.perf_counter()
        canvas.draw(chosen)
        spent.append(1000 * (time.perf_counter() - began))
    return np.array(spent[_WARM_UP:])


def _copy_rate(device: torch.device) -> float:
    """Returns bytes a second, read and written, of the best of some large copies."""
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        _wait(device)
        began = time.perf_counter()
        target.copy_(source)
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return 2 * _COPIED / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
