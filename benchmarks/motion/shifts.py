"""The shift test: audio that comes later must move the mouth by as much, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.motion.clips import Clip
from benchmarks.motion.curves import FRAME_MS, correlation_and_lag
from benchmarks.motion.generation import Setting, generate
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from training.coarticulation import lip_gap

SHIFTS = (1, 2, 3, 4)  # frames


def shift_figures(setting: Setting, clips: Sequence[Clip]) -> dict[str, float]:
    """Returns by how many ms the lips' gap comes later, median of the clips, and the worst miss."""
    before = generate(setting, [clip.samples for clip in clips])
    figures = {}
    for frames in SHIFTS:
        silence = np.zeros(frames * SAMPLES_PER_MOTION_FRAME, np.float32)
        after = generate(setting, [np.concatenate([silence, clip.samples]) for clip in clips])
        lags = [
            correlation_and_lag(
                lip_gap(later[: len(early)]).astype(np.float64), lip_gap(early).astype(np.float64)
            )[1]
            for early, later in zip(before, after, strict=True)
        ]
        figures[f"shift {frames * FRAME_MS} ms"] = float(np.median(lags))
    misses = [abs(figures[f"shift {n * FRAME_MS} ms"] - n * FRAME_MS) for n in SHIFTS]
    return figures | {"shift miss": max(misses)}
