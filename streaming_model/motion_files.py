"""Motion in files: Live Link Face CSV, which others read, and `.npz`, which loses nothing.

Both are read by column name and resampled to the model's 25 frames a second.
"""

from __future__ import annotations

import csv
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Final, TextIO
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import MotionFileError
from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME, MotionChunk
from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_NAMES, MOTION_SIZE

HEAD_COLUMNS = ("HeadYaw", "HeadPitch", "HeadRoll")
EYE_COLUMNS = tuple(
    f"{side}Eye{axis}" for side in ("Left", "Right") for axis in ("Yaw", "Pitch", "Roll")
)
EYE_RANGE = 0.52  # radians that a whole eyeLook coefficient turns the eye, about 30 degrees
COMMON_RATES = (24, 25, 30, 48, 50, 60, 120)
# Seconds that one file may span: a wrong timecode must not ask for endless memory.
MAX_SECONDS = 24 * 3600
_MOST_FRAMES = 1000  # a second
_MOST_BYTES = 512 * 2**20  # that a file may unpack to: a day is 501 MB
# What NumPy and what it unpacks with raise on damaged files.
_DAMAGED: Final = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError),
    *(EOFError, RuntimeError, MemoryError, BadZipFile, TokenError, zlib.error, struct.error),
)


def write_live_link_csv(file: TextIO, motion: Iterable[NDArray[np.float32]]) -> int:
    """Writes rows of [58] motion as a Live Link Face CSV; returns the number of rows.

    Angles are radians. The format has no head translation: use `write_npz` to keep it.
    """
    writer = csv.writer(file)
    writer.writerow(live_link_header())
    count = 0
    for count, row in enumerate(motion, start=1):
        writer.writerow(live_link_row(count - 1, row))
    return count


def live_link_header() -> list[str]:
    """Returns the names of the columns of a Live Link Face CSV."""
    names = [name[0].upper() + name[1:] for name in ARKIT_NAMES]
    return ["Timecode", "BlendShapeCount", *names, *HEAD_COLUMNS, *EYE_COLUMNS]


def live_link_row(index: int, motion: NDArray[np.float32]) -> list[str]:
    """Returns the cells of frame `index`, from [58] motion."""
    numbers = [*motion[: len(ARKIT_NAMES)], *_head_angles(motion), *_eye_angles(motion)]
    return [_timecode(index), str(len(numbers)), *(f"{number:.6f}" for number in numbers)]


def write_npz(path: Path, motion: NDArray[np.float32]) -> None:
    """Writes [frames, 58] float32 motion with its names and rate."""
    with path.open("wb") as file:
        np.savez_compressed(
            file, motion=motion, names=np.array(MOTION_NAMES), fps=np.array(MOTION_FPS)
        )


