"""What the watermark survives, how often it is seen where it is not, and what marks cost.

`python -m benchmarks.marks --footage FOLDER` looks at films and pictures of a folder for the false
positives; without it at the photographs that come with scikit-image. Costs are processor time of
one thread, beside a `cv2.remap` of the same picture in the same run.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from server.encoder import VideoCodec, VideoEncoder
from server.marks.badge import Badge
from server.marks.convolutional import encode
from server.marks.detector import (
    LEAST_SCORE,
    Match,
    best_place,
    find,
    read_match,
    refined,
    whitened,
    widths,
)
from server.marks.marker import Marker
from server.marks.options import MarkOptions
from server.marks.pattern import carriers
from server.marks.payload import CHECKSUM_BITS, Payload
from server.marks.watermark import Watermark
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar
from streaming_model.media import SAMPLE_RATE, AudioChunk

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

PAYLOAD: Final = Payload.of("a session of the benchmark", date(2026, 11, 26))
BITRATE: Final = 500_000
FPS: Final = 25
SECONDS: Final = 3
QUALITY: Final = 70  # of JPEG
CROP: Final = 0.05  # of the side, at each of its ends: 10 % of width and height
PLACES: Final = 256 * 256  # that a fit is looked for at
TRIES_OF_A_FILM: Final = 5  # means that `vivant verify` looks at
REPEATS: Final = 60
SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".mp4", ".webm", ".mkv", ".mov", ".avi"}
PICTURES_OF_A_FILM: Final = 25
_NAMES: Final = {VideoCodec.VP8: "vp8", VideoCodec.H264: "h264"}


@dataclass(frozen=True, slots=True)
class Survival:
    """How an attack ended: the pilot's score, share of coded bits wrong, whether it was read."""

    score: float
    wrong: float
    is_read: bool


def survivals(frames: Sequence[Picture]) -> dict[str, Survival]:
    """Returns what becomes of the marked frames [s, s, 3] of a film under every attack."""
    watermark = Watermark(PAYLOAD)
    marked = [watermark.apply(frame) for frame in frames]
    still = luma(marked[-1])
    attacked: dict[str, Floats] = {"none": still} | {
        "resize to 360": resized(still, 360),
        f"JPEG q{QUALITY}": jpeg(still),
        "crop 10 %": cropped(still),
    }
    for codec in _NAMES:
        shown, _ = through(codec, marked)
        name = f"{codec.value} 500 kbit/s"
        attacked |= {
            f"{name}, first picture": shown[0],
            f"{name}, one picture": shown[-1],
            f"{name}, mean of 1 s": np.asarray(np.mean(shown[-FPS:], axis=0), np.float32),
            f"{name}, 360": resized(shown[-1], 360),
            f"{name}, JPEG": jpeg(shown[-1]),
            f"{name}, crop": cropped(shown[-1]),
            f"{name}, 360, JPEG, crop": cropped(jpeg(resized(shown[-1], 360))),
        }
    return {name: judged(image) for name, image in attacked.items()}


def judged(seen: Floats) -> Survival:
    """Returns how well the payload is read."""
    match = find(seen) or Match(0, len(seen), (0, 0))
    _, soft = refined(seen, match)
    wrong = float((np.sign(soft) != encode(PAYLOAD.to_bits())).mean())
    reading = read_match(seen, match)
    return Survival(match.score, wrong, reading is not None and reading.payload == PAYLOAD)


