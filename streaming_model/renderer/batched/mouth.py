"""The mouths of a batch of frames, as `MouthLayer` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.renderer.batched import solids
from streaming_model.renderer.batched.boxes import (
    Boxes,
    blurred,
    blurred_cover,
    box_means,
    darken,
    lay_over,
    put,
)
from streaming_model.renderer.batched.mouth_places import MostOfMouths, MouthShape
from streaming_model.renderer.batched.tensors import Rooms, bilinear, stacked
from streaming_model.renderer.mouth import (
    LOWER_ROW,
    STILL,
    TONGUE_SHADOW,
    UPPER_ROW,
    MouthLayer,
    MouthPlace,
)
from streaming_model.renderer.mouth_places import SUBCOLUMNS
from streaming_model.renderer.raster_mouth import ROLL_REACH

LEAST_ROLL: Final = 0.01  # strength below which lips are left alone


class _Batch(NamedTuple):
    """The mouths of a batch of frames.

    Attributes:
        told: what was gathered.
        which: [n] whose mouth it is.
        boxes: the parts of the frames that they cover.
        fine: how finely they are drawn.
        rooms: for triangles.
    """

    told: Mapping[str, Tensor]
    which: Tensor
    boxes: Boxes
    fine: solids.Fine
    rooms: Rooms

    def number(self, name: str) -> Tensor:
        """Returns a number of each mouth as [n, 1, 1]."""
        return self.told[name][:, None, None]


class BatchedMouths:
    """The mouths of several portraits on one device."""

    def __init__(self, layers: Sequence[MouthLayer], device: torch.device) -> None:
        self._size = layers[0].stage.size
        looks = [layer.look() for layer in layers]

        def held(name: str) -> Tensor:
            return stacked([np.asarray(look[name]) for look in looks], device)

        self._triangles = held("triangles").long()
        self._fine = held("fine")
        across, down = np.max([look["fine"] for look in looks], axis=0).tolist()
        self._most_fine = (int(across), int(down))
        self._taps, self._edge_taps = held("taps"), held("edge_taps")
        self._behind = held("behind").float()
        self._tongue_behind = held("tongue_behind").float()
        self._darkness, self._shadow = held("darkness"), held("shadow").float()
        self._seam = held("seam").float()
        reaches = [(layer.seam_reach, layer.roll_reach) for layer in layers]
        self._reaches = torch.tensor(reaches, device=device, dtype=torch.float64)
        self._beyond = [
            int(np.ceil(ROLL_REACH * max(each))) + 1 for each in zip(*reaches, strict=True)
        ]
        self._soft = torch.tensor([layer.tongue_soft for layer in layers], device=device)
        self._most_soft = max(layer.tongue_soft for layer in layers) // 2
        self._most = MostOfMouths(
            fine=self._most_fine[0],
            vertices=max(layer.vertices for layer in layers),
            tongue_triangles=max(layer.tongue_triangles for layer in layers),
        )
        self._grain = held("grain")
        self._grain_sides = torch.tensor([look["grain"].shape for look in looks], device=device)
        names = ("lower_row", "upper_row", "still")
        self._pictures = [held(name) for name in names]
        sides = [[look[name].shape[:2] for name in names] for look in looks]
        self._picture_sides = torch.tensor(sides, device=device)

    def gathered(
        self, places: Sequence[MouthPlace | None], shape: MouthShape
    ) -> dict[str, NDArray[Any]]:
        """Returns of each frame's mouth what `draw` wants; none is in a box without any pixels."""
        return self._most.gathered(places, shape)

    def draw(
        self,
        pixels: Tensor,
        told: Mapping[str, Tensor],
        which: Tensor,
        shape: MouthShape,
        rooms: Rooms,
    ) -> None:
        """Lays each frame's mouth over `pixels` [n * s * s + 1, 3] uint8, the last is none.

        `told` is what was gathered for `shape`, `which` [n] whose mouth it is.
        """
        boxes = Boxes(told["corner"], told["limits"], shape.window, self._size)
        fine = solids.Fine(self._fine[which], self._most_fine)
        batch = _Batch(told, which, boxes, fine, rooms)
        if shape.has_seams:
            self._roll(pixels, batch, told["meeting"], self._seam[which], at=0)
        if shape.has_insides:
            self._lay_inside(pixels, batch)
        if shape.has_tongues:
            self._lay_tongue(pixels, batch)

    def _lay_inside(self, pixels: Tensor, batch: _Batch) -> None:
        told, layer, boxes = batch.told, batch.which, batch.boxes
        inside = self._drawn(
            batch, told["fine_limits"], self._triangles[layer], self._behind[layer]
        )
        inside *= self._grain_at(batch, told["grain"])
        for at in (LOWER_ROW, UPPER_ROW):
            self._lay_picture(inside, batch, at)
        inside *= self._let_in(batch, told["rows"])
        self._lay_picture(inside, batch, STILL)
        cover = _between(told["crossings"], boxes) * batch.number("is_open")
        sharp = (2 * cover).clamp(max=1)
        cover = blurred_cover(sharp, self._edge_taps[layer])
        cover += told["shares"][:, STILL, None, None] * (sharp - cover)
        self._roll(pixels, batch, told["rolled"], torch.zeros_like(self._seam[layer]), at=1)
        lay_over(pixels, inside, cover, boxes)

    def _lay_tongue(self, pixels: Tensor, batch: _Batch) -> None:
        """Lays tongues over lower lips, with their shadow there."""
        told, layer, boxes = batch.told, batch.which, batch.boxes
        triangles = told["tongue_triangles"].long()
        seen = solids.cover_triangles(told["points"], triangles, boxes, batch.fine, batch.rooms)
        y = boxes.rows().float()
        on_lip = (y - told["rows"][:, 1:] + 3.0).clamp(0, 1)
        seen *= _between(told["tongue_crossings"], boxes) * on_lip
        soft = self._soft[layer]
        shadow = box_means(seen, soft, boxes.limits, self._most_soft)
        drop = (soft // 2)[:, None, None]
        higher = torch.where(boxes.rows() >= drop, boxes.rows() - drop, boxes.rows())
        shadow = shadow.gather(1, higher.expand(shadow.shape))
        index, _ = boxes.pixels()
        darken(pixels, 1.0 - TONGUE_SHADOW[1] * shadow * shadow * on_lip, index)
        tongue = self._drawn(batch, told["tongue_limits"], triangles, self._tongue_behind[layer])
        tongue *= self._grain_at(batch, boxes.corner.double())
        lay_over(pixels, tongue, blurred_cover(seen, self._edge_taps[layer]), boxes)

    def _drawn(self, batch: _Batch, limits: Tensor, triangles: Tensor, behind: Tensor) -> Tensor:
        """Draws triangles over one colour, at the picture's sharpness, [n, h, w, 3]."""
        image = solids.draw_solid(
            batch.told["points"],
            batch.told["colours"],
            triangles,
            behind,
            limits,
            batch.boxes,
            batch.fine,
            batch.rooms,
        )
        return blurred(image, self._taps[batch.which], batch.boxes.limits)

    def _let_in(self, batch: _Batch, rows: Tensor) -> Tensor:
        """Returns how much light reaches what is behind the lips, [k, h, w, 3]."""
        y = batch.boxes.rows()
        under, above = self._shadow[batch.which][..., None, None].unbind(1)
        deep = (y - rows[:, :1]).clamp(min=0) / under
        low = (rows[:, 1:] - y).clamp(min=0) / batch.number("over")
        near = above / (1 + deep * deep) ** 2 + 0.25 / (1 + low * low) ** 2
        light = batch.told["light"][:, None]
        lit = (light * (1 - near))[..., None]
        least, dusk = self._darkness[batch.which][:, :, None, None].unbind(1)
        return least + (1 - least) * lit * (1 - dusk * (1 - lit))

    def _grain_at(self, batch: _Batch, corner: Tensor) -> Tensor:
        """Returns the grain's factors [k, h, w, 1], read from `corner` [k, 2] on and repeated."""
        first = corner.floor()
        right, down = (corner - first).float()[:, :, None, None].unbind(1)
        sides = self._grain_sides[batch.which][..., None, None]
        column, row = first.long()[..., None, None].unbind(1)
        rows, columns = batch.boxes.rows() + row, batch.boxes.columns() + column
        layer = batch.which[:, None, None]

        def tap(below: int, beside: int) -> Tensor:
            r = torch.remainder(rows + below, sides[:, 0])
            return self._grain[layer, r, torch.remainder(columns + beside, sides[:, 1])]

        above = tap(0, 0) + right * (tap(0, 1) - tap(0, 0))
        below = tap(1, 0) + right * (tap(1, 1) - tap(1, 0))
        return (above + down * (below - above))[..., None]

    def _lay_picture(self, inside: Tensor, batch: _Batch, at: int) -> None:
        """Lays the portraits' own layers number `at` over `inside` [k, h, w, 3]."""
        shares = batch.told["shares"][:, at, None, None]
        source = batch.told["sources"][:, at].double()[..., None, None]
        x, y = batch.boxes.columns(), batch.boxes.rows()
        u, v = (source[:, i, 0] * x + source[:, i, 1] * y + source[:, i, 2] for i in range(2))
        last = (self._picture_sides[batch.which, at] - 1)[..., None, None]
        within = (u >= 0) & (v >= 0) & (u < last[:, 1]) & (v < last[:, 0])
        u, v = torch.where(within, u, 0.0), torch.where(within, v, 0.0)
        seen = bilinear(self._pictures[at], batch.which[:, None, None], u, v)
        cover = seen[..., 3:] * (shares / 255 * within)[..., None]
        inside += cover * (seen[..., :3] - inside)

    def _roll(
        self, pixels: Tensor, batch: _Batch, strength: Tensor, dark: Tensor, *, at: int
    ) -> None:
        """Brings lips near to `dark` [k, 3] where they roll in, by `strength` [k, 2, w].

        `at` chooses between the reach of the seam and that of the roll.
        """
        reach = self._reaches[batch.which, at][:, None, None]
        deep, beyond = (ROLL_REACH * reach).ceil(), self._beyond[at]
        rows = batch.told["rows"].double()
        y = batch.boxes.rows(beyond)
        index, within = batch.boxes.pixels(beyond)
        for lip, outwards in ((0, -1.0), (1, 1.0)):
            edge, share = rows[:, lip, None], strength[:, lip, None]
            first = edge.floor() - (deep if lip == 0 else 0)
            is_near = (share >= LEAST_ROLL) & (y >= first) & (y <= first + deep)
            away = (outwards * (y - edge)).clamp(min=0) / reach
            share = (share * torch.exp(-away * away)).float()[..., None]
            before = pixels[index].float()
            value = before + share * (torch.minimum(dark[:, None, None], before) - before)
            put(pixels, index, value, (within & is_near)[..., None], before)


def _between(crossings: Tensor, boxes: Boxes) -> Tensor:
    """Returns the share of each pixel [k, h, w] between the rows `crossings` [k, 2, w, c]."""
    above, below = crossings[:, :, None].unbind(1)
    y = boxes.rows()[..., None]
    part = torch.minimum(below + 0.5, y + 1) - torch.maximum(above + 0.5, y)
    part = torch.where(below > above, part.clamp(min=0), 0.0).float()
    cover = part.sum(dim=3) * (1.0 / SUBCOLUMNS)
    return cover * (boxes.rows() < boxes.limits[:, :1, None])
