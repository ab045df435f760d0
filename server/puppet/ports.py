"""What a puppet needs of the machine: a microphone, a camera to be, a loudspeaker to be.

Devices and files stand behind these alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from streaming_model.errors import VivantError

if TYPE_CHECKING:  # `vivant --help` needs none of it
    from collections.abc import AsyncIterator

    import numpy as np
    from numpy.typing import NDArray

    from streaming_model.media import VideoFrame


class PuppetError(VivantError):
    """A device is missing or cannot be used; the sentence says what to do."""

    code = "device_unusable"


class MicrophonePort(Protocol):
    """Where the voice comes from.

    Attributes:
        rate: samples a second.
    """

    rate: int

    def pieces(self) -> AsyncIterator[NDArray[np.float32]]:
        """Yields [n] float32 mono as it is spoken; raises PuppetError when the device is lost."""
        ...


class CameraPort(Protocol):
    """Where pictures go."""

    def show(self, frame: VideoFrame) -> None:
        """Shows an RGB picture now; raises PuppetError when the device is lost."""
        ...

    def close(self) -> None:
        """Lets go of the device, or completes the file."""
        ...


class SpeakerPort(Protocol):
    """Where the voice goes, for a virtual microphone to take it.

    Attributes:
        latency: seconds from `play` to the sound's leaving.
    """

    latency: float

    def play(self, samples: NDArray[np.float32], media_time: int) -> None:
        """Plays [n] float32 mono at 48 kHz after what was played before."""
        ...

    def close(self) -> None:
        """Lets go of the device, or completes the file."""
        ...
