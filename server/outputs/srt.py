"""A caller of SRT in live mode: what is written to it reaches a listener in order and in time.

PyAV's wheels come without libsrt. This sends only: handshake, data, repeats, keep-alives and the
end, and encryption where a passphrase is given (draft-sharabayko-srt-01). It blocks, and has a
thread that listens.
"""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections import OrderedDict
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from server.outputs import srt_packets as srt

_LATENCY = 200  # ms that a receiver buffers, if the address does not say
_ASK_AGAIN = 0.25  # seconds between handshakes that go unanswered
_KEEP_ALIVE = 1.0  # seconds
_LAST_AGAIN = 0.1  # seconds after which the last packet is repeated if nobody confirms it
_LINGER = 1.0  # seconds that the end of a connection waits for the last packets to arrive
_SILENCE = 5.0  # seconds without a word of the other side, after which it is gone
_REASONS = {
    1003: "it has no room",
    1005: "it has too many callers",
    1008: "it speaks another version of SRT",
    1010: "the passphrase is wrong",
    1011: "one side wants encryption and the other does not",
    1400: "it does not understand the stream id",
    1401: "the stream id is not authorised",
    1402: "it is overloaded",
    1403: "the stream id is forbidden",
    1404: "it knows no such stream id",
    1409: "somebody streams there already",
}
_FINAL = (1010, 1011, 1400, 1401, 1403, 1404)


