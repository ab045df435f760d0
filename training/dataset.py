"""Streams to train on: utterances in a row with pauses, heard through rooms and noise.

A stream is half a minute of log-mel features with its phones, motion, style and state.
Built once, held in memory as half precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.features import stream_features
from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.contacts import CONTACT_NAMES, NETWORK_SIZE
from streaming_model.motion.style import EMOTIONS, STYLE_NAMES, Activity
from streaming_model.motion_space import MOTION_SIZE
from training import augment
from training.captured import Captured
from training.coarticulation import draw_style, mouth_contacts, mouth_motion
from training.corpus.utterances import Utterance
from training.feelings import draw_feelings, feel, speaking_share
from training.gestures import gesture_motion
from training.phones import PHONE_INDEX, SILENCE
from training.singing import sing, whisper

STREAM_SECONDS: Final = 24
STREAM_FRAMES: Final = STREAM_SECONDS * SAMPLE_RATE // SAMPLES_PER_MOTION_FRAME
LABELS_PER_FRAME: Final = 2  # phone labels, 20 ms apart
_LENGTH: Final = STREAM_SECONDS * SAMPLE_RATE
_SIL: Final = PHONE_INDEX[SILENCE]


# How often each engine's voices are heard: the most natural ones most.
_ENGINE_SHARE: Final = {
    "kokoro": 5.0,
    "piper": 1.0,
    "flite": 1.5,
    "festival": 1.5,
    "espeak": 1.0,
    "recorded": 3.0,
}
_SUNG_SHARE: Final = 0.04  # of the speech
_WHISPERED_SHARE: Final = 0.06
UNKNOWN_PHONE: Final = -1  # of captured speech, whose phones nobody knows


@dataclass(frozen=True, slots=True)
class Stream:
    """Features and targets of one stretch of sound.

    Attributes:
        mel: [4 * frames, 80] float16.
        phones: [frames, 2] int8, the phone at 10 and 30 ms into each frame.
        motion: [frames, 60] float16, the motion space and the contacts after it.
        mask: [60] bool, the numbers of `motion` that are true; the others say nothing.
        style: [frames, len(STYLE_NAMES)] float16, zeros for an average neutral speaker.
        activity: what the portrait is doing.
    """

    mel: NDArray[np.float16]
    phones: NDArray[np.int8]
    motion: NDArray[np.float16]
    mask: NDArray[np.bool_]
    style: NDArray[np.float16]
    activity: Activity


class Voices:
    """Utterances by engine and by speaker, to draw from.

    Args:
        utterances: of all speakers.
    """

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self.everyone = list(utterances)
        self._engines: dict[str, dict[str, list[Utterance]]] = {}
        for utterance in utterances:
            engine, speaker = engine_of(utterance.voice)
            self._engines.setdefault(engine, {}).setdefault(speaker, []).append(utterance)
        shares = np.array([_ENGINE_SHARE.get(name, 1.0) for name in self._engines])
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator) -> list[Utterance]:
        """Returns everything that one random speaker says."""
        speakers = self._engines[str(rng.choice(list(self._engines), p=self._shares))]
        return speakers[str(rng.choice(list(speakers)))]


def make_streams(
    utterances: Sequence[Utterance], numbers: Iterable[int], *, seed: int
) -> Iterator[Stream]:
    """Yields the streams of these numbers, each the same whatever others are made.

    One in six has no speech, one in fifteen only listens.
    """
    voices = Voices(utterances)
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        if number % 6 == 5:
            yield _wordless_stream(voices.everyone, rng=rng)
            continue
        activity = Activity.LISTEN if number % 15 == 7 else Activity.SPEAK
        yield _speech_stream(voices.draw(rng), voices.everyone, activity=activity, rng=rng)


def captured_streams(
    items: Sequence[Captured], copies: int, *, rng: np.random.Generator
) -> Iterator[Stream]:
    """Yields captured speech cut into streams, `copies` times through other microphones."""
    for _ in range(copies):
        for item in items:
            first = int(rng.integers(min(STREAM_FRAMES // 2, max(1, len(item.motion) // 4))))
            for start in range(first, len(item.motion) - STREAM_FRAMES + 1, STREAM_FRAMES):
                yield _captured_stream(item, start, rng=rng)


def _captured_stream(item: Captured, start: int, *, rng: np.random.Generator) -> Stream:
    frames = slice(start, start + STREAM_FRAMES)
    first = start * SAMPLES_PER_MOTION_FRAME
    samples = augment.equalise(item.samples[first : first + _LENGTH], rng=rng)
    samples *= 10 ** (rng.uniform(-36, -16) / 20) / _speech_level(samples)
    if rng.random() < 0.4:
        noise = augment.make_noise(str(rng.choice(augment.NOISES)), _LENGTH, rng=rng)
        samples = samples + noise * np.float32(_speech_level(samples) * 10 ** rng.uniform(-2, -1))
    mel = stream_features(samples)
    if rng.random() < 0.7:
        mel = augment.warp_mel(mel, float(rng.uniform(0.85, 1.18)))
    motion = np.zeros((STREAM_FRAMES, NETWORK_SIZE), np.float16)
    motion[:, :MOTION_SIZE] = item.motion[frames]
    style = np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16)
    style[:, STYLE_NAMES.index("captured")] = 1.0
    return Stream(
        mel=mel.astype(np.float16),
        phones=np.full((STREAM_FRAMES, LABELS_PER_FRAME), UNKNOWN_PHONE, np.int8),
        motion=motion,
        mask=np.concatenate([item.mask, np.zeros(len(CONTACT_NAMES), bool)]),
        style=style,
        activity=Activity.SPEAK,
    )


def plain_stream(utterance: Utterance) -> tuple[NDArray[np.float32], Utterance]:
    """Returns an utterance between half seconds of silence, as samples and with its times.

    For evaluation: nothing is augmented.
    """
    pad = np.zeros(SAMPLE_RATE // 2, np.float32)
    samples = np.concatenate([pad, utterance.samples, pad])
    phones = np.concatenate([[_SIL], utterance.phones, [_SIL]])
    bounds = np.concatenate([[0], utterance.bounds + len(pad), [len(samples)]])
    return samples, Utterance(samples, phones, bounds, utterance.voice, utterance.text)


def phone_effort(utterance: Utterance) -> NDArray[np.float64]:
    """Returns [m] how loud each phone is against the utterance's median, about 0.75..1.25."""
    total = np.concatenate([[0.0], np.cumsum(np.square(utterance.samples, dtype=np.float64))])
    bounds = np.minimum(utterance.bounds, len(utterance.samples))
    power = np.diff(total[bounds]) / np.maximum(1, np.diff(bounds))
    decibels = 10 * np.log10(power + 1e-9)
    spoken = decibels[utterance.phones != _SIL]
    middle = float(np.percentile(spoken, 70)) if len(spoken) else 0.0
    return np.asarray(np.clip(10 ** ((decibels - middle) / 45), 0.75, 1.25))


