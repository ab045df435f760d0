"""What is seen of the face in a picture, and whether it can become a portrait.

Finds the face, measures it and refuses what could not be animated with one clear
sentence. Knows nothing of files, 3D fitting or rendering.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import FaceTooSmallError, FaceTurnedError, NoFaceError
from streaming_model.portrait.landmarks import DetectedFace, shared_landmarker
from streaming_model.portrait.pose import head_pose

MIN_FACE_WIDTH: Final = 80  # pixels
MAX_YAW: Final = math.radians(45)


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


def observe_face(image: NDArray[np.uint8]) -> FaceObservation:
    """Returns what is seen of the largest face in `image`, [h,w,3] uint8 RGB.

    Raises:
        NoFaceError: no face was found.
        FaceTooSmallError: the largest face is narrower than 80 pixels.
        FaceTurnedError: the face is turned more than 45 degrees from the viewer.
        MouthCoveredError: a hand, a mask or an object hides the mouth.
        ModelFileError: the landmark nets are missing or damaged.
    """
    faces = shared_landmarker().detect(image)
    if not faces:
        raise NoFaceError("No face was found in the picture.")
    face = faces[0]
    if face.width < MIN_FACE_WIDTH:
        raise FaceTooSmallError(
            f"The face is {face.width:.0f} pixels wide; at least {MIN_FACE_WIDTH} are needed."
        )
    pose = head_pose(face.landmarks)
    if abs(pose.yaw) > MAX_YAW:
        raise FaceTurnedError(
            f"The face is turned {math.degrees(abs(pose.yaw)):.0f} degrees from the viewer; "
            f"at most {math.degrees(MAX_YAW):.0f} can be animated."
        )
    return FaceObservation(
        image=image,
        landmarks=face.landmarks,
        blendshapes=face.blendshapes,
        pose=pose,
        face_box=face.box,
        warnings=_warnings(faces),
    )


def _warnings(faces: list[DetectedFace]) -> tuple[str, ...]:
    """Returns the remarks on a picture that is accepted."""
    if len(faces) > 1:
        return (f"{len(faces)} faces were found; the largest is used.",)
    return ()
