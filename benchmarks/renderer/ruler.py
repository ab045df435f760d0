"""The ruler: measures faces with MediaPipe's landmarker and dlib's face embedding.

Runs alone, in an environment of its own (`environment.py`), as `ruler.py LANDMARKER.task`, and
knows nothing of the renderer. Each request is one JSON line {"height", "width", "embed"} and the
picture's RGB bytes; each answer is one JSON line, null where no face was found.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO

import dlib
import face_recognition_models
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

# Landmarks round each eye: corner, two above, corner, two below (Soukupova and Cech 2016).
EYES = {"Right": (33, 160, 158, 133, 153, 144), "Left": (362, 385, 387, 263, 373, 380)}
INNER_LIPS = ((82, 87), (13, 14), (312, 317))
LIPS_AT_REST = {"mouth_width": (61, 291), "mouth_height": (0, 17), "inner_width": (78, 308)}
FOREHEAD, CHIN = 10, 152
ALIGNED = (263, 362, 33, 133, 2)  # the corners of the eyes and the nose's base, in dlib's order
CHIP_SIDE = 150  # pixels, what dlib's network was trained on
CHIP_PADDING = 0.25


class Ruler:
    """The two networks."""

    def __init__(self, landmarker: str) -> None:
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=landmarker),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(options)
        network = face_recognition_models.face_recognition_model_location()
        self._embedding = dlib.face_recognition_model_v1(network)

    def measure(self, image: NDArray[np.uint8], *, embed: bool) -> dict[str, Any] | None:
        """Returns the numbers of the face in `image` [h, w, 3] RGB, None if there is none."""
        found = self._landmarker.detect(
            mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        )
        if not found.face_landmarks:
            return None
        height, width = image.shape[:2]
        points = np.array([[p.x, p.y, p.z] for p in found.face_landmarks[0]])
        points *= (width, height, width)
        matrix = np.asarray(found.facial_transformation_matrixes[0])
        return {
            "scores": {shape.category_name: shape.score for shape in found.face_blendshapes[0]},
            "rotation": matrix[:3, :3].tolist(),
            "landmarks": np.round(points, 3).tolist(),
            **shape_of(points),
            "embedding": self._embed(image, points) if embed else None,
        }

    def close(self) -> None:
        """Ends MediaPipe's threads."""
        self._landmarker.close()

    def _embed(self, image: NDArray[np.uint8], points: NDArray[np.float64]) -> list[float]:
        """Returns dlib's 128 numbers for the face, aligned by the eyes' corners and the nose.

        dlib's own detector misses drawings and turned faces; where it finds them, these points
        give the same distances.
        """
        corners = [dlib.point(*(round(v) for v in points[at, :2])) for at in ALIGNED]
        low, high = points.min(axis=0), points.max(axis=0)
        box = dlib.rectangle(*(round(v) for v in (low[0], low[1], high[0], high[1])))
        shape = dlib.full_object_detection(box, dlib.points(corners))
        chip = dlib.get_face_chip(image, shape, size=CHIP_SIDE, padding=CHIP_PADDING)
        return list(self._embedding.compute_face_descriptor(chip))


def shape_of(points: NDArray[np.float64]) -> dict[str, float]:
    """Returns the eyes' aspect ratios and the lips' sizes over the face's height."""
    flat = points[:, :2]

    def apart(first: int, second: int) -> float:
        return float(np.linalg.norm(flat[first] - flat[second]))

    face = apart(FOREHEAD, CHIN)
    sizes = {name: apart(*pair) / face for name, pair in LIPS_AT_REST.items()}
    sizes["lip_gap"] = max(apart(*pair) for pair in INNER_LIPS) / face
    sizes["face_height"] = face
    for side, (a, b, c, d, e, f) in EYES.items():
        sizes[f"eye{side}"] = (apart(b, f) + apart(c, e)) / (2 * apart(a, d))
    return sizes


def serve(requests: BinaryIO, ruler: Ruler) -> None:
    """Answers requests until the pipe is closed."""
    while line := requests.readline():
        request = json.loads(line)
        shape = (request["height"], request["width"], 3)
        pixels = np.frombuffer(requests.read(int(np.prod(shape))), np.uint8).reshape(shape)
        print(json.dumps(ruler.measure(pixels, embed=request["embed"])), flush=True)


if __name__ == "__main__":
    the_ruler = Ruler(sys.argv[1])
    print(json.dumps("ready"), flush=True)
    serve(sys.stdin.buffer, the_ruler)
    the_ruler.close()
