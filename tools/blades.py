"""Paint batches of pictures made of blades.

Everything in a rendered flower is a *blade*: a flat or bent piece with a midrib, an outline, colours, markings and a
shading. A petal is a blade; so are a leaf, a stem, a stamen, a seed, a bell seen from the side. One picture is a list of
blades painted from back to front, each with soft edges and a dark contact shadow around it.

A blade is one row of a float32 array; `COLUMNS` names its numbers. Lengths are in picture widths (the picture is the
unit square, x to the right, y down); colours are linear RGB in [0, 1].
"""

import math

import numba
import numpy as np

COLUMNS = (
    # base point, midrib vector, half-width vector, bend of the midrib (offset at the tip)
    *("x", "y", "ax", "ay", "bx", "by", "cx", "cy"),
    # outline: where it is widest (0..1), width at the base (0..1), tip (0 pointed, 1 round, 1.6 cut off), cleft tip depth,
    # teeth of the tip, their number, waviness of the margin, its phase
    *("peak", "base", "tip", "notch", "fringe", "teeth", "wave", "phase"),
    # colours: blade, its far end (or rim), its base, its markings
    *("r", "g", "b", "tip_r", "tip_g", "tip_b", "base_r", "base_g", "base_b", "mark_r", "mark_g", "mark_b"),
    # how far the end colour and the base colour reach (0..1); 1 puts the end colour all round the rim
    *("tip_reach", "base_reach", "rim"),
    # markings: midrib stripe, number and strength of veins, density and strength of spots, blotch and its position
    *("stripe", "veins", "vein", "spots", "spot", "blotch", "blotch_at"),
    # shading: light . normal, its change across and along the blade, curvature across and along
    *("lit", "lit_across", "lit_along", "cup", "arch"),
    # groove along the midrib, darkening of the base, fine texture, gloss, blur of the edge
    *("crease", "occlusion", "texture", "gloss", "soft"),
    # contact shadow: strength and reach; 1 if the blade belongs to a labelled bloom; depth (nearest to the eye is largest)
    *("shadow", "shadow_reach", "bloom", "depth"),
    # heart-shaped base: how far two lobes reach behind the base
    "lobes",
    # light shining through from behind; halves folded along the midrib; opacity
    *("through", "fold", "opacity"),
    # chequers of the marking colour: their number along the blade
    "checks",
)
INDEX = {name: i for i, name in enumerate(COLUMNS)}
DEFAULTS = {
    **{"peak": 0.5, "base": 0.3, "tip": 0.8, "teeth": 3, "tip_reach": 0, "base_reach": 0, "blotch_at": 0.3},
    **{
        "lit": 0.75,
        "cup": 0.4,
        "crease": 0.1,
        "occlusion": 0.35,
        "texture": 0.12,
        "shadow": 0.45,
        "shadow_reach": 0.012,
        "opacity": 1,
    },
}
X, Y, AX, AY, BX, BY, CX, CY = (INDEX[name] for name in COLUMNS[:8])
PEAK, BASE, TIP, NOTCH, FRINGE, TEETH, WAVE, PHASE = (INDEX[name] for name in COLUMNS[8:16])
RED, TIP_RED, BASE_RED, MARK_RED = (INDEX[name] for name in ("r", "tip_r", "base_r", "mark_r"))
TIP_REACH, BASE_REACH, RIM, STRIPE, VEINS, VEIN, SPOTS, SPOT, BLOTCH, BLOTCH_AT = (INDEX[name] for name in COLUMNS[28:38])
LIT, LIT_ACROSS, LIT_ALONG, CUP, ARCH = (INDEX[name] for name in COLUMNS[38:43])
CREASE, OCCLUSION, TEXTURE, GLOSS, SOFT, SHADOW, SHADOW_REACH, BLOOM = (INDEX[name] for name in COLUMNS[43:51])
LOBES, THROUGH, FOLD, OPACITY, CHECKS = (INDEX[name] for name in COLUMNS[52:57])


def blades(count: int = 1, **values) -> np.ndarray:
    """`count` rows, float32 (count, len(COLUMNS)), with the given columns set (numbers or arrays of length `count`)."""
    rows = np.zeros((count, len(COLUMNS)), np.float32)
    for name, value in (DEFAULTS | values).items():
        rows[:, INDEX[name]] = value
    return rows


