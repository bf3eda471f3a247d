"""Compose and render pictures of a species: blooms, buds, stems and leaves before a garden, light and camera.

`render` draws a batch of pictures. Each picture depends on its own random generator only, not on its batch.
"""

from typing import NamedTuple

import numpy as np

from tools.camera import develop, disc_blur, fill
from tools.forms import DEG, FORMS, balls, outline, paint, petals, pick, rgb, shades, spin
from tools.gardens import background, foliage, leaf_mass, pick_ground
from tools.rasterizer import rasterize
from tools.species import SPECIES, Species, pick_colors
from tools.surfaces import (
    ACROSS,
    BELL,
    BEND,
    BLOOM,
    CURL,
    KIND,
    LOBES,
    MIDRIB,
    POINT,
    RISE,
    TUBE,
    X,
    Y,
    Z,
    cross,
    look_at,
    place,
    surfaces,
)

UPRIGHT = ("spike", "cone", "plume", "bird", "arum")  # forms that stand along the direction of growth
ROSETTE = ("linear", "sword", "obovate", "pad")  # leaves that rise from the ground


class Crowd(NamedTuple):
    """Many blooms in one picture; lengths in picture widths."""

    number: tuple  # fewest, and one more than the most
    largest: tuple  # range of a near bloom's radius
    far: float  # radius at the far end, relative to the largest
    nearness: float  # 1: spread evenly over the picture; more: crowded at the far end
    horizon: bool  # the far end is the horizon, not the upper edge


CROWDS = {"bed": Crowd((6, 13), (0.12, 0.2), 0.7, 1.0, False), "field": Crowd((14, 32), (0.08, 0.14), 0.25, 1.5, True)}


class Mood(NamedTuple):
    """A kind of light: linear RGB of the sun, the sky and what the ground throws back; radius of the shadows' edges."""

    sun: tuple
    sky: tuple
    ground: tuple
    softness: float
    likely: float


MOODS = {
    "sunny": Mood((2.5, 2.3, 2.0), (0.5, 0.6, 0.75), (0.2, 0.22, 0.12), 0.01, 0.34),
    "hazy": Mood((1.6, 1.5, 1.35), (0.75, 0.8, 0.85), (0.25, 0.27, 0.18), 0.04, 0.3),
    "overcast": Mood((0.6, 0.6, 0.6), (1.1, 1.12, 1.15), (0.35, 0.37, 0.28), 0.1, 0.16),
    "shade": Mood((0.35, 0.36, 0.34), (0.85, 0.95, 1.05), (0.25, 0.3, 0.18), 0.08, 0.08),
    "evening": Mood((2.4, 1.95, 1.4), (0.45, 0.5, 0.62), (0.25, 0.2, 0.12), 0.015, 0.12),
}


class Scene(NamedTuple):
    """What one picture is made of; see `tools.surfaces` for rows and units."""

    colors: np.ndarray  # (4, 3) of the ground
    horizon: np.ndarray  # (2,)
    clouds: np.ndarray  # (3,) scale and offset in the noise
    layers: tuple  # far, near, sharp and front: rows
    blur: np.ndarray  # (4,) radius of the blur of each layer in picture widths
    light: np.ndarray  # (3,) direction to the sun
    sun: np.ndarray  # (3,)
    sky: np.ndarray  # (3,)
    ground: np.ndarray  # (3,)
    softness: float
    camera: dict  # exposure, contrast, saturation, white balance, noise, vignette


# ---- one plant -----------------------------------------------------------------------------------------------------


def _up(rng, species):
    """The direction of growth as the camera sees it, (3,): upwards, towards the camera if it looks down."""
    steep = species.form in UPRIGHT or species.tilt[1] >= 95
    pitch = (rng.uniform(0, 25) if steep else rng.uniform(20, 55) if species.water else rng.uniform(0, 60)) * DEG
    return np.array([rng.normal(0, 0.05), -np.cos(pitch), np.sin(pitch)])


def _facing(rng, species, view):
    """The direction a bloom looks in: `tilt` away from the camera, mostly upwards."""
    low, high = species.tilt
    if view == "field" or (rng.random() < species.setting.sideways and species.form in ("open_flower", "trumpet", "brush")):
        low, high = max(low, 35), max(high, 80)
    theta = rng.uniform(low, high) * DEG
    pendant = species.tilt[1] >= 95
    turn = (np.pi / 2 if pendant else -np.pi / 2) + rng.normal(0, 0.2 if pendant else 0.5 if theta > 0.6 else 1.5)
    return np.array([np.sin(theta) * np.cos(turn), np.sin(theta) * np.sin(turn), np.cos(theta)])


