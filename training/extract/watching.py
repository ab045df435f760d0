"""Follows the face through a film: picture by picture, what is seen or why it is of no use.

Knows nothing of sound and of motion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE
from streaming_model.portrait.landmarks import DetectedFace, shared_landmarker
from streaming_model.portrait.mouth_cover import cover_likelihood
from streaming_model.portrait.observation import COVERED
from streaming_model.portrait.pose import head_pose
from training.extract.film import Film, Picture
from training.extract.reasons import Reason

MAX_TURN: Final = math.radians(35)  # yaw or pitch; farther, half the mouth is guessed
ANOTHER: Final = 0.5  # of the face's width: a second face this large counts
MIN_PRESENCE: Final = 0.7  # of the landmark net: under it, lips are guessed
LOOK_AROUND: Final = SAMPLE_RATE  # how often other faces are looked for
SEARCH_EVERY: Final = SAMPLE_RATE // 5  # how often a face is looked for where there was none
LOOK_AT_MOUTH: Final = SAMPLE_RATE // 8  # how often the mouth is looked at for a hand or a mask
HIDDEN_LOOKS: Final = 2  # in a row
SOFT: Final = 0.01  # fine detail of the face over its contrast
_THUMBNAIL: Final = (64, 36)
_NEW_COLOURS: Final = 0.45  # share of a picture's colours that change at a cut
_LEAP: Final = 0.25  # of its width that a face moves at a cut, and never between two pictures


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What one picture shows.

    Attributes:
        time: media time of the picture's middle.
        is_cut: whether another shot begins with it.
        face: the one face, if there is one.
        reason: why the picture is of no use, or None.
        detail: fine detail of the face over its contrast.
    """

    time: int
    is_cut: bool
    face: DetectedFace | None
    reason: Reason | None
    detail: float


def watch(film: Film, *, min_face: int) -> Iterator[Sighting]:
    """Yields what each picture of the film shows; faces narrower than `min_face` are too small.

    Raises:
        FilmUnreadableError: no picture can be decoded.
        ModelFileError: the landmark nets are missing or damaged.
    """
    watcher = _Watcher(min_face)
    for picture in film.pictures():
        yield watcher.look(picture)


class _Watcher:
    """Remembers the last picture, and what is only looked for now and then."""

    def __init__(self, min_face: int) -> None:
        self._min_face = min_face
        self._face: DetectedFace | None = None
        self._colours: NDArray[np.float32] | None = None
        self._has_company = False
        self._hidden = 0
        self._search_at = self._look_around_at = self._look_at_mouth_at = 0

    def look(self, picture: Picture) -> Sighting:
        """Returns what the next picture shows."""
        image = picture.image
        is_cut = self._colours_change(image)
        if is_cut:
            self._search_at = picture.time
        before, self._face = self._face, self._find(picture, None if is_cut else self._face)
        if self._face is None:
            return Sighting(picture.time, is_cut, None, Reason.NO_FACE, 0.0)
        is_cut = is_cut or (before is not None and _leaps(before, self._face))
        if is_cut:
            self._hidden, self._look_at_mouth_at = 0, picture.time
        if picture.time >= self._look_at_mouth_at:
            self._look_at_mouth_at = picture.time + LOOK_AT_MOUTH
            covered = cover_likelihood(image, self._face.landmarks) > COVERED
            self._hidden = self._hidden + 1 if covered else 0
        detail = face_detail(image, self._face)
        return Sighting(picture.time, is_cut, self._face, self._refusal(self._face, detail), detail)

    def _find(self, picture: Picture, known: DetectedFace | None) -> DetectedFace | None:
        """Follows the face that is known, else searches; looks for others now and then."""
        if known is None and picture.time < self._search_at:
            return None
        faces = shared_landmarker().detect(picture.image, hint=known)
        if not faces:
            self._search_at = picture.time + SEARCH_EVERY
            return None
        if known is None or picture.time >= self._look_around_at:
            self._look_around_at = picture.time + LOOK_AROUND
            everyone = faces if known is None else shared_landmarker().detect(picture.image)
            self._has_company = sum(face.width > ANOTHER * faces[0].width for face in everyone) > 1
        return faces[0]

    def _refusal(self, face: DetectedFace, detail: float) -> Reason | None:
        pose = head_pose(face.landmarks)
        reasons = {
            Reason.SEVERAL: self._has_company,
            Reason.SMALL: face.width < self._min_face,
            Reason.TURNED: max(abs(pose.yaw), abs(pose.pitch)) > MAX_TURN,
            Reason.BLURRED: detail < SOFT,
            Reason.HIDDEN: self._hidden >= HIDDEN_LOOKS or face.presence < MIN_PRESENCE,
        }
        return next((reason for reason, applies in reasons.items() if applies), None)

    def _colours_change(self, image: NDArray[np.uint8]) -> bool:
        small = cv2.resize(image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        counts = cv2.calcHist([small], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3)
        # Smoothed over neighbouring bins: a slight change of light is no cut.
        spread = np.asarray(counts, np.float32) / float(counts.sum())
        for axis in range(3):
            spread = (np.roll(spread, 1, axis) + 2 * spread + np.roll(spread, -1, axis)) / 4
        before, self._colours = self._colours, spread
        return before is not None and float(np.abs(spread - before).sum()) / 2 > _NEW_COLOURS


def _leaps(before: DetectedFace, after: DetectedFace) -> bool:
    """Tells whether a face is too far from where it was to have moved there."""
    shift = np.abs(after.landmarks[:, :2] - before.landmarks[:, :2]).mean()
    return bool(shift > _LEAP * before.width)


def face_detail(image: NDArray[np.uint8], face: DetectedFace) -> float:
    """Returns the fine detail of a face over its contrast, at a width of 128 pixels."""
    height, width = image.shape[:2]
    x0, y0 = max(int(face.box[0]), 0), max(int(face.box[1]), 0)
    x1, y1 = min(int(face.box[2]), width), min(int(face.box[3]), height)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return 0.0
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    scale = min(1.0, 128 / (x1 - x0))
    values = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    values = np.asarray(values, np.float32)
    low, high = np.percentile(values, (5, 95))
    fine = np.abs(values - cv2.GaussianBlur(values, (0, 0), 1)).mean()
    return float(fine / max(high - low, 1.0))