class SrtError(Exception):
    """The connection did not come to be, or is over.

    Attributes:
        is_final: whether another attempt would end alike.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class SrtStream:
    """A connection, as a file to write to.

    Raises:
        SrtError: the listener does not answer or refuses.
        OSError: it cannot be reached.
    """

    PAYLOAD = 1316  # bytes of a packet: seven of MPEG-TS

    def __init__(self, url: str, *, patience: float) -> None:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query))
        self._latency = int(given.get("latency", _LATENCY))
        self._stream_id = given.get("streamid", "")
        passphrase = given.get("passphrase")
        size = int(given.get("pbkeylen", "16"))
        self._key = srt.Key(passphrase, size) if passphrase else None
        self._began = time.monotonic()
        self._id = random.randrange(1, 1 << 30)
        self._peer = 0
        self._number = random.randrange(1 << 30)
        self._messages = 0
        self._sent: OrderedDict[int, tuple[float, bytes]] = OrderedDict()  # by sequence number
        self._error: Exception | None = None
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        address = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(address[0], socket.SOCK_DGRAM)
        try:
            self._socket.connect(address[4])
            self._shake_hands(patience)
        except BaseException:
            self._socket.close()
            raise
        self._heard = self._spoke = time.monotonic()
        self._listener = threading.Thread(target=self._listen, name="srt", daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        deadline = time.monotonic() + _LINGER
        while self._sent and self._error is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self._is_over.set()
        self._listener.join()
        if self._error is None:
            self._send(srt.SHUTDOWN, body=bytes(4))
        self._socket.close()

    def write(self, content: bytes) -> int:
        """Sends it in packets.

        Raises:
            SrtError: the connection is over.
            OSError: the same, by the system's account.
        """
        if self._error is not None:
            raise self._error
        for start in range(0, len(content), self.PAYLOAD):
            self._send_data(content[start : start + self.PAYLOAD])
        return len(content)

    def _send_data(self, payload: bytes) -> None:
        now = time.monotonic()
        packet = srt.data(
            payload,
            number=self._number,
            message=self._messages + 1,
            time=self._time(now),
            to=self._peer,
            key=self._key,
        )
        with self._lock:
            self._sent[self._number] = (now, packet)
            self._forget(now)
        self._number = (self._number + 1) % srt.SEQUENCE_NUMBERS
        self._messages += 1
        self._spoke = now
        self._socket.send(packet)

    def _forget(self, now: float) -> None:
        """Forgets what comes too late to be played if it is repeated (section 4.6)."""
        kept = max(1.0, 1.25 * self._latency / 1000)
        while self._sent and now - next(iter(self._sent.values()))[0] > kept:
            self._sent.popitem(last=False)

    def _shake_hands(self, patience: float) -> None:
        answer = self._ask(srt.induction(self._id), srt.INDUCTION, to=0, patience=patience)
        if answer.version != 5:
            raise SrtError("The target speaks an SRT that is older than 1.3.", is_final=True)
        body = srt.conclusion(
            socket=self._id,
            cookie=answer.cookie,
            first=self._number,
            latency_ms=self._latency,
            stream_id=self._stream_id,
            key=self._key,
        )
        self._peer = self._ask(body, srt.CONCLUSION, to=0, patience=patience).socket

    def _ask(self, body: bytes, kind: int, *, to: int, patience: float) -> srt.Handshake:
        """Sends a handshake until it is answered by one of the same kind."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self._send(srt.HANDSHAKE, to=to, body=body)
            if not select.select([self._socket], [], [], _ASK_AGAIN)[0]:
                continue
            packet = srt.read_control(self._socket.recv(2048))
            if packet is None or packet.kind != srt.HANDSHAKE:
                continue
            answer = srt.Handshake.read(packet.body)
            if answer is not None and answer.kind == kind:
                return answer
            if answer is not None and 1000 <= answer.kind < srt.CONCLUSION:
                reason = _REASONS.get(answer.kind, f"reason {answer.kind}")
                is_final = answer.kind in _FINAL
                raise SrtError(f"The target refuses the stream: {reason}.", is_final=is_final)
        raise SrtError(f"The target did not answer within {patience:g} seconds.")

    def _listen(self) -> None:
        try:
            while not self._is_over.is_set():
                if select.select([self._socket], [], [], 0.05)[0]:
                    self._take(self._socket.recv(2048))
                self._look_at_time(time.monotonic())
        except (OSError, SrtError) as error:
            self._error = error  # told to whoever writes next

    def _look_at_time(self, now: float) -> None:
        if now - self._heard > _SILENCE:
            raise SrtError("The target has gone silent.")
        if now - self._spoke > _LAST_AGAIN and self._sent:
            # Nothing follows by which the other side could notice that the last one was lost.
            with self._lock:
                last = next(reversed(self._sent.values()))[1] if self._sent else None
            if last is not None:
                self._socket.send(srt.again(last))
            self._spoke = now
        if now - self._spoke > _KEEP_ALIVE:
            self._spoke = now
            self._send(srt.KEEPALIVE)

    def _take(self, content: bytes) -> None:
        packet = srt.read_control(content)
        if packet is None:
            return
        self._heard = time.monotonic()
        if packet.kind == srt.ACK:
            self._confirm(int.from_bytes(packet.body[:4], "big"))
            if packet.info:  # light ones have no number
                self._send(srt.ACKACK, info=packet.info)
        elif packet.kind == srt.NAK:
            with self._lock:
                numbers = [each for each in srt.lost_numbers(packet.body) if each in self._sent]
                packets = [self._sent[number][1] for number in numbers]
            for each in packets:
                self._socket.send(srt.again(each))
        elif packet.kind == srt.SHUTDOWN:
            raise SrtError("The target closed the connection.")

    def _confirm(self, following: int) -> None:
        """Forgets what came before the packet that the other side waits for."""
        with self._lock:
            while self._sent:
                ahead = (following - next(iter(self._sent))) % srt.SEQUENCE_NUMBERS
                if not 0 < ahead < srt.SEQUENCE_NUMBERS // 2:
                    return
                self._sent.popitem(last=False)

    def _send(self, kind: int, *, info: int = 0, to: int | None = None, body: bytes = b"") -> None:
        now = self._time(time.monotonic())
        receiver = self._peer if to is None else to
        self._socket.send(srt.control(kind, info=info, time=now, to=receiver, body=body))

    def _time(self, now: float) -> int:
        return int((now - self._began) * 1_000_000)
