"""Streams of bytes of the LiveKit in memory, and those of text, which nobody reads."""

from __future__ import annotations

from livekit.rtc._proto import ffi_pb2

from tests.livekit_wire import Member, Proto, Rooms, describe_stream, emit, room_event


class Streams(Rooms):
    """What is sent.

    Attributes:
        loses_trailers: whether the ends of byte streams are lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loses_trailers = False
        self._streams: dict[int, tuple[Member, list[int]]] = {}  # by the writer's handle
        self._unread: dict[int, list[ffi_pb2.FfiEvent]] = {}  # by the reader's

    def _open_stream(self, asked: Proto, answered: Proto) -> None:
        member = self._by_handle(asked.local_participant_handle)
        event = ffi_pb2.FfiEvent()
        event.byte_stream_open.async_id = answered.async_id
        writer = event.byte_stream_open.writer
        writer.handle.id = next(self._handles)
        number = f"ST_{next(self._numbers)}"
        describe_stream(writer.info, number, asked.options)
        emit(event)
        wanted = asked.options.destination_identities
        readers = []
        for other in self._others(member):
            if wanted and other.identity not in wanted:
                continue
            event = room_event(other)
            opened = event.room_event.byte_stream_opened
            opened.participant_identity = member.identity
            opened.reader.handle.id = next(self._handles)
            describe_stream(opened.reader.info, number, asked.options)
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
        emit(event)

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
        emit(event)

    def _read_stream(self, asked: Proto, answered: Proto) -> None:
        del answered
        for event in self._unread.pop(asked.reader_handle, []):
            emit(event)

    def _hand(self, reader: int, event: ffi_pb2.FfiEvent) -> None:
        """Gives a reader more; what it does not read yet waits."""
        if reader in self._unread:
            self._unread[reader].append(event)
        else:
            emit(event)

    def _send_bytes(self, asked: Proto, answered: Proto) -> None:
        event = ffi_pb2.FfiEvent()
        event.send_bytes.async_id = answered.async_id
        describe_stream(event.send_bytes.info, "ST_whole", asked.options)
        emit(event)

    def _transcribe(self, asked: Proto, answered: Proto) -> None:
        del asked
        event = ffi_pb2.FfiEvent()
        event.publish_transcription.async_id = answered.async_id
        emit(event)

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
        emit(event)

    def _write_text(self, asked: Proto, answered: Proto) -> None:
        del asked
        event = ffi_pb2.FfiEvent()
        event.text_stream_writer_write.async_id = answered.async_id
        emit(event)

    def _close_text(self, asked: Proto, answered: Proto) -> None:
        del asked
        event = ffi_pb2.FfiEvent()
        event.text_stream_writer_close.async_id = answered.async_id
        emit(event)
