"""Cost of every stage of the line, in one run, each beside a plain `cv2.remap` of the same picture.

Milliseconds depend on the machine and on what else it does; the ratio to the remap, measured
in the same run, is what to compare. Times are processor time of one thread, medians.
Further benches: `python -m benchmarks.renderer` (looks), `motion`, `voice`, `live` and `marks`.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.marks import print_marks
from benchmarks.motion.cost import motion_cost
from benchmarks.renderer.speed import SIZES, frame_cost, swaying
from server.encoder import VideoCodec, VideoEncoder
from server.ingest import Ingest
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar
from streaming_model.media import SAMPLE_RATE, AudioChunk, MotionChunk
from streaming_model.portrait import make_portrait
from streaming_model.renderer import Renderer

REPEATS = 60
FPS = 25


def main() -> None:
    """Prints the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=512)
    size: int = options.parse_args().size
    cv2.setNumThreads(1)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {size}x{size}\n")
    with tempfile.TemporaryDirectory() as cache:
        portrait_ms = once(lambda: make_portrait(BUILTIN_PORTRAIT, cache_dir=Path(cache)))
        cached_ms = once(lambda: make_portrait(BUILTIN_PORTRAIT, cache_dir=Path(cache)))
    rows = frame_stages(size)
    reference = rows.pop("cv2.remap, for comparison")
    print(f"{'stage, for one frame of 40 ms':34}{'ms':>8}{'x remap':>9}{'% of a core':>13}")
    for name, cost in {**rows, "all of it (VP8)": total(rows)}.items():
        print(f"{name:34}{cost:8.2f}{cost / reference:9.2f}{cost * FPS / 10:13.1f}")
    print(f"{'cv2.remap, for comparison':34}{reference:8.2f}{1:9.2f}")
    print_renderer()
    print_marks([BUILTIN_PORTRAIT], None, sizes=8, keys=16)
    print(f"\nportrait made {portrait_ms / 1000:.2f} s, from the cache {cached_ms / 1000:.2f} s")


def print_renderer() -> None:
    """Prints what the renderer costs in turns with a remap of the same frame, at both sizes."""
    portrait = make_portrait(BUILTIN_PORTRAIT)
    print(f"\n{'renderer, talking and turning':34}{'ms':>8}{'x remap':>9}{'remap ms':>13}")
    for side in SIZES:
        spent = frame_cost(Renderer(portrait, size=side), swaying())
        print(f"{f'{side} x {side}':34}{spent.frame:8.2f}{spent.ratio:9.2f}{spent.remap:13.2f}")


def total(rows: dict[str, float]) -> float:
    """Returns the cost of one frame through the whole line, with one encoder."""
    return sum(cost for name, cost in rows.items() if "encode" not in name or "VP8" in name)


def frame_stages(size: int) -> dict[str, float]:
    """Returns milliseconds per frame of 40 ms for every stage."""
    avatar = Avatar.from_image(size=size)
    motion = speech_motion(avatar)
    moving = f"speech to motion, N={avatar.motion.chunk_frames}, L={avatar.motion.lookahead_frames}"
    rows = {"ingest 48 kHz": ingest_cost(), moving: motion_cost(avatar.motion)}
    renderer = Renderer(avatar.portrait, size=size)
    poses = [row for chunk in motion for row in chunk.motion][25 : 25 + REPEATS]
    images = [renderer.render(pose) for pose in poses]
    rows["render"] = cost([partial(renderer.render, pose) for pose in poses])
    for codec in VideoCodec:
        rows[f"encode {codec.value}"] = encode_cost(codec, images, size)
    rows["cv2.remap, for comparison"] = remap_cost(images[0])
    return rows


def speech_motion(avatar: Avatar) -> list[MotionChunk]:
    """Returns the motion of a voice-like sound, long enough to measure on."""
    (_,), (chunks,) = avatar.motion.step(
        [avatar.motion.start()], [AudioChunk(0, voice_like(seconds=6))]
    )
    return list(chunks)


def voice_like(*, seconds: int) -> NDArray[np.float32]:
    """Returns harmonics that come and go like syllables."""
    instants = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * 110 * k * instants) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 4 * instants), 0, 1)
    return np.asarray(0.15 * wave * syllables, np.float32)


def ingest_cost() -> float:
    """Returns milliseconds to turn 40 ms of 44.1 kHz stereo into the aligned pair."""
    ingest = Ingest(sample_rate=44_100, channels=2)
    block = np.zeros((1764, 2), np.float32)
    return cost([lambda: ingest.push(block)] * REPEATS)


def encode_cost(codec: VideoCodec, images: list[NDArray[np.uint8]], size: int) -> float:
    """Returns milliseconds per picture at 1.2 Mbit/s."""
    encoder = VideoEncoder(codec, size=size, fps=FPS, bitrate=1_200_000)
    return cost(
        [
            partial(encoder.encode, image, 640 * index, is_keyframe=index == 0)
            for index, image in enumerate(images)
        ]
    )


def remap_cost(image: NDArray[np.uint8]) -> float:
    """Returns milliseconds of one bilinear remap of the whole picture with float maps."""
    side = image.shape[0]
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    x += 0.3
    return cost([lambda: cv2.remap(image, x, y, cv2.INTER_LINEAR)] * REPEATS)


def cost(work: Sequence[Callable[[], object]]) -> float:
    """Returns the median processor time of a piece of work, in milliseconds."""
    return statistics.median(once(piece) for piece in work)


def once(piece: Callable[[], object]) -> float:
    """Returns the processor time of one call, in milliseconds."""
    before = time.thread_time()
    piece()
    return (time.thread_time() - before) * 1000


if __name__ == "__main__":
    main()
