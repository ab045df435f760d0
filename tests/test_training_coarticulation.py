"""The mouth targets: lips meet on bilabials, rest in silence, open on vowels, round on UW."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from training.coarticulation import SpeakingStyle, draw_style, lip_gap, mouth_motion
from training.gestures import find_accents, gesture_motion
from training.phones import PHONE_INDEX, PHONES


def said(
    words: str, *, length: float = 0.1, style: SpeakingStyle | None = None
) -> NDArray[np.float32]:
    """Motion of phones of equal length between half seconds of silence."""
    names = ["sil", *words.split(), "sil"]
    lengths = [0.5, *[length] * (len(names) - 2), 0.5]
    bounds = np.round(np.cumsum([0, *lengths]) * 16_000).astype(np.int64)
    return mouth_motion(
        np.array([PHONE_INDEX[name] for name in names]),
        bounds,
        frames=int(bounds[-1]) // 640,
        style=style or SpeakingStyle(),
        effort=np.ones(len(names)),
    )


def frame_of(index: int, *, length: float = 0.1) -> int:
    """The frame in the middle of the phone with this index after the silence."""
    return int((0.5 + (index + 0.5) * length) * 25)


@pytest.mark.parametrize("phone", ["P", "B", "M"])
@pytest.mark.parametrize("length", [0.045, 0.07, 0.1, 0.16])
def test_lips_meet_on_bilabials_however_short(phone: str, length: float) -> None:
    motion = said(f"AA {phone} AE {phone} AA {phone} IY", length=length)
    gap = lip_gap(motion)
    for index in (1, 3, 5):
        near = frame_of(index, length=length)
        closed = near - 1 + int(gap[near - 1 : near + 2].argmin())
        assert gap[closed] < 0.02
        assert motion[closed, INDEX["mouthClose"]] == pytest.approx(
            motion[closed, INDEX["jawOpen"]], rel=0.1
        )


def test_the_mouth_rests_in_silence() -> None:
    motion = said("HH AH L OW")
    assert np.abs(motion[:8]).max() < 0.02
    assert np.abs(motion[-6:]).max() < 0.02


def test_open_vowels_open_and_stay_below_a_yawn() -> None:
    jaw = said("T AA T AE T")[:, INDEX["jawOpen"]]
    assert jaw[frame_of(1)] > 0.25
    assert jaw.max() < 0.45


def test_rounded_vowels_pucker_and_spread_ones_stretch() -> None:
    motion = said("UW UW IY IY")
    rounded, spread = motion[frame_of(0)], motion[frame_of(3)]
    assert rounded[INDEX["mouthPucker"]] > 0.4 > spread[INDEX["mouthPucker"]]
    assert spread[INDEX["mouthStretchLeft"]] > 0.2 > rounded[INDEX["mouthStretchLeft"]]


def test_f_and_v_bring_the_lower_lip_to_the_teeth() -> None:
    motion = said("AA F AA V AA")
    for index in (1, 3):
        assert motion[frame_of(index), INDEX["mouthRollLower"]] > 0.25
        assert motion[frame_of(index), INDEX["mouthLowerDownLeft"]] < 0.08


def test_sibilants_cap_the_jaw() -> None:
    jaw = said("AA S AA Z AA", length=0.14)[:, INDEX["jawOpen"]]
    assert jaw[frame_of(1, length=0.14)] < 0.13


def test_every_coefficient_is_between_zero_and_one_for_any_speaker() -> None:
    rng = np.random.default_rng(0)
    everything = " ".join(PHONES[1:])
    for _ in range(5):
        motion = said(everything, style=draw_style(rng))
        assert motion.min() >= 0 and motion.max() <= 1


def test_gestures_answer_accents_and_end_with_speech() -> None:
    phones = np.array(
        [PHONE_INDEX[name] for name in ["sil", *["T", "AA", "T", "AH", "T", "AA"], "sil"]]
    )
    lengths = [0.5, 0.06, 0.2, 0.15, 0.05, 0.15, 0.25, 3.0]
    bounds = np.round(np.cumsum([0, *lengths]) * 16_000).astype(np.int64)
    effort = np.ones(len(phones))
    accents = find_accents(phones, bounds, effort)
    assert [accent.time for accent in accents] == pytest.approx([0.66, 1.235], abs=0.01)
    nods = []
    for seed in range(20):
        motion = gesture_motion(
            phones,
            bounds,
            frames=int(bounds[-1]) // 640,
            effort=effort,
            energies=(1.0, 1.0),
            rng=np.random.default_rng(seed),
        )
        assert np.abs(motion[-10:]).max() < 0.01
        nods.append(np.abs(np.degrees(motion[:, INDEX["headPitch"]])).max())
    assert 0.8 < np.median(nods) < 6
