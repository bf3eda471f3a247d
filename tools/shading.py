"""Colors and light of a point on a surface.

Numba functions, in the order in which a point is shaded: its own color (gradients, veins, spots, grain), the sunlight that
reaches it, its openness to the sky, and what it sends towards the camera.
"""

import math

import numba
import numpy as np

from tools.surfaces import (
    BASE_REACH,
    BASE_RED,
    BLADE,
    BLOTCH,
    BLOTCH_AT,
    CHECKS,
    CREASE,
    GLOSS,
    GLOW,
    KIND,
    MARK_RED,
    PHASE,
    RED,
    RIB,
    RIBS,
    RIM,
    SCALLOP,
    SPOT,
    SPOTS,
    STREAK,
    STRIPE,
    TEETH,
    TEXTURE,
    THROUGH,
    TIP_REACH,
    TIP_RED,
    VEIN,
    VEINS,
)
from tools.tessellation import half_width


def noise_tile(seed: int = 0, size: int = 256) -> np.ndarray:
    """Smooth noise that repeats at its borders, float32 (size, size), mean 0.5, made of three octaves."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]) * size
    band = np.where((frequency >= 6) & (frequency <= 48), 1 / np.maximum(frequency, 1), 0)
    tile = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * band).real
    return np.clip(0.5 + tile / tile.std() / 6, 0, 1).astype(np.float32)


NOISE = noise_tile()


@numba.njit(inline="always")
def ramp(low, high, x):
    x = min(max((x - low) / max(high - low, 1e-6), 0.0), 1.0)
    return x * x * (3 - 2 * x)


@numba.njit(inline="always")
def noise(tile, u, v):
    n = tile.shape[0]
    fu, fv = math.floor(u), math.floor(v)
    i, j = int(fu) % n, int(fv) % n
    k, m = (i + 1) % n, (j + 1) % n
    u, v = u - fu, v - fv
    top = tile[i, j] * (1 - v) + tile[i, m] * v
    return top * (1 - u) + (tile[k, j] * (1 - v) + tile[k, m] * v) * u


@numba.njit(inline="always")
def _mark(row, t, across, s, end, tile):
    """How much of the marking color shows (0..1) at t along the midrib, `across` in [-1, 1] of the local width."""
    mark = 0.0
    if row[STRIPE] > 0:
        mark += row[STRIPE] * math.exp(-((across / 0.22) ** 2)) * (1 - ramp(0.5, 0.95, t))
    if row[VEIN] > 0:
        wobble = noise(tile, t * 40 + row[PHASE] * 50, s * 9)
        line = abs(math.sin((across * row[VEINS] + wobble) * 0.5 * math.pi))
        mark += row[VEIN] * (1 - line) ** 3 * (1 - 0.7 * t)
    if row[RIB] > 0:
        line = abs((t * row[RIBS] - 0.55 * abs(s) * row[RIBS] * 0.4) % 1.0 - 0.5) * 2
        mark += row[RIB] * max(ramp(0.72, 1.0, line) * (1 - abs(across)) ** 0.5, math.exp(-((s / 0.06) ** 2)))
    if row[SPOT] > 0:
        grain = noise(tile, t * row[SPOTS] * 12 + row[PHASE] * 91, s * row[SPOTS] * 5)
        mark += row[SPOT] * ramp(0.6, 0.66, grain) * (1 - ramp(0.65, 1.0, end))
    if row[CHECKS] > 0 and (math.floor(t * row[CHECKS]) + math.floor((s + 1) * 0.8 * row[CHECKS])) % 2 == 1:
        mark += 0.75
    if row[BLOTCH] > 0:
        mark += row[BLOTCH] * math.exp(-(((t - row[BLOTCH_AT]) / 0.16) ** 2) - (across / 0.9) ** 2)
    return min(max(mark, 0.0), 1.0)


@numba.njit
def albedo(row, table, t, s, back, tile, color):
    """Color of the surface at t, s (linear RGB): gradients, markings and grain."""
    t = min(max(t, 0.0), 1.0)
    if row[KIND] == BLADE:
        across = min(max(s / max(half_width(table, t), 0.05), -1.0), 1.0)
    else:  # each lobe of a bell has a midrib
        across = 2 * ((0.5 * s * row[TEETH] + 0.5 * (row[SCALLOP] == 0)) % 1.0) - 1
    end = t + row[RIM] * (max(t, abs(across)) - t)
    at_tip = ramp(1 - row[TIP_REACH], 1.0, end) if row[TIP_REACH] > 0 else 0.0
    at_base = 1 - ramp(0.0, row[BASE_REACH], t) if row[BASE_REACH] > 0 else 0.0
    mark = _mark(row, t, across, s, end, tile)
    if back:  # markings are those of the face
        mark *= 0.5 if row[KIND] == BLADE else 0.15
    grain = 1 + row[TEXTURE] * 2 * (noise(tile, t * 30 + row[PHASE] * 77, s * 30) - 0.5)
    if row[STREAK] > 0:
        grain *= 1 + row[STREAK] * 2 * (noise(tile, t * 5 + row[PHASE] * 31, across * 34) - 0.5)
    if row[CREASE] > 0:
        grain *= 1 - row[CREASE] * math.exp(-((s / 0.1) ** 2))
    for c in range(3):
        value = row[RED + c]
        value += (row[TIP_RED + c] - value) * at_tip
        value += (row[BASE_RED + c] - value) * at_base
        color[c] = min((value + (row[MARK_RED + c] - value) * mark) * grain, 0.95)


@numba.njit(inline="always")
def sample_angle(v, u):
    """An angle that differs between neighboring samples (interleaved gradient noise, Jimenez 2014)."""
    f = 0.06711056 * u + 0.00583715 * v
    f = 52.9829189 * (f - math.floor(f))
    return 2 * math.pi * (f - math.floor(f))


@numba.njit
def sunlight(rows, at, origin, axes, view, blur, turn, taps, depth, which, light):
    """Fraction of the sunlight that reaches a point, per channel: 1 in the open; what petals in the way let through."""
    x, y, z = at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]
    size = depth.shape[0]
    u = ((x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]) / view + 0.5) * size
    v = ((x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]) / view + 0.5) * size
    near = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]
    light[:] = 0
    for k in range(taps):
        angle, r = turn + k * 2.39996, blur / view * size * math.sqrt((k + 0.5) / taps)
        i, j = int(v + r * math.sin(angle)), int(u + r * math.cos(angle))
        if not (0 <= i < size and 0 <= j < size) or depth[i, j] <= near + 0.004 + 0.3 * r * view / size:
            light += 1
        else:
            blocker = rows[which[i, j]]
            for c in range(3):
                light[c] += 0.55 * blocker[THROUGH] * blocker[RED + c]
    light /= taps


@numba.njit
def ambient_occlusion(depth, v, u, normal, turn, taps):
    """Ambient obscurance: 1 in the open, towards 0 in corners."""
    size = depth.shape[0]
    dark, z = 0.0, depth[v, u]
    for k in range(taps):
        reach = 0.035 if k % 2 else 0.12
        angle, r = turn + k * 2.39996, reach * size * math.sqrt((k + 1) / taps)
        i, j = int(v + 0.5 + r * math.sin(angle)), int(u + 0.5 + r * math.cos(angle))
        if not (0 <= i < size and 0 <= j < size) or depth[i, j] < -1e8:
            continue
        dx, dy, dz = (j - u) / size, (i - v) / size, depth[i, j] - z
        dot = dx * normal[0] + dy * normal[1] + dz * normal[2] - 0.0015
        if dot > 0:
            dark += reach * dot / (dx * dx + dy * dy + dz * dz + 0.01 * reach * reach)
    return max(1 - 1.2 * dark / taps, 0.0)


@numba.njit(inline="always")
def _bounce(open_, albedo):
    """Openness with the light that neighboring parts of the same color throw back (Jimenez et al. 2016)."""
    a, b, c = 2.0404 * albedo - 0.3324, -4.7951 * albedo + 0.6417, 2.7552 * albedo + 0.6903
    return max(open_, ((open_ * a + b) * open_ + c) * open_)


@numba.njit
def shade(row, color, normal, back, lit, open_, light, sun, sky, ground, out):
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
