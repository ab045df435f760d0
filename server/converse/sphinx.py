"""A transcriber without a network: CMU Sphinx, whose English model ships in its package.

It runs in a process of its own, because it holds Python's lock for up to 50 ms at a time, and hears
speech while it is spoken, so that the text is there soon after its end. Good for a quiet room and
short sentences; an endpoint with Whisper understands far more.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from server.converse.transcriber import TranscriptionError

HEADER = struct.Struct("<cII")  # what, of which utterance, and how many bytes follow
BEGIN, PCM, END, DROP = b"B", b"P", b"E", b"D"
PATIENCE = 15.0  # seconds from the end of an utterance to its text


def is_installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("pocketsphinx") is not None


class Sphinx:
    """One process for all sessions, begun with the first utterance."""

    def __init__(
        self,
        command: tuple[str, ...] = ("-m", "server.converse.sphinx_worker"),
        *,
        patience: float = PATIENCE,
    ) -> None:
        """Takes what Python is to run, and the seconds from an utterance's end to its text."""
        self._patience = patience
        self._command = [sys.executable, *command]
        self._numbers = itertools.count(1)
        self._thread = ThreadPoolExecutor(1, "sphinx")  # all that may block, in order
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> _Utterance:
        """Begins an utterance."""
        utterance = _Utterance(self, next(self._numbers))
        self.send(BEGIN, utterance.number)
        return utterance

    async def aclose(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def send(self, what: bytes, number: int, content: bytes = b"") -> None:
        """Tells the process something, without waiting."""
        self._thread.submit(self._write, what, number, content)

    async def ask(self, number: int) -> str:
        """Returns the text of an utterance that has ended.

        Raises:
            TranscriptionError: the process has failed, or takes too long.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience):
                line = await loop.run_in_executor(self._thread, self._answer, number)
        except TimeoutError as error:
            if self._process is not None:
                self._process.kill()
            raise TranscriptionError("The recogniser took too long.") from error
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise TranscriptionError("The recogniser has failed.") from error
        if text is None:
            raise TranscriptionError("The recogniser hears too many others.")
        return str(text)

    def _answer(self, number: int) -> bytes:
        self._write(END, number, b"")
        process = self._process
        line = process.stdout.readline() if process is not None and process.stdout else b""
        if not line:
            self._forget()
        return line

    def _write(self, what: bytes, number: int, content: bytes) -> None:
        try:
            process = self._started()
            if process.stdin is not None:
                process.stdin.write(HEADER.pack(what, number, len(content)) + content)
                process.stdin.flush()
        except OSError:
            self._forget()  # the next utterance begins with a new process; this one has no answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        return self._process

    def _forget(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


class _Utterance:
    def __init__(self, sphinx: Sphinx, number: int) -> None:
        self._sphinx = sphinx
        self.number = number

    def push(self, speech: NDArray[np.float32]) -> None:
        pcm = (np.clip(speech, -1, 1) * 32767).astype("<i2").tobytes()
        self._sphinx.send(PCM, self.number, pcm)

    async def finish(self) -> str:
        return await self._sphinx.ask(self.number)

    def drop(self) -> None:
        self._sphinx.send(DROP, self.number)