def noise_tile(seed: int = 0, size: int = 256) -> np.ndarray:
    """Smooth noise that repeats at its borders, float32 (size, size), mean 0.5, made of four octaves."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]) * size
    band = np.where((frequency >= 6) & (frequency <= 48), 1 / np.maximum(frequency, 1), 0)
    tile = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * band).real
    return np.clip(0.5 + tile / tile.std() / 6, 0, 1).astype(np.float32)


NOISE = noise_tile()


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


@numba.njit(inline="always")
def _half_width(row, t):
    """Half-width of the outline at t along the midrib, 1 at the widest place."""
    if t <= 0:
        return row[BASE]
    if t < row[PEAK]:
        return row[BASE] + (1 - row[BASE]) * math.sin(0.5 * math.pi * t / row[PEAK])
    u = min((t - row[PEAK]) / max(1 - row[PEAK], 1e-3), 1.0)
    return (1 - u ** (1.3 + 0.9 * row[TIP])) ** max(1.2 - 0.7 * row[TIP], 0.08)


@numba.njit(inline="always")
def _mark(row, t, across, s, end, tile):
    """How much of the marking colour shows (0..1) at t along the midrib, `across` in [-1, 1] of the local width."""
    mark = 0.0
    if row[STRIPE] > 0:
        mark += row[STRIPE] * math.exp(-((across / 0.22) ** 2)) * (1 - _ramp(0.5, 0.95, t))
    if row[VEIN] > 0:
        wobble = _noise(tile, t * 40 + row[PHASE] * 50, s * 9)
        line = abs(math.sin((across * row[VEINS] + wobble) * 1.57))
        mark += row[VEIN] * (1 - line) ** 3 * (1 - 0.7 * t)
    if row[SPOT] > 0:
        grain = _noise(tile, t * row[SPOTS] * 12 + row[PHASE] * 91, s * row[SPOTS] * 5)
        mark += row[SPOT] * _ramp(0.6, 0.66, grain) * (1 - _ramp(0.65, 1.0, end))
    if row[CHECKS] > 0 and (math.floor(t * row[CHECKS]) + math.floor((across + 1) * 0.35 * row[CHECKS])) % 2 == 1:
        mark += 0.75
    if row[BLOTCH] > 0:
        mark += row[BLOTCH] * math.exp(-(((t - row[BLOTCH_AT]) / 0.16) ** 2) - (across / 0.9) ** 2)
    return min(max(mark, 0.0), 1.0)


@numba.njit(inline="always")
def _span(a, c, back):
    """Least and greatest offset along one axis of a midrib a that bends by c and has lobes behind its base."""
    middle, end = 0.5 * a + 0.25 * c, a + c
    return min(0.0, middle, end, -back * a), max(0.0, middle, end, -back * a)


@numba.njit(inline="always")
def _bounds(row, size):
    """Pixel box that holds the blade and its shadow."""
    width = abs(row[BX]) * 1.15, abs(row[BY]) * 1.15
    pad = 3 * row[SHADOW_REACH] * size + row[SOFT] * size + 2
    back = 1.4 * row[LOBES]
    x0, x1 = _span(row[AX], row[CX], back)
    y0, y1 = _span(row[AY], row[CY], back)
    left, right = (row[X] + x0 - width[0]) * size - pad, (row[X] + x1 + width[0]) * size + pad
    top, bottom = (row[Y] + y0 - width[1]) * size - pad, (row[Y] + y1 + width[1]) * size + pad
    return int(max(left, 0)), int(min(right + 1, size)), int(max(top, 0)), int(min(bottom + 1, size))


@numba.njit(inline="always")
def _light(row, t, across):
    """Light on the blade's surface (about 0..1.3), light through it (0..1) and gloss."""
    along = 2 * t - 1
    facing = row[LIT] + row[LIT_ACROSS] * across + row[LIT_ALONG] * along
    facing += row[FOLD] * min(max(across * 6, -1.0), 1.0)
    facing /= math.sqrt(1 + (row[CUP] * across) ** 2 + (row[ARCH] * along) ** 2)
    facing = min(max(facing, -1.0), 1.0)
    half = 0.5 + 0.5 * facing
    open_ = 1 - row[OCCLUSION] * math.exp(-max(t, 0.0) / 0.18)
    bright = half * math.sqrt(half) * 1.25 * open_
    if abs(across) < 0.4:
        bright *= 1 - row[CREASE] * math.exp(-((across / 0.16) ** 2))
    return bright, row[THROUGH] * max(0.25 - facing, 0.0) * open_, row[GLOSS] * max(facing, 0.0) ** 18


