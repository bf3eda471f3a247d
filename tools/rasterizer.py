"""Rasterize surfaces: z-buffer, shadow map, ambient occlusion, translucent shading, bokeh.

Each surface is tessellated into a small grid and drawn as triangles, once as the camera sees it and once as the light does.
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

from tools.surfaces import BELL, BLADE, INDEX, TUBE, noise_tile

NOISE = noise_tile()
MOST_T, MOST_S = 18, 34  # vertices of the largest grid
TABLE = 32  # entries of an outline's table

KIND, X, Y, Z, AX, AY, AZ, BX, BY, BZ = range(10)
BEND, CURL, SWAY, TWIST, CUP, RISE, FOLD, RUFFLE, RUFFLES, PHASE = range(10, 20)
PEAK, BASE, TIP, NOTCH, LOBES, FRINGE, TEETH, SCALLOP, WAVE, WAVES = range(20, 30)
RED, TIP_RED, BASE_RED, MARK_RED = 30, 33, 36, 39
TIP_REACH, BASE_REACH, RIM, STRIPE, VEINS, VEIN, RIBS, RIB, SPOTS, SPOT, BLOTCH, BLOTCH_AT, CHECKS = range(42, 55)
TEXTURE, STREAK, CREASE, THROUGH, GLOSS, GLOW, BLOOM = range(55, 62)
assert len(INDEX) == 62 and INDEX["bloom"] == BLOOM and INDEX["tip_reach"] == TIP_REACH


@numba.njit(inline="always")
def _ramp(low, high, x):
    x = min(max((x - low) / max(high - low, 1e-6), 0.0), 1.0)
    return x * x * (3 - 2 * x)


@numba.njit(inline="always")
def _noise(tile, u, v):
    n = tile.shape[0]
    fu, fv = math.floor(u), math.floor(v)
    i, j = int(fu) % n, int(fv) % n
    k, m = (i + 1) % n, (j + 1) % n
    u, v = u - fu, v - fv
    top = tile[i, j] * (1 - v) + tile[i, m] * v
    return top * (1 - u) + (tile[k, j] * (1 - v) + tile[k, m] * v) * u


# ---- geometry ------------------------------------------------------------------------------------------------------


@numba.njit
def _outline(row, table):
    """Half-width of the outline, 1 at the widest place, at t = 0 .. 1 in equal steps."""
    for i in range(TABLE):
        t = i / (TABLE - 1)
        if t < row[PEAK]:
            table[i] = row[BASE] + (1 - row[BASE]) * math.sin(0.5 * math.pi * t / row[PEAK])
        else:
            u = min((t - row[PEAK]) / max(1 - row[PEAK], 1e-3), 1.0)
            table[i] = (1 - u ** (1.3 + 0.9 * row[TIP])) ** max(1.2 - 0.7 * row[TIP], 0.08)


@numba.njit(inline="always")
def _width(table, t):
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
def _side(row, table, t, end):
    """Half-width at t, with the lobes of the margin."""
    w = _width(table, end)
    if row[WAVE] > 0:
        lobe = abs((t * row[WAVES] + 0.3 * row[PHASE]) % 1.0 - 0.35) / 0.65
        w *= 1 - row[WAVE] * lobe * (1 - 0.5 * t)
    return w


@numba.njit(inline="always")
def _detail(row, size):
    """Steps of the grid along and across, from the size of the surface in samples."""
    along = math.sqrt(row[AX] ** 2 + row[AY] ** 2 + row[AZ] ** 2) * size
    across = math.sqrt(row[BX] ** 2 + row[BY] ** 2 + row[BZ] ** 2) * size
    turn = abs(row[BEND]) + abs(row[CURL]) + abs(row[SWAY]) + abs(row[TWIST])
    if row[KIND] == BELL:
        wide = along + across
        nt = 2 + int(along / 12) + int(turn * min(2.5, along / 12))
        return min(nt, MOST_T - 1), min(8 + 2 * int(wide / 5 + row[RUFFLE] * row[RUFFLES] * 4), MOST_S - 2)
    nt = 1 + int(along / 14) + int(turn * min(4.0, 0.6 + along / 16))
    if row[KIND] == TUBE:
        return min(max(nt, 2 if across < 2 else 4 if row[BASE] > 0 else 7), MOST_T - 1), min(4 + int(across), 12)
    if row[RUFFLE] > 0:
        nt = max(nt, int(min(row[RUFFLES] * 5, along / 5)))
    half = 1 + int(across / 14 + row[CUP] * min(across / 10, 2.0) + 2 * row[RUFFLE])
    return min(nt, MOST_T - 1), 2 * min(half, 6)


@numba.njit
def _tessellate(row, nt, ns, table, least, points):
    """Vertices of the grid, (nt + 1, ns + 1, 3); surfaces narrower than `least` are widened to it."""
    along = math.sqrt(row[AX] ** 2 + row[AY] ** 2 + row[AZ] ** 2)
    across = math.sqrt(row[BX] ** 2 + row[BY] ** 2 + row[BZ] ** 2)
    ax, ay, az = row[AX] / along, row[AY] / along, row[AZ] / along
    bx, by, bz = row[BX] / across, row[BY] / across, row[BZ] / across
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    across = max(across, least)
    start = -1.4 * row[LOBES]
    step = (1 - start) / nt
    px, py, pz = row[X] + along * start * ax, row[Y] + along * start * ay, row[Z] + along * start * az
    radius, height = across, 0.0
    for i in range(nt + 1):
        t = start + i * step
        if row[KIND] == BELL:
            if i > 0:
                m = t - 0.5 * step
                angle = row[RISE] - row[BEND] * m - row[CURL] * m * m * m
                radius = max(radius + math.cos(angle) * step * along, 0.0)
                height += math.sin(angle) * step * along
            for j in range(ns + 1):
                phi = math.pi * (2 * j / ns - 1)
                wave = 1 + row[RUFFLE] * t * t * math.sin(row[RUFFLES] * phi + row[PHASE])
                cb, cn = radius * wave * math.cos(phi), radius * wave * math.sin(phi)
                points[i, j, 0] = row[X] + cb * bx + cn * nx + height * ax
                points[i, j, 1] = row[Y] + cb * by + cn * ny + height * ay
                points[i, j, 2] = row[Z] + cb * bz + cn * nz + height * az
            continue
        if i > 0:
            m = t - 0.5 * step
            theta, psi = row[BEND] * m + row[CURL] * m * abs(m) * m, row[SWAY] * m
            ct, st, cp, sp = math.cos(theta), math.sin(theta), math.cos(psi), math.sin(psi)
            px += step * along * (ct * (cp * ax + sp * bx) - st * nx)
            py += step * along * (ct * (cp * ay + sp * by) - st * ny)
            pz += step * along * (ct * (cp * az + sp * bz) - st * nz)
        theta, psi, tau = row[BEND] * t + row[CURL] * t * abs(t) * t, row[SWAY] * t, row[TWIST] * t
        ct, st, cp, sp = math.cos(theta), math.sin(theta), math.cos(psi), math.sin(psi)
        ux, uy, uz = cp * bx - sp * ax, cp * by - sp * ay, cp * bz - sp * az
        vx = st * (cp * ax + sp * bx) + ct * nx
        vy = st * (cp * ay + sp * by) + ct * ny
        vz = st * (cp * az + sp * bz) + ct * nz
        if tau != 0:
            c, d = math.cos(tau), math.sin(tau)
            ux, uy, uz, vx, vy, vz = (
                c * ux + d * vx, c * uy + d * vy, c * uz + d * vz, c * vx - d * ux, c * vy - d * uy, c * vz - d * uz
            )  # fmt: skip
        for j in range(ns + 1):
            s = 2 * j / ns - 1
            if row[KIND] == TUBE:
                w = max(across * _width(table, t), least * min(1.0, 8 * (1 - abs(2 * t - 1))))
                cu, cv = w * math.cos(math.pi * s), w * math.sin(math.pi * s)
            else:
                if abs(row[CUP]) > 0.02:
                    cu = across * math.sin(row[CUP] * s) / row[CUP]
                    cv = across * (1 - math.cos(row[CUP] * s)) / row[CUP]
                else:
                    cu, cv = across * s, 0.0
                cv += row[FOLD] * across * abs(s)
                if row[RUFFLE] > 0:
                    wave = math.sin(2 * math.pi * row[RUFFLES] * t + row[PHASE] + (2.1 if s > 0 else 0.0))
                    cv += row[RUFFLE] * across * wave * s * s * math.sqrt(max(t, 0.0))
            points[i, j, 0] = px + cu * ux + cv * vx
            points[i, j, 1] = py + cu * uy + cv * vy
            points[i, j, 2] = pz + cu * uz + cv * vz


@numba.njit
def _vertex_normals(points, nt, ns, kind, normals):
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


# ---- drawing -------------------------------------------------------------------------------------------------------


@numba.njit(inline="always")
def _visible(row, table, t, s, rounding):
    """Whether the point lies within the outline of its surface."""
    if row[KIND] == TUBE:
        return True
    end = _toward_tip(row, t, s, rounding)
    if row[KIND] == BELL:
        return end <= 1
    return 0 <= end <= 1 and abs(s) <= _side(row, table, t, end)


@numba.njit
def _draw(row, number, nt, ns, table, shown, normals, depth, which, where, facing):
    """Draw one grid into a z-buffer: depth (the nearest wins), the number of its row, t and s, and the normal.

    shown: (nt + 1, ns + 1, 3), projected vertices: column, row, nearness. `where` and `facing` may be empty.
    """
    size = depth.shape[0]
    b2 = row[BX] ** 2 + row[BY] ** 2 + row[BZ] ** 2
    a2 = row[AX] ** 2 + row[AY] ** 2 + row[AZ] ** 2
    rounding = min(0.5 * b2 / a2, 0.35) if row[KIND] == BLADE and row[TIP] > 1.2 else 0.0  # an arc around the base
    start = -1.4 * row[LOBES]
    for i in range(nt):
        for j in range(ns):
            for half in range(2):
                i0, j0 = (i, j) if half == 0 else (i + 1, j + 1)
                i1, j1 = i + 1, j
                i2, j2 = i, j + 1
                x0, y0, z0 = shown[i0, j0, 0], shown[i0, j0, 1], shown[i0, j0, 2]
                x1, y1, z1 = shown[i1, j1, 0], shown[i1, j1, 1], shown[i1, j1, 2]
                x2, y2, z2 = shown[i2, j2, 0], shown[i2, j2, 1], shown[i2, j2, 2]
                area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
                if abs(area) < 1e-9:
                    continue
                left = max(int(math.ceil(min(x0, x1, x2) - 0.5)), 0)
                right = min(int(math.floor(max(x0, x1, x2) - 0.5)), size - 1)
                top = max(int(math.ceil(min(y0, y1, y2) - 0.5)), 0)
                bottom = min(int(math.floor(max(y0, y1, y2) - 0.5)), size - 1)
                t0, s0 = start + (1 - start) * i0 / nt, 2 * j0 / ns - 1
                t1, s1 = start + (1 - start) * i1 / nt, 2 * j1 / ns - 1
                t2, s2 = start + (1 - start) * i2 / nt, 2 * j2 / ns - 1
                for v in range(top, bottom + 1):
                    for u in range(left, right + 1):
                        x, y = u + 0.5, v + 0.5
                        w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
                        w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
                        w0 = 1 - w1 - w2
                        if w0 < -1e-6 or w1 < -1e-6 or w2 < -1e-6:
                            continue
                        z = w0 * z0 + w1 * z1 + w2 * z2
                        if z <= depth[v, u]:
                            continue
                        t, s = w0 * t0 + w1 * t1 + w2 * t2, w0 * s0 + w1 * s1 + w2 * s2
                        if not _visible(row, table, t, s, rounding):
                            continue
                        depth[v, u], which[v, u] = z, number
                        if len(where) > 0:
                            where[v, u, 0], where[v, u, 1] = t, s
                            for c in range(3):
                                n12 = w1 * normals[i1, j1, c] + w2 * normals[i2, j2, c]
                                facing[v, u, c] = w0 * normals[i0, j0, c] + n12


@numba.njit
def _project(points, nt, ns, origin, axes, scale, shown):
    """Vertices seen along axes[2]: column, row (both in samples, the origin at the middle) and nearness."""
    for i in range(nt + 1):
        for j in range(ns + 1):
            x, y, z = points[i, j, 0] - origin[0], points[i, j, 1] - origin[1], points[i, j, 2] - origin[2]
            for c in range(3):
                shown[i, j, c] = x * axes[c, 0] + y * axes[c, 1] + z * axes[c, 2]
            shown[i, j, 0] = (shown[i, j, 0] + 0.5 / scale[0]) * scale[1]
            shown[i, j, 1] = (shown[i, j, 1] + 0.5 / scale[0]) * scale[1]


# ---- shading -------------------------------------------------------------------------------------------------------


@numba.njit(inline="always")
def _mark(row, t, across, s, end, tile):
    """How much of the marking color shows (0..1) at t along the midrib, `across` in [-1, 1] of the local width."""
    mark = 0.0
    if row[STRIPE] > 0:
        mark += row[STRIPE] * math.exp(-((across / 0.22) ** 2)) * (1 - _ramp(0.5, 0.95, t))
    if row[VEIN] > 0:
        wobble = _noise(tile, t * 40 + row[PHASE] * 50, s * 9)
        line = abs(math.sin((across * row[VEINS] + wobble) * 0.5 * math.pi))
        mark += row[VEIN] * (1 - line) ** 3 * (1 - 0.7 * t)
    if row[RIB] > 0:
        line = abs((t * row[RIBS] - 0.55 * abs(s) * row[RIBS] * 0.4) % 1.0 - 0.5) * 2
        mark += row[RIB] * max(_ramp(0.72, 1.0, line) * (1 - abs(across)) ** 0.5, math.exp(-((s / 0.06) ** 2)))
    if row[SPOT] > 0:
        grain = _noise(tile, t * row[SPOTS] * 12 + row[PHASE] * 91, s * row[SPOTS] * 5)
        mark += row[SPOT] * _ramp(0.6, 0.66, grain) * (1 - _ramp(0.65, 1.0, end))
    if row[CHECKS] > 0 and (math.floor(t * row[CHECKS]) + math.floor((s + 1) * 0.8 * row[CHECKS])) % 2 == 1:
        mark += 0.75
    if row[BLOTCH] > 0:
        mark += row[BLOTCH] * math.exp(-(((t - row[BLOTCH_AT]) / 0.16) ** 2) - (across / 0.9) ** 2)
    return min(max(mark, 0.0), 1.0)


@numba.njit
def _albedo(row, table, t, s, back, tile, color):
    """Color of the surface at t, s (linear RGB): gradients, markings and grain."""
    t = min(max(t, 0.0), 1.0)
    if row[KIND] == BLADE:
        across = min(max(s / max(_width(table, t), 0.05), -1.0), 1.0)
    else:  # each lobe of a bell has a midrib
        across = 2 * ((0.5 * s * row[TEETH] + 0.5 * (row[SCALLOP] == 0)) % 1.0) - 1
    end = t + row[RIM] * (max(t, abs(across)) - t)
    at_tip = _ramp(1 - row[TIP_REACH], 1.0, end) if row[TIP_REACH] > 0 else 0.0
    at_base = 1 - _ramp(0.0, row[BASE_REACH], t) if row[BASE_REACH] > 0 else 0.0
    mark = _mark(row, t, across, s, end, tile)
    if back:  # markings are those of the face
        mark *= 0.5 if row[KIND] == BLADE else 0.15
    grain = 1 + row[TEXTURE] * 2 * (_noise(tile, t * 30 + row[PHASE] * 77, s * 30) - 0.5)
    if row[STREAK] > 0:
        grain *= 1 + row[STREAK] * 2 * (_noise(tile, t * 5 + row[PHASE] * 31, across * 34) - 0.5)
    if row[CREASE] > 0:
        grain *= 1 - row[CREASE] * math.exp(-((s / 0.1) ** 2))
    for c in range(3):
        value = row[RED + c]
        value += (row[TIP_RED + c] - value) * at_tip
        value += (row[BASE_RED + c] - value) * at_base
        color[c] = min((value + (row[MARK_RED + c] - value) * mark) * grain, 0.95)


@numba.njit(inline="always")
def _turn(v, u):
    """An angle that differs between neighboring samples (interleaved gradient noise, Jimenez 2014)."""
    f = 0.06711056 * u + 0.00583715 * v
    f = 52.9829189 * (f - math.floor(f))
    return 2 * math.pi * (f - math.floor(f))


@numba.njit
def _sunlight(rows, at, origin, axes, scale, blur, turn, depth, which, light):
    """Fraction of the sunlight that reaches a point, per channel: 1 in the open; what petals in the way let through."""
    x, y, z = at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]
    u = (x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2] + 0.5 / scale[0]) * scale[1]
    v = (x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2] + 0.5 / scale[0]) * scale[1]
    near = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]
    light[:] = 0
    taps, size = 6, depth.shape[0]
    for k in range(taps):
        angle, r = turn + k * 2.39996, blur * scale[1] * math.sqrt((k + 0.5) / taps)
        i, j = int(v + r * math.sin(angle)), int(u + r * math.cos(angle))
        if not (0 <= i < size and 0 <= j < size) or depth[i, j] <= near + 0.004 + 0.3 * r / scale[1]:
            light += 1
        else:
            blocker = rows[which[i, j]]
            for c in range(3):
                light[c] += 0.55 * blocker[THROUGH] * blocker[RED + c]
    light /= taps


@numba.njit
def _openness(depth, v, u, normal, turn):
    """Ambient obscurance: 1 in the open, towards 0 in corners."""
    size = depth.shape[0]
    dark, z = 0.0, depth[v, u]
    for k in range(8):
        reach = 0.035 if k % 2 else 0.12
        angle, r = turn + k * 2.39996, reach * size * math.sqrt((k + 1) / 8)
        i, j = int(v + 0.5 + r * math.sin(angle)), int(u + 0.5 + r * math.cos(angle))
        if not (0 <= i < size and 0 <= j < size) or depth[i, j] < -1e8:
            continue
        dx, dy, dz = (j - u) / size, (i - v) / size, depth[i, j] - z
        dot = dx * normal[0] + dy * normal[1] + dz * normal[2] - 0.0015
        if dot > 0:
            dark += reach * dot / (dx * dx + dy * dy + dz * dz + 0.01 * reach * reach)
    return max(1 - 0.15 * dark, 0.0)


@numba.njit(inline="always")
def _bounce(open_, albedo):
    """Openness with the light that neighboring parts of the same color throw back (Jimenez et al. 2016)."""
    a, b, c = 2.0404 * albedo - 0.3324, -4.7951 * albedo + 0.6417, 2.7552 * albedo + 0.6903
    return max(open_, ((open_ * a + b) * open_ + c) * open_)


@numba.njit
def _shade(row, color, normal, back, lit, open_, light, sun, sky, ground, out):
    """Light that leaves a surface towards the camera, linear RGB."""
    facing = normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]
    front = max((facing + 0.12 * row[THROUGH]) / (1 + 0.12 * row[THROUGH]), 0.0)
    behind = max(-facing, 0.0) * row[THROUGH]
    up = 0.5 - 0.5 * normal[1]
    hx, hy, hz = light[0], light[1], light[2] + 1
    half = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
    shine = max((normal[0] * hx + normal[1] * hy + normal[2] * hz) / half, 0.0)
    gloss = row[GLOSS] * (0.15 * shine**12 + 1.0 * shine**60)
    sheen = 0.1 * (1 - normal[2]) ** 3
    for c in range(3):
        albedo = color[c]
        deep = albedo * math.sqrt(max(albedo, 0.0))  # light that has crossed the tissue is more saturated
        around = ground[c] + (sky[c] - ground[c]) * up
        under = ground[c] + (sky[c] - ground[c]) * (1 - up)
        ambient = _bounce(open_, albedo)
        value = albedo * (sun[c] * lit[c] * front * (1 - 0.35 * row[THROUGH]) + around * ambient)
        value += deep * (1.1 * sun[c] * lit[c] * behind + 0.5 * row[THROUGH] * under * open_)
        value += gloss * sun[c] * lit[c] + sheen * around * open_ * (0.3 + 0.7 * albedo)
        value += 0.12 * row[GLOSS] * around * open_
        out[c] = value * (0.92 if back else 1.0) + row[GLOW] * albedo


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
def _layer(rows, samples, light, sun, sky, ground, softness, tile, tables, out):
    """Draw and shade one layer into `out`, (size, size, 5): color times coverage, coverage, coverage by labeled blooms."""
    size = out.shape[0]
    full = size * samples
    depth, which = np.full((full, full), -1e9, np.float32), np.full((full, full), -1, np.int32)
    where, facing = np.empty((full, full, 2), np.float32), np.empty((full, full, 3), np.float32)
    shadow, caster = np.full((full, full), -1e9, np.float32), np.full((full, full), -1, np.int32)
    nothing = np.empty((0, 0, 0), np.float32)
    points, normals = np.empty((MOST_T, MOST_S, 3), np.float32), np.empty((MOST_T, MOST_S, 3), np.float32)
    shown = np.empty((MOST_T, MOST_S, 3), np.float32)
    eye, sunward = np.eye(3).astype(np.float32), np.empty((3, 3), np.float32)
    _light_axes(light, sunward)
    middle = np.array([0.5, 0.5, 0.0], np.float32)
    origin = middle.copy()
    for k in range(len(rows)):
        origin[2] += rows[k, Z] / len(rows)
    camera, lamp = np.array([1.0, full], np.float32), np.array([1 / 1.7, full / 1.7], np.float32)
    for k in range(len(rows)):
        row = rows[k]
        reach = math.sqrt(row[AX] ** 2 + row[AY] ** 2 + row[AZ] ** 2) + math.sqrt(row[BX] ** 2 + row[BY] ** 2 + row[BZ] ** 2)
        outside = max(-row[X], row[X] - 1, -row[Y], row[Y] - 1)
        if outside > 0.45 + reach or reach <= 0:
            continue
        nt, ns = _detail(row, full)
        _outline(row, tables[k])
        _tessellate(row, nt, ns, tables[k], 0.45 / full, points)
        if outside < reach * (1 + row[LOBES]):
            _vertex_normals(points, nt, ns, row[KIND], normals)
            _project(points, nt, ns, middle, eye, camera, shown)
            _draw(row, k, nt, ns, tables[k], shown, normals, depth, which, where, facing)
        _project(points, nt, ns, origin, sunward, lamp, shown)
        _draw(row, k, nt, ns, tables[k], shown, normals, shadow, caster, nothing, nothing)
    color, shaded, lit = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    at, normal = np.empty(3, np.float32), np.empty(3, np.float32)
    share = 1.0 / (samples * samples)
    for v in range(full):
        for u in range(full):
            if which[v, u] < 0:
                continue
            k = which[v, u]
            row = rows[k]
            norm = math.sqrt(facing[v, u, 0] ** 2 + facing[v, u, 1] ** 2 + facing[v, u, 2] ** 2) + 1e-12
            back = facing[v, u, 2] < 0
            for c in range(3):
                normal[c] = facing[v, u, c] / norm * (-1 if back else 1)
            back = back and row[KIND] != TUBE
            turn = _turn(v, u)
            side = 1.0 if normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2] > 0 else -1.0
            at[0], at[1], at[2] = (u + 0.5) / full, (v + 0.5) / full, depth[v, u]
            for c in range(3):
                at[c] += 0.003 * side * normal[c]
            _sunlight(rows, at, origin, sunward, lamp, softness, turn, shadow, caster, lit)
            open_ = _openness(depth, v, u, normal, turn)
            _albedo(row, tables[k], where[v, u, 0], where[v, u, 1], back, tile, color)
            _shade(row, color, normal, back, lit, open_, light, sun, sky, ground, shaded)
            for c in range(3):
                out[v // samples, u // samples, c] += shaded[c] * share
            out[v // samples, u // samples, 3] += share
            out[v // samples, u // samples, 4] += share * row[BLOOM]


@numba.njit(parallel=True, cache=True)
def _layers(rows, starts, samples, light, sun, sky, ground, softness, tile, out):
    for picture in numba.prange(out.shape[0]):
        some = rows[starts[picture] : starts[picture + 1]]
        if len(some) > 0:
            tables = np.empty((len(some), TABLE), np.float32)
            _layer(
                some, samples, light[picture], sun[picture], sky[picture], ground[picture], softness[picture], tile, tables,
                out[picture],
            )  # fmt: skip


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


@numba.njit(parallel=True, cache=True)
def _disc_blur(images, radius):
    n, size, _, channels = images.shape
    for picture in numba.prange(n):
        r = radius[picture]
        if r < 0.4:
            continue
        reach = int(math.ceil(r))
        sums = np.zeros((size + 2 * reach + 1, channels))
        blurred = np.zeros((size, size, channels))
        total = 0.0
        for dy in range(-reach, reach + 1):
            half = math.sqrt(max(r * r - dy * dy, 0.0))
            whole, part = int(half), half - int(half)
            weight = 1.0 if abs(dy) < reach or reach == r else max(r - (reach - 1), 0.05)
            total += weight * (2 * half + 1)
            for y in range(size):
                source = min(max(y + dy, 0), size - 1)
                for x in range(size + 2 * reach):
                    column = min(max(x - reach, 0), size - 1)
                    for c in range(channels):
                        sums[x + 1, c] = sums[x, c] + images[picture, source, column, c]
                for x in range(size):
                    low, high = x + reach - whole, x + reach + whole + 1
                    for c in range(channels):
                        value = sums[high, c] - sums[low, c]
                        left, right = max(low - 1, 0), min(high, size + 2 * reach - 1)
                        value += part * (sums[left + 1, c] - sums[left, c] + sums[right + 1, c] - sums[right, c])
                        blurred[y, x, c] += weight * value
        images[picture] = blurred / total


def disc_blur(images: np.ndarray, radius: np.ndarray) -> None:
    """Blur as a lens does what is out of focus: average over a disc, in place; images (n, size, size, c), radius in pixels."""
    _disc_blur(images, radius.astype(np.float32))


@numba.njit(parallel=True, cache=True)
def _fill(canvas, colors, horizon, clouds, tile):
    size = canvas.shape[1]
    for picture in numba.prange(canvas.shape[0]):
        f = clouds[picture, 0]
        for i in range(size):
            for j in range(size):
                u, v = i / size * f + clouds[picture, 1], j / size * f + clouds[picture, 2]
                fine = _noise(tile, 3.1 * u + 17, 3.1 * v + 29)
                mix = _ramp(0.25, 0.75, _noise(tile, u, v) * 0.65 + fine * 0.35)
                edge = horizon[picture, 0] + 0.1 * (_noise(tile, 5.3, 0.35 * v) - 0.5)
                below = _ramp(edge - horizon[picture, 1], edge + horizon[picture, 1], i / size)
                for c in range(3):
                    high = colors[picture, 0, c] * (1 - mix) + colors[picture, 1, c] * mix
                    low = colors[picture, 2, c] * (1 - mix) + colors[picture, 3, c] * mix
                    canvas[picture, i, j, c] = high + (low - high) * below


def fill(size: int, colors: np.ndarray, horizon: np.ndarray, clouds: np.ndarray) -> np.ndarray:
    """Backgrounds, float32 (n, size, size, 3): clouds of two colors above a soft horizon and of two others below it.

    colors: float32 (n, 4, 3), linear RGB: dark and light above, dark and light below; horizon: (n, 2), its height (0 top,
    1 bottom) and half its softness; clouds: (n, 3), noise cells per picture and place in the noise.
    """
    canvas = np.zeros((len(colors), size, size, 3), np.float32)
    _fill(canvas, colors, horizon, clouds, NOISE)
    return canvas
