"""What is seen of the face in a picture, and whether it can become a portrait.

Finds the face, measures it and refuses what could not be animated with one clear
sentence. Knows nothing of files, 3D fitting or rendering.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import (
    FaceTooSmallError,
    FaceTurnedError,
    MouthCoveredError,
    NoFaceError,
    PortraitError,
)
from streaming_model.portrait.landmarks import DetectedFace, shared_landmarker
from streaming_model.portrait.mouth_cover import cover_likelihood
from streaming_model.portrait.pose import HeadPose, head_pose

MIN_FACE_WIDTH: Final = 80  # pixels
MAX_YAW: Final = math.radians(45)
MAX_PITCH: Final = math.radians(45)
MAX_ROLL: Final = math.radians(60)
COVERED: Final = 0.82  # likelihood of a hidden mouth from which the picture is refused
PERHAPS_COVERED: Final = 0.6  # and from which it is remarked on
_MAX_SCATTER: Final = 0.04  # of the face's width, between looks at one face
_CLEAR_SCORE: Final = 0.85  # of the detector: no need to look for an upside-down face
_TRUSTED_SCORE: Final = 0.75  # that an upside-down face must reach
_CLEARER: Final = 0.12  # and by how much it must be clearer than the upright one
_SMALL_FACE: Final = 128  # pixels
_FAR_YAW: Final = math.radians(30)
_FAR_ROLL: Final = math.radians(25)
_OPEN_MOUTH: Final = 0.35  # lip gap over mouth width
_CLOSED_EYE: Final = 0.12  # lid gap over eye width
_DARK: Final = 45  # mean grey level of the face
_SOFT: Final = 0.007  # fine detail of the face over its contrast


@dataclass(frozen=True, slots=True, eq=False)
class FaceObservation:
    """The face of a picture that can become a portrait.

    Attributes:
        image: [h,w,3] uint8 RGB, the whole picture.
        landmarks: [478,3] float32 in pixels: x right, y down, z away from the viewer, in the
            order of MediaPipe's face mesh.
        blendshapes: scores 0..1 by ARKit name (51: `tongueOut` is not measured).
        pose: pitch, yaw, roll of the head in radians, in the convention of `motion_space`.
        face_box: x0, y0, x1, y1 of the landmarks, in pixels.
        warnings: sentences for people about what may look less than good.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    blendshapes: dict[str, float]
    pose: tuple[float, float, float]
    face_box: tuple[float, float, float, float]
    warnings: tuple[str, ...]

    @property
    def face_width(self) -> float:
        """Width of the face in pixels."""
        return self.face_box[2] - self.face_box[0]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that is known of a picture before it is accepted or refused.

    Attributes:
        image: [h,w,3] uint8 RGB.
        faces: the faces found, largest first.
        pose: of the largest, where there is one.
        mouth_cover: likelihood 0..1 that its mouth is hidden.
        refusal: why the picture cannot be used, or None.
        warnings: sentences for people about what may look less than good.
    """

    image: NDArray[np.uint8]
    faces: tuple[DetectedFace, ...]
    pose: HeadPose | None
    mouth_cover: float
    refusal: PortraitError | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Looks:
    is_dark: bool
    is_blurred: bool


def observe_face(image: NDArray[np.uint8]) -> FaceObservation:
    """Returns what is seen of the largest face in `image`, [h,w,3] uint8 RGB.

    Raises:
        NoFaceError: no face was found.
        FaceTooSmallError: the largest face is narrower than 80 pixels.
        FaceTurnedError: the face is turned more than 45 degrees from the viewer, or lies on its
            side.
        MouthCoveredError: a hand, a mask or an object hides the mouth.
        ModelFileError: the landmark nets are missing or damaged.
    """
    findings = examine(image)
    if findings.refusal is not None:
        raise findings.refusal
    assert findings.pose is not None  # a picture without a face is refused
    face = findings.faces[0]
    return FaceObservation(
        image=image,
        landmarks=face.landmarks,
        blendshapes=face.blendshapes,
        pose=findings.pose,
        face_box=face.box,
        warnings=findings.warnings,
    )


def examine(image: NDArray[np.uint8]) -> Findings:
    """Returns everything that is found in `image`, [h,w,3] uint8 RGB, with the verdict on it.

    Raises:
        ModelFileError: the landmark nets are missing or damaged.
    """
    faces = _steady_faces(image)
    if _is_upside_down(image, faces):
        upside_down = FaceTurnedError("The face is upside down; turn the picture upright.")
        return Findings(image, (), None, 0.0, upside_down, ())
    if not faces:
        refusal = NoFaceError("No face was found in the picture.")
        return Findings(image, (), None, 0.0, refusal, ())
    face, pose = faces[0], head_pose(faces[0].landmarks)
    cover = cover_likelihood(image, face.landmarks)
    looks = _looks(image, face)
    verdict = _refusal(face, pose, cover=cover, looks=looks)
    warnings = _warnings(image, faces, pose=pose, cover=cover, looks=looks)
    return Findings(image, faces, pose, cover, verdict, warnings if verdict is None else ())


def mouth_openness(landmarks: NDArray[np.float32]) -> float:
    """Returns the gap between the lips over the mouth's width; 0 is closed."""
    return _distance(landmarks, 13, 14) / max(_distance(landmarks, 78, 308), 1e-6)


