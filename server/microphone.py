"""A viewer's microphone: speech is detected in it, and in `puppet` mode it waits to be said.

Pure apart from the detector: no event loop, no clock. The buffer stays short: what piles up
after a stall is cut away in the pauses, so that a live voice does not fall behind for ever.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from server.echo import EchoJudge, PlayedSound
from server.ingest import AlignedAudio, Ingest
from server.speech import BLOCK, Block, silent_block
from server.turns import Heard
from server.vad import SpeechDetector
from streaming_model.media import SAMPLE_RATE

Mode = Literal["puppet", "listen", "off"]

_MS = SAMPLE_RATE // 1000
_START = 60 * _MS  # gathered before a voice begins or resumes: a block and a half
_COMFORT = 160 * _MS  # more than this is cut in pauses
_MOST = 600 * _MS  # more than this is cut even in speech


class MicrophoneLane:
    """The live voice of one session.

    Attributes:
        mode: `puppet` speaks what it hears, `listen` only detects speech, `off` does nothing.
    """

    def __init__(self, played: PlayedSound) -> None:
        """Takes what the viewers hear, whose echo is nobody's speech."""
        self._played = played
        self.mode: Mode = "off"
        self._ingest: Ingest | None = None
        self._detector = self._new_detector()
        self._waiting: deque[AlignedAudio] = deque()
        self._samples = 0
        self._is_flowing = False
        self._utterance: int | None = None
        self._begins = False
        self._ends = False

    @property
    def samples(self) -> int:
        """How much waits, in 16 kHz samples."""
        return self._samples

    @property
    def is_speech(self) -> bool:
        """Whether speech is heard now."""
        return self._detector.is_speech

    @property
    def voiced(self) -> int:
        """How much voice was heard since the latest speech began, in 16 kHz samples."""
        return self._detector.voiced

    def switch(self, mode: Mode) -> bool:
        """Changes the mode and forgets what waits; returns whether speech was cut off."""
        was_speech = self.is_speech
        self.mode = mode
        self.reset()
        return was_speech

    def reset(self) -> None:
        """Forgets everything heard, as when a microphone goes away."""
        self._ingest = None
        self._detector = self._new_detector()
        self._ends = self._utterance is not None
        self._clear()

    def push(self, pcm: bytes, *, sample_rate: int, channels: int) -> list[Heard]:
        """Takes 16-bit interleaved samples; returns the edges of speech found in them.

        Raises:
            AudioError: the rate, the channels or the size make no sense.
        """
        if self.mode == "off":
            return []
        if self._ingest is None:
            self._ingest = Ingest(sample_rate=sample_rate, channels=channels)
        audio = self._ingest.push_pcm16(pcm)
        if self.mode == "puppet":
            self._waiting.append(audio)
            self._samples += len(audio)
            self._trim()
        return [edge.heard for edge in self._detector.push(audio.speech)]

    def begin(self, utterance: int) -> None:
        """Says that the speech heard now is `utterance`."""
        self._utterance, self._begins = utterance, True

    def end(self) -> None:
        """Says that the utterance is over."""
        self._ends = self._utterance is not None

    def interrupt(self) -> None:
        """Forgets the utterance and what waits; what is heard from now on is new."""
        self._utterance, self._begins, self._ends = None, False, False
        self._clear()

    def take(self, start: int, utterance: int) -> Block | None:
        """Returns the next block for media time `start`, or None when there is none.

        Args:
            start: media time of the block.
            utterance: the number for what is heard between utterances.
        """
        if self._samples < (BLOCK if self._is_flowing else _START):
            self._is_flowing = False
            return self._closing_block(start)
        self._is_flowing = True
        audio = self._take_samples()
        number, begins, ends = self._utterance, self._begins, self._ends
        self._begins = False
        if ends:
            self._utterance, self._ends = None, False
        return Block(
            start=start,
            speech=audio.speech,
            sound=audio.sound,
            utterance=utterance if number is None else number,
            is_speech=number is not None,
            begins=begins,
            ends=ends,
        )

    def _closing_block(self, start: int) -> Block | None:
        """Ends an utterance whose microphone went away with a silent block."""
        if not self._ends or self._utterance is None:
            return None
        number, begins = self._utterance, self._begins
        self._utterance, self._begins, self._ends = None, False, False
        silence = silent_block(start, number)
        return Block(
            start=start,
            speech=silence.speech,
            sound=silence.sound,
            utterance=number,
            is_speech=True,
            begins=begins,
            ends=True,
        )

    def _take_samples(self) -> AlignedAudio:
        everything = AlignedAudio.concatenate(list(self._waiting))
        self._waiting.clear()
        self._waiting.append(everything[BLOCK:])
        self._samples -= BLOCK
        return everything[:BLOCK]

    def _trim(self) -> None:
        limit = _MOST if self.is_speech else _COMFORT
        if self._samples <= limit:
            return
        everything = AlignedAudio.concatenate(list(self._waiting))
        self._clear()
        kept = everything[len(everything) - _START :]
        self._waiting.append(kept)
        self._samples = len(kept)
        self._is_flowing = True

    def _new_detector(self) -> SpeechDetector:
        judge = EchoJudge()
        if self.mode == "puppet":  # what is played is what was heard, a little later
            return SpeechDetector(lambda _: False)
        return SpeechDetector(lambda frame: judge.judge(frame, self._played.take()))

    def _clear(self) -> None:
        self._waiting.clear()
        self._samples = 0
        self._is_flowing = False
