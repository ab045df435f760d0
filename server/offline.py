"""Files in, files out, by the same pipeline as live: ingest, avatar, film.

Knows no event loop and no wall clock; progress is told through a callback in seconds of
media.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.ahead import ahead
from server.ingest import AlignedAudio, Ingest, convert
from server.media_files import UNMARKED, AudioFile, FilmMarks, FilmWriter
from server.voice.base import Voice
from streaming_model.avatar import Avatar, AvatarState
from streaming_model.errors import AudioError, MotionFileError
from streaming_model.media import MOTION_FPS, SAMPLE_RATE, AudioChunk, MotionChunk, VideoFrame
from streaming_model.motion import MotionGenerator, MotionState, MotionStyle
from streaming_model.motion_files import as_chunks, write_live_link_csv, write_npz

Progress = Callable[[float], None]
Warn = Callable[[str], None]


def file_blocks(path: Path) -> Iterator[AlignedAudio]:
    """Yields the sound of any audio or video file as pairs for the model and the listener.

    Raises:
        AudioError: the file cannot be used.
    """
    with AudioFile(path) as file:
        ingest = Ingest(sample_rate=file.sample_rate)
        for samples in file.blocks():
            yield ingest.push(samples)
        yield ingest.finish()


def text_blocks(text: str, voice: Voice, *, warn: Warn) -> Iterator[AlignedAudio]:
    """Yields the speech of a text, clause by clause.

    Raises:
        AudioError: nothing in the text can be pronounced.
    """
    spoken = False
    for clause in voice.speak(text):
        for piece in clause.skipped:
            warn(f"'{piece}' cannot be pronounced by {voice.name} and was skipped.")
        spoken = spoken or len(clause.samples) > 0
        yield convert(clause.samples, sample_rate=clause.sample_rate)
    if not spoken:
        raise AudioError(f"Nothing in '{text[:60]}' can be pronounced by {voice.name}.")


def render_speech(
    avatar: Avatar,
    blocks: Iterable[AlignedAudio],
    out: Path,
    *,
    seed: int = 0,
    style: MotionStyle | None = None,
    marks: FilmMarks = UNMARKED,
    progress: Progress,
) -> float:
    """Writes the film of a portrait saying `blocks`; returns its length in seconds."""
    heard = 0
    with _film(avatar, out, marks) as film:
        state = avatar.start(seed=seed, style=style)
        moved = ahead(_moved(avatar.motion, state.motion, ahead(_short(blocks))), depth=2)
        for piece in ahead(_drawn(avatar, state, moved), depth=2):
            if len(piece.sound):
                film.write_sound(piece.sound)
            for frame in piece.frames:
                film.write_picture(frame)
            heard = piece.end
            progress(heard / SAMPLE_RATE)
    return heard / SAMPLE_RATE


class _Moved(NamedTuple):
    """A film's next sound at 48 kHz and its motion; the model's state after it.

    `end` is the media time at its end, in 16 kHz samples.
    """

    sound: NDArray[np.float32]
    chunks: list[MotionChunk]
    state: MotionState
    end: int


class _Piece(NamedTuple):
    """A film's next sound at 48 kHz and pictures; media time at their end, in 16 kHz samples."""

    sound: NDArray[np.float32]
    frames: list[VideoFrame]
    end: int


def _moved(
    generator: MotionGenerator, state: MotionState, blocks: Iterable[AlignedAudio]
) -> Iterator[_Moved]:
    heard = 0
    for block in blocks:
        chunk = AudioChunk(heard, block.speech)
        heard = chunk.end
        (state,), (chunks,) = generator.step([state], [chunk])
        yield _Moved(block.sound, chunks, state, heard)
    if not heard:
        raise AudioError("The sound is empty: there is nothing to say.")


