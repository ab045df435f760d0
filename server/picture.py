"""One picture's way from its sound to its last packet: what is kept of it, and no image.

Instants are nanoseconds of the clock that a `Span` is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from server.clock import Clock
from streaming_model.media import VideoFrame

Source = Literal["voice", "queue", "silence"]  # a live voice; text or pushed PCM; nothing
Outcome = Literal["under_way", "encoded", "sent", "late", "dropped", "skipped"]
Reason = Literal[
    "model",  # late: its motion came when it could not be drawn in time any more
    "renderer",  # late: it was drawn too late
    "encoder",  # late: it waited too long for the encoder
    "interrupted",  # dropped: another was drawn in its place after an interruption
    "redrawn",  # dropped: another was drawn in its place, in which a text begins
    "portrait",  # dropped: another portrait took over
    "unwatched",  # skipped: nobody watches
    "rate",  # skipped: fewer pictures are made, because of an overload or the rate asked for
]


class Origin(NamedTuple):
    """Where a block's sound comes from, and when its last sample was here; None for silence."""

    source: Source = "silence"
    arrived: int | None = None


class Span:
    """One piece of work: asked for now, begun and ended on the thread that does it.

    Attributes:
        queued: instant at which it was asked for, in nanoseconds.
        started: instant at which it began, the first time; None before.
        done: instant at which it ended, the last time; None before.
    """

    __slots__ = ("_clock", "done", "queued", "started")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.queued = clock.now()
        self.started: int | None = None
        self.done: int | None = None

    def __enter__(self) -> None:
        if self.started is None:
            self.started = self._clock.now()

    def __exit__(self, *_: object) -> None:
        self.done = self._clock.now()


@dataclass(slots=True, eq=False)
class Picture:
    """One picture's way; instants are nanoseconds of the session's clock.

    Attributes:
        media_time: its start, in 16 kHz samples.
        utterance: the utterance it belongs to.
        source: where its sound comes from.
        arrived: the last of its sound was here.
        composed: its sound got its place in media time.
        motion: the step of the model that gave its motion.
        render: drawing it.
        is_placed: whether it is, or was, on the timeline.
        due: the line's clock wanted it to leave.
        released: it left the timeline for the encoder.
        encode: coding it, for all who watch.
        shown: its packets were handed out.
        first: the first packet of it was handed to a connection.
        last: the last packet of it was.
        outcome: what became of it.
        reason: why it was not sent.
    """

    media_time: int
    utterance: int
    source: Source
    arrived: int | None
    composed: int
    block: int
    motion: Span | None = None
    render: Span | None = None
    is_placed: bool = False
    due: int | None = None
    released: int | None = None
    encode: Span | None = None
    shown: int | None = None
    first: int | None = None
    last: int | None = None
    outcome: Outcome = "under_way"
    reason: Reason | None = None

    @property
    def heard(self) -> int:
        """The instant from which its latency counts: a live voice's arrival.

        What is queued waits on purpose, and silence never arrives: theirs count from `composed`.
        """
        if self.source == "voice" and self.arrived is not None:
            return self.arrived
        return self.composed

    @property
    def latency(self) -> int | None:
        """Nanoseconds from its sound to its being handed out, encoded; None before."""
        return None if self.shown is None else self.shown - self.heard


class Drawn(NamedTuple):
    """A picture's image with its record."""

    frame: VideoFrame
    picture: Picture
