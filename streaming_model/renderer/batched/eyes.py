"""The eyes of a batch of frames, as `EyeLayer` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streaming_model.renderer.batched.boxes import put
from streaming_model.renderer.batched.tensors import bilinear, filled_up, stacked
from streaming_model.renderer.eyes import EyeLayer, EyePlace
from streaming_model.renderer.raster_eyes import LASH, LOWER, REST_LOWER, REST_UPPER, UPPER

PICTURES: Final = (
    "skin",
    "plate",
    "unfold",
    "ratio",
    "still",
    "white",
    "iris",
    "glint",
    "leftover",
)
UNMOVED: Final = 0.02  # pixels of a lid's travel
# Of `EyePlace.numbers`.
MARGIN, SQUEEZE, LASH_REACH, LOWER_REACH, LASH_ABOVE, LASH_BELOW = range(6)
SHADOW, SHADOW_REACH, REST_SHARE, CLOSING, CREASE_REACH = range(6, 11)
ALMOST_ONE: Final = 1.001  # keeps the next pixel inside


class BatchedEyes:
    """One side's eyes of several portraits on one device."""

    def __init__(self, layers: Sequence[EyeLayer], device: torch.device) -> None:
        looks = [layer.look() for layer in layers]

        def held(name: str) -> Tensor:
            return stacked([look[name] for look in looks], device)

        self._base = held("base")
        self._axes, self._lash = held("axes"), held("lash")
        self._pictures = {name: held(name) for name in PICTURES}
        sides = [look["base"].shape[:2] for look in looks]
        self._sides = torch.tensor(sides, device=device)
        self._corner = torch.tensor([layer.corner for layer in layers], device=device)
        columns = [layer.columns for layer in layers]
        self._columns, self._counts = max(columns), torch.tensor(columns, device=device)

    def gathered(self, places: Sequence[EyePlace | None]) -> dict[str, NDArray[Any]]:
        """Returns of each frame's eye what `draw` wants; none is in a box without any pixels."""

        def rows(arrays: list[NDArray[np.float32]], *shape: int) -> NDArray[np.float32]:
            return filled_up(arrays, shape)

        none, ones = np.zeros(0, np.float32), np.ones(11, np.float32)
        return {
            "box": np.array([place.box if place else (0, 0, 0, 0) for place in places], np.int64),
            "edges": rows(
                [place.edges if place else none[None] for place in places], 5, self._columns
            ),
            # Some of them divide: there must be no NaN for an index to be made of.
            "numbers": rows([place.numbers if place else ones for place in places], 11),
            "gaze": rows([place.gaze if place else none for place in places], 4),
        }

    def draw(
        self,
        pixels: Tensor,
        maps: Tensor,
        told: Mapping[str, Tensor],
        which: Tensor,
        window: tuple[int, int],
    ) -> None:
        """Lays each frame's eye over `pixels` [n * s * s + 1, 3] uint8, the last of which is none.

        `maps` [3, n, s, s] are the place of the texture that each pixel shows, and its light,
        `told` what was gathered, `which` [n] whose eye it is. A `window` of rows and columns holds
        each of the boxes.
        """
        patch = self._composed(told, which)
        left, top, right, bottom = told["box"][:, :, None, None].unbind(1)
        size, count = maps.shape[2], len(which)
        y = top + torch.arange(window[0], device=pixels.device)[:, None]
        x = left + torch.arange(window[1], device=pixels.device)
        frame = torch.arange(count, device=pixels.device)[:, None, None]
        within = (y < bottom) & (x < right)
        index = torch.where(within, (frame * size + y) * size + x, count * size * size)
        place = index.clamp(max=count * size * size - 1)
        map_x, map_y, light = (plane.flatten()[place] for plane in maps)
        corner, last = self._corner[which, :, None, None], self._last(which)
        map_x, map_y = map_x - corner[:, 0], map_y - corner[:, 1]
        inside = (map_x >= 0) & (map_y >= 0) & (map_x <= last[:, 1]) & (map_y <= last[:, 0])
        map_x, map_y = torch.where(inside, map_x, 0.0), torch.where(inside, map_y, 0.0)
        seen = bilinear(patch, frame, map_x, map_y).round_()
        before = pixels[index].float()
        value = (seen[..., :3] * light[..., None]).clamp(max=255)
        value = before + seen[..., 3:] / 255 * (value - before)
        put(pixels, index, value, inside[..., None], before)

    def _last(self, layer: Tensor) -> Tensor:
        """Returns the last row and column [k, 2, 1, 1] that can be looked up between pixels."""
        return (self._sides[layer].float() - ALMOST_ONE)[:, :, None, None]

    def _composed(self, told: Mapping[str, Tensor], layer: Tensor) -> Tensor:
        """Returns the eyes [k, h, w, 4] in the pixels of the portraits at rest, whole levels."""
        base, edges = self._base[layer], told["edges"]
        device = base.device
        numbers, gaze = told["numbers"][..., None, None], told["gaze"][..., None, None]
        counts = self._counts[layer]
        axes = self._axes[layer][..., None, None]
        rows = torch.arange(base.shape[1], device=device, dtype=torch.float32)[:, None]
        columns = torch.arange(base.shape[2], device=device, dtype=torch.float32)
        u = axes[:, 0] * columns + axes[:, 1] * rows + axes[:, 2] + numbers[:, MARGIN]
        v = axes[:, 3] * columns + axes[:, 4] * rows + axes[:, 5]
        beside = (u <= 0) | (u >= counts[:, None, None] - ALMOST_ONE)
        lines = _between_columns(edges, torch.where(beside, 0.0, u))
        look = _Look(self._pictures, layer, self._last(layer), columns, rows)
        above = (v - lines[UPPER] + 0.5).clamp(0, 1)
        below = torch.minimum((lines[LOWER] - v + 0.5).clamp(min=0), 1 - above)
        inside = 1 - above - below
        line = _lash_line(lines, v, numbers)
        colour = above[..., None] * _upper_lid(look, lines, v, axes, numbers)
        colour += below[..., None] * _lower_lid(look, lines, v, axes, numbers)
        colour += inside[..., None] * _eyeball(look, lines, v, numbers, gaze)
        lash = self._lash[layer][:, None, None]
        colour += line[..., None] * (torch.minimum(lash, colour) - colour)
        rest_share = numbers[:, REST_SHARE]
        colour += rest_share[..., None] * look.still("leftover")
        is_still = (above > 0) & (rest_share >= 1) | (below > 0) & _is_unmoved(lines, v, numbers)
        is_still &= (inside <= 0) & (line <= 0)
        is_still |= beside | _is_beyond(lines, v, numbers)
        composed = (colour + 0.5).clamp(0, 255).floor()
        composed = torch.where(is_still[..., None], base[..., :3].float(), composed)
        return torch.cat([composed, base[..., 3:].float()], dim=3)


