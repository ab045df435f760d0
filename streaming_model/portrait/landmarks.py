"""Face landmarks: 478 points, a presence score and blendshape scores of each face.

Runs the nets of MediaPipe's face landmarker on LiteRT, without MediaPipe. Knows nothing of
what makes a picture a usable portrait.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.bundle import Net, bundle_entries, canonical_geometry
from streaming_model.portrait.detector import Candidate, FaceDetector

LANDMARKS: Final = 478  # 468 of the face mesh and 5 of each iris
MIN_PRESENCE: Final = 0.5  # MediaPipe's default
DUPLICATE_OVERLAP: Final = 0.3  # of the smaller box's area
_INPUT_SIZE: Final = 256  # pixels
_JITTER: Final = 0.04  # shift of the crops that are averaged, of their side
_IRIS_MIRROR: Final = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)
_MARGIN: Final = 1.5  # of the face box, in MediaPipe's crop
_EYE_CORNERS: Final = (33, 263)  # outer, the subject's right and left
_ZOOMS: Final = ((1.0, 0.6), (2.0,), (4.0,), (8.0,))
_SMALLEST_WINDOW: Final = 160  # pixels; what is found in smaller ones is of no use
_SURE_SHARE: Final = 0.25  # of a window's side: the detector does not miss faces this wide

# fmt: off
# The points that the blendshape net was trained on, from MediaPipe's face_blendshapes_graph.
_BLENDSHAPE_POINTS: Final = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
)
# The net's outputs after its first, "neutral". It has no tongueOut.
BLENDSHAPE_NAMES: Final = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face in a picture.

    Attributes:
        box: x0, y0, x1, y1 of the landmarks, in pixels.
        score: the detector's confidence, 0..1; of a face followed by a hint, its presence.
        landmarks: [478,3] float32 in pixels: x right, y down, z away from the viewer, in the
            order of MediaPipe's face mesh.
        presence: the landmark net's own confidence that it sees a face, 0..1.
        blendshapes: scores 0..1 by ARKit name (51: the net has no tongueOut).
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float32]
    presence: float
    blendshapes: dict[str, float]

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]


@dataclass(frozen=True, slots=True)
class _Crop:
    """A square of the picture, turned by `angle` (radians, clockwise on the screen)."""

    x: float
    y: float
    side: float
    angle: float

    def matrix(self) -> NDArray[np.float64]:
        """Returns the map [2,3] from the net's input to the picture, both in pixel edges."""
        scale = self.side / _INPUT_SIZE
        across, down = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        half = _INPUT_SIZE / 2
        return np.array(
            [
                [across, -down, self.x - half * (across - down)],
                [down, across, self.y - half * (down + across)],
            ]
        )


