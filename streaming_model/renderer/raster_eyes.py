"""Compiled drawing of one eye in the portrait's own pixels: lids, lash line, iris and white.

Works on the small box around an eye at rest; the face's surface then carries the box as its
texture. Heights are measured across the eye's own axis (corner to corner), positive upwards.
"""

# The kernel is long because a call per pixel would cost more than the pixel.
# ruff: noqa: PLR0915, C901

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer.lanes import PIXELS, show_at
from streaming_model.renderer.raster import bounds_of

REST_UPPER, REST_LOWER, UPPER, LOWER, LASH = range(5)  # rows of `edges`
STILL = np.float32(1e-3)  # pixels: what moves less has not moved

Floats = NDArray[np.float32]
Index = int | np.uint64  # unsigned ones spare numba its check for negative ones


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _bilinear(
    image: Floats, row: Index, column: Index, channel: Index, across: np.float32, down: np.float32
) -> np.float32:
    """Samples one channel between a pixel and its neighbours to the right and below."""
    one = np.uint64(1)
    top = image[row, column, channel]
    top += across * (image[row, column + one, channel] - top)
    bottom = image[row + one, column, channel]
    bottom += across * (image[row + one, column + one, channel] - bottom)
    return np.float32(top + down * (bottom - top))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _height(edges: Floats, line: int, column: Index, part: np.float32) -> np.float32:
    """Returns a line of `edges` between two columns."""
    here = edges[line, column]
    return np.float32(here + part * (edges[line, column + 1] - here))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _within(value: np.float32, most: np.float32) -> np.float32:
    return min(max(value, np.float32(0)), most)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def place_lids(
    lines: Floats, rises: Floats, coefficients: Floats, blink: float, tall: float
) -> Floats:
    """Returns the `edges` [5, k] of `compose_eye`.

    `lines` [5, k]: the lids' rest, upper and lower, the highest place of the upper one, the share
    of the opening from below at which a blink lets them meet, and the strength of the lash line.
    `rises` [n, 2, k] is how far the `coefficients` [n] raise them, `tall` the opening's height.
    """
    count = lines.shape[1]
    edges = np.empty((5, count), np.float32)
    shut, half = np.float32(blink), np.float32(0.5)
    most = np.float32(0)
    for i in range(count):
        upper, lower = lines[0, i], lines[1, i]
        edges[0, i], edges[1, i] = upper, lower
        for n in range(len(coefficients)):
            upper += coefficients[n] * rises[n, 0, i]
            lower += coefficients[n] * rises[n, 1, i]
        upper = min(upper, lines[2, i])
        if upper < lower:  # both lids press: they meet half way
            upper = lower = half * (upper + lower)
        meet = lower + lines[3, i] * (upper - lower)
        upper += shut * (meet - upper)
        lower += shut * (meet - lower)
        edges[2, i], edges[3, i] = upper, lower
        most = max(most, upper - lower)
    closing = min(max(np.float32(1) - most / np.float32(tall), np.float32(0)), np.float32(1))
    strength = closing ** np.float32(0.75)
    for i in range(count):
        edges[4, i] = strength * lines[4, i]
    return edges


