"""The mouths of a batch of frames, as `MouthLayer` draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
)
from streaming_model.renderer.batched.tensors import bilinear, stacked
from streaming_model.renderer.mouth import (
    LOWER_ROW,
    STILL,
    TONGUE_SHADOW,
    UPPER_ROW,
    InsidePlace,
    MouthLayer,
    MouthPlace,
    TonguePlace,
)
from streaming_model.renderer.raster_mouth import ROLL_REACH, SUBCOLUMNS

LEAST_ROLL: Final = 0.01  # strength below which lips are left alone


class _Batch(NamedTuple):
    """Mouths that are drawn together.

    Attributes:
        frames: [k] which frame of the whole batch each is in.
        which: [k] whose mouth it is; layer: the same on the device.
        boxes: the parts of the frames that they cover.
        places, insides, tongues: [k] where what is drawn of them is.
    """

    frames: list[int]
    which: list[int]
    layer: Tensor
    boxes: Boxes
    places: list[MouthPlace]
    insides: list[InsidePlace]
    tongues: list[TonguePlace]

    def stacked(self, arrays: Iterable[NDArray[Any]]) -> Tensor:
        """Returns arrays of different sizes as one tensor."""
        return stacked(list(arrays), self.layer.device)

    def numbers(self, values: Iterable[float]) -> Tensor:
        """Returns numbers as [k, 1, 1] float32."""
        numbers = torch.tensor(list(values), dtype=torch.float32, device=self.layer.device)
        return numbers[:, None, None]


class BatchedMouths:
    """The mouths of several portraits on one device."""

    def __init__(self, layers: Sequence[MouthLayer], device: torch.device) -> None:
        self._device = device
        self._size = layers[0].stage.size
        looks = [layer.look() for layer in layers]

        def held(name: str) -> Tensor:
            return stacked([np.asarray(look[name]) for look in looks], device)

        self._triangles = held("triangles").long()
        self._fine = held("fine")
        self._taps, self._edge_taps = held("taps"), held("edge_taps")
        self._behind = held("behind").float()
        self._tongue_behind = held("tongue_behind").float()
        self._darkness, self._shadow = held("darkness"), held("shadow").float()
        self._seam = held("seam").float()
        self._reaches = [(layer.seam_reach, layer.roll_reach) for layer in layers]
        self._soft = torch.tensor([layer.tongue_soft for layer in layers], device=device)
        self._grain = held("grain")
        self._grain_sides = torch.tensor([look["grain"].shape for look in looks], device=device)
        names = ("lower_row", "upper_row", "still")
        self._pictures = [held(name) for name in names]
        sides = [[look[name].shape[:2] for name in names] for look in looks]
        self._picture_sides = torch.tensor(sides, device=device)

    def draw(self, out: Tensor, places: Sequence[MouthPlace | None], which: Sequence[int]) -> None:
        """Lays each frame's mouth over `out` [n, s, s, 3] uint8."""
        pixels = out.view(-1, 3)
        found = [(at, place) for at, place in enumerate(places) if place is not None]
        for chosen, lay in (
            ([each for each in found if each[1].meeting is not None], self._lay_seam),
            ([each for each in found if each[1].inside], self._lay_inside),
            (
                [each for each in found if each[1].inside and each[1].inside.tongue],
                self._lay_tongue,
            ),
        ):
            if chosen:
                lay(pixels, self._batch(chosen, which))

    def _batch(self, found: list[tuple[int, MouthPlace]], which: Sequence[int]) -> _Batch:
        frames, places = [at for at, _ in found], [place for _, place in found]
        layers = [which[at] for at in frames]
        insides = [place.inside for place in places if place.inside]
        return _Batch(
            frames=frames,
            which=layers,
            layer=torch.tensor(layers, device=self._device),
            boxes=Boxes([place.box for place in places], frames, self._size, self._device),
            places=places,
            insides=insides,
            tongues=[inside.tongue for inside in insides if inside.tongue],
        )

    def _lay_seam(self, pixels: Tensor, batch: _Batch) -> None:
        """Draws the line where the lips of an open mouth meet."""
        strength = batch.stacked(each.meeting for each in batch.places if each.meeting is not None)
        self._roll(pixels, batch, strength, self._seam[batch.layer], at=0)

    def _lay_inside(self, pixels: Tensor, batch: _Batch) -> None:
        layer, boxes = batch.layer, batch.boxes
        rows = batch.stacked(each.rows for each in batch.places)
        limits = batch.stacked(each.limits for each in batch.insides)
        inside = self._drawn(batch, limits, self._triangles[layer], self._behind[layer])
        inside *= self._grain_at(batch, batch.stacked(each.grain for each in batch.insides))
        for at in (LOWER_ROW, UPPER_ROW):
            self._lay_picture(inside, batch, at)
        inside *= self._let_in(batch, rows)
        self._lay_picture(inside, batch, STILL)
        cover = _between(batch.stacked(each.crossings for each in batch.places), boxes)
        sharp = (2 * cover).clamp(max=1)
        cover = blurred_cover(sharp, self._edge_taps[layer])
        cover += batch.numbers(each.shares[STILL] for each in batch.insides) * (sharp - cover)
        rolled = batch.stacked(each.rolled for each in batch.insides)
        self._roll(pixels, batch, rolled, torch.zeros_like(self._seam[layer]), at=1)
        lay_over(pixels, inside, cover, boxes)

    def _lay_tongue(self, pixels: Tensor, batch: _Batch) -> None:
        """Lays tongues over lower lips, with their shadow there."""
        layer, boxes = batch.layer, batch.boxes
        fine = self._fine[layer]
        triangles = batch.stacked(each.triangles for each in batch.tongues).long()
        points = batch.stacked(each.points for each in batch.insides)
        seen = solids.cover_triangles(points, triangles, boxes, fine)
        y = boxes.rows().float()
        lower = batch.stacked(each.rows for each in batch.places)[:, 1:]
        on_lip = (y - lower + 3.0).clamp(0, 1)
        seen *= _between(batch.stacked(each.crossings for each in batch.tongues), boxes) * on_lip
        soft = self._soft[layer]
        shadow = box_means(seen, soft, boxes.limits)
        drop = (soft // 2)[:, None, None]
        higher = torch.where(boxes.rows() >= drop, boxes.rows() - drop, boxes.rows())
        shadow = shadow.gather(1, higher.expand(shadow.shape))
        index, within = boxes.pixels()
        darken(pixels, 1.0 - TONGUE_SHADOW[1] * shadow * shadow * on_lip, within, index)
        limits = batch.stacked(each.limits for each in batch.tongues)
        tongue = self._drawn(batch, limits, triangles, self._tongue_behind[layer])
        tongue *= self._grain_at(batch, boxes.corner.double())
        lay_over(pixels, tongue, blurred_cover(seen, self._edge_taps[layer]), boxes)

    def _drawn(self, batch: _Batch, limits: Tensor, triangles: Tensor, behind: Tensor) -> Tensor:
        """Draws triangles over one colour, at the picture's sharpness, [k, h, w, 3]."""
        points = batch.stacked(each.points for each in batch.insides)
        colours = batch.stacked(each.colours for each in batch.insides)
        fine = self._fine[batch.layer]
        image = solids.draw_solid(points, colours, triangles, behind, limits, batch.boxes, fine)
        return blurred(image, self._taps[batch.layer], batch.boxes.limits)

    def _let_in(self, batch: _Batch, rows: Tensor) -> Tensor:
        """Returns how much light reaches what is behind the lips, [k, h, w, 3]."""
        y = batch.boxes.rows()
        under, above = self._shadow[batch.layer][..., None, None].unbind(1)
        deep = (y - rows[:, :1]).clamp(min=0) / under
        low = (rows[:, 1:] - y).clamp(min=0) / batch.numbers(each.over for each in batch.insides)
        near = above / (1 + deep * deep) ** 2 + 0.25 / (1 + low * low) ** 2
        light = batch.stacked(each.light for each in batch.insides)[:, None]
        lit = (light * (1 - near))[..., None]
        least, dusk = self._darkness[batch.layer][:, :, None, None].unbind(1)
        return least + (1 - least) * lit * (1 - dusk * (1 - lit))

    def _grain_at(self, batch: _Batch, corner: Tensor) -> Tensor:
        """Returns the grain's factors [k, h, w, 1], read from `corner` [k, 2] on and repeated."""
        first = corner.floor()
        right, down = (corner - first).float()[:, :, None, None].unbind(1)
        sides = self._grain_sides[batch.layer][..., None, None]
        column, row = first.long()[..., None, None].unbind(1)
        rows, columns = batch.boxes.rows() + row, batch.boxes.columns() + column
        layer = batch.layer[:, None, None]

        def tap(below: int, beside: int) -> Tensor:
            r = torch.remainder(rows + below, sides[:, 0])
            return self._grain[layer, r, torch.remainder(columns + beside, sides[:, 1])]

        above = tap(0, 0) + right * (tap(0, 1) - tap(0, 0))
        below = tap(1, 0) + right * (tap(1, 1) - tap(1, 0))
        return (above + down * (below - above))[..., None]

    def _lay_picture(self, inside: Tensor, batch: _Batch, at: int) -> None:
        """Lays the portraits' own layers number `at` over `inside` [k, h, w, 3]."""
        shares = batch.numbers(each.shares[at] for each in batch.insides)
        if not any(each.shares[at] > 0 for each in batch.insides):
            return
        source = batch.stacked(each.sources[at] for each in batch.insides).double()[..., None, None]
        x, y = batch.boxes.columns(), batch.boxes.rows()
        u, v = (source[:, i, 0] * x + source[:, i, 1] * y + source[:, i, 2] for i in range(2))
        last = (self._picture_sides[batch.layer, at] - 1)[..., None, None]
        within = (u >= 0) & (v >= 0) & (u < last[:, 1]) & (v < last[:, 0])
        u, v = torch.where(within, u, 0.0), torch.where(within, v, 0.0)
        seen = bilinear(self._pictures[at], batch.layer[:, None, None], u, v)
        cover = seen[..., 3:] * (shares / 255 * within)[..., None]
        inside += cover * (seen[..., :3] - inside)

    def _roll(
        self, pixels: Tensor, batch: _Batch, strength: Tensor, dark: Tensor, *, at: int
    ) -> None:
        """Brings lips near to `dark` [k, 3] where they roll in, by `strength` [k, 2, w].

        `at` chooses between the reach of the seam and that of the roll.
        """
        reach = torch.tensor([self._reaches[each][at] for each in batch.which], device=self._device)
        reach = reach.double()[:, None, None]
        deep = (ROLL_REACH * reach).ceil()
        beyond = int(deep.max()) + 1
        rows = batch.stacked(each.rows for each in batch.places).double()
        y = batch.boxes.rows(beyond)
        index, within = batch.boxes.pixels(beyond)
        for lip, outwards in ((0, -1.0), (1, 1.0)):
            edge, share = rows[:, lip, None], strength[:, lip, None]
            first = edge.floor() - (deep if lip == 0 else 0)
            is_near = (share >= LEAST_ROLL) & (y >= first) & (y <= first + deep)
            away = (outwards * (y - edge)).clamp(min=0) / reach
            share = (share * torch.exp(-away * away)).float()
            picked = (within & is_near).nonzero(as_tuple=True)
            place = index[picked]
            value = pixels[place].float()
            value += share[picked][:, None] * (torch.minimum(dark[picked[0]], value) - value)
            pixels[place] = (value + 0.5).to(torch.uint8)


def _between(crossings: Tensor, boxes: Boxes) -> Tensor:
    """Returns the share of each pixel [k, h, w] between the rows `crossings` [k, 2, w, c]."""
    above, below = crossings[:, :, None].unbind(1)
    y = boxes.rows()[..., None]
    part = torch.minimum(below + 0.5, y + 1) - torch.maximum(above + 0.5, y)
    part = torch.where(below > above, part.clamp(min=0), 0.0).float()
    cover = part.sum(dim=3) * (1.0 / SUBCOLUMNS)
    return cover * (boxes.rows() < boxes.limits[:, :1, None])
