"""What stands around the blooms: leaves, grass, stones, walls, points of light, and the colors of the ground behind them.

Everything is returned as rows (see `tools.surfaces`), placed in the scene: x right, y down, z towards the camera, in picture
widths. `up` is the direction of growth as the camera sees it.
"""

from typing import NamedTuple

import numpy as np

from tools.forms import outline, paint, petals, pick, rgb, shades, tubes
from tools.surfaces import cross, instances, surfaces


class Leaf(NamedTuple):
    """How a kind of leaf is built."""

    outline: str
    width: float  # half-width relative to the length
    look: dict  # columns of a surface
    leaflets: int = 0  # of a compound leaf
    layout: str = ""  # pinnate: leaflets along a stalk; palmate: like the fingers of a hand; ferny: fine segments


PARALLEL = {"veins": 7, "vein": 0.35, "gloss": 0.12}
LEAVES = {
    "linear": Leaf("linear", 0.035, PARALLEL | {"bend": 0.7, "fold": 0.4}),
    "sword": Leaf("lanceolate", 0.05, PARALLEL | {"bend": 0.15, "fold": 0.5}),
    "lanceolate": Leaf("lanceolate", 0.13, {"ribs": 9, "rib": 0.4, "bend": 0.6, "fold": 0.2}),
    "acuminate": Leaf("acuminate", 0.2, {"ribs": 8, "rib": 0.4, "bend": 0.5, "fold": 0.2}),
    "oblanceolate": Leaf("oblanceolate", 0.16, {"ribs": 8, "rib": 0.35, "bend": 0.6}),
    "elliptic": Leaf("elliptic", 0.24, {"ribs": 8, "rib": 0.4, "gloss": 0.3, "bend": 0.4, "fold": 0.2}),
    "oblong": Leaf("oblong", 0.2, {"ribs": 16, "rib": 0.35, "gloss": 0.25, "bend": 0.6, "fold": 0.2, "tip": 0.6}),
    "ovate": Leaf("ovate", 0.3, {"ribs": 7, "rib": 0.45, "bend": 0.4, "cup": -0.3}),
    "serrate": Leaf("ovate", 0.27, {"ribs": 7, "rib": 0.45, "bend": 0.4, "wave": 0.16, "waves": 11}),
    "obovate": Leaf("obovate", 0.26, {"ribs": 9, "rib": 0.5, "bend": 0.6, "ruffle": 0.1, "ruffles": 4}),
    "cordate": Leaf("cordate", 0.42, {"ribs": 6, "rib": 0.45, "bend": 0.5, "cup": -0.25}),
    "orbicular": Leaf("orbicular", 0.5, {"ribs": 4, "rib": 0.4, "wave": 0.16, "waves": 5, "bend": 0.3, "lobes": 0.15}),
    "peltate": Leaf("orbicular", 0.5, {"ribs": 4, "rib": 0.5, "wave": 0.04, "waves": 4, "bend": 0.2, "cup": -0.2}),
    "pad": Leaf("orbicular", 0.5, {"ribs": 5, "rib": 0.2, "gloss": 0.5, "lobes": 0.18}),
    "lobed": Leaf("oblanceolate", 0.24, {"wave": 0.75, "waves": 6, "ribs": 6, "rib": 0.3, "bend": 0.7, "ruffle": 0.1}),
    "maple": Leaf("orbicular", 0.55, {"wave": 0.6, "waves": 3, "ribs": 4, "rib": 0.4, "bend": 0.4, "lobes": 0.2}),
    "pinnate": Leaf("ovate", 0.32, {"ribs": 6, "rib": 0.3}, 9, "pinnate"),
    "palmate": Leaf("oblanceolate", 0.24, {"ribs": 7, "rib": 0.3}, 5, "palmate"),
    "ferny": Leaf("linear", 0.09, {}, 17, "pinnate"),
}
GREENS = ("4f7d35", "5f8840", "3c6430", "7a9448", "56704a", "6f7a40", "40704a")


