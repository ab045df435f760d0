"""The 52 ARKit shapes of our rig: ICT-FaceKit's, with the rounded lips redrawn.

The source's pucker hardly narrows the mouth and its funnel bares the teeth in a square; ours
round the lips as ARKit's own do. Knows nothing of the mesh that is cut from the source.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES
from training.rig.source import ICT_POINTS, MEDIAPIPE_POINTS, Source

Floats = NDArray[np.float64]

PUCKER_WIDTH: Final = 1.55  # how much more than the source's our pucker narrows the mouth
PUCKER_FULLNESS: Final = 0.36  # how much fuller the lips get, as a share of their height
LIP_REACH_CM: Final = (2.4, 0.95)  # half width and half height of the lips
FUNNEL_SHARE: Final = 0.85  # of the source's funnel that ours keeps
FUNNEL_PUCKER: Final = 0.60  # and of our pucker that it takes
UPPER_ROLL: Final = 0.5  # of the height that the source's rolled upper lip loses
BROW_RAISE: Final = 1.25  # our inner brows rise as far as ARKit's
SIDEWAYS: Final = 0.7  # the source pushes the mouth aside farther than skin goes
LIPS_HELD: Final = 0.5  # of the edge's motion: what takes more is lip, not skin
EASE_ROUNDS: Final = 10
SNEER_LIP: Final = 0.9  # of the lip's rise in the source's sneer that ours leaves out
MIDDLE_LIPS: Final = (13, 14)  # MediaPipe's inner lips in the middle


def arkit_expressions(source: Source) -> Floats:
    """Returns the deltas in ARKit's order, [52, 26719, 3]; tongueOut is zero here."""
    deltas = _source_expressions(source)
    pucker, funnel, roll, brows = (
        ARKIT_NAMES.index(name)
        for name in ("mouthPucker", "mouthFunnel", "mouthRollUpper", "browInnerUp")
    )
    deltas[pucker] = _rounded(source, deltas[pucker])
    deltas[funnel] = FUNNEL_SHARE * deltas[funnel] + FUNNEL_PUCKER * deltas[pucker]
    deltas[roll, :, 1] *= UPPER_ROLL
    deltas[brows] *= BROW_RAISE
    deltas[[ARKIT_NAMES.index(name) for name in ("mouthLeft", "mouthRight")]] *= SIDEWAYS
    return deltas


def ease_skin(
    deltas: Floats, triangles: NDArray[np.int64], *, at_mouth: Floats, at_lids: Floats
) -> Floats:
    """Returns the face's deltas [52, V, 3] with room for the skin around what moves.

    Rounded lips push the skin above the chin ahead of them; raised brows draw the lid up, not
    its lashes; a sneer leaves most of the lip alone.

    Args:
        deltas: [52, V, 3].
        triangles: [T, 3].
        at_mouth: [V] 1 at the lips' edges, falling to 0.
        at_lids: [V] the same at the lids.
    """
    eased = deltas.copy()
    free = np.clip((LIPS_HELD - at_mouth) / LIPS_HELD, 0.0, 1.0)[:, None]
    pairs = np.concatenate([triangles[:, [a, b]] for a in range(3) for b in range(3)])
    count = np.bincount(pairs[:, 0], minlength=deltas.shape[1])[:, None]
    for name in ("mouthFunnel", "mouthPucker"):
        delta = eased[ARKIT_NAMES.index(name)]
        for _ in range(EASE_ROUNDS):
            mean = np.stack(
                [
                    np.bincount(pairs[:, 0], delta[pairs[:, 1], axis], minlength=len(delta))
                    for axis in range(3)
                ],
                axis=1,
            )
            delta += free * (mean / count - delta)
    for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
        eased[ARKIT_NAMES.index(name)] *= np.clip(1.0 - at_lids, 0.0, 1.0)[:, None]
    for name in ("noseSneerLeft", "noseSneerRight"):
        eased[ARKIT_NAMES.index(name)] *= 1.0 - SNEER_LIP * np.clip(at_mouth, 0.0, 1.0)[:, None]
    return eased


def _source_expressions(source: Source) -> Floats:
    deltas = np.zeros((len(ARKIT_NAMES), *source.neutral.shape))
    for index, name in enumerate(ARKIT_NAMES):
        ours = name.replace("Left", "_L").replace("Right", "_R")
        candidates = [name] if name in source.expressions else [ours, f"{name}_L", f"{name}_R"]
        for candidate in candidates:
            if candidate in source.expressions:
                deltas[index] += source.expressions[candidate]
    return deltas


def _rounded(source: Source, pucker: Floats) -> Floats:
    """Narrows the mouth more and bunches the lips: what they lose in width makes them fuller."""
    pairs = dict(zip(MEDIAPIPE_POINTS, ICT_POINTS, strict=True))
    line = source.neutral[[pairs[landmark] for landmark in MIDDLE_LIPS]].mean(axis=0)
    offset = source.neutral - line
    across, up = (offset[:, axis] / LIP_REACH_CM[axis] for axis in range(2))
    near = np.exp(-(across**4)) * np.exp(-((up / 1.6) ** 2))
    fuller = pucker.copy()
    fuller[:, 0] *= PUCKER_WIDTH
    fuller[:, 1] += PUCKER_FULLNESS * offset[:, 1] * near
    return fuller
