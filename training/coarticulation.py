"""Mouth motion from phones: dominance blending, then hard rules for the lips.

Targets overlap as in Cohen and Massaro (1993), each phone pulling its articulators with an
exponential dominance; then closures are enforced as in JALI (Edwards et al. 2016). What
varies between speakers is drawn once per utterance. Knows nothing of sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.phones import PHONE_INDEX, PHONES, SILENCE

# Each articulator moves one ARKit coefficient or a symmetric pair.
_ARTICULATORS: Final[dict[str, tuple[str, ...]]] = {
    "jaw": ("jawOpen",),
    "lower": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "upper": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "funnel": ("mouthFunnel",),
    "pucker": ("mouthPucker",),
    "stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "dimple": ("mouthDimpleLeft", "mouthDimpleRight"),
    "roll": ("mouthRollLower",),
    "tongue": ("tongueOut",),
}
_NAMES: Final = tuple(_ARTICULATORS)

# Peak coefficients. jawOpen 1 is a wide yawn: open vowels need about 0.4.
_VOWELS: Final[dict[str, dict[str, float]]] = {
    "AA": {"jaw": 0.40, "lower": 0.24, "upper": 0.12},
    "AE": {"jaw": 0.36, "lower": 0.32, "upper": 0.20, "stretch": 0.24, "smile": 0.12},
    "AH": {"jaw": 0.26, "lower": 0.20, "upper": 0.09, "stretch": 0.06},
    "AO": {"jaw": 0.34, "lower": 0.14, "funnel": 0.42, "pucker": 0.16},
    "EH": {"jaw": 0.27, "lower": 0.26, "upper": 0.14, "stretch": 0.20, "smile": 0.10},
    "ER": {"jaw": 0.17, "lower": 0.14, "upper": 0.06, "funnel": 0.32, "pucker": 0.20},
    "IH": {"jaw": 0.16, "lower": 0.22, "upper": 0.11, "stretch": 0.20, "smile": 0.10},
    "IY": {
        "jaw": 0.10,
        "lower": 0.24,
        "upper": 0.12,
        "stretch": 0.38,
        "smile": 0.24,
        "dimple": 0.1,
    },
    "UH": {"jaw": 0.15, "lower": 0.12, "funnel": 0.36, "pucker": 0.34},
    "UW": {"jaw": 0.10, "lower": 0.06, "funnel": 0.26, "pucker": 0.68},
}
_CONSONANTS: Final[dict[str, dict[str, float]]] = {
    **{key: {"jaw": 0.06} for key in ("B", "M", "P")},
    **{key: {"jaw": 0.07, "upper": 0.18, "roll": 0.42} for key in ("F", "V")},
    **{key: {"jaw": 0.13, "lower": 0.17, "upper": 0.07, "tongue": 0.2} for key in ("TH", "DH")},
    **{
        key: {"jaw": 0.05, "lower": 0.2, "upper": 0.12, "stretch": 0.2, "smile": 0.06}
        for key in ("S", "Z")
    },
    **{
        key: {"jaw": 0.08, "lower": 0.16, "upper": 0.14, "funnel": 0.52, "pucker": 0.22}
        for key in ("SH", "ZH", "CH", "JH")
    },
    **{
        key: {"jaw": 0.09, "lower": 0.16, "upper": 0.07, "stretch": 0.06} for key in ("T", "D", "N")
    },
    "L": {"jaw": 0.15, "lower": 0.18, "upper": 0.06},
    **{key: {"jaw": 0.13, "lower": 0.14, "upper": 0.06} for key in ("K", "G", "NG")},
    "HH": {"jaw": 0.18, "lower": 0.15, "upper": 0.06},
    "R": {"jaw": 0.11, "lower": 0.10, "upper": 0.04, "funnel": 0.36, "pucker": 0.26},
    "W": {"jaw": 0.07, "funnel": 0.22, "pucker": 0.75},
    "Y": {"jaw": 0.09, "lower": 0.20, "upper": 0.10, "stretch": 0.30, "smile": 0.16},
}
_TARGETS: Final = {SILENCE: dict[str, float](), **_VOWELS, **_CONSONANTS}
_DIPHTHONGS: Final = {
    "AY": ("AA", "IY"),
    "AW": ("AA", "UW"),
    "EY": ("EH", "IY"),
    "OW": ("AO", "UW"),
    "OY": ("AO", "IY"),
}
_DIPHTHONG_SPLIT: Final = 0.55

_BILABIALS: Final = ("P", "B", "M")
_LABIODENTALS: Final = ("F", "V")
_LIP_HEAVY: Final = ("UW", "W", "SH", "ZH", "CH", "JH", "OW", "AO", "OY", "R", "UH")
_TONGUE_ONLY: Final = ("L", "N", "T", "D", "K", "G", "NG", "HH")
_SIBILANTS: Final = ("S", "Z", "SH", "ZH", "CH", "JH")
_SIBILANT_JAW: Final = 0.10

_RISE: Final = 0.055  # s, lips closing before a bilabial
_FALL: Final = 0.045  # s, and opening after it
_SHORTEST_CLOSURE: Final = 0.056  # s, so that a frame, 40 ms apart, surely sees it
_REST_AFTER: Final = 0.10  # s, how fast the mouth comes to rest in a pause


@dataclass(frozen=True, slots=True)
class SpeakingStyle:
    """How one speaker articulates; drawn per utterance.

    Attributes:
        jaw: scale of the jaw, about 0.7 to 1.3.
        lips: scale of the lip shapes, about 0.7 to 1.3.
        sharpness: scale of the dominance rates: above 1 is crisper.
        skew: -1..1, how much more the left corner moves than the right.
    """

    jaw: float = 1.0
    lips: float = 1.0
    sharpness: float = 1.0
    skew: float = 0.0


def draw_style(rng: np.random.Generator) -> SpeakingStyle:
    """Returns a random speaker."""
    return SpeakingStyle(
        jaw=float(np.clip(rng.normal(1.0, 0.14), 0.65, 1.35)),
        lips=float(np.clip(rng.normal(1.0, 0.14), 0.65, 1.35)),
        sharpness=float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.3)),
        skew=float(np.clip(rng.normal(0.0, 0.06), -0.15, 0.15)),
    )


def mouth_motion(
    phones: NDArray[np.int64],
    bounds: NDArray[np.int64],
    *,
    frames: int,
    style: SpeakingStyle,
    effort: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Returns the [frames, 58] motion of a mouth that says these phones.

    Args:
        phones: [m] indices into `PHONES`, covering the stream with silences included.
        bounds: [m + 1] samples at 16 kHz.
        frames: how many motion frames; each is taken at its middle.
        style: the speaker.
        effort: [m] loudness of each phone, 1 is ordinary.
    """
    times = (np.arange(frames) + 0.5) * SAMPLES_PER_MOTION_FRAME / SAMPLE_RATE
    names, edges, weights = _split_diphthongs(phones, bounds / SAMPLE_RATE, effort)
    values = _blend(names, edges, weights, times=times, style=style)
    closure = _contact(names, edges, times, members=_BILABIALS)
    bite = _contact(names, edges, times, members=_LABIODENTALS)
    return _to_arkit(values, closure=closure, bite=bite, style=style)


