"""The rig: a head surface with identity and expression bases, and what the mouth holds.

Loads `weights/rig/rig.safetensors` once per process. Made by `python -m training.rig`;
every tensor is described in `docs/rig.md`. Units are centimetres, x to the picture's right,
y up, z towards the viewer; left and right are the subject's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from streaming_model.errors import ModelFileError

WEIGHTS: Final = Path(__file__).parents[1] / "weights" / "rig"
RIG_FILE: Final = WEIGHTS / "rig.safetensors"
SKULL_FILE: Final = WEIGHTS / "skull.safetensors"
UPPER_TEETH, LOWER_TEETH, UPPER_GUM, LOWER_GUM, TONGUE, BAG = range(6)
TONGUE_ROWS: Final = 14  # the tongue's vertices are a grid, its rows from root to tip

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Opening:
    """A hole in the face surface, as vertex indices.

    Attributes:
        upper: from the picture's left corner to the right one, both included.
        lower: the same corners along the lower side.
        spread: [V, n] how a displacement of each vertex of `ring` reaches the skin around.
    """

    upper: Indices
    lower: Indices
    spread: Floats

    @property
    def ring(self) -> Indices:
        """The vertices in the order of `spread`: upper, then lower without the corners."""
        return np.concatenate([self.upper, self.lower[1:-1]])


@dataclass(frozen=True)
class Rig:
    """The rig's arrays; see the module and `docs/rig.md`.

    Attributes:
        neutral: [V, 3] the face surface.
        triangles: [T, 3].
        identity: [K, V, 3] deltas of unit variance.
        expressions: [52, V, 3] deltas in ARKit's order.
        edge_distance: [V] centimetres to the surface's outer border.
        landmarks: [468] the vertex at each MediaPipe landmark.
        bound_landmarks: [n] the landmarks that bind the residual warp.
        spread_residual: [V, n + rings] displacement from residuals of the bound landmarks and
            then of the three rings (mouth, left eye, right eye).
        mouth, left_eye, right_eye: the openings.
        eye_centres, eye_radii: the eyeballs, left then right.
        interior_neutral, interior_triangles: teeth, gums, tongue and mouth bag.
        interior_part: [n] which of the module's constants each vertex is.
        interior_tooth: [n] 11..16 and 21..26 from the middle outwards, 0 if no tooth; the
            picture's left is 1x.
        interior_light: [n] how much light gets there for the shape around it, 0..1.
        interior_jaw_share: [n] how far the vertex follows the jaw, 0..1.
        interior_jaw: [52, 4, 3] the jaw's displacement, (x, y, z, 1) @ interior_jaw.
        skull_points, skull_triangles: [n, 3], [m, 3] face, head and neck in one coarse surface.
    """

    neutral: Floats
    triangles: Indices
    identity: Floats
    expressions: Floats
    edge_distance: Floats
    landmarks: Indices
    bound_landmarks: Indices
    spread_residual: Floats
    mouth: Opening
    left_eye: Opening
    right_eye: Opening
    eye_centres: Floats
    eye_radii: Floats
    interior_neutral: Floats
    interior_triangles: Indices
    interior_part: Indices
    interior_tooth: Indices
    interior_light: Floats
    interior_jaw_share: Floats
    interior_jaw: Floats
    skull_points: Floats
    skull_triangles: Indices


@lru_cache(maxsize=1)
def load_rig() -> Rig:
    """Loads the shipped rig; the arrays are shared and must not be written to.

    Raises:
        ModelFileError: a file is missing or damaged.
    """
    tensors = _read(RIG_FILE) | _read(SKULL_FILE)
    arrays: dict[str, Floats] = {
        name: value.astype(np.float32)
        for name, value in tensors.items()
        if value.dtype != np.uint16
    }
    indices: dict[str, Indices] = {
        name: value.astype(np.int64) for name, value in tensors.items() if value.dtype == np.uint16
    }

    def opening(name: str) -> Opening:
        return Opening(
            upper=indices[f"{name}_upper"],
            lower=indices[f"{name}_lower"],
            spread=arrays[f"spread_{name}"],
        )

    return Rig(
        neutral=arrays["neutral"],
        triangles=indices["triangles"],
        identity=arrays["identity"],
        expressions=arrays["expressions"],
        edge_distance=arrays["edge_distance"],
        landmarks=indices["landmarks"],
        bound_landmarks=indices["bound_landmarks"],
        spread_residual=arrays["spread_residual"],
        mouth=opening("mouth"),
        left_eye=opening("left_eye"),
        right_eye=opening("right_eye"),
        eye_centres=arrays["eye_centres"],
        eye_radii=arrays["eye_radii"],
        interior_neutral=arrays["interior_neutral"],
        interior_triangles=indices["interior_triangles"],
        interior_part=indices["interior_part"],
        interior_tooth=indices["interior_tooth"],
        interior_light=arrays["interior_light"],
        interior_jaw_share=arrays["interior_jaw_share"],
        interior_jaw=arrays["interior_jaw"],
        skull_points=arrays["skull_points"],
        skull_triangles=indices["skull_triangles"],
    )


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"the rig file {path} cannot be read: {error}") from error
