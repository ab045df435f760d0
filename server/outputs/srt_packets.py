"""SRT's packets, as bytes: draft-sharabayko-srt-01, sections 3 and 6. It does no I/O."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

HANDSHAKE, KEEPALIVE, ACK, NAK, SHUTDOWN, ACKACK = 0, 1, 2, 3, 5, 6
INDUCTION, CONCLUSION = 1, 0xFFFFFFFF
SEQUENCE_NUMBERS = 1 << 31
REPEATED: Final = 1 << 26  # of a data packet's second word
_WHOLE = 0b11 << 30  # one packet is one message
_EVEN_KEY = 0b01 << 27
_MESSAGES = 1 << 26
_VERSION = 0x00010500  # of SRT, that HSv5 came with
# TSBPDSND, TSBPDRCV, CRYPT, TLPKTDROP, PERIODICNAK and REXMITFLG: live mode.
_FLAGS = 0x3F
_HSREQ, _KMREQ, _SID = 1, 3, 5
_HAS_HSREQ, _HAS_KMREQ, _HAS_CONFIG = 1, 2, 4
_MTU, _WINDOW = 1500, 8192
_HEADER = struct.Struct(">IIII")
_HANDSHAKE = struct.Struct(">IHHIIIIII16s")
_ITERATIONS = 2048  # of PBKDF2, section 6.1.4


@dataclass(frozen=True, slots=True)
class Control:
    """A control packet: its type, the word that depends on it, and what follows."""

    kind: int
    info: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a handshake says (section 3.2.1).

    Attributes:
        version: 4 or 5.
        kind: induction, conclusion, or 1000 and more for a refusal.
        socket: id of the socket that sent it.
        cookie: what a listener wants to see again.
    """

    version: int
    kind: int
    socket: int
    cookie: int

    @classmethod
    def read(cls, body: bytes) -> Handshake | None:
        """Returns what a handshake packet holds; None when it is too short."""
        if len(body) < _HANDSHAKE.size:
            return None
        version, _, _, _, _, _, kind, socket, cookie, _ = _HANDSHAKE.unpack_from(body)
        return cls(version, kind, socket, cookie)


class Key:
    """The stream's key, wrapped by a passphrase, and what it makes of payloads (section 6).

    Args:
        passphrase: that both sides know.
        size: bytes of the key: 16, 24 or 32.
    """

    def __init__(self, passphrase: str, size: int) -> None:
        self.size = size
        self._salt, self._key = os.urandom(16), os.urandom(size)
        derive = PBKDF2HMAC(SHA1(), size, self._salt[8:], _ITERATIONS)
        self._wrapped = aes_key_wrap(derive.derive(passphrase.encode()), self._key)

    def message(self) -> bytes:
        """Returns the key material message (section 3.2.2): AES-CTR, the even key alone."""
        head = struct.pack(">BHBIBBBBHBB", 0x12, 0x2029, 1, 0, 2, 0, 2, 0, 0, 4, self.size // 4)
        return head + self._salt + self._wrapped

    def encrypt(self, payload: bytes, sequence_number: int) -> bytes:
        """Returns the payload of a packet as it travels."""
        index = bytes(10) + struct.pack(">I", sequence_number)
        counter = bytes(a ^ b for a, b in zip(self._salt, index, strict=False)) + bytes(2)
        encryptor = Cipher(algorithms.AES(self._key), modes.CTR(counter)).encryptor()
        return encryptor.update(payload) + encryptor.finalize()


def control(kind: int, *, info: int = 0, time: int, to: int, body: bytes = b"") -> bytes:
    """Returns a control packet; `time` in microseconds since the connection began."""
    return _HEADER.pack(1 << 31 | kind << 16, info, time & 0xFFFFFFFF, to) + body


def induction(socket: int) -> bytes:
    """Returns the body of a caller's first handshake."""
    return _HANDSHAKE.pack(4, 0, 2, 0, _MTU, _WINDOW, INDUCTION, socket, 0, bytes(16))


def conclusion(
    *, socket: int, cookie: int, first: int, latency_ms: int, stream_id: str, key: Key | None
) -> bytes:
    """Returns the body of a caller's second handshake; its data begins with number `first`."""
    extensions = _extension(_HSREQ, struct.pack(">IIHH", _VERSION, _FLAGS, latency_ms, latency_ms))
    kinds, cipher = _HAS_HSREQ, 0
    if key is not None:
        kinds, cipher = kinds | _HAS_KMREQ, key.size // 8
        extensions += _extension(_KMREQ, key.message())
    if stream_id:
        kinds |= _HAS_CONFIG
        extensions += _extension(_SID, _reversed_words(stream_id.encode()))
    head = _HANDSHAKE.pack(
        5, cipher, kinds, first, _MTU, _WINDOW, CONCLUSION, socket, cookie, bytes(16)
    )
    return head + extensions


def data(
    payload: bytes, *, number: int, message: int, time: int, to: int, key: Key | None
) -> bytes:
    """Returns a data packet."""
    flags = _WHOLE | (0 if key is None else _EVEN_KEY)
    if key is not None:
        payload = key.encrypt(payload, number)
    return _HEADER.pack(number, flags | message % _MESSAGES, time & 0xFFFFFFFF, to) + payload


def again(packet: bytes) -> bytes:
    """Returns a data packet as it is repeated."""
    number, flags, time, to = _HEADER.unpack_from(packet)
    return _HEADER.pack(number, flags | REPEATED, time, to) + packet[_HEADER.size :]


def read_control(packet: bytes) -> Control | None:
    """Returns what a control packet says; None for data and what is no packet."""
    if len(packet) < _HEADER.size or not packet[0] & 0x80:
        return None
    first, info, _, _ = _HEADER.unpack_from(packet)
    return Control(first >> 16 & 0x7FFF, info, packet[_HEADER.size :])


def lost_numbers(body: bytes) -> Iterator[int]:
    """Yields the sequence numbers that a NAK reports (appendix A), ranges spelt out."""
    words: Iterable[int] = (
        word for (word,) in struct.iter_unpack(">I", body[: len(body) // 4 * 4])
    )
    first: int | None = None
    for word in words:
        if word & 1 << 31:
            first = word & (1 << 31) - 1
        elif first is None:
            yield word
        else:
            count = (word - first) % SEQUENCE_NUMBERS + 1
            yield from ((first + index) % SEQUENCE_NUMBERS for index in range(min(count, _WINDOW)))
            first = None


def _extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">HH", kind, len(content) // 4) + content


def _reversed_words(text: bytes) -> bytes:
    """Returns it in words of four bytes, each backwards, as section 3.2.1.3 has it."""
    padded = text + bytes(-len(text) % 4)
    return b"".join(padded[index : index + 4][::-1] for index in range(0, len(padded), 4))