def mouth_contacts(
    phones: NDArray[np.int64], bounds: NDArray[np.int64], *, frames: int
) -> NDArray[np.float32]:
    """Returns [frames, 2] where the lips meet and where the lower lip meets the teeth, 0..1."""
    times = (np.arange(frames) + 0.5) * SAMPLES_PER_MOTION_FRAME / SAMPLE_RATE
    names, edges = [PHONES[phone] for phone in phones], bounds / SAMPLE_RATE
    kinds = (_BILABIALS, _LABIODENTALS)
    contacts = [_contact(names, edges, times, members=members) for members in kinds]
    return np.stack(contacts, axis=1).astype(np.float32)


def _split_diphthongs(
    phones: NDArray[np.int64], edges: NDArray[np.float64], effort: NDArray[np.float64]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    names: list[str] = []
    starts: list[float] = []
    weights: list[float] = []
    for phone, start, end, weight in zip(phones, edges[:-1], edges[1:], effort, strict=True):
        parts = _DIPHTHONGS.get(PHONES[phone], (PHONES[phone],))
        for index, part in enumerate(parts):
            names.append(part)
            starts.append(start + index * _DIPHTHONG_SPLIT * (end - start))
            weights.append(weight)
    return names, np.array([*starts, edges[-1]]), np.array(weights)


def _blend(
    names: list[str],
    edges: NDArray[np.float64],
    effort: NDArray[np.float64],
    *,
    times: NDArray[np.float64],
    style: SpeakingStyle,
) -> NDArray[np.float64]:
    """Returns [frames, articulators] dominance-weighted means of the targets."""
    strength, before, after = _dominance_table()
    targets = _target_table()
    index = np.array([PHONE_INDEX[name] for name in names])
    start, end = edges[:-1], edges[1:]
    duration = np.maximum(end - start, 0.02)
    rate = style.sharpness * np.sqrt(np.clip(0.09 / duration, 0.3, 3.0))
    silent = index == PHONE_INDEX[SILENCE]
    # A vowel reaches its shape a little before its middle, a consonant at it. A silence
    # holds from soon after its beginning to shortly before its end.
    hold = np.where(silent, np.maximum(0.0, duration - 2 * _REST_AFTER), 0.25 * duration)
    lead = np.where(silent, np.minimum(_REST_AFTER, duration / 2), 0.3 * duration)
    gap_before = np.maximum(0.0, (start + lead)[:, None] - times)
    gap_after = np.maximum(0.0, times - (start + lead + hold)[:, None])
    values = np.empty((len(times), len(_NAMES)))
    for column in range(len(_NAMES)):
        fade = (before[index, column] * rate)[:, None] * gap_before
        fade += (after[index, column] * rate)[:, None] * gap_after
        pull = strength[index, column][:, None] * np.exp(-fade)
        reach = targets[index, column] * effort
        values[:, column] = (pull * reach[:, None]).sum(axis=0) / (pull.sum(axis=0) + 1e-6)
    jaw = _NAMES.index("jaw")
    values[:, jaw] *= style.jaw
    values[:, jaw + 1 :] *= style.lips
    cap = _contact(names, edges, times, members=_SIBILANTS)
    values[:, jaw] = np.minimum(values[:, jaw], 1.0 - cap * (1.0 - _SIBILANT_JAW))
    return values


def _target_table() -> NDArray[np.float64]:
    """Returns [phones, articulators] peak coefficients; diphthongs stay zero."""
    table = np.zeros((len(PHONES), len(_NAMES)))
    for phone, targets in _TARGETS.items():
        for name, value in targets.items():
            table[PHONE_INDEX[phone], _NAMES.index(name)] = value
    return table


def _dominance_table() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns [phones, articulators] strength, and rates per second before and after."""
    shape = (len(PHONES), len(_NAMES))
    strength, before, after = np.full(shape, 0.85), np.full(shape, 20.0), np.full(shape, 22.0)
    for vowel in _VOWELS:
        strength[PHONE_INDEX[vowel]], before[PHONE_INDEX[vowel]] = 1.0, 17.0
        after[PHONE_INDEX[vowel]] = 17.0
    jaw, shapes = _NAMES.index("jaw"), [_NAMES.index(name) for name in ("funnel", "pucker")]
    for phone in _TONGUE_ONLY:
        strength[PHONE_INDEX[phone]] = 0.18
        strength[PHONE_INDEX[phone], jaw] = 0.4
    for phone in _LIP_HEAVY:
        if phone in _TARGETS:
            for column in shapes:
                strength[PHONE_INDEX[phone], column] = 1.2
                before[PHONE_INDEX[phone], column] = 10.0
                after[PHONE_INDEX[phone], column] = 13.0
    strength[PHONE_INDEX["HH"]] = 0.08
    for phone in (*_BILABIALS, *_LABIODENTALS):
        # The lips are set by contact, below; the shape around them may pass through.
        strength[PHONE_INDEX[phone]] = 0.4
        strength[PHONE_INDEX[phone], jaw] = 1.4
    roll = _NAMES.index("roll")
    for phone in _LABIODENTALS:
        strength[PHONE_INDEX[phone], roll] = 3.0
    strength[PHONE_INDEX[SILENCE]] = 1.6
    before[PHONE_INDEX[SILENCE]], after[PHONE_INDEX[SILENCE]] = 17.0, 14.0
    return strength, before, after


def _contact(
    names: list[str],
    edges: NDArray[np.float64],
    times: NDArray[np.float64],
    *,
    members: tuple[str, ...],
) -> NDArray[np.float64]:
    """Returns [frames] in 0..1: one while a member sounds, with quick smooth edges."""
    contact = np.zeros(len(times))
    for name, start, end in zip(names, edges[:-1], edges[1:], strict=True):
        if name not in members:
            continue
        # Occlusion ends with the release burst, a little before the phone does.
        stop = end - 0.15 * (end - start)
        begin = min(start, stop - _SHORTEST_CLOSURE)
        rising = (times - (begin - _RISE)) / _RISE
        falling = ((stop + _FALL) - times) / _FALL
        ramp = np.clip(np.minimum(rising, falling), 0.0, 1.0)
        contact = np.maximum(contact, ramp * ramp * (3 - 2 * ramp))
    return contact


def _to_arkit(
    values: NDArray[np.float64],
    *,
    closure: NDArray[np.float64],
    bite: NDArray[np.float64],
    style: SpeakingStyle,
) -> NDArray[np.float32]:
    parts = dict(zip(_NAMES, values.T, strict=True))
    # mouthClose closes the lips relative to the jaw: equal to jawOpen, they touch.
    jaw = parts["jaw"] * (1 - 0.35 * closure - 0.3 * bite)
    parts["jaw"] = jaw
    parts["lower"] = parts["lower"] * (1 - closure) * (1 - bite)
    parts["upper"] = parts["upper"] * (1 - closure) + 0.10 * bite
    parts["funnel"] = parts["funnel"] * (1 - 0.75 * closure) * (1 - 0.4 * bite)
    parts["tongue"] = parts["tongue"] * (1 - closure)
    parts["roll"] = np.maximum(parts["roll"], 0.36 * bite) * (1 - 0.6 * closure)
    motion = np.zeros((len(values), MOTION_SIZE), np.float32)
    for name, targets in _ARTICULATORS.items():
        for target in targets:
            motion[:, INDEX[target]] = parts[name]
    motion[:, INDEX["mouthClose"]] = jaw * closure
    motion[:, INDEX["mouthRollLower"]] += 0.16 * closure
    motion[:, INDEX["mouthRollUpper"]] += 0.14 * closure
    motion[:, INDEX["mouthShrugLower"]] += 0.06 * closure
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        motion[:, INDEX[f"mouthPress{side}"]] += 0.22 * closure
        for name in ("mouthSmile", "mouthStretch", "mouthDimple"):
            motion[:, INDEX[name + side]] *= 1 + sign * style.skew
    clipped: NDArray[np.float32] = np.clip(motion, 0.0, 1.0)
    return clipped


def lip_gap(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns [frames] how far the lips are apart, in units of jawOpen; 0 is touching."""
    jaw = motion[:, INDEX["jawOpen"]] - motion[:, INDEX["mouthClose"]]
    lips = motion[:, INDEX["mouthLowerDownLeft"]] + motion[:, INDEX["mouthUpperUpLeft"]]
    funnel = motion[:, INDEX["mouthFunnel"]]
    rolled = motion[:, INDEX["mouthRollLower"]] + motion[:, INDEX["mouthRollUpper"]]
    gap = np.maximum(0.0, jaw + 0.4 * lips + 0.2 * funnel - 0.2 * rolled)
    return np.asarray(gap, dtype=np.float32)