def _spun(rng, facing, spread):
    """A rotation (3, 3) that turns z to `facing`, with a random turn around it."""
    return look_at(facing) @ spin(rng.normal(0, spread))


def _reach(rows):
    """Least and greatest corner (3,) of the rows, roughly: from their bases and tips, a blade as wide as 0.7 |b|."""
    a, b, point = rows[:, MIDRIB], rows[:, ACROSS], rows[:, POINT]
    long, wide = (np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    mean = 0.5 * rows[:, [BEND]] + 0.3 * rows[:, [CURL]]  # angle by which the chord of the midrib is turned
    angle, round_ = rows[:, [RISE]] - mean, rows[:, [KIND]] == BELL
    wide = np.where(round_, 0.98 * (wide + long * np.cos(angle)), 0.7 * wide)
    tip = point + np.where(round_, np.sin(angle), np.sinc(mean / np.pi)) * a
    base = point - 1.2 * rows[:, [LOBES]] * a
    return np.minimum(base, tip - wide).min(0), np.maximum(base, tip + wide).max(0)


class Model(NamedTuple):
    """A bloom turned as it stands in the picture, centered on the origin, of radius 1."""

    rows: np.ndarray
    foot: np.ndarray  # (3,) where its stem begins
    stem: np.ndarray  # (3,) and the direction in which it leaves


def _model(rows, rotation):
    central = np.hypot(rows[:, X], rows[:, Y]) < 0.12
    base = min(rows[central, Z].min(initial=0.0) + 0.02, -0.06)  # lowest point on the axis: there the stem begins
    rows = place(rows, np.zeros(3), 1.0, rotation)
    rows[:, BLOOM] = rows[:, BLOOM] >= 0  # stems within a bloom are marked -1
    low, high = _reach(rows[rows[:, BLOOM] > 0])
    scale = 2 / max(high[0] - low[0], high[1] - low[1])
    middle = 0.5 * (low + high)
    middle[2] = 0
    rows = place(rows, -middle * scale, scale)
    return Model(rows, (base * rotation[:, 2] - middle) * scale, -rotation[:, 2])


def _bloom(rng, species, colors, up, view):
    """A bloom of the species in a random pose."""
    rows = FORMS[species.form](rng, colors, **species.options)
    return _model(rows, _pose(rng, species, up, view))


def _pose(rng, species, up, view):
    if species.form == "arum":  # one looks into the funnel
        up = up + [0, 0, rng.uniform(0.2, 0.6)]
    if species.form in UPRIGHT:
        faced = species.form in ("bird", "arum") or species.options.get("one_sided")
        return _spun(rng, up + rng.normal(0, 0.08, 3), 0.35 if faced else 3.0)
    return _spun(rng, _facing(rng, species, view), 0.15)


def _bud(rng, colors):
    """A closed bud: petals folded together above a green calyx."""
    turn = np.arange(4) * np.pi / 2
    main = outline("ovate") | paint(shades(rng, 0.8 * colors[0] + 0.2 * rgb("7a9a50"), 4)) | {"through": 0.5, "cup": 0.9}
    green = outline("acuminate") | paint(shades(rng, rgb("5f8a40"), 4)) | {"cup": 0.6, "bend": -0.3}
    body = petals(turn, 70 * DEG, 1.5, 0.5, radius=0.1, height=-0.6, bend=-0.7, **main)
    calyx = petals(turn + 0.7, 62 * DEG, rng.uniform(0.7, 1.1), 0.3, radius=0.15, height=-0.65, **green)
    return np.concatenate([body, calyx, balls([0, 0, -0.6], 0.25, rgb("5f8a40"))])


def _stem(rng, foot, away, up, radius, color):
    """A stem that leaves `foot` in the direction `away`, turns down and leaves the picture: rows, point where it runs down."""
    down = -up + rng.normal(0, 0.08, 3) * [1, 0.3, 1]
    down /= np.linalg.norm(down)
    away = away / np.linalg.norm(away)
    if np.arccos(np.clip(away @ down, -1, 1)) > 2.6:  # a hook over a hanging bloom: to one side
        down = down + [rng.choice([-0.5, 0.5]), 0, 0]
        down /= np.linalg.norm(down)
    angle = np.arccos(np.clip(away @ down, -1, 1))
    side = down - (down @ away) * away
    side /= np.linalg.norm(side) + 1e-9
    turn = radius * rng.uniform(0.3, 0.6)
    thick = max(radius * rng.uniform(0.03, 0.05), 0.006)
    end = foot + turn * (np.sin(angle) * away + (1 - np.cos(angle)) * side)
    look = outline("tube") | paint(shades(rng, rgb(color), 1, 0.16)) | {"kind": TUBE, "through": 0.3, "gloss": 0.1}
    rows = []
    for start, a, bend in ((foot, away * turn * max(angle, 0.05), angle), (end, down * 1.6, 0.0)):
        b = cross(-side, a)
        b *= thick / (np.linalg.norm(b) + 1e-9)
        row = surfaces(1, bend=bend, **look)
        row[:, POINT], row[:, MIDRIB], row[:, ACROSS] = start, a, b
        rows.append(row)
    return np.concatenate(rows), end


def _leaves(rng, species, at, top, radius, up):
    """Leaves of one plant: along its stem, or from the ground up; more of them in a thicket."""
    n = int(rng.integers(2, 7)) + (int(rng.integers(6, 14)) if rng.random() < species.setting.thicket else 0)
    length = radius * rng.uniform(1.0, 2.0, n)
    azimuth = rng.uniform(0, 2 * np.pi, n)
    behind = at[2] - 1.2 * radius  # as seen from the camera, so that leaves do not hide the bloom
    if species.leaf in ROSETTE:
        foot = top - up * radius * (0.2 if species.water else 1.6) + rng.normal(0, 0.7, (n, 3)) * radius * [1, 0.2, 0.5]
        steep = {"pad": 0.0, "obovate": 0.6}.get(species.leaf, 1.25)
        longer = 1.0 if species.water or species.leaf == "obovate" else 1.9
        foot[:, 2] = behind
        return foliage(
            rng, species.leaf, rgb(species.leaf_color), foot, azimuth, rng.normal(steep, 0.2, n), longer * length, up
        )
    along = rng.uniform(0.3, 2.2, (n, 1)) * radius
    spot = top - up * along + rng.normal(0, 0.5, (n, 3)) * radius * (np.arange(n)[:, None] >= 6)
    spot[:, 2] = behind
    return foliage(rng, species.leaf, rgb(species.leaf_color), spot, azimuth, rng.uniform(0.1, 0.8, n), length, up)


def _plant(rng, species, model, at, radius, up, leafy=True):
    """A bloom at `at` (3,) on its stem among its leaves."""
    rows = [place(model.rows, at, radius)]
    if species.water:
        top = at
    else:
        stem, top = _stem(rng, at + radius * model.foot, model.stem, up, radius, species.leaf_color)
        rows.append(stem)
    if leafy:
        rows.append(_leaves(rng, species, at, top, radius, up))
    return np.concatenate(rows)


# ---- the picture ---------------------------------------------------------------------------------------------------


def _apart(rng, n, radius, reach):
    """Centers (n, 2) that keep the blooms mostly apart and mostly in the picture."""
    spots = []
    for _ in range(n):
        for attempt in range(30):
            at = np.array([0.5, 0.48]) + rng.uniform(-reach, reach, 2) * (1.7 if rng.random() < 0.15 else 1)
            if all(np.hypot(*(at - other)) > 1.7 * radius * (1 - attempt / 40) for other in spots):
                break
        spots.append(at)
    return np.array(spots)


def _layout(rng, species, view, horizon):
    """Centers (n, 3) and radii (n,) of the blooms."""
    size = species.size
    if view in ("portrait", "macro"):
        radius = min(size * rng.uniform(0.3, 0.46), 0.48) if view == "portrait" else size * rng.uniform(0.5, 0.8)
        reach = 0.07 if view == "portrait" else 0.3 * radius
        return np.array([[0.5, 0.48, 0]]) + rng.uniform(-reach, reach, (1, 3)) * [1, 1, 0], np.array([radius])
    if view == "few":
        n = int(rng.integers(2, max(species.blooms[1], 2) + 1))
        radius = size * rng.uniform(0.3, 0.46) / np.sqrt(n)
        at = _apart(rng, n, radius, 0.33)
        radii = radius * np.exp(rng.normal(0, 0.14, n))
    else:
        at, radii = _crowd(rng, size, CROWDS[view], horizon)
    depth = 0.6 * (at[:, 1] - 0.5) + rng.uniform(-1, 1, len(at)) * radii
    return np.concatenate([at, depth[:, None]], 1), radii


def _crowd(rng, size, crowd, horizon):
    """Centers and radii of many blooms: the further down in the picture, the nearer and larger."""
    n = int(rng.integers(*crowd.number))
    top = np.clip(horizon, 0.15, 0.6) if crowd.horizon else 0.0
    near = rng.uniform(0, 1, n) ** crowd.nearness
    radii = size * rng.uniform(*crowd.largest) * (crowd.far + near * (1 - crowd.far)) * np.exp(rng.normal(0, 0.1, n))
    return np.stack([rng.uniform(-0.03, 1.03, n), top + (1.02 - top) * near], 1), radii


def _plants(rng, species, models, view, horizon, up):
    """All labeled blooms with their stems, buds and leaves."""
    centers, radii = _layout(rng, species, view, horizon)
    rows = []
    budding = rng.random() < 0.35 and species.form in ("open_flower", "trumpet", "parts") and not species.water
    for i, (at, radius) in enumerate(zip(centers, radii, strict=True)):
        rows.append(_plant(rng, species, models[i % len(models)], at, radius, up, view != "macro" and i < 5))
        if budding and i < 3:
            small = radius * rng.uniform(0.16, 0.3)
            spot = at + np.append(rng.choice([-1, 1], 2) * rng.uniform(0.6, 1.1, 2) * radius, -0.6 * radius)
            bud = _model(_bud(rng, pick_colors(species, rng)), _spun(rng, up + rng.normal(0, 0.4, 3), 1.0))
            bud.rows[:, BLOOM] = 0
            rows.append(_plant(rng, species, bud, spot, small, up, False))
    return np.concatenate(rows)


def _neighbors(rng, species, models, up, leaves):
    """Unlabeled blooms of the same species and its leaves further back, that the blur will melt away."""
    rows = [leaf_mass(rng, species.leaf, species.leaf_color, up, leaves, (-0.75, -0.4), 0.1)]
    if rng.random() < species.setting.neighbors:
        for _ in range(int(rng.integers(1, 5))):
            at = np.array([*rng.uniform(-0.05, 1.05, 2), rng.uniform(-0.7, -0.45)])
            rows.append(_plant(rng, species, models[-1], at, rng.uniform(0.1, 0.22) * species.size, up, False))
    rows = np.concatenate(rows)
    rows[:, BLOOM] = 0
    return rows


def _strangers(rng, species, up):
    """Now and then blooms of another species at the edges of the picture, as in a mixed border."""
    rows = [surfaces(0)]
    if rng.random() < species.setting.strangers:
        others = [other for other in SPECIES.values() if other.water == species.water and other.name != species.name]
        for _ in range(int(rng.integers(1, 3))):
            other = others[int(rng.integers(len(others)))]
            model = _bloom(rng, other, pick_colors(other, rng), up, "few")
            for _ in range(int(rng.integers(1, 3))):
                angle = rng.uniform(0, 2 * np.pi)
                at = np.array([0.5 + 0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle), -0.6])
                rows.append(_plant(rng, other, model, at, rng.uniform(0.09, 0.17) * other.size, up, False))
    rows = np.concatenate(rows)
    rows[:, BLOOM] = 0
    return rows


