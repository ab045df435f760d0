"""Pictures of portraits, one at a time: what is known of one, and what is made of it.

What blocks is called on a worker. It knows no catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from server.inference import AvatarPort
from server.protocol import ProtocolError
from streaming_model.crop import Crop

if TYPE_CHECKING:
    from streaming_model.portrait.preview import PortraitPreview

MAX_UPLOAD = 20 * 1024 * 1024  # bytes
LONGEST_NAME = 60  # characters
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class PortraitEntry:
    """One portrait on offer.

    Attributes:
        id: what clients ask for.
        name: a few words for people.
        builtin: whether it is not an upload.
        path: the picture.
        warnings: what the fit found worth saying, once it was fitted.
    """

    id: str
    name: str
    builtin: bool
    path: Path
    warnings: tuple[str, ...] = ()


MakeAvatar = Callable[[Path], tuple[AvatarPort, tuple[str, ...]]]
Preview = Callable[[bytes, Crop | None], "PortraitPreview"]


def preview_picture(data: bytes, crop: Crop | None) -> PortraitPreview:
    """Returns what the model finds in a picture."""
    from streaming_model.portrait.preview import preview_portrait

    return preview_portrait(data, crop=crop)


def cut_out(data: bytes, crop: Crop) -> bytes:
    """Returns a part of a picture as a file of its own."""
    from streaming_model.portrait.image import crop_image

    return crop_image(data, crop)


def forget_nothing(path: Path) -> None:
    """Deletes nothing: what was made of the picture was not kept."""
    del path


def prune_nothing(paths: Collection[Path]) -> None:
    """Deletes nothing: what was made of pictures was not kept."""
    del paths


def upload_id(data: bytes, owner: str) -> str:
    """Returns a name made of the content; whoever has the same picture cannot guess another's."""
    return "upload-" + hashlib.sha256(owner.encode() + data).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_name(name: str) -> str:
    """Returns a portrait's name without blanks around it.

    Raises:
        ProtocolError: `bad_request`, it is empty, too long or cannot be shown.
    """
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        sentence = f"A portrait's name has 1 to {LONGEST_NAME} characters, not {len(name)}."
        raise ProtocolError("bad_request", sentence)
    if not name.isprintable():
        raise ProtocolError("bad_request", f"A portrait's name is one line of text, not {name!r}.")
    return name


def as_jpeg(image: NDArray[np.uint8]) -> bytes:
    """Returns a picture, [h, w, 3] RGB, as JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    is_encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not is_encoded:
        raise RuntimeError(f"no JPEG of a picture of shape {image.shape}")
    return data.tobytes()