def leaf(rng, kind: str, color) -> np.ndarray:
    """One leaf of length 1 along the x axis, its upper side towards z."""
    shape = LEAVES[kind]
    look = outline(shape.outline) | {
        "through": 0.55,
        "texture": 0.12,
        "streak": 0.06,
        "gloss": 0.12,
        "phase": rng.uniform(0, 6),
    }
    look |= shape.look
    look["bend"] = look.get("bend", 0.3) + rng.normal(0, 0.3)
    main = 0.85 * shades(rng, color, 1, 0.12)[0]
    look |= paint(main, 0.9 * main + 0.02, 1.1 * main, np.minimum(1.5 * main + 0.02, 0.9)) | {
        "tip_reach": 0.3,
        "sway": rng.normal(0, 0.2),
    }
    if not shape.leaflets:
        blade = petals(0.0, 0.0, 1.0, shape.width * rng.uniform(0.8, 1.15), **look)
        return np.concatenate([blade, tubes([-0.4, 0, -0.12], [0.02, 0, 0], 0.014, main)])
    n = shape.leaflets
    k = np.arange(n)
    if shape.layout == "palmate":
        turn = np.linspace(-1.2, 1.2, n)
        return petals(turn, 0.0, np.cos(0.6 * turn), shape.width * np.cos(0.6 * turn), **look)
    pair, last = k // 2 / (n // 2), k == n - 1
    turn = np.where(last, 0.0, np.where(k % 2, 1, -1) * (1.0 - 0.3 * pair)) + rng.normal(0, 0.08, n)
    long = np.where(last, 0.32, 0.4 - 0.2 * pair)
    rows = petals(turn, rng.normal(0, 0.1, n), long, shape.width * long, **look)
    rows[:, 1] += np.where(last, 0.72, 0.15 + 0.58 * pair)
    return np.concatenate([rows, tubes([0, 0, 0], [0.75, 0, 0], 0.012, main)])


def foliage(rng, kind, color, at, azimuth, elevation, length, up) -> np.ndarray:
    """Leaves at the points `at` (n, 3) that leave the axis `up` at `azimuth` and rise by `elevation` (n,), of length (n,)."""
    n = len(at)
    if n == 0:
        return surfaces(0)
    east = np.array([1.0, 0.0, 0.0])
    north = cross(up, east)
    out = np.cos(azimuth)[:, None] * east + np.sin(azimuth)[:, None] * north
    along = np.cos(elevation)[:, None] * out + np.sin(elevation)[:, None] * up
    front = np.cos(elevation)[:, None] * up - np.sin(elevation)[:, None] * out + rng.normal(0, 0.25, (n, 3))
    front -= (front * along).sum(1, keepdims=True) * along
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    turn = np.stack([along, cross(front, along), front], 2)
    length = length * np.clip(0.3 / LEAVES[kind].width, 0.65, 1)  # broad leaves are shorter
    variants = min(4, n)
    return np.concatenate([
        instances(leaf(rng, kind, color), at[k::variants], length[k::variants], turn[k::variants]) for k in range(variants)
    ])  # fmt: skip


class Ground(NamedTuple):
    """A kind of background."""

    colors: str  # dark and light above the horizon, dark and light below it
    horizon: tuple  # highest and lowest place of the horizon (0 top, 1 bottom)
    likely: float
    extras: tuple = ()  # names in EXTRAS
    green: float = 1.0  # how much of the space behind is filled with leaves


