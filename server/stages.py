"""When each stage of a session's latest pictures began and ended, and what became of them.

One record a picture in a ring of fixed length, written on the event loop alone: no lock, no
copy, a few microseconds a picture. Work on other threads carries a `Span`, whose instants are
taken there. It decides nothing and holds no image.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from server.clock import Clock, wall_time
from server.encoder import video_pts
from server.speech import Block
from server.stage_totals import DROPPED, Totals
from streaming_model.media import VideoFrame

LENGTH = 250  # pictures, ten seconds at 25 a second

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
        """Nanoseconds from its sound to its being encoded; None before."""
        if self.encode is None or self.encode.done is None:
            return None
        return self.encode.done - self.heard


class Drawn(NamedTuple):
    """A picture's image with its record."""

    frame: VideoFrame
    picture: Picture


class Stages:
    """The log of one session.

    Attributes:
        zero: the instant that counts as 0 when it is told.
        date: nanoseconds since 1970 at that instant.
        cause: why something else was composed in the place of what was there, the latest time.
    """

    def __init__(self, clock: Clock, totals: Totals) -> None:
        self.clock = clock
        self.zero, self.date = clock.now(), wall_time()
        self._totals = totals
        self.cause: Reason = "redrawn"
        self._ring: deque[Picture] = deque()
        self._current: dict[int, Picture] = {}  # by the start of the block
        self._by_pts: dict[int, Picture] = {}  # the latest to be encoded
        self._released: deque[Picture] = deque(maxlen=LENGTH)

    def __len__(self) -> int:
        return len(self._ring)

    def pictures(self) -> list[Picture]:
        """Returns the records kept, in the order in which they were begun."""
        return list(self._ring)

    def clear(self) -> None:
        """Forgets everything."""
        self._ring.clear()
        self._current.clear()
        self._by_pts.clear()
        self._released.clear()

    def span(self) -> Span:
        """Returns a piece of work that is asked for now."""
        return Span(self.clock)

    def compose(self, block: Block, origin: Origin, *, reason: Reason = "redrawn") -> None:
        """Begins a picture's record; one already there is dropped for `reason`.

        What is drawn already stays on the timeline until the new one is drawn, and may leave.
        """
        picture = Picture(
            media_time=block.start,
            utterance=block.utterance,
            source=origin.source,
            arrived=origin.arrived,
            composed=self.clock.now(),
            block=block.start,
        )
        old = self._current.get(block.start)
        if old is not None:
            self.cause = reason
            if not old.is_placed:
                self.drop(old, reason)
        self._current[block.start] = picture
        self._keep(picture)

    def find(self, block: int) -> Picture:
        """Returns the record of the picture whose block starts there.

        When it has left the ring meanwhile, one that nobody will see.
        """
        found = self._current.get(block)
        return found or Picture(block, 0, "silence", None, self.clock.now(), block)

    def draw(self, picture: Picture, frames: Sequence[VideoFrame]) -> list[Drawn]:
        """Joins what was drawn of a picture's motion with its record.

        That is one picture at 25 a second; at other rates none, or several with a record each.
        """
        if not frames:
            picture.outcome, picture.reason = "skipped", "rate"
        drawn: list[Drawn] = []
        for frame in frames:
            if drawn:
                picture = replace(picture)
                self._keep(picture)
            picture.media_time = frame.start
            drawn.append(Drawn(frame, picture))
        return drawn

    def skip(self, picture: Picture, reason: Reason) -> None:
        """Notes that it is not drawn."""
        if picture.render is not None or picture.outcome != "under_way":
            return
        if reason == "model":
            self.late(picture, reason)
        elif reason in DROPPED:
            self.drop(picture, reason)
        else:
            picture.outcome, picture.reason = "skipped", reason

    def late(self, picture: Picture, reason: Reason) -> None:
        """Notes that it missed its time."""
        picture.outcome, picture.reason = "late", reason
        self._totals.late[reason] += 1

    def drop(self, picture: Picture, reason: Reason) -> None:
        """Notes that something else is shown in its place."""
        if picture.outcome == "under_way":
            picture.outcome, picture.reason = "dropped", reason
            self._totals.dropped[reason] += 1

    def place(self, picture: Picture, *, is_late: bool) -> None:
        """Notes that it came to the timeline, in time or not."""
        picture.is_placed = True
        if is_late:
            self.late(picture, "renderer")

    def displace(self, drawn: Drawn) -> None:
        """Notes that another took its place on the timeline."""
        self.drop(drawn.picture, self.cause)

    def release(self, picture: Picture, *, due: int) -> None:
        """Notes that it leaves the timeline, where it was due at `due`."""
        picture.due, picture.released = due, self.clock.now()
        self._released.append(picture)

    def overtake(self, picture: Picture) -> None:
        """Notes that the encoder's turn came to this one: those before it had to make room."""
        while self._released:
            earlier = self._released.popleft()
            if earlier is picture:
                return
            self.late(earlier, "encoder")

    def encoding(self, picture: Picture) -> Span:
        """Notes that it is handed to the encoder; returns the span of that."""
        picture.encode = self.span()
        if len(self._by_pts) == LENGTH:
            del self._by_pts[next(iter(self._by_pts))]
        self._by_pts[video_pts(picture.media_time)] = picture
        return picture.encode

    def encoded(self, picture: Picture) -> None:
        """Notes that it went through the encoder, if anybody watched, and adds it to the totals."""
        if picture.encode is None or picture.encode.started is None:
            picture.outcome, picture.reason = "skipped", "unwatched"
            return
        if picture.outcome == "under_way":
            picture.outcome = "encoded"
        self._totals.add_work("motion", picture.motion)
        self._totals.add_work("render", picture.render)
        self._totals.add_work("encode", picture.encode)
        if picture.latency is not None:
            self._totals.latency[picture.source].add(picture.latency)

    def leave(self, pts: int, is_over: bool) -> None:
        """Notes that a connection takes the picture of a 90 kHz time stamp, or has sent it.

        Of several viewers' the first beginning and the last end are kept.
        """
        picture, now = self._by_pts.get(pts), self.clock.now()
        if picture is None:
            return
        if picture.first is None:
            picture.first, picture.outcome = now, "sent"
            self._totals.sent += 1
        if is_over:
            if picture.last is None:
                self._totals.stages["send"].add(now - picture.first)
            picture.last = now

    def interrupted(self) -> None:
        """Counts an interruption."""
        self._totals.interruptions += 1

    def _keep(self, picture: Picture) -> None:
        if len(self._ring) == LENGTH:
            oldest = self._ring.popleft()
            if self._current.get(oldest.block) is oldest:
                del self._current[oldest.block]
        self._ring.append(picture)
