"""Compose and render pictures of a species: blooms, buds, stems and leaves before a garden, light and camera.

`render` draws a batch of pictures. Each picture depends on its own random generator only, not on its batch.
"""

from typing import NamedTuple

import numpy as np

from tools.blades import INDEX, blades, blur, dapple, fill, paint
from tools.forms import DEG, FORMS, Frame, look_at, outline, paint_of, petals, pick, rgb, shades, sorted_by_depth
from tools.gardens import background, leaves, pick_ground
from tools.species import SPECIES, Species, pick_colours

LENGTHS = [INDEX[name] for name in ("x", "y", "ax", "ay", "bx", "by", "cx", "cy", "shadow_reach", "soft", "depth")]
VECTORS = [(INDEX[a], INDEX[b]) for a, b in (("x", "y"), ("ax", "ay"), ("bx", "by"), ("cx", "cy"))]
COLOURS = [INDEX[name] for name in ("r", "g", "b", "tip_r", "tip_g", "tip_b", "base_r", "base_g", "base_b")]
UPRIGHT = ("spike", "plume", "bird")  # forms that always stand


class Crowd(NamedTuple):
    """Many blooms in one picture; lengths in picture widths."""

    number: tuple  # fewest, and one more than the most
    largest: tuple  # range of a near bloom's radius
    far: float  # radius at the far end, as a share of the largest
    gain: float  # and how much of it comes in on the way here
    nearness: float  # 1: spread evenly over the picture; more: crowded at the far end
    horizon: bool  # the far end is the horizon, not the upper edge


CROWDS = {
    "bed": Crowd((6, 15), (0.12, 0.2), 0.75, 0.4, 1.0, False),
    "field": Crowd((14, 40), (0.07, 0.14), 0.2, 0.8, 1.5, True),
}


class Scene(NamedTuple):
    """What one picture is made of; see `tools.blades` for rows and units."""

    colours: np.ndarray  # (4, 3) of the ground
    horizon: np.ndarray  # (2,)
    clouds: np.ndarray  # (3,) scale and offset in the noise
    layers: tuple  # far, near and front: (rows, blur in picture widths), back to front
    sun: np.ndarray  # (3,)
    sky: np.ndarray  # (3,)
    toward: np.ndarray  # (2,) direction of the light in the picture
    dapple: np.ndarray  # (4,) strength, scale and offset
    camera: dict  # exposure, contrast, white balance, softness, noise, vignette


def _light(rng, setting):
    """Direction to the sun (3,): mostly from above and before the flower, at times from behind it."""
    depth = rng.uniform(0.4, 1.1) if rng.random() < 1 - setting.backlit else rng.uniform(-0.7, 0.1)
    light = np.array([rng.uniform(-0.8, 0.8), -rng.uniform(0.2, 1.0), depth])
    return light / np.linalg.norm(light)


def _facing(rng, species, view):
    """The direction a bloom looks in (view space): `tilt` away from the looker, mostly upwards."""
    low, high = species.tilt
    if view == "field" or (rng.random() < species.setting.sideways and species.form in ("open_flower", "brush")):
        low, high = max(low, 35), max(high, 80)
    theta = rng.uniform(low, high) * DEG
    pendant = species.tilt[1] >= 95
    turn = (np.pi / 2 if pendant else -np.pi / 2) + rng.normal(0, 0.2 if pendant else 0.5 if theta > 0.6 else 1.5)
    return np.array([np.sin(theta) * np.cos(turn), np.sin(theta) * np.sin(turn), np.cos(theta)])


def _bloom(rng, species, colours, light, view):
    """One bloom at the origin with radius 1: rows and the direction it faces."""
    facing = _facing(rng, species, view)
    roll = rng.normal(0, 0.12)
    roll = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    frame = Frame(0.0, 0.0, 1.0, roll @ look_at(facing), light)
    rows = FORMS[species.form](frame, rng, colours, **species.options)
    return _centred(rows), frame.rotation[:, 2]


