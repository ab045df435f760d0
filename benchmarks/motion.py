"""Measures the motion generator against the procedure it was trained on, on voices it never heard.

Prints one table: lips, stillness, life, seams and cost. `--voices` names held-out speech as
written by `training.corpus.save_utterances`; without it Flite's held-out voice speaks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import MotionGenerator, load_motion_generator
from streaming_model.motion_space import INDEX, MOTION_NAMES, POSE
from training.coarticulation import SpeakingStyle, lip_gap, mouth_motion
from training.corpus import (
    FLITE_HELD_OUT_VOICES,
    Utterance,
    load_utterances,
    speak_with_flite,
    written_texts,
)
from training.dataset import phone_effort, plain_stream
from training.phones import PHONES

BILABIALS: Final = ("P", "B", "M")
OPEN_VOWELS: Final = ("AA", "AE", "AH", "AY", "AW", "EH")
MOUTH: Final = [i for i, name in enumerate(MOTION_NAMES) if name.startswith(("mouth", "jaw"))]
_CLOSED: Final = 0.1  # of the clip's 95th percentile of the lip gap

Motion = NDArray[np.float32]
Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """Held-out speech and what the training procedure would have done with its phones."""

    samples: Samples
    speech: Utterance
    oracle: Motion


def make_clip(utterance: Utterance) -> Clip:
    """Returns the utterance between silences, with its oracle motion."""
    samples, padded = plain_stream(utterance)
    oracle = mouth_motion(
        padded.phones,
        padded.bounds,
        frames=len(samples) // SAMPLES_PER_MOTION_FRAME,
        style=SpeakingStyle(),
        effort=phone_effort(padded),
    )
    return Clip(samples, padded, oracle)


def generate(generator: MotionGenerator, samples: Samples, *, seed: int = 0) -> Motion:
    """Returns [frames, 58] for a whole recording."""
    state = generator.start(seed=seed)
    (state,), (chunks,) = generator.step([state], [AudioChunk(0, samples)])
    motion = np.concatenate([chunk.motion for chunk in [*chunks, *generator.finish(state)]])
    return motion[: len(samples) // SAMPLES_PER_MOTION_FRAME]


def energy_mouth(clip: Clip) -> Motion:
    """Returns the baseline that opens the mouth with the loudness, in the oracle's mean shape."""
    whole = len(clip.oracle) * SAMPLES_PER_MOTION_FRAME
    frames = clip.samples[:whole].reshape(-1, SAMPLES_PER_MOTION_FRAME)
    loudness = 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-5)
    floor, top = np.percentile(loudness, [10, 95])
    drive = np.clip((loudness - floor) / (top - floor + 1e-6), 0, 1)
    motion: Motion = (drive[:, None] / drive.mean() * clip.oracle.mean(axis=0)).astype(np.float32)
    motion[:, INDEX["mouthClose"]] = 0.0
    return motion


def closures(clip: Clip, motion: Motion, *, members: Sequence[str]) -> NDArray[np.int64]:
    """Returns [2]: of how many of these phones the lips met, and how many there were.

    Bilabials count when the lips meet within 40 ms of them, vowels within their middle half.
    """
    gap = lip_gap(motion)
    closed = gap <= _CLOSED * np.percentile(gap, 95)
    middles = (np.arange(len(gap)) + 0.5) * SAMPLES_PER_MOTION_FRAME
    met = count = 0
    bounds = clip.speech.bounds
    for phone, start, end in zip(clip.speech.phones, bounds[:-1], bounds[1:], strict=True):
        if PHONES[phone] not in members:
            continue
        slack = SAMPLES_PER_MOTION_FRAME if members == BILABIALS else -0.25 * (end - start)
        near = (middles > start - slack) & (middles < end + slack)
        if near.any():
            count += 1
            met += bool(closed[near].any())
    return np.array([met, count])


