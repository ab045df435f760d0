"""An encoder of somebody else's that may never answer, and an end to the wait for it.

SVT-AV1 4.1 now and then (twice in some twenty runs of all tests) waits for a packet that none of
its threads makes, and the call cannot be broken off. It is left to itself then, with its memory.
"""

from __future__ import annotations

import threading
import weakref
from queue import Empty, SimpleQueue
from typing import Protocol, TypeAlias

import av

Packets: TypeAlias = "list[av.Packet[av.VideoStream]]"


class Encoder(Protocol):
    """What PyAV's contexts do."""

    def encode(self, frame: av.VideoFrame | None = None) -> Packets:
        """Returns the packets that a frame has made ready."""
        ...


class StuckError(Exception):
    """An encoder has not answered in time, and is not to be asked again."""


class Patient:
    """An encoder on a thread of its own, which is waited for so long and no longer.

    Args:
        encoder: what is asked.
        seconds: how long for each frame.
    """

    def __init__(self, encoder: Encoder, seconds: float) -> None:
        self._seconds = seconds
        self._asked: SimpleQueue[av.VideoFrame | None] = SimpleQueue()
        self._told: SimpleQueue[Packets | Exception] = SimpleQueue()
        # A daemon: one that is stuck must not keep the process from ending.
        threading.Thread(
            target=_serve, args=(encoder, self._asked, self._told), name="encoder", daemon=True
        ).start()
        weakref.finalize(self, self._asked.put, None)

    def encode(self, frame: av.VideoFrame) -> Packets:
        """Returns the frame's packets, or raises what the encoder raised.

        Raises:
            StuckError: it did not answer.
        """
        self._asked.put(frame)
        try:
            told = self._told.get(timeout=self._seconds)
        except Empty:
            raise StuckError(f"no packet within {self._seconds:g} s") from None
        if isinstance(told, Exception):
            raise told
        return told


def _serve(
    encoder: Encoder,
    asked: SimpleQueue[av.VideoFrame | None],
    told: SimpleQueue[Packets | Exception],
) -> None:
    while (frame := asked.get()) is not None:
        try:
            packets = encoder.encode(frame)
        except (av.FFmpegError, RuntimeError) as error:  # for whoever asked
            told.put(error)
        else:
            told.put(packets)