def _centred(rows):
    """Move a bloom so that the middle of what is seen of it lies at the origin."""
    feet = rows[:, [INDEX["x"], INDEX["y"]]]
    tips = rows[:, [INDEX["ax"], INDEX["ay"]]] + rows[:, [INDEX["cx"], INDEX["cy"]]]
    ends = feet, feet + tips
    middle = 0.5 * (np.minimum(*ends).min(0) + np.maximum(*ends).max(0))
    rows[:, [INDEX["x"], INDEX["y"]]] -= middle
    return rows


def _bud(rng, colours, light):
    """A closed bud at the origin: petals folded together above a green calyx."""
    lean = rng.normal(0, 0.4)
    frame = Frame(0.0, 0.0, 1.0, look_at([np.sin(lean), -1.0, 0.25]), light)
    turn = np.arange(4) * np.pi / 2 + rng.uniform(0, 6)
    main = outline("ovate") | paint_of(shades(rng, 0.75 * colours[0] + 0.25 * rgb("7a9a50"), 4)) | {"through": 0.4}
    green = outline("acuminate") | paint_of(shades(rng, rgb("5f8a40"), 4))
    tall = rng.uniform(0.7, 1.1)
    body = petals(frame, turn, 78 * DEG, tall, 0.26, radius=0.12, bend=-0.35, **main)
    calyx = petals(frame, turn + 0.7, 72 * DEG, rng.uniform(0.35, 0.8), 0.2, radius=0.12, bend=-0.3, bias=0.3, **green)
    rows = sorted_by_depth(body, calyx)
    rows[:, INDEX["bloom"]] = 0
    return rows


def placed(rows, at, radius, turn=0.0, tint=1.0):
    """Rows made at the origin with radius 1, turned, scaled, tinted and moved to `at`."""
    rows = rows.copy()
    rows[:, LENGTHS] *= radius
    c, s = np.cos(turn), np.sin(turn)
    for a, b in VECTORS:
        rows[:, a], rows[:, b] = c * rows[:, a] - s * rows[:, b], s * rows[:, a] + c * rows[:, b]
    rows[:, INDEX["x"]] += at[0]
    rows[:, INDEX["y"]] += at[1]
    rows[:, COLOURS] *= tint
    return rows


def _apart(rng, n, radius, reach):
    """Centres (n, 2) that keep the blooms mostly apart and mostly in the picture."""
    spots = []
    for _ in range(n):
        for attempt in range(30):
            at = np.array([0.5, 0.48]) + rng.uniform(-reach, reach, 2) * (1.7 if rng.random() < 0.15 else 1)
            if all(np.hypot(*(at - other)) > 1.5 * radius * (1 - attempt / 40) for other in spots):
                break
        spots.append(at)
    return np.array(spots)


def _layout(rng, species, view, horizon):
    """Centres (n, 2) and radii (n,) of the blooms, far ones first."""
    size = species.size * (0.8 if species.form in UPRIGHT else 1)
    if view in ("portrait", "macro"):
        radius = size * (rng.uniform(0.24, 0.46) if view == "portrait" else rng.uniform(0.5, 0.85))
        reach = 0.08 if view == "portrait" else 0.3 * radius
        return np.array([[0.5, 0.48]]) + rng.uniform(-reach, reach, (1, 2)), np.array([radius])
    if view == "few":
        n = int(rng.integers(2, max(species.blooms[1], 2) + 1))
        radius = size * rng.uniform(0.3, 0.48) / np.sqrt(n)
        at = _apart(rng, n, radius, 0.36)
        radii = radius * np.exp(rng.normal(0, 0.14, n))
    else:
        at, radii = _crowd(rng, size, CROWDS[view], horizon)
    order = np.argsort(at[:, 1])
    return at[order], radii[order]


def _crowd(rng, size, crowd, horizon):
    """Centres and radii of many blooms: the further down in the picture, the nearer and larger."""
    n = int(rng.integers(*crowd.number))
    top = np.clip(horizon, 0.15, 0.6) if crowd.horizon else 0.0
    y = top + (1.02 - top) * rng.uniform(0, 1, n) ** crowd.nearness
    near = (y - top) / (1.02 - top)
    radii = size * rng.uniform(*crowd.largest) * (crowd.far + near * crowd.gain) * np.exp(rng.normal(0, 0.1, n))
    return np.stack([rng.uniform(-0.03, 1.03, n), y], 1), radii