class FaceLandmarker:
    """Finds faces and their landmarks. Safe to share: calls from several threads queue up."""

    def __init__(self) -> None:
        """Loads the nets that ship with the package.

        Raises:
            ModelFileError: their file is missing or damaged.
        """
        entries = bundle_entries()
        self._detector = FaceDetector()
        self._landmark_net = Net(entries["face_landmarks_detector.tflite"])
        self._blendshape_net = Net(entries["face_blendshapes.tflite"])
        self._lock = threading.Lock()

    def detect(
        self,
        image: NDArray[np.uint8],
        *,
        hint: DetectedFace | None = None,
        min_presence: float = MIN_PRESENCE,
    ) -> list[DetectedFace]:
        """Returns the faces in `image`, [h,w,3] uint8 RGB, largest first.

        With the face of the previous frame as `hint`, only that face is followed (one pass, about
        five milliseconds); if it is lost, the whole picture is searched.
        """
        with self._lock:
            if hint is not None:
                face = self._follow(image, hint, min_presence=min_presence)
                if face is not None:
                    return [face]
            return self._search(image, min_presence=min_presence)

    def steadied(self, image: NDArray[np.uint8], face: DetectedFace) -> tuple[DetectedFace, float]:
        """Returns `face` with landmarks averaged over ten shifted and mirrored looks, and scatter.

        Takes about 30 ms; halves the error of single landmarks, and no side is favoured. The
        scatter is the mean distance of a look from the average, over the face's width: up to 0.025
        on faces, even drawn or blurred ones, and over 0.05 on what only resembles a face.
        """
        crops = _crops_around(face.landmarks)
        with self._lock:
            looks = [
                self._landmarks(image, crop, is_mirrored=is_mirrored)[0]
                for crop in crops
                for is_mirrored in (False, True)
            ]
            landmarks = np.mean(looks, axis=0).astype(np.float32)
            steady = self._face(landmarks, score=face.score, presence=face.presence)
        distances = np.linalg.norm((np.array(looks) - landmarks)[:, :, :2], axis=2)
        return steady, float(distances.mean() / max(steady.width, 1.0))

    def scores(self, landmarks: NDArray[np.float32]) -> dict[str, float]:
        """Returns the blendshape scores 0..1 by ARKit name of landmarks [478,3] (pixels)."""
        with self._lock:
            return self._scores(landmarks)

    def _follow(
        self, image: NDArray[np.uint8], hint: DetectedFace, *, min_presence: float
    ) -> DetectedFace | None:
        landmarks, presence = self._landmarks(image, _crop_of_landmarks(hint.landmarks))
        if presence < min_presence:
            return None
        return self._face(landmarks, score=presence, presence=presence)

    def _search(self, image: NDArray[np.uint8], *, min_presence: float) -> list[DetectedFace]:
        """Looks ever closer, until no larger face than those found can have been overlooked."""
        found: list[DetectedFace] = []
        for zooms in _ZOOMS:
            candidates = self._detector.search(image, zooms=zooms)
            seen = (self._refine(image, each, min_presence=min_presence) for each in candidates)
            found = _without_duplicates(found + [face for face in seen if face])
            window = max(image.shape[:2]) / max(zooms)
            if window < _SMALLEST_WINDOW or (found and found[0].width > _SURE_SHARE * window):
                break
        return found

    def _refine(
        self, image: NDArray[np.uint8], candidate: Candidate, *, min_presence: float
    ) -> DetectedFace | None:
        """Places the landmarks twice: in the detector's box, then in the box of the landmarks."""
        landmarks, presence = self._landmarks(image, _crop_of_candidate(candidate))
        if presence < min_presence:
            return None
        landmarks, presence = self._landmarks(image, _crop_of_landmarks(landmarks))
        if presence < min_presence:
            return None
        return self._face(landmarks, score=candidate.score, presence=presence)

    def _landmarks(
        self, image: NDArray[np.uint8], crop: _Crop, *, is_mirrored: bool = False
    ) -> tuple[NDArray[np.float32], float]:
        """Returns the landmarks [478,3] in picture pixels and the presence of one crop."""
        pixels = _crop_pixels(image, crop)
        if is_mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        raw, logit, *_ = self._landmark_net(pixels[None])
        points = raw.reshape(LANDMARKS, 3)
        if is_mirrored:
            points = points[_mirror_images()] * (-1, 1, 1) + (_INPUT_SIZE, 0, 0)
        matrix = crop.matrix()
        plane = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        depth = points[:, 2:] * (crop.side / _INPUT_SIZE)
        presence = float(1 / (1 + np.exp(-logit.reshape(()))))
        return np.concatenate([plane, depth], axis=1).astype(np.float32), presence

    def _face(
        self, landmarks: NDArray[np.float32], *, score: float, presence: float
    ) -> DetectedFace:
        (x0, y0), (x1, y1) = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
        return DetectedFace(
            box=(float(x0), float(y0), float(x1), float(y1)),
            score=score,
            landmarks=landmarks,
            presence=presence,
            blendshapes=self._scores(landmarks),
        )

    def _scores(self, landmarks: NDArray[np.float32]) -> dict[str, float]:
        scores = self._blendshape_net(landmarks[None, _BLENDSHAPE_POINTS, :2])[0]
        return dict(zip(BLENDSHAPE_NAMES, (float(value) for value in scores[1:]), strict=True))


@cache
def shared_landmarker() -> FaceLandmarker:
    """Returns the process's landmarker, loaded at the first call (about 50 ms)."""
    return FaceLandmarker()


