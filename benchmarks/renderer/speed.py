"""What a frame costs beside a plain remap of the same frame, measured in turns.

Milliseconds depend on the machine and on what else runs on it; the ratio hardly does. Times are
processor time of one thread, medians after a warm-up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.commands import Motion, motion
from streaming_model.portrait import Portrait
from streaming_model.renderer import Renderer

WARM_UP: Final = 5  # frames
REPEATS: Final = 40
SIZES: Final = (512, 1024)
TALKING: Final = motion(jawOpen=0.35, mouthLowerDown=0.3, eyeBlink=0.2, headYaw=6, headPitch=3)
PARTS: Final = {
    "head": motion(headYaw=6, headPitch=3),
    "blink": motion(eyeBlink=0.5),
    "mouth": motion(jawOpen=0.35, mouthLowerDown=0.3),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one frame and of one remap of a picture of its size."""

    frame: float
    remap: float

    @property
    def ratio(self) -> float:
        """The frame's cost in remaps."""
        return self.frame / self.remap


def frame_cost(renderer: Renderer, poses: list[Motion]) -> Cost:
    """Returns the medians over `REPEATS` frames and as many remaps between them."""
    picture = renderer.render(poses[0])
    x, y = _maps(renderer.size)
    frames, remaps = [], []
    for index in range(WARM_UP + REPEATS):
        pose = poses[index % len(poses)]
        frames.append(_milliseconds(partial(renderer.render, pose)))
        remaps.append(_milliseconds(partial(cv2.remap, picture, x, y, cv2.INTER_LINEAR)))
    return Cost(float(np.median(frames[WARM_UP:])), float(np.median(remaps[WARM_UP:])))


def speed_figures(portrait: Portrait) -> dict[str, float]:
    """Returns milliseconds and ratios at 512 and at 1024, and what the parts of a motion cost."""
    figures: dict[str, float] = {}
    for size in SIZES:
        renderer = Renderer(portrait, size=size)
        cost = frame_cost(renderer, swaying())
        figures |= {
            f"ms at {size}": cost.frame,
            f"remap ms at {size}": cost.remap,
            f"ratio at {size}": cost.ratio,
        }
        for name, pose in PARTS.items():
            figures[f"{name} ms at {size}"] = frame_cost(renderer, [pose]).frame
    return figures


def swaying() -> list[Motion]:
    """Returns a talking motion that differs from frame to frame, as in life."""
    phases = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    return [np.asarray(TALKING * (1 + 0.3 * math.sin(phase)), np.float32) for phase in phases]


def _maps(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    columns, rows = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size))
    return columns + 3 * np.sin(rows / 40).astype(np.float32), rows.astype(np.float32)


def _milliseconds(action: Callable[[], object]) -> float:
    before = time.thread_time()
    action()
    return 1000 * (time.thread_time() - before)
