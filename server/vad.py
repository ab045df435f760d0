"""Where speech begins and ends in a microphone's audio: webrtcvad with hysteresis.

It hears 16 kHz mono in pieces of any length and reports edges by sample index. It knows
nothing of turns or sessions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from server.turns import Heard
from streaming_model.media import SAMPLE_RATE

FRAME = SAMPLE_RATE // 50  # samples, 20 ms: a length webrtcvad accepts
_AGGRESSIVENESS = 2  # 0..3, of webrtcvad
_LEAST_RMS = 10 ** (-50 / 20)  # full scale 1; webrtcvad alone takes quiet hiss for speech


@dataclass(frozen=True, slots=True)
class Edge:
    """A change between silence and speech, `at` a sample index of the detector's stream."""

    heard: Heard
    at: int


class Hysteresis:
    """Decides from a vote per frame; a cough does not start speech, a pause does not end it."""

    START_WINDOW = 6  # frames, 120 ms
    START_VOTES = 4
    STOP_WINDOW = 30  # frames, 600 ms
    STOP_VOTES = 3  # fewer voiced frames than this in the window end the speech

    def __init__(self) -> None:
        self.is_speech = False
        self._votes: deque[bool] = deque(maxlen=self.STOP_WINDOW)

    def vote(self, is_voiced: bool) -> Heard | None:
        """Takes the next frame's vote; returns an edge when the state changes."""
        self._votes.append(is_voiced)
        if not self.is_speech:
            if sum(list(self._votes)[-self.START_WINDOW :]) >= self.START_VOTES:
                self.is_speech = True
                return Heard.STARTED
        elif len(self._votes) == self.STOP_WINDOW and sum(self._votes) < self.STOP_VOTES:
            self.is_speech = False
            self._votes.clear()
            return Heard.STOPPED
        return None


class SpeechDetector:
    """One microphone's detector.

    Attributes:
        voiced: how much voice was heard since the latest speech began, in samples.
    """

    def __init__(self, is_echo: Callable[[NDArray[np.float32]], bool]) -> None:
        """Takes what tells whether 20 ms are only what was played; it is asked of all of them."""
        self._is_echo = is_echo
        self._vad = webrtcvad.Vad(_AGGRESSIVENESS)
        self._hysteresis = Hysteresis()
        self._waiting = np.zeros(0, np.float32)
        self._heard = 0  # samples
        self.voiced = 0

    @property
    def is_speech(self) -> bool:
        """Whether speech is heard now."""
        return self._hysteresis.is_speech

    def push(self, samples: NDArray[np.float32]) -> list[Edge]:
        """Takes [n] float32 at 16 kHz; returns the edges found in it."""
        waiting = np.concatenate([self._waiting, samples])
        count = len(waiting) // FRAME
        self._waiting = waiting[count * FRAME :].copy()
        edges = []
        for frame in waiting[: count * FRAME].reshape(count, FRAME):
            self._heard += FRAME
            is_echo = self._is_echo(frame)
            is_voiced = self._is_voiced(frame) and not is_echo
            self.voiced += FRAME * is_voiced
            edge = self._hysteresis.vote(is_voiced)
            if edge is not None:
                self.voiced = Hysteresis.START_VOTES * FRAME
                edges.append(Edge(edge, self._heard))
        return edges

    def _is_voiced(self, frame: NDArray[np.float32]) -> bool:
        if float(np.sqrt(np.mean(frame * frame))) < _LEAST_RMS:
            return False
        pcm = (np.clip(frame, -1, 1) * 32767).astype("<i2").tobytes()
        return bool(self._vad.is_speech(pcm, SAMPLE_RATE))
