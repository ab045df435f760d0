"""The whole model as one object: a portrait that speaks what it hears.

Synchronous and usable alone. It knows the order of the line (motion, cadence, pictures) and
nothing of how each works.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.cadence import Cadence, CadenceState, Pose
from streaming_model.media import MOTION_FPS, AudioChunk, MotionChunk, VideoFrame
from streaming_model.motion import (
    Gesture,
    MotionGenerator,
    MotionState,
    MotionStyle,
    load_motion_generator,
)
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.renderer import Renderer
from streaming_model.renderer.measured import load_measured, measured_path, save_measured

BUILTIN_PORTRAIT = Path(__file__).parent / "assets" / "mona_lisa.jpg"


@dataclass(frozen=True, slots=True)
class AvatarState:
    """One session's place in the stream: an immutable value."""

    motion: MotionState
    cadence: CadenceState


class Avatar:
    """A portrait, the motion generator that animates it and the renderer that draws it.

    A `StreamingBlock` from `AudioChunk` to `VideoFrame`. The weights are shared: one `Avatar`
    serves any number of sessions, each with its own `AvatarState`.

    Attributes:
        portrait: the picture, fitted.
        motion: the speech-to-motion generator, which may be shared between avatars.
        fps: pictures a second.
    """

    def __init__(
        self,
        portrait: Portrait,
        motion: MotionGenerator,
        *,
        size: int = 512,
        fps: int = MOTION_FPS,
        backdrop: Backdrop = KEEP,
        cache_dir: Path | None = None,
    ) -> None:
        """Makes a portrait ready to be drawn.

        Args:
            portrait: from `make_portrait`.
            motion: from `load_motion_generator`.
            size: side of the square video in pixels, 256 to 1024.
            fps: pictures a second, 10 to 60.
            backdrop: what is behind the person.
            cache_dir: where what is measured of portraits is kept; None keeps nothing.
        """
        self.portrait = portrait
        self.motion = motion
        self.fps = fps
        self.size = size
        self._cadence = Cadence(fps=fps)
        self._renderer = _renderer(portrait, size=size, backdrop=backdrop, cache_dir=cache_dir)

    @classmethod
    def from_image(
        cls,
        source: Path | str | bytes | NDArray[np.uint8] = BUILTIN_PORTRAIT,
        *,
        size: int = 512,
        fps: int = MOTION_FPS,
        steps: int | None = None,
        chunk_frames: int = 2,
        lookahead_frames: int = 2,
        backdrop: Backdrop = KEEP,
        cache_dir: Path | None = None,
    ) -> Self:
        """Makes an avatar from a picture, with the weights that ship.

        Args:
            source: path, encoded file or [h, w, 3] uint8 RGB; the Mona Lisa if not given.
            size: side of the square video in pixels, 256 to 1024.
            fps: pictures a second, 10 to 60.
            steps: sampler steps (1, 2 or 4); the model's own default if None.
            chunk_frames: motion frames made per call of the sampler.
            lookahead_frames: motion frames of audio heard ahead, 0 to 8.
            backdrop: what is behind the person; before `transparent` the pictures are RGBA.
            cache_dir: where fitted portraits are kept; None keeps none.

        Raises:
            PortraitError: the picture cannot be used; the message says why.
            ModelFileError: a weight file is missing or damaged.
            ValueError: an option is out of range.
        """
        motion = load_motion_generator(
            steps=steps, chunk_frames=chunk_frames, lookahead_frames=lookahead_frames
        )
        picture = Path(source) if isinstance(source, str) else source
        portrait = make_portrait(picture, cache_dir=cache_dir)
        return cls(portrait, motion, size=size, fps=fps, backdrop=backdrop, cache_dir=cache_dir)

    @property
    def backdrop(self) -> Backdrop:
        """What is behind the person."""
        return self._renderer.backdrop

    def with_backdrop(self, backdrop: Backdrop) -> Self:
        """Returns an avatar of the same portrait before `backdrop`; all that is heavy is shared."""
        other = copy.copy(self)
        other._renderer = self._renderer.with_backdrop(backdrop)
        return other

    def start(self, *, seed: int = 0, style: MotionStyle | None = None) -> AvatarState:
        """Returns a fresh session's state; `seed` decides head motion, blinks and gaze."""
        return AvatarState(self.motion.start(seed=seed, style=style), self._cadence.start())

    def restyle(
        self, state: AvatarState, style: MotionStyle, *, at: int | None = None
    ) -> AvatarState:
        """Returns the state with another style from media time `at` on, or as soon as possible.

        Raises:
            ValueError: the motion at `at` was given already.
        """
        return replace(state, motion=self.motion.restyle(state.motion, style, at=at))

    def add(self, state: AvatarState, *gestures: Gesture) -> AvatarState:
        """Returns the state with gestures to be made."""
        return replace(state, motion=self.motion.add(state.motion, *gestures))

    def step(
        self, states: Sequence[AvatarState], chunks: Sequence[AudioChunk]
    ) -> tuple[list[AvatarState], list[list[VideoFrame]]]:
        """Feeds one chunk of audio, of any length, to each session; returns the new pictures."""
        motions, moved = self.motion.step([state.motion for state in states], chunks)
        after: list[AvatarState] = []
        frames: list[list[VideoFrame]] = []
        for state, motion, motion_chunks in zip(states, motions, moved, strict=True):
            next_state, pictures = self.render(AvatarState(motion, state.cadence), motion_chunks)
            after.append(next_state)
            frames.append(pictures)
        return after, frames

    def render(
        self, state: AvatarState, chunks: Iterable[MotionChunk]
    ) -> tuple[AvatarState, list[VideoFrame]]:
        """Draws the pictures of motion that came from elsewhere or from a shared batch."""
        cadence = state.cadence
        frames: list[VideoFrame] = []
        for chunk in chunks:
            (cadence,), (poses,) = self._cadence.step([cadence], [chunk])
            frames.extend(self._draw(pose) for pose in poses)
        return AvatarState(state.motion, cadence), frames

    def finish(self, state: AvatarState) -> list[VideoFrame]:
        """Returns the pictures that still waited for lookahead, as if silence followed."""
        state, frames = self.render(state, self.motion.finish(state.motion))
        return frames + [self._draw(pose) for pose in self._cadence.finish(state.cadence)]

    def stream(
        self, chunks: Iterable[AudioChunk], *, seed: int = 0, style: MotionStyle | None = None
    ) -> Iterator[VideoFrame]:
        """Yields the pictures of a stream of audio, each as soon as it is known."""
        state = self.start(seed=seed, style=style)
        for chunk in chunks:
            (state,), (frames,) = self.step([state], [chunk])
            yield from frames
        yield from self.finish(state)

    def animate(self, motion: Iterable[MotionChunk]) -> Iterator[VideoFrame]:
        """Yields the pictures of ready-made motion (a Live Link Face take, a webcam)."""
        state = self.start()
        for chunk in motion:
            state, frames = self.render(state, [chunk])
            yield from frames
        yield from (self._draw(pose) for pose in self._cadence.finish(state.cadence))

    def _draw(self, pose: Pose) -> VideoFrame:
        return VideoFrame(pose.start, self._renderer.render(pose.motion), pose.utterance)


def _renderer(
    portrait: Portrait, *, size: int, backdrop: Backdrop, cache_dir: Path | None
) -> Renderer:
    """Returns what draws a portrait, measured now if `cache_dir` does not know it."""
    if cache_dir is None:
        return Renderer(portrait, size=size, backdrop=backdrop)
    path = measured_path(portrait, size=size, cache_dir=cache_dir)
    kept = load_measured(path)
    renderer = Renderer(portrait, size=size, backdrop=backdrop, measured=kept)
    if kept is None:
        save_measured(renderer.measured, path)
    return renderer
