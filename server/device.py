"""Where the model runs: on processors by compiled code, or on a card by torch.

torch is looked for, and imported, only when a card is asked for or found.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from server.config import Settings
from streaming_model.errors import VivantError

if TYPE_CHECKING:
    import torch

    from streaming_model.avatar import Avatar
    from streaming_model.motion import MotionGenerator
    from streaming_model.portrait import Portrait

_LOG = logging.getLogger(__name__)


class DeviceMissingError(VivantError):
    """A card was asked for that cannot be used."""

    code = "no_such_device"


def device_of(name: str) -> torch.device | None:
    """Returns the card that the setting `device` names, None for processors.

    `auto` is the first card where the driver lists one and torch can use it.

    Raises:
        DeviceMissingError: torch is not installed, though a card was asked for.
        DeviceError: there is no such card.
    """
    if name == "cpu" or (name == "auto" and not count_cards()):
        return None
    if importlib.util.find_spec("torch") is None:
        if name == "auto":
            _LOG.warning("There is a card, but no torch to use it: pip install 'vivant[gpu]'.")
            return None
        raise DeviceMissingError(
            f"The device {name!r} needs torch, which is not installed: pip install 'vivant[gpu]'."
        )
    from streaming_model.device.graphs import DeviceError, find_device

    if name != "auto":
        return find_device(name)
    try:
        return find_device("cuda")
    except DeviceError as error:
        _LOG.warning("There is a card, but it is not used: %s", error)
        return None


def count_cards() -> int:
    """Returns how many cards NVIDIA's driver lists."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def motion_on(device: torch.device | None, settings: Settings) -> MotionGenerator:
    """Returns the generator with the shipped weights, on a device or on processors.

    Raises:
        ModelFileError: a file is missing or damaged.
    """
    if device is None:
        from streaming_model.motion import load_motion_generator

        return load_motion_generator(
            steps=settings.steps,
            chunk_frames=settings.chunk_frames,
            lookahead_frames=settings.lookahead_frames,
        )
    from streaming_model.device.avatar import load_device_motion

    return load_device_motion(
        device,
        steps=settings.steps,
        chunk_frames=settings.chunk_frames,
        lookahead_frames=settings.lookahead_frames,
    )


def avatar_on(
    device: torch.device | None,
    portrait: Portrait,
    motion: MotionGenerator,
    settings: Settings,
    *,
    cache_dir: Path,
) -> Avatar:
    """Returns the portrait as an avatar that is drawn on a device or on processors."""
    if device is None:
        from streaming_model.avatar import Avatar

        return Avatar(portrait, motion, size=settings.size, fps=settings.fps, cache_dir=cache_dir)
    from streaming_model.device.avatar import DeviceAvatar

    return DeviceAvatar(
        portrait,
        motion,
        device=device,
        size=settings.size,
        fps=settings.fps,
        cache_dir=cache_dir,
    )
