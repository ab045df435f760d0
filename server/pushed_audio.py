"""An utterance whose PCM a client sends, in messages of any length."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from server.clock import Clock
from server.ingest import Ingest
from server.speech import SpeechQueue
from streaming_model.media import SAMPLE_RATE

_MOST_AHEAD: Final = 120 * SAMPLE_RATE  # samples that may wait to be heard
_PIECE: Final = 8_000  # frames converted at a time
_LOOK_AGAIN: Final = 50_000_000  # ns


class PushedAudio:
    """Converts what comes and queues it, at the pace at which it is heard.

    Attributes:
        utterance: its number in `queue`, open already.

    Args:
        ingest: knows the client's rate and channels.
        worker: converts.
        on_end: is told the SHA-256 of all that came, in hexadecimal, and its bytes.
    """

    def __init__(
        self,
        utterance: int,
        *,
        ingest: Ingest,
        queue: SpeechQueue,
        worker: Executor,
        clock: Clock,
        on_end: Callable[[str, int], None] = lambda _sha256, _size: None,
    ) -> None:
        self.utterance = utterance
        self._ingest = ingest
        self._queue = queue
        self._worker = worker
        self._clock = clock
        self._on_end = on_end
        self._hash = hashlib.sha256()
        self._size = 0

    async def push(self, pcm: bytes) -> None:
        """Adds PCM16, waiting while two minutes of it wait to be heard.

        Raises:
            AudioError: the bytes are not a whole number of frames.
        """
        loop = asyncio.get_running_loop()
        for piece in _pieces(pcm, frame=2 * self._ingest.channels):
            self._hash.update(piece)
            self._size += len(piece)
            aligned = await loop.run_in_executor(self._worker, self._ingest.push_pcm16, piece)
            while self._queue.samples > _MOST_AHEAD and self._queue.holds(self.utterance):
                await self._clock.sleep_until(self._clock.now() + _LOOK_AGAIN)
            self._queue.append(self.utterance, aligned)

    def end(self) -> None:
        """Completes the utterance."""
        self._queue.append(self.utterance, self._ingest.finish())
        self._queue.complete(self.utterance)
        self._on_end(self._hash.hexdigest(), self._size)


def _pieces(pcm: bytes, *, frame: int) -> list[bytes]:
    """Returns the message in pieces of at most `_PIECE` frames; whole where frames are broken.

    Converting a minute at once holds the interpreter for a quarter of a second, in which no
    session's sound leaves, and a browser remembers that pause in its buffer for ten.
    """
    if len(pcm) % frame:
        return [pcm]
    step = _PIECE * frame
    return [pcm[start : start + step] for start in range(0, len(pcm), step)]
