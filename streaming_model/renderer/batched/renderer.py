"""Draws frames of many sessions at once: the same pictures as `Renderer`, on any torch device.

Where things are is computed by the `Renderer`s themselves, frame by frame on the CPU, so that
both cover the same pixels to the bit. All that is done for a pixel is done here, for the whole
batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.motion_space import MOTION_SIZE
from streaming_model.renderer.batched import raster
from streaming_model.renderer.batched.eyes import BatchedEyes
from streaming_model.renderer.batched.mouth import BatchedMouths
from streaming_model.renderer.batched.tensors import sent, stacked
from streaming_model.renderer.eyes import EyePlace
from streaming_model.renderer.mouth import MouthPlace
from streaming_model.renderer.raster import EMPTY
from streaming_model.renderer.renderer import (
    MOST,
    SEAM_ROWS,
    Placement,
    Renderer,
    RendererError,
)

Floats = NDArray[np.float32]


class _Frame(NamedTuple):
    """One frame, as far as it is not pixels."""

    person: Placement
    eyes: list[EyePlace | None]
    mouth: MouthPlace | None


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
        self._textures = self._planes([renderer._texture for renderer in renderers]).double()
        self._end = float(len(stages[0].foreground))
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
        motions = np.asarray(motions, np.float32)
        if motions.ndim != 2 or motions.shape[1] != MOTION_SIZE or not np.isfinite(motions).all():
            raise RendererError(f"Motions must be rows of {MOTION_SIZE} finite numbers.")
        chosen = [0] * len(motions) if which is None else list(which)
        if len(chosen) != len(motions) or not all(0 <= w < len(self._renderers) for w in chosen):
            raise RendererError(
                f"Each of {len(motions)} frames needs one of {len(self._renderers)} renderers."
            )
        if not chosen:
            return self._rest[:0]
        rows = np.clip(motions, -MOST, MOST)
        frames = [_placed(self._renderers[w], row) for w, row in zip(chosen, rows, strict=True)]
        index = torch.tensor(chosen, device=self.device)
        maps = self._maps([frame.person for frame in frames], index)
        canvas = self._composed(maps, frames, index).permute(0, 2, 3, 1)
        out = canvas[..., :3].contiguous()
        for side, eyes in enumerate(self._eyes):
            eyes.draw(out, maps, [frame.eyes[side] for frame in frames], chosen)
        self._mouths.draw(out, [frame.mouth for frame in frames], chosen)
        if self.is_transparent:
            out = torch.cat([out, canvas[..., 3:]], dim=3)
        is_moving = self._sent(np.any(motions, axis=1))
        return torch.where(is_moving[:, None, None, None], out, self._rest[index])

    def _composed(self, maps: Tensor, frames: list[_Frame], which: Tensor) -> Tensor:
        """Returns head and face over their plates [n, 3 or 4, s, s] uint8, the mouth dark."""
        seen = raster.look_up(self._chosen(self._textures, which), maps[0], maps[1])
        if not self.is_transparent:
            plate = self._chosen(self._plates, which)
            return raster.compose(seen, plate, maps[2]).to(torch.uint8)
        seen[:, :3] = raster.lit(seen, maps[2])
        kinds = self._sent(np.stack([frame.person.kinds for frame in frames]))
        is_empty = kinds.repeat_interleave(self._cell, 1).repeat_interleave(self._cell, 2) == EMPTY
        return seen.masked_fill_(is_empty[:, None, : self.size, : self.size], 0).to(torch.uint8)

    def _chosen(self, held: Tensor, which: Tensor) -> Tensor:
        """Returns what is held of each frame's renderer, without a copy if there is but one."""
        return held.expand(len(which), *held.shape[1:]) if len(held) == 1 else held[which]

    def _maps(self, placed: list[Placement], which: Tensor) -> Tensor:
        """Returns which place of the texture each pixel shows, and its light, [3, n, s, s]."""
        count, size = len(placed), self.size
        maps = torch.ones((3, count, size, size), device=self.device)
        grid = self._sent(np.stack([each.grid for each in placed]))
        maps[:2] = raster.map_grid(grid, self._cell, size)
        pixels = self._sent(np.stack([each.pixels for each in placed]))
        row = self._end + SEAM_ROWS / 2
        for pair in self._renderers[0]._pairs:
            upper, lower = pixels[:, pair.upper], pixels[:, pair.lower]
            raster.map_opening(maps, upper, lower, (SEAM_ROWS / 2, row))
            row += SEAM_ROWS
        shown = np.stack([np.c_[each.sources, each.light] for each in placed])
        values = torch.cat([self._sent(shown), self._opacity[which, :, None]], dim=2)
        cut = raster.fragments(pixels, values, self._triangles[which], (size, size))
        raster.map_triangles(maps.flatten(1), cut, self._is_solid[which].flatten(), self._end)
        return maps

    def _planes(self, images: list[NDArray[np.uint8]]) -> Tensor:
        """Returns images [h, w, c] as [m, c, h, w]."""
        return stacked(images, self.device).permute(0, 3, 1, 2).contiguous()

    def _sent(self, array: NDArray[Any]) -> Tensor:
        return sent(array, self.device)


def _placed(renderer: Renderer, motion: Floats) -> _Frame:
    head = renderer._geometry.head(motion)
    face = head.apply(renderer._geometry.shape(motion))
    person = renderer.place(motion, head, face)
    return _Frame(
        person,
        [eye.place(motion, person.pixels) for eye in renderer._eyes],
        renderer._mouth.place(face, motion, head),
    )
