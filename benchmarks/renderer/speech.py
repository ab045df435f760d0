"""A monologue of half a minute: its motion by our own model, and by the training procedure.

Spoken by our own voice, whose phone times are exact. Made once per machine and set of weights.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import streaming_model.motion
from server.voice.cache import cache_folder
from server.voice.catalog import FAST_VOICE, open_voice
from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import load_motion_generator
from training.coarticulation import SpeakingStyle, lip_gap, mouth_motion
from training.corpus.neural import to_utterance
from training.corpus.utterances import Utterance
from training.dataset import phone_effort, plain_stream
from training.phones import PHONES

TEXT: Final = (
    "My mother began by painting a big blue map on the bedroom wall. Maybe people thought it "
    "peculiar, but she never stopped. Every Friday we would move the lamps, sip coffee from "
    "brown cups, and wonder about mountains, rivers and ships. Peter said, that is the book "
    "about my brother's boat, and I believed him. Please remember the purple bench by the "
    "museum, where a baby played with bubbles. Perhaps somebody bumped into a pump, and the "
    "poor man jumped. I am sure we will meet up in Bombay, or maybe in Memphis, by the middle "
    "of September. What a beautiful plan, happy and simple."
)
BILABIALS: Final = ("P", "B", "M")
SECONDS: Final = 30
_CLOSED: Final = 0.1  # of the 95th percentile of the lip gap
_HELD: Final = (0.2, 0.8)  # of a phone's length: where the lips must be together


@dataclass(frozen=True, slots=True, eq=False)
class Monologue:
    """Half a minute of speech as motion.

    Attributes:
        motion: [n, 58] by the shipped model, with its head motion and blinks.
        exact: [n, 58] by the training procedure from the phones' times, the head at rest.
        bilabial: [n] bool, frames whose middle lies in the held part of a P, B or M.
        commanded: [n] bool, those of them in which `motion` closes the lips.
    """

    motion: NDArray[np.float32]
    exact: NDArray[np.float32]
    bilabial: NDArray[np.bool_]
    commanded: NDArray[np.bool_]


def monologue() -> Monologue:
    """Returns the monologue, from the cache if it was made before."""
    path = cache_folder() / f"bench-monologue-{_digest()}.npz"
    if not path.exists():
        motion, exact, bilabial = _make()
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, motion=motion, exact=exact, bilabial=bilabial)
    stored = np.load(path)
    motion, bilabial = stored["motion"], stored["bilabial"]
    gap = lip_gap(motion)
    closed = gap <= _CLOSED * np.percentile(gap, 95)
    return Monologue(motion, stored["exact"], bilabial, bilabial & closed)


def _digest() -> str:
    digest = hashlib.sha256(TEXT.encode())
    folders = [Path(streaming_model.motion.__file__).parents[1] / "weights" / "motion"]
    for path in [*sorted(folders[0].glob("*.safetensors")), Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    voice = open_voice(FAST_VOICE)
    spoken = [to_utterance(clause, voice=voice.name) for clause in voice.speak(TEXT)]
    samples, speech = plain_stream(_joined(spoken))
    frames = min(len(samples) // SAMPLES_PER_MOTION_FRAME, SECONDS * 25)
    generator = load_motion_generator()
    (state,), (chunks,) = generator.step([generator.start(seed=0)], [AudioChunk(0, samples)])
    motion = np.concatenate([chunk.motion for chunk in [*chunks, *generator.finish(state)]])
    exact = mouth_motion(
        speech.phones,
        speech.bounds,
        frames=frames,
        style=SpeakingStyle(),
        effort=phone_effort(speech),
    )
    return motion[:frames], exact, held_frames(speech.phones, speech.bounds, frames)


def _joined(spoken: list[Utterance]) -> Utterance:
    starts = np.cumsum([0, *(len(each.samples) for each in spoken)])
    return Utterance(
        samples=np.concatenate([each.samples for each in spoken]),
        phones=np.concatenate([each.phones for each in spoken]),
        bounds=np.concatenate(
            [
                *(each.bounds[:-1] + start for each, start in zip(spoken, starts, strict=False)),
                [starts[-1]],
            ]
        ),
        voice=spoken[0].voice,
        text=TEXT,
    )


def held_frames(
    phones: NDArray[np.int64], bounds: NDArray[np.int64], frames: int
) -> NDArray[np.bool_]:
    """Returns [frames]: whether the frame's middle lies in the held part of a P, B or M."""
    middles = (np.arange(frames) + 0.5) * SAMPLES_PER_MOTION_FRAME
    held = np.zeros(frames, bool)
    for phone, start, end in zip(phones, bounds[:-1], bounds[1:], strict=True):
        if PHONES[phone] in BILABIALS:
            low, high = (start + share * (end - start) for share in _HELD)
            held |= (middles >= low) & (middles <= high)
    return held