def through(codec: VideoCodec, frames: Sequence[Picture]) -> tuple[list[Floats], float]:
    """Returns the decoded luma of frames at 500 kbit/s, and the kbit/s that they took."""
    size = len(frames[0])
    encoder = VideoEncoder(codec, size=size, fps=FPS, bitrate=BITRATE)
    decoder = av.CodecContext.create(_NAMES[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    shown: list[Floats] = []
    spent = 0
    for index, frame in enumerate(frames):
        packet = encoder.encode(frame, index * SAMPLE_RATE // FPS, is_keyframe=index == 0)
        spent += packet.size
        for picture in decoder.decode(av.Packet(bytes(packet))):
            shown.append(np.array(picture.to_ndarray(format="gray")[:size], np.float32))
    return shown, spent * 8 * FPS / len(frames) / 1000


def luma(image: Picture) -> Floats:
    """Returns [h, w] luma of RGB."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def resized(seen: Floats, side: int) -> Floats:
    """Returns it smaller."""
    return np.asarray(cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def jpeg(seen: Floats) -> Floats:
    """Returns it as JPEG gives it back."""
    gray = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.float32)


def cropped(seen: Floats) -> Floats:
    """Returns its middle."""
    edge = round(CROP * len(seen))
    return np.ascontiguousarray(seen[edge:-edge, edge:-edge])


def speaking(portrait: Path, size: int = 512) -> list[Picture]:
    """Returns a portrait's pictures while it speaks."""
    rng = np.random.default_rng(0)
    beat = np.clip(np.sin(2 * np.pi * 4 * np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE), 0, 1)
    sound = (0.1 * beat * rng.standard_normal(len(beat))).astype(np.float32)
    avatar = Avatar.from_image(portrait, size=size)
    return [frame.image for frame in avatar.stream([AudioChunk(0, sound)])]


def footage(folder: Path) -> Iterator[Floats]:
    """Yields luma of a folder's pictures, and of some of each of its films."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            try:
                yield from _pictures(path)
            except av.error.FFmpegError as error:
                print(f"{path.name}: {error.strerror}")


def _pictures(path: Path) -> Iterator[Floats]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        apart = max(1, (stream.frames or 1) // PICTURES_OF_A_FILM)
        for index, frame in enumerate(container.decode(stream)):
            if index % apart == 0:
                seen = np.asarray(frame.to_ndarray(format="gray"), np.float32)
                share = min(1.0, 1000 / max(seen.shape))
                yield np.asarray(
                    cv2.resize(seen, None, fx=share, fy=share, interpolation=cv2.INTER_AREA),
                    np.float32,
                )


def strangers_scores(
    pictures: Iterable[Floats], sizes: int | None, keys: int
) -> tuple[int, list[float]]:
    """Returns how many pictures there were, and the pilot's score at each size tried.

    Other keys' pilots besides the public one, at the same sizes, give `keys` scores for one.
    """
    pilots = [carriers(), *(carriers(f"another key {number}") for number in range(1, keys))]
    scores: list[float] = []
    count = 0
    for seen in pictures:
        count += 1
        tried = list(widths(*seen.shape))
        step = 1 if sizes is None else max(1, len(tried) // sizes)
        for width in tried[::step]:
            white = whitened(seen, width, pilots[0])  # which waves there are is no secret
            scores += [best_place(white, waves)[0] for waves in pilots]
    return count, scores


def chance(score: float) -> float:
    """Returns the odds that noise fits as well somewhere, for one size: Gaussian, every place."""
    return PLACES * 0.5 * math.erfc(score / math.sqrt(2))


def costs(size: int, frame: Picture) -> dict[str, float]:
    """Returns milliseconds of one picture, and of one remap of it."""
    watermark, badge, marker = Watermark(PAYLOAD), Badge(size), Marker(MarkOptions(), PAYLOAD)
    columns, rows = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype="f4"))
    columns += 0.3
    copy = frame.copy()
    return {
        "watermark": _milliseconds(lambda: watermark.apply(frame)),
        "badge": _milliseconds(lambda: badge.stamp(copy)),
        "both": _milliseconds(lambda: marker.mark(frame)),
        "remap": _milliseconds(lambda: cv2.remap(frame, columns, rows, cv2.INTER_LINEAR)),
    }


def _milliseconds(work: Callable[[], object]) -> float:
    work()
    spent = []
    for _ in range(REPEATS):
        before = time.thread_time()
        work()
        spent.append(time.thread_time() - before)
    return 1000 * statistics.median(spent)


def print_marks(
    portraits: Sequence[Path], folder: Path | None, *, sizes: int | None, keys: int
) -> None:
    """Prints the three tables."""
    frames: list[Picture] = []
    for portrait in portraits:
        frames = speaking(portrait)
        print(f"\nwatermark, {portrait.stem}, {len(frames)} pictures: {quality(frames)}")
        print(f"{'attack':38}{'score':>8}{'bits wrong':>12}{'read':>6}")
        for name, result in survivals(frames).items():
            said = "yes" if result.is_read else "NO"
            print(f"{name:38}{result.score:8.1f}{100 * result.wrong:10.1f} %{said:>6}")
    print_false_positives(folder, sizes=sizes, keys=keys)
    print(f"\n{'marks, for one picture':22}{'ms':>8}{'x remap':>9}")
    for size in (256, 512, 1024):
        spent = costs(size, np.asarray(cv2.resize(frames[0], (size, size)), np.uint8))
        for name in ("watermark", "badge", "both"):
            print(f"{f'{name}, {size}':22}{spent[name]:8.3f}{spent[name] / spent['remap']:9.3f}")


def quality(frames: Sequence[Picture]) -> str:
    """Returns how much the watermark changes a film, and what it costs its encoders."""
    watermark = Watermark(PAYLOAD)
    marked = [watermark.apply(frame) for frame in frames]
    change = np.asarray(marked[::10], np.float32) - np.asarray(frames[::10], np.float32)
    decibels = 10 * math.log10(255**2 / float(np.square(change).mean()))
    rates = ", ".join(
        f"{codec.value} {100 * (through(codec, marked)[1] / through(codec, frames)[1] - 1):+.1f} %"
        for codec in _NAMES
    )
    return f"PSNR {decibels:.1f} dB, at most {np.abs(change).max():.0f} levels; bit rate {rates}"


def print_false_positives(folder: Path | None, *, sizes: int | None, keys: int) -> None:
    """Prints how the pilot's score is spread over what was never marked."""
    if folder is None:
        import skimage

        folder = Path(skimage.__file__).parent / "data"
    count, scores = strangers_scores(footage(folder), sizes, keys)
    tries = len(scores)
    print(f"\n{count} pictures without a watermark, {tries} fits, best {max(scores):.2f}")
    print(f"{'score over':12}{'measured':>12}{'Gaussian':>12}")
    for least in np.arange(4.5, LEAST_SCORE + 0.1, 0.5):
        share = float(np.mean(np.asarray(scores) > least))
        print(f"{least:10.1f}  {share:12.1e}{chance(float(least)):12.1e}")
    per_file = TRIES_OF_A_FILM * sum(1 for _ in widths(512, 512))
    bound = 3 / tries  # 95 % confidence if none was seen (the rule of three)
    checksum = 2.0**-CHECKSUM_BITS
    seen = "none" if max(scores) < LEAST_SCORE else "SOME"
    print(
        f"{seen} over {LEAST_SCORE}: under {bound:.1e} for a size with 95 % confidence, "
        f"{bound * checksum:.1e} with the checksum's {checksum:.1e}\n"
        f"by the Gaussian, which fits: {chance(LEAST_SCORE) * checksum:.1e} for a size, "
        f"{per_file * chance(LEAST_SCORE) * checksum:.1e} for a film of {per_file} tries"
    )


def main() -> None:
    """Prints everything."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--footage", type=Path, help="films and pictures that are not marked")
    options.add_argument("--portrait", type=Path, action="append", help="the Mona Lisa besides")
    options.add_argument("--sizes", type=int, help="tried of each picture; all if not given")
    options.add_argument("--keys", type=int, default=1, help="whose pilots are looked for")
    given = options.parse_args()
    cv2.setNumThreads(1)
    print_marks(
        [BUILTIN_PORTRAIT, *(given.portrait or ())],
        given.footage,
        sizes=given.sizes,
        keys=given.keys,
    )


if __name__ == "__main__":
    main()