def read_motion(path: Path) -> NDArray[np.float32]:
    """Reads a `.csv` (Live Link Face) or `.npz` file as [frames, 58] float32 at 25 a second.

    Raises:
        MotionFileError: the file is missing, of another kind, damaged, or holds no frame.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".npz"}:
        raise MotionFileError(f"A motion file ends in .csv or .npz, '{path.name}' does not.")
    try:
        with np.errstate(over="ignore"):  # what is too large for a float is refused below
            motion = _read_csv(path) if suffix == ".csv" else _read_npz(path)
    except csv.Error as error:
        raise MotionFileError(f"The motion file '{path.name}' is not CSV: {error}.") from error
    except OSError as error:
        raise MotionFileError(
            f"The motion file '{path.name}' cannot be read: {error.strerror}."
        ) from error
    if not len(motion):
        raise MotionFileError(f"The motion file '{path.name}' holds no frame.")
    if not np.isfinite(motion).all():
        raise MotionFileError(f"The motion file '{path.name}' holds a value that is not a number.")
    return motion


def as_chunks(motion: NDArray[np.float32], *, frames: int = 25) -> Iterator[MotionChunk]:
    """Cuts [n, 58] motion into chunks of `frames`, from media time zero."""
    for first in range(0, len(motion), frames):
        rows = motion[first : first + frames]
        yield MotionChunk(
            first * SAMPLES_PER_MOTION_FRAME, rows, np.zeros(len(rows), dtype=np.int64)
        )


def _timecode(index: int) -> str:
    seconds, frame = divmod(index, MOTION_FPS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}:{frame:02d}.000"


def _head_angles(row: NDArray[np.float32]) -> list[float]:
    return [float(row[INDEX[name]]) for name in ("headYaw", "headPitch", "headRoll")]


def _eye_angles(row: NDArray[np.float32]) -> list[float]:
    """Returns yaw, pitch, roll of the left and of the right eye from the eyeLook coefficients."""
    angles: list[float] = []
    # The picture's right is the subject's left: outwards for the left eye, inwards for the right.
    for side, right, left in (("Left", "Out", "In"), ("Right", "In", "Out")):
        yaw = row[INDEX[f"eyeLook{right}{side}"]] - row[INDEX[f"eyeLook{left}{side}"]]
        pitch = row[INDEX[f"eyeLookDown{side}"]] - row[INDEX[f"eyeLookUp{side}"]]
        angles += [float(yaw) * EYE_RANGE, float(pitch) * EYE_RANGE, 0.0]
    return angles


def _read_csv(path: Path) -> NDArray[np.float32]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        columns = _csv_columns(path, header)
        codes: list[str] = []
        rows: list[list[float]] = []
        for line, cells in enumerate(reader, start=2):
            if not any(cell.strip() for cell in cells):
                continue
            try:
                rows.append([float(cells[column]) for column in columns.values()])
                codes.append(cells[0])
            except (ValueError, IndexError) as error:
                raise MotionFileError(
                    f"Line {line} of '{path.name}' is not a row of {len(header)} numbers."
                ) from error
    if not rows:
        return np.zeros((0, MOTION_SIZE), np.float32)
    motion = np.zeros((len(rows), MOTION_SIZE), np.float32)
    motion[:, [INDEX[name] for name in columns]] = np.array(rows, np.float32)
    return _resample(path, _csv_times(path, codes), motion)


def _csv_columns(path: Path, header: Sequence[str]) -> Mapping[str, int]:
    """Maps motion names to column numbers; the case of the header does not matter."""
    known = {name.lower(): name for name in MOTION_NAMES}
    columns = {
        known[title.strip().lower()]: number
        for number, title in enumerate(header)
        if title.strip().lower() in known
    }
    first = header[0].strip().lower() if header else ""
    if first != "timecode" or "jawOpen" not in columns:
        raise MotionFileError(
            f"'{path.name}' is not a Live Link Face CSV: its first line names no "
            f"{'Timecode first' if first != 'timecode' else 'JawOpen'}."
        )
    return columns


def _csv_times(path: Path, codes: Sequence[str]) -> NDArray[np.float64]:
    """Returns seconds since the first row, from `HH:MM:SS:FF.fff` timecodes.

    The rate is not in the file: it is the usual rate just above the largest frame number.
    """
    seconds = np.zeros(len(codes))
    frames = np.zeros(len(codes))
    for number, code in enumerate(codes):
        try:
            hour, minute, second, frame = code.strip().split(":")
            seconds[number] = int(hour) * 3600 + int(minute) * 60 + int(second)
            frames[number] = float(frame)
            if not 0 <= frames[number] < _MOST_FRAMES:
                raise ValueError(frame)
        except (ValueError, OverflowError) as error:
            raise MotionFileError(
                f"The timecode '{code[:40]}' in '{path.name}' is not HH:MM:SS:FF.fff."
            ) from error
    highest = int(frames.max())
    rate = next((rate for rate in COMMON_RATES if rate > highest), highest + 1)
    if seconds[-1] == seconds[0] and highest < 24:
        rate = MOTION_FPS  # less than a second: nothing to judge the rate by
    times: NDArray[np.float64] = seconds + frames / rate
    since_first: NDArray[np.float64] = times - times[0]
    return since_first


def _read_npz(path: Path) -> NDArray[np.float32]:
    try:
        with ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MOST_BYTES:
            raise MotionFileError(
                f"'{path.name}' unpacks to {size:,} bytes; at most {_MOST_BYTES:,} are read."
            )
        with np.load(path, allow_pickle=False) as file:
            motion, names = np.asarray(file["motion"]), _words(file["names"])
            fps = float(file["fps"].item()) if "fps" in file else float(MOTION_FPS)
    except _DAMAGED as error:
        raise MotionFileError(
            f"'{path.name}' is not a motion file: it needs arrays 'motion' and 'names'."
        ) from error
    if motion.ndim != 2 or motion.shape[1] != len(names):
        raise MotionFileError(
            f"'{path.name}' has motion of shape {list(motion.shape)[:4]} for {len(names)} names."
        )
    unknown = sorted(set(names) - set(MOTION_NAMES))
    if unknown:
        raise MotionFileError(f"'{path.name}' has a channel '{unknown[0][:40]}' that is not known.")
    if not 1 <= fps <= 1000:
        raise MotionFileError(f"'{path.name}' says {fps:g} frames a second; 1 to 1000 is possible.")
    if motion.dtype.kind not in "fiu" or motion.nbytes > _MOST_BYTES:
        raise MotionFileError(
            f"'{path.name}' has {len(motion):,} frames of {motion.dtype}: no motion is like that."
        )
    full = np.zeros((len(motion), MOTION_SIZE), np.float32)
    full[:, [INDEX[name] for name in names]] = motion
    return _resample(path, np.arange(len(full)) / fps, full)


def _words(names: NDArray[np.generic]) -> list[str]:
    """Returns an array of names as texts.

    Raises:
        ValueError: it is none; NumPy makes texts of numbers that are no letters, too.
    """
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(f"names of shape {names.shape} and type {names.dtype}")
    letters = np.frombuffer(names.tobytes(), names.dtype.str[0] + "u4")
    if len(letters) and letters.max() > sys.maxunicode:
        raise ValueError("names of something else than letters")
    return [str(name) for name in names]


def _resample(
    path: Path, times: NDArray[np.float64], motion: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns the motion at 25 frames a second, linear between rows; exact where rates agree."""
    if not len(motion):
        return motion
    if (np.diff(times) < 0).any() or times[-1] > MAX_SECONDS:
        raise MotionFileError(f"The times in '{path.name}' run backwards or beyond a day.")
    # Half a row of tolerance, so that rounding of the last time loses no frame.
    count = int(times[-1] * MOTION_FPS + 0.5) + 1
    instants = np.arange(count) / MOTION_FPS
    resampled = np.empty((count, MOTION_SIZE), np.float32)
    for index in range(MOTION_SIZE):
        resampled[:, index] = np.interp(instants, times, motion[:, index])
    return resampled
