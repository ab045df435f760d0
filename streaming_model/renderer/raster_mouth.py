"""Compiled drawing of the mouth: with depth, and laid between the lips.

Plain loops over arrays, compiled once and cached on disk; every kernel releases the GIL.
Pixel (x, y) has its centre at integer coordinates. Knows nothing of portraits.
"""

# The kernels are long because a call per pixel would cost more than the pixel.
# ruff: noqa: C901, PLR0915

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer.mouth_places import SUBCOLUMNS, cross_columns

FAR = np.float32(-1e30)
ROLL_REACH = 2.5  # how far lips darken, of the reach of the shade
SLACK = 1e-4  # of a triangle, so that rounding opens no cracks between neighbours


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def draw_solid(
    image: NDArray[np.float32],
    depth: NDArray[np.float32],
    points: NDArray[np.float32],
    colours: NDArray[np.float32],
    triangles: NDArray[np.int32],
    behind: NDArray[np.float32],
    limits: NDArray[np.int32],
) -> None:
    """Fills `image` [w, h, 3] with `behind` [3] and draws triangles over it, nearest first.

    `points` [V, 3] are pixels and depth (larger is nearer), `colours` [V, 3] mix over a
    triangle; `depth` [w, h] is the buffer. Columns come first in memory: of column x only the
    rows from limits[0, x] to limits[1, x] are wanted. Triangles turned away are not drawn.
    """
    width, height = depth.shape
    for x in range(width):
        for y in range(height):
            depth[x, y] = FAR
            image[x, y, 0] = behind[0]
            image[x, y, 1] = behind[1]
            image[x, y, 2] = behind[2]
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        # In double precision, so that every device draws the same pixels.
        xi, yi = np.float64(points[i, 0]), np.float64(points[i, 1])
        xj, yj = points[j, 0] - xi, points[j, 1] - yi
        xk, yk = points[k, 0] - xi, points[k, 1] - yi
        area = xj * yk - xk * yj
        if area >= -1e-6:
            continue
        top = max(0, int(np.ceil(yi + min(0, yj, yk))))
        bottom = min(height - 1, int(np.floor(yi + max(0, yj, yk))))
        left = max(0, int(np.ceil(xi + min(0, xj, xk))))
        right = min(width - 1, int(np.floor(xi + max(0, xj, xk))))
        if top > bottom or left > right:
            continue
        inverse = 1.0 / area
        bx, by = yk * inverse, -xk * inverse
        cx, cy = -yj * inverse, xj * inverse
        ax, ay = -bx - cx, -by - cy
        z = np.float64(points[i, 2])
        ri, gi, ui = colours[i, 0], colours[i, 1], colours[i, 2]
        zj, zk = points[j, 2] - z, points[k, 2] - z
        rj, gj, uj = colours[j, 0] - ri, colours[j, 1] - gi, colours[j, 2] - ui
        rk, gk, uk = colours[k, 0] - ri, colours[k, 1] - gi, colours[k, 2] - ui
        zy, ry, gy, uy = (
            by * zj + cy * zk,
            by * rj + cy * rk,
            by * gj + cy * gk,
            by * uj + cy * uk,
        )
        for x in range(left, right + 1):
            across = x - xi
            first, last = max(top, limits[0, x]), min(bottom, limits[1, x])
            b, c = bx * across, cx * across
            first, last = _span(first, last, b + SLACK, by, yi)
            first, last = _span(first, last, c + SLACK, cy, yi)
            first, last = _span(first, last, 1.0 + ax * across + SLACK, ay, yi)
            if first > last:
                continue
            down = first - yi
            b += by * down
            c += cy * down
            near = z + b * zj + c * zk
            red, green, blue = ri + b * rj + c * rk, gi + b * gj + c * gk, ui + b * uj + c * uk
            for y in range(first, last + 1):
                if near > depth[x, y]:
                    depth[x, y] = near
                    image[x, y, 0] = red
                    image[x, y, 1] = green
                    image[x, y, 2] = blue
                near += zy
                red += ry
                green += gy
                blue += uy


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _span(first: int, last: int, start: float, slope: float, origin: float) -> tuple[int, int]:
    """Narrows rows first..last to those where start + slope (row - origin) is not negative."""
    if slope > 1e-9:
        first = max(first, int(np.ceil(origin - start / slope)))
    elif slope < -1e-9:
        last = min(last, int(np.floor(origin - start / slope)))
    elif start < 0.0:
        last = first - 1
    return first, last


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cover_triangles(
    mask: NDArray[np.float32],
    points: NDArray[np.float32],
    triangles: NDArray[np.int32],
    across: int,
    down: int,
) -> None:
    """Adds to `mask` [h, w] the share of each pixel under triangles given in finer pixels.

    A pixel is `across` finer ones wide and `down` high.
    """
    height, width = mask.shape[0] * down, mask.shape[1] * across
    seen = np.zeros((height, width), np.uint8)
    share = np.float32(1.0 / (across * down))
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        xi, yi = np.float64(points[i, 0]), np.float64(points[i, 1])
        xj, yj = np.float64(points[j, 0]), np.float64(points[j, 1])
        xk, yk = np.float64(points[k, 0]), np.float64(points[k, 1])
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if area >= -1e-6:
            continue
        inverse = 1.0 / area
        top = max(0, int(np.ceil(min(yi, yj, yk))))
        bottom = min(height - 1, int(np.floor(max(yi, yj, yk))))
        left = max(0, int(np.ceil(min(xi, xj, xk))))
        right = min(width - 1, int(np.floor(max(xi, xj, xk))))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                b = ((x - xi) * (yk - yi) - (xk - xi) * (y - yi)) * inverse
                c = ((xj - xi) * (y - yi) - (x - xi) * (yj - yi)) * inverse
                if b >= 0.0 and c >= 0.0 and b + c <= 1.0 and seen[y, x] == 0:
                    seen[y, x] = 1
                    mask[y // down, x // across] += share


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cover_between(
    cover: NDArray[np.float32],
    rows: NDArray[np.float32],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    left: int,
    top: int,
) -> None:
    """Writes to `cover` [h, w] the share of each pixel that lies between two chains.

    `upper` and `lower` [n, 2] run from left to right; `left`, `top` are the pixel of
    cover[0, 0]. `rows` [2, w] receives where the chains cross each column, in rows of `cover`.
    Exact in y, box-filtered in x. Where the lower chain is above the upper one, or beside
    them, nothing is covered.
    """
    crossings = np.empty((2, cover.shape[1], SUBCOLUMNS), np.float64)
    cross_columns(crossings, upper, lower, left, top)
    rows[:] = crossings[:, :, SUBCOLUMNS // 2]
    cover_crossed(cover, crossings)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cover_crossed(cover: NDArray[np.float32], crossings: NDArray[np.float64]) -> None:
    """Writes to `cover` [h, w] the share of each pixel between the `crossings` of two chains."""
    height, width = cover.shape
    cover[:] = 0.0
    share = np.float32(1.0 / SUBCOLUMNS)
    for x in range(width):
        for sub in range(SUBCOLUMNS):
            above, below = crossings[0, x, sub], crossings[1, x, sub]
            if below <= above:
                continue
            start, end = above + 0.5, below + 0.5
            first, last = max(0, int(np.floor(start))), min(height - 1, int(np.floor(end)))
            for y in range(first, last + 1):
                cover[y, x] += share * (min(end, y + 1.0) - max(start, float(y)))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def reduce_and_blur(
    out: NDArray[np.float32], image: NDArray[np.float32], taps: NDArray[np.float32]
) -> None:
    """Writes to `out` [h, w, 3] the means of blocks of `image` [w, h, 3], blurred both ways.

    `taps` [r + 1] are the middle and one side of a symmetric filter; pixels nearer than r to
    the border see it repeated.
    """
    height, width = out.shape[0], out.shape[1]
    right, down = image.shape[0] // width, image.shape[1] // height
    reach = taps.shape[0] - 1
    share = np.float32(1.0 / (down * right))
    row = np.empty((width + 2 * reach) * 3, np.float32)
    across = np.zeros((height + 2 * reach, width * 3), np.float32)
    flat = out.reshape(height, width * 3)
    for y in range(height):
        for x in range(width):
            for channel in range(3):
                total = np.float32(0.0)
                for u in range(right):
                    for v in range(down):
                        total += image[x * right + u, y * down + v, channel]
                row[(x + reach) * 3 + channel] = total * share
        for x in range(reach):
            for channel in range(3):
                row[x * 3 + channel] = row[reach * 3 + channel]
                row[(width + reach + x) * 3 + channel] = row[(width + reach - 1) * 3 + channel]
        _tap_row(across[y + reach], row, taps)
    for y in range(reach):
        for i in range(width * 3):
            across[y, i] = across[reach, i]
            across[height + reach + y, i] = across[height + reach - 1, i]
    for y in range(height):
        line, weight = flat[y], taps[0]
        middle = across[y + reach]
        for i in range(width * 3):
            line[i] = weight * middle[i]
        for tap in range(1, reach + 1):
            weight = taps[tap]
            above, below = across[y + reach - tap], across[y + reach + tap]
            for i in range(width * 3):
                line[i] += weight * (above[i] + below[i])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _tap_row(out: NDArray[np.float32], row: NDArray[np.float32], taps: NDArray[np.float32]) -> None:
    reach, count = taps.shape[0] - 1, out.shape[0]
    weight = taps[0]
    for i in range(count):
        out[i] = weight * row[i + 3 * reach]
    for tap in range(1, reach + 1):
        weight = taps[tap]
        for i in range(count):
            out[i] += weight * (row[i + 3 * (reach - tap)] + row[i + 3 * (reach + tap)])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def blur_cover(cover: NDArray[np.float32], taps: NDArray[np.float32]) -> None:
    """Blurs `cover` [h, w] in place by `taps` [r + 1]; beyond the border nothing is covered."""
    height, width = cover.shape
    reach = taps.shape[0] - 1
    across = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            total = taps[0] * cover[y, x]
            for tap in range(1, reach + 1):
                if x >= tap:
                    total += taps[tap] * cover[y, x - tap]
                if x + tap < width:
                    total += taps[tap] * cover[y, x + tap]
            across[y, x] = total
    for y in range(height):
        for x in range(width):
            total = taps[0] * across[y, x]
            for tap in range(1, reach + 1):
                if y >= tap:
                    total += taps[tap] * across[y - tap, x]
                if y + tap < height:
                    total += taps[tap] * across[y + tap, x]
            cover[y, x] = total


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def shade(
    inside: NDArray[np.float32],
    rows: NDArray[np.float32],
    light: NDArray[np.float32],
    darkest: NDArray[np.float32],
    under: float,
    over: float,
    above: float,
) -> None:
    """Darkens `inside` [h, w, 3] behind the lips.

    `rows` [2, w] are the lips' rows, `light` [w] what comes in between them, `darkest` [2, 3]
    the factors without any and how much half light lacks of a colour. Shadow falls `under`
    pixels deep from the upper lip and `over` pixels from the lower one, and takes the share
    `above` of the light at the upper lip.
    """
    height, width = inside.shape[0], inside.shape[1]
    for y in range(height):
        for x in range(width):
            deep = max(y - rows[0, x], 0.0) / under
            low = max(rows[1, x] - y, 0.0) / over
            near = above / (1.0 + deep * deep) ** 2 + 0.25 / (1.0 + low * low) ** 2
            lit = light[x] * (1.0 - near)
            for channel in range(3):
                least = darkest[0, channel]
                hue = 1.0 - darkest[1, channel] * (1.0 - lit)
                inside[y, x, channel] *= least + (1.0 - least) * lit * hue


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def add_grain(
    inside: NDArray[np.float32], grain: NDArray[np.float32], left: float, top: float
) -> None:
    """Multiplies `inside` [h, w, 3] by `grain` [n, m], read from (left, top) on and repeated."""
    height, width = inside.shape[0], inside.shape[1]
    rows, columns = grain.shape
    x0, y0 = int(np.floor(left)), int(np.floor(top))
    fx, fy = np.float32(left - x0), np.float32(top - y0)
    for y in range(height):
        r0, r1 = (y + y0) % rows, (y + y0 + 1) % rows
        for x in range(width):
            c0, c1 = (x + x0) % columns, (x + x0 + 1) % columns
            first = grain[r0, c0] + fx * (grain[r0, c1] - grain[r0, c0])
            second = grain[r1, c0] + fx * (grain[r1, c1] - grain[r1, c0])
            factor = first + fy * (second - first)
            inside[y, x, 0] *= factor
            inside[y, x, 1] *= factor
            inside[y, x, 2] *= factor


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def lay_picture(
    inside: NDArray[np.float32],
    picture: NDArray[np.uint8],
    source: NDArray[np.float32],
    strength: float,
) -> None:
    """Lays an RGBA `picture` [n, m, 4] over `inside` [h, w, 3].

    `source` [2, 3] leads from a pixel of `inside` to one of `picture`.
    """
    height, width = inside.shape[0], inside.shape[1]
    last_row, last_column = picture.shape[0] - 1, picture.shape[1] - 1
    for y in range(height):
        for x in range(width):
            u = source[0, 0] * x + source[0, 1] * y + source[0, 2]
            v = source[1, 0] * x + source[1, 1] * y + source[1, 2]
            if u < 0.0 or v < 0.0 or u >= last_column or v >= last_row:
                continue
            column, row = int(u), int(v)
            fu, fv = u - column, v - row
            w11 = fu * fv
            w10, w01 = fv - w11, fu - w11
            w00 = 1.0 - fu - fv + w11
            p, q = picture[row], picture[row + 1]
            share = (
                strength
                / 255.0
                * (
                    p[column, 3] * w00
                    + p[column + 1, 3] * w01
                    + q[column, 3] * w10
                    + q[column + 1, 3] * w11
                )
            )
            if share <= 0.0:
                continue
            for channel in range(3):
                value = (
                    p[column, channel] * w00
                    + p[column + 1, channel] * w01
                    + q[column, channel] * w10
                    + q[column + 1, channel] * w11
                )
                inside[y, x, channel] += share * (value - inside[y, x, channel])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def roll_lips(
    out: NDArray[np.uint8],
    rows: NDArray[np.float32],
    left: int,
    top: int,
    reach: float,
    strength: NDArray[np.float32],
    dark: NDArray[np.float32],
) -> None:
    """Brings the lips of `out` where they roll in near to `dark` [3], `reach` pixels deep.

    `rows` [2, w] are the lips' rows below `top`; `strength` [2, w] of the shade at the edge.
    """
    deep = int(np.ceil(ROLL_REACH * reach))
    for x in range(rows.shape[1]):
        for lip in range(2):
            if strength[lip, x] < 0.01:
                continue
            edge = rows[lip, x]
            first = int(np.floor(edge)) - deep if lip == 0 else int(np.floor(edge))
            for y in range(first, first + deep + 1):
                row = top + y
                if row < 0 or row >= out.shape[0]:
                    continue
                away = max(edge - y if lip == 0 else y - edge, 0.0) / reach
                share = np.float32(strength[lip, x] * np.exp(-away * away))
                for channel in range(3):
                    value = np.float32(out[row, left + x, channel])
                    value += share * (min(dark[channel], value) - value)
                    out[row, left + x, channel] = np.uint8(value + np.float32(0.5))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def lay_over(
    out: NDArray[np.uint8],
    inside: NDArray[np.float32],
    cover: NDArray[np.float32],
    left: int,
    top: int,
) -> None:
    """Mixes `inside` [h, w, 3] into `out` at (left, top) by `cover` [h, w]."""
    for y in range(cover.shape[0]):
        for x in range(cover.shape[1]):
            share = min(cover[y, x], np.float32(1.0))
            if share <= 0.002:
                continue
            for channel in range(3):
                below = np.float32(out[top + y, left + x, channel])
                mixed = below + share * (inside[y, x, channel] - below)
                out[top + y, left + x, channel] = np.uint8(min(max(mixed + 0.5, 0.0), 255.0))