@numba.njit
def _paint_blade(canvas, row, sun, sky, toward, tile):
    size = canvas.shape[0]
    ax, ay, bx, by = row[AX] * size, row[AY] * size, row[BX] * size, row[BY] * size
    det = ax * by - ay * bx
    along_px, across_px = abs(det) / (math.hypot(bx, by) + 1e-6), abs(det) / (math.hypot(ax, ay) + 1e-6)
    if along_px < 0.05 or across_px < 0.02:
        return
    # A broad tip is an arc around the blade's base, not a straight cut.
    rounding = min(0.5 * (bx * bx + by * by) / (ax * ax + ay * ay), 0.35) if row[TIP] > 1.2 else 0.0
    # A bend along the midrib itself must stay small, or t has no single solution.
    steep = abs((row[CX] * by - row[CY] * bx) * size / det)
    kept = min(1.0, 0.42 / max(steep, 1e-6))
    bend_x, bend_y = row[CX] * size * kept, row[CY] * size * kept
    thin = min(1.0, along_px / 0.7, across_px / 0.7)  # narrower than a pixel: partly covered
    soft = max(1.0, row[SOFT] * size)
    reach = row[SHADOW_REACH] * size
    facing_side = (bx * toward[0] + by * toward[1]) / (math.hypot(bx, by) + 1e-6)
    facing_tip = (ax * toward[0] + ay * toward[1]) / (math.hypot(ax, ay) + 1e-6)
    left, right, top, bottom = _bounds(row, size)
    for i in range(top, bottom):
        for j in range(left, right):
            dx, dy = j + 0.5 - row[X] * size, i + 0.5 - row[Y] * size
            t = (dx * by - dy * bx) / det
            if bend_x != 0 or bend_y != 0:
                for _ in range(3):
                    q = min(max(t, 0.0), 1.1) ** 2
                    t = ((dx - bend_x * q) * by - (dy - bend_y * q) * bx) / det
            q = min(max(t, 0.0), 1.1) ** 2
            s = (ax * (dy - bend_y * q) - ay * (dx - bend_x * q)) / det
            if abs(s) > 1.3 + (soft + 2.5 * reach) / across_px:
                continue
            if row[LOBES] > 0 and abs(s) < 1:
                t += row[LOBES] * math.sin(math.pi * abs(s)) * (1 - t)
            te = t + row[NOTCH] * math.exp(-((s / 0.3) ** 2)) * t
            te += rounding * s * s
            if row[FRINGE] > 0:
                te += row[FRINGE] * abs(math.sin(s * row[TEETH] * 1.57 + row[PHASE])) * t
            w = _half_width(row, te)
            if row[WAVE] > 0:
                w *= 1 + row[WAVE] * (math.sin(t * 15 + row[PHASE]) + 0.6 * math.sin(t * 31 + 2 * row[PHASE] + s))
            distance = max((abs(s) - w) * across_px * 0.9, max(te - 1, -t) * along_px)
            cover = min(max(0.5 - distance / soft, 0.0), 1.0)
            if distance > 0 and row[SHADOW] > 0 and distance < 4 * reach:
                # The shadow falls on the side away from the light: n points out of the blade.
                n = (facing_side if s > 0 else -facing_side) if abs(s) > w else (facing_tip if te > 0.5 else -facing_tip)
                fall = 0.75 - 0.65 * n
                fade = math.exp(-distance / max(reach * (0.35 + fall), 0.1))
                dark = 1 - row[SHADOW] * fall * fade * (1 - cover) * row[OPACITY] * thin
                for channel in range(3):
                    canvas[i, j, channel] *= dark
            if cover <= 0:
                continue
            t = min(max(t, 0.0), 1.0)
            across = min(max(s / max(w, 0.05), -1.0), 1.0)
            cover *= row[OPACITY] * thin
            bright, behind, gloss = _light(row, t, across)
            grain = 1 + row[TEXTURE] * 2 * (_noise(tile, t * 30 + row[PHASE] * 77, s * 30) - 0.5)
            end = t + row[RIM] * (max(t, abs(across)) - t)
            at_end = _ramp(1 - row[TIP_REACH], 1.0, end) if row[TIP_REACH] > 0 else 0.0
            at_base = 1 - _ramp(0.0, row[BASE_REACH], t) if row[BASE_REACH] > 0 else 0.0
            mark = _mark(row, t, across, s, end, tile)
            for channel in range(3):
                c = row[RED + channel]
                c += (row[TIP_RED + channel] - c) * at_end
                c += (row[BASE_RED + channel] - c) * at_base
                c = (c + (row[MARK_RED + channel] - c) * mark) * grain
                # Light that crosses a petal is coloured by it twice.
                c = c * (sky[channel] + sun[channel] * (bright + 1.6 * behind * math.sqrt(max(c, 0.0)))) + gloss * sun[channel]
                canvas[i, j, channel] += (c - canvas[i, j, channel]) * cover
            canvas[i, j, 3] += (row[BLOOM] - canvas[i, j, 3]) * cover


