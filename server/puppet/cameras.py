"""Virtual cameras: v4l2loopback on Linux through PyAV, OBS's on macOS and Windows.

pyvirtualcam, which reaches the latter, is GPL-2.0; it is nobody's dependency here, and used
where the user has installed it.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from server.puppet.ports import CameraPort, PuppetError
from streaming_model.media import VideoFrame

_VIRTUAL = Path("/sys/devices/virtual/video4linux")

_HOW = {
    "linux": (
        "Install v4l2loopback (Debian, Ubuntu: sudo apt install v4l2loopback-dkms) and load it: "
        "sudo modprobe v4l2loopback exclusive_caps=1 card_label=Vivant"
    ),
    "darwin": (
        "Install OBS (obsproject.com), start its virtual camera once, "
        "then: pip install pyvirtualcam"
    ),
    "win32": "Install OBS (obsproject.com), then: pip install pyvirtualcam",
}


def how_to_install(platform: str | None = None) -> str:
    """Returns how a system, this one if None, gets a virtual camera."""
    return _HOW.get(platform or sys.platform, "This system has no virtual camera that Vivant knows")


def find_camera(device: str | None) -> None:
    """Accepts what `open_camera` will find, before anything costly begins.

    Raises:
        PuppetError: there is no such camera; says how to install one.
    """
    if sys.platform == "linux":
        _loopback(device)
    else:
        _pyvirtualcam()


def open_camera(device: str | None, *, size: int, fps: int) -> CameraPort:
    """Opens a virtual camera; the first one if none is named.

    Raises:
        PuppetError: there is none, or it cannot be used; says how to install one.
    """
    if sys.platform == "linux":
        return LoopbackCamera(_loopback(device), size=size, fps=fps)
    return ObsCamera(device, size=size, fps=fps)


class LoopbackCamera:
    """A device of v4l2loopback, such as `/dev/video10`.

    Raises:
        PuppetError: it is no camera that can be written to.
    """

    def __init__(self, device: str, *, size: int, fps: int) -> None:
        self._device = device
        try:
            self._container = av.open(device, "w", format="video4linux2,v4l2")
            stream: Any = self._container.add_stream("rawvideo", rate=fps)
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
            self._stream = stream
            self._container.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            raise PuppetError(
                f"'{device}' cannot be written to: {error.strerror}. {how_to_install('linux')}."
            ) from None
        self._count = 0

    def show(self, frame: VideoFrame) -> None:
        """Shows an RGB picture now.

        Raises:
            PuppetError: the device is lost.
        """
        planes = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts = self._count
        self._count += 1
        try:
            self._container.mux(self._stream.encode(picture))
        except OSError as error:
            raise PuppetError(f"The camera '{self._device}' is lost: {error.strerror}.") from None

    def close(self) -> None:
        """Lets go of the device."""
        self._container.close()


class ObsCamera:
    """OBS's virtual camera, or Unity Capture, through pyvirtualcam.

    Raises:
        PuppetError: pyvirtualcam or the camera is missing.
    """

    def __init__(self, device: str | None, *, size: int, fps: int) -> None:
        try:
            self._camera: Any = _pyvirtualcam().Camera(
                width=size, height=size, fps=fps, device=device
            )
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise PuppetError(
                f"The virtual camera cannot be used: {reason}. {how_to_install()}."
            ) from None

    def show(self, frame: VideoFrame) -> None:
        """Shows an RGB picture now."""
        self._camera.send(np.ascontiguousarray(frame.image))

    def close(self) -> None:
        """Lets go of the device."""
        self._camera.close()


def _pyvirtualcam() -> Any:  # noqa: ANN401 - a module that is not installed here
    try:
        return importlib.import_module("pyvirtualcam")
    except ImportError:
        raise PuppetError(f"There is no virtual camera. {how_to_install()}.") from None


def _loopback(device: str | None) -> str:
    """Returns the path of a device of v4l2loopback."""
    how = how_to_install("linux")
    if device is None:
        devices = sorted(_VIRTUAL.glob("video*"), key=lambda path: int(path.name[5:] or 0))
        if not devices:
            raise PuppetError(f"There is no virtual camera. {how}.")
        return f"/dev/{devices[0].name}"
    if not Path(device).exists():
        raise PuppetError(f"There is no camera '{device}'. {how}.")
    if not Path(device).is_char_device():
        raise PuppetError(f"'{device}' is not a camera device; a film is named .mp4.")
    return device
