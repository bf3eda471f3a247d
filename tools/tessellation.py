"""Turn a surface into a grid of vertices with normals, and tell which points lie within its outline.

Numba functions: they work on one row (see `tools.surfaces`) and write into arrays that the caller provides.
"""

import math

import numba
import numpy as np

from tools.surfaces import (
    AX,
    BASE,
    BELL,
    BEND,
    BLADE,
    BX,
    CUP,
    CURL,
    FOLD,
    FRINGE,
    KIND,
    LOBES,
    NOTCH,
    PEAK,
    PHASE,
    RISE,
    RUFFLE,
    RUFFLES,
    SCALLOP,
    SWAY,
    TEETH,
    TIP,
    TUBE,
    TWIST,
    WAVE,
    WAVES,
    X,
)

MOST_T, MOST_S = 18, 34  # vertices of the largest grid
TABLE = 32  # entries of an outline's table


@numba.njit(inline="always")
def length3(row, first):
    """Length of the vector in three consecutive columns."""
    return math.sqrt(row[first] ** 2 + row[first + 1] ** 2 + row[first + 2] ** 2)


# ---- outline -------------------------------------------------------------------------------------------------------


@numba.njit
def outline_table(row, table):
    """Half-width of the outline, 1 at the widest place, at t = 0 .. 1 in equal steps."""
    for i in range(TABLE):
        t = i / (TABLE - 1)
        if t < row[PEAK]:
            table[i] = row[BASE] + (1 - row[BASE]) * math.sin(0.5 * math.pi * t / row[PEAK])
        else:
            u = min((t - row[PEAK]) / max(1 - row[PEAK], 1e-3), 1.0)
            table[i] = (1 - u ** (1.3 + 0.9 * row[TIP])) ** max(1.2 - 0.7 * row[TIP], 0.08)


@numba.njit(inline="always")
def half_width(table, t):
    at = min(max(t, 0.0), 1.0) * (TABLE - 1)
    i = min(int(at), TABLE - 2)
    return table[i] + (table[i + 1] - table[i]) * (at - i)


@numba.njit(inline="always")
def _toward_tip(row, t, s, rounding):
    """t measured to the margin: 1 on the margin of the tip, with notch, teeth and heart-shaped base taken into account."""
    if row[LOBES] > 0:
        t += row[LOBES] * math.sin(math.pi * min(abs(s), 1.0)) * (1 - t)
    end = t + rounding * s * s
    if row[NOTCH] > 0:
        end += row[NOTCH] * math.exp(-((s / 0.3) ** 2)) * t
    if row[FRINGE] > 0:
        tooth = abs(math.sin(s * row[TEETH] * 0.5 * math.pi + row[PHASE] * (row[KIND] == BLADE)))
        end += row[FRINGE] * (1 - tooth if row[SCALLOP] > 0 else tooth) * t
    return end


@numba.njit(inline="always")
def rounding_of(row):
    """How much a broad tip is an arc around the base in place of a straight cut."""
    if row[KIND] != BLADE or row[TIP] <= 1.2:
        return 0.0
    return min(0.5 * (length3(row, BX) / length3(row, AX)) ** 2, 0.35)


@numba.njit(inline="always")
def within_outline(row, table, t, s, rounding):
    """Whether the point belongs to its surface."""
    if row[KIND] == TUBE:
        return True
    end = _toward_tip(row, t, s, rounding)
    if row[KIND] == BELL or not 0 <= end <= 1:
        return end <= 1 and row[KIND] == BELL
    w = half_width(table, end)
    if row[WAVE] > 0:  # lobes of the sides
        lobe = abs((t * row[WAVES] + 0.3 * row[PHASE]) % 1.0 - 0.35) / 0.65
        w *= 1 - row[WAVE] * lobe * (1 - 0.5 * t)
    return abs(s) <= w


# ---- grid ----------------------------------------------------------------------------------------------------------


@numba.njit(inline="always")
def grid_size(row, size):
    """Steps of the grid along and across, from the size of the surface in samples."""
    along, across = length3(row, AX) * size, length3(row, BX) * size
    turn = abs(row[BEND]) + abs(row[CURL]) + abs(row[SWAY]) + abs(row[TWIST])
    if row[KIND] == BELL:
        nt = 2 + int(along / 12) + int(turn * min(2.5, along / 12))
        around = 8 + 2 * int((along + across) / 5 + row[RUFFLE] * row[RUFFLES] * 4)
        return min(nt, MOST_T - 1), min(around, MOST_S - 2)
    nt = 1 + int(along / 14) + int(turn * min(4.0, 0.6 + along / 16))
    if row[KIND] == TUBE:
        return min(max(nt, 2 if across < 2 else 4 if row[BASE] > 0 else 7), MOST_T - 1), min(4 + int(across), 12)
    if row[RUFFLE] > 0:
        nt = max(nt, int(min(row[RUFFLES] * 5, along / 5)))
    half = 1 + int(across / 14 + abs(row[CUP]) * min(across / 10, 2.0) + 2 * row[RUFFLE])
    return min(nt, MOST_T - 1), 2 * min(half, 6)


@numba.njit(inline="always")
def first_t(row):
    """t at the first vertices: below 0 where lobes reach behind the base."""
    return -1.4 * row[LOBES]


