"""Rasterize surfaces: z-buffer, shadow map, ambient occlusion, translucent shading.

Each surface is tessellated into a small grid and drawn as triangles, once as the camera sees it and once as the sun does.
Outlines are tested at every sample, so they are smooth however coarse the grid. Then every visible sample is shaded:

- direct light with a soft shadow (percentage-closer filtering, Reeves et al. 1987); light that passes through petals and
  leaves is tinted by them;
- light from the sky and the ground, darkened in corners (Alchemy ambient obscurance, McGuire et al. 2011) with the color
  bleeding of Jimenez et al. 2016, so that folds of a red petal turn deep red and not black;
- gloss (Blinn 1977) and a pale sheen at grazing angles.
"""

import math

import numba
import numpy as np

from tools.shading import NOISE, albedo, ambient_occlusion, sample_angle, shade, sunlight
from tools.surfaces import AX, BLOOM, BX, KIND, LOBES, TUBE, X, Y, Z
from tools.tessellation import (
    MOST_S,
    MOST_T,
    TABLE,
    first_t,
    grid_size,
    length3,
    outline_table,
    rounding_of,
    tessellate,
    vertex_normals,
    within_outline,
)

LAMP_VIEW = 1.7  # width of what the shadow map covers, in picture widths


@numba.njit
def _light_axes(light, axes):
    """Rows: two axes across the light, and the light's own direction."""
    n = math.sqrt(light[0] ** 2 + light[2] ** 2) + 1e-9
    axes[0, 0], axes[0, 1], axes[0, 2] = light[2] / n, 0.0, -light[0] / n
    for c in range(3):
        d, e = (c + 1) % 3, (c + 2) % 3
        axes[1, c] = light[d] * axes[0, e] - light[e] * axes[0, d]
        axes[2, c] = light[c]


@numba.njit
def _project(points, nt, ns, origin, axes, view, size, shown):
    """Vertices seen along axes[2] with `origin` in the middle: column and row in samples (`size` over `view`), nearness."""
    for i in range(nt + 1):
        for j in range(ns + 1):
            x, y, z = points[i, j, 0] - origin[0], points[i, j, 1] - origin[1], points[i, j, 2] - origin[2]
            for c in range(3):
                shown[i, j, c] = x * axes[c, 0] + y * axes[c, 1] + z * axes[c, 2]
            for c in range(2):
                shown[i, j, c] = (shown[i, j, c] / view + 0.5) * size


@numba.njit
def _triangle(row, number, table, rounding, corners, buffers):
    """Draw one triangle into z-buffers; corners (3, 8): column, row, nearness, t, s and the normal."""
    depth, which, where, facing = buffers
    size = depth.shape[0]
    x0, y0, x1, y1, x2, y2 = corners[0, 0], corners[0, 1], corners[1, 0], corners[1, 1], corners[2, 0], corners[2, 1]
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if abs(area) < 1e-9:
        return
    left, right = max(math.ceil(min(x0, x1, x2) - 0.5), 0), min(math.floor(max(x0, x1, x2) - 0.5), size - 1)
    top, bottom = max(math.ceil(min(y0, y1, y2) - 0.5), 0), min(math.floor(max(y0, y1, y2) - 0.5), size - 1)
    for v in range(top, bottom + 1):
        for u in range(left, right + 1):
            x, y = u + 0.5, v + 0.5
            w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
            w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
            w0 = 1 - w1 - w2
            if w0 < -1e-6 or w1 < -1e-6 or w2 < -1e-6:
                continue
            z = w0 * corners[0, 2] + w1 * corners[1, 2] + w2 * corners[2, 2]
            if z <= depth[v, u]:
                continue
            t = w0 * corners[0, 3] + w1 * corners[1, 3] + w2 * corners[2, 3]
            s = w0 * corners[0, 4] + w1 * corners[1, 4] + w2 * corners[2, 4]
            if not within_outline(row, table, t, s, rounding):
                continue
            depth[v, u], which[v, u] = z, number
            if len(where) > 0:
                where[v, u, 0], where[v, u, 1] = t, s
                for c in range(3):
                    facing[v, u, c] = w0 * corners[0, 5 + c] + w1 * corners[1, 5 + c] + w2 * corners[2, 5 + c]


@numba.njit
def _draw(row, number, nt, ns, table, shown, normals, buffers):
    """Draw one grid into z-buffers (the nearest wins): nearness, number of the row, t and s, normal.

    shown: (nt + 1, ns + 1, 3), projected vertices. The last two buffers may be empty.
    """
    corners, start, rounding = np.empty((3, 8), np.float32), first_t(row), rounding_of(row)
    for i in range(nt):
        for j in range(ns):
            for half in range(2):
                for k, (p, q) in enumerate(((i + half, j + half), (i + 1, j), (i, j + 1))):
                    corners[k, 3], corners[k, 4] = start + (1 - start) * p / nt, 2 * q / ns - 1
                    for c in range(3):
                        corners[k, c], corners[k, 5 + c] = shown[p, q, c], normals[p, q, c]
                _triangle(row, number, table, rounding, corners, buffers)


