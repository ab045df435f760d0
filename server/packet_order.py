"""Puts numbered packets in order, and gives up one that does not come.

Pure. A packet that is next goes on at once: it waits neither for its follower nor for a fixed
store. How long newer packets are held back for a missing one is learned: one that comes after
it was given up makes the wait longer, ten quiet seconds shorter. What jitter is left is met
downstream, by the playout delay (RFC 3550, appendix A.1, for the numbers).
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

PacketT = TypeVar("PacketT")

_NUMBERS = 2**16
_FAR = 100  # a jump by more is another stream, not a loss
_MOST_HELD = 5  # packets, 100 ms of sound
_CALM = 500  # packets, ten seconds of sound


class PacketOrder(Generic[PacketT]):
    """The order of one stream.

    Attributes:
        patience: how many newer packets are held back at most while one is missing.
    """

    def __init__(self) -> None:
        self.patience = 0
        self._next: int | None = None
        self._held: dict[int, PacketT] = {}
        self._given_up: deque[int] = deque(maxlen=_FAR)
        self._calm = 0

    def add(self, number: int, packet: PacketT) -> list[PacketT]:
        """Takes a packet by its sequence number, 0..65535; returns those whose turn it is."""
        if self._next is None or abs(_ahead(number, self._next)) > _FAR:
            self._held.clear()
            self._next = number
        if _ahead(number, self._next) < 0:
            self._note_late(number)
            return []
        if self._held and number == self._next:
            self._calm = 0  # it was worth the wait
        self._held[number] = packet
        self._note_calm()
        return self._in_turn(self._next)

    def _in_turn(self, number: int) -> list[PacketT]:
        ready = []
        while self._held:
            if number in self._held:
                ready.append(self._held.pop(number))
            elif len(self._held) > self.patience:
                self._given_up.append(number)
            else:
                break
            number = (number + 1) % _NUMBERS
        self._next = number
        return ready

    def _note_late(self, number: int) -> None:
        if number in self._given_up:
            self._given_up.remove(number)
            self.patience = min(self.patience + 1, _MOST_HELD)
            self._calm = 0

    def _note_calm(self) -> None:
        self._calm += 1
        if self._calm >= _CALM:
            self.patience, self._calm = max(self.patience - 1, 0), 0


def _ahead(number: int, reference: int) -> int:
    """Returns how far `number` is after `reference`, modulo 65536; negative when before it."""
    return (number - reference + _NUMBERS // 2) % _NUMBERS - _NUMBERS // 2