def correlation_and_lag(motion: Motion, oracle: Motion) -> tuple[float, float]:
    """Returns the correlation of the lip gap with the oracle's, and its lag in milliseconds.

    A positive lag means that the motion comes after the oracle's.
    """
    fine = np.arange(0, len(oracle) - 1, 0.1)  # 4 ms
    ours, theirs = (
        np.interp(fine, np.arange(len(gap)), gap) for gap in (lip_gap(motion), lip_gap(oracle))
    )
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    norm = float(np.sqrt((ours**2).sum() * (theirs**2).sum())) + 1e-9
    shifts = range(-40, 41)
    values = [float((np.roll(ours, -shift) * theirs).sum()) / norm for shift in shifts]
    return values[40], 4.0 * shifts[int(np.argmax(values))]


def print_lips(clips: Sequence[Clip], motions: dict[str, list[Motion]]) -> None:
    """Prints the lip measures of each way to move the mouth."""
    heads = f"{'closure':>9}{'false':>8}{'corr':>7}{'lag ms':>8}{'NMSE':>7}{'speed':>7}{'size':>6}"
    print(f"{'':12}{heads}")
    truth = np.concatenate([clip.oracle for clip in clips])
    active = np.array(MOUTH)[truth[:, MOUTH].std(axis=0) > 1e-3]
    truth = truth[:, active]
    for name, moved in motions.items():
        pairs = list(zip(clips, moved, strict=True))
        met, bilabials = np.sum([closures(c, m, members=BILABIALS) for c, m in pairs], axis=0)
        false, vowels = np.sum([closures(c, m, members=OPEN_VOWELS) for c, m in pairs], axis=0)
        lags = np.array([correlation_and_lag(m, c.oracle) for c, m in pairs])
        ours = np.concatenate(moved)[:, active]
        error = (((ours - truth) ** 2).mean(axis=0) / truth.var(axis=0)).mean()
        speed = np.abs(np.diff(ours, axis=0)).mean() / np.abs(np.diff(truth, axis=0)).mean()
        print(
            f"{name:12}{met / bilabials:9.1%}{false / vowels:8.1%}{lags[:, 0].mean():7.2f}"
            f"{np.median(lags[:, 1]):8.0f}{error:7.2f}{speed:7.2f}{ours.std() / truth.std():6.2f}"
        )


def print_stillness(generator: MotionGenerator) -> None:
    """Prints how far the mouth moves when nobody speaks."""
    length = 20 * 16_000
    rng, times = np.random.default_rng(5), np.arange(length) / 16_000
    white, walk = rng.normal(0, 1, length), np.cumsum(rng.normal(0, 1, length))
    brown = walk - np.convolve(walk, np.ones(800) / 800, "same")
    hum = np.sum([np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 8)], axis=0)
    chord = np.sum([np.sin(2 * np.pi * f * times) for f in (220.0, 277.2, 329.6)], axis=0)
    sounds = {"silence": 0 * times, "white -50 dB": white * 0.003, "white -26 dB": white * 0.05}
    sounds |= {"brown -26 dB": brown / brown.std() * 0.05, "hum": hum * 0.03, "chord": chord * 0.05}
    print(f"\n{'no speech':14}{'gap p95':>9}{'gap max':>9}{'mouth max':>11}")
    for name, sound in sounds.items():
        motion = generate(generator, np.asarray(sound, np.float32))
        gap, most = lip_gap(motion), motion[:, MOUTH].max()
        print(f"{name:14}{np.percentile(gap, 95):9.3f}{gap.max():9.3f}{most:11.3f}")


def settling(clips: Sequence[Clip], generator: MotionGenerator) -> float:
    """Returns the median milliseconds from sudden silence to lips that stay closed."""
    waits = []
    for clip in clips:
        middle = len(clip.samples) // 2 // SAMPLES_PER_MOTION_FRAME
        cut = clip.samples.copy()
        cut[middle * SAMPLES_PER_MOTION_FRAME :] = 0.0
        gap = lip_gap(generate(generator, cut))
        moving = np.flatnonzero(gap[middle:] > _CLOSED * np.percentile(gap[:middle], 95))
        waits.append(40.0 * (moving[-1] + 1 if len(moving) else 0))
    return float(np.median(waits))


