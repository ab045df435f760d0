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

REST_UPPER, REST_LOWER, UPPER, LOWER, LASH = range(5)  # rows of `edges`

Floats = NDArray[np.float32]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _bilinear(image: NDArray[np.float32], x: np.float32, y: np.float32, channel: int) -> np.float32:
    column, row = int(x), int(y)
    fx, fy = x - np.float32(column), y - np.float32(row)
    top = image[row, column, channel]
    top += fx * (image[row, column + 1, channel] - top)
    bottom = image[row + 1, column, channel]
    bottom += fx * (image[row + 1, column + 1, channel] - bottom)
    return np.float32(top + fy * (bottom - top))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _height(edges: Floats, line: int, column: int, part: np.float32) -> np.float32:
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
    thick_above, thick_below = place[4], place[5]
    shadow, shadow_reach, rest_share = place[6], one / place[7], place[8]
    closing = place[9]
    shift_x, shift_y, moved, glint_share = gaze[0], gaze[1], gaze[2], gaze[3]
    colour = np.empty(3, np.float32)
    for y in range(height):
        for x in range(width):
            fx, fy = np.float32(x), np.float32(y)
            u = axes[0] * fx + axes[1] * fy + axes[2] + margin
            v = axes[3] * fx + axes[4] * fy + axes[5]
            if u <= zero or u >= last_u:
                continue
            column = int(u)
            part = u - np.float32(column)
            rest_upper = _height(edges, REST_UPPER, column, part)
            rest_lower = _height(edges, REST_LOWER, column, part)
            upper = _height(edges, UPPER, column, part)
            lower = _height(edges, LOWER, column, part)
            if (
                v < lower - lower_reach
                or v > max(upper, rest_upper) + np.float32(2) * lash_reach + place[10]
            ):
                continue
            above = min(max(v - upper + half, zero), one)
            below = min(max(lower - v + half, zero), one - above)
            inside = one - above - below
            colour[0] = colour[1] = colour[2] = zero
            if above > zero:
                distance = max(v - upper, zero)
                reached = distance / squeeze
                # At the very edge the picture shows the eye through the blur.
                rise = rest_upper + max(reached, np.float32(0.8) * (one - rest_share)) - v
                sx = _within(fx + axes[3] * rise, last_x)
                sy = _within(fy + axes[4] * rise, last_y)
                far = min(reached / lash_reach * (one + closing), one)
                kept = one - (one - rest_share) * far * far
                for channel in range(3):
                    value = plate[y, x, channel] + closing * unfold[y, x, channel]
                    if reached < lash_reach:
                        value *= one + kept * (_bilinear(ratio, sx, sy, channel) - one)
                    colour[channel] += above * value
            if below > zero:
                distance = max(lower - v, zero)
                left = max(one - distance / lower_reach, zero)
                rise = (rest_lower - lower) * left * left
                sx = _within(fx + axes[3] * rise, last_x)
                sy = _within(fy + axes[4] * rise, last_y)
                for channel in range(3):
                    colour[channel] += below * _bilinear(skin, sx, sy, channel)
            if inside > zero:
                depth = max(upper - v, zero) * shadow_reach
                rest_depth = max(rest_upper - v, zero) * shadow_reach
                shade = one
                if depth != rest_depth:
                    now = max(one - depth, zero)
                    before = max(one - rest_depth, zero)
                    shade = (one - shadow * now * now) / (one - shadow * before * before)
                if moved > zero:
                    sx = _within(fx - shift_x, last_x)
                    sy = _within(fy - shift_y, last_y)
                    gx = _within(fx - glint_share * shift_x, last_x)
                    gy = _within(fy - glint_share * shift_y, last_y)
                    cover = _bilinear(iris, sx, sy, 3)
                    shine = _bilinear(glint, gx, gy, 3)
                    for channel in range(3):
                        value = white[y, x, channel]
                        value += cover * (_bilinear(iris, sx, sy, channel) - value)
                        value += shine * (_bilinear(glint, gx, gy, channel) - value)
                        value = still[y, x, channel] + moved * (value - still[y, x, channel])
                        colour[channel] += inside * shade * value
                else:
                    for channel in range(3):
                        colour[channel] += inside * shade * still[y, x, channel]
            line = _height(edges, LASH, column, part)
            if line > zero:
                distance = v - upper
                away = distance / thick_above if distance > zero else -distance / thick_below
                away = max(one - away, zero)
                strength = line * away * (np.float32(2) - away)
                for channel in range(3):
                    colour[channel] += strength * (
                        min(lash[channel], colour[channel]) - colour[channel]
                    )
            for channel in range(3):
                value = colour[channel] + rest_share * leftover[y, x, channel]
                out[y, x, channel] = np.uint8(min(max(value + half, zero), np.float32(255)))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def lay_eye(
    out: NDArray[np.uint8], patch: NDArray[np.uint8], maps: Floats, left: float, top: float
) -> None:
    """Draws `patch` [h, w, 4] over a part of the frame `out` [n, m, 4], whose alpha stays.

    `maps` [3, n, m] are the place that each pixel shows, x and y, and its light; the patch begins
    at `left`, `top`.
    """
    last_x = np.float32(patch.shape[1]) - np.float32(1.001)
    last_y = np.float32(patch.shape[0]) - np.float32(1.001)
    half, byte = np.float32(0.5), np.float32(255)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            x = maps[0, row, column] - np.float32(left)
            y = maps[1, row, column] - np.float32(top)
            if x < 0 or y < 0 or x > last_x or y > last_y:
                continue
            i, j = int(x), int(y)
            fx, fy = x - np.float32(i), y - np.float32(j)
            w00 = (np.float32(1) - fx) * (np.float32(1) - fy)
            w10 = fx * (np.float32(1) - fy)
            w01 = (np.float32(1) - fx) * fy
            w11 = fx * fy
            cover = (
                w00 * patch[j, i, 3]
                + w10 * patch[j, i + 1, 3]
                + w01 * patch[j + 1, i, 3]
                + w11 * patch[j + 1, i + 1, 3]
            ) / byte
            if cover <= 0:
                continue
            gain = maps[2, row, column]
            for channel in range(3):
                value = (
                    w00 * patch[j, i, channel]
                    + w10 * patch[j, i + 1, channel]
                    + w01 * patch[j + 1, i, channel]
                    + w11 * patch[j + 1, i + 1, channel]
                ) * gain
                before = np.float32(out[row, column, channel])
                value = before + cover * (min(value, byte) - before)
                out[row, column, channel] = np.uint8(value + half)