GROUNDS = {
    "border": Ground("101c0c 33521f 18240f 3f5a26", (0.0, 1.0), 0.3, ("lights",)),
    "sunny border": Ground("2f5a20 86a858 2a5018 6a9040", (0.2, 1.0), 0.16, ("lights",)),
    "shade": Ground("080d08 1a2818 0a0f09 202c1a", (0.2, 1.0), 0.14, (), 0.6),
    "black": Ground("060807 101411 050706 121612", (0.2, 1.0), 0.03, (), 0.3),
    "soil": Ground("2c2018 5a4632 33261b 6a543e", (-0.2, 0.3), 0.07, ("stones",), 0.5),
    "gravel": Ground("4a4842 7c786e 6a665e a09a8e", (-0.2, 0.2), 0.04, ("stones",), 0.4),
    "lawn": Ground("24401a 527838 3f6c26 7aa044", (-0.2, 0.4), 0.08, ("grass",), 0.3),
    "sky": Ground("6a94cc b4cce4 2c4a1e 5f8038", (0.75, 1.5), 0.04, (), 0.2),
    "overcast": Ground("b4bcc0 dfe3e3 2c4420 5f7c44", (0.5, 1.4), 0.04, (), 0.4),
    "meadow": Ground("80a0c8 d8e0e8 44602a 86984a", (0.15, 0.5), 0.05, ("grass", "lights"), 0.3),
    "wall": Ground("8a7868 b0a090 6a5a4c 907c6a", (0.8, 1.3), 0.03, ("bricks",), 0.4),
    "fence": Ground("4a3c30 80705c 3a4a28 5a7038", (0.7, 1.3), 0.02, ("planks",), 0.4),
    "room": Ground("8c8880 d0ccc4 5c4838 a08468", (0.6, 1.3), 0.03, (), 0.0),
}
WATER = Ground("0f1c20 2f4a52 0b171a 24404a", (0.0, 0.5), 0.0, ("pads", "lights"), 0.0)


def pick_ground(rng, water: bool) -> Ground:
    """One of the grounds, by how likely they are."""
    if water and rng.random() < 0.75:
        return WATER
    return GROUNDS[pick(rng, {name: ground.likely for name, ground in GROUNDS.items()})]


def leaf_mass(rng, kind, color, up, n, depth, horizon=0.0) -> np.ndarray:
    """Leaves that fill the space between two depths (z), as in a dense bed."""
    at = np.stack([rng.uniform(-0.25, 1.25, n), rng.uniform(min(horizon, 0.8) - 0.1, 1.3, n), rng.uniform(*depth, n)], 1)
    steep = kind in ("linear", "sword")
    elevation = rng.normal(1.25 if steep else 0.5, 0.25 if steep else 0.4, n)
    length = rng.uniform(0.22, 0.5) * rng.uniform(0.7, 1.3, n) * (1.8 if steep else 1)
    tint = rgb(color) * np.exp(rng.normal(-0.1, 0.2))
    return foliage(rng, kind, tint, at, rng.uniform(0, 2 * np.pi, n), elevation, length, up)


def _grass(rng, horizon, up):
    n = int(rng.integers(40, 90))
    y = rng.uniform(max(horizon, 0.0), 1.3, n)
    at = np.stack([rng.uniform(-0.1, 1.1, n), y, y - 1.9], 1)
    length = (0.1 + 0.3 * np.clip(y - horizon, 0, 1)) * rng.uniform(0.6, 1.3, n)
    green = rgb(str(rng.choice(GREENS)))
    return foliage(rng, "linear", green, at, rng.uniform(0, 6.28, n), rng.normal(1.2, 0.3, n), length, up)


def _stones(rng, horizon, up):
    n = int(rng.integers(120, 260))
    y = rng.uniform(max(horizon, -0.1), 1.1, n)
    r = rng.uniform(0.03, 0.07) * rng.uniform(0.4, 1.3, n) * (0.4 + 0.6 * np.clip(y, 0, 1))
    color = shades(rng, rgb(str(rng.choice(["7a6a58", "8a867c", "5a4636", "a89c88", "6a4a36"]))), n, 0.3)
    at = np.stack([rng.uniform(-0.05, 1.05, n), y, y - 2.0], 1)
    axis = rng.normal(0, 1, (n, 3)) * [1, 0.3, 0.6]
    half = axis / np.linalg.norm(axis, axis=1, keepdims=True) * r[:, None]
    return tubes(at - half, at + half, 0.7 * r, color, **outline("ball"), texture=0.5, phase=rng.uniform(0, 6, n))


