"""The rig's teeth, gums, tongue and mouth bag in one portrait's head, and how the jaw moves them.

Sized by the fitted mouth, set at the heights that the picture's lips and teeth ask for, and
joined to the teeth that the picture shows itself. Knows no colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait import Portrait
from streaming_model.renderer.expression import upright_rotation
from streaming_model.renderer.geometry import FaceGeometry
from streaming_model.renderer.own_teeth import OwnMouth, Row
from streaming_model.renderer.stage import Stage
from streaming_model.rig import LOWER_GUM, LOWER_TEETH, TONGUE, UPPER_GUM, UPPER_TEETH, Rig

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

UPPER_SHOW_CM: Final = 0.34  # the upper incisors end this far below where closed lips meet
FREEWAY_CM: Final = 0.08  # a speaker's rows of teeth do not touch
LOWER_RISE_CM: Final = 0.16  # of the lower teeth above the lower lip of an open jaw
GAPE_CM: Final = 1.6  # a picture's lips farther apart than this mean an open jaw, not a smile
JOINED_CM: Final = 0.4  # how far teeth are shifted to join those of the picture
SIZE_RANGE: Final = (0.75, 1.2)  # of the fitted mouth over the rig's


@dataclass(frozen=True)
class Interior:
    """What the mouth holds, in camera space.

    Attributes:
        rest: [V, 3] centimetres, jaw closed as in the picture.
        follow: [V, 4], jaw: [52, 12]: a coefficient moves a vertex by follow @ jaw [4, 3].
        part: [V] the rig's constants.
        triangles: [T, 3] all but the teeth that the picture has itself.
        tongue: [n] its vertices, root to tip; tongue_triangles: [m, 3].
        lower_edge: [2] vertices on the edges of the lower middle incisors.
        jaw_plane: [3] vertices of the jaw that span the plane of its front teeth.
        upright: [3, 3] from the rig's axes to the camera's.
        scale: of the fitted mouth over the rig's.
    """

    rest: Floats
    follow: Floats
    jaw: Floats
    part: Indices
    triangles: NDArray[np.int32]
    tongue: Indices
    tongue_triangles: NDArray[np.int32]
    lower_edge: Indices
    jaw_plane: Indices
    upright: Floats
    scale: float


def fit_interior(
    portrait: Portrait, rig: Rig, geometry: FaceGeometry, stage: Stage, own: OwnMouth | None
) -> Interior:
    """Puts the rig's interior behind the portrait's lips."""
    upright = upright_rotation(portrait.fit)
    fitted, usual = geometry.rest[rig.mouth.upper], rig.neutral[rig.mouth.upper]
    ratio = np.linalg.norm(fitted[-1] - fitted[0]) / np.linalg.norm(usual[-1] - usual[0])
    scale = float(np.clip(ratio, *SIZE_RANGE))
    ring = rig.mouth.ring
    turn = scale * upright.T
    centre, middle = rig.neutral[ring].mean(axis=0), geometry.rest[ring].mean(axis=0)
    rest = np.asarray((rig.interior_neutral - centre) @ turn + middle, np.float32)
    _set_heights(rest, rig, _heights(geometry, stage, own, scale))
    dropped = np.zeros(len(rest), np.bool_)
    if own is not None:
        for row, part in ((own.upper, UPPER_TEETH), (own.lower, LOWER_TEETH)):
            if row is not None:
                dropped |= _join(rest, rig, stage, row, part)
    triangles = rig.interior_triangles.astype(np.int32)
    kinds = rig.interior_part[triangles[:, 0]]
    homogeneous = np.c_[rig.interior_neutral, np.ones(len(rest))]
    return Interior(
        rest=np.ascontiguousarray(rest),
        follow=np.ascontiguousarray(homogeneous * rig.interior_jaw_share[:, None], np.float32),
        jaw=np.ascontiguousarray((rig.interior_jaw @ turn).reshape(-1, 12), np.float32),
        part=rig.interior_part,
        triangles=triangles[~dropped[triangles[:, 0]]],
        tongue=np.flatnonzero(rig.interior_part == TONGUE),
        tongue_triangles=triangles[kinds == TONGUE],
        lower_edge=_middle_edge(rig, LOWER_TEETH),
        jaw_plane=_jaw_plane(rig),
        upright=upright,
        scale=scale,
    )


def _heights(
    geometry: FaceGeometry, stage: Stage, own: OwnMouth | None, scale: float
) -> tuple[float, float]:
    """Returns where the picture's lips, or its teeth, ask the rows' edges to be, in y."""
    pair, face = geometry.mouth, geometry.rest
    above = float(face[pair.upper[len(pair.upper) // 2], 1])
    below = float(face[pair.lower[len(pair.lower) // 2], 1])
    if above - below > GAPE_CM:
        upper, lower = above - UPPER_SHOW_CM, below + LOWER_RISE_CM
    else:
        share = min((above - below) / 0.3, 1.0)  # a smile's lower lip lies on the upper edge
        upper = below - scale * UPPER_SHOW_CM * (1.0 - share)
        lower = upper - scale * FREEWAY_CM
    if own is not None and own.upper is not None:
        upper = float(stage.origin[1] - own.upper.edge[1]) / stage.scale
        lower = min(lower, upper - scale * FREEWAY_CM)
    if own is not None and own.lower is not None:
        lower = float(stage.origin[1] - own.lower.edge[1]) / stage.scale
    return upper, lower


def _set_heights(rest: Floats, rig: Rig, heights: tuple[float, float]) -> None:
    is_upper = np.isin(rig.interior_part, (UPPER_TEETH, UPPER_GUM))
    upper = rest[_middle_edge(rig, UPPER_TEETH), 1].mean()
    lower = rest[_middle_edge(rig, LOWER_TEETH), 1].mean()
    rest[is_upper, 1] += heights[0] - upper
    rest[~is_upper, 1] += heights[1] - lower


def _join(rest: Floats, rig: Rig, stage: Stage, row: Row, part: int) -> NDArray[np.bool_]:
    """Shifts the teeth beside the picture's `row` to its ends.

    Returns which vertices [V] belong to teeth that the picture has itself: no row is seen twice.
    """
    own = np.zeros(len(rest), np.bool_)
    down = 1.0 if part == UPPER_TEETH else -1.0
    for side, end in ((10, row.ends[0]), (20, row.ends[1])):
        shift: float | None = None
        for number in range(side + 1, side + 7):
            tooth = (rig.interior_part == part) & (rig.interior_tooth == number)
            pixels = stage.project(rest[tooth])
            if row.ends[0, 0] < pixels[:, 0].mean() < row.ends[1, 0]:
                own |= tooth
                continue
            if shift is None:  # of the first tooth beside the row
                lower = float(end[1]) - down * float((down * pixels[:, 1]).max())
                shift = float(np.clip(lower / stage.scale, -JOINED_CM, JOINED_CM))
            rest[tooth, 1] -= shift
    return own


def _middle_edge(rig: Rig, part: int) -> Indices:
    """Returns one vertex on the edge of either middle incisor of a row."""
    found = []
    for number in (11, 21):
        tooth = np.flatnonzero((rig.interior_part == part) & (rig.interior_tooth == number))
        points = rig.interior_neutral[tooth]
        front = tooth[points[:, 2] > np.median(points[:, 2])]
        away = rig.interior_neutral[front, 1] * (1 if part == LOWER_TEETH else -1)
        found.append(front[away.argmax()])
    return np.asarray(found)


def _jaw_plane(rig: Rig) -> Indices:
    found = []
    for number in (13, 23):
        tooth = np.flatnonzero((rig.interior_part == LOWER_TEETH) & (rig.interior_tooth == number))
        found.append(tooth[rig.interior_neutral[tooth, 1].argmax()])
    gum = np.flatnonzero(rig.interior_part == LOWER_GUM)
    points = rig.interior_neutral[gum]
    found.append(gum[(np.abs(points[:, 0]) + np.abs(points[:, 1] - points[:, 1].min())).argmin()])
    return np.asarray(found)
