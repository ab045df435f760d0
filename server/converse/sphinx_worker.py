"""The process that understands speech: utterances on standard input, one line of JSON for each.

`python -m server.converse.sphinx_worker`; see `sphinx`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

from pocketsphinx import Decoder

from server.converse.sphinx import BEGIN, DROP, HEADER, PCM
from streaming_model.media import SAMPLE_RATE

_MOST = 4  # utterances at once
_NICENESS = 5  # pictures go first


class Recogniser:
    """The utterances under way, each with a decoder that is used again afterwards."""

    def __init__(self) -> None:
        self._idle: list[Any] = [self._made()]
        self._busy: dict[int, Any] = {}

    def take(self, what: bytes, number: int, content: bytes) -> str | None:
        """Takes one message; returns the answer to an utterance's end."""
        if what == BEGIN:
            if len(self._busy) < _MOST:
                decoder = self._idle.pop() if self._idle else self._made()
                decoder.start_utt()
                self._busy[number] = decoder
            return None
        if what == PCM:
            if number in self._busy and content:  # pocketsphinx fails at an empty piece
                self._busy[number].process_raw(content)
            return None
        text = self._end(number)
        return None if what == DROP else json.dumps({"text": text})

    def _end(self, number: int) -> str | None:
        """Returns what was understood; None of an utterance that had no decoder."""
        decoder = self._busy.pop(number, None)
        if decoder is None:
            return None
        decoder.end_utt()
        self._idle.append(decoder)
        found = decoder.hyp()
        return found.hypstr if found is not None else ""

    def _made(self) -> Any:  # noqa: ANN401 - untyped package
        return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers until the source ends, as it does with the server."""
    recogniser = Recogniser()
    while len(header := source.read(HEADER.size)) == HEADER.size:
        what, number, size = HEADER.unpack(header)
        answer = recogniser.take(what, number, source.read(size))
        if answer is not None:
            sink.write(answer.encode() + b"\n")
            sink.flush()


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)