@numba.njit
def _draw_all(rows, tables, origin, sunward, seen, lit):
    """Draw all rows, as the camera sees them into the buffers `seen` and as the sun does into `lit`."""
    full = seen[0].shape[0]
    points, normals = np.empty((MOST_T, MOST_S, 3), np.float32), np.empty((MOST_T, MOST_S, 3), np.float32)
    shown, eye, middle = np.empty((MOST_T, MOST_S, 3), np.float32), np.eye(3), np.array([0.5, 0.5, 0.0])
    for k in range(len(rows)):
        row = rows[k]
        reach = length3(row, AX) + length3(row, BX)
        outside = max(-row[X], row[X] - 1, -row[Y], row[Y] - 1)
        if outside > 0.45 + reach or reach <= 0:
            continue
        nt, ns = grid_size(row, full)
        outline_table(row, tables[k])
        tessellate(row, nt, ns, tables[k], 0.45 / full, points)
        if outside < reach * (1 + row[LOBES]):
            vertex_normals(points, nt, ns, row[KIND], normals)
            _project(points, nt, ns, middle, eye, 1.0, full, shown)
            _draw(row, k, nt, ns, tables[k], shown, normals, seen)
        _project(points, nt, ns, origin, sunward, LAMP_VIEW, full, shown)
        _draw(row, k, nt, ns, tables[k], shown, normals, lit)


@numba.njit
def _shade_all(rows, tables, samples, origin, sunward, seen, lit, lights, softness, tile, out):
    """Shade all visible samples and add them to `out` (see `rasterize`)."""
    depth, which, where, facing = seen
    light, sun, sky, ground = lights
    full, share = depth.shape[0], 1.0 / (samples * samples)
    taps = min(3 * samples, 6)  # layers with one sample per pixel are out of focus
    color, shaded, sunlit = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    at, normal = np.empty(3, np.float32), np.empty(3, np.float32)
    for v in range(full):
        for u in range(full):
            k = which[v, u]
            if k < 0:
                continue
            row, norm = rows[k], math.sqrt((facing[v, u] ** 2).sum()) + 1e-12
            back = facing[v, u, 2] < 0
            normal[:] = facing[v, u] / (-norm if back else norm)
            back = back and row[KIND] != TUBE
            side = 0.003 if (normal * light).sum() > 0 else -0.003
            at[0], at[1], at[2] = (u + 0.5) / full, (v + 0.5) / full, depth[v, u]
            at += side * normal
            angle = sample_angle(v, u)
            sunlight(rows, at, origin, sunward, LAMP_VIEW, softness, angle, taps, lit[0], lit[1], sunlit)
            open_ = ambient_occlusion(depth, v, u, normal, angle, taps + 2)
            albedo(row, tables[k], where[v, u, 0], where[v, u, 1], back, tile, color)
            shade(row, color, normal, back, sunlit, open_, light, sun, sky, ground, shaded)
            pixel = out[v // samples, u // samples]
            for c in range(3):
                pixel[c] += shaded[c] * share
            pixel[3] += share
            pixel[4] += share * row[BLOOM]


@numba.njit
def _layer(rows, samples, lights, softness, tile, out):
    """Draw and shade one layer of one picture into `out`."""
    full = out.shape[0] * samples
    seen = (np.full((full, full), -1e9, np.float32), np.full((full, full), -1, np.int32),
            np.empty((full, full, 2), np.float32), np.empty((full, full, 3), np.float32))  # fmt: skip
    nothing = np.empty((0, 0, 0), np.float32)
    lit = (np.full((full, full), -1e9, np.float32), np.full((full, full), -1, np.int32), nothing, nothing)
    sunward = np.empty((3, 3))
    _light_axes(lights[0], sunward)
    origin = np.array([0.5, 0.5, rows[:, Z].mean()])
    tables = np.empty((len(rows), TABLE), np.float32)
    _draw_all(rows, tables, origin, sunward, seen, lit)
    _shade_all(rows, tables, samples, origin, sunward, seen, lit, lights, softness, tile, out)


@numba.njit(parallel=True)  # not cached: numba would miss changes in the files of the functions that it calls
def _layers(rows, starts, samples, light, sun, sky, ground, softness, tile, out):
    for picture in numba.prange(out.shape[0]):
        some = rows[starts[picture] : starts[picture + 1]]
        if len(some) > 0:
            lights = (light[picture], sun[picture], sky[picture], ground[picture])
            _layer(some, samples, lights, softness[picture], tile, out[picture])


def rasterize(pictures: list, size: int, samples: int, light: np.ndarray, sun: np.ndarray, sky: np.ndarray,
              ground: np.ndarray, softness: np.ndarray) -> np.ndarray:  # fmt: skip
    """One layer of each picture, float32 (n, size, size, 5): RGB times coverage, coverage, coverage by labeled blooms.

    pictures: one array of rows (see `tools.surfaces`) each; samples: per pixel and axis. light: (n, 3), direction to the sun;
    sun, sky, ground: (n, 3), linear RGB of the direct light and of the light from above and below; softness: (n,), radius
    over which shadows are blurred, in picture widths.
    """
    out = np.zeros((len(pictures), size, size, 5), np.float32)
    starts = np.cumsum([0] + [len(rows) for rows in pictures])
    _layers(np.concatenate(pictures), starts, samples, light, sun, sky, ground, softness, NOISE, out)
    return out
