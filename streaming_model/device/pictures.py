"""Pictures of many sessions at once, as replays of CUDA graphs where there is a GPU.

A graph's work is fixed: it has room for so many triangles' pixels and for mouths and eyes of so
many rows and columns, measured beforehand. Batches that need more are drawn without a graph,
and give the same pictures later. Where things are is worked out on the host, as `batched` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.device.graphs import Array, Fixed, bucket, memory_pool
from streaming_model.device.planes import to_i420
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.renderer import Renderer
from streaming_model.renderer.batched import BatchedRenderer
from streaming_model.renderer.batched.renderer import Placed, Shape
from streaming_model.renderer.batched.tensors import Rooms, sent

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

SPARE: Final = 1.3  # room that a graph has, of what the frames looked at needed most
_LAYERS: Final = 2  # of feathered triangles, more than they needed
_STEP: Final = 16  # rows and columns of parts of the frame are multiples of it
_LOOKED_AT: Final = 24  # frames, before the graphs are made
_SEED: Final = 7


class DevicePictures:
    """Draws batches of frames of one or several portraits.

    Args:
        renderers: of one size, all of three channels or all transparent.
        device: where to draw.
        is_i420: whether the pictures are wanted as I420, not as RGB.

    Raises:
        RendererError: the renderers do not fit together.
        ValueError: transparent pictures are wanted as I420.
    """

    def __init__(
        self, renderers: Sequence[Renderer], device: torch.device, *, is_i420: bool = False
    ) -> None:
        self._batched = BatchedRenderer(renderers, device=device)
        if is_i420 and self._batched.is_transparent:
            raise ValueError("I420 has no matte: transparent pictures are RGBA")
        self.device, self._is_i420 = device, is_i420
        self._count, self._pool = len(renderers), memory_pool(device)
        self._shapes: list[Shape] = []  # from the least
        self._rooms: dict[str, int] = {}  # of one frame
        self._made: dict[tuple[int, Shape], Fixed] = {}
        self.drawn_without = 0

    def prepare(self, most: int) -> None:
        """Makes ready for batches of up to `most` frames: those that speak, and with tongues."""
        rows = likely_motions(_LOOKED_AT)
        for which in range(self._count):
            for row in rows:
                self._look_at(self._batched.place(row[None], [which]))
        self._shapes.sort(key=lambda shape: shape.mouth.has_tongues)
        self._rooms = {name: int(SPARE * needed) + 1 for name, needed in self._rooms.items()}
        self._rooms["layers"] += _LAYERS
        size = 1
        while size < 2 * most:
            for shape in self._shapes:
                self._make(size, shape)
            size *= 2

    def draw(self, motions: Floats, which: Sequence[int] | None = None) -> Pixels:
        """Returns the frames of a batch, in host memory.

        They are [n, s, s, 3] RGB, [n, s, s, 4] straight RGBA, or I420 [n, 3 s / 2, s].

        Args:
            motions: [n, 58] of `motion_space`.
            which: [n] the renderer of each frame; the first for all if not given.

        Raises:
            RendererError: as `BatchedRenderer.render`.
        """
        placed = self._batched.place(motions, which, fit=self._fitting)
        fixed = self._made.get((bucket(len(motions)), placed.shape))
        if fixed is not None:
            for name, rows in placed.told.items():
                fixed.put(name, rows)
            frames, is_short = fixed()
            if not is_short[0]:
                return frames[: len(motions)].copy()
        self.drawn_without += 1
        with torch.inference_mode():
            told = {name: sent(rows, self.device) for name, rows in placed.told.items()}
            drawn = self._finished(told, placed.shape, Rooms()).cpu().numpy()
        pictures: Pixels = drawn
        return pictures

    def _fitting(self, least: Shape) -> Shape:
        return next((shape for shape in self._shapes if shape.holds(least)), least)

    def _look_at(self, placed: Placed) -> None:
        """Enlarges shapes and rooms by what one frame needs."""
        shape = _stepped(placed.shape)
        for index, other in enumerate(self._shapes):
            if other.mouth.has_tongues == shape.mouth.has_tongues:
                self._shapes[index] = other.joined(shape)
                break
        else:
            self._shapes.append(shape)
        rooms = Rooms()
        with torch.inference_mode():
            told = {name: sent(rows, self.device) for name, rows in placed.told.items()}
            self._batched.draw(told, placed.shape, rooms)
        for name, needed in rooms.needed.items():
            self._rooms[name] = max(self._rooms.get(name, 0), needed)

    def _make(self, count: int, shape: Shape) -> None:
        rooms = Rooms(
            {name: room if name == "layers" else count * room for name, room in self._rooms.items()}
        )
        first = self._batched.place(likely_motions(1), fit=lambda _: shape)
        inputs: dict[str, Array] = {
            name: np.repeat(rows, count, axis=0) for name, rows in first.told.items()
        }

        def work(told: Mapping[str, Tensor]) -> list[Tensor]:
            frames = self._finished(told, shape, rooms)
            return [frames, rooms.shortage(self.device)]

        self._made[count, shape] = Fixed(work, inputs, self.device, pool=self._pool)

    def _finished(self, told: Mapping[str, Tensor], shape: Shape, rooms: Rooms) -> Tensor:
        frames = self._batched.draw(told, shape, rooms)
        return to_i420(frames) if self._is_i420 else frames


def likely_motions(count: int) -> Floats:
    """Returns [count, 58] motions of speech with all that faces do beside it, and some tongues."""
    rng = np.random.default_rng(_SEED)
    rows = np.zeros((count, MOTION_SIZE), np.float32)
    rows[:, :52] = rng.random((count, 52)) * (rng.random((count, 52)) < 0.25)
    rows[:, 52:55] = rng.normal(0, 0.12, (count, 3))  # radians
    rows[:, 55:] = rng.normal(0, 0.5, (count, 3))  # centimetres
    rows[:, INDEX["jawOpen"]] = np.linspace(0.05, 0.8, count)
    rows[:, INDEX["tongueOut"]] = np.where(np.arange(count) % 4 == 3, 0.3, 0)
    return rows


def _stepped(shape: Shape) -> Shape:
    """Returns the next shape whose rows and columns are multiples of `_STEP`."""

    def up(window: tuple[int, int]) -> tuple[int, int]:
        rows, columns = (-(-side // _STEP) * _STEP for side in window)
        return rows, columns

    left, right = shape.eyes
    mouth: Any = shape.mouth
    return Shape((up(left), up(right)), mouth._replace(window=up(shape.mouth.window)))