def engine_of(voice: str) -> tuple[str, str]:
    """Returns the engine of a voice, and whom its utterances may be joined with."""
    engine = "piper" if voice == "joe" else voice.split("-")[0]
    # Every utterance by Kokoro may be by another mixture of speakers.
    return engine, engine if engine == "kokoro" else voice


def _speech_stream(
    own: Sequence[Utterance],
    everyone: Sequence[Utterance],
    *,
    activity: Activity,
    rng: np.random.Generator,
) -> Stream:
    factor = float(rng.uniform(0.86, 1.18))
    utterances = [augment.change_speed(u, factor) for u in _fill(own, factor, rng=rng)]
    manner = rng.random()
    whispered = _SUNG_SHARE <= manner < _SUNG_SHARE + _WHISPERED_SHARE
    if manner < _SUNG_SHARE:
        utterances = [sing(utterance, rng=rng) for utterance in utterances]
    elif whispered:
        utterances = [whisper(utterance, rng=rng) for utterance in utterances]
    spoken = _join(utterances, rng=rng)
    samples = augment.equalise(spoken.samples, rng=rng)
    if rng.random() < 0.35:
        samples = augment.add_room(samples, rng=rng)
    samples *= 10 ** (rng.uniform(-42, -15) / 20) / _speech_level(samples)
    if rng.random() < 0.45:
        snr = rng.uniform(6, 35)
        noise = _any_noise(everyone, quiet_babble=snr < 14, rng=rng)
        samples = samples + noise * np.float32(_speech_level(samples) * 10 ** (-snr / 20))
    return _to_stream(samples, spoken, activity=activity, rng=rng, whispered=whispered)


def _fill(
    own: Sequence[Utterance], factor: float, *, rng: np.random.Generator
) -> Iterator[Utterance]:
    filled = 0.0
    while filled < _LENGTH:
        utterance = own[int(rng.integers(len(own)))]
        filled += len(utterance.samples) / factor
        yield utterance


def _join(utterances: Sequence[Utterance], *, rng: np.random.Generator) -> Utterance:
    """Returns one utterance of exactly a stream's length, with silences between the parts."""
    samples, phones, bounds, position = [], [], [0], 0
    for utterance in utterances:
        gap = int(rng.choice([0.15, 0.5, 2.0]) * rng.uniform(0.3, 1.5) * SAMPLE_RATE)
        samples += [np.zeros(gap, np.float32), utterance.samples]
        phones += [_SIL, *utterance.phones.tolist()]
        bounds += [position + gap, *(position + gap + utterance.bounds[1:]).tolist()]
        position += gap + len(utterance.samples)
    ends = np.minimum(np.array(bounds), _LENGTH)
    used = int(np.searchsorted(ends, _LENGTH))
    return Utterance(
        samples=np.concatenate(samples)[:_LENGTH],
        phones=np.array(phones[:used]),
        bounds=ends[: used + 1].astype(np.int64),
        voice=utterances[0].voice,
        text="",
    )