def eye_openness(landmarks: NDArray[np.float32]) -> tuple[float, float]:
    """Returns the gap between the lids over the eye's width, of the subject's right and left eye.

    About 0.25 to 0.4 is open, under 0.12 closed.
    """
    right = _distance(landmarks, 159, 145) / max(_distance(landmarks, 33, 133), 1e-6)
    left = _distance(landmarks, 386, 374) / max(_distance(landmarks, 263, 362), 1e-6)
    return right, left


def _distance(landmarks: NDArray[np.float32], first: int, second: int) -> float:
    return float(np.linalg.norm(landmarks[first, :2] - landmarks[second, :2]))


def _steady_faces(image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
    """Returns the faces, largest first, the largest with steadied landmarks.

    What does not stand up to a second look from other sides (a clock, a colour wheel) is left out.
    """
    faces = shared_landmarker().detect(image)
    while faces:
        face, scatter = shared_landmarker().steadied(image, faces[0])
        if scatter <= _MAX_SCATTER:
            return (face, *faces[1:])
        faces = faces[1:]
    return ()


def _is_upside_down(image: NDArray[np.uint8], faces: tuple[DetectedFace, ...]) -> bool:
    """Tells whether the picture shows a clearer face when it is turned by 180 degrees.

    The detector sees faces in faces that stand on their head, but with less confidence.
    """
    score = faces[0].score if faces else 0.0
    if score > _CLEAR_SCORE:
        return False
    turned = shared_landmarker().detect(np.ascontiguousarray(image[::-1, ::-1]))
    if not turned or turned[0].score < max(score + _CLEARER, _TRUSTED_SCORE):
        return False
    return not faces or turned[0].width > 0.5 * faces[0].width


def _refusal(
    face: DetectedFace, pose: HeadPose, *, cover: float, looks: _Looks
) -> PortraitError | None:
    """Returns why the face cannot be animated, or None."""
    if face.width < MIN_FACE_WIDTH:
        return FaceTooSmallError(
            f"The face is {face.width:.0f} pixels wide; at least {MIN_FACE_WIDTH} are needed."
        )
    if abs(pose.yaw) > MAX_YAW or abs(pose.pitch) > MAX_PITCH:
        turn = math.degrees(max(abs(pose.yaw), abs(pose.pitch)))
        return FaceTurnedError(
            f"The face is turned {turn:.0f} degrees from the viewer; "
            f"at most {math.degrees(MAX_YAW):.0f} can be animated."
        )
    if abs(pose.roll) > MAX_ROLL:
        return FaceTurnedError(
            f"The face lies on its side ({abs(math.degrees(pose.roll)):.0f} degrees); "
            "turn the picture upright."
        )
    if cover > COVERED and not looks.is_blurred:  # lips that are blurred away are not hidden
        return MouthCoveredError(
            "The mouth is hidden, it seems by a hand, a mask or an object; it has to be seen."
        )
    return None


def _warnings(
    image: NDArray[np.uint8],
    faces: tuple[DetectedFace, ...],
    *,
    pose: HeadPose,
    cover: float,
    looks: _Looks,
) -> tuple[str, ...]:
    """Returns the remarks on a picture that is accepted."""
    face = faces[0]
    height, width = image.shape[:2]
    x0, y0, x1, y1 = face.box
    remarks = {
        f"{len(faces)} faces were found; the largest is used.": len(faces) > 1,
        f"The face is only {face.width:.0f} pixels wide; it will look soft.": face.width
        < _SMALL_FACE,
        f"The face is turned {abs(math.degrees(pose.yaw)):.0f} degrees; "
        "a more frontal picture looks better.": abs(pose.yaw) > _FAR_YAW,
        f"The head is tilted {abs(math.degrees(pose.roll)):.0f} degrees.": abs(pose.roll)
        > _FAR_ROLL,
        "The face is cut off by the edge of the picture.": min(x0, y0) < 0
        or x1 > width
        or y1 > height,
        "The mouth may be partly hidden.": cover > PERHAPS_COVERED,
        "The mouth is wide open; a closed mouth animates better.": mouth_openness(face.landmarks)
        > _OPEN_MOUTH,
        "The eyes seem closed.": max(eye_openness(face.landmarks)) < _CLOSED_EYE,
        "The face is very dark.": looks.is_dark,
        "The face is blurred.": looks.is_blurred,
    }
    return tuple(remark for remark, applies in remarks.items() if applies)


def _looks(image: NDArray[np.uint8], face: DetectedFace) -> _Looks:
    """Judges the light and the sharpness of the face, at a width of 128 pixels."""
    height, width = image.shape[:2]
    x0, y0 = (int(np.clip(face.box[axis], 0, (width, height)[axis] - 1)) for axis in (0, 1))
    x1, y1 = max(int(face.box[2]), x0 + 1), max(int(face.box[3]), y0 + 1)
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 128 / face.width)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    values = np.asarray(small, np.float32)
    detail = float(np.abs(values - cv2.GaussianBlur(values, (0, 0), 1)).mean())
    low, high = np.percentile(values, (5, 95))
    return _Looks(
        is_dark=float(values.mean()) < _DARK, is_blurred=detail < _SOFT * float(high - low)
    )
