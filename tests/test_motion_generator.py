"""The motion generator with the shipped weights: lips, stillness, seeds, times, bad input."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.audio.streaming_encoder import CONFIG, WEIGHTS
from streaming_model.errors import AudioError, ModelFileError
from streaming_model.media import AudioChunk, MotionChunk
from streaming_model.motion import Activity, MotionGenerator, MotionStyle, load_motion_generator
from streaming_model.motion.networks import DEFAULT_FOLDER
from streaming_model.motion_space import INDEX, MOTION_NAMES, MOTION_SIZE, POSE

pytestmark = pytest.mark.model
MOUTH = [i for i, name in enumerate(MOTION_NAMES) if name.startswith(("mouth", "jaw", "tongue"))]
FIXTURE = Path(__file__).parent / "fixtures" / "held_out_speech.npz"


@lru_cache(maxsize=1)
def generator() -> MotionGenerator:
    return load_motion_generator()


def run(
    samples: NDArray[np.float32], *, seed: int = 0, style: MotionStyle | None = None
) -> list[MotionChunk]:
    block = generator()
    state = block.start(seed=seed, style=style)
    (state,), (chunks,) = block.step([state], [AudioChunk(0, samples)])
    return [*chunks, *block.finish(state)]


def motion_of(
    samples: NDArray[np.float32], *, seed: int = 0, style: MotionStyle | None = None
) -> NDArray[np.float32]:
    return np.concatenate([chunk.motion for chunk in run(samples, seed=seed, style=style)])


@lru_cache(maxsize=1)
def speech() -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.int64]]:
    """A voice and a text that training never saw: samples, phones, bounds in samples."""
    with np.load(FIXTURE) as data:
        return data["pcm"].astype(np.float32) / 32767, data["phones"], data["bounds"]


def opening(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    jaw = motion[:, INDEX["jawOpen"]] - motion[:, INDEX["mouthClose"]]
    lips = motion[:, INDEX["mouthLowerDownLeft"]] + motion[:, INDEX["mouthUpperUpLeft"]]
    return np.maximum(0, jaw + 0.4 * lips)


def nearest_gaps(members: tuple[str, ...], slack: float) -> NDArray[np.float32]:
    """The smallest opening at each of these phones, against the clip's 95th percentile.

    `slack` samples before and after the phone count too; below 0, it is the share of the phone
    that does not count at either end.
    """
    samples, phones, bounds = speech()
    gap = opening(motion_of(samples))
    middles = (np.arange(len(gap)) + 0.5) * 640
    spans = zip(phones, bounds[:-1], bounds[1:], strict=True)
    nearest = []
    for phone, start, end in spans:
        room = slack if slack >= 0 else slack * (end - start)
        near = (middles > start - room) & (middles < end + room)
        if phone in members and near.any():
            nearest.append(float(gap[near].min()))
    return np.array(nearest, np.float32) / np.float32(np.percentile(gap, 95))


def test_lips_close_on_p_b_and_m_of_a_voice_never_heard() -> None:
    gaps = nearest_gaps(("P", "B", "M"), 640)
    assert len(gaps) >= 8
    assert (gaps < 0.12).mean() >= 0.7


def test_lips_stay_open_on_open_vowels() -> None:
    # As `docs/motion_quality.md` has it: at its ends a vowel opens from, or closes for, a bilabial.
    gaps = nearest_gaps(("AA", "AE", "AY", "AW"), -0.25)
    assert len(gaps) >= 4
    assert (gaps > 0.2).mean() >= 0.85


@pytest.mark.parametrize("frames", [3, 4])
def test_the_lips_follow_audio_that_comes_later(frames: int) -> None:
    samples = speech()[0][: 100 * 640]
    gap = opening(motion_of(samples))
    shifted = np.concatenate([np.zeros(frames * 640, np.float32), samples])
    late = opening(motion_of(shifted))
    errors = [np.abs(late[shift : shift + 90] - gap[:90]).mean() for shift in range(8)]
    assert int(np.argmin(errors)) == frames


def test_the_mouth_rests_within_a_fifth_of_a_second_of_silence() -> None:
    samples = speech()[0][: 30 * 640].copy()
    gap = opening(motion_of(np.concatenate([samples, np.zeros(16_000, np.float32)])))
    assert gap[35:].max() < 0.1 * np.percentile(gap[:30], 95)


@pytest.mark.parametrize("level", [0.0, 0.003, 0.05])
def test_silence_and_noise_leave_the_mouth_still_and_the_face_alive(level: float) -> None:
    noise = np.random.default_rng(0).normal(0, 1, 10 * 16_000) * level
    motion = motion_of(noise.astype(np.float32))
    assert opening(motion).max() < 0.05
    assert motion[:, INDEX["eyeBlinkLeft"]].max() > 0.9
    assert np.degrees(motion[:, POSE][:, :3]).std(axis=0).max() > 0.2


def test_a_seed_gives_the_same_motion_again() -> None:
    samples = speech()[0]
    np.testing.assert_array_equal(motion_of(samples, seed=9), motion_of(samples, seed=9))


def test_two_seeds_differ_in_the_head_and_hardly_in_the_lips() -> None:
    samples = speech()[0]
    one, two = motion_of(samples, seed=1), motion_of(samples, seed=2)
    assert np.degrees(np.abs(one - two)[:, POSE][:, :3]).mean() > 0.5
    correlation = np.corrcoef(opening(one), opening(two))[0, 1]
    assert correlation > 0.95


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.wide) for seed in (1, 2, 3))]
)
def test_the_head_moves_about_its_place_and_not_beside_it(seed: int) -> None:
    samples, _, _ = speech()
    motion = motion_of(np.resize(samples, 60 * 16_000), seed=seed)[10 * 25 :]
    mean = np.degrees(motion[:, POSE][:, :3].mean(axis=0))
    np.testing.assert_array_less(np.abs(mean), 4.0, err_msg="pitch, yaw, roll in degrees")
    assert motion[:, INDEX["browInnerUp"]].mean() < 0.25
    assert motion[:, INDEX["browDownLeft"]].mean() < 0.15


def test_pose_and_coefficients_stay_within_their_ranges() -> None:
    motion = motion_of(speech()[0], style=MotionStyle(head_motion=3.0, articulation=2.0))
    pitch, yaw, roll = np.degrees(np.abs(motion[:, POSE][:, :3])).max(axis=0)
    assert pitch <= 8 and yaw <= 12 and roll <= 8
    assert motion[:, : POSE.start].min() >= 0 and motion[:, : POSE.start].max() <= 1


def test_articulation_widens_the_mouth() -> None:
    samples = speech()[0]
    soft, strong = (
        opening(motion_of(samples, style=MotionStyle(articulation=value))) for value in (0.7, 1.3)
    )
    assert strong.mean() > 1.15 * soft.mean()


def test_a_listener_keeps_the_mouth_closed() -> None:
    listening = opening(motion_of(speech()[0], style=MotionStyle(activity=Activity.LISTEN)))
    assert listening.mean() < 0.25 * opening(motion_of(speech()[0])).mean()


@pytest.mark.parametrize("length", [1, 639, 640, 641, 5_000])
def test_every_begun_frame_comes_out_once(length: int) -> None:
    chunks = run(np.zeros(length, np.float32))
    starts = np.concatenate([c.start + 640 * np.arange(len(c.motion)) for c in chunks])
    np.testing.assert_array_equal(starts, 640 * np.arange(-(-length // 640)))
    assert all(c.motion.dtype == np.float32 and c.motion.shape[1] == MOTION_SIZE for c in chunks)


@pytest.mark.parametrize("length", [100, 640, 1000])
def test_it_is_known_beforehand_whether_a_step_gives_motion(length: int) -> None:
    block = generator()
    state, foretold = block.start(), []
    for start in range(0, 20 * length, length):
        chunk = AudioChunk(start, np.zeros(length, np.float32))
        is_due = block.is_due(state, chunk)
        (state,), (chunks,) = block.step([state], [chunk])
        assert bool(chunks) is is_due
        foretold.append(is_due)
    assert any(foretold) is (20 * length >= 4 * 640)
    assert not all(foretold)


def test_no_audio_gives_no_motion() -> None:
    block = generator()
    assert block.finish(block.start()) == []
    (state,), (chunks,) = block.step([block.start()], [AudioChunk(0, np.zeros(0, np.float32))])
    assert chunks == [] and block.finish(state) == []


def test_a_frame_carries_the_utterance_of_its_first_sample() -> None:
    block, state = generator(), generator().start()
    chunks: list[MotionChunk] = []
    for start, length, utterance in ((0, 1_000, 0), (1_000, 1_560, 1), (2_560, 3_840, 2)):
        audio = AudioChunk(start, np.zeros(length, np.float32), utterance)
        (state,), (new,) = block.step([state], [audio])
        chunks += new
    chunks += block.finish(state)
    utterances = np.concatenate([chunk.utterance for chunk in chunks])
    assert utterances.dtype == np.int64
    # Frames start at 0, 640 | 1280, 1920 | 2560 and after.
    np.testing.assert_array_equal(utterances, [0, 0, 1, 1, 2, 2, 2, 2, 2, 2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 50.0])
def test_impossible_samples_do_no_harm(bad: float) -> None:
    samples = speech()[0][:16_000].copy()
    samples[3_000:3_100] = bad
    motion = motion_of(samples)
    assert np.isfinite(motion).all()
    after = slice(60, None)
    assert np.isfinite(motion[after]).all() and opening(motion).max() < 1


def test_a_gap_in_the_audio_is_refused() -> None:
    block = generator()
    (state,), _ = block.step([block.start()], [AudioChunk(0, np.zeros(640, np.float32))])
    with pytest.raises(AudioError, match="starts at sample 700, but the last one ended at 640"):
        block.step([state], [AudioChunk(700, np.zeros(640, np.float32))])


def test_a_missing_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"serving\.json is missing"):
        load_motion_generator(tmp_path)
    (tmp_path / "serving.json").write_text("{}")
    with pytest.raises(ModelFileError, match=r"serving\.json is damaged"):
        load_motion_generator(tmp_path)
    served = json.loads((DEFAULT_FOLDER / "serving.json").read_text(encoding="utf-8"))
    (tmp_path / "serving.json").write_text(json.dumps(served | {"low_pass": [0.08]}))
    with pytest.raises(ModelFileError, match=r"serving\.json is damaged"):
        load_motion_generator(tmp_path)
    shutil.copy(DEFAULT_FOLDER / "serving.json", tmp_path)
    weights = tmp_path / "encoder" / WEIGHTS
    with pytest.raises(ModelFileError, match=f"encoder/{WEIGHTS} is missing"):
        load_motion_generator(tmp_path)
    shutil.copytree(DEFAULT_FOLDER / "encoder", tmp_path / "encoder")
    weights.write_bytes(b"no weights")
    with pytest.raises(ModelFileError, match=f"encoder/{WEIGHTS} is damaged"):
        load_motion_generator(tmp_path)
    shutil.copy(DEFAULT_FOLDER / "encoder" / WEIGHTS, weights)
    (tmp_path / "encoder" / CONFIG).unlink()
    with pytest.raises(ModelFileError, match=f"encoder/{CONFIG} is missing"):
        load_motion_generator(tmp_path)
    (tmp_path / "encoder" / CONFIG).write_text("{")
    with pytest.raises(ModelFileError, match=f"encoder/{CONFIG} is damaged"):
        load_motion_generator(tmp_path)
    (tmp_path / "encoder" / CONFIG).write_text('{"dilations": [1, 2, 4, 8, 16, 1, 2, 4, 8, 16]}')
    with pytest.raises(ModelFileError, match=r"encoder are not an audio encoder's: 'blocks\.8"):
        load_motion_generator(tmp_path)
    shutil.copy(DEFAULT_FOLDER / "encoder" / CONFIG, tmp_path / "encoder")
    with pytest.raises(ModelFileError, match=r"denoiser\.onnx is missing"):
        load_motion_generator(tmp_path)
    (tmp_path / "denoiser.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelFileError, match=r"denoiser\.onnx is damaged"):
        load_motion_generator(tmp_path)


def test_timing_beyond_the_training_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk_frames must be 1 to 5, got 6"):
        load_motion_generator(chunk_frames=6)
    with pytest.raises(ValueError, match="lookahead_frames must be 0 to 8, got 9"):
        load_motion_generator(lookahead_frames=9)


def test_serving_needs_neither_torch_nor_diffusers() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from streaming_model.motion import load_motion_generator; "
        "load_motion_generator(); assert not {'torch', 'diffusers'} & set(sys.modules)"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=root)