def _drawn(avatar: Avatar, state: AvatarState, moved: Iterable[_Moved]) -> Iterator[_Piece]:
    heard = 0
    for sound, chunks, motion, heard in moved:
        after, frames = avatar.render(state, chunks)
        state = replace(after, motion=motion)
        yield _Piece(sound, frames, heard)
    rest = [frame for frame in avatar.finish(state) if frame.start < heard]
    yield _Piece(np.zeros(0, np.float32), rest, heard)


def _short(blocks: Iterable[AlignedAudio]) -> Iterator[AlignedAudio]:
    """Yields the same sound in blocks of half a second at most: few pictures wait in memory."""
    for block in blocks:
        for start in range(0, len(block.speech), SAMPLE_RATE // 2):
            speech = slice(start, start + SAMPLE_RATE // 2)
            yield AlignedAudio(
                block.speech[speech], block.sound[3 * speech.start : 3 * speech.stop]
            )


def render_motion(
    avatar: Avatar,
    motion: NDArray[np.float32],
    out: Path,
    *,
    sound: Iterable[AlignedAudio] = (),
    marks: FilmMarks = UNMARKED,
    progress: Progress,
) -> float:
    """Writes the film of ready-made [frames, 58] motion; returns its length in seconds.

    Sound longer than the motion is cut at the motion's end; shorter sound is followed by
    silence.
    """
    length = len(motion) * SAMPLE_RATE // MOTION_FPS
    blocks = iter(sound)
    heard = 0
    with _film(avatar, out, marks) as film:
        for frame in ahead(avatar.animate(as_chunks(motion)), depth=25):
            while heard <= frame.start and (block := next(blocks, None)) is not None:
                film.write_sound(block.sound[: 3 * max(0, length - heard)])
                heard += len(block.speech)
            film.write_picture(frame)
            progress(frame.start / SAMPLE_RATE)
        if 0 < heard < length:
            film.write_sound(np.zeros(3 * (length - heard), np.float32))
    return length / SAMPLE_RATE


def _film(avatar: Avatar, out: Path, marks: FilmMarks) -> FilmWriter:
    return FilmWriter(
        out,
        size=avatar.size,
        fps=avatar.fps,
        is_transparent=avatar.backdrop.is_transparent,
        marks=marks,
    )


def write_motion(
    generator: MotionGenerator,
    blocks: Iterable[AlignedAudio],
    out: Path,
    *,
    seed: int = 0,
    style: MotionStyle | None = None,
    progress: Progress,
) -> int:
    """Writes the motion of speech as `.csv` or `.npz`; returns the number of frames."""
    state = generator.start(seed=seed, style=style)
    rows = _motion_rows(generator, state, blocks, progress=progress)
    if out.suffix.lower() == ".csv":
        with _part_of(out) as part, part.open("w", newline="", encoding="utf-8") as file:
            return write_live_link_csv(file, rows)
    motion = np.stack(list(rows))
    with _part_of(out) as part:
        write_npz(part, motion)
    return len(motion)


@contextlib.contextmanager
def _part_of(out: Path) -> Iterator[Path]:
    """Yields a file beside `out` that takes its name at the end: a broken run leaves no half file.

    Raises:
        MotionFileError: it cannot be written.
    """
    part = out.with_name(f".{out.name}.part")
    try:
        yield part
        part.replace(out)
    except OSError as error:
        raise MotionFileError(f"'{out}' cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)


def _motion_rows(
    generator: MotionGenerator,
    state: MotionState,
    blocks: Iterable[AlignedAudio],
    *,
    progress: Progress,
) -> Iterator[NDArray[np.float32]]:
    heard = 0
    for block in blocks:
        if not len(block.speech):
            continue
        chunk = AudioChunk(heard, block.speech)
        heard = chunk.end
        (state,), (moved,) = generator.step([state], [chunk])
        for motion in moved:
            yield from motion.motion
        progress(heard / SAMPLE_RATE)
    if not heard:
        raise AudioError("The sound is empty: there is nothing to move to.")
    for motion in generator.finish(state):
        yield from motion.motion
