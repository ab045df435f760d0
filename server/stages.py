"""The log of a session's latest pictures: when each stage was, and what became of them.

One record a picture in a ring of fixed length, written on the event loop alone: no lock, no
copy, a few microseconds a picture. Work on other threads carries a `Span`, whose instants are
taken there. It decides nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from server.clock import Clock, wall_time
from server.encoder import video_pts
from server.evenness import TOLERANCE
from server.pacing import to_nanoseconds
from server.picture import Drawn, Origin, Picture, Reason, Span
from server.speech import Block
from server.stage_totals import DROPPED, Totals
from streaming_model.media import VideoFrame

_BEGINNING = 25  # pictures of a session that are not held against the machine: it still learns
LENGTH = 250  # pictures, ten seconds at 25 a second


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
        self._watched = 0  # pictures encoded or late since somebody watches
        self._before: tuple[int, int] | None = None  # (instant, media time) of the last encoded

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
        self._note_evenness(is_even=False)

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

    def shown(self, picture: Picture) -> None:
        """Notes that it was encoded and handed out, if anybody watched; adds it to the totals."""
        if picture.encode is None or picture.encode.started is None:
            picture.outcome, picture.reason = "skipped", "unwatched"
            self._watched, self._before = 0, None
            return
        picture.shown = self.clock.now()
        self._note_pause(picture.media_time)
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

    def _note_pause(self, media_time: int) -> None:
        now = self.clock.now()
        if self._before is not None:
            instant, before = self._before
            too_long = now - instant - to_nanoseconds(media_time - before)
            self._note_evenness(is_even=too_long <= TOLERANCE)
        self._before = now, media_time

    def _note_evenness(self, *, is_even: bool) -> None:
        self._watched += 1
        if self._watched > _BEGINNING:
            self._totals.evenness.note(self.clock.now(), is_even=is_even)

    def _keep(self, picture: Picture) -> None:
        if len(self._ring) == LENGTH:
            oldest = self._ring.popleft()
            if self._current.get(oldest.block) is oldest:
                del self._current[oldest.block]
        self._ring.append(picture)
