"""Server-sent events (WHATWG HTML, 9.2.6), bounded: bytes in, cut anywhere; data out.

Pure. A library for it would read lines of any length into memory; a stream that never ends a
line must not.
"""

from __future__ import annotations

import codecs

LONGEST_EVENT = 1_000_000  # characters of one event


class EventStreamError(ValueError):
    """The stream is not one of events."""


class EventStream:
    """One response's events, of which only the data is kept."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._data: list[str] = []
        self._size = 0

    def push(self, content: bytes) -> list[str]:
        """Takes bytes; returns the data of every event completed by them.

        Raises:
            EventStreamError: an event is larger than any that can be meant.
        """
        text = self._rest + self._decoder.decode(content)
        # A line ends with LF, CR LF or CR; a CR at the very end may be half of one.
        held = "\r" if text.endswith("\r") else ""
        lines = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        events = []
        for line in lines:
            if line:
                self._add(line)
            elif self._data:
                events.append("\n".join(self._data))
                self._data, self._size = [], 0
        if len(self._rest) + self._size > LONGEST_EVENT:
            raise EventStreamError(f"an event of more than {LONGEST_EVENT:,} characters")
        return events

    def finish(self) -> list[str]:
        """Returns what a server left without its blank line at the end; many do."""
        if self._rest.strip():
            self._add(self._rest.strip())
        return ["\n".join(self._data)] if self._data else []

    def _add(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
            self._size += len(value)
