"""Draws frames of many sessions at once: the same pictures as `Renderer`, on any torch device.

Where things are is computed by the `Renderer`s themselves, frame by frame on the CPU, so that
both cover the same pixels to the bit. All that is done for a pixel is done here, for the whole
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.motion_space import MOTION_SIZE
from streaming_model.renderer.batched import raster
from streaming_model.renderer.batched.eyes import BatchedEyes
from streaming_model.renderer.batched.mouth import BatchedMouths
from streaming_model.renderer.batched.mouth_places import MouthShape
from streaming_model.renderer.batched.tensors import Rooms, sent, stacked
from streaming_model.renderer.eyes import EyePlace
from streaming_model.renderer.mouth import MouthPlace
from streaming_model.renderer.raster import unpacked
from streaming_model.renderer.raster_cells import EMPTY
from streaming_model.renderer.renderer import (
    MOST,
    SEAM_ROWS,
    Placement,
    Renderer,
    RendererError,
)

Floats = NDArray[np.float32]
Window = tuple[int, int]  # rows and columns


class _Frame(NamedTuple):
    """One frame, as far as it is not pixels."""

    person: Placement
    eyes: list[EyePlace | None]
    mouth: MouthPlace | None


class Shape(NamedTuple):
    """What of a batch decides which work there is: for equal ones it is the same.

    Attributes:
        eyes: rows and columns that hold every frame's part with the left eye, and the right.
        mouth: the same of the mouths.
    """

    eyes: tuple[Window, Window]
    mouth: MouthShape

    def holds(self, other: Shape) -> bool:
        """Returns whether the work for this shape does for the other one's frames, too."""
        eyes = zip(self.eyes, other.eyes, strict=True)
        is_wide = all(mine[0] >= its[0] and mine[1] >= its[1] for mine, its in eyes)
        return is_wide and self.mouth.holds(other.mouth)

    def joined(self, other: Shape) -> Shape:
        """Returns the least shape that holds both."""
        left, right = (
            (max(mine[0], its[0]), max(mine[1], its[1]))
            for mine, its in zip(self.eyes, other.eyes, strict=True)
        )
        return Shape((left, right), self.mouth.joined(other.mouth))


class Placed(NamedTuple):
    """A batch of frames, as far as it is not pixels.

    Attributes:
        told: by name, arrays of [n, ...].
        shape: what they are gathered for.
    """

    told: dict[str, NDArray[Any]]
    shape: Shape