def _crop_of_candidate(candidate: Candidate) -> _Crop:
    x0, y0, x1, y1 = candidate.box
    right_eye, left_eye = candidate.keypoints[0], candidate.keypoints[1]
    angle = float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))
    side = max(x1 - x0, y1 - y0) * _MARGIN
    return _Crop((x0 + x1) / 2, (y0 + y1) / 2, side, angle)


def _crop_of_landmarks(landmarks: NDArray[np.float32]) -> _Crop:
    """Returns the square around the landmarks, level with the eyes."""
    right, left = landmarks[_EYE_CORNERS[0], :2], landmarks[_EYE_CORNERS[1], :2]
    angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    level = landmarks[:, :2] @ turn
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = turn @ ((low + high) / 2)
    return _Crop(float(x), float(y), float((high - low).max()) * _MARGIN, angle)


def _crops_around(landmarks: NDArray[np.float32]) -> list[_Crop]:
    """Returns the face's own crop and four that are shifted, turned, larger or smaller."""
    own = _crop_of_landmarks(landmarks)
    crops = [own]
    for quarter in range(4):
        direction = quarter * np.pi / 2 + np.pi / 4
        crops.append(
            _Crop(
                x=own.x + _JITTER * own.side * float(np.cos(direction)),
                y=own.y + _JITTER * own.side * float(np.sin(direction)),
                side=own.side * (1.08 if quarter % 2 else 0.94),
                angle=own.angle + (0.08 if quarter < 2 else -0.08),
            )
        )
    return crops


@cache
def _mirror_images() -> NDArray[np.intp]:
    """Returns the index of each landmark's counterpart on the other side of the face, [478]."""
    points = canonical_geometry()
    mirrored = points * (-1, 1, 1)
    distances = np.linalg.norm(points[:, None] - mirrored[None], axis=2)
    return np.concatenate([distances.argmin(axis=0), _IRIS_MIRROR])


def _crop_pixels(image: NDArray[np.uint8], crop: _Crop) -> NDArray[np.float32]:
    """Returns the crop at the net's size, [256,256,3] float32 0..1, the edge repeated outside."""
    matrix = crop.matrix()
    shrink = 1
    while crop.side / shrink > 2 * _INPUT_SIZE:  # bilinear sampling alone would alias
        shrink *= 2
    if shrink > 1:
        image, matrix = _shrunk_part(image, crop, matrix, shrink=shrink)
    # From pixel edges to pixel centres, on both sides of the map.
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    window = cv2.warpAffine(
        image,
        matrix,
        (_INPUT_SIZE, _INPUT_SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(window, np.float32) / np.float32(255)


def _shrunk_part(
    image: NDArray[np.uint8], crop: _Crop, matrix: NDArray[np.float64], *, shrink: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Returns the part of the picture around the crop, smaller, and the map into it."""
    height, width = image.shape[:2]
    reach = crop.side * 0.75  # more than half of the square's diagonal
    x0 = int(np.clip(crop.x - reach, 0, width - 1))
    y0 = int(np.clip(crop.y - reach, 0, height - 1))
    x1 = int(np.clip(crop.x + reach, x0 + 1, width))
    y1 = int(np.clip(crop.y + reach, y0 + 1, height))
    size = (max((x1 - x0) // shrink, 1), max((y1 - y0) // shrink, 1))
    part = cv2.resize(image[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    scale = np.array([[size[0] / (x1 - x0)], [size[1] / (y1 - y0)]])
    moved = matrix.copy()
    moved[:, 2] -= (x0, y0)
    return np.asarray(part, np.uint8), moved * scale


def _without_duplicates(faces: list[DetectedFace]) -> list[DetectedFace]:
    """Returns the faces, largest first, each once."""
    kept: list[DetectedFace] = []
    for face in sorted(faces, key=lambda face: face.presence, reverse=True):
        if all(_shared_area(face.box, other.box) < DUPLICATE_OVERLAP for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: face.width, reverse=True)


def _shared_area(
    first: tuple[float, float, float, float], second: tuple[float, float, float, float]
) -> float:
    """Returns the intersection of two boxes as a share of the smaller one."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return max(width, 0.0) * max(height, 0.0) / max(min(areas), 1e-6)