def _foot(rng, at, radius, pendant=False):
    """Where a bloom's stem leaves the picture: below, or above if the bloom hangs."""
    return np.array([at[0] + rng.normal(0, 0.1) * min(3 * radius, 1), -0.1 if pendant else 1.15])


def _stem(rng, at, radius, axis, foot, colour):
    """A curved stem from the bloom's back to `foot`."""
    top = at - 0.15 * radius * axis[:2]
    a = top - foot
    bend = np.array([-axis[0], 0]) * 0.3 * radius
    width = radius * rng.uniform(0.035, 0.065)
    b = np.array([-a[1], a[0]]) / (np.hypot(*a) + 1e-6) * width
    a = a - bend
    look = outline("tube") | {"cup": 1.0, "occlusion": 0, "lit_across": 0.5, "lit": 0.6, "shadow_reach": 0.01}
    look |= paint_of(shades(rng, rgb(colour) * np.exp(rng.normal(0, 0.2)), 1, 0.16))
    return blades(1, x=foot[0], y=foot[1], ax=a[0], ay=a[1], bx=b[0], by=b[1], cx=bend[0], cy=bend[1], **look)


def _cast_shadow(rng, at, radius, light):
    """The soft shadow of a bloom on what lies behind it."""
    away = at - 0.5 * radius * light[:2]
    r = radius * rng.uniform(0.8, 1.1)
    soft = {"soft": 1.1 * radius, "shadow": 0, "opacity": rng.uniform(0.15, 0.4), "texture": 0}
    return blades(1, x=away[0], y=away[1] - r, ay=2 * r, bx=r, base=0, tip=1, **soft)


def _foliage(rng, species, at, radius, foot, view):
    """Sharp leaves: a few along the stem of one bloom, or many around it."""
    few = view in ("bed", "field") or rng.random() < 1 - species.setting.thicket
    n = int(rng.integers(0, 8)) if few else int(rng.integers(10, 24))
    if view == "macro" or n == 0:
        return blades(0)
    length = radius * rng.uniform(1.0, 2.2, n)
    if species.leaf == "linear" and not species.water:
        length = length + 2 * radius * rng.uniform(0, 1, n)
        spot = at + rng.normal(0, 1.0, (n, 2)) * radius
        spot[:, 1] = at[1] + radius + 0.8 * length
        angle = rng.normal(-np.pi / 2, 0.25, n)
    elif few and not species.water:
        spot = at + rng.uniform(0.4, 1.0, n)[:, None] * (foot - at) * min(1.0, 4 * radius)
        angle = np.where(np.arange(n) % 2, -0.5, 0.5 - np.pi) + rng.normal(0, 0.4, n)
    else:
        spot, angle = at + rng.normal(0, 1.0, (n, 2)) * radius + [0, 0.7 * radius], rng.uniform(0, 2 * np.pi, n)
    if species.water:
        return leaves(rng, species.leaf, species.leaf_colour, spot, angle, length, 0.28, lit=0.6, fold=0)
    return leaves(rng, species.leaf, species.leaf_colour, spot, angle, length)