class BatchedRenderer:
    """Holds what one or several renderers draw with on one device, and draws batches.

    Args:
        renderers: of one size, all of three channels or all transparent.
        device: where to draw; a GPU if there is one.

    Raises:
        RendererError: the renderers do not fit together.
    """

    def __init__(
        self, renderers: Sequence[Renderer], *, device: torch.device | str | None = None
    ) -> None:
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self._renderers = tuple(renderers)
        kinds = {(renderer.size, renderer.backdrop.is_transparent) for renderer in renderers}
        if len(kinds) != 1:
            raise RendererError(
                f"A batch needs renderers of one size and number of channels, not {sorted(kinds)}."
            )
        ((self.size, self.is_transparent),) = kinds
        stages = [renderer._stage for renderer in renderers]
        self._cell = renderers[0]._head.cell
        self._rest = stacked([stage.rest for stage in stages], self.device)
        self._plates = self._planes([stage.background for stage in stages]).to(torch.int32)
        self._textures = self._planes(
            [unpacked(renderer._texture) for renderer in renderers]
        ).double()
        self._end = float(len(stages[0].foreground))
        self._openings = [
            (sent(pair.upper, self.device), sent(pair.lower, self.device))
            for pair in renderers[0]._pairs
        ]
        triangles = [renderer._face_triangles for renderer in renderers]
        self._triangles = stacked(triangles, self.device).long()  # those added have no area
        self._opacity = stacked([renderer._opacity for renderer in renderers], self.device)
        self._eyes = [
            BatchedEyes([renderer._eyes[side] for renderer in renderers], self.device)
            for side in range(2)
        ]
        self._mouths = BatchedMouths([renderer._mouth for renderer in renderers], self.device)
        index = torch.arange(len(renderers), device=self.device)[:, None, None]
        self._is_solid = (self._opacity[index, self._triangles] > raster.SOLID).all(dim=2)

    @torch.inference_mode()
    def render(self, motions: Floats, which: Sequence[int] | None = None) -> Tensor:
        """Returns the frames [n, size, size, 3 or 4] uint8 of a batch, on the device.

        Args:
            motions: [n, 58] of `motion_space`.
            which: [n] the renderer of each frame; the first for all if not given.

        Raises:
            RendererError: `motions` has another shape or holds a value that is not finite, or
                there is no such renderer.
        """
        if not len(motions):
            return self._rest[:0]
        told, shape = self.place(motions, which)
        on_device = {name: sent(array, self.device) for name, array in told.items()}
        return self.draw(on_device, shape, Rooms())

    def place(
        self,
        motions: Floats,
        which: Sequence[int] | None = None,
        *,
        fit: Callable[[Shape], Shape] = lambda least: least,
    ) -> Placed:
        """Returns where everything of a batch is.

        It is gathered for the shape that `fit` makes of the least one, which it must hold. The
        other arguments and what is raised are as of `render`.
        """
        motions = np.asarray(motions, np.float32)
        if motions.ndim != 2 or motions.shape[1] != MOTION_SIZE or not np.isfinite(motions).all():
            raise RendererError(f"Motions must be rows of {MOTION_SIZE} finite numbers.")
        chosen = [0] * len(motions) if which is None else list(which)
        if len(chosen) != len(motions) or not all(0 <= w < len(self._renderers) for w in chosen):
            raise RendererError(
                f"Each of {len(motions)} frames needs one of {len(self._renderers)} renderers."
            )
        rows = np.clip(motions, -MOST, MOST)
        frames = [_placed(self._renderers[w], row) for w, row in zip(chosen, rows, strict=True)]
        left, right = ([frame.eyes[side] for frame in frames] for side in range(2))
        mouths = [frame.mouth for frame in frames]
        shape = fit(Shape((_window(left), _window(right)), MouthShape.of(mouths)))
        people = [frame.person for frame in frames]
        told: dict[str, NDArray[Any]] = {
            "which": np.array(chosen, np.int64),
            "is_moving": np.any(motions, axis=1),
            "grid": np.stack([each.grid for each in people]),
            "pixels": np.stack([each.pixels for each in people]),
            "shown": np.stack([np.c_[each.sources, each.light] for each in people]),
        }
        if self.is_transparent:
            told["kinds"] = np.stack([each.kinds for each in people])
        parts = {
            "left": self._eyes[0].gathered(left),
            "right": self._eyes[1].gathered(right),
            "mouth": self._mouths.gathered(mouths, shape.mouth),
        }
        for part, arrays in parts.items():
            told |= {f"{part}.{name}": array for name, array in arrays.items()}
        return Placed(told, shape)

    def draw(self, told: Mapping[str, Tensor], shape: Shape, rooms: Rooms) -> Tensor:
        """Returns the frames [n, size, size, 3 or 4] uint8 of a batch placed for `shape`.

        All on the device; with fixed `rooms` the host looks at nothing.
        """
        which, size = told["which"], self.size
        maps = self._maps(told, rooms)
        canvas = self._composed(maps, told).permute(0, 2, 3, 1)
        pixels = torch.empty(
            (len(which) * size * size + 1, 3), dtype=torch.uint8, device=self.device
        )
        out = pixels[:-1].view(len(which), size, size, 3)
        out.copy_(canvas[..., :3])
        pixels[-1] = 0
        for eyes, part, window in zip(self._eyes, ("left", "right"), shape.eyes, strict=True):
            eyes.draw(pixels, maps, _of(told, part), which, window)
        self._mouths.draw(pixels, _of(told, "mouth"), which, shape.mouth, rooms)
        if self.is_transparent:
            out = torch.cat([out, canvas[..., 3:]], dim=3)
        return torch.where(told["is_moving"][:, None, None, None], out, self._rest[which])

    def _composed(self, maps: Tensor, told: Mapping[str, Tensor]) -> Tensor:
        """Returns head and face over their plates [n, 3 or 4, s, s] uint8, the mouth dark."""
        which = told["which"]
        seen = raster.look_up(self._chosen(self._textures, which), maps[0], maps[1])
        if not self.is_transparent:
            plate = self._chosen(self._plates, which)
            return raster.compose(seen, plate, maps[2]).to(torch.uint8)
        seen[:, :3] = raster.lit(seen, maps[2])
        kinds = told["kinds"]
        is_empty = kinds.repeat_interleave(self._cell, 1).repeat_interleave(self._cell, 2) == EMPTY
        return seen.masked_fill_(is_empty[:, None, : self.size, : self.size], 0).to(torch.uint8)

    def _chosen(self, held: Tensor, which: Tensor) -> Tensor:
        """Returns what is held of each frame's renderer, without a copy if there is but one."""
        return held.expand(len(which), *held.shape[1:]) if len(held) == 1 else held[which]

    def _maps(self, told: Mapping[str, Tensor], rooms: Rooms) -> Tensor:
        """Returns which place of the texture each pixel shows, and its light, [3, n, s, s]."""
        which, pixels, size = told["which"], told["pixels"], self.size
        maps = torch.ones((3, len(which), size, size), device=self.device)
        maps[:2] = raster.map_grid(told["grid"], self._cell, size)
        row = self._end + SEAM_ROWS / 2
        for upper, lower in self._openings:
            raster.map_opening(maps, pixels[:, upper], pixels[:, lower], (SEAM_ROWS / 2, row))
            row += SEAM_ROWS
        values = torch.cat([told["shown"], self._opacity[which, :, None]], dim=2)
        cut = raster.fragments(pixels, values, self._triangles[which], (size, size), rooms)
        solid = self._is_solid[which].flatten()
        return raster.map_triangles(maps.flatten(1), cut, solid, self._end, rooms).view(maps.shape)

    def _planes(self, images: list[NDArray[np.uint8]]) -> Tensor:
        """Returns images [h, w, c] as [m, c, h, w]."""
        return stacked(images, self.device).permute(0, 3, 1, 2).contiguous()


def _of(told: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Returns what is told of one part, by the names that it has there."""
    begin = f"{part}."
    return {name[len(begin) :]: held for name, held in told.items() if name.startswith(begin)}


def _window(places: Sequence[EyePlace | None]) -> Window:
    """Returns rows and columns that hold the boxes of all."""
    boxes = [place.box for place in places if place is not None]
    rows = max((bottom - top for _, top, _, bottom in boxes), default=1)
    return rows, max((right - left for left, _, right, _ in boxes), default=1)


def _placed(renderer: Renderer, motion: Floats) -> _Frame:
    head, acting = renderer._geometry.head(motion), renderer._geometry.effective(motion)
    face = head.apply(renderer._geometry.shape(motion, acting))
    person = renderer.place(acting, head, face)
    return _Frame(
        person,
        [eye.place(motion, acting, person.pixels) for eye in renderer._eyes],
        renderer._mouth.place(face, motion, acting, head),
    )
