"""LiveKit's server in memory, behind the boundary of LiveKit's own native library.

`livekit.rtc` is Python over a native library that is asked by protocol buffers and answers by
events. Here all that would go over the network (rooms, participants, publications, byte streams,
remote calls) is answered in this process; what does not (sources, tracks, streams of frames) is
the native library's, so that pictures and sound that are published can be watched and heard.
Everything above the boundary is the real package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jwt
import pytest
from livekit import api
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2, room_pb2
from livekit.rtc._proto import participant_pb2 as people

from tests.livekit_calls import Calls
from tests.livekit_streams import Streams
from tests.livekit_tracks import Tracks
from tests.livekit_wire import FIRST_HANDLE, Member, Proto, describe_room, emit, room_event

URL = "ws://livekit.test:7880"
KEY, SECRET = "devkey", "a secret of thirty-two characters"

Request = ffi_pb2.FfiRequest
Response = ffi_pb2.FfiResponse
Answer = Callable[[Proto, Proto], None]


def token(identity: str, room: str, *, kind: str = "standard", **attributes: str) -> str:
    """Returns what lets somebody into a room."""
    access = api.AccessToken(KEY, SECRET).with_identity(identity).with_kind(kind)  # type: ignore[arg-type]
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    grants = api.VideoGrants(room_join=True, room=room)
    return access.with_attributes(named).with_grants(grants).to_jwt()


class Cloud(Tracks, Streams, Calls):
    """The server.

    Attributes:
        attributes: those that somebody set.
        keeps_waiting: whether nobody who connects is answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[dict[str, str]] = []
        self.keeps_waiting = False
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

    def _ignore(self, asked: Proto, answered: Proto) -> None:
        del asked, answered

    def _connect(self, asked: Proto, answered: Proto) -> None:
        if self.keeps_waiting:
            return
        event = ffi_pb2.FfiEvent()
        event.connect.async_id = answered.async_id
        try:
            if asked.url != URL:
                raise ValueError("IO error: Connection refused")
            claims = jwt.decode(asked.token, SECRET, algorithms=["HS256"])
        except (jwt.InvalidTokenError, ValueError) as error:
            event.connect.error = f"engine: signal failure: {error} ({asked.token})"
            emit(event)
            return
        handles = (next(self._handles), next(self._handles))
        name = claims["video"]["room"]
        member = Member(name, claims, *handles, subscribes=asked.options.auto_subscribe)
        same = [each for each in self._others(member) if each.identity == member.identity]
        for before in same:
            self._drop(before, people.DisconnectReason.DUPLICATE_IDENTITY)
        result = event.connect.result
        result.room.handle.id = member.room_handle
        describe_room(result.room.info, name)
        self._describe(result.local_participant, member, handle=member.handle)
        for other in self._others(member):
            told = result.participants.add()
            self._describe(told.participant, other)
            for publication in other.publications.values():
                self._describe_publication(told.publications.add(), publication)
        self.members[member.room_handle] = member
        emit(event)

    def _ready(self, asked: Proto, answered: Proto) -> None:
        del answered
        member = self.members[asked.room_handle]
        member.is_ready = True
        for event in member.early:
            emit(event)
        member.early.clear()
        for other in self._others(member):
            event = room_event(other)
            self._describe(event.room_event.participant_connected.info, member)
            self._tell(other, event)
            event = room_event(other)
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
        emit(event)

    def _drop(self, member: Member, reason: int, *, says_why: bool = True) -> None:
        del self.members[member.room_handle]
        for invocation, (number, caller, target, method, _) in list(self._calling.items()):
            if target is member:
                del self._calling[invocation]
                self._fail_call(caller, number, method, 1503, "Recipient disconnected")
        if says_why:
            event = room_event(member)
            event.room_event.disconnected.reason = reason  # type: ignore[assignment]
            emit(event)
            event = room_event(member)
            state = room_pb2.ConnectionState.CONN_DISCONNECTED
            event.room_event.connection_state_changed.state = state
            emit(event)
        event = room_event(member)
        event.room_event.eos.SetInParent()
        emit(event)
        for other in self._others(member):
            event = room_event(other)
            gone = event.room_event.participant_disconnected
            gone.participant_identity = member.identity
            gone.disconnect_reason = reason  # type: ignore[assignment]
            self._tell(other, event)

    def _set_attributes(self, asked: Proto, answered: Proto) -> None:
        self.attributes.append({entry.key: entry.value for entry in asked.attributes})
        event = ffi_pb2.FfiEvent()
        event.set_local_attributes.async_id = answered.async_id
        emit(event)


class _Library:
    """The native library, but for handles that are a cloud's."""

    def __init__(self, library: Proto) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Proto:
        return getattr(self._library, name)

    def livekit_ffi_drop_handle(self, handle: Proto) -> bool:
        if handle.value >= FIRST_HANDLE:
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
