"""A stage's time budget, its learning rate over that time, and its checkpoint.

Stages are boxed by time because they run on whatever machine is at hand; a stopped run goes
on from its last checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

_WARM_UP = 0.03  # share of the budget
_CHECKPOINT_EVERY = 120.0  # s
_GPU_BATCHES = 12  # a GPU waits for its next kernel rather than for the sums of this one


@dataclass
class TimeBox:
    """Counts one stage's seconds, across restarts.

    Attributes:
        seconds: the budget.
        path: where the stage's checkpoint lies.
        spent: seconds used by earlier runs.
        step: optimiser steps taken so far.
    """

    seconds: float
    path: Path
    spent: float = 0.0
    step: int = 0
    _began: float = field(default_factory=time.monotonic)
    _saved: float = field(default_factory=time.monotonic)

    @property
    def fraction(self) -> float:
        """Returns how much of the budget is used, 0..1."""
        return min(1.0, (self.spent + time.monotonic() - self._began) / self.seconds)

    def learning_rate(self, peak: float) -> float:
        """Returns the rate now: a short warm-up, then half a cosine down to 2 % of `peak`."""
        progress = self.fraction
        if progress < _WARM_UP:
            return peak * (0.1 + 0.9 * progress / _WARM_UP)
        return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))

    def restore(self) -> dict[str, Any] | None:
        """Returns what the last checkpoint held, and takes up its count; None without one."""
        if not self.path.exists():
            return None
        saved: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        self.spent, self.step = saved["spent"], saved["step"]
        self._began = time.monotonic()
        return saved

    def checkpoint(self, contents: Callable[[], dict[str, Any]], *, force: bool = False) -> None:
        """Writes `contents()` and the count, at most every two minutes unless forced."""
        now = time.monotonic()
        if not force and now - self._saved < _CHECKPOINT_EVERY:
            return
        self._saved = now
        spent = self.spent + now - self._began
        partial = self.path.with_suffix(".part")
        torch.save({**contents(), "spent": spent, "step": self.step}, partial)
        partial.replace(self.path)


def best_device() -> torch.device:
    """Returns the first GPU, or the processor where there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def batch_on(device: torch.device, size: int) -> int:
    """Returns how many windows a step takes on `device` where it takes `size` on a processor."""
    return size * _GPU_BATCHES if device.type == "cuda" else size


def reduced_precision(device: torch.device) -> torch.autocast:
    """Returns a context in which products are taken in bfloat16 where `device` is quick at it.

    Nearly twice as fast on processors with AVX-512 BF16 or AMX; weights and sums stay float32.
    """
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:
        able = bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


def average_into(average: torch.nn.Module, network: torch.nn.Module, *, decay: float) -> None:
    """Moves the weights of `average` towards those of `network` by 1 - `decay`."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
