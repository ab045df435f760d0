"""A report on a picture for people and programs: can it become a portrait, and how good a one.

Reads and examines the picture; decides nothing that `observation` has not decided.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import ImageTooLargeError, ImageUnreadableError
from streaming_model.portrait.image import load_image
from streaming_model.portrait.observation import (
    Findings,
    examine,
    eye_openness,
    mouth_openness,
)


@dataclass(frozen=True, slots=True)
class FaceReport:
    """The face that would be animated.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture as used.
        width: of the box, in pixels.
        pitch: degrees, positive looking down.
        yaw: degrees, positive turned to the picture's right.
        roll: degrees, positive tilted counter-clockwise.
        mouth_openness: gap between the lips over the mouth's width; 0 is closed.
        right_eye_openness: gap between the lids over the eye's width, of the subject's right eye;
            under 0.12 it is closed.
        left_eye_openness: the same of the left eye.
        mouth_cover: likelihood 0..1 that something hides the mouth.
    """

    box: tuple[int, int, int, int]
    width: int
    pitch: float
    yaw: float
    roll: float
    mouth_openness: float
    right_eye_openness: float
    left_eye_openness: float
    mouth_cover: float


@dataclass(frozen=True, slots=True)
class PortraitReport:
    """What `check_portrait` found.

    Attributes:
        accepted: whether the picture can become a portrait.
        code: "ok", or the code of the error that refuses it.
        message: one sentence for people.
        width: of the picture as used (its long side is at most 2048), in pixels; 0 if unread.
        height: of the picture as used, in pixels; 0 if unread.
        faces_found: how many faces there are.
        face: the largest of them, or None.
        warnings: sentences about what may look less than good.
    """

    accepted: bool
    code: str
    message: str
    width: int
    height: int
    faces_found: int
    face: FaceReport | None
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the report as plain values that `json.dumps` takes."""
        report = asdict(self)
        report["warnings"] = list(self.warnings)
        if self.face is not None:
            report["face"]["box"] = list(self.face.box)
        return report

    def to_text(self) -> str:
        """Returns the report as lines for people."""
        verdict = "Ready to speak" if self.accepted else "Not usable"
        lines = [f"{verdict}: {self.message}"]
        if self.width:
            lines.append(f"  Picture   {self.width} x {self.height} pixels")
        if self.face is not None:
            lines += _face_lines(self.face, self.faces_found)
        lines += [f"  Note      {warning}" for warning in self.warnings]
        return "\n".join(lines)


def check_portrait(source: Path | bytes | NDArray[np.generic]) -> PortraitReport:
    """Returns whether the picture can become a portrait, and what is seen in it.

    Raises:
        ModelFileError: the landmark nets are missing or damaged.
    """
    try:
        image = load_image(source)
    except (ImageUnreadableError, ImageTooLargeError) as error:
        return PortraitReport(False, error.code, str(error), 0, 0, 0, None, ())
    findings = examine(image)
    refusal = findings.refusal
    height, width = image.shape[:2]
    return PortraitReport(
        accepted=refusal is None,
        code="ok" if refusal is None else refusal.code,
        message="The face can be animated." if refusal is None else str(refusal),
        width=width,
        height=height,
        faces_found=len(findings.faces),
        face=_face_report(findings),
        warnings=findings.warnings,
    )


def _face_report(findings: Findings) -> FaceReport | None:
    if findings.pose is None:
        return None
    face = findings.faces[0]
    x0, y0, x1, y1 = (round(value) for value in face.box)
    right_eye, left_eye = eye_openness(face.landmarks)
    return FaceReport(
        box=(x0, y0, x1, y1),
        width=round(face.width),
        pitch=round(math.degrees(findings.pose.pitch), 1),
        yaw=round(math.degrees(findings.pose.yaw), 1),
        roll=round(math.degrees(findings.pose.roll), 1),
        mouth_openness=round(mouth_openness(face.landmarks), 3),
        right_eye_openness=round(right_eye, 3),
        left_eye_openness=round(left_eye, 3),
        mouth_cover=round(findings.mouth_cover, 3),
    )


def _face_lines(face: FaceReport, faces_found: int) -> list[str]:
    x0, y0, _, _ = face.box
    of_many = f", the largest of {faces_found}" if faces_found > 1 else ""
    eyes = min(face.right_eye_openness, face.left_eye_openness)
    return [
        f"  Face      {face.width} pixels wide, from ({x0}, {y0}){of_many}",
        f"  Pose      {_turned(face.yaw, 'right', 'left', 'turned')}, "
        f"{_turned(face.pitch, 'down', 'up', 'looking')}, "
        f"{_turned(face.roll, 'to the left', 'to the right', 'tilted')}",
        f"  Mouth     {_mouth_word(face.mouth_openness)}",
        f"  Eyes      {'open' if eyes >= 0.12 else 'at least one closed'}",
    ]


def _turned(angle: float, positive: str, negative: str, verb: str) -> str:
    if abs(angle) < 3:
        return f"not {verb}"
    return f"{verb} {positive if angle > 0 else negative} {abs(angle):.0f} degrees"


def _mouth_word(openness: float) -> str:
    if openness < 0.05:
        return "closed"
    return "slightly open" if openness < 0.2 else "open"
