"""A session's log of stages as it is told: typed JSON, or a trace for ui.perfetto.dev.

Instants are milliseconds since the log's zero, exact to the microsecond. The trace is in the
Trace Event Format (Google, "Trace Event Format", 2016), which Chrome and Perfetto read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from server.picture import Outcome, Picture, Reason, Source, Span
from server.stages import Stages

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THREADS = {"motion": 1, "render": 2, "encode": 3}  # numbers of their rows in a trace


class WorkTimes(BaseModel):
    """When a piece of work was asked for, began and ended, in ms."""

    queued: float
    started: float | None
    done: float | None


class SendTimes(BaseModel):
    """When the first packet was handed to a connection, and the last, in ms."""

    first: float
    last: float | None


class PictureTimes(BaseModel):
    """One picture; what it has not come to is null. docs/protocol.md tells each field."""

    media_time: int
    utterance: int
    source: Source
    outcome: Outcome
    reason: Reason | None
    arrived: float | None
    composed: float
    motion: WorkTimes | None
    render: WorkTimes | None
    due: float | None
    released: float | None
    encode: WorkTimes | None
    sent: SendTimes | None
    latency_ms: float | None


class StageTimeline(BaseModel):
    """What `GET /v1/sessions/{id}/timeline` tells."""

    session_id: str
    zero: str
    now: float
    pictures: list[PictureTimes]


def choose(stages: Stages, *, limit: int, since: int) -> list[Picture]:
    """Returns the latest `limit` records from media time `since` on, as they were begun."""
    return [picture for picture in stages.pictures() if picture.media_time >= since][-limit:]


def tell(session_id: str, stages: Stages, pictures: Sequence[Picture]) -> StageTimeline:
    """Returns these records with the zero of their instants."""
    return StageTimeline(
        session_id=session_id,
        zero=_date(stages.date),
        now=_ms(stages.clock.now() - stages.zero),
        pictures=[_tell_picture(picture, stages.zero) for picture in pictures],
    )


def trace(session_id: str, stages: Stages, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Returns these records as a trace: a row for each thread's work, and each picture's way."""
    named = [
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": row, "args": {"name": name}}
        for name, row in _THREADS.items()
    ]
    process = {"name": f"session {session_id}"}
    events = [{"name": "process_name", "ph": "M", "pid": 1, "args": process}, *named]
    seen: set[int] = set()  # a step's motion is that of several pictures
    for number, picture in enumerate(pictures):
        events += _work_events(picture, stages.zero, seen)
        events += _way_events(picture, stages.zero, number)
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"zero": _date(stages.date)},
    }


def _tell_picture(picture: Picture, zero: int) -> PictureTimes:
    def at(instant: int | None) -> float | None:
        return None if instant is None else _ms(instant - zero)

    def work(span: Span | None) -> WorkTimes | None:
        if span is None:
            return None
        return WorkTimes(
            queued=_ms(span.queued - zero), started=at(span.started), done=at(span.done)
        )

    first = at(picture.first)
    return PictureTimes(
        media_time=picture.media_time,
        utterance=picture.utterance,
        source=picture.source,
        outcome=picture.outcome,
        reason=picture.reason,
        arrived=at(picture.arrived),
        composed=_ms(picture.composed - zero),
        motion=work(picture.motion),
        render=work(picture.render),
        due=at(picture.due),
        released=at(picture.released),
        encode=work(picture.encode),
        sent=None if first is None else SendTimes(first=first, last=at(picture.last)),
        latency_ms=None if picture.latency is None else _ms(picture.latency),
    )


def _work_events(picture: Picture, zero: int, seen: set[int]) -> Iterator[dict[str, Any]]:
    spans = {"motion": picture.motion, "render": picture.render, "encode": picture.encode}
    for name, span in spans.items():
        if span is None or span.started is None or span.done is None or id(span) in seen:
            continue
        seen.add(id(span))
        yield {
            "name": name,
            "cat": "work",
            "ph": "X",
            "pid": 1,
            "tid": _THREADS[name],
            "ts": _us(span.started - zero),
            "dur": _us(span.done - span.started),
            "args": _arguments(picture),
        }


def _way_events(picture: Picture, zero: int, number: int) -> Iterator[dict[str, Any]]:
    """Yields the picture's whole way, which overlaps others', and its sending."""
    ends = [instant for instant in _instants(picture) if instant is not None]
    ways = [("picture", picture.heard, max(ends))]
    if picture.first is not None and picture.last is not None:
        ways.append(("send", picture.first, picture.last))
    for name, first, last in ways:
        shared = {"name": name, "cat": name, "id": number, "pid": 1, "tid": 0}
        yield {**shared, "ph": "b", "ts": _us(first - zero), "args": _arguments(picture)}
        yield {**shared, "ph": "e", "ts": _us(last - zero)}


def _instants(picture: Picture) -> list[int | None]:
    spans = (picture.motion, picture.render, picture.encode)
    done = [span.done for span in spans if span is not None]
    return [picture.composed, *done, picture.due, picture.released, picture.first, picture.last]


def _arguments(picture: Picture) -> dict[str, Any]:
    return {
        "media_time": picture.media_time,
        "utterance": picture.utterance,
        "outcome": picture.outcome,
        "reason": picture.reason,
    }


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / 1_000_000, 3)


def _us(nanoseconds: int) -> float:
    return nanoseconds / 1000


def _date(nanoseconds: int) -> str:
    date = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return date.isoformat(timespec="microseconds").replace("+00:00", "Z")