def _plants(rng, species, colours, light, view, horizon):
    """All labelled blooms with their shadows, stems, buds and leaves, the nearest last."""
    centres, radii = _layout(rng, species, view, horizon)
    kinds = 1 if len(centres) == 1 else 3
    tints = [colours if rng.random() < 0.8 else pick_colours(species, rng) for _ in range(kinds)]
    models = [_bloom(rng, species, tint, light, view) for tint in tints]
    budding = rng.random() < 0.3 and species.form in ("open_flower", "parts") and not species.water
    rows = []
    for i, (at, radius) in enumerate(zip(centres, radii, strict=True)):
        model, axis = models[i % kinds]
        foot = _foot(rng, at, radius, species.tilt[1] >= 95)
        behind = _foliage(rng, species, at, radius, foot, view)
        rows += [behind, _cast_shadow(rng, at, radius, light)] if len(behind) > 2 else [behind]
        if budding and rng.random() < 0.6:
            spot, small = at + rng.normal(0, 0.9, 2) * radius + [0, -0.2 * radius], radius * rng.uniform(0.35, 0.6)
            stalk = _stem(rng, spot, small, np.zeros(3), _foot(rng, spot, small), species.leaf_colour)
            rows += [stalk, placed(_bud(rng, colours, light), spot, small)]
        if not species.water:
            axis = np.zeros(3) if species.form in UPRIGHT else axis
            rows.append(_stem(rng, at, radius, axis, foot, species.leaf_colour))
        turn = 0.0 if species.form in UPRIGHT else rng.normal(0, 0.15)
        rows.append(placed(model, at, radius, turn, np.exp(rng.normal(0, 0.06))))
    return np.concatenate(rows)


def _neighbours(rng, species, colours, light):
    """Unlabelled blooms of the same kind and leaves further back, that the blur will melt away."""
    rows = [blades(0)]
    if rng.random() < 0.4:
        model, axis = _bloom(rng, species, colours, light, "few")
        model[:, INDEX["bloom"]] = 0
        for at in rng.uniform(-0.05, 1.05, (int(rng.integers(1, 5)), 2)):
            radius = rng.uniform(0.08, 0.2) * species.size
            stalk = _stem(rng, at, radius, axis, _foot(rng, at, radius), species.leaf_colour)
            rows += [stalk, placed(model, at, radius)]
    if rng.random() < 0.7:
        n = int(rng.integers(2, 16))
        at = np.stack([rng.uniform(-0.1, 1.1, n), rng.uniform(0.2, 1.2, n)], 1)
        angle = rng.normal(-np.pi / 2, 0.3, n) if species.leaf == "linear" else rng.uniform(0, 2 * np.pi, n)
        rows.append(leaves(rng, species.leaf, species.leaf_colour, at, angle, rng.uniform(0.2, 0.5, n)))
    return np.concatenate(rows)


def _strangers(rng, species, light):
    """Unlabelled blooms of other species towards the edges of the picture, as in a mixed border."""
    others = [other for other in SPECIES.values() if other.water == species.water and other.name != species.name]
    rows = []
    for _ in range(int(rng.integers(1, species.setting.strangers + 1))):
        other = others[int(rng.integers(len(others)))]
        model, axis = _bloom(rng, other, pick_colours(other, rng), light, "few")
        model[:, INDEX["bloom"]] = 0
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.23) * other.size
        at = 0.5 + rng.uniform(0.34, 0.55) * np.array([np.cos(angle), np.sin(angle)])
        axis = np.zeros(3) if other.form in UPRIGHT else axis
        foot = _foot(rng, at, radius, other.tilt[1] >= 95)
        stem = [] if other.water else [_stem(rng, at, radius, axis, foot, other.leaf_colour)]
        rows += [*stem, placed(model, at, radius)]
    return np.concatenate(rows)


def _occluder(rng, species):
    """Now and then an out-of-focus leaf in front of everything."""
    if rng.random() > species.setting.occluded:
        return blades(0)
    soft = {"soft": rng.uniform(0.02, 0.08), "shadow": 0}
    at, angle = np.array([[rng.uniform(0, 1), 1.1]]), np.array([rng.normal(-np.pi / 2, 0.5)])
    return leaves(rng, "lanceolate", species.leaf_colour, at, angle, rng.uniform(0.4, 0.9, 1), rng.uniform(0.06, 0.2), **soft)


def _camera(rng, setting):
    return {
        **{"exposure": np.exp(rng.normal(0.05, setting.exposure)), "contrast": np.exp(rng.normal(0.03, 0.1))},
        **{"saturation": rng.uniform(0.85, 1.1), "white": np.exp(rng.normal(0, 0.06, 3)), "soft": rng.uniform(0, 0.006)},
        **{"noise": rng.uniform(0, 0.014), "vignette": rng.uniform(0, 0.35), "seed": int(rng.integers(1 << 31))},
    }