class _Look:
    """Looks up the eyes' pictures at their own pixels, or at other places."""

    def __init__(
        self, pictures: dict[str, Tensor], layer: Tensor, last: Tensor, x: Tensor, y: Tensor
    ) -> None:
        self._pictures, self._layer, self._last = pictures, layer, last
        self._x, self._y = x, y

    def still(self, name: str) -> Tensor:
        """Returns picture `name` [k, h, w, c]."""
        return self._pictures[name][self._layer]

    def moved(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Returns picture `name` [k, h, w, c] at places `x`, `y` [k, h, w] farther."""
        at_x = torch.minimum((self._x + x).clamp(min=0), self._last[:, 1])
        at_y = torch.minimum((self._y + y).clamp(min=0), self._last[:, 0])
        return bilinear(self._pictures[name], self._layer[:, None, None], at_x, at_y)


def _between_columns(edges: Tensor, u: Tensor) -> Tensor:
    """Returns the lines of `edges` [k, 5, c] at columns `u` [k, h, w], [5, k, h, w]."""
    column = u.long().clamp(max=edges.shape[2] - 2)
    part = u - column
    flat = column.flatten(1)[:, None].expand(-1, edges.shape[1], -1)
    start, end = edges.gather(2, flat), edges.gather(2, flat + 1)
    heights = start + part.flatten(1)[:, None] * (end - start)
    return heights.view(*edges.shape[:2], *u.shape[1:]).transpose(0, 1)


def _is_unmoved(lines: Tensor, v: Tensor, numbers: Tensor) -> Tensor:
    """Tells where skin below the eye stays as it is."""
    is_far = lines[LOWER] - v > numbers[:, LOWER_REACH]
    return is_far | ((lines[LOWER] - lines[REST_LOWER]).abs() < UNMOVED)


def _is_beyond(lines: Tensor, v: Tensor, numbers: Tensor) -> Tensor:
    """Tells what is too far above the eye to change."""
    crease = torch.where(numbers[:, CLOSING] > 0, numbers[:, CREASE_REACH], 0.0)
    highest = torch.maximum(lines[UPPER], lines[REST_UPPER]) + numbers[:, LASH_REACH] + crease
    return v > highest


def _upper_lid(look: _Look, lines: Tensor, v: Tensor, axes: Tensor, numbers: Tensor) -> Tensor:
    squeeze, reach = numbers[:, SQUEEZE], numbers[:, LASH_REACH]
    rest_share, closing = numbers[:, REST_SHARE], numbers[:, CLOSING]
    reached = (v - lines[UPPER]).clamp(min=0) / squeeze
    rise = lines[REST_UPPER] + torch.maximum(reached, 0.8 * (1 - rest_share)) - v
    ratio = look.moved("ratio", axes[:, 3] * rise, axes[:, 4] * rise)
    far = (reached / reach * (1 + closing)).clamp(max=1)
    kept = torch.where(reached < reach, 1 - (1 - rest_share) * far * far, 0.0)[..., None]
    plain = look.still("plate") + closing[..., None] * look.still("unfold")
    return plain * (1 + kept * (ratio - 1))


def _lower_lid(look: _Look, lines: Tensor, v: Tensor, axes: Tensor, numbers: Tensor) -> Tensor:
    distance = (lines[LOWER] - v).clamp(min=0)
    left = (1 - distance / numbers[:, LOWER_REACH]).clamp(min=0)
    rise = (lines[REST_LOWER] - lines[LOWER]) * left * left
    return look.moved("skin", axes[:, 3] * rise, axes[:, 4] * rise)


def _eyeball(look: _Look, lines: Tensor, v: Tensor, numbers: Tensor, gaze: Tensor) -> Tensor:
    """Returns the eyeball in the shadow of its lid."""
    now, before = (
        (1 - (lines[line] - v).clamp(min=0) / numbers[:, SHADOW_REACH]).clamp(min=0)
        for line in (UPPER, REST_UPPER)
    )
    shadow = numbers[:, SHADOW]
    shade = (1 - shadow * now * now) / (1 - shadow * before * before)
    x, y, moved, glint_share = gaze.unbind(1)
    iris = look.moved("iris", -x, -y)
    glint = look.moved("glint", -glint_share * x, -glint_share * y)
    value = look.still("white")
    for over in (iris, glint):
        value = value + over[..., 3:] * (over[..., :3] - value)
    still = look.still("still")
    return shade[..., None] * (still + moved[..., None] * (value - still))


def _lash_line(lines: Tensor, v: Tensor, numbers: Tensor) -> Tensor:
    distance = v - lines[UPPER]
    away = torch.where(
        distance > 0, distance / numbers[:, LASH_ABOVE], -distance / numbers[:, LASH_BELOW]
    )
    away = (1 - away).clamp(min=0)
    return lines[LASH].clamp(min=0) * away * (2 - away)
