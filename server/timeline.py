"""Pairs each frame with the audio it was made from, and lets both go together.

Pure: it decides by media time alone and performs nothing. Audio enters in 40 ms blocks and
leaves in 20 ms packets; frames wait beside it, and may be taken a little earlier than the audio
that they belong to, to be encoded. To interrupt is to raise the number below which all sound is
silenced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from server.ingest import SOUND_RATIO
from server.pacing import TICK, Pace, pace
from server.speech import Block

FrameT = TypeVar("FrameT")

PACKET = TICK * SOUND_RATIO  # 48 kHz samples in 20 ms
CODER_DELAY = 312  # 48 kHz samples, 6.5 ms, by which libopus's sound comes late (its look-ahead)
_FADE = 5 * 48  # 48 kHz samples, 5 ms: short enough to be gone, long enough not to click


@dataclass(frozen=True, slots=True)
class Spoken:
    """How much of an utterance has left.

    Attributes:
        samples: of its own sound, 16 kHz; silence while it had none ready does not count.
        characters: of its text; None where the text is not known.
    """

    samples: int = 0
    characters: int | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """What becomes audible with a packet: the edges and subtitles of an utterance.

    Attributes:
        utterance: its number.
        begins: whether it begins with the packet.
        ends: whether it ends with the packet.
        texts: subtitles that begin with the packet.
        spoken: at its end, how much of it has left.
    """

    utterance: int
    begins: bool = False
    ends: bool = False
    texts: tuple[str, ...] = ()
    spoken: Spoken = Spoken()


@dataclass(frozen=True, slots=True)
class Departure(Generic[FrameT]):
    """What leaves at one tick.

    Attributes:
        start: media time of the audio packet.
        sound: [960] float32, 48 kHz.
        ahead: [312] float32, what follows it: the coder is given its sound that much early.
        utterance: number of the utterance that it belongs to.
        is_speech: whether the packet carries an utterance.
        frames: (start, frame) of the pictures to be encoded now, oldest first: those that leave
            with it, and those that leave soon.
        marks: what becomes audible with it.
    """

    start: int
    sound: NDArray[np.float32]
    ahead: NDArray[np.float32]
    utterance: int
    is_speech: bool
    frames: tuple[tuple[int, FrameT], ...]
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class _Packet:
    start: int
    sound: NDArray[np.float32]
    utterance: int
    is_speech: bool
    length: int  # samples that are the utterance's, not padding
    characters: int | None
    marks: list[Mark] = field(default_factory=list)


@dataclass(slots=True)
class _Frame(Generic[FrameT]):
    start: int
    frame: FrameT
    is_doubtful: bool = False  # another is being made for its time


class Timeline(Generic[FrameT]):
    """Audio and frames that were made and have not left yet.

    Attributes:
        position: media time of the next packet to leave.
        late_frames: frames that came after their time and were dropped.
        spoken: how much has left of the utterance that spoke last.
    """

    def __init__(
        self, on_replaced: Callable[[FrameT], None] = lambda _: None, *, frames_ahead: int = 0
    ) -> None:
        """Takes whom to tell of frames that others took the place of.

        Frames are taken `frames_ahead` samples before the audio that they belong to.
        """
        self._on_replaced = on_replaced
        self._frames_ahead = frames_ahead
        self._taken = -1  # start of the last frame that was
        self.position = 0
        self.late_frames = 0
        self.spoken = Spoken()
        self._speaking: int | None = None
        self._packets: deque[_Packet] = deque()
        self._frames: deque[_Frame[FrameT]] = deque()

    @property
    def end(self) -> int:
        """Media time up to which audio is known."""
        return self._packets[-1].start + TICK if self._packets else self.position

    @property
    def open_from(self) -> int:
        """Media time from which frames can be replaced still: those before were taken."""
        return max(self.position, self._taken + 1)

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
                length=min(max(block.length - index * TICK, 0), TICK),
                characters=block.characters[index] if block.characters else None,
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

        Frames come in order. One that goes back in time replaces those from its start on, but
        for one that was taken already: that is shown, and the new one is not.
        """
        decision = pace(media_time=start, position=self.position)
        if decision is Pace.DROP:
            self.late_frames += 1
            return decision
        while self._frames and self._frames[-1].start >= start:
            self._on_replaced(self._frames.pop().frame)
        if start <= self._taken:
            self._on_replaced(frame)
        else:
            self._frames.append(_Frame(start, frame))
        return decision

    def take_frames(self) -> tuple[tuple[int, FrameT], ...]:
        """Takes the (start, frame) of the pictures to be encoded now, oldest first."""
        taken = []
        while self._frames:
            first = self._frames[0]
            if first.start >= self.position + (0 if first.is_doubtful else self._frames_ahead):
                break
            taken.append((first.start, self._frames.popleft().frame))
            self._taken = first.start
        return tuple(taken)

    def doubt(self, start: int) -> None:
        """Takes the frames from `start` on no earlier than with their audio: others are made."""
        for frame in self._frames:
            frame.is_doubtful = frame.is_doubtful or frame.start >= start

    def depart(self) -> Departure[FrameT] | None:
        """Takes what leaves next, or None while no audio is known that far."""
        if not self._packets:
            return None
        packet = self._packets.popleft()
        self.position = packet.start + TICK
        if packet.is_speech:
            self._count(packet)
        return Departure(
            start=packet.start,
            sound=packet.sound,
            ahead=self._ahead(),
            utterance=packet.utterance,
            is_speech=packet.is_speech,
            frames=self.take_frames(),
            marks=tuple(
                replace(mark, spoken=self.spoken) if mark.ends else mark for mark in packet.marks
            ),
        )

    def clear(self) -> None:
        """Drops everything that waits to leave."""
        self._packets.clear()
        self._frames.clear()

    def interrupt(self, floor: int) -> list[int]:
        """Silences every utterance below `floor` that waits to leave.

        Returns those that have not begun to leave. The first packet fades out over 5 ms instead
        of stopping with a click. Frames stay until others replace them, so that the picture
        does not stand still.
        """
        fades, sent = True, CODER_DELAY if self.position else 0
        unheard = []
        for packet in self._packets:
            if packet.utterance >= floor:
                break
            packet.sound = _faded(packet.sound, sent) if fades else np.zeros_like(packet.sound)
            packet.is_speech = False
            unheard += [mark.utterance for mark in packet.marks if mark.begins]
            packet.marks.clear()
            fades = False
        return unheard

    def _ahead(self) -> NDArray[np.float32]:
        """Returns the beginning of the next packet; silence while it is not known."""
        if not self._packets:
            return np.zeros(CODER_DELAY, np.float32)
        return self._packets[0].sound[:CODER_DELAY]

    def _count(self, packet: _Packet) -> None:
        if packet.utterance != self._speaking:
            self._speaking, self.spoken = packet.utterance, Spoken()
        self.spoken = Spoken(self.spoken.samples + packet.length, packet.characters)


def _faded(sound: NDArray[np.float32], sent: int) -> NDArray[np.float32]:
    """Returns it fading out after the first `sent` samples, which have left already."""
    faded = np.zeros_like(sound)
    faded[:sent] = sound[:sent]
    ramp = np.linspace(1.0, 0.0, _FADE, dtype=np.float32)
    faded[sent : sent + _FADE] = sound[sent : sent + _FADE] * ramp
    return faded
