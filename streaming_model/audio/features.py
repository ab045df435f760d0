"""Log-mel features of some motion frames at a time, with a slow automatic gain.

Four windows of 25 ms, 10 ms apart, end inside each frame of 640 samples: nothing after the
frame is heard. The state is a value, so any cut gives the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME

MEL_BINS: Final = 80
MELS_PER_FRAME: Final = 4
_WINDOW: Final = 400  # samples, 25 ms
_HOP: Final = 160  # samples, 10 ms
_FFT: Final = 512
_PAST: Final = _WINDOW - _HOP  # samples of the previous frame that the first window needs
POWER_FLOOR: Final = 1e-6  # added to the power after the gain: hides what is 60 dB below speech

_EXPECTED_LEVEL: Final = -26.0  # dBFS, ordinary speech before anything was heard
_TARGET_LEVEL: Final = -20.0  # dBFS that the gain steers loud frames towards
_GAIN_RANGE: Final = 20.0  # dB either way
_ATTACK: Final = 0.25  # share of the way per frame when speech is louder than the level
_RELEASE: Final = 0.002  # and when it is softer, but still within _SPEECH_RANGE of it
_FIRST_RELEASE: Final = 0.03  # the same when nothing is known of the speaker yet
_SETTLED_AFTER: Final = 25  # frames in that range by which the release has halved
_SPEECH_RANGE: Final = 25.0  # dB


@dataclass(frozen=True, slots=True)
class FeatureState:
    """What a stream remembers between frames.

    Attributes:
        past: [240] float32, the last samples of the previous frame.
        level: the loudness of this speaker so far.
    """

    past: NDArray[np.float32]
    level: SpeechLevel


@dataclass(frozen=True, slots=True)
class SpeechLevel:
    """How loud a speaker is: a quick rise, and a fall that slows down with experience.

    Attributes:
        decibels: dBFS of the louder frames.
        heard: frames that may have been speech.
    """

    decibels: float = _EXPECTED_LEVEL
    heard: int = 0

    def after(self, loudness: float) -> SpeechLevel:
        """Returns the level once a frame of `loudness` dBFS was heard."""
        difference = loudness - self.decibels
        if difference < -_SPEECH_RANGE:
            return self
        slow = max(_RELEASE, _FIRST_RELEASE / (1 + self.heard / _SETTLED_AFTER))
        share = _ATTACK if difference > 0 else slow
        return SpeechLevel(self.decibels + share * difference, self.heard + 1)

    def gain(self) -> float:
        """Returns the factor on the power that brings this level to the target."""
        decibels = min(max(_TARGET_LEVEL - self.decibels, -_GAIN_RANGE), _GAIN_RANGE)
        return math.pow(10.0, decibels / 10.0)


def start_features() -> FeatureState:
    """Returns the state of a stream that has heard nothing."""
    return FeatureState(np.zeros(_PAST, np.float32), SpeechLevel())


def frame_features(
    state: FeatureState, samples: NDArray[np.float32]
) -> tuple[FeatureState, NDArray[np.float32]]:
    """Returns the next state and the [4 * frames, 80] features of some frames of 640 samples."""
    from streaming_model.audio.bands import log_bands, loudness

    clean = clean_samples(samples)
    level, gains = state.level, []
    for decibels in loudness(clean, SAMPLES_PER_MOTION_FRAME).tolist():
        level = level.after(decibels)
        gains += [level.gain()] * MELS_PER_FRAME
    joined = np.concatenate([state.past, clean])
    spectrum = np.fft.rfft(_windows(joined) * _HANN, _FFT).astype(np.complex64, copy=False)
    # Speech lies between about -1.5 and 1.5 in it, digital silence at -2.
    mel = log_bands(spectrum, _MEL_WEIGHTS, _MEL_SPANS, np.array(gains, np.float32), POWER_FLOOR)
    return FeatureState(joined[-_PAST:].copy(), level), mel


def stream_features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the [4 * frames, 80] features of a whole recording; a partial frame is dropped."""
    whole = len(samples) - len(samples) % SAMPLES_PER_MOTION_FRAME
    return frame_features(start_features(), samples[:whole])[1]


def clean_samples(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the samples with NaN and infinities silenced, clipped to -1..1."""
    from streaming_model.audio.bands import cleaned

    clean: NDArray[np.float32] = cleaned(samples)
    return clean


def _windows(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a view of samples as the [windows, 400] that lie in them."""
    # numpy's sliding_window_view does the same at the price of a Fourier transform.
    shape = ((len(samples) - _PAST) // _HOP, _WINDOW)
    strides = (_HOP * samples.itemsize, samples.itemsize)
    return np.ndarray(shape, np.float32, np.ascontiguousarray(samples), strides=strides)


def _mel_weights() -> NDArray[np.float32]:
    """Returns the [257, 80] triangular filters, each summing to one, from 60 Hz to 7.6 kHz."""

    def mel(hertz: float) -> float:
        return 2595.0 * float(np.log10(1 + hertz / 700.0))

    edges = 700.0 * (10 ** (np.linspace(mel(60.0), mel(7600.0), MEL_BINS + 2) / 2595.0) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    # The lowest filters are narrower than a bin: each takes at least the bin nearest to it.
    nearest = np.argmin(np.abs(bins - centre), axis=0)
    weights[nearest, np.arange(MEL_BINS)] += 1e-3
    weights /= weights.sum(axis=0) * np.square(_HANN).sum()
    return weights.astype(np.float32)


def _spans(weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """Returns [bands, 2] each band's first bin of [bins, bands], and the one after its last."""
    weighed = weights > 0
    return np.stack([weighed.argmax(axis=0), len(weights) - weighed[::-1].argmax(axis=0)], axis=1)


_HANN: Final = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
_MEL_WEIGHTS: Final = _mel_weights()
_MEL_SPANS: Final = _spans(_MEL_WEIGHTS)
