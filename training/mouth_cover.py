"""Fits the test for hidden mouths from a folder of pictures of uncovered faces.

    python -m training.mouth_cover FOLDER

Every face is degraded and covered in many ways (`mouth_covers`); a ridge logistic regression on
`mouth_features` then tells covered from free. Ten folds by picture give the honest error.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import PortraitError
from streaming_model.portrait.image import load_image
from streaming_model.portrait.landmarks import FaceLandmarker
from streaming_model.portrait.mouth_cover import WEIGHTS_NAME, mouth_features
from training.mouth_covers import COVERS, degraded

Array = NDArray[Any]

_FREE_DRAWS: Final = 9
_COVERED_DRAWS: Final = 4  # of each kind
_MIN_WIDTH: Final = 60  # pixels
_CROP_SIDE: Final = 360  # pixels
_RIDGE: Final = 1000.0
_FOLDS: Final = 10


def face_crops(folder: Path, landmarker: FaceLandmarker) -> list[tuple[str, NDArray[np.uint8]]]:
    """Returns the faces in the pictures of a folder, with the name of their picture."""
    crops = []
    for path in sorted(folder.iterdir()):
        try:
            image = load_image(path)
        except PortraitError as error:
            logging.warning("%s", error)
            continue
        for face in landmarker.detect(image)[:6]:
            if face.width < _MIN_WIDTH:
                continue
            x0, y0, x1, y1 = face.box
            margin = 0.9 * face.width
            left, top = max(int(x0 - margin), 0), max(int(y0 - margin), 0)
            crop = image[top : int(y1 + margin), left : int(x1 + margin)]
            scale = min(1.0, _CROP_SIDE / max(crop.shape[:2]))
            small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            crops.append((path.stem.split("_")[0], np.asarray(small, np.uint8)))
    return crops


def draw_examples(
    crops: list[tuple[str, NDArray[np.uint8]]], landmarker: FaceLandmarker, *, seed: int
) -> tuple[Array, Array, Array]:
    """Returns features [n,178], whether covered [n] and the number of the picture [n]."""
    generator = np.random.default_rng(seed)
    rows, covered, groups = [], [], []
    names = sorted({name for name, _ in crops})

    def add(name: str, image: NDArray[np.uint8], *, is_covered: bool) -> None:
        faces = landmarker.detect(image)
        if faces:
            rows.append(mouth_features(image, faces[0].landmarks))
            covered.append(is_covered)
            groups.append(names.index(name))

    for name, crop in crops:
        faces = landmarker.detect(crop)
        if not faces:
            continue
        add(name, crop, is_covered=False)
        for _ in range(_FREE_DRAWS - 1):
            add(name, degraded(crop, generator), is_covered=False)
        for paint in COVERS.values():
            for _ in range(_COVERED_DRAWS):
                hidden = paint(crop, faces[0].landmarks, generator)
                add(name, degraded(hidden, generator), is_covered=True)
    return np.array(rows), np.array(covered), np.array(groups)


def fit(features: Array, covered: Array) -> Array:
    """Returns weights and bias [179] of a ridge logistic regression, by Newton's method."""
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    design = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[-1] = 0
    balance = np.where(covered, 0.5 / covered.mean(), 0.5 / (1 - covered.mean()))
    weights = np.zeros(design.shape[1])
    for _ in range(30):
        likely = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (balance * (likely - covered)) + penalty * weights
        bend = (design * (balance * likely * (1 - likely))[:, None]).T @ design
        step = np.linalg.solve(bend + np.diag(penalty + 1e-9), slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    plain = weights[:-1] / scale
    return np.append(plain, weights[-1] - plain @ mean)


def cross_validated(features: Array, covered: Array, groups: Array) -> Array:
    """Returns the likelihood of each example by a fit that has not seen its picture."""
    likely = np.zeros(len(features))
    for fold in range(_FOLDS):
        held = groups % _FOLDS == fold
        weights = fit(features[~held], covered[~held])
        likely[held] = 1 / (1 + np.exp(-(features[held] @ weights[:-1] + weights[-1])))
    return likely


def main() -> None:
    """Fits the classifier and writes it where the package finds it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    landmarker = FaceLandmarker()
    crops = face_crops(arguments.folder, landmarker)
    features, covered, groups = draw_examples(crops, landmarker, seed=arguments.seed)
    likely = cross_validated(features, covered, groups)
    print(f"{len(crops)} faces, {len(features)} examples, {covered.mean():.0%} covered")
    for limit in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9):
        print(
            f"over {limit}: {np.mean(likely[covered] > limit):.1%} of the covered, "
            f"{np.mean(likely[~covered] > limit):.2%} of the free"
        )
    weights = Path("streaming_model/weights/mouth_cover") / WEIGHTS_NAME
    weights.parent.mkdir(parents=True, exist_ok=True)
    np.save(weights, fit(features, covered).astype(np.float32))
    print(f"{weights}: SHA-256 {hashlib.sha256(weights.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