@numba.njit(parallel=True, cache=True)
def _paint(canvas, rows, starts, sun, sky, toward, tile):
    for picture in numba.prange(canvas.shape[0]):
        for k in range(starts[picture], starts[picture + 1]):
            _paint_blade(canvas[picture], rows[k], sun[picture], sky[picture], toward[picture], tile)


def paint(canvas: np.ndarray, pictures: list, sun: np.ndarray, sky: np.ndarray, toward: np.ndarray) -> None:
    """Paint each picture's rows, in their order, over the canvas (changed in place).

    canvas: float32 (batch, size, size, 4), linear RGB and the mask of the labelled blooms, all in [0, 1].
    pictures: one array of rows (see `blades`) per picture.
    sun, sky: float32 (batch, 3), light colours. toward: float32 (batch, 2), the light's direction in the picture.
    """
    starts = np.cumsum([0] + [len(rows) for rows in pictures])
    _paint(canvas, np.concatenate(pictures), starts, sun, sky, toward, NOISE)


@numba.njit(parallel=True, cache=True)
def _blur(canvas, sigma):
    size = canvas.shape[1]
    for picture in numba.prange(canvas.shape[0]):
        radius = math.ceil(2.5 * sigma[picture])
        if radius < 1:
            continue
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma[picture]) ** 2)
        kernel /= kernel.sum()
        across = np.zeros_like(canvas[picture])
        for i in range(size):
            for j in range(size):
                for k in range(-radius, radius + 1):
                    source = min(max(j + k, 0), size - 1)
                    for channel in range(4):
                        across[i, j, channel] += kernel[k + radius] * canvas[picture, i, source, channel]
        canvas[picture] = 0
        for i in range(size):
            for k in range(-radius, radius + 1):
                source = min(max(i + k, 0), size - 1)
                for j in range(size):
                    for channel in range(4):
                        canvas[picture, i, j, channel] += kernel[k + radius] * across[source, j, channel]


def blur(canvas: np.ndarray, sigma: np.ndarray) -> None:
    """Gaussian blur in place; canvas as in `paint`, sigma float32 (batch,) in pixels."""
    _blur(canvas, sigma.astype(np.float32))


@numba.njit(parallel=True, cache=True)
def _fill(canvas, colours, horizon, scale, offset, tile):
    size = canvas.shape[1]
    for picture in numba.prange(canvas.shape[0]):
        f = scale[picture]
        for i in range(size):
            for j in range(size):
                u, v = i / size * f + offset[picture, 0], j / size * f + offset[picture, 1]
                fine = _noise(tile, 3.1 * u + 17, 3.1 * v + 29)
                mix = _ramp(0.25, 0.75, _noise(tile, u, v) * 0.65 + fine * 0.35)
                edge = horizon[picture, 0] + 0.1 * (_noise(tile, 5.3, 0.35 * v) - 0.5)
                below = _ramp(edge - horizon[picture, 1], edge + horizon[picture, 1], i / size)
                for channel in range(3):
                    high = colours[picture, 0, channel] * (1 - mix) + colours[picture, 1, channel] * mix
                    low = colours[picture, 2, channel] * (1 - mix) + colours[picture, 3, channel] * mix
                    canvas[picture, i, j, channel] = high + (low - high) * below
                canvas[picture, i, j, 3] = 0


def fill(canvas: np.ndarray, colours: np.ndarray, horizon: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> None:
    """Fill canvases with clouds of two colours above a soft horizon and of two others below it.

    colours: float32 (batch, 4, 3), linear RGB: dark and light above, dark and light below; horizon: (batch, 2), its height
    (0 top, 1 bottom) and half its softness; scale: (batch,), noise cells per picture; offset: (batch, 2), place in the noise.
    """
    _fill(canvas, colours, horizon, scale, offset, NOISE)


@numba.njit(parallel=True, cache=True)
def _dapple(canvas, strength, scale, offset, tile):
    size = canvas.shape[1]
    for picture in numba.prange(canvas.shape[0]):
        if strength[picture] <= 0:
            continue
        for i in range(size):
            for j in range(size):
                u = i / size * scale[picture] + offset[picture, 0]
                v = j / size * scale[picture] + offset[picture, 1]
                shade = 1 - strength[picture] * _ramp(0.42, 0.58, _noise(tile, u, v))
                for channel in range(3):
                    canvas[picture, i, j, channel] *= shade


def dapple(canvas: np.ndarray, strength: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> None:
    """Darken patches in place, as the shade of leaves does; strength (batch,) in [0, 1], scale and offset as in `fill`."""
    _dapple(canvas, strength, scale, offset, NOISE)
