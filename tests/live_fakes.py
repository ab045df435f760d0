"""A stand-in for the model and a voice, for tests of the server without weights.

The face is a grey square whose white bar stands the higher the louder the audio is; the voice
hums a tone for every letter. `python -m tests.live_fakes` serves them.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from server.app import Parts, Server, serve
from server.config import Settings, add_arguments
from server.voice.base import SpeechClause, Voice, VoiceError
from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.crop import Crop
from streaming_model.errors import NoFaceError
from streaming_model.media import (
    SAMPLES_PER_MOTION_FRAME,
    AudioChunk,
    MotionChunk,
    VideoFrame,
)
from streaming_model.motion.additive import Additions
from streaming_model.motion.style import MotionStyle
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait.framing import Frame
from streaming_model.portrait.image import load_image, load_part, upright_size
from streaming_model.portrait.preview import PortraitPreview

VOICE_RATE = 24_000  # Hz
LETTER = VOICE_RATE // 20  # samples, 50 ms


@dataclass(frozen=True)
class FakeMotionState:
    waiting: NDArray[np.float32]
    start: int | None = None
    utterances: tuple[tuple[int, int], ...] = ()
    style: MotionStyle = field(default_factory=MotionStyle)


@dataclass(frozen=True)
class FakeState:
    motion: FakeMotionState
    pictures: int = 0


class FakeMotion:
    """Opens the jaw by the loudness of each 40 ms; `lookahead` frames late, in `chunk`s."""

    def __init__(self, *, chunk: int = 2, lookahead: int = 2) -> None:
        self.chunk, self.lookahead = chunk, lookahead
        self.batches: list[int] = []
        self.styles: dict[int, MotionStyle] = {}  # by the media time from which they act
        self.additions = Additions()

    def start(self) -> FakeMotionState:
        return FakeMotionState(np.zeros(0, np.float32))

    def direct(
        self, state: FakeMotionState, style: MotionStyle, additions: Additions, /, *, at: int
    ) -> FakeMotionState:
        self.additions = additions
        if style == state.style:
            return state
        self.styles[at] = style
        return replace(state, style=style)

    def is_due(self, state: FakeMotionState, chunk: AudioChunk, /) -> bool:
        del state, chunk
        return True

    def step(
        self, states: Sequence[FakeMotionState], inputs: Sequence[AudioChunk], /
    ) -> tuple[list[FakeMotionState], list[list[MotionChunk]]]:
        self.batches.append(len(states))
        pairs = [self._advance(state, chunk) for state, chunk in zip(states, inputs, strict=True)]
        return [state for state, _ in pairs], [motion for _, motion in pairs]

    def _advance(
        self, state: FakeMotionState, chunk: AudioChunk
    ) -> tuple[FakeMotionState, list[MotionChunk]]:
        start = chunk.start if state.start is None else state.start
        heard = np.concatenate([state.waiting, chunk.samples])
        marks = (*state.utterances, (chunk.start, chunk.utterance))
        size = SAMPLES_PER_MOTION_FRAME
        chunks = []
        while len(heard) >= (self.chunk + self.lookahead) * size:
            frames = heard[: self.chunk * size].reshape(self.chunk, size)
            motion = np.zeros((self.chunk, MOTION_SIZE), np.float32)
            motion[:, INDEX["jawOpen"]] = np.minimum(1, 4 * np.sqrt((frames**2).mean(axis=1)))
            numbers = [_number_at(marks, start + index * size) for index in range(self.chunk)]
            chunks.append(MotionChunk(start, motion, np.array(numbers, np.int64)))
            heard = heard[self.chunk * size :]
            start += self.chunk * size
        kept = tuple(mark for mark in marks if mark[0] >= start) or marks[-1:]
        return FakeMotionState(heard, start, kept, state.style), chunks


def _number_at(marks: Sequence[tuple[int, int]], media_time: int) -> int:
    return max((mark for mark in marks if mark[0] <= media_time), default=marks[0])[1]


class FakeAvatar:
    """A grey pillar before a backdrop, and on it a bar whose height is `jawOpen`."""

    def __init__(
        self,
        *,
        size: int = 256,
        fps: int = 25,
        motion: FakeMotion | None = None,
        backdrop: Backdrop = KEEP,
    ) -> None:
        self.size, self.fps = size, fps
        self.motion = motion or FakeMotion()
        self.backdrop = backdrop

    def with_backdrop(self, backdrop: Backdrop, /) -> FakeAvatar:
        return FakeAvatar(size=self.size, fps=self.fps, motion=self.motion, backdrop=backdrop)

    def start(self, *, seed: int = 0) -> FakeState:
        del seed
        return FakeState(self.motion.start())

    def render(
        self, state: FakeState, chunks: Iterable[MotionChunk], /
    ) -> tuple[FakeState, list[VideoFrame]]:
        frames = []
        for chunk in chunks:
            for index, row in enumerate(chunk.motion):
                start = chunk.start + index * SAMPLES_PER_MOTION_FRAME
                frames.append(VideoFrame(start, self._draw(row), int(chunk.utterance[index])))
        return replace(state, pictures=state.pictures + len(frames)), frames

    def _draw(self, row: NDArray[np.float32]) -> NDArray[np.uint8]:
        plate = self.backdrop.plate(np.full((self.size, self.size, 3), 96, np.uint8))
        image = np.full((self.size, self.size, 3), 96, np.uint8) if plate is None else plate
        image[:, self.size // 8 : -self.size // 8] = [96, 96, 96, 255][: image.shape[2]]
        height = int(row[INDEX["jawOpen"]] * (self.size - 1))
        image[self.size - height :, self.size // 4 : -self.size // 4] = 255
        return image


class FakeVoice:
    """A hum for every letter, a clause for every sentence."""

    engine = "fake"
    language = "en-US"
    label = "a hum"
    sample_rate = VOICE_RATE

    def __init__(self, name: str) -> None:
        self.name = name

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        del speed, in_pieces
        position = 0
        for sentence in text.split("."):
            if "explode" in sentence:
                raise RuntimeError("the engine is on fire")
            if "fail" in sentence:
                raise VoiceError("The voice has a cold.")
            spoken = sentence.strip()
            if spoken:
                yield _hum(spoken, position + len(sentence) - len(sentence.lstrip()))
            position += len(sentence) + 1

    def warm_up(self) -> None:
        return


def _hum(text: str, position: int) -> SpeechClause:
    time = np.arange(len(text) * LETTER) / VOICE_RATE
    samples = (0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    skipped = tuple(letter for letter in text if ord(letter) > 127)
    end = position + len(text)
    return SpeechClause(text, position, end, VOICE_RATE, samples, (), skipped)


@dataclass(frozen=True)
class FakeEntry:
    name: str
    engine: str = "fake"
    language: str = "en-US"
    label: str = "a hum"


def open_fake_voice(name: str) -> Voice:
    return FakeVoice(name)


def fake_preview(data: bytes, crop: Crop | None) -> PortraitPreview:
    """Every picture that is not black has a face, which fills the middle of the picture."""
    width, height = upright_size(data)
    image = load_image(data) if crop is None else load_part(data, crop)
    place = crop or Crop(0, 0, width, height)
    side = min(place.width, place.height)
    middle = np.array([place.left + place.width / 2, place.top + place.height / 2])
    turns = np.linspace(0, 2 * np.pi, 478)
    oval = np.stack([0.25 * np.cos(turns), 0.35 * np.sin(turns)], axis=1)
    has_face = bool(image.any())
    left, top = (middle - side / 2).astype(int).tolist()
    return PortraitPreview(
        accepted=has_face,
        code="ok" if has_face else NoFaceError.code,
        message="A fake." if has_face else "There is no face in the picture.",
        width=width,
        height=height,
        crop=crop,
        frame=Frame(left, top, side) if has_face else None,
        landmarks=np.asarray(middle + side * oval, np.float32) if has_face else None,
        faces_found=int(has_face),
        warnings=("A fake.",) if has_face else (),
    )


def fake_parts(settings: Settings) -> Parts:
    """Every picture has a face unless its name says otherwise."""
    motion = FakeMotion(chunk=settings.chunk_frames, lookahead=settings.lookahead_frames)

    def make_avatar(path: Path) -> tuple[FakeAvatar, tuple[str, ...]]:
        if "noface" in path.name:
            raise NoFaceError("There is no face in the picture.")
        return FakeAvatar(size=settings.size, fps=settings.fps, motion=motion), ("A fake.",)

    return Parts(
        make_avatar=make_avatar,
        voice_entries=(FakeEntry("hum"), FakeEntry("buzz")),
        default_voice="hum",
        open_voice=open_fake_voice,
        preview=fake_preview,
    )


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yields a client of a server with one place and one place in the line."""
    settings = Settings(size=256, max_sessions=1, queue_length=1, cache_dir=folder)
    app = Server(settings, fake_parts(settings)).app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client,
    ):
        await asyncio.sleep(0)
        yield client


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    settings = Settings.load(parser.parse_args())
    serve(settings, fake_parts(settings))


if __name__ == "__main__":
    main()