def _occluder(rng, species, up):
    """Now and then an out-of-focus leaf in front of everything."""
    if rng.random() > species.setting.occluded:
        return surfaces(0)
    n = int(rng.integers(1, 4))
    at = np.stack(
        [rng.choice([rng.uniform(-0.1, 0.3), rng.uniform(0.7, 1.1)], n), rng.uniform(0.8, 1.2, n), np.full(n, 0.8)], 1
    )
    return foliage(rng, species.leaf, rgb(species.leaf_color), at, rng.uniform(0, 6.28, n), rng.normal(1.0, 0.3, n),
                   rng.uniform(0.3, 0.7, n), up)  # fmt: skip


def _light(rng, setting):
    """Direction to the sun (3,): mostly from above and before the flower, at times from behind it."""
    depth = rng.uniform(0.3, 1.0) if rng.random() < 1 - setting.backlit else rng.uniform(-0.8, -0.2)
    light = np.array([rng.uniform(-0.9, 0.9), -rng.uniform(0.3, 1.0), depth])
    return light / np.linalg.norm(light)


def _camera(rng, setting):
    return {
        **{"exposure": np.exp(rng.normal(0.0, setting.exposure)), "contrast": np.exp(rng.normal(0.0, 0.08))},
        **{"saturation": rng.uniform(0.8, 1.0), "white": np.exp(rng.normal(0, 0.035, 3)), "soft": rng.uniform(0.003, 0.006)},
        **{"noise": rng.uniform(0, 0.012), "vignette": rng.uniform(0, 0.3), "seed": int(rng.integers(1 << 31))},
    }


