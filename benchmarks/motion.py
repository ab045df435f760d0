"""Measures the motion generator against the procedure it was trained on, on voices it never heard.

Prints one table: lips, stillness, life, seams and cost. `--voices` names held-out speech as
made by `training.corpus.save_utterances`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import AudioChunk
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

FRAME = 640  # samples
BILABIALS = ("P", "B", "M")
OPEN_VOWELS = ("AA", "AE", "AH", "AY", "AW", "EH")
MOUTH = [i for i, name in enumerate(MOTION_NAMES) if name.startswith(("mouth", "jaw"))]

Motion = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """Held-out speech and what the training procedure would have done with its phones."""

    samples: NDArray[np.float32]
    speech: Utterance
    oracle: Motion


def make_clip(utterance: Utterance) -> Clip:
    """Returns the utterance between silences, with its oracle motion."""
    samples, padded = plain_stream(utterance)
    oracle = mouth_motion(
        padded.phones,
        padded.bounds,
        frames=len(samples) // FRAME,
        style=SpeakingStyle(),
        effort=phone_effort(padded),
    )
    return Clip(samples, padded, oracle)


def generate(generator: MotionGenerator, samples: NDArray[np.float32], *, seed: int = 0) -> Motion:
    """Returns [frames, 58] for a whole recording."""
    state = generator.start(seed=seed)
    (state,), (chunks,) = generator.step([state], [AudioChunk(0, samples)])
    chunks = [*chunks, *generator.finish(state)]
    return np.concatenate([chunk.motion for chunk in chunks])[: len(samples) // FRAME]


def energy_mouth(clip: Clip) -> Motion:
    """Returns the baseline that opens the jaw with the loudness, scaled as well as can be."""
    frames = clip.samples[: len(clip.oracle) * FRAME].reshape(-1, FRAME)
    loudness = 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-5)
    floor, top = np.percentile(loudness, [10, 95])
    drive = np.clip((loudness - floor) / (top - floor + 1e-6), 0, 1)
    shape = clip.oracle.mean(axis=0) / (lip_gap(clip.oracle).mean() + 1e-6)
    size = lip_gap(clip.oracle).mean() / (drive.mean() + 1e-6)
    motion: Motion = (drive[:, None] * shape * size).astype(np.float32)
    motion[:, INDEX["mouthClose"]] = 0.0
    return motion


def closures(clip: Clip, motion: Motion, *, members: Sequence[str]) -> tuple[int, int]:
    """Returns how many of these phones had closed lips within 40 ms, and how many there were.

    Closed means a lip gap below a tenth of the clip's 95th percentile.
    """
    gap = lip_gap(motion)
    limit = 0.1 * np.percentile(gap, 95)
    middles = (np.arange(len(gap)) + 0.5) * FRAME
    hits = count = 0
    bounds = clip.speech.bounds
    for phone, start, end in zip(clip.speech.phones, bounds[:-1], bounds[1:], strict=True):
        if PHONES[phone] not in members:
            continue
        slack = FRAME if members == BILABIALS else -0.25 * (end - start)
        near = (middles > start - slack) & (middles < end + slack)
        if near.any():
            count += 1
            hits += bool((gap[near] <= limit).any())
    return hits, count


def correlation_and_lag(motion: Motion, oracle: Motion) -> tuple[float, float]:
    """Returns the correlation of the lip gap with the oracle's, and its lag in milliseconds."""
    ours, theirs = lip_gap(motion), lip_gap(oracle)
    fine = np.arange(0, len(ours) - 1, 0.025)  # milliseconds
    a, b = (np.interp(fine, np.arange(len(x)), x) for x in (ours, theirs))
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a**2).sum() * (b**2).sum()) + 1e-9
    shifts = range(-160, 161, 4)
    values = [float((np.roll(a, -shift) * b).sum() / norm) for shift in shifts]
    best = int(np.argmax(values))
    return float((a * b).sum() / norm), float(shifts[best])


def lip_table(clips: Sequence[Clip], motions: dict[str, list[Motion]]) -> None:
    """Prints the lip measures of each way to move the mouth."""
    print(
        f"{'':12}{'closure':>9}{'false':>8}{'corr':>7}{'lag ms':>8}{'NMSE':>7}{'speed':>7}{'size':>6}"
    )
    spread = np.concatenate([clip.oracle for clip in clips])[:, MOUTH].std(axis=0)
    active = np.array(MOUTH)[spread > 1e-3]
    for name, moved in motions.items():
        closed = np.sum(
            [closures(c, m, members=BILABIALS) for c, m in zip(clips, moved, strict=False)], axis=0
        )
        false = np.sum(
            [closures(c, m, members=OPEN_VOWELS) for c, m in zip(clips, moved, strict=False)],
            axis=0,
        )
        lags = np.array(
            [correlation_and_lag(m, c.oracle) for c, m in zip(clips, moved, strict=False)]
        )
        ours = np.concatenate(moved)[:, active]
        truth = np.concatenate([c.oracle for c in clips])[:, active]
        weights = 1 / truth.var(axis=0)
        error = (((ours - truth) ** 2).mean(axis=0) * weights).mean()
        speed = np.abs(np.diff(ours, axis=0)).mean() / np.abs(np.diff(truth, axis=0)).mean()
        print(
            f"{name:12}{closed[0] / closed[1]:9.1%}{false[0] / false[1]:8.1%}"
            f"{lags[:, 0].mean():7.2f}{np.median(lags[:, 1]):8.0f}{error:7.2f}{speed:7.2f}"
            f"{ours.std() / truth.std():6.2f}"
        )


