"""Pictures and sound of ours as LiveKit's library takes them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from server.ingest import SOUND_RATE
from server.packing import flatten

_FULL_SCALE: Final = 32767


def video_frame(image: NDArray[np.uint8]) -> rtc.VideoFrame:
    """Returns [s, s, 3] RGB as I420; [s, s, 4] RGBA is put before green, as video has no matte."""
    if image.shape[2] == 4:
        image = flatten(image)
    height, width = image.shape[:2]
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
    return rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, planes.tobytes())


def audio_frame(sound: NDArray[np.float32]) -> rtc.AudioFrame:
    """Returns [n] float32 of 48 kHz as 16-bit PCM."""
    pcm = np.rint(np.clip(sound, -1, 1) * _FULL_SCALE).astype("<i2")
    return rtc.AudioFrame(pcm.tobytes(), SOUND_RATE, 1, len(pcm))
