"""Pairs each frame with the audio it was made from, and lets both go together.

Pure: it decides by media time alone and performs nothing. Audio enters in 40 ms blocks and
leaves in 20 ms packets; frames wait beside it. To interrupt is to raise the number below
which all sound is silenced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from server.ingest import SOUND_RATIO
from server.pacing import TICK, Pace, pace
from server.speech import Block

FrameT = TypeVar("FrameT")

PACKET = TICK * SOUND_RATIO  # 48 kHz samples in 20 ms
_FADE = 5 * 48  # 48 kHz samples, 5 ms: short enough to be gone, long enough not to click


@dataclass(frozen=True, slots=True)
class Mark:
    """What becomes audible with a packet: the edges and subtitles of an utterance."""

    utterance: int
    begins: bool = False
    ends: bool = False
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Departure(Generic[FrameT]):
    """What leaves at one tick.

    Attributes:
        start: media time of the audio packet.
        sound: [960] float32, 48 kHz.
        is_speech: whether the packet carries an utterance.
        frames: (start, frame) of the pictures that leave with it, oldest first.
        marks: what becomes audible with it.
    """

    start: int
    sound: NDArray[np.float32]
    is_speech: bool
    frames: tuple[tuple[int, FrameT], ...]
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class _Packet:
    start: int
    sound: NDArray[np.float32]
    utterance: int
    is_speech: bool
    marks: list[Mark] = field(default_factory=list)


class Timeline(Generic[FrameT]):
    """Audio and frames that were made and have not left yet.

    Attributes:
        position: media time of the next packet to leave.
        late_frames: frames that came after their time and were dropped.
    """

    def __init__(self) -> None:
        self.position = 0
        self.late_frames = 0
        self._packets: deque[_Packet] = deque()
        self._frames: deque[tuple[int, FrameT]] = deque()  # (start, frame)

    @property
    def end(self) -> int:
        """Media time up to which audio is known."""
        return self._packets[-1].start + TICK if self._packets else self.position

    @property
    def holds_speech(self) -> bool:
        """Whether speech waits to leave."""
        return any(packet.is_speech for packet in self._packets)

    def add_audio(self, block: Block) -> None:
        """Appends a block; it starts where the last one ended.

        Raises:
            ValueError: it does not.
        """
        if block.start != self.end:
            raise ValueError(f"audio at {block.start} does not continue {self.end}")
        count = len(block.sound) // PACKET
        for index in range(count):
            packet = _Packet(
                start=block.start + index * TICK,
                sound=block.sound[index * PACKET : (index + 1) * PACKET],
                utterance=block.utterance,
                is_speech=block.is_speech,
            )
            if index == 0 and (block.begins or block.texts):
                packet.marks.append(Mark(block.utterance, begins=block.begins, texts=block.texts))
            if block.ends and index == count - 1:
                packet.marks.append(Mark(block.utterance, ends=True))
            self._packets.append(packet)

    def replace_audio(self, blocks: Sequence[Block]) -> None:
        """Puts these blocks in the place of everything from the first one's start on."""
        if not blocks:
            return
        while self._packets and self._packets[-1].start >= blocks[0].start:
            self._packets.pop()
        for block in blocks:
            self.add_audio(block)

    def add_frame(self, start: int, frame: FrameT) -> Pace:
        """Places a finished frame; returns DROP when it is too late.

        Frames come in order. One that goes back in time replaces those from its start on.
        """
        decision = pace(media_time=start, position=self.position)
        if decision is Pace.DROP:
            self.late_frames += 1
            return decision
        while self._frames and self._frames[-1][0] >= start:
            self._frames.pop()
        self._frames.append((start, frame))
        return decision

    def depart(self) -> Departure[FrameT] | None:
        """Takes what leaves next, or None while no audio is known that far."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        frames = []
        while self._frames and self._frames[0][0] < packet.start + TICK:
            frames.append(self._frames.popleft())
        self.position = packet.start + TICK
        return Departure(
            start=packet.start,
            sound=packet.sound,
            is_speech=packet.is_speech,
            frames=tuple(frames),
            marks=tuple(packet.marks),
        )

    def interrupt(self, floor: int) -> None:
        """Silences every utterance below `floor` that waits to leave.

        The first packet fades out over 5 ms instead of stopping with a click. Frames stay until
        others replace them, so that the picture does not stand still.
        """
        fades = True
        for packet in self._packets:
            if packet.utterance >= floor:
                break
            packet.sound = _faded(packet.sound) if fades else np.zeros_like(packet.sound)
            packet.is_speech = False
            packet.marks.clear()
            fades = False


def _faded(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    faded = np.zeros_like(sound)
    faded[:_FADE] = sound[:_FADE] * np.linspace(1.0, 0.0, _FADE, dtype=np.float32)
    return faded
