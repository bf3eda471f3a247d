"""What stands around the blooms: grounds, leaves, grass, stones, walls, lights out of focus.

Everything is returned as blade rows (see `tools.blades`), in picture widths, to be painted from back to front.
"""

from typing import NamedTuple

import numpy as np

from tools.blades import INDEX, blades
from tools.forms import outline, paint_of, pick, rgb, shades


class Ground(NamedTuple):
    """A kind of background."""

    colours: str  # dark and light above the horizon, dark and light below it
    horizon: tuple  # highest and lowest place of the horizon (0 top, 1 bottom)
    likely: float
    extras: tuple  # names in EXTRAS


GROUNDS = {
    "border": Ground("14240e 3f6526 1c2c14 4a6a2c", (0.0, 1.0), 0.22, ("leaves", "leaves", "lights", "blossoms")),
    "sunny border": Ground("3a6a24 9ac060 2c5a1c 7aa048", (0.2, 1.0), 0.14, ("leaves", "lights", "blossoms")),
    "shade": Ground("060a06 18261a 080c06 202c16", (0.2, 1.0), 0.11, ("leaves",)),
    "black": Ground("020203 090a0c 020203 0c0d0c", (0.2, 1.0), 0.05, ()),
    "soil": Ground("2c2018 5a4632 3a2a1e 7a6048", (-0.2, 0.3), 0.08, ("stones", "leaves", "grass")),
    "gravel": Ground("4a4842 7c786e 6a665e a09a8e", (-0.2, 0.2), 0.04, ("stones", "stones", "leaves")),
    "lawn": Ground("24401a 5a8038 4a7a2a 8ab848", (-0.2, 0.4), 0.08, ("grass", "grass", "blossoms")),
    "sky": Ground("5a90dc a8c8f0 2c4a1e 6a9040", (0.75, 1.5), 0.09, ("leaves",)),
    "overcast": Ground("a8b4bc e0e4e4 2c4420 6a8a48", (0.5, 1.4), 0.06, ("leaves", "trunks")),
    "meadow": Ground("80a8dc dce8f4 4a6a2c 9ab050", (0.15, 0.5), 0.06, ("trunks", "grass", "blossoms")),
    "wall": Ground("8a7868 b0a090 6a5a4c 907c6a", (0.8, 1.3), 0.03, ("bricks", "leaves")),
    "fence": Ground("4a3c30 80705c 3a4a28 5a7038", (0.7, 1.3), 0.03, ("planks", "leaves")),
    "room": Ground("8c8880 d8d4cc 5c4838 a08468", (0.6, 1.3), 0.03, ()),
}
WATER = Ground("16282c 40606a 0e1c20 2c484c", (0.0, 0.5), 0.0, ("pads", "lights"))

LEAF_WIDTH = {
    "linear": 0.05, "lanceolate": 0.16, "acuminate": 0.26, "oblanceolate": 0.2, "elliptic": 0.3, "oblong": 0.28, "ovate": 0.36,
    "obovate": 0.36, "cordate": 0.5, "orbicular": 0.55, "pinnate": 0.3, "palmate": 0.5, "ferny": 0.4,
}  # fmt: skip
GREENS = ("4f7d35", "6a9040", "38602c", "88a050", "5a7050", "806a40", "3f7048")


def pick_ground(rng, water: bool) -> Ground:
    """One of the grounds, by how likely they are."""
    if water and rng.random() < 0.7:
        return WATER
    return GROUNDS[pick(rng, {name: ground.likely for name, ground in GROUNDS.items()})]


