"""Light that moves with the skin: how much brighter each coefficient makes each vertex."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.renderer.surface import vertex_normals
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

RELIEF: Final = 0.55  # contrast of the light that moves with the skin
RELIEF_SMOOTHING: Final = 4
RELIEF_LIGHT: Final = np.array([0.0, 0.64, 0.77], np.float32)


def relief_of(rig: Rig, rest: Floats, deltas: Floats) -> Floats:
    """Returns [52, V]: how much light each vertex gains at coefficient 1, lit from above.

    The change of the surface's slope against the light, smoothed: the folds of a smile, the
    cheek's swelling, the chin's turn. Lips and lids are left to their own textures.
    """
    neighbours = np.concatenate([rig.triangles[:, [a, b]] for a in range(3) for b in range(3)])
    count = np.bincount(neighbours[:, 0], minlength=len(rest)).astype(np.float32)
    edge = sum(np.abs(o.spread).sum(axis=1) for o in (rig.mouth, rig.left_eye, rig.right_eye))
    skin = np.clip(1.0 - np.asarray(edge, np.float32), 0, 1) ** 2
    still = vertex_normals(rest, rig.triangles) @ RELIEF_LIGHT
    relief = np.zeros((len(deltas), len(rest)), np.float32)
    for index, delta in enumerate(deltas):
        if not np.abs(delta).max() > 0.05:
            continue
        gain = vertex_normals(rest + delta, rig.triangles) @ RELIEF_LIGHT - still
        for _ in range(RELIEF_SMOOTHING):
            total = np.bincount(neighbours[:, 0], gain[neighbours[:, 1]], minlength=len(rest))
            gain = total / np.maximum(count, 1)
        relief[index] = RELIEF * np.clip(gain, -0.5, 0.5) * skin
    return relief