def _lights(rng, horizon, up):
    """Points of light between far leaves, discs when out of focus."""
    n = int(rng.integers(2, 16))
    glow = rng.choice([[1.0, 1.0, 0.8], [0.7, 0.95, 0.4], [0.85, 0.95, 1.0]]) * rng.uniform(0.5, 1.0, (n, 1))
    at = np.stack([rng.uniform(0, 1, n), rng.uniform(0, 0.9, n), np.full(n, -1.3)], 1)
    r = rng.uniform(0.012, 0.03, n)
    return tubes(at, at + [0, 0, 0.02], r, glow, **outline("ball"), glow=rng.uniform(0.3, 1.0))


def _bricks(rng, horizon, up):
    size = rng.uniform(0.14, 0.3)
    rows, columns = int(1.2 / (0.4 * size)) + 1, int(1.2 / size) + 2
    i, j = (m.ravel() for m in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    color = shades(rng, rgb(str(rng.choice(["8a5a4a", "a88a72", "8a8680", "b8b0a4"]))), len(i), 0.12)
    x, y = (j - 0.5 * (i % 2)) * size - 0.1, i * 0.4 * size - 0.05
    flat = {"tip": 2.5, "base": 1.0, "texture": 0.5}
    return surfaces(
        len(i), x=x, y=y, z=-1.5, ax=0.94 * size, by=0.18 * size, phase=rng.uniform(0, 6, len(i)), **flat, **paint(color)
    )


def _planks(rng, horizon, up):
    n = int(rng.integers(4, 10))
    color = shades(rng, rgb(str(rng.choice(["8a7258", "6a5a4a", "a89478", "c8c4bc"]))), n, 0.12)
    flat = {"tip": 2.5, "base": 1.0, "texture": 0.5, "veins": 5, "vein": 0.3, "phase": rng.uniform(0, 6, n)}
    place = {"x": (np.arange(n) + 0.5) / n, "y": -0.1, "z": -1.5, "ay": 1.3, "bx": -0.48 / n}
    return surfaces(n, **place, **flat, **paint(color, None, None, color * 0.5))


def _pads(rng, horizon, up):
    """Round leaves that float on water."""
    n = int(rng.integers(4, 13))
    y = rng.uniform(0.05, 1.15, n)
    at = np.stack([rng.uniform(-0.1, 1.1, n), y, y - 1.6], 1)
    r = rng.uniform(0.2, 0.4) * rng.uniform(0.7, 1.2, n) * (0.5 + 0.6 * y)
    return foliage(rng, "pad", rgb("4a7840"), at, rng.uniform(0, 6.28, n), rng.normal(0, 0.05, n), r, up)


EXTRAS = {"grass": _grass, "stones": _stones, "lights": _lights, "bricks": _bricks, "planks": _planks, "pads": _pads}


def background(rng, ground: Ground, kind: str, color: str, up: np.ndarray):
    """Colors (4, 3) and horizon (height, softness) of the ground, and the rows that stand far behind."""
    colors = np.stack([rgb(c) for c in ground.colors.split()])
    colors = colors * np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, (4, 3)))
    horizon = rng.uniform(*ground.horizon)
    rows = [surfaces(0)]
    n = int(rng.uniform(0.3, 1.0) * 60 * ground.green)
    if n:
        tint = color if rng.random() < 0.6 else str(rng.choice(GREENS))
        shape = kind if rng.random() < 0.6 else str(rng.choice(list(LEAVES)))
        rows.append(leaf_mass(rng, shape, tint, up, n, (-1.4, -0.8), horizon if horizon < 0.6 else 0.0))
    rows += [EXTRAS[name](rng, horizon, up) for name in ground.extras if rng.random() < 0.75]
    return colors, np.array([horizon, rng.choice([0.02, 0.1, 0.4])]), np.concatenate(rows)