def blade_leaves(rng, shape, colour, at, angle, length, width, **look):
    """One blade each at points `at` (n, 2), pointing along `angle` (n,); lengths and half-widths (n,) in picture widths."""
    n = len(at)
    turn = rng.choice([-1, 1], n) * rng.uniform(0.45, 1, n) * width
    a = np.stack([np.cos(angle), np.sin(angle)], 1) * length[:, None]
    b = np.stack([-np.sin(angle), np.cos(angle)], 1) * turn[:, None]
    bend = rng.normal(0, 0.18, n) * length
    main = shades(rng, rgb(colour) * np.exp(rng.normal(0, 0.2)), n, 0.16)
    values = outline(shape) | paint_of(main, None, main * 0.8, main * 1.7)
    values |= {"tip": min(values["tip"], 0.8), "base": min(values["base"], 0.85 if values["lobes"] else 0.22)}
    values |= {"x": at[:, 0], "y": at[:, 1], "ax": a[:, 0], "ay": a[:, 1], "bx": b[:, 0], "by": b[:, 1]}
    values |= {"cx": bend * -np.sin(angle), "cy": bend * np.cos(angle), "phase": rng.uniform(0, 6, n)}
    values |= {"lit": rng.uniform(-0.3, 0.95, n), "lit_across": rng.normal(0, 0.3, n), "fold": rng.normal(0, 0.3, n)}
    values |= {"stripe": 0.3, "veins": 7, "vein": 0.22, "through": rng.uniform(0.3, 0.9), "texture": 0.2}
    values |= {"gloss": rng.uniform(0, 0.15, n), "shadow_reach": np.minimum(0.016, 0.1 * length)}
    values |= {"wave": rng.uniform(0, 0.04, n)}
    return blades(n, **(values | look))


