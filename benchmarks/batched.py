"""What a frame costs in a batch on a torch device, beside drawing one at a time on the CPU.

Run as `python -m benchmarks.batched`. Uses the GPU if there is one. The two ways are measured in
turns, so that the ratio says more than the milliseconds: wall time on a GPU, processor time of one
thread on a CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.renderer.speed import swaying
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer
from streaming_model.renderer.batched import BatchedRenderer

WARM_UP = 3
REPEATS = 12


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--image", type=Path, default=BUILTIN_PORTRAIT)
    options.add_argument("--size", type=int, default=512)
    options.add_argument("--sessions", type=int, nargs="+", default=[1, 4, 16])
    options.add_argument("--device", help="of torch, such as cuda or cpu")
    arguments = options.parse_args()
    cv2.setNumThreads(1)
    renderer = Renderer(make_portrait(arguments.image), size=arguments.size)
    batched = BatchedRenderer([renderer], device=arguments.device)
    if batched.device.type == "cpu":
        torch.set_num_threads(1)
    print(f"{card(batched.device)}, {arguments.size}x{arguments.size}, milliseconds a frame\n")
    print(f"{'sessions':>8}{'one by one':>12}{'batched':>10}{'ratio':>8}{'GPU MB':>8}")
    for sessions in arguments.sessions:
        alone, together = costs(renderer, batched, sessions)
        print(
            f"{sessions:8}{alone:12.2f}{together:10.2f}{together / alone:8.2f}"
            f"{held(batched.device):8.0f}"
        )


def costs(renderer: Renderer, batched: BatchedRenderer, sessions: int) -> tuple[float, float]:
    """Returns the median milliseconds of a frame, drawn one by one and in batches."""
    poses = swaying()
    clock = time.perf_counter if batched.device.type == "cuda" else time.thread_time
    alone: list[float] = []
    together: list[float] = []
    for index in range(WARM_UP + REPEATS):
        motions = np.stack([poses[(index + each) % len(poses)] for each in range(sessions)])
        for action, spent in (
            (partial(draw_alone, renderer, motions), alone),
            (partial(draw_together, batched, motions), together),
        ):
            spent.append(milliseconds(action, clock) / sessions)
    return float(np.median(alone[WARM_UP:])), float(np.median(together[WARM_UP:]))


def draw_alone(renderer: Renderer, motions: NDArray[np.float32]) -> None:
    """Draws frames one after another on the CPU."""
    for motion in motions:
        renderer.render(motion)


def draw_together(batched: BatchedRenderer, motions: NDArray[np.float32]) -> None:
    """Draws frames in one batch, and waits until the device has done it."""
    batched.render(motions)
    if batched.device.type == "cuda":
        torch.cuda.synchronize(batched.device)


def milliseconds(action: Callable[[], object], clock: Callable[[], float]) -> float:
    """Returns the time of one call."""
    before = clock()
    action()
    return 1000 * (clock() - before)


def card(device: torch.device) -> str:
    """Names the device and what torch uses of it."""
    if device.type == "cuda":
        return f"torch {torch.__version__} on {torch.cuda.get_device_name(device)}"
    return f"torch {torch.__version__} on {device.type}, one thread"


def held(device: torch.device) -> float:
    """Returns the megabytes that torch holds on a GPU."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0


if __name__ == "__main__":
    main()
