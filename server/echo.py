"""Tells the portrait's own voice, coming back through a viewer's microphone, from the viewer's.

An echo is what was played some tenths of a second ago, weaker and coloured by a room. So its
loudness in a few bands of frequency goes up and down as that of the sound that left did; from
that the way there and back is learned, and whatever is louder than the echo can be is somebody
else. It cancels nothing and knows nothing of speech, sessions or clocks.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE

FRAME = SAMPLE_RATE // 50  # samples, 20 ms
_LONGEST = 50  # frames, 1 s: network there and back, jitter buffer, loudspeaker and room
_MEMORY = 50  # frames from which the echo's loudness is learned
_FORGET = 0.96  # a frame: half a second is compared
_RING = 5.0  # dB that a room's echo loses in a frame
_LEAST_HEARD = 8  # loud frames, 160 ms, before which nothing can be told
_ALIKE = 0.6  # correlation from which on it is an echo
_KNOWN = 15  # frames so alike after which the way is known
_USUAL = 50  # percentile of the gains seen: somebody else's voice only adds to them
_EXCESS = 10.0  # dB above the expected echo that a band of somebody else's voice has
_EXCESS_BANDS = 0.3  # of the bands of the last frames
_LAST = 3  # frames
_FLOOR = -70.0  # dB, full scale 0: nothing is heard below
_LOUD = -50.0  # dB in the loudest band
_EDGES = np.geomspace(150, 7000, 17)  # Hz

Levels = NDArray[np.float32]  # [16] dB


def _bands() -> NDArray[np.float32]:
    frequencies = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
    inside = (frequencies >= _EDGES[:-1, None]) & (frequencies < _EDGES[1:, None])
    return np.asarray(inside / inside.sum(axis=1, keepdims=True), np.float32)


_BANDS = _bands()
_COUNT = len(_BANDS)
_HANN = np.hanning(FRAME).astype(np.float32)


class PlayedSound:
    """What left in the last tenths of a second, for one microphone to be compared with.

    Both advance by 20 ms a time but not in step: packets come in bursts. The reader keeps a
    little behind, and is put there again when it has fallen far behind.
    """

    _BEHIND, _FAR_BEHIND = 2, 15  # frames

    def __init__(self) -> None:
        self._frames: deque[NDArray[np.float32]] = deque(maxlen=self._FAR_BEHIND + 1)

    def add(self, sound: NDArray[np.float32]) -> None:
        """Takes what has just left, [960] at 48 kHz."""
        self._frames.append(sound)

    def take(self) -> NDArray[np.float32]:
        """Returns the next [320] at 16 kHz; silence when the reader is ahead."""
        if len(self._frames) > self._FAR_BEHIND:
            while len(self._frames) > self._BEHIND:
                self._frames.popleft()
        if not self._frames:
            return np.zeros(FRAME, np.float32)
        # Only now: mostly there is no microphone that asks.
        thirds = self._frames.popleft().reshape(FRAME, -1)
        return np.asarray(thirds.mean(axis=1), np.float32)


class EchoJudge:
    """One microphone, beside everything that was played to it."""

    def __init__(self) -> None:
        self._played = np.full((_LONGEST + _MEMORY, _COUNT), _FLOOR, np.float32)  # newest last
        self._heard = np.full((_MEMORY, _COUNT), _FLOOR, np.float32)
        self._means = np.full((2, _COUNT), _FLOOR, np.float32)  # heard, played
        self._products = np.zeros(_LONGEST, np.float32)  # by delay
        self._powers = np.zeros((2, _LONGEST), np.float32)
        self._loud_frames = 0
        self._alike_frames = 0

    def judge(self, heard: NDArray[np.float32], played: NDArray[np.float32]) -> bool:
        """Returns whether [320] samples of a microphone are nothing but an echo.

        As long as too little was heard to tell, for 160 ms, what could be an echo is taken for
        one.

        Args:
            heard: 20 ms of the microphone, 16 kHz.
            played: what left meanwhile.
        """
        self._remember(_levels(heard), _levels(played))
        likeness = self._compare()
        is_loud = bool(self._heard[-1].max() >= _LOUD)
        if self._played[-_LONGEST:].max() < _LOUD:
            self._loud_frames = 0
            return False  # nothing to echo
        self._loud_frames += is_loud
        delay = int(likeness.argmax())
        is_alike = bool(likeness[delay] >= _ALIKE)
        if is_loud and is_alike:
            self._alike_frames += 1
        if not is_loud or self._loud_frames < _LEAST_HEARD:
            return True
        if self._alike_frames < _KNOWN and not is_alike:
            return False
        return not self._exceeds(delay)

    def _remember(self, heard: Levels, played: Levels) -> None:
        rung = np.maximum(played, self._played[-1] - _RING)
        for history, newest in ((self._heard, heard), (self._played, rung)):
            history[:-1] = history[1:]
            history[-1] = newest
        self._means += (1 - _FORGET) * (np.stack([heard, rung]) - self._means)

    def _compare(self) -> NDArray[np.float32]:
        """Returns the correlation of what is heard with what was played, by delay in frames."""
        heard = self._heard[-1] - self._means[0]
        played = self._played[: -_LONGEST - 1 : -1] - self._means[1]
        self._products = _FORGET * self._products + played @ heard
        self._powers = _FORGET * self._powers
        self._powers[0] += heard @ heard
        self._powers[1] += (played**2).sum(axis=1)
        return np.asarray(self._products / np.sqrt(self._powers[0] * self._powers[1] + 1.0))

    def _exceeds(self, delay: int) -> bool:
        """Whether the last frames are louder than an echo of that delay would be."""
        end = len(self._played) - delay
        source = self._played[end - _MEMORY : end]
        is_known = (source > _LOUD) & (self._heard > _FLOOR)
        if not is_known.any():
            return True
        gain = np.percentile((self._heard - source)[is_known], _USUAL)
        expected = np.maximum(source[-_LAST:] + gain, _LOUD)
        return float((self._heard[-_LAST:] > expected + _EXCESS).mean()) > _EXCESS_BANDS


def _levels(samples: NDArray[np.float32]) -> Levels:
    spectrum = np.fft.rfft(samples * _HANN, 512)
    power = (_BANDS @ (np.abs(spectrum) ** 2)) / (FRAME * FRAME / 16)
    return np.asarray(np.maximum(10 * np.log10(power + 1e-12), _FLOOR), np.float32)
