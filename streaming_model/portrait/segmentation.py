"""Which pixels belong to a person: MediaPipe's selfie segmentation on LiteRT.

Knows nothing of faces.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import threading
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import ModelFileError
from streaming_model.portrait.bundle import Net
from streaming_model.portrait.resample import resize

SEGMENTATION_NAME: Final = "selfie_segmentation.tflite"
SEGMENTATION_SHA256: Final = "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
_NET_SIZE: Final = 256  # pixels


class PersonSegmenter:
    """MediaPipe's selfie segmentation on LiteRT. Safe to share: calls queue up."""

    def __init__(self) -> None:
        """Loads the net that ships with the package.

        Raises:
            ModelFileError: its file is missing or damaged.
        """
        folder = importlib.resources.files("streaming_model") / "weights" / "selfie_segmentation"
        self._net = Net(_read_checked(Path(str(folder / SEGMENTATION_NAME))))
        self._lock = threading.Lock()

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns how likely each pixel of `image`, [h,w,3], belongs to a person: [h,w] 0..1."""
        size = (_NET_SIZE, _NET_SIZE)
        shrinks = max(image.shape[:2]) > _NET_SIZE
        small = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        with self._lock:
            (likely,) = self._net(small[None].astype(np.float32) / np.float32(255))
        return resize(likely[0, :, :, 0], image.shape[1], image.shape[0])


@cache
def shared_segmenter() -> PersonSegmenter:
    """Returns the process's segmenter, loaded at the first call."""
    return PersonSegmenter()


def _read_checked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"The segmentation net {path} cannot be read.") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SEGMENTATION_SHA256:
        raise ModelFileError(
            f"The segmentation net {path} is damaged: its SHA-256 begins {digest[:12]}, "
            f"not {SEGMENTATION_SHA256[:12]}."
        )
    return content
