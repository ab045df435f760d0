"""Which lost packets are sent again, so that repeating them does not fill the link that lost them.

A receiver asks for a packet again and again while the answer waits in a queue; aiortc answers
every time. What cannot be repeated is given up: a complete picture at the rate that is left is
smaller than all that was lost, and a receiver asks for one only after three seconds. Pure: it
is told what is asked for and when. Instants are nanoseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

_SECOND = 1_000_000_000  # ns
_SPACING = _SECOND // 4  # between two answers for one packet: about a full queue and a round trip
_SHARE = 0.25  # of the video's rate, for repeating
_SAVED = _SECOND // 2  # of that share, at most: a picture that was lost whole
_PACKET = 1300 * 8  # bits, the most that one takes
_REMEMBERED = 512  # packets


_GIVEN_UP = _SECOND  # between two complete pictures for what was not repeated


class Answer(Enum):
    """What is done about a packet that is asked for."""

    REPEAT = "it is sent again"
    WAIT = "it is not: it is under way, or a complete picture is"
    GIVE_UP = "it is not: the next picture must be complete"


class Repeats:
    """The budget of one connection."""

    def __init__(self) -> None:
        self._answered: OrderedDict[int, int] = OrderedDict()  # packet: instant
        self._bits: float | None = None
        self._filled = 0
        self._given_up: int | None = None

    def answer(self, number: int, *, rate: int, now: int) -> Answer:
        """Returns what to do about a packet, and counts it if it is sent again.

        Args:
            number: its sequence number.
            rate: bits a second that the video may use.
            now: the present instant.
        """
        self._earn(rate, now)
        last = self._answered.get(number)
        if last is not None and now - last < _SPACING:
            return Answer.WAIT
        if self._bits is None or self._bits < _PACKET:
            return self._give_up(now)
        self._bits -= _PACKET
        self._answered[number] = now
        self._answered.move_to_end(number)
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        return Answer.REPEAT

    def _earn(self, rate: int, now: int) -> None:
        most = max(_SHARE * rate * _SAVED / _SECOND, 2 * _PACKET)
        earned = _SHARE * rate * (now - self._filled) / _SECOND
        self._bits = most if self._bits is None else min(most, self._bits + earned)
        self._filled = now

    def _give_up(self, now: int) -> Answer:
        if self._given_up is not None and now - self._given_up < _GIVEN_UP:
            return Answer.WAIT
        self._given_up = now
        return Answer.GIVE_UP