def leaves(rng, shape, colour, at, angle, length, width=None, **look):
    """Leaves, simple or compound (pinnate: leaflets along a stalk; palmate: like a hand; ferny: fine segments)."""
    width = (LEAF_WIDTH[shape] if width is None else width) * length
    if shape not in ("pinnate", "palmate", "ferny"):
        return blade_leaves(rng, shape, colour, at, angle, length, width, **look)
    k = {"pinnate": 9, "palmate": 5, "ferny": 14}[shape]
    n, place = len(at), np.arange(k)
    along = np.stack([np.cos(angle), np.sin(angle)], 1) * length[:, None]
    if shape == "palmate":
        step, turn = np.zeros(k), np.linspace(-1.1, 1.1, k)
        part = length[:, None] * np.cos(turn * 0.7)
        thin = 0.22
    else:
        step = np.append(np.repeat(np.linspace(0.15, 0.8, k // 2), 2), 0.75 * np.ones(k % 2))
        turn = np.where(place % 2, 1, -1) * 0.9 * (step < 0.8) * (place < k - 1)
        part = length[:, None] * np.where(place < k - 1, 0.42 - 0.2 * step, 0.3)
        thin = 0.4 if shape == "pinnate" else 0.1
    foot = (at[:, None] + along[:, None] * step[:, None]).reshape(-1, 2)
    part, angle = part.ravel(), (angle[:, None] + turn + rng.normal(0, 0.08, (n, k))).ravel()
    leaflets = blade_leaves(
        rng, "ovate" if shape == "pinnate" else "lanceolate", colour, foot, angle, part, thin * part, **look
    )
    stalks = blade_leaves(rng, "linear", colour, at, np.arctan2(along[:, 1], along[:, 0]), 0.9 * length, 0.012 * length, **look)
    stalks[:, [INDEX["cx"], INDEX["cy"]]] = 0
    return np.concatenate([stalks, leaflets]) if shape != "palmate" else leaflets


def _some_leaves(rng, horizon, leaf, tint):
    n = int(rng.integers(4, 26))
    at = np.stack([rng.uniform(-0.2, 1.2, n), rng.uniform(min(horizon, 0.6) - 0.1, 1.2, n)], 1)
    shape = leaf if rng.random() < 0.5 else str(rng.choice(list(LEAF_WIDTH)))
    upright = shape == "linear" or rng.random() < 0.3
    angle = rng.normal(-np.pi / 2, 0.4, n) if upright else rng.uniform(0, 2 * np.pi, n)
    return leaves(rng, shape, tint, at, angle, rng.uniform(0.15, 0.6) * rng.uniform(0.6, 1.4, n))


def _grass(rng, horizon, leaf, tint):
    n = int(rng.integers(25, 70))
    low = np.sort(rng.uniform(max(horizon, 0.0), 1.15, n))
    length = (0.08 + 0.35 * (low - horizon)) * rng.uniform(0.6, 1.3, n)
    at = np.stack([rng.uniform(-0.1, 1.1, n), low], 1)
    return leaves(rng, "linear", tint, at, rng.normal(-np.pi / 2, 0.35, n), length, rng.uniform(0.02, 0.06))


def _stones(rng, horizon, leaf, tint):
    n = int(rng.integers(20, 80))
    y = np.sort(rng.uniform(max(horizon, -0.1), 1.1, n))
    r = rng.uniform(0.012, 0.06) * rng.uniform(0.4, 1.3, n) * (0.4 + 0.6 * np.clip(y, 0, 1))
    flat = rng.uniform(0.5, 1.0, n)
    colour = shades(rng, rgb(str(rng.choice(["7a6a58", "8a867c", "5a4636", "a89c88", "6a4a36"]))), n, 0.3)
    shape = {"peak": 0.5, "base": 0.0, "tip": 1.0, "cup": 1.2, "arch": 1.2, "lit_along": -0.8, "lit_across": rng.normal(0, 0.6)}
    return blades(n, x=rng.uniform(-0.05, 1.05, n), y=y - r * flat, ay=2 * r * flat, bx=r, texture=0.5, shadow=0.7,
                  shadow_reach=0.4 * r, phase=rng.uniform(0, 6, n), **shape, **paint_of(colour))  # fmt: skip


def _trunks(rng, horizon, leaf, tint):
    """Trees far away: round dark crowns above the horizon."""
    n = int(rng.integers(2, 9))
    x, r = rng.uniform(-0.1, 1.1, n), rng.uniform(0.04, 0.2, n)
    crown = {"peak": 0.5, "base": 0.0, "tip": 1.0, "cup": 1, "arch": 1, "lit_along": -0.7}
    crown |= {"wave": 0.08, "shadow": 0, "texture": 0.8}
    green = shades(rng, rgb(str(rng.choice(GREENS))) * 0.6, n, 0.2)
    return blades(n, x=x, y=horizon - 1.6 * r, ay=1.9 * r, bx=r, phase=rng.uniform(0, 6, n), **crown, **paint_of(green))


def _lights(rng, horizon, leaf, tint):
    """Spots of light between far leaves, round when out of focus."""
    n = int(rng.integers(3, 20))
    r = rng.uniform(0.01, 0.05, n)
    glow = rng.choice([[1.0, 1.0, 0.85], [0.7, 0.9, 0.4], [0.8, 0.9, 1.0]]) * rng.uniform(0.4, 1.0, (n, 1))
    spot = {"base": 0, "tip": 1, "shadow": 0, "lit": 1, "opacity": rng.uniform(0.3, 0.9, n), "texture": 0, "occlusion": 0}
    return blades(n, x=rng.uniform(0, 1, n), y=rng.uniform(-0.1, 0.8, n), ay=2 * r, bx=r, **spot, **paint_of(glow))


def _blossoms(rng, horizon, leaf, tint):
    """Flowers of other kinds, too far away to be more than dabs of one colour."""
    n = int(rng.integers(4, 40))
    y = np.sort(rng.uniform(max(horizon, 0.0), 1.0, n))
    r = rng.uniform(0.008, 0.05) * (0.4 + 0.8 * y) * rng.uniform(0.7, 1.3, n)
    hues = ("f0f0ec", "f4d030", "d83048", "e878b0", "8060c0", "f08828", "b8b0e0", "5060c0")
    colour = shades(rng, rgb(str(rng.choice(hues))), n, 0.12)
    at = np.stack([rng.uniform(-0.05, 1.05, n), y], 1)
    dab = {"stripe": 0, "vein": 0, "fold": 0, "occlusion": 0, "shadow": 0.3}
    rows = blade_leaves(rng, "orbicular", "ffffff", at, rng.uniform(0, 6.28, n), 2 * r, 0.9 * r, **dab)
    for channel, name in enumerate("rgb"):
        for prefix in ("", "tip_", "base_"):
            rows[:, INDEX[prefix + name]] = colour[:, channel]
    return rows


def _bricks(rng, horizon, leaf, tint):
    size = rng.uniform(0.12, 0.3)
    rows, columns = int(1.2 / (0.4 * size)) + 1, int(1.2 / size) + 2
    i, j = (m.ravel() for m in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    colour = shades(rng, rgb(str(rng.choice(["9a5a48", "b08a70", "8a8680", "c8c0b4"]))), len(i), 0.12)
    x, y = (j - 0.5 * (i % 2)) * size - 0.1, i * 0.4 * size - 0.05
    flat = {"cup": 0, "crease": 0, "occlusion": 0, "texture": 0.5, "tip": 2.5, "base": 1.0, "shadow_reach": 0.01}
    return blades(len(i), x=x, y=y, ax=0.95 * size, by=0.18 * size, phase=rng.uniform(0, 6, len(i)), **flat, **paint_of(colour))


def _planks(rng, horizon, leaf, tint):
    n = int(rng.integers(4, 10))
    colour = shades(rng, rgb(str(rng.choice(["8a7258", "6a5a4a", "a89478", "d8d4cc"]))), n, 0.12)
    flat = {"cup": 0.2, "crease": 0, "occlusion": 0, "texture": 0.5, "tip": 2.5, "base": 1.0, "veins": 5, "vein": 0.3}
    place = {"x": (np.arange(n) + 0.5) / n, "y": -0.1, "ay": 1.3, "bx": 0.48 / n}
    return blades(
        n, **place, phase=rng.uniform(0, 6, n), shadow_reach=0.012, **flat, **paint_of(colour, None, None, colour * 0.5)
    )


def _pads(rng, horizon, leaf, tint):
    """Round leaves that float on water, seen at a slant."""
    n = int(rng.integers(3, 12))
    at = np.stack([rng.uniform(-0.1, 1.1, n), np.sort(rng.uniform(0.1, 1.1, n))], 1)
    r = rng.uniform(0.1, 0.22) * rng.uniform(0.7, 1.2, n) * (0.5 + 0.6 * at[:, 1])
    flat = {"lit": 0.6, "fold": 0, "notch": 0.25, "occlusion": 0}
    return leaves(rng, "orbicular", tint, at, rng.normal(0, 0.2, n) + np.pi * rng.integers(0, 2, n), 2 * r, 0.25, **flat)


EXTRAS = {
    "leaves": _some_leaves, "grass": _grass, "stones": _stones, "trunks": _trunks, "lights": _lights, "blossoms": _blossoms,
    "bricks": _bricks, "planks": _planks, "pads": _pads,
}  # fmt: skip


def background(rng, ground: Ground, leaf: str, leaf_colour: str):
    """Colours (4, 3), horizon (height, softness) and the rows that stand in the ground."""
    colours = np.stack([rgb(c) for c in ground.colours.split()])
    colours = colours * np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, (4, 3)))
    horizon = rng.uniform(*ground.horizon)
    rows = [blades(0)]
    for name in ground.extras:
        if rng.random() < (0.8 if name in ("bricks", "planks", "grass", "leaves", "pads") else 0.4):
            tint = leaf_colour if rng.random() < 0.6 else str(rng.choice(GREENS))
            rows.append(EXTRAS[name](rng, horizon, leaf, tint))
    return colours, np.array([horizon, rng.choice([0.02, 0.1, 0.4])]), np.concatenate(rows)