@numba.njit
def _own_axes(row, axes):
    """Unit vectors along, across and to the front of a surface, the rows of `axes` (3, 3)."""
    along, across = length3(row, AX), length3(row, BX)
    for c in range(3):
        axes[0, c], axes[1, c] = row[AX + c] / along, row[BX + c] / across
    for c in range(3):
        d, e = (c + 1) % 3, (c + 2) % 3
        axes[2, c] = axes[0, d] * axes[1, e] - axes[0, e] * axes[1, d]


@numba.njit
def _bent_axes(row, axes, t, bent):
    """The same at t of the bent and twisted midrib."""
    theta, psi, tau = row[BEND] * t + row[CURL] * abs(t) * t * t, row[SWAY] * t, row[TWIST] * t
    ct, st, cp, sp = math.cos(theta), math.sin(theta), math.cos(psi), math.sin(psi)
    cw, sw = math.cos(tau), math.sin(tau)
    for c in range(3):
        along = cp * axes[0, c] + sp * axes[1, c]
        across, front = cp * axes[1, c] - sp * axes[0, c], st * along + ct * axes[2, c]
        bent[0, c] = ct * along - st * axes[2, c]
        bent[1, c], bent[2, c] = cw * across + sw * front, cw * front - sw * across


@numba.njit(inline="always")
def _section(row, table, t, s, across, least):
    """Offsets across and to the front of the point at s of a cross-section."""
    if row[KIND] == TUBE:
        w = max(across * half_width(table, t), least * min(1.0, 8 * (1 - abs(2 * t - 1))))
        return w * math.cos(math.pi * s), w * math.sin(math.pi * s)
    u, v = across * s, row[FOLD] * across * abs(s)
    if abs(row[CUP]) > 0.02:
        u = across * math.sin(row[CUP] * s) / row[CUP]
        v += across * (1 - math.cos(row[CUP] * s)) / row[CUP]
    if row[RUFFLE] > 0:
        wave = math.sin(2 * math.pi * row[RUFFLES] * t + row[PHASE] + (2.1 if s > 0 else 0.0))
        v += row[RUFFLE] * across * wave * s * s * math.sqrt(max(t, 0.0))
    return u, v


@numba.njit
def _strip(row, nt, ns, table, least, points):
    """Vertices of a blade or a tube: cross-sections along the bent midrib."""
    axes, bent, at = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    _own_axes(row, axes)
    along, across, start = length3(row, AX), max(length3(row, BX), least), first_t(row)
    step = (1 - start) / nt
    for c in range(3):
        at[c] = row[X + c] + along * start * axes[0, c]
    for i in range(nt + 1):
        t = start + i * step
        if i > 0:
            _bent_axes(row, axes, t - 0.5 * step, bent)
            for c in range(3):
                at[c] += step * along * bent[0, c]
        _bent_axes(row, axes, t, bent)
        for j in range(ns + 1):
            u, v = _section(row, table, t, 2 * j / ns - 1, across, least)
            for c in range(3):
                points[i, j, c] = at[c] + u * bent[1, c] + v * bent[2, c]


@numba.njit
def _revolved(row, nt, ns, points):
    """Vertices of a bell: its meridian turned around the axis."""
    axes = np.empty((3, 3))
    _own_axes(row, axes)
    step, radius, height = length3(row, AX) / nt, length3(row, BX), 0.0
    for i in range(nt + 1):
        t = i / nt
        if i > 0:
            m = t - 0.5 / nt
            angle = row[RISE] - row[BEND] * m - row[CURL] * m * m * m
            radius, height = max(radius + math.cos(angle) * step, 0.0), height + math.sin(angle) * step
        for j in range(ns + 1):
            phi = math.pi * (2 * j / ns - 1)
            wave = radius * (1 + row[RUFFLE] * t * t * math.sin(row[RUFFLES] * phi + row[PHASE]))
            for c in range(3):
                around = math.cos(phi) * axes[1, c] + math.sin(phi) * axes[2, c]
                points[i, j, c] = row[X + c] + wave * around + height * axes[0, c]


@numba.njit
def tessellate(row, nt, ns, table, least, points):
    """Vertices of the grid, (nt + 1, ns + 1, 3); surfaces narrower than `least` are widened to it."""
    if row[KIND] == BELL:
        _revolved(row, nt, ns, points)
    else:
        _strip(row, nt, ns, table, least, points)


@numba.njit
def vertex_normals(points, nt, ns, kind, normals):
    """Unit normals of the grid from central differences, (nt + 1, ns + 1, 3); those of a tube point inwards."""
    for i in range(nt + 1):
        up, down = min(i + 1, nt), max(i - 1, 0)
        pole = kind == TUBE and i in (0, nt)
        for j in range(ns + 1):
            right, left = min(j + 1, ns), max(j - 1, 0)
            if kind != BLADE and j in (0, ns):
                right, left = 1, ns - 1
            t, s = normals[i, j], points[i, right] - points[i, left]
            for c in range(3):
                t[c] = points[up, j, c] - points[down, j, c]
                if pole:  # along the axis
                    t[c] = 0.5 * (points[up, 0, c] + points[up, ns // 2, c] - points[down, 0, c] - points[down, ns // 2, c])
            if not pole:
                x, y, z = t[1] * s[2] - t[2] * s[1], t[2] * s[0] - t[0] * s[2], t[0] * s[1] - t[1] * s[0]
                t[0], t[1], t[2] = x, y, z
            n = math.sqrt(t[0] ** 2 + t[1] ** 2 + t[2] ** 2) + 1e-12
            for c in range(3):
                t[c] *= (-1.0 if pole and i == nt else 1.0) / n
