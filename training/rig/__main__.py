"""Command line of the rig maker: reads the source, builds every part, writes safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from training.rig.face import Face, build_face
from training.rig.interior import build_interior
from training.rig.shapes import arkit_expressions, ease_skin
from training.rig.skull import build_skull
from training.rig.source import EYEBALLS, Source, load_canonical_face, load_source
from training.rig.spread import laplacian, local_spread, smooth_fit

IDENTITY_COUNT = 60
LANDMARK_WEIGHT = 30.0
LOOP_WEIGHT = 3000.0
WEIGHTS = Path(__file__).parents[2] / "streaming_model" / "weights"

# Landmarks whose place the lid and lip openings hold instead.
# fmt: off
LID_LANDMARKS = (
    33, 246, 161, 160, 159, 158, 157, 173, 133, 7, 163, 144, 145, 153, 154, 155,
    263, 466, 388, 387, 386, 385, 384, 398, 362, 249, 390, 373, 374, 380, 381, 382,
)
INNER_LIP_LANDMARKS = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)
# fmt: on
OPENINGS = ("mouth", "left_eye", "right_eye")
LID_RING_CM = 0.55  # landmarks nearer than this to the lids are not reliable enough to bind


def bound_landmarks(face: Face, canonical: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the landmarks that bind the residual warp: all but those at lids and inner lips."""
    lids = canonical[list(LID_LANDMARKS)]
    gap = np.linalg.norm(canonical[:, None] - lids, axis=2).min(axis=1)
    keep = gap > LID_RING_CM
    keep[list(INNER_LIP_LANDMARKS)] = False
    loops = loop_vertices(face)
    return np.flatnonzero(keep & ~np.isin(face.landmarks, loops))


def loop_vertices(face: Face) -> NDArray[np.int64]:
    """Returns the vertices of all openings: each loop's upper side, then its lower inside."""
    return np.concatenate(
        [
            np.concatenate([loop.upper, loop.lower[1:-1]])
            for loop in (face.mouth, face.left_eye, face.right_eye)
        ]
    )


def spread_maps(
    face: Face, points: NDArray[np.float64], bound: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Solves the three kinds of spreading: landmark residuals, lip contact, lid closing."""
    stiffness, areas = laplacian(points, face.triangles)
    loops = loop_vertices(face)
    weights = np.concatenate(
        [np.full(len(bound), LANDMARK_WEIGHT), np.full(len(loops), LOOP_WEIGHT)]
    )
    maps = {
        "spread_residual": smooth_fit(
            stiffness,
            areas,
            constrained=np.concatenate([face.landmarks[bound], loops]),
            weights=weights,
            membrane=0.02,
        )
    }
    for name, loop, radius, decay in (
        ("spread_mouth", face.mouth, 1.8, 0.7),
        ("spread_left_eye", face.left_eye, 1.3, 0.45),
        ("spread_right_eye", face.right_eye, 1.3, 0.45),
    ):
        maps[name] = local_spread(
            points,
            stiffness,
            areas,
            sources=np.concatenate([loop.upper, loop.lower[1:-1]]),
            radius=radius,
            decay=decay,
        )
    return maps


def build(source: Source, canonical: NDArray[np.float64]) -> dict[str, NDArray[np.generic]]:
    """Builds every tensor of the rig file, documented in `docs/rig.md`."""
    face = build_face(source, canonical)
    expressions = arkit_expressions(source)
    interior = build_interior(source, expressions)
    points = source.neutral[face.source_index]
    bound = bound_landmarks(face, canonical)
    spread = spread_maps(face, points, bound)
    reach = {name: np.abs(spread[f"spread_{name}"]).sum(axis=1) for name in OPENINGS}
    eyes = [source.neutral[span] for span in EYEBALLS]
    small = {
        "identity": source.identities[:IDENTITY_COUNT, face.source_index],
        "expressions": ease_skin(
            expressions[:, face.source_index],
            face.triangles,
            at_mouth=reach["mouth"],
            at_lids=reach["left_eye"] + reach["right_eye"],
        ),
        "interior_light": interior.light,
        "interior_jaw_share": interior.jaw_share,
        **spread,
    }
    exact = {
        "neutral": points,
        "edge_distance": face.edge_distance,
        "interior_neutral": interior.points,
        "interior_jaw": interior.jaw,
        "eye_centres": np.stack([(eye.max(axis=0) + eye.min(axis=0)) / 2 for eye in eyes]),
        "eye_radii": np.array([np.ptp(eye[:, 0]) / 2 for eye in eyes]),
    }
    indices = {
        "triangles": face.triangles,
        "landmarks": face.landmarks,
        "bound_landmarks": bound,
        "interior_triangles": interior.triangles,
        "interior_part": interior.part,
        "interior_tooth": interior.tooth,
    }
    for name, loop in (
        ("mouth", face.mouth),
        ("left_eye", face.left_eye),
        ("right_eye", face.right_eye),
    ):
        indices |= {f"{name}_upper": loop.upper, f"{name}_lower": loop.lower}
    return (
        {name: value.astype(np.float16) for name, value in small.items()}
        | {name: value.astype(np.float32) for name, value in exact.items()}
        | {name: value.astype(np.uint16) for name, value in indices.items()}
    )


def build_head(source: Source) -> dict[str, NDArray[np.generic]]:
    """Builds the tensors of the coarse head that turns behind the face."""
    points, triangles = build_skull(source)
    return {
        "skull_points": points.astype(np.float16),
        "skull_triangles": triangles.astype(np.uint16),
    }


def save(tensors: dict[str, NDArray[np.generic]], path: Path) -> None:
    """Writes one file of the rig and prints what it holds."""
    save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()},
        path,
        metadata={"format": "vivant-rig-1", "source": "ICT-FaceKit (MIT, Copyright 2020 USC ICT)"},
    )
    for name, value in tensors.items():
        print(f"{name:24s} {value.dtype!s:8s} {value.shape}")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """Parses the command line and writes `rig.safetensors` and `skull.safetensors`."""
    parser = argparse.ArgumentParser(prog="python -m training.rig", description=__doc__)
    parser.add_argument("ict_folder", type=Path, help="folder with ict_facekit.npz (MIT)")
    parser.add_argument(
        "--landmarker",
        type=Path,
        default=WEIGHTS / "face_landmarker" / "face_landmarker.task",
        help="MediaPipe bundle, for the canonical face (Apache-2.0)",
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS / "rig")
    arguments = parser.parse_args()
    source = load_source(arguments.ict_folder)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save(
        build(source, load_canonical_face(arguments.landmarker)), arguments.out / "rig.safetensors"
    )
    save(build_head(source), arguments.out / "skull.safetensors")


if __name__ == "__main__":
    main()
