"""How far the mouth opens to sounds that are no speech, and how fast it shuts when speech stops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.motion.clips import Clip, Motion, Samples
from benchmarks.motion.curves import FRAME_MS
from benchmarks.motion.generation import Setting, generate
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from training.coarticulation import lip_gap


def speaking_range(motions: Sequence[Motion]) -> float:
    """Returns the 95th percentile of the lips' gap in speech, in units of jawOpen."""
    return float(np.percentile(np.concatenate([lip_gap(motion) for motion in motions]), 95))


def stillness_figures(
    setting: Setting, sounds: dict[str, Samples], *, range_of_speech: float
) -> dict[str, dict[str, float]]:
    """Returns for each sound the 99th percentile and the most of the gap, over the range."""
    motions = generate(setting, list(sounds.values()))
    figures = {}
    for name, motion in zip(sounds, motions, strict=True):
        gap = lip_gap(motion) / range_of_speech
        figures[name] = {"p99": float(np.percentile(gap, 99)), "most": float(gap.max())}
    return figures


def settling(setting: Setting, clips: Sequence[Clip]) -> float:
    """Returns the median milliseconds from sudden silence to lips that stay closed."""
    cut = []
    for clip in clips:
        samples = clip.samples.copy()
        samples[clip.frames // 2 * SAMPLES_PER_MOTION_FRAME :] = 0.0
        cut.append(samples)
    waits = []
    for motion in generate(setting, cut):
        middle, gap = len(motion) // 2, lip_gap(motion)
        moving = np.flatnonzero(gap[middle:] > 0.1 * np.percentile(gap[:middle], 95))
        waits.append(FRAME_MS * (int(moving[-1]) + 1 if len(moving) else 0))
    return float(np.median(waits))