@njit(nogil=True, cache=True, error_model="numpy")
def place_eye(
    motion: Floats,
    acting: Floats,
    pixels: Floats,
    vertices: NDArray[np.int64],
    lines: Floats,
    rises: Floats,
    used: NDArray[np.int64],
    numbers: Floats,
    looks: NDArray[np.int64],
    ways: Floats,
    limits: Floats,
) -> tuple[bool, tuple[int, int, int, int], Floats, Floats, Floats]:
    """Returns whether anything of the eye has moved and is in the frame; its box, and the rest.

    The box is left, top, right and bottom of `vertices` of the face's `pixels` [V, 2]; the rest is
    `edges`, `place` and `gaze` of `compose_eye`. `lines` and `rises` are those of `place_lids`, of
    whose coefficients `used` act; `numbers` is what of `place` is always the same. `looks` [5]
    are where in `motion` blink, looks to the right, to the left, up and down are; `ways` [2, 2]
    the picture's directions to the right and up. `limits` [8]: the iris's way to the left and to
    the right, its way up, height of the opening, side of the frame, squeeze of closed lashes,
    travel after which the picture is left, and the glint's share of the iris's travel.
    """
    one, zero = np.float32(1), np.float32(0)
    left, top, right, bottom = bounds_of(pixels, vertices)
    size = int(limits[4])
    box = (
        max(int(np.floor(left)) - 2, 0),
        max(int(np.floor(top)) - 2, 0),
        min(int(np.ceil(right)) + 3, size),
        min(int(np.ceil(bottom)) + 3, size),
    )
    across, up = motion[looks[1]] - motion[looks[2]], motion[looks[3]] - motion[looks[4]]
    across *= limits[1] if across > zero else limits[0]
    up *= limits[2]
    shift_x, shift_y = across * ways[0, 0] + up * ways[1, 0], across * ways[0, 1] + up * ways[1, 1]
    turned = np.sqrt(shift_x * shift_x + shift_y * shift_y)
    blink = min(max(motion[looks[0]], zero), one)
    edges = place_lids(lines, rises, acting[used], blink, limits[3])
    travel, apart = zero, edges[UPPER, 0] - edges[LOWER, 0]
    for i in range(edges.shape[1]):
        upper, lower = edges[UPPER, i], edges[LOWER, i]
        off = max(abs(upper - edges[REST_UPPER, i]), abs(lower - edges[REST_LOWER, i]))
        travel, apart = max(travel, off), max(apart, upper - lower)
    closing = min(max(one - apart / limits[3], zero), one)
    place = numbers.copy()
    place[1] = one - (one - limits[5]) * closing
    place[8] = max(one - travel / limits[6], zero)
    place[9] = closing
    gaze = np.empty(4, np.float32)
    gaze[0], gaze[1] = shift_x, shift_y
    gaze[2], gaze[3] = min(turned / limits[6], one), limits[7]
    is_seen = box[2] > box[0] and box[3] > box[1] and max(travel, turned) >= STILL
    return is_seen, box, edges, place, gaze


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def compose_eye(
    out: NDArray[np.uint8],
    skin: Floats,
    plate: Floats,
    unfold: Floats,
    ratio: Floats,
    still: Floats,
    white: Floats,
    iris: Floats,
    glint: Floats,
    leftover: Floats,
    axes: Floats,
    edges: Floats,
    lash: Floats,
    place: Floats,
    gaze: Floats,
) -> None:
    """Writes the eye into `out` [h, w, 4], whose alpha stays.

    All [h, w, ...]: `skin` is the picture; `plate` the picture with lashes and eye replaced by
    lid skin, `unfold` what a closed lid adds to it, `ratio` what the lashes leave of its light;
    `still` and `white` the eyeball as it is, and without its iris; `iris` and `glint` RGBA, the
    glint is the light on the cornea; `leftover` what the picture has over this kernel's own result
    at rest.

    `axes` [6]: u = a0 x + a1 y + a2 along the eye, v = a3 x + a4 y + a5 upwards, in pixels.
    `edges` [5, k], by the constants above: heights of the lids at rest and now, and the lash
    line's strength, one column per pixel of u from minus the margin. `lash` [3] is its colour.
    `place` [11]: margin, squeeze of the lashes, reach of the lashes and of the lower lid's skin,
    the lash line's width above and below, depth and reach of the lid's shadow, share of the
    leftover, how far the eye is closed, reach of the lid's crease.
    `gaze` [4]: shift of the iris in x and y, share of the moved eye, that of the glint.
    """
    height, width = out.shape[0], out.shape[1]
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    last_x, last_y = np.float32(width) - np.float32(1.001), np.float32(height) - np.float32(1.001)
    last_u = np.float32(edges.shape[1]) - np.float32(1.001)
    margin, squeeze, lash_reach, lower_reach = place[0], place[1], place[2], place[3]
    thick_above, thick_below = one / place[4], one / place[5]
    shadow, shadow_reach, rest_share = place[6], one / place[7], place[8]
    closing = place[9]
    crease_reach = place[10] if closing > zero else zero
    shift_x, shift_y, moved, glint_share = gaze[0], gaze[1], gaze[2], gaze[3]
    sx = sy = ix = iy = gx = gy = np.uint64(0)
    sfx = sfy = lfx = lfy = ifx = ify = gfx = gfy = zero
    lx = ly = np.uint64(0)
    highest, lowest = edges[REST_LOWER, 0], edges[REST_LOWER, 0]
    for k in range(edges.shape[1]):
        highest = max(highest, edges[REST_UPPER, k], edges[UPPER, k])
        lowest = min(lowest, edges[REST_LOWER, k], edges[LOWER, k])
    highest += lash_reach + crease_reach
    lowest -= lower_reach
    fy = -one
    for y in range(np.uint64(height)):
        fy += one
        fx = -one
        for x in range(np.uint64(width)):
            fx += one
            v = axes[3] * fx + axes[4] * fy + axes[5]
            u = axes[0] * fx + axes[1] * fy + axes[2] + margin
            if v > highest or v < lowest or u <= zero or u >= last_u:
                continue
            whole = int(u)
            column = np.uint64(whole)
            part = u - np.float32(whole)
            rest_upper = _height(edges, REST_UPPER, column, part)
            rest_lower = _height(edges, REST_LOWER, column, part)
            upper = _height(edges, UPPER, column, part)
            lower = _height(edges, LOWER, column, part)
            if v > max(upper, rest_upper) + lash_reach + crease_reach:
                continue
            above = min(max(v - upper + half, zero), one)
            below = min(max(lower - v + half, zero), one - above)
            inside = one - above - below
            line = _height(edges, LASH, column, part)
            away = v - upper
            away = max(one - (away * thick_above if away > zero else -away * thick_below), zero)
            line *= away * (np.float32(2) - away)
            if inside <= zero and line <= zero:
                # Skin that nothing has moved stays as it is.
                if above > zero and rest_share >= one:
                    continue
                if below > zero and (lower - v > lower_reach or abs(lower - rest_lower) < 0.02):
                    continue
            kept = zero
            if above > zero:
                reached = max(v - upper, zero) / squeeze
                if reached < lash_reach:
                    far = min(reached / lash_reach * (one + closing), one)
                    kept = one - (one - rest_share) * far * far
                    # At the very edge the picture shows the eye through the blur.
                    rise = rest_upper + max(reached, np.float32(0.8) * (one - rest_share)) - v
                    at_x = _within(fx + axes[3] * rise, last_x)
                    at_y = _within(fy + axes[4] * rise, last_y)
                    wx, wy = int(at_x), int(at_y)
                    lx, ly = np.uint64(wx), np.uint64(wy)
                    lfx, lfy = at_x - np.float32(wx), at_y - np.float32(wy)
            if below > zero:
                left = max(one - max(lower - v, zero) / lower_reach, zero)
                rise = (rest_lower - lower) * left * left
                at_x = _within(fx + axes[3] * rise, last_x)
                at_y = _within(fy + axes[4] * rise, last_y)
                wx, wy = int(at_x), int(at_y)
                sx, sy = np.uint64(wx), np.uint64(wy)
                sfx, sfy = at_x - np.float32(wx), at_y - np.float32(wy)
            cover = shine = zero
            if inside > zero:
                depth = max(one - max(upper - v, zero) * shadow_reach, zero)
                before = max(one - max(rest_upper - v, zero) * shadow_reach, zero)
                inside *= (one - shadow * depth * depth) / (one - shadow * before * before)
                if moved > zero:
                    at_x = _within(fx - shift_x, last_x)
                    at_y = _within(fy - shift_y, last_y)
                    wx, wy = int(at_x), int(at_y)
                    ix, iy = np.uint64(wx), np.uint64(wy)
                    ifx, ify = at_x - np.float32(wx), at_y - np.float32(wy)
                    cover = _bilinear(iris, iy, ix, np.uint64(3), ifx, ify)
                    at_x = _within(fx - glint_share * shift_x, last_x)
                    at_y = _within(fy - glint_share * shift_y, last_y)
                    wx, wy = int(at_x), int(at_y)
                    gx, gy = np.uint64(wx), np.uint64(wy)
                    gfx, gfy = at_x - np.float32(wx), at_y - np.float32(wy)
                    shine = _bilinear(glint, gy, gx, np.uint64(3), gfx, gfy)
            for c in range(np.uint64(3)):
                total = zero
                if above > zero:
                    value = plate[y, x, c] + closing * unfold[y, x, c]
                    if kept > zero:
                        value *= one + kept * (_bilinear(ratio, ly, lx, c, lfx, lfy) - one)
                    total += above * value
                if below > zero:
                    total += below * _bilinear(skin, sy, sx, c, sfx, sfy)
                if inside > zero:
                    value = still[y, x, c]
                    if moved > zero:
                        turned = white[y, x, c]
                        if cover > zero:
                            turned += cover * (_bilinear(iris, iy, ix, c, ifx, ify) - turned)
                        if shine > zero:
                            turned += shine * (_bilinear(glint, gy, gx, c, gfx, gfy) - turned)
                        value += moved * (turned - value)
                    total += inside * value
                if line > zero:
                    total += line * (min(lash[c], total) - total)
                if rest_share > zero:
                    total += rest_share * leftover[y, x, c]
                out[y, x, c] = np.uint8(min(max(total + half, zero), np.float32(255)))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def lay_eye(
    out: NDArray[np.uint8],
    eye: NDArray[np.uint32],
    maps: Floats,
    box: tuple[int, int, int, int],
    corner: tuple[int, int],
) -> None:
    """Lays a packed `eye` [h, w] over the frame [s, s, 3] in `box`: left, top, right, bottom.

    `maps` [3, >= s, >= s] tell which place of the texture each pixel shows, and how bright;
    `corner` is where the eye begins in the texture, x and y. The eye's border must be empty.
    """
    left, top, right, bottom = box
    half, byte = np.float32(0.5), np.float32(255)
    shift = np.float32(corner[0]), np.float32(corner[1])
    line = np.empty(right - left + PIXELS, np.uint32)
    for row in range(np.uint64(top), np.uint64(bottom)):
        for at in range(0, right - left, PIXELS):
            first = np.uint64(left + at)
            show_at(line, np.uint64(at), eye, maps[0, row], maps[1, row], first, shift)
        for column in range(np.uint64(left), np.uint64(right)):
            seen = line[column - np.uint64(left)]
            cover = np.float32(np.int32(seen >> np.uint32(24))) / byte
            if cover <= 0:
                continue
            light = maps[2, row, column]
            for channel in range(np.uint64(3)):
                level = np.float32(np.int32((seen >> np.uint32(8 * channel)) & np.uint32(255)))
                before = np.float32(out[row, column, channel])
                value = min(level * light, byte)
                out[row, column, channel] = np.uint8(before + cover * (value - before) + half)
