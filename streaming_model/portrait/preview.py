"""What a picture would become, before it becomes a portrait: the face found and the square used.

Works in the picture's own pixels, as a page shows them. Decides nothing that `observation` and
`framing` have not decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streaming_model.crop import Crop
from streaming_model.portrait.framing import Frame, choose_frame
from streaming_model.portrait.image import load_image, load_part, upright_size
from streaming_model.portrait.observation import examine


@dataclass(frozen=True, slots=True, eq=False)
class PortraitPreview:
    """What `preview_portrait` found, in pixels of the whole picture turned upright.

    Attributes:
        accepted: whether the picture can become a portrait.
        code: "ok", or the code of the error that refuses it.
        message: one sentence for people.
        width: of the picture.
        height: of the picture.
        crop: the part that was asked for, or None.
        frame: left, top and side of the square that the portrait would show, or None. It may reach
            beyond the picture or the part, whose border is then mirrored.
        landmarks: [478,2] float32 of the face, None where there is none.
        faces_found: how many faces there are.
        warnings: sentences about what may look less than good.
    """

    accepted: bool
    code: str
    message: str
    width: int
    height: int
    crop: Crop | None
    frame: Frame | None
    landmarks: NDArray[np.float32] | None
    faces_found: int
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain values that `json.dumps` takes; landmarks to a tenth of a pixel."""
        crop, frame = self.crop, self.frame
        points = () if self.landmarks is None else self.landmarks.tolist()
        return {
            "accepted": self.accepted,
            "code": self.code,
            "message": self.message,
            "width": self.width,
            "height": self.height,
            "crop": crop and [crop.left, crop.top, crop.width, crop.height],
            "frame": frame and [frame.left, frame.top, frame.side, frame.side],
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in points],
            "faces_found": self.faces_found,
            "warnings": list(self.warnings),
        }


def preview_portrait(data: bytes, *, crop: Crop | None = None) -> PortraitPreview:
    """Returns what is found in a picture file's content, or in a part of it.

    Raises:
        CropError: the part does not lie in the picture.
        ImageTooLargeError: the picture has more than 64 megapixels.
        ImageUnreadableError: it is damaged, or not a picture of a known format.
        ModelFileError: the landmark nets are missing or damaged.
    """
    width, height = upright_size(data)
    if crop is not None:
        crop.check(width, height)
    image = load_image(data) if crop is None else load_part(data, crop)
    findings = examine(image)
    seen_height, seen_width = image.shape[:2]
    place = crop or Crop(0, 0, width, height)
    scale = place.width / seen_width
    frame, landmarks, warnings = None, None, findings.warnings
    if findings.faces:
        seen = findings.faces[0].landmarks
        landmarks = np.asarray(seen[:, :2] * scale + (place.left, place.top), np.float32)
        if findings.refusal is None:
            own = choose_frame(seen, width=seen_width, height=seen_height)
            warnings = (*warnings, *own.warnings(seen_width, seen_height))
            left, top = place.left + own.left * scale, place.top + own.top * scale
            frame = Frame(round(left), round(top), round(own.side * scale))
    refusal = findings.refusal
    return PortraitPreview(
        accepted=refusal is None,
        code="ok" if refusal is None else refusal.code,
        message="The face can be animated." if refusal is None else str(refusal),
        width=width,
        height=height,
        crop=crop,
        frame=frame,
        landmarks=landmarks,
        faces_found=len(findings.faces),
        warnings=warnings,
    )