def compose(species: Species, rng: np.random.Generator) -> Scene:
    """One picture of the species; everything random comes from `rng`."""
    view = pick(rng, species.setting.views | ({"few": 0, "bed": 0, "field": 0} if species.blooms[1] == 1 else {}))
    up, mood = _up(rng, species), MOODS[pick(rng, {name: mood.likely for name, mood in MOODS.items()})]
    colors = pick_colors(species, rng)
    models = [_bloom(rng, species, colors, up, view)]
    if view not in ("portrait", "macro"):
        for _ in range(2):
            models.append(_bloom(rng, species, colors if rng.random() < 0.7 else pick_colors(species, rng), up, view))
    ground = pick_ground(rng, species.water)
    below, horizon, far = background(rng, ground, species.leaf, species.leaf_color, up)
    leaves = int(rng.uniform(2, 32) * min(ground.green + 0.1, 1))
    near = _neighbors(rng, species, models, up, leaves) if ground.green > 0 else surfaces(0)
    sharp = np.concatenate([_plants(rng, species, models, view, horizon[0], up), _strangers(rng, species, up)])
    open_ = rng.choice([0.3, 1.0, 1.0, 1.6]) * rng.uniform(0.7, 1.3)  # how wide the lens is open
    light, sun = _light(rng, species.setting), rng.uniform(0.8, 1.15) * np.array(mood.sun) * np.exp(rng.normal(0, 0.04, 3))
    return Scene(
        below, horizon, np.array([rng.uniform(3, 10), *rng.uniform(0, 256, 2)]),
        (far, near, sharp, _occluder(rng, species, up)), np.array([0.045 * open_, 0.018 * open_, 0, 0.04 * open_ + 0.01]),
        light, sun, np.array(mood.sky) * np.exp(rng.normal(0, 0.04, 3)),
        np.array(mood.ground), mood.softness * rng.uniform(0.7, 1.4), _camera(rng, species.setting),
    )  # fmt: skip


