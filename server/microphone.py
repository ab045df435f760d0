"""A viewer's microphone: speech is detected in it, and in `puppet` mode it waits to be said.

Pure apart from the detector: no event loop, no clock. The buffer stays short: what waits
without need, as after a stall, is cut away where it is quiet, so that a live voice does not
fall behind for ever. What comes late is waited for by the line, not by a store kept here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from server.echo import EchoJudge, PlayedSound
from server.ingest import AlignedAudio, Ingest
from server.speech import BLOCK, Block, silent_block
from server.turns import Heard
from server.vad import SpeechDetector
from streaming_model.media import SAMPLE_RATE

Mode = Literal["puppet", "listen", "off"]

_MS = SAMPLE_RATE // 1000
_HELD_BACK = 1 * _MS  # by the decimator: silence in its place lets two packets make a block
_PIECE = 4 * _MS  # in which what waits without need is listened to before it is cut
_SPLICE = 2 * _MS  # over which a cut is faded
_QUIET = 10 ** (-45 / 20)  # RMS, full scale 1: nobody hears what is cut below
_SEEN = 10  # blocks that tell what waits without need
_REMEMBERED = 25  # blocks, one second
_COMFORT = 160 * _MS  # more than this is cut in pauses
_MOST = 600 * _MS  # more than this is cut even in speech
_MOST_FILLED = 120 * _MS  # of lost sound that silence stands in for


class MicrophoneLane:
    """The live voice of one session.

    Attributes:
        mode: `puppet` speaks what it hears, `listen` only detects speech, `off` does nothing.
        on_heard: told what was heard, [n] float32 at 16 kHz, before its edges are known.
    """

    def __init__(
        self,
        played: PlayedSound,
        on_block: Callable[[], None] = lambda: None,
        on_sound: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Takes what it needs.

        Args:
            played: what the viewers hear, whose echo is nobody's speech.
            on_block: told whenever the sound of a block has become complete.
            on_sound: told how many 16 kHz samples have come, before that.
        """
        self._played = played
        self._on_block = on_block
        self._on_sound = on_sound
        self.on_heard: Callable[[NDArray[np.float32]], None] = lambda _: None
        self.mode: Mode = "off"
        self._ingest: Ingest | None = None
        self._detector = self._new_detector()
        self._waiting: deque[AlignedAudio] = deque()
        self._samples = 0
        self._is_flowing = False
        self._left_over: deque[int] = deque(maxlen=_REMEMBERED)  # samples, after each block
        self._utterance: int | None = None
        self._begins = False
        self._ends = False

    @property
    def samples(self) -> int:
        """How much waits, in 16 kHz samples."""
        return self._samples

    @property
    def is_flowing(self) -> bool:
        """Whether its latest block was taken, and the next is to follow it."""
        return self._is_flowing

    @property
    def is_late(self) -> bool:
        """Whether it is being said, and the sound of its next block has not come yet."""
        return self._is_flowing and self._samples < BLOCK

    @property
    def spare(self) -> int:
        """How much was left over after every one of the last blocks, in 16 kHz samples."""
        return min(self._left_over, default=0)

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

    def push(self, pcm: bytes, *, sample_rate: int, channels: int, missing: int = 0) -> list[Heard]:
        """Takes 16-bit interleaved samples; returns the edges of speech found in them.

        Args:
            pcm: the samples.
            sample_rate: in Hz.
            channels: how many.
            missing: samples of each channel lost just before. While a voice is being said
                silence takes their time, or all that follows would come too early.

        Raises:
            AudioError: the rate, the channels or the size make no sense.
        """
        if self.mode == "off":
            return []
        if self._ingest is None:
            self._ingest = Ingest(sample_rate=sample_rate, channels=channels)
            self._keep(AlignedAudio.concatenate([]).padded(_HELD_BACK))
        if missing and not self._is_flowing:
            self._clear()  # a microphone that sends nothing in silence (DTX): what waits is old
        elif missing:
            filled = min(missing, _MOST_FILLED * sample_rate // SAMPLE_RATE)
            pcm = bytes(2 * channels * filled) + pcm
        audio = self._ingest.push_pcm16(pcm)
        if self.mode == "puppet":
            was_complete = self._samples >= BLOCK
            self._waiting.append(audio)
            self._samples += len(audio)
            self._on_sound(len(audio))
            self._trim()
            if not was_complete and self._samples >= BLOCK:
                self._on_block()
        self.on_heard(audio.speech)
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

    def pause(self) -> None:
        """Says that something else is said in its place, or nothing."""
        self._is_flowing = False
        self._left_over.clear()

    def take(self, start: int, utterance: int) -> Block | None:
        """Returns the next block for media time `start`, or None when there is none.

        Args:
            start: media time of the block.
            utterance: the number for what is heard between utterances.
        """
        if self._samples < BLOCK:
            self.pause()
            return self._closing_block(start)
        self._shorten()
        audio = self._take_samples()
        self._is_flowing = True
        self._left_over.append(self._samples)
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
        self._keep(everything[BLOCK:])
        return everything[:BLOCK]

    def _shorten(self) -> None:
        """Cuts away what waits without need, where nobody hears it."""
        is_known = len(self._left_over) >= _SEEN
        excess = self._samples - BLOCK
        if self._is_flowing:
            excess = min(excess, self.spare if is_known else 0)
        if excess < _SPLICE:
            return
        everything = AlignedAudio.concatenate(list(self._waiting))
        if not is_known or self.is_speech:
            excess = _quiet_samples(everything.speech[:excess])
        if excess >= _SPLICE:
            self._keep(everything.without(excess, fade=_SPLICE))
            self._left_over = deque((left - excess for left in self._left_over), _REMEMBERED)

    def _trim(self) -> None:
        limit = _MOST if self.is_speech else _COMFORT
        if self._samples <= limit:
            return
        everything = AlignedAudio.concatenate(list(self._waiting))
        self._keep(everything[len(everything) - BLOCK :])
        self._left_over.clear()

    def _keep(self, audio: AlignedAudio) -> None:
        self._waiting.clear()
        self._waiting.append(audio)
        self._samples = len(audio)

    def _new_detector(self) -> SpeechDetector:
        judge = EchoJudge()
        if self.mode == "puppet":  # what is played is what was heard, a little later
            return SpeechDetector(lambda _: False)
        return SpeechDetector(lambda frame: judge.judge(frame, self._played.take()))

    def _clear(self) -> None:
        self._waiting.clear()
        self._samples = 0
        self.pause()


def _quiet_samples(speech: NDArray[np.float32]) -> int:
    """Returns how many samples at the head of [n] are quiet: all of them, or whole pieces."""
    pieces = np.array_split(speech, range(_PIECE, len(speech), _PIECE))
    quiet = 0
    for piece in pieces:
        if np.sqrt(np.mean(piece**2)) > _QUIET:
            break
        quiet += len(piece)
    return quiet
