"""One session's place in its stream of audio and motion, as a value that is never changed.

Also which utterance each part of the audio belongs to. Knows no network.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.features import FeatureState
from streaming_model.errors import AudioError
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion.additive import Additions
from streaming_model.motion.face import FaceState
from streaming_model.motion.manner import MannerState
from streaming_model.motion.prosody import ProsodyState
from streaming_model.motion.style import MotionStyle

Marks = tuple[tuple[int, int], ...]  # (sample since the origin, utterance), ascending


@dataclass(frozen=True, slots=True)
class MotionState:
    """One session's place in its stream; a value that is never changed.

    Attributes:
        seed: decides head motion, blinks and gaze.
        manner: how the portrait moves, and is about to.
        prosody: what was heard of the voice's melody.
        additions: gestures and a live stream to be added.
        origin: media time of the stream's first sample, None before any audio.
        received: samples received.
        pending: [n] float32 samples that were not listened to yet.
        marks: (sample since the origin, utterance) where each utterance began.
        features: state of the log-mel features.
        encoder: [state] float32, state of the audio encoder.
        audio: [K + heard, audio_size] features of the history and of what was heard after it.
        sound: [K + heard, 80] float32, the sound of the same frames where there is a mouth that
            is made of it, else [0, 80].
        listener: [state] float32, state of the listener for contacts, empty where there is none.
        contacts: [heard, scores] what it heard of the frames that were not given yet.
        given: frames of motion given.
        history: [K, size] the last frames given, in network units.
        voice: 0..1, how far a voice has let the mouth open.
        face: state of what is done to the network's frames.
    """

    seed: int
    manner: MannerState
    prosody: ProsodyState
    additions: Additions
    origin: int | None
    received: int
    pending: NDArray[np.float32]
    marks: Marks
    features: FeatureState
    encoder: NDArray[np.float32]
    audio: NDArray[np.float32]
    sound: NDArray[np.float32]
    listener: NDArray[np.float32]
    contacts: NDArray[np.float32]
    given: int
    history: NDArray[np.float32]
    voice: float
    face: FaceState

    @property
    def end(self) -> int:
        """Media time at which the next audio chunk must start, once there was one."""
        return (self.origin or 0) + self.received

    @property
    def asked(self) -> MotionStyle:
        """The style that was asked for last."""
        coming = self.manner.coming
        return coming[-1][1] if coming else self.manner.style

    @property
    def next(self) -> int:
        """Media time of the next frame to be given: the earliest that can still be changed."""
        return (self.origin or 0) + self.given * SAMPLES_PER_MOTION_FRAME


def receive(state: MotionState, chunk: AudioChunk) -> MotionState:
    """Returns the state with the chunk's samples waiting.

    Raises:
        AudioError: the chunk does not begin where the last one ended.
    """
    origin = chunk.start if state.origin is None else state.origin
    if chunk.start != origin + state.received:
        raise AudioError(
            f"The audio chunk starts at sample {chunk.start}, "
            f"but the last one ended at {origin + state.received}."
        )
    marks = state.marks
    if len(chunk.samples) and (not marks or marks[-1][1] != chunk.utterance):
        marks = (*marks, (state.received, chunk.utterance))
    return replace(
        state,
        origin=origin,
        received=state.received + len(chunk.samples),
        pending=np.concatenate([state.pending, chunk.samples]),
        marks=marks,
    )


def utterances_at(marks: Marks, starts: Iterable[int]) -> NDArray[np.int64]:
    """Returns [frames] the utterance at each of these samples since the origin."""
    begins = [begin for begin, _ in marks]
    found = [marks[bisect_right(begins, start) - 1][1] for start in starts]
    return np.array(found, np.int64)


def marks_from(marks: Marks, position: int) -> Marks:
    """Returns the marks without those that ended before `position`."""
    current = max((index for index, (begin, _) in enumerate(marks) if begin <= position), default=0)
    return marks[current:]
