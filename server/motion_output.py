"""A session's motion for others to show: the very frames that its pictures are drawn from.

Motion is made whether or not pictures are; it leaves when its sound does, so that what was
interrupted in between never leaves. It knows no transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.broadcast import Broadcast
from server.protocol import MotionFrame
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, MotionChunk
from streaming_model.motion_space import MOTION_NAMES

_WAITING: Final = 250  # frames that one who takes them may be behind: ten seconds
_DIGITS: Final = 5


class Frame(NamedTuple):
    """One frame of motion.

    Attributes:
        start: media time of its first sample.
        motion: [58] float32 in the layout of `motion_space`.
        utterance: the utterance that its audio belongs to.
    """

    start: int
    motion: NDArray[np.float32]
    utterance: int

    def event(self) -> MotionFrame:
        """Returns it as the protocol tells it: by name, zeros left out."""
        numbers = zip(MOTION_NAMES, self.motion.tolist(), strict=True)
        told = ((name, round(number, _DIGITS)) for name, number in numbers)
        return MotionFrame(
            media_time=self.start,
            utterance=self.utterance,
            coefficients={name: number for name, number in told if number},
        )


class MotionOutput(Broadcast[Frame]):
    """The motion of one session, handed to all who listen."""

    def __init__(self) -> None:
        super().__init__(_WAITING)
        self._made: deque[Frame] = deque()
        self._left = 0  # media time before which everything has left

    def add(self, chunks: Sequence[MotionChunk]) -> None:
        """Takes motion that was made; it takes the place of any from its start on.

        What comes too late is dropped, as pictures are.
        """
        for chunk in chunks:
            while self._made and self._made[-1].start >= chunk.start:
                self._made.pop()
            for index, motion in enumerate(chunk.motion):
                start = chunk.start + index * SAMPLES_PER_MOTION_FRAME
                if start >= self._left:
                    self._made.append(Frame(start, motion, int(chunk.utterance[index])))

    def leave(self, until: int) -> None:
        """Hands on what begins before a media time: its sound leaves now."""
        self._left = until
        while self._made and self._made[0].start < until:
            self.offer(self._made.popleft())

    def close(self) -> None:
        """Ends every listener once it has read what waits."""
        self._made.clear()
        super().close()


class MotionFeed:
    """The motion that one client's connection asks for, or does not."""

    def __init__(self, output: MotionOutput) -> None:
        self._output = output
        self._wanted = asyncio.Event()

    def switch(self, *, is_wanted: bool) -> None:
        """Begins with the next frame, or ends with the one before."""
        if is_wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    async def run(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Sends frames as JSON while they are wanted, until the session ends."""
        while True:
            await self._wanted.wait()
            with self._output.listen() as frames:
                async for frame in frames:
                    if not self._wanted.is_set():
                        break
                    await send(frame.event().to_json())
                else:
                    return