def _view(rng, species):
    alone = {"few": 0, "bed": 0, "field": 0} if species.blooms[1] == 1 else {}
    return pick(rng, species.setting.views | alone)


def compose(species: Species, rng: np.random.Generator) -> Scene:
    """One picture of the species; everything random comes from `rng`."""
    light = _light(rng, species.setting)
    view = _view(rng, species)
    colours = pick_colours(species, rng)
    ground, horizon, far = background(rng, pick_ground(rng, species.water), species.leaf, species.leaf_colour)
    near = _neighbours(rng, species, colours, light)
    front = np.concatenate([_plants(rng, species, colours, light, view, horizon[0]), _occluder(rng, species)])
    if species.setting.strangers:
        near = np.concatenate([near, _strangers(rng, species, light)])
        front = np.concatenate([_strangers(rng, species, light), front])
    depth = rng.choice([0.004, 0.015, 0.03, 0.05]) * rng.uniform(0.6, 1.3)
    warm, strength = rng.normal(0, 0.07), rng.uniform(0.6, 1.1)
    return Scene(
        ground,
        horizon,
        np.array([rng.uniform(3, 14), *rng.uniform(0, 256, 2)]),
        ((far, depth), (near, 0.35 * depth), (front, 0.0)),
        strength * np.array([1 + warm, 1.0, 1 - 1.3 * warm]),
        rng.uniform(0.12, 0.4) * np.array([0.95, 1.0, 1.1]),
        light[:2],
        np.array([rng.uniform(0.2, 0.6) * (rng.random() < 0.2), rng.uniform(4, 16), *rng.uniform(0, 256, 2)]),
        _camera(rng, species.setting),
    )


def _develop(canvas, cameras):
    """Linear light to 8-bit sRGB, as a camera would: exposure, white balance, vignette, noise."""
    size = canvas.shape[1]
    grid = (np.arange(size) + 0.5) / size - 0.5
    corner = 2 * (grid[:, None] ** 2 + grid[None] ** 2)
    pictures = np.empty(canvas.shape[:3] + (3,), np.uint8)
    for i, camera in enumerate(cameras):
        light = canvas[i, ..., :3] * camera["exposure"] * camera["white"] * (1 - camera["vignette"] * corner)[..., None]
        grey = light.mean(-1, keepdims=True)
        light = np.maximum(grey + (light - grey) * camera["saturation"], 0)
        light = np.where(light < 0.7, light, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)))  # soft shoulder
        shown = 0.5 + (light ** (1 / 2.2) - 0.5) * camera["contrast"]
        shown += np.random.default_rng(camera["seed"]).normal(0, camera["noise"], shown.shape)
        pictures[i] = np.clip(shown * 255 + 0.5, 0, 255)
    return pictures


def render(scenes: list, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, size, size, 3) in sRGB and masks of the labelled blooms, bool (n, size, size)."""
    canvas = np.zeros((len(scenes), size, size, 4), np.float32)
    sun, sky, toward, colours, horizon, clouds, shade = (
        np.array([getattr(s, name) for s in scenes], np.float32)
        for name in ("sun", "sky", "toward", "colours", "horizon", "clouds", "dapple")
    )
    fill(canvas, colours, horizon, clouds[:, 0], clouds[:, 1:])
    for layer in range(3):
        canvas[..., 3] = 0
        paint(canvas, [s.layers[layer][0] for s in scenes], sun, sky, toward)
        blur(canvas, np.array([s.layers[layer][1] * size for s in scenes]))
    dapple(canvas, shade[:, 0], shade[:, 1], shade[:, 2:])
    blur(canvas, np.array([s.camera["soft"] * size for s in scenes]))
    return _develop(canvas, [s.camera for s in scenes]), canvas[..., 3] > 0.5


def draw(species: list, seeds: list, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and masks (see `render`) of a list of species, each drawn from its own seed (any numpy seed)."""
    scenes = [compose(s, np.random.default_rng(seed)) for s, seed in zip(species, seeds, strict=True)]
    return render(scenes, size)
