"""Every measure of the lips for one way to move them, over the clips of one or more voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.motion.clips import Clip, Motion
from benchmarks.motion.contacts import (
    BILABIALS,
    LABIODENTALS,
    OPEN_VOWELS,
    OTHER_CONSONANTS,
    Contact,
    contacts,
    share_bitten,
    share_closed,
)
from benchmarks.motion.curves import (
    correlation_and_lag,
    jerk_ratio,
    lip_vertex_error,
    mouth_error,
    opening_difference,
    speed_ratio,
    spread_ratio,
)
from training.coarticulation import lip_gap

Figures = dict[str, float]


def lip_figures(clips: Sequence[Clip], motions: Sequence[Motion]) -> Figures:
    """Returns the measures by name; shares and correlations are 0..1, lags in ms."""
    found = all_contacts(clips, motions)
    ours, theirs = np.concatenate(motions), np.concatenate([clip.oracle for clip in clips])
    follows = np.array(
        [
            correlation_and_lag(
                lip_gap(motion).astype(np.float64), lip_gap(clip.oracle).astype(np.float64)
            )
            for clip, motion in zip(clips, motions, strict=True)
        ]
    )
    oracles = [clip.oracle for clip in clips]
    return {
        "closure": share_closed(found, BILABIALS),
        "bite": share_bitten(found, LABIODENTALS),
        "false closure": share_closed(found, OPEN_VOWELS),
        "consonants closed": share_closed(found, OTHER_CONSONANTS),
        "false bite": share_bitten(found, (*OPEN_VOWELS, *BILABIALS, *OTHER_CONSONANTS)),
        "correlation": float(follows[:, 0].mean()),
        "lag": float(np.nanmedian(follows[:, 1])) if not np.isnan(follows[:, 1]).all() else np.nan,
        "error": mouth_error(ours, theirs),
        "MOD": opening_difference(ours, theirs),
        "LVE": lip_vertex_error(ours, theirs),
        "spread": spread_ratio(ours, theirs),
        "speed": speed_ratio(motions, oracles),
        "jerk": jerk_ratio(motions, oracles),
    }


def all_contacts(clips: Sequence[Clip], motions: Sequence[Motion]) -> list[Contact]:
    """Returns what happened at each phone of all clips."""
    return [
        contact
        for clip, motion in zip(clips, motions, strict=True)
        for contact in contacts(clip, motion)
    ]
