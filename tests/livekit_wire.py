"""What the LiveKit in memory knows of rooms and those in them, and how it tells them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2, room_pb2
from livekit.rtc._proto import participant_pb2 as people

FIRST_HANDLE = 1 << 40  # far from those of the native library
_ACTIVE = people.ParticipantState.PARTICIPANT_STATE_ACTIVE
_KINDS = {"agent": people.ParticipantKind.PARTICIPANT_KIND_AGENT}
_STANDARD = people.ParticipantKind.PARTICIPANT_KIND_STANDARD

Proto: TypeAlias = Any  # a message of the native library's, or the library


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


class Rooms:
    """Everybody in every room.

    Attributes:
        members: by the handles of their rooms.
    """

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}
        self._handles = itertools.count(FIRST_HANDLE)
        self._numbers = itertools.count(1)

    def member(self, identity: str) -> Member | None:
        found = [member for member in self.members.values() if member.identity == identity]
        return found[0] if found else None

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
            emit(event)
        else:
            member.early.append(event)

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


def describe_room(info: room_pb2.RoomInfo, name: str) -> None:
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


def describe_stream(info: Proto, number: str, options: Proto) -> None:
    info.stream_id, info.timestamp, info.encryption_type = number, 0, 0
    info.mime_type, info.topic, info.name = options.mime_type, options.topic, options.name
    info.attributes.update(options.attributes)


def room_event(member: Member) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.room_event.room_handle = member.room_handle
    return event


def emit(event: ffi_pb2.FfiEvent) -> None:
    FfiClient.instance.queue.put(event)