def print_life(generator: MotionGenerator, samples: Samples) -> None:
    """Prints head motion, blinks and seams, for speech and for silence."""
    heads = f"{'yaw':>6}{'pitch':>7}{'roll':>6}{'deg/s':>7}{'jerk':>7}{'blinks/min':>12}"
    print(f"\n{'life':10}{heads}{'seam':>6}{'seeds':>7}")
    for name, sound in {"speech": samples, "silence": np.zeros_like(samples)}.items():
        motion, other = (generate(generator, sound, seed=seed) for seed in (0, 1))
        degrees, others = (np.degrees(each[:, POSE][:, :3]) for each in (motion, other))
        speed = np.abs(np.diff(degrees, axis=0))
        jerk = np.abs(np.diff(degrees, 3, axis=0)).mean() / speed.mean()
        closed = motion[:, INDEX["eyeBlinkLeft"]] > 0.6
        blinks = (closed[1:] & ~closed[:-1]).sum() / (len(motion) / 1_500)
        size = generator.chunk_frames
        border = np.arange(len(speed)) % size == size - 1
        seam = speed[border].mean() / speed[~border].mean() if size > 1 else 1.0
        seeds = np.abs(degrees - others).mean() / np.abs(degrees).mean()
        pitch, yaw, roll = degrees.std(axis=0)
        print(
            f"{name:10}{yaw:6.2f}{pitch:7.2f}{roll:6.2f}{speed.mean() * 25:7.2f}{jerk:7.2f}"
            f"{blinks:12.1f}{seam:6.2f}{seeds:7.2f}"
        )


def print_cost(generator: MotionGenerator) -> None:
    """Prints milliseconds of processor time per frame, alone and in a batch of eight."""
    sound = np.random.default_rng(0).normal(0, 0.05, 1_280).astype(np.float32)
    for batch in (1, 8):
        states = [generator.start(seed=seed) for seed in range(batch)]
        began = time.process_time()
        for index in range(100):
            states, _ = generator.step(states, [AudioChunk(index * 1_280, sound)] * batch)
        cost = (time.process_time() - began) / (200 * batch) * 1_000
        print(f"cost, batch of {batch}: {cost:.2f} ms of CPU per frame")


def print_voice(generator: MotionGenerator, name: str, clips: Sequence[Clip]) -> None:
    """Prints the lip table of one voice."""
    seconds = sum(len(clip.samples) for clip in clips) / 16_000
    timing = f"N={generator.chunk_frames}, L={generator.lookahead_frames}"
    print(f"\n{name}: {len(clips)} clips, {seconds:.0f} s; {generator.steps} steps, {timing}")
    motions = {
        "oracle": [clip.oracle for clip in clips],
        "ours": [generate(generator, clip.samples) for clip in clips],
        "energy": [energy_mouth(clip) for clip in clips],
        "rest": [np.zeros_like(clip.oracle) for clip in clips],
    }
    print_lips(clips, motions)
    print(f"closed after sudden silence: {settling(clips, generator):.0f} ms")


def main() -> None:
    """Runs everything and prints it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", type=Path, nargs="*", help="files of held-out utterances")
    parser.add_argument("--model", type=Path, help="folder of weights")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--chunk", type=int, default=2)
    parser.add_argument("--lookahead", type=int, default=2)
    parser.add_argument("--lips-only", action="store_true")
    arguments = parser.parse_args()
    generator = load_motion_generator(
        arguments.model,
        steps=arguments.steps,
        chunk_frames=arguments.chunk,
        lookahead_frames=arguments.lookahead,
    )
    speech = {path.stem: load_utterances(path) for path in arguments.voices or ()}
    if not speech:
        texts = written_texts(held_out=True)
        speech = {v: [speak_with_flite(t, voice=v) for t in texts] for v in FLITE_HELD_OUT_VOICES}
    for name, utterances in speech.items():
        clips = [make_clip(utterance) for utterance in utterances]
        print_voice(generator, name, clips)
    if arguments.lips_only:
        return
    print_stillness(generator)
    print_life(generator, np.concatenate([clip.samples for clip in clips]))
    print_cost(generator)


if __name__ == "__main__":
    main()
