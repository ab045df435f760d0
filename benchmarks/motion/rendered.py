"""The lips once more, measured in rendered frames by MediaPipe's landmarks.

The portrait is moved by the model's mouth, its head and eyes at rest: the ruler measures lips,
and turns of the head would be measured with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Clip, Motion
from benchmarks.motion.contacts import (
    BILABIALS,
    OPEN_VOWELS,
    OTHER_CONSONANTS,
    phones_closed,
    share,
)
from benchmarks.motion.curves import MOUTH, correlation_and_lag
from benchmarks.motion.lips import lip_figures
from benchmarks.motion.results import Figures, Results, Table
from benchmarks.renderer.measuring import Ruler
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer
from training.coarticulation import lip_gap

SIZE = 512
CONTACTS = ("closure", "false closure", "consonants closed")
NOTE = (
    "the gap of the inner lips over the face's height, in frames of the built-in portrait; a gap "
    "under a tenth of its range above the least one is closed; correlation and lag are against "
    "the commanded gap"
)


def measure_rendered(
    results: Results, clips: Sequence[Clip], moved: Mapping[str, Sequence[Motion]]
) -> Iterator[str]:
    """Renders and measures each way to move the clips; yields what it is doing.

    Raises:
        RulerError: the ruler cannot be started.
        RuntimeError: its packages cannot be installed.
    """
    renderer = Renderer(make_portrait(BUILTIN_PORTRAIT), size=SIZE)
    rows: dict[str, Figures] = {}
    with Ruler() as ruler:
        for way, motions in moved.items():
            gaps = []
            for index, motion in enumerate(motions):
                yield f"rendering {way}, {index + 1} of {len(motions)}"
                gaps.append(measured_gap(renderer, ruler, motion))
            rows[f"{way}, seen"] = rendered_figures(clips, motions, gaps)
            commanded = lip_figures(clips, motions)
            rows[f"{way}, commanded"] = {name: commanded[name] for name in CONTACTS}
    seconds = sum(clip.frames for clip in clips) / 25
    results.tables.append(Table(f"In rendered frames, {seconds:.0f} s", rows, NOTE))


def measured_gap(renderer: Renderer, ruler: Ruler, motion: Motion) -> NDArray[np.float64]:
    """Returns [frames] the lips' gap in percent of the face's height, not-a-number if no face."""
    mouth_only = np.zeros_like(motion)
    mouth_only[:, MOUTH] = motion[:, MOUTH]
    faces = (ruler.measure(renderer.render(row)) for row in mouth_only)
    return np.array([np.nan if face is None else 100 * face.sizes["lip_gap"] for face in faces])


def rendered_figures(
    clips: Sequence[Clip], motions: Sequence[Motion], gaps: Sequence[NDArray[np.float64]]
) -> Figures:
    """Returns the contacts and the correlation of measured gaps [frames]."""
    met: dict[str, list[bool]] = {name: [] for name in CONTACTS}
    groups = dict(zip(met, (BILABIALS, OPEN_VOWELS, OTHER_CONSONANTS), strict=True))
    follows = []
    for clip, motion, gap in zip(clips, motions, gaps, strict=True):
        seen = np.where(np.isnan(gap), np.nanmax(gap), gap)
        low, high = np.percentile(seen, [1, 95])
        opening = (seen - low) / max(high - low, 1e-6)
        for name, phones in groups.items():
            met[name] += phones_closed(clip, opening, phones)
        follows.append(correlation_and_lag(seen, lip_gap(motion).astype(np.float64)))
    correlations, lags = np.array(follows).T
    return {
        **{name: share(values) for name, values in met.items()},
        "correlation": float(correlations.mean()),
        "lag": float(np.median(lags)),
        "frames without a face": float(sum(np.isnan(gap).sum() for gap in gaps)),
    }