def _wordless_stream(everyone: Sequence[Utterance], *, rng: np.random.Generator) -> Stream:
    """Returns silence, noise, music, animals or a crowd: the mouth stays shut."""
    samples = np.zeros(_LENGTH, np.float32)
    times = np.arange(_LENGTH) / SAMPLE_RATE
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.08, 0.5, 0.28, 0.14]))):
        level = np.float32(10 ** (rng.uniform(-65, -12) / 20))
        sound = _any_noise(everyone, quiet_babble=False, rng=rng) * level
        # The sound comes and goes, so that its onset is not taken for a voice.
        if rng.random() < 0.5:
            sound *= np.sin(2 * np.pi * rng.uniform(0.05, 0.8) * times + rng.uniform(0, 6)) > -0.3
        samples += sound
    silence = Utterance(samples, np.array([_SIL]), np.array([0, _LENGTH]), "none", "")
    activity = Activity.SPEAK if rng.random() < 0.7 else Activity.IDLE
    return _to_stream(samples, silence, activity=activity, rng=rng)


def _any_noise(
    everyone: Sequence[Utterance], *, quiet_babble: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    if rng.random() < 0.12 and not quiet_babble:
        voices = [everyone[int(rng.integers(len(everyone)))].samples for _ in range(8)]
        return augment.make_babble(voices, _LENGTH, rng=rng)
    return augment.make_noise(str(rng.choice(augment.NOISES)), _LENGTH, rng=rng)


def _speech_level(samples: NDArray[np.float32]) -> float:
    frames = samples[: len(samples) // 640 * 640].reshape(-1, 640)
    levels = np.sqrt(np.mean(np.square(frames), axis=1))
    return float(np.sqrt(np.mean(np.square(levels[levels >= np.percentile(levels, 60)]))) + 1e-6)


def _to_stream(
    samples: NDArray[np.float32],
    spoken: Utterance,
    *,
    activity: Activity,
    rng: np.random.Generator,
    whispered: bool = False,
) -> Stream:
    speaker = draw_style(rng)
    feelings = draw_feelings(STREAM_FRAMES, rng=rng)
    head, brows = (float(np.clip(rng.lognormal(-0.05, 0.35), 0.3, 2.0)) for _ in range(2))
    # A whisper that nobody asked for gets ordinary lips; one that was asked for, a whisperer's.
    labelled = whispered and rng.random() < 0.7
    if labelled:
        shown = replace(speaker, jaw=0.85 * speaker.jaw, lips=1.05 * speaker.lips)
    else:
        shown = speaker
    effort = phone_effort(spoken)
    motion = gesture_motion(
        spoken.phones,
        spoken.bounds,
        frames=STREAM_FRAMES,
        effort=effort,
        energies=(0.6 * head if labelled else head, brows),
        rng=rng,
    )
    contacts = np.zeros((STREAM_FRAMES, len(CONTACT_NAMES)), np.float32)
    speaking = np.zeros(STREAM_FRAMES, np.float32)
    if activity is Activity.SPEAK:
        motion += mouth_motion(
            spoken.phones, spoken.bounds, frames=STREAM_FRAMES, style=shown, effort=effort
        )
        contacts = mouth_contacts(spoken.phones, spoken.bounds, frames=STREAM_FRAMES)
        speaking = speaking_share(spoken.phones, spoken.bounds, frames=STREAM_FRAMES)
    else:
        motion *= 0.4
    motion = feel(motion, feelings, speaking)
    values = {"jaw": speaker.jaw, "lips": speaker.lips, "head": head, "brows": brows}
    style = np.zeros((STREAM_FRAMES, len(STYLE_NAMES)), np.float16)
    for name, value in values.items():
        style[:, STYLE_NAMES.index(name)] = value - 1.0
    style[:, STYLE_NAMES.index("whisper")] = float(labelled)
    first = STYLE_NAMES.index(EMOTIONS[0])
    style[:, first : first + len(EMOTIONS)] = feelings
    mel = stream_features(samples)
    if rng.random() < 0.7:
        mel = augment.warp_mel(mel, float(rng.uniform(0.85, 1.18)))
    return Stream(
        mel=mel.astype(np.float16),
        phones=frame_labels(spoken.phones, spoken.bounds, STREAM_FRAMES),
        motion=np.concatenate([motion, contacts], axis=1).astype(np.float16),
        mask=np.ones(NETWORK_SIZE, bool),
        style=style,
        activity=activity,
    )


def frame_labels(
    phones: NDArray[np.int64], bounds: NDArray[np.int64], frames: int
) -> NDArray[np.int8]:
    """Returns [frames, 2] the phone at a quarter and at three quarters of each frame."""
    step = SAMPLES_PER_MOTION_FRAME // LABELS_PER_FRAME
    times = np.arange(frames * LABELS_PER_FRAME) * step + step // 2
    index = np.clip(np.searchsorted(bounds, times, side="right") - 1, 0, len(phones) - 1)
    return phones[index].reshape(frames, LABELS_PER_FRAME).astype(np.int8)