def stillness_table(generator: MotionGenerator) -> None:
    """Prints how far the mouth moves when nobody speaks."""
    rng = np.random.default_rng(5)
    seconds = 20 * 16_000
    times = np.arange(seconds) / 16_000
    white, slow = rng.normal(0, 1, seconds), np.cumsum(rng.normal(0, 1, seconds))
    brown = slow - np.convolve(slow, np.ones(800) / 800, "same")
    hum = np.sum([np.sin(2 * np.pi * 50 * k * times) / k for k in range(1, 8)], axis=0)
    chord = np.sum([np.sin(2 * np.pi * f * times) for f in (220.0, 277.2, 329.6)], axis=0)
    sounds = {"silence": 0 * times, "white -50 dB": white * 0.003, "white -26 dB": white * 0.05}
    sounds |= {"brown -26 dB": brown / brown.std() * 0.05, "hum": hum * 0.03, "chord": chord * 0.05}
    print(f"\n{'no speech':14}{'gap p95':>9}{'gap max':>9}{'mouth max':>11}")
    for name, sound in sounds.items():
        motion = generate(generator, np.asarray(sound, np.float32))
        gap = lip_gap(motion)
        print(
            f"{name:14}{np.percentile(gap, 95):9.3f}{gap.max():9.3f}{motion[:, MOUTH].max():11.3f}"
        )


def settling(clips: Sequence[Clip], generator: MotionGenerator) -> float:
    """Returns the median milliseconds from sudden silence to a gap under a tenth of its 95th."""
    waits = []
    for clip in clips:
        middle = len(clip.samples) // 2 // FRAME * FRAME
        cut = clip.samples.copy()
        cut[middle:] = 0.0
        gap = lip_gap(generate(generator, cut))
        after = gap[middle // FRAME :] < 0.1 * np.percentile(gap[: middle // FRAME], 95)
        still = np.flatnonzero(~after)
        waits.append(40.0 * (still[-1] + 1 if len(still) else 0))
    return float(np.median(waits))


def life_table(generator: MotionGenerator, samples: NDArray[np.float32]) -> None:
    """Prints head motion, blinks and seams, for speech and for silence."""
    print(
        f"\n{'life':10}{'yaw':>6}{'pitch':>7}{'roll':>6}{'deg/s':>7}{'jerk':>7}{'blinks/min':>12}{'seam':>6}{'seeds':>7}"
    )
    silence = np.zeros_like(samples)
    for name, sound in {"speech": samples, "silence": silence}.items():
        motion = generate(generator, sound)
        other = generate(generator, sound, seed=1)
        degrees = np.degrees(motion[:, POSE][:, :3])
        speed = np.abs(np.diff(degrees, axis=0))
        jerk = np.abs(np.diff(degrees, 3, axis=0)).mean() / (speed.mean() + 1e-9)
        closed = motion[:, INDEX["eyeBlinkLeft"]] > 0.6
        blinks = (closed[1:] & ~closed[:-1]).sum() / (len(motion) / 1500)
        border = np.arange(len(speed)) % generator.chunk_frames == generator.chunk_frames - 1
        seam = speed[border].mean() / (speed[~border].mean() + 1e-9)
        pitch, yaw, roll = degrees.std(axis=0)
        seeds = np.abs(motion - other)[:, POSE][:, :3].mean() / (
            np.abs(degrees).mean() * np.pi / 180
        )
        print(
            f"{name:10}{yaw:6.2f}{pitch:7.2f}{roll:6.2f}{speed.mean() * 25:7.2f}{jerk:7.2f}"
            f"{blinks:12.1f}{seam:6.2f}{seeds:7.2f}"
        )


def cost_table(generator: MotionGenerator) -> None:
    """Prints milliseconds of processor time per frame, alone and in a batch of eight."""
    chunk = np.random.default_rng(0).normal(0, 0.05, 1280).astype(np.float32)
    for batch in (1, 8):
        states = [generator.start(seed=seed) for seed in range(batch)]
        began = time.process_time()
        for index in range(100):
            states, _ = generator.step(states, [AudioChunk(index * 1280, chunk)] * batch)
        cost = (time.process_time() - began) / (200 * batch) * 1000
        print(f"cost, batch {batch}: {cost:.2f} ms of CPU per frame")


def main() -> None:
    """Runs everything and prints it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", type=Path, nargs="*", help="files of held-out utterances")
    parser.add_argument("--model", type=Path, help="folder of weights")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--chunk", type=int, default=2)
    parser.add_argument("--lookahead", type=int, default=2)
    arguments = parser.parse_args()
    generator = load_motion_generator(
        arguments.model,
        steps=arguments.steps,
        chunk_frames=arguments.chunk,
        lookahead_frames=arguments.lookahead,
    )
    sets = {path.stem: load_utterances(path) for path in arguments.voices or ()}
    if not sets:
        texts = written_texts(held_out=True)
        sets = {v: [speak_with_flite(t, voice=v) for t in texts] for v in FLITE_HELD_OUT_VOICES}
    for name, utterances in sets.items():
        clips = [make_clip(utterance) for utterance in utterances]
        seconds = sum(len(clip.samples) for clip in clips) / 16_000
        print(
            f"\n{name}: {len(clips)} clips, {seconds:.0f} s; steps {generator.steps}, "
            f"N={generator.chunk_frames}, L={generator.lookahead_frames}"
        )
        motions = {
            "oracle": [clip.oracle for clip in clips],
            "ours": [generate(generator, clip.samples) for clip in clips],
            "energy": [energy_mouth(clip) for clip in clips],
            "rest": [np.zeros_like(clip.oracle) for clip in clips],
        }
        lip_table(clips, motions)
        print(f"mouth at rest after sudden silence: {settling(clips, generator):.0f} ms")
    stillness_table(generator)
    life_table(generator, np.concatenate([clip.samples for clip in clips]))
    cost_table(generator)


if __name__ == "__main__":
    main()
