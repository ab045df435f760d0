"""Compiled drawing: textured triangles, shaded triangles with depth, polygon coverage.

Plain loops over arrays, compiled once and cached on disk; every kernel releases the GIL.
Pixel (x, y) has its centre at integer coordinates. Edges are cut at the same place for both
triangles that share them, so a mesh has neither gaps nor double pixels.
"""

# The kernels are long because a call per pixel would cost more than the pixel.
# ruff: noqa: PLR0915, C901

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

ONE = 65536  # fixed-point one, 16 fractional bits
OUTSIDE = -1e9


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _cut(xa: float, ya: float, xb: float, yb: float, y: float) -> float:
    """Returns where the edge a-b, a above b, crosses the row y."""
    return xa + (xb - xa) * ((y - ya) / (yb - ya))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def draw_textured(
    out: NDArray[np.uint8],
    texture: NDArray[np.uint8],
    points: NDArray[np.float32],
    sources: NDArray[np.float32],
    opacity: NDArray[np.float32],
    light: NDArray[np.float32],
    triangles: NDArray[np.int32],
) -> None:
    """Draws triangles [T, 3] of an RGBA `texture` [H, W, 4] over `out` [h, w, 3 or 4], in order.

    Four channels are premultiplied RGBA: the fourth gathers what is covered.
    `points` [V, 2] are pixels of `out`, `sources` [V, 2] pixels of `texture`, `opacity` and
    `light` [V] factors of coverage and brightness.
    Triangles that run clockwise on the screen (turned away) are not drawn.
    """
    height, width = out.shape[0], out.shape[1]
    has_matte = out.shape[2] == 4
    last_u = (texture.shape[1] - 1) * ONE - 1
    last_v = (texture.shape[0] - 1) * ONE - 1
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        xi, yi = points[i, 0], points[i, 1]
        xj, yj = points[j, 0], points[j, 1]
        xk, yk = points[k, 0], points[k, 1]
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if area >= -1e-6:
            continue
        # Sort by row: i is the top, k the bottom.
        if yj < yi:
            i, j = j, i
            xi, yi, xj, yj = xj, yj, xi, yi
        if yk < yi:
            i, k = k, i
            xi, yi, xk, yk = xk, yk, xi, yi
        if yk < yj:
            j, k = k, j
            xj, yj, xk, yk = xk, yk, xj, yj
        top = max(0, int(np.ceil(yi)))
        bottom = min(height - 1, int(np.ceil(yk)) - 1)
        if top > bottom:
            continue
        doubled = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if abs(doubled) < 1e-6:  # rounding differs with the order of the corners
            continue
        inverse = 1.0 / doubled
        ex1, ey1, ex2, ey2 = xj - xi, yj - yi, xk - xi, yk - yi
        u1, u2 = sources[j, 0] - sources[i, 0], sources[k, 0] - sources[i, 0]
        v1, v2 = sources[j, 1] - sources[i, 1], sources[k, 1] - sources[i, 1]
        a1, a2 = opacity[j] - opacity[i], opacity[k] - opacity[i]
        ux, uy = (u1 * ey2 - u2 * ey1) * inverse, (u2 * ex1 - u1 * ex2) * inverse
        vx, vy = (v1 * ey2 - v2 * ey1) * inverse, (v2 * ex1 - v1 * ex2) * inverse
        ax, ay = (a1 * ey2 - a2 * ey1) * inverse, (a2 * ex1 - a1 * ex2) * inverse
        g1, g2 = light[j] - light[i], light[k] - light[i]
        gx, gy = (g1 * ey2 - g2 * ey1) * inverse, (g2 * ex1 - g1 * ex2) * inverse
        is_lit = (
            abs(light[i] - 1.0) > 0.003
            or abs(light[j] - 1.0) > 0.003
            or abs(light[k] - 1.0) > 0.003
        )
        step_u, step_v = int(ux * ONE), int(vx * ONE)
        is_solid = opacity[i] > 0.999 and opacity[j] > 0.999 and opacity[k] > 0.999
        for y in range(top, bottom + 1):
            far = _cut(xi, yi, xk, yk, y)
            near = _cut(xi, yi, xj, yj, y) if y < yj else _cut(xj, yj, xk, yk, y)
            if near > far:
                near, far = far, near
            first = max(0, int(np.ceil(near)))
            last = min(width - 1, int(np.ceil(far)) - 1)
            if first > last:
                continue
            dx, dy = first - xi, y - yi
            u = int((sources[i, 0] + ux * dx + uy * dy) * ONE) + 128
            v = int((sources[i, 1] + vx * dx + vy * dy) * ONE) + 128
            for x in range(first, last + 1):
                cu = min(max(u, 0), last_u)
                cv = min(max(v, 0), last_v)
                column, row = cu >> 16, cv >> 16
                fu, fv = (cu >> 8) & 255, (cv >> 8) & 255
                w11 = fu * fv
                w10 = (fv << 8) - w11
                w01 = (fu << 8) - w11
                w00 = 65536 - (fu << 8) - (fv << 8) + w11
                p, q = texture[row], texture[row + 1]
                red = (
                    p[column, 0] * w00
                    + p[column + 1, 0] * w01
                    + q[column, 0] * w10
                    + q[column + 1, 0] * w11
                    + 32768
                ) >> 16
                green = (
                    p[column, 1] * w00
                    + p[column + 1, 1] * w01
                    + q[column, 1] * w10
                    + q[column + 1, 1] * w11
                    + 32768
                ) >> 16
                blue = (
                    p[column, 2] * w00
                    + p[column + 1, 2] * w01
                    + q[column, 2] * w10
                    + q[column + 1, 2] * w11
                    + 32768
                ) >> 16
                cover = (
                    p[column, 3] * w00
                    + p[column + 1, 3] * w01
                    + q[column, 3] * w10
                    + q[column + 1, 3] * w11
                    + 32768
                ) >> 16
                if is_lit:
                    gain = light[i] + gx * (x - xi) + gy * dy
                    red = min(int(red * gain + 0.5), 255)
                    green = min(int(green * gain + 0.5), 255)
                    blue = min(int(blue * gain + 0.5), 255)
                if not is_solid:
                    share = opacity[i] + ax * (x - xi) + ay * dy
                    cover = int(cover * min(max(share, 0.0), 1.0) + 0.5)
                if cover >= 255:
                    out[y, x, 0] = red
                    out[y, x, 1] = green
                    out[y, x, 2] = blue
                    if has_matte:
                        out[y, x, 3] = 255
                elif cover > 0:
                    rest = 255 - cover
                    out[y, x, 0] = (red * cover + out[y, x, 0] * rest + 127) // 255
                    out[y, x, 1] = (green * cover + out[y, x, 1] * rest + 127) // 255
                    out[y, x, 2] = (blue * cover + out[y, x, 2] * rest + 127) // 255
                    if has_matte:
                        out[y, x, 3] = cover + (out[y, x, 3] * rest + 127) // 255
                u += step_u
                v += step_v


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def draw_shaded(
    out: NDArray[np.float32],
    depth: NDArray[np.float32],
    points: NDArray[np.float32],
    colours: NDArray[np.float32],
    triangles: NDArray[np.int32],
) -> None:
    """Draws triangles with a colour per vertex [V, 3] into `out` [h, w, 3], nearest first.

    `points` [V, 3] are pixels and depth (larger is nearer); `depth` [h, w] is the buffer.
    """
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        xi, yi = points[i, 0], points[i, 1]
        xj, yj = points[j, 0], points[j, 1]
        xk, yk = points[k, 0], points[k, 1]
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if area >= -1e-6:
            continue
        top = max(0, int(np.ceil(min(yi, yj, yk))))
        bottom = min(height - 1, int(np.floor(max(yi, yj, yk))))
        left = max(0, int(np.ceil(min(xi, xj, xk))))
        right = min(width - 1, int(np.floor(max(xi, xj, xk))))
        inverse = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                b = ((x - xi) * (yk - yi) - (xk - xi) * (y - yi)) * inverse
                c = ((xj - xi) * (y - yi) - (x - xi) * (yj - yi)) * inverse
                a = 1.0 - b - c
                if a < 0.0 or b < 0.0 or c < 0.0:
                    continue
                z = a * points[i, 2] + b * points[j, 2] + c * points[k, 2]
                if z > depth[y, x]:
                    depth[y, x] = z
                    for channel in range(3):
                        out[y, x, channel] = (
                            a * colours[i, channel]
                            + b * colours[j, channel]
                            + c * colours[k, channel]
                        )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cover_opening(
    out: NDArray[np.float32],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    left: int,
    top: int,
) -> None:
    """Adds to `out` [h, w] the share of each pixel that lies between two chains.

    `upper` and `lower` [n, 2] run from left to right; `left`, `top` are the pixel of out[0, 0].
    Where the lower chain is above the upper one (lips pressed together) nothing is covered.
    Exact in x (box filter over eight columns per pixel), exact in y.
    """
    height, width = out.shape
    columns = 8
    share = 1.0 / columns
    for x in range(width):
        for sub in range(columns):
            at = left + x - 0.5 + (sub + 0.5) * share
            above = _chain_height(upper, at)
            below = _chain_height(lower, at)
            if above == OUTSIDE or below == OUTSIDE or below <= above:
                continue
            start, end = above - top + 0.5, below - top + 0.5
            first, last = max(0, int(np.floor(start))), min(height - 1, int(np.floor(end)))
            for y in range(first, last + 1):
                out[y, x] += share * (min(end, y + 1.0) - max(start, float(y)))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _chain_height(chain: NDArray[np.float32], x: float) -> float:
    """Returns the row at which a left-to-right chain crosses column x; OUTSIDE beside it."""
    for index in range(chain.shape[0] - 1):
        x0, x1 = chain[index, 0], chain[index + 1, 0]
        if x0 <= x < x1:
            slope = (chain[index + 1, 1] - chain[index, 1]) / (x1 - x0)
            return float(chain[index, 1] + slope * (x - x0))
    return OUTSIDE