# ---- rendering -----------------------------------------------------------------------------------------------------


def render(scenes: list[Scene], size: int, samples: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, size, size, 3) in sRGB and masks of the labeled blooms, bool (n, size, size).

    samples: per pixel and axis in the sharp layer; the blurred layers need only one.
    """
    colors, horizon, clouds, light, sun, sky, ground, softness, blur = (
        np.array([getattr(s, name) for s in scenes], np.float32)
        for name in ("colors", "horizon", "clouds", "light", "sun", "sky", "ground", "softness", "blur")
    )
    canvas = fill(size, colors, horizon, clouds) * (0.25 * sun.mean(1) + 0.8 * sky.mean(1))[:, None, None, None]
    masks = np.zeros(canvas.shape[:3], np.float32)
    for i in range(4):
        layer = rasterize([s.layers[i] for s in scenes], size, samples if i == 2 else 1, light, sun, sky, ground, softness)
        radius = blur[:, i] * size if i != 2 else np.array([s.camera["soft"] * size for s in scenes])
        disc_blur(layer, radius)
        clear = 1 - layer[..., 3:4]
        canvas = canvas * clear + layer[..., :3]
        masks = masks * clear[..., 0] + layer[..., 4]
    return develop(canvas, masks, [s.camera for s in scenes]), masks > 0.5


def draw(species: list, seeds: list, size: int = 128, samples: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and masks (see `render`) of a list of species, each drawn from its own seed (any numpy seed)."""
    scenes = [compose(s, np.random.default_rng(seed)) for s, seed in zip(species, seeds, strict=True)]
    return render(scenes, size, samples)
