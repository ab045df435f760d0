"""LiveKit's server in memory, behind the boundary of LiveKit's own native library.

`livekit.rtc` is Python over a native library that is asked by protocol buffers and answers by
events. Here all that would go over the network (rooms, participants, publications, byte streams,
remote calls) is answered in this process; what does not (sources, tracks, streams of frames) is
the native library's, so that pictures and sound that are published can be watched and heard.
Everything above the boundary is the real package.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jwt
import pytest
from livekit import api
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2, room_pb2, rpc_pb2
from livekit.rtc._proto import participant_pb2 as people

URL = "ws://livekit.test:7880"
KEY, SECRET = "devkey", "a secret of thirty-two characters"
_FIRST_HANDLE = 1 << 40  # far from those of the native library
_ACTIVE = people.ParticipantState.PARTICIPANT_STATE_ACTIVE
_KINDS = {"agent": people.ParticipantKind.PARTICIPANT_KIND_AGENT}
_STANDARD = people.ParticipantKind.PARTICIPANT_KIND_STANDARD

Request = ffi_pb2.FfiRequest
Response = ffi_pb2.FfiResponse
Proto: TypeAlias = Any  # a message of the native library's, or the library
Answer = Callable[[Any, Any], None]


def token(identity: str, room: str, *, kind: str = "standard", **attributes: str) -> str:
    """Returns what lets somebody into a room."""
    access = api.AccessToken(KEY, SECRET).with_identity(identity).with_kind(kind)  # type: ignore[arg-type]
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    grants = api.VideoGrants(room_join=True, room=room)
    return access.with_attributes(named).with_grants(grants).to_jwt()


@dataclass(eq=False)
class Publication:
    """A track that somebody shows to a room."""

    sid: str
    name: str
    kind: int
    source: int
    track: int  # handle of the native library's
    options: room_pb2.TrackPublishOptions
    watchers: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Member:
    """Somebody in a room."""

    room: str
    claims: dict[str, Any]
    handle: int
    room_handle: int
    subscribes: bool
    is_ready: bool = False
    methods: set[str] = field(default_factory=set)
    publications: dict[str, Publication] = field(default_factory=dict)
    early: list[ffi_pb2.FfiEvent] = field(default_factory=list)

    @property
    def identity(self) -> str:
        return str(self.claims["sub"])


@dataclass(frozen=True)
class Call:
    """A remote call as it was made."""

    caller: str
    target: str
    method: str
    payload: str
    at: float  # time.monotonic


class Cloud:
    """The server.

    Attributes:
        calls: every remote call so far.
        answered: seconds that each took, in the order of their answers, with its method.
        published: instant of each publication, by its sid.
        captured: instants at which pictures were given to a track, by its handle.
        subscribed: (track name, instant) of each subscription.
        fails: how many of the next calls of a method fail on the way.
        loses_trailers: whether the ends of byte streams are lost.
        attributes: those that somebody set.
        publishing: a reason for which tracks are refused; empty for none.
    """

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self.calls: list[Call] = []
        self.answered: list[tuple[str, float]] = []
        self.subscribed: list[tuple[str, float]] = []
        self.fails: dict[str, int] = {}
        self.loses_trailers = False
        self.publishing = ""
        self.attributes: list[dict[str, str]] = []
        self.published: dict[str, float] = {}
        self.captured: dict[int, list[float]] = {}
        self._given: dict[int, list[float]] = {}  # by the source's handle
        self._handles = itertools.count(_FIRST_HANDLE)
        self._numbers = itertools.count(1)
        self._streams: dict[int, tuple[Member, list[int]]] = {}  # by the writer's handle
        self._unread: dict[int, list[ffi_pb2.FfiEvent]] = {}  # by the reader's
        self._tracks: dict[int, tuple[str, int]] = {}  # (name, kind) of local ones
        self._readers: dict[int, int] = {}  # handle of a remote track: that of the local one
        self._calling: dict[int, tuple[int, Member, Member, str, float]] = {}  # by invocation
        self._answers: dict[str, Answer] = {
            "connect": self._connect,
            "ready_for_room_event": self._ready,
            "disconnect": self._disconnect,
            "publish_track": self._publish,
            "unpublish_track": self._unpublish,
            "byte_stream_open": self._open_stream,
            "byte_stream_write": self._write_stream,
            "byte_stream_close": self._close_stream,
            "byte_read_incremental": self._read_stream,
            "register_rpc_method": self._register,
            "unregister_rpc_method": self._unregister,
            "perform_rpc": self._call,
            "rpc_method_invocation_response": self._call_answered,
            "set_local_attributes": self._set_attributes,
            "publish_transcription": self._transcribe,
            "send_bytes": self._send_bytes,
            "set_track_subscription_permissions": self._ignore,
            "text_stream_open": self._open_text,
            "text_stream_write": self._write_text,
            "text_stream_close": self._close_text,
        }

    def of(self, method: str) -> list[Call]:
        """Returns the calls of one method."""
        return [call for call in self.calls if call.method == method]

    def member(self, identity: str) -> Member | None:
        found = [member for member in self.members.values() if member.identity == identity]
        return found[0] if found else None

    def close_room(self, room: str) -> None:
        """Ends a room for everybody, as its deletion does."""
        for member in list(self.members.values()):
            if member.room == room:
                self._drop(member, people.DisconnectReason.ROOM_DELETED)

    def lose(self, identity: str) -> None:
        """Takes one out of its room."""
        member = self.member(identity)
        assert member is not None
        self._drop(member, people.DisconnectReason.PARTICIPANT_REMOVED)

    def answer(self, request: Request) -> Response | None:
        """Returns the answer to a request, or None where it is the native library's to give."""
        which = request.WhichOneof("message") or ""
        self._translate(which, request)
        if which not in self._answers:
            return None
        response = Response()
        asked = getattr(request, which)
        answered = getattr(response, which)
        answered.SetInParent()
        if hasattr(answered, "async_id"):
            answered.async_id = next(self._numbers)
        self._answers[which](asked, answered)
        return response

    def note(self, request: Request, response: Response) -> None:
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

    def _translate(self, which: str, request: Request) -> None:
        """Lets the native library stream a remote track from the local one that it is."""
        if which in ("new_video_stream", "new_audio_stream"):
            stream = getattr(request, which)
            stream.track_handle = self._readers.get(stream.track_handle, stream.track_handle)

    def _ignore(self, asked: Proto, answered: Proto) -> None:
        del asked, answered

    def _transcribe(self, asked: Proto, answered: Proto) -> None:
        del asked
        event = ffi_pb2.FfiEvent()
        event.publish_transcription.async_id = answered.async_id
        _emit(event)

    def _send_bytes(self, asked: Proto, answered: Proto) -> None:
        event = ffi_pb2.FfiEvent()
        event.send_bytes.async_id = answered.async_id
        _describe_stream(event.send_bytes.info, "ST_whole", asked.options)
        _emit(event)

    def _open_text(self, asked: Proto, answered: Proto) -> None:
        """Takes a stream of text, which nobody here reads."""
        event = ffi_pb2.FfiEvent()
        event.text_stream_open.async_id = answered.async_id
        writer = event.text_stream_open.writer
        writer.handle.id = next(self._handles)
        info = writer.info
        info.stream_id, info.topic, info.mime_type = "text", asked.options.topic, "text/plain"
        info.timestamp, info.encryption_type = 0, 0  # type: ignore[assignment]
        info.operation_type = 0  # type: ignore[assignment]
        _emit(event)

    def _write_text(self, asked: Proto, answered: Proto) -> None:
        del asked
        event = ffi_pb2.FfiEvent()
        event.text_stream_writer_write.async_id = answered.async_id
        _emit(event)

    def _close_text(self, asked: Proto, answered: Proto) -> None:
        del asked
        event = ffi_pb2.FfiEvent()
        event.text_stream_writer_close.async_id = answered.async_id
        _emit(event)

    # Rooms and those in them

    def _connect(self, asked: Proto, answered: Proto) -> None:
        event = ffi_pb2.FfiEvent()
        event.connect.async_id = answered.async_id
        try:
            if asked.url != URL:
                raise ValueError("IO error: Connection refused")
            claims = jwt.decode(asked.token, SECRET, algorithms=["HS256"])
        except (jwt.InvalidTokenError, ValueError) as error:
            event.connect.error = f"engine: signal failure: {error} ({asked.token})"
            _emit(event)
            return
        handles = (next(self._handles), next(self._handles))
        name = claims["video"]["room"]
        member = Member(name, claims, *handles, subscribes=asked.options.auto_subscribe)
        same = [each for each in self._others(member) if each.identity == member.identity]
        for before in same:
            self._drop(before, people.DisconnectReason.DUPLICATE_IDENTITY)
        result = event.connect.result
        result.room.handle.id = member.room_handle
        _describe_room(result.room.info, name)
        self._describe(result.local_participant, member, handle=member.handle)
        for other in self._others(member):
            told = result.participants.add()
            self._describe(told.participant, other)
            for publication in other.publications.values():
                self._describe_publication(told.publications.add(), publication)
        self.members[member.room_handle] = member
        _emit(event)

    def _ready(self, asked: Proto, answered: Proto) -> None:
        del answered
        member = self.members[asked.room_handle]
        member.is_ready = True
        for event in member.early:
            _emit(event)
        member.early.clear()
        for other in self._others(member):
            event = _room_event(other)
            self._describe(event.room_event.participant_connected.info, member)
            self._tell(other, event)
            event = _room_event(other)
            event.room_event.participant_active.participant_identity = member.identity
            self._tell(other, event)
            for publication in other.publications.values():
                self._subscribe(member, other, publication)

    def _disconnect(self, asked: Proto, answered: Proto) -> None:
        event = ffi_pb2.FfiEvent()
        event.disconnect.async_id = answered.async_id
        member = self.members.get(asked.room_handle)
        if member is not None:
            self._drop(member, asked.reason, says_why=False)
        _emit(event)

    def _drop(self, member: Member, reason: int, *, says_why: bool = True) -> None:
        del self.members[member.room_handle]
        for invocation, (number, caller, target, method, _) in list(self._calling.items()):
            if target is member:
                del self._calling[invocation]
                self._fail_call(caller, number, method, 1503, "Recipient disconnected")
        if says_why:
            event = _room_event(member)
            event.room_event.disconnected.reason = reason  # type: ignore[assignment]
            _emit(event)
            event = _room_event(member)
            state = room_pb2.ConnectionState.CONN_DISCONNECTED
            event.room_event.connection_state_changed.state = state
            _emit(event)
        event = _room_event(member)
        event.room_event.eos.SetInParent()
        _emit(event)
        for other in self._others(member):
            event = _room_event(other)
            gone = event.room_event.participant_disconnected
            gone.participant_identity = member.identity
            gone.disconnect_reason = reason  # type: ignore[assignment]
            self._tell(other, event)

    def _set_attributes(self, asked: Proto, answered: Proto) -> None:
        self.attributes.append({entry.key: entry.value for entry in asked.attributes})
        event = ffi_pb2.FfiEvent()
        event.set_local_attributes.async_id = answered.async_id
        _emit(event)

    def _others(self, member: Member) -> list[Member]:
        return [
            other
            for other in list(self.members.values())
            if other.room == member.room and other is not member
        ]

    def _by_handle(self, handle: int) -> Member:
        return next(member for member in self.members.values() if member.handle == handle)

    def _tell(self, member: Member, event: ffi_pb2.FfiEvent) -> None:
        """Sends an event of a room; one that is not listened for yet waits."""
        if member.is_ready:
            _emit(event)
        else:
            member.early.append(event)

    # Tracks

    def _publish(self, asked: Proto, answered: Proto) -> None:
        member = self._by_handle(asked.local_participant_handle)
        event = ffi_pb2.FfiEvent()
        event.publish_track.async_id = answered.async_id
        if self.publishing:
            event.publish_track.error = self.publishing
            _emit(event)
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
        _emit(event)
        event = _room_event(member)
        event.room_event.local_track_published.track_sid = publication.sid
        self._tell(member, event)
        for other in self._others(member):
            event = _room_event(other)
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
        _emit(event)
        for other in self._others(member):
            event = _room_event(other)
            gone = event.room_event.track_unpublished
            gone.participant_identity, gone.publication_sid = member.identity, asked.track_sid
            self._tell(other, event)

    def _subscribe(self, watcher: Member, member: Member, publication: Publication) -> None:
        if not watcher.subscribes or watcher.identity in publication.watchers:
            return
        publication.watchers.add(watcher.identity)
        self.subscribed.append((publication.name, time.monotonic()))
        event = _room_event(watcher)
        told = event.room_event.track_subscribed
        told.participant_identity = member.identity
        told.track.handle.id = next(self._handles)
        self._readers[told.track.handle.id] = publication.track
        info = told.track.info
        info.sid, info.name = publication.sid, publication.name
        info.kind = publication.kind  # type: ignore[assignment]
        info.stream_state, info.muted, info.remote = 1, False, True  # type: ignore[assignment]
        self._tell(watcher, event)
        event = _room_event(member)
        event.room_event.local_track_subscribed.track_sid = publication.sid
        self._tell(member, event)

    # Streams of bytes

    def _open_stream(self, asked: Proto, answered: Proto) -> None:
        member = self._by_handle(asked.local_participant_handle)
        event = ffi_pb2.FfiEvent()
        event.byte_stream_open.async_id = answered.async_id
        writer = event.byte_stream_open.writer
        writer.handle.id = next(self._handles)
        number = f"ST_{next(self._numbers)}"
        _describe_stream(writer.info, number, asked.options)
        _emit(event)
        wanted = asked.options.destination_identities
        readers = []
        for other in self._others(member):
            if wanted and other.identity not in wanted:
                continue
            event = _room_event(other)
            opened = event.room_event.byte_stream_opened
            opened.participant_identity = member.identity
            opened.reader.handle.id = next(self._handles)
            _describe_stream(opened.reader.info, number, asked.options)
            self._unread[opened.reader.handle.id] = []
            readers.append(opened.reader.handle.id)
            self._tell(other, event)
        self._streams[writer.handle.id] = (member, readers)

    def _write_stream(self, asked: Proto, answered: Proto) -> None:
        for reader in self._streams[asked.writer_handle][1]:
            # The network carries 15,000 bytes at a time.
            for start in range(0, len(asked.bytes), 15_000):
                event = ffi_pb2.FfiEvent()
                event.byte_stream_reader_event.reader_handle = reader
                content = asked.bytes[start : start + 15_000]
                event.byte_stream_reader_event.chunk_received.content = content
                self._hand(reader, event)
        event = ffi_pb2.FfiEvent()
        event.byte_stream_writer_write.async_id = answered.async_id
        _emit(event)

    def _close_stream(self, asked: Proto, answered: Proto) -> None:
        _, readers = self._streams.pop(asked.writer_handle)
        for reader in readers:
            if not self.loses_trailers:
                event = ffi_pb2.FfiEvent()
                event.byte_stream_reader_event.reader_handle = reader
                event.byte_stream_reader_event.eos.SetInParent()
                self._hand(reader, event)
        event = ffi_pb2.FfiEvent()
        event.byte_stream_writer_close.async_id = answered.async_id
        _emit(event)

    def _read_stream(self, asked: Proto, answered: Proto) -> None:
        del answered
        for event in self._unread.pop(asked.reader_handle, []):
            _emit(event)

    def _hand(self, reader: int, event: ffi_pb2.FfiEvent) -> None:
        """Gives a reader more; what it does not read yet waits."""
        if reader in self._unread:
            self._unread[reader].append(event)
        else:
            _emit(event)

    # Remote calls

    def _register(self, asked: Proto, answered: Proto) -> None:
        del answered
        self._by_handle(asked.local_participant_handle).methods.add(asked.method)

    def _unregister(self, asked: Proto, answered: Proto) -> None:
        del answered
        self._by_handle(asked.local_participant_handle).methods.discard(asked.method)

    def _call(self, asked: Proto, answered: Proto) -> None:
        caller = self._by_handle(asked.local_participant_handle)
        method, now = asked.method, time.monotonic()
        number = answered.async_id
        if self.fails.get(method, 0):
            self.fails[method] -= 1
            self._fail_call(caller, number, method, 1501, "Connection timeout")
            return
        self.calls.append(
            Call(caller.identity, asked.destination_identity, method, asked.payload, now)
        )
        found = [
            each for each in self._others(caller) if each.identity == asked.destination_identity
        ]
        if not found:
            self._fail_call(caller, number, method, 1401, "Recipient not found")
            return
        target = found[0]
        if method not in target.methods:
            self._fail_call(caller, number, method, 1400, "Method not supported at destination")
            return
        invocation = next(self._numbers)
        self._calling[invocation] = (number, caller, target, method, now)
        event = ffi_pb2.FfiEvent()
        told = event.rpc_method_invocation
        told.local_participant_handle = target.handle
        told.invocation_id = invocation
        told.method, told.request_id = method, str(invocation)
        told.caller_identity, told.payload = caller.identity, asked.payload
        told.response_timeout_ms = asked.response_timeout_ms or 10_000
        _emit(event)

    def _call_answered(self, asked: Proto, answered: Proto) -> None:
        del answered
        found = self._calling.pop(asked.invocation_id, None)
        if found is None:
            return
        number, caller, _, method, began = found
        self.answered.append((method, time.monotonic() - began))
        event = ffi_pb2.FfiEvent()
        event.perform_rpc.async_id = number
        if asked.HasField("error"):
            event.perform_rpc.error.CopyFrom(asked.error)
        else:
            event.perform_rpc.payload = asked.payload
        self._tell(caller, event)

    def _fail_call(self, caller: Member, number: int, method: str, code: int, text: str) -> None:
        del method
        event = ffi_pb2.FfiEvent()
        event.perform_rpc.async_id = number
        event.perform_rpc.error.CopyFrom(rpc_pb2.RpcError(code=code, message=text))
        self._tell(caller, event)

    # What is told of whom

    def _describe(
        self, told: people.OwnedParticipant, member: Member, *, handle: int | None = None
    ) -> None:
        claims = member.claims
        told.handle.id = next(self._handles) if handle is None else handle
        info = told.info
        info.sid, info.identity = f"PA_{member.handle}", member.identity
        info.name, info.metadata = claims.get("name", ""), claims.get("metadata", "")
        info.attributes.update(claims.get("attributes", {}))
        info.state = _ACTIVE
        info.kind = _KINDS.get(claims.get("kind", ""), _STANDARD)
        info.disconnect_reason = people.DisconnectReason.UNKNOWN_REASON
        info.joined_at, info.client_protocol = 0, 0

    def _describe_publication(self, told: Proto, publication: Publication) -> None:
        told.handle.id = next(self._handles)
        info = told.info
        info.sid, info.name = publication.sid, publication.name
        info.kind, info.source = publication.kind, publication.source
        info.simulcasted, info.muted, info.remote = False, False, True
        info.width, info.height, info.mime_type, info.encryption_type = 0, 0, "", 0


