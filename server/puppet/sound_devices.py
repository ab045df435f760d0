"""Microphones and loudspeakers of the machine, through sounddevice (PortAudio)."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.channel import Channel, Overflow
from server.puppet.ports import PuppetError

RATE = 48_000  # Hz
_BLOCK = 480  # samples, 10 ms
_MOST_PIECES = 50  # of a microphone that nobody reads, half a second
_CUSHION = RATE // 25  # samples, 40 ms: what is handed over late is not heard as a gap
_MANY = 3 * _CUSHION  # samples that wait because the device's clock is slow: silence is left out
_MOST_PLAYED = RATE // 2  # samples that may wait for the loudspeaker
_QUIET = 1e-3


def sound_library() -> Any:  # noqa: ANN401 - a module without types
    """Returns the module sounddevice.

    Raises:
        PuppetError: it, or PortAudio, is not installed; says how.
    """
    try:
        return importlib.import_module("sounddevice")
    except ImportError:
        raise PuppetError(
            "Sound devices need one package more: pip install 'vivant[puppet]' (sounddevice)."
        ) from None
    except OSError:
        how = "sudo apt install libportaudio2" if sys.platform == "linux" else "see portaudio.com"
        raise PuppetError(f"Sound devices need PortAudio: {how}.") from None


def list_devices() -> str:
    """Returns the machine's sound devices, a line each.

    Raises:
        PuppetError: they cannot be asked for.
    """
    devices = sound_library().query_devices()
    return str(devices) if len(devices) else "There is no sound device."


class DeviceMicrophone:
    """A microphone, by number or a part of its name; the system's own if None.

    Raises:
        PuppetError: there is none, or it cannot be used.
    """

    rate = RATE

    def __init__(self, device: str | None) -> None:
        self._name = device or "default"
        self._library = sound_library()
        self._device = _chosen(self._library, device, "input")

    async def pieces(self) -> AsyncIterator[NDArray[np.float32]]:
        """Yields 10 ms at a time.

        Raises:
            PuppetError: the microphone cannot be opened, or is lost.
        """
        loop = asyncio.get_running_loop()
        heard: Channel[NDArray[np.float32]] = Channel(_MOST_PIECES, Overflow.DROP_OLDEST)

        def take(data: NDArray[np.float32], *_: object) -> None:
            loop.call_soon_threadsafe(heard.offer, data[:, 0].copy())

        def end() -> None:
            loop.call_soon_threadsafe(heard.close)

        try:
            stream = self._library.InputStream(
                device=self._device,
                channels=1,
                samplerate=RATE,
                blocksize=_BLOCK,
                dtype="float32",
                latency="low",
                callback=take,
                finished_callback=end,
            )
            with stream:
                async for piece in heard:
                    yield piece
        except self._library.PortAudioError as error:
            raise PuppetError(
                f"The microphone '{self._name}' cannot be used: {_reason(error)}."
            ) from None
        raise PuppetError(f"The microphone '{self._name}' was lost.")


class DeviceSpeaker:
    """A loudspeaker, by number or a part of its name; the system's own if None.

    Attributes:
        latency: seconds from `play` to the sound's leaving, as the system says.

    Raises:
        PuppetError: there is none, or it cannot be used.
    """

    def __init__(self, device: str | None) -> None:
        library = sound_library()
        self._waiting: deque[NDArray[np.float32]] = deque()
        self._count = 0
        self._lock = threading.Lock()
        try:
            self._stream = library.OutputStream(
                device=_chosen(library, device, "output"),
                channels=1,
                samplerate=RATE,
                blocksize=_BLOCK,
                dtype="float32",
                latency="low",
                callback=self._fill,
            )
            self._stream.start()
        except library.PortAudioError as error:
            name = device or "default"
            raise PuppetError(
                f"The loudspeaker '{name}' cannot be used: {_reason(error)}."
            ) from None
        self.latency = float(self._stream.latency) + _CUSHION / RATE

    def play(self, samples: NDArray[np.float32], media_time: int) -> None:
        """Plays [n] float32 at 48 kHz after what waits; the oldest goes if half a second waits."""
        del media_time
        with self._lock:
            if not self._count:
                samples = np.concatenate([np.zeros(_CUSHION, np.float32), samples])
            elif self._count > _MANY and np.abs(samples).max(initial=0) < _QUIET:
                return
            self._waiting.append(samples)
            self._count += len(samples)
            while self._count > _MOST_PLAYED:
                self._count -= len(self._waiting.popleft())

    def close(self) -> None:
        """Lets go of the device."""
        self._stream.close()

    def _fill(self, out: NDArray[np.float32], frames: int, *_: object) -> None:
        """Fills what PortAudio plays next, on its thread; silence where nothing waits."""
        out[:] = 0
        done = 0
        with self._lock:
            while self._waiting and done < frames:
                piece = self._waiting.popleft()
                part = piece[: frames - done]
                out[done : done + len(part), 0] = part
                done += len(part)
                if len(part) < len(piece):
                    self._waiting.appendleft(piece[len(part) :])
            self._count -= done


def _chosen(library: Any, device: str | None, kind: str) -> int | str | None:  # noqa: ANN401
    """Returns how sounddevice calls a device.

    Raises:
        PuppetError: there is none, or several have that in their name.
    """
    wanted: int | str | None = int(device) if device is not None and device.isdigit() else device
    name = "microphone" if kind == "input" else "loudspeaker"
    try:
        library.query_devices(wanted, kind)
    except (ValueError, library.PortAudioError) as error:
        which = f"no {name} '{device}'" if device is not None else f"no {name}"
        raise PuppetError(
            f"There is {which}: {_reason(error)}. `vivant puppet --list-devices` shows all."
        ) from None
    return wanted


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
