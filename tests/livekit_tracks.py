"""Tracks of the LiveKit in memory: published to all, watched as the native library's own."""

from __future__ import annotations

import time

from livekit.rtc._proto import ffi_pb2

from tests.livekit_wire import Member, Proto, Publication, Rooms, emit, room_event


class Tracks(Rooms):
    """What is shown.

    Attributes:
        published: instant of each publication, by its sid.
        captured: instants at which pictures were given to a track, by its handle.
        subscribed: (track name, instant) of each subscription.
        publishing: a reason for which tracks are refused; empty for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.published: dict[str, float] = {}
        self.captured: dict[int, list[float]] = {}
        self.subscribed: list[tuple[str, float]] = []
        self.publishing = ""
        self._given: dict[int, list[float]] = {}  # by the source's handle
        self._tracks: dict[int, tuple[str, int]] = {}  # (name, kind) of local ones
        self._readers: dict[int, int] = {}  # handle of a remote track: that of the local one

    def note(self, request: ffi_pb2.FfiRequest, response: ffi_pb2.FfiResponse) -> None:
        """Looks at what the native library answered."""
        which = request.WhichOneof("message") or ""
        if which in ("create_audio_track", "create_video_track"):
            made = getattr(response, which).track
            self._tracks[made.handle.id] = (made.info.name, made.info.kind)
            source = getattr(request, which).source_handle
            self.captured[made.handle.id] = self._given.setdefault(source, [])
        elif which == "capture_video_frame":
            source = request.capture_video_frame.source_handle
            self._given.setdefault(source, []).append(time.monotonic())

    def _translate(self, which: str, request: ffi_pb2.FfiRequest) -> None:
        """Lets the native library stream a remote track from the local one that it is."""
        if which in ("new_video_stream", "new_audio_stream"):
            stream = getattr(request, which)
            stream.track_handle = self._readers.get(stream.track_handle, stream.track_handle)

    def _publish(self, asked: Proto, answered: Proto) -> None:
        member = self._by_handle(asked.local_participant_handle)
        event = ffi_pb2.FfiEvent()
        event.publish_track.async_id = answered.async_id
        if self.publishing:
            event.publish_track.error = self.publishing
            emit(event)
            return
        name, kind = self._tracks[asked.track_handle]
        publication = Publication(
            sid=f"TR_{next(self._numbers)}",
            name=name,
            kind=kind,
            source=asked.options.source,
            track=asked.track_handle,
            options=asked.options,
        )
        member.publications[publication.sid] = publication
        self.published[publication.sid] = time.monotonic()
        self._describe_publication(event.publish_track.publication, publication)
        emit(event)
        event = room_event(member)
        event.room_event.local_track_published.track_sid = publication.sid
        self._tell(member, event)
        for other in self._others(member):
            event = room_event(other)
            told = event.room_event.track_published
            told.participant_identity = member.identity
            self._describe_publication(told.publication, publication)
            self._tell(other, event)
            self._subscribe(other, member, publication)

    def _unpublish(self, asked: Proto, answered: Proto) -> None:
        member = self._by_handle(asked.local_participant_handle)
        del member.publications[asked.track_sid]
        event = ffi_pb2.FfiEvent()
        event.unpublish_track.async_id = answered.async_id
        emit(event)
        for other in self._others(member):
            event = room_event(other)
            gone = event.room_event.track_unpublished
            gone.participant_identity, gone.publication_sid = member.identity, asked.track_sid
            self._tell(other, event)

    def _subscribe(self, watcher: Member, member: Member, publication: Publication) -> None:
        if not watcher.subscribes or watcher.identity in publication.watchers:
            return
        publication.watchers.add(watcher.identity)
        self.subscribed.append((publication.name, time.monotonic()))
        event = room_event(watcher)
        told = event.room_event.track_subscribed
        told.participant_identity = member.identity
        told.track.handle.id = next(self._handles)
        self._readers[told.track.handle.id] = publication.track
        info = told.track.info
        info.sid, info.name = publication.sid, publication.name
        info.kind = publication.kind  # type: ignore[assignment]
        info.stream_state, info.muted, info.remote = 1, False, True  # type: ignore[assignment]
        self._tell(watcher, event)
        event = room_event(member)
        event.room_event.local_track_subscribed.track_sid = publication.sid
        self._tell(member, event)