def _describe_room(info: room_pb2.RoomInfo, name: str) -> None:
    info.sid, info.name, info.metadata = f"RM_{name}", name, ""
    for field_name in (
        "lossy_dc_buffered_amount_low_threshold",
        "reliable_dc_buffered_amount_low_threshold",
        "empty_timeout",
        "departure_timeout",
        "max_participants",
        "creation_time",
        "num_participants",
        "num_publishers",
        "active_recording",
    ):
        setattr(info, field_name, 0)


def _describe_stream(info: Proto, number: str, options: Proto) -> None:
    info.stream_id, info.timestamp, info.encryption_type = number, 0, 0
    info.mime_type, info.topic, info.name = options.mime_type, options.topic, options.name
    info.attributes.update(options.attributes)


def _room_event(member: Member) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.room_event.room_handle = member.room_handle
    return event


def _emit(event: ffi_pb2.FfiEvent) -> None:
    FfiClient.instance.queue.put(event)


class _Library:
    """The native library, but for handles that are a cloud's."""

    def __init__(self, library: Proto) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Proto:
        return getattr(self._library, name)

    def livekit_ffi_drop_handle(self, handle: Proto) -> bool:
        if handle.value >= _FIRST_HANDLE:
            return True
        return bool(self._library.livekit_ffi_drop_handle(handle))


@contextmanager
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Yields the server that every `rtc.Room` of this process connects to meanwhile."""
    made = Cloud()
    client = FfiClient.instance
    asks = client.request

    def request(asked: Request) -> Response:
        response = made.answer(asked)
        if response is None:
            response = asks(asked)
            made.note(asked, response)
        return response

    monkeypatch.setattr(client, "request", request)
    if not isinstance(client._ffi_lib, _Library):
        client._ffi_lib = _Library(client._ffi_lib)  # for good: handles outlive their test
    yield made


async def until(condition: Callable[[], object], *, seconds: float = 60) -> None:
    """Returns once a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - whatever it looks at has no event
            await asyncio.sleep(0.005)
