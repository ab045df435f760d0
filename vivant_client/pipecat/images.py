"""A session's pictures as Pipecat's frames, no more of them than are taken.

Pipecat's queues have no bound: behind a transport that is slower than 25 pictures a second (an
encoder that does not keep up, a viewer that has gone) they would grow for ever. So pictures are
left out while a second of those that were made is still there.
"""

from __future__ import annotations

import weakref
from typing import Final

import cv2
import numpy as np
from loguru import logger
from pipecat.frames.frames import OutputImageRawFrame

from vivant_client.media import Frame

_MOST_WAITING: Final = 25  # pictures: a second, 20 MB of 512 x 512


class Images:
    """Makes frames of pictures.

    Args:
        size: pixels a side; None for the session's.
    """

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._waiting: list[weakref.ref[OutputImageRawFrame]] = []
        self._is_behind = False

    def make(self, frame: Frame) -> OutputImageRawFrame | None:
        """Returns a picture, or None where those before it have not been taken."""
        self._waiting = [each for each in self._waiting if each() is not None]
        is_behind = len(self._waiting) >= _MOST_WAITING
        if is_behind and not self._is_behind:
            logger.warning(f"{_MOST_WAITING} pictures wait downstream; others are left out.")
        self._is_behind = is_behind
        if is_behind:
            return None
        image = frame.image
        if self._size is not None and self._size != image.shape[1]:
            shrinks = self._size < image.shape[1]
            way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            image = np.asarray(
                cv2.resize(image, (self._size, self._size), interpolation=way), np.uint8
            )
        height, width = image.shape[:2]
        made = OutputImageRawFrame(image=image.tobytes(), size=(width, height), format="RGB")
        self._waiting.append(weakref.ref(made))
        return made
