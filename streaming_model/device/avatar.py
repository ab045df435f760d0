"""An avatar whose pictures are drawn on a torch device, together with others'.

The same portrait, motion and cadence as `avatar`; only who draws is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from streaming_model.avatar import Avatar, AvatarState
from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.cadence import Pose
from streaming_model.device.networks import DeviceNetworks
from streaming_model.device.pictures import DevicePictures
from streaming_model.media import MOTION_FPS, MotionChunk, VideoFrame
from streaming_model.motion import MotionGenerator
from streaming_model.portrait import Portrait

MOST: Final = 32  # sessions in a batch that everything is made ready for


class DeviceAvatar(Avatar):
    """A portrait on a device.

    Args:
        portrait: the picture, fitted.
        motion: of `load_device_motion`, shared by the avatars of a device.
        device: where to draw.
        most: pictures in a batch that are made ready for.
        size: side of the square video in pixels.
        fps: pictures a second.
        backdrop: what is behind the person.
        cache_dir: as of `Avatar`.
    """

    def __init__(
        self,
        portrait: Portrait,
        motion: MotionGenerator,
        *,
        device: torch.device,
        most: int = MOST,
        size: int = 512,
        fps: int = MOTION_FPS,
        backdrop: Backdrop = KEEP,
        cache_dir: Path | None = None,
    ) -> None:
        super().__init__(
            portrait, motion, size=size, fps=fps, backdrop=backdrop, cache_dir=cache_dir
        )
        self._device, self._most = device, most
        self._stretch_canvas()

    @property
    def canvas(self) -> DevicePictures:
        """Draws the pictures of all sessions of this portrait before this backdrop."""
        return self._canvas

    def with_backdrop(self, backdrop: Backdrop) -> Self:
        """Returns an avatar of the same portrait before `backdrop`, with a canvas of its own."""
        other = super().with_backdrop(backdrop)
        other._stretch_canvas()
        return other

    def render(
        self, state: AvatarState, chunks: Iterable[MotionChunk]
    ) -> tuple[AvatarState, list[VideoFrame]]:
        """Draws the pictures of motion, those that became known in one batch."""
        after, poses = self.poses(state, chunks)
        if not poses:
            return after, []
        images = self._canvas.draw(np.stack([pose.motion for pose in poses]))
        return after, self.finished(poses, list(images))

    def poses(
        self, state: AvatarState, chunks: Iterable[MotionChunk], /
    ) -> tuple[AvatarState, list[Pose]]:
        """Returns the next state, and the motion of the pictures that became known."""
        cadence = state.cadence
        known: list[Pose] = []
        for chunk in chunks:
            (cadence,), (poses,) = self._cadence.step([cadence], [chunk])
            known += poses
        return AvatarState(state.motion, cadence), known

    def finished(
        self, poses: Sequence[Pose], images: Sequence[NDArray[np.uint8]], /
    ) -> list[VideoFrame]:
        """Returns the pictures of poses that the canvas drew."""
        return [
            VideoFrame(pose.start, image, pose.utterance)
            for pose, image in zip(poses, images, strict=True)
        ]

    def _draw(self, pose: Pose) -> VideoFrame:
        (frame,) = self.finished([pose], list(self._canvas.draw(pose.motion[None])))
        return frame

    def _stretch_canvas(self) -> None:
        self._canvas = DevicePictures([self._renderer], self._device)
        self._canvas.prepare(self._most)


def load_device_motion(
    device: torch.device,
    *,
    most: int = MOST,
    steps: int | None = None,
    chunk_frames: int = 2,
    lookahead_frames: int = 2,
) -> MotionGenerator:
    """Returns the generator with the shipped weights on a device, ready for `most` sessions.

    Raises:
        ModelFileError: a file is missing or damaged.
        ValueError: a number is outside what the model was trained for.
    """
    networks = DeviceNetworks(device)
    timing = {"chunk_frames": chunk_frames, "lookahead_frames": lookahead_frames}
    generator = MotionGenerator(networks, steps=steps, **timing)
    networks.prepare(most, steps=steps, **timing)
    return generator
