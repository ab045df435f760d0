"""An SRT listener for tests: takes one caller, loses packets as told, gives what it sent in order.

Written from draft-sharabayko-srt-01 apart from the caller it tests; with a passphrase it decrypts.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

COOKIE, SOCKET = 0x1234567, 0x7654321


class SrtListener:
    """Attributes tell what came: `stream_id`, `received` in order, `repeated` packets."""

    def __init__(
        self,
        *,
        loses: Callable[[int], bool] = lambda _: False,
        refuses: int = 0,
        passphrase: str = "",
    ) -> None:
        """`loses` is asked for each first arrival by its place; `refuses` is a reason, 1000.."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.02)
        self.port = self._socket.getsockname()[1]
        self.stream_id = ""
        self.repeated = 0
        self.is_over = False
        self.acknowledged = 0
        self._loses, self._refuses, self._passphrase = loses, refuses, passphrase
        self._key = b""
        self._salt = b""
        self._packets: dict[int, bytes] = {}
        self._lost: set[int] = set()
        self._first: int | None = None
        self._peer: tuple[Any, int] | None = None
        self._began = time.monotonic()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def received(self) -> bytes:
        """What came without a gap."""
        content, number = [], self._first or 0
        while number in self._packets:
            content.append(self._packets[number])
            number = (number + 1) % 2**31
        return b"".join(content)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        told = time.monotonic()
        while not self._ends.is_set():
            try:
                packet, address = self._socket.recvfrom(2048)
            except TimeoutError:
                packet, address = b"", None
            if packet:
                self._take(packet, address)
            if self._peer is not None and time.monotonic() - told > 0.02:
                told = time.monotonic()
                self._report()

    def _take(self, packet: bytes, address: Any) -> None:  # noqa: ANN401
        first, second, _, to = struct.unpack_from(">IIII", packet)
        if not first >> 31:
            if to == SOCKET:
                self._data(first, second, packet[16:])
            return
        kind = first >> 16 & 0x7FFF
        if kind == 0:
            self._handshake(packet[16:], address)
        elif kind == 5:
            self.is_over = True
        elif kind == 6:
            self.acknowledged += 1

    def _handshake(self, body: bytes, address: Any) -> None:  # noqa: ANN401
        version, _, extension, first, _, _, kind, caller, cookie = struct.unpack_from(
            ">IHHIIIIII", body
        )
        if kind == 1:
            assert (version, extension) == (4, 2)
            self._answer(5, 0x4A17, first, 1, COOKIE, caller, address)
            return
        assert (version, cookie) == (5, COOKIE)
        reason = self._refuses or self._read_extensions(body[48:])
        if reason:
            self._answer(5, 0, first, reason, 0, caller, address)
            return
        self._first, self._peer = first, (address, caller)
        response = struct.pack(">HHIIHH", 2, 3, 0x010500, 0x3F, 120, 120)
        self._answer(5, 1, first, 0xFFFFFFFF, COOKIE, caller, address, response)

    def _read_extensions(self, rest: bytes) -> int:
        kinds = {}
        while rest:
            kind, words = struct.unpack_from(">HH", rest)
            kinds[kind], rest = rest[4 : 4 + 4 * words], rest[4 + 4 * words :]
        version, flags, _, _ = struct.unpack(">IIHH", kinds[1])
        assert version >= 0x010300
        assert flags & 0b11 == 0b11
        name = kinds.get(5, b"")
        self.stream_id = (
            b"".join(name[i : i + 4][::-1] for i in range(0, len(name), 4)).rstrip(b"\0").decode()
        )
        if bool(self._passphrase) != (3 in kinds):
            return 1011
        return self._read_key(kinds[3]) if self._passphrase else 0

    def _read_key(self, message: bytes) -> int:
        assert message[:4] == b"\x12\x20\x29\x01"
        size = 4 * message[15]
        self._salt = message[16:32]
        key = PBKDF2HMAC(SHA1(), size, self._salt[8:], 2048).derive(self._passphrase.encode())
        try:
            self._key = aes_key_unwrap(key, message[32:])
        except InvalidUnwrap:
            return 1010
        return 0

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        assert flags >> 30 == 3
        assert bool(flags >> 27 & 3) == bool(self._key)
        if flags >> 26 & 1:
            self.repeated += 1
        elif number not in self._lost and self._loses(number - (self._first or 0)):
            self._lost.add(number)
            return
        if self._key:
            counter = int.from_bytes(self._salt[:14] + bytes(2), "big") ^ number << 16
            mode = modes.CTR(counter.to_bytes(16, "big"))
            payload = Cipher(algorithms.AES(self._key), mode).decryptor().update(payload)
        self._packets[number] = payload

    def _report(self) -> None:
        """Acknowledges what came without a gap, and tells what is missing, as one range a gap."""
        assert self._peer is not None
        address, caller = self._peer
        number = self._first or 0
        while number in self._packets:
            number += 1
        body = struct.pack(">IIIIIII", number, 10_000, 1_000, 8192, 0, 0, 0)
        self._send(2, 1 + self.acknowledged, body, caller, address)
        last = max(self._packets, default=number)
        missing = [each for each in range(number, last) if each not in self._packets]
        if len(missing) == 1:
            self._send(3, 0, struct.pack(">I", missing[0]), caller, address)
        for one in missing if len(missing) > 1 else ():
            self._send(3, 0, struct.pack(">II", one | 1 << 31, one), caller, address)

    def _answer(
        self, version: int, extension: int, first: int, kind: int, cookie: int, caller: int,
        address: Any, more: bytes = b"",  # noqa: ANN401
    ) -> None:  # fmt: skip
        body = struct.pack(
            ">IHHIIIIII16s",
            version,
            0,
            extension,
            first,
            1500,
            8192,
            kind,
            SOCKET,
            cookie,
            bytes(16),
        )
        self._send(0, 0, body + more, caller, address)

    def _send(self, kind: int, info: int, body: bytes, caller: int, address: Any) -> None:  # noqa: ANN401
        now = int((time.monotonic() - self._began) * 1e6)
        self._socket.sendto(
            struct.pack(">IIII", 1 << 31 | kind << 16, info, now, caller) + body, address
        )
