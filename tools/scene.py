"""Compose and render pictures of a species: blooms, stems, leaves, background, light and camera.

`render` draws a batch of pictures. Each picture depends on its own random generator only, not on its batch.
"""

from typing import NamedTuple

import numpy as np

from tools.blades import INDEX, blades, blur, fill, paint
from tools.forms import DEG, FORMS, Frame, look_at, outline, paint_of, rgb, shades
from tools.species import Species, pick_colours

# Backgrounds: colours of the clouds (dark, light, bottom), how likely, how many blurred leaves.
BACKGROUNDS = {
    "foliage": (("1c3014", "4f7a30", "22381a"), 0.30, 26),
    "bright leaves": (("3a6a24", "9ac060", "4a7a2c"), 0.16, 22),
    "shade": (("0a120a", "1e2e18", "10180c"), 0.14, 8),
    "soil": (("3a2a1e", "7a6048", "4a3828"), 0.09, 7),
    "mulch": (("4a4038", "8a7a68", "5a4c40"), 0.05, 10),
    "sky": (("88b0e0", "d8e8f4", "6a9060"), 0.08, 5),
    "haze": (("b8c0b0", "e8e8dc", "8aa078"), 0.07, 8),
    "lawn": (("4a7a2a", "8ab848", "3a6420"), 0.08, 30),
    "wall": (("8a8078", "b8b0a4", "7a7068"), 0.03, 3),
}
WATER = (("16282c", "40606a", "0e1c20"), 0, 0)


class Scene(NamedTuple):
    """What one picture is made of; see `tools.blades` for rows and units."""

    fill: np.ndarray  # (3, 3) cloud colours
    fill_scale: float
    fill_offset: np.ndarray  # (2,)
    back: np.ndarray  # rows painted before the blur
    blur: float  # in picture widths
    front: np.ndarray  # rows painted after it
    sun: np.ndarray  # (3,)
    sky: np.ndarray  # (3,)
    camera: dict  # exposure, contrast, white balance, softness, noise, vignette


def _light(rng):
    across, up = rng.uniform(-0.8, 0.8), rng.uniform(0.2, 1.0)
    light = np.array([across, -up, rng.uniform(0.45, 1.1)])
    return light / np.linalg.norm(light)


def _leaf_colours(rng, colour, n):
    return shades(rng, rgb(colour) * np.exp(rng.normal(0, 0.2)), n, 0.16)


def leaves(rng, n, shape, colour, at, angle, length, width, **look):
    """Leaf blades at points `at` (n, 2) of the picture, pointing along `angle` (n,); lengths in picture widths."""
    a = np.stack([np.cos(angle), np.sin(angle)], 1) * length[:, None]
    b = (
        np.stack([-np.sin(angle), np.cos(angle)], 1)
        * (width * length * rng.choice([-1, 1], n) * rng.uniform(0.45, 1, n))[:, None]
    )
    main = _leaf_colours(rng, colour, n)
    values = outline(shape) | paint_of(main, None, main * 0.8, main * 1.6)
    values |= {"x": at[:, 0], "y": at[:, 1], "ax": a[:, 0], "ay": a[:, 1], "bx": b[:, 0], "by": b[:, 1]}
    bend = rng.normal(0, 0.18, n) * length
    values |= {"cx": bend * -np.sin(angle), "cy": bend * np.cos(angle), "phase": rng.uniform(0, 6, n)}
    values |= {
        "lit": rng.uniform(0.15, 0.95, n),
        "lit_across": rng.normal(0, 0.3, n),
        "stripe": 0.25,
        "veins": 6,
        "vein": 0.2,
    }
    values |= {"gloss": rng.uniform(0, 0.12, n), "shadow_reach": 0.015, "texture": 0.2, "wave": rng.uniform(0, 0.04, n)}
    return blades(n, **(values | look))


LEAF_WIDTH = {"linear": 0.05, "lanceolate": 0.16, "acuminate": 0.26, "oblanceolate": 0.2, "elliptic": 0.3, "oblong": 0.28,
              "ovate": 0.36, "obovate": 0.36, "cordate": 0.5, "orbicular": 0.55}  # fmt: skip


def _background(rng, species):
    """Cloud colours and the rows to be blurred: far leaves, spots of light, far blooms."""
    names = list(BACKGROUNDS)
    weights = np.array([BACKGROUNDS[n][1] for n in names])
    colours, _, amount = (
        WATER if species.water and rng.random() < 0.7 else BACKGROUNDS[rng.choice(names, p=weights / weights.sum())]
    )
    clouds = np.stack([rgb(c) for c in colours]) * np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, (3, 3)))
    n = int(rng.integers(0, amount + 1)) + 1
    lawn = rng.random() < 0.35
    shape = species.leaf if rng.random() < 0.6 else str(rng.choice(list(LEAF_WIDTH)))
    angle = rng.normal(-np.pi / 2, 0.4, n) if lawn or shape == "linear" else rng.uniform(0, 2 * np.pi, n)
    length = rng.uniform(0.2, 0.7, n)
    tint = (
        species.leaf_colour
        if rng.random() < 0.7
        else str(rng.choice(["4f7d35", "6a9040", "38602c", "88a050", "5a7050", "806a40"]))
    )
    rows = [leaves(rng, n, shape, tint, rng.uniform(-0.2, 1.2, (n, 2)), angle, length, LEAF_WIDTH[shape])]
    if rng.random() < 0.3:
        k = int(rng.integers(3, 20))
        r = rng.uniform(0.01, 0.05, k)
        spots = {
            "x": rng.uniform(0, 1, k),
            "y": rng.uniform(0, 1, k),
            "ay": 2 * r,
            "bx": r,
            "base": 0,
            "tip": 1,
            "shadow": 0,
            "lit": 1,
        }
        glow = rng.choice([[1.0, 1.0, 0.85], [0.7, 0.9, 0.4], [0.8, 0.9, 1.0]])
        rows.append(blades(k, **spots, **paint_of(np.array(glow) * rng.uniform(0.4, 1.0, (k, 1)))))
    return clouds, rows


def _place(rng, n, radius):
    """Centres (n, 2) that keep the blooms mostly apart and mostly in the picture."""
    spots = []
    middle = np.array([0.5, 0.48])
    reach = 0.07 if n == 1 else 0.36
    for _ in range(n):
        for attempt in range(30):
            at = middle + rng.uniform(-reach, reach, 2) * (1.6 if rng.random() < 0.12 else 1)
            if all(np.hypot(*(at - other)) > 1.5 * radius * (1 - attempt / 40) for other in spots):
                break
        spots.append(at)
    return np.array(spots)


def _facing(rng, species):
    """The direction a bloom looks in (view space): `tilt` away from the looker, mostly upwards."""
    low, high = species.tilt
    theta = rng.uniform(low, high) * DEG
    down = low >= 60 and species.form in ("bell", "open_flower") and high >= 95
    turn = (np.pi / 2 if down else -np.pi / 2) + (rng.normal(0, 0.5) if theta > 0.6 else rng.uniform(-np.pi, np.pi))
    return np.array([np.sin(theta) * np.cos(turn), np.sin(theta) * np.sin(turn), np.cos(theta)])


def _bloom(rng, species, colours, at, radius, light):
    rotation = look_at(_facing(rng, species))
    roll = rng.normal(0, 0.12)
    roll = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    frame = Frame(at[0], at[1], radius, roll @ rotation, light)
    return frame, FORMS[species.form](frame, rng, colours, **species.options)


def _stem(rng, frame, radius, colour, pendant):
    """A curved stem from the bloom's back to the lower edge (to the upper one if the bloom hangs)."""
    axis = frame.rotation[:, 2]
    x0, y0 = frame.x - 0.15 * radius * axis[0], frame.y - 0.15 * radius * axis[1]
    foot = np.array([x0 + rng.normal(0, 0.12) - 0.3 * axis[0], -0.1 if pendant else 1.15])
    a = np.array([x0, y0]) - foot
    width = radius * rng.uniform(0.04, 0.075)
    b = np.array([-a[1], a[0]]) / (np.hypot(*a) + 1e-6) * width
    bend = np.array([-axis[0], 0]) * 0.12
    a = a - bend
    look = (
        outline("tube") | paint_of(_leaf_colours(rng, colour, 1)) | {"cup": 1.0, "occlusion": 0, "lit_across": 0.5, "lit": 0.6}
    )
    return blades(
        1, x=foot[0], y=foot[1], ax=a[0], ay=a[1], bx=b[0], by=b[1], cx=bend[0], cy=bend[1], shadow_reach=0.012, **look
    )


def _foliage(rng, species, spots, radius):
    """Sharp leaves behind the blooms."""
    n = int(rng.integers(0, 9)) if rng.random() < 0.75 else int(rng.integers(12, 36))
    if n == 0:
        return []
    near = 0.25 if n < 12 else 0.4
    at = spots[rng.integers(0, len(spots), n)] + rng.normal(0, near, (n, 2)) + [0, 0.15]
    angle = rng.normal(-np.pi / 2, 0.25, n) if species.leaf == "linear" else rng.uniform(0, 2 * np.pi, n)
    if species.leaf == "linear":
        at[:, 1] = 1.05
    length = radius * rng.uniform(1.0, 2.2, n) + (0.4 if species.leaf == "linear" else 0)
    if species.water:
        at, length = (
            spots[rng.integers(0, len(spots), n)] + rng.uniform(-0.5, 0.5, (n, 2)),
            radius * rng.uniform(1.5, 3, n),
        )
    flat = {"lit": 0.6, "wave": 0.02} if species.water else {}
    width = LEAF_WIDTH[species.leaf] * (0.55 if species.water else 1)
    return [leaves(rng, n, species.leaf, species.leaf_colour, at, angle, length, width, **flat)]


def _occluder(rng, species):
    """Now and then an out-of-focus leaf in front of everything."""
    if rng.random() > 0.15:
        return []
    at = np.array([[rng.uniform(0, 1), 1.1]])
    soft = {"soft": rng.uniform(0.02, 0.08), "shadow": 0}
    angle, length = np.array([rng.normal(-np.pi / 2, 0.5)]), np.array([rng.uniform(0.4, 0.9)])
    return [leaves(rng, 1, "lanceolate", species.leaf_colour, at, angle, length, rng.uniform(0.06, 0.2), **soft)]


def _camera(rng):
    return {
        **{
            "exposure": np.exp(rng.normal(0.05, 0.2)),
            "contrast": np.exp(rng.normal(0, 0.1)),
            "saturation": rng.uniform(0.85, 1.1),
        },
        **{"white": np.exp(rng.normal(0, 0.06, 3)), "soft": rng.uniform(0, 0.006), "noise": rng.uniform(0, 0.014)},
        **{"vignette": rng.uniform(0, 0.35), "seed": int(rng.integers(1 << 31))},
    }


def compose(species: Species, rng: np.random.Generator) -> Scene:
    """One picture of the species; everything random comes from `rng`."""
    light = _light(rng)
    clouds, back = _background(rng, species)
    colours = pick_colours(species, rng)
    most = species.blooms[1]
    n = species.blooms[0] if rng.random() < 0.5 else int(rng.integers(species.blooms[0], most + 1))
    radius = species.size * (rng.uniform(0.27, 0.46) if n == 1 else rng.uniform(0.3, 0.46) / np.sqrt(n))
    tall = species.form in ("spike", "plume")
    radius *= 0.8 if tall else 1
    spots = _place(rng, n, radius)
    if rng.random() < 0.35:
        back += _far_blooms(rng, species, colours, radius, light)
    pendant = species.tilt[1] >= 95
    blooms = [
        _bloom(
            rng,
            species,
            colours if rng.random() < 0.8 else pick_colours(species, rng),
            at,
            radius * np.exp(rng.normal(0, 0.12)),
            light,
        )
        for at in spots
    ]
    bare = species.water or tall or (species.form in ("bird", "cluster") and rng.random() < 0.5)
    stems = [] if bare else [_stem(rng, frame, radius, species.leaf_colour, pendant) for frame, _ in blooms]
    front = _foliage(rng, species, spots, radius) + stems + [rows for _, rows in blooms]
    front = np.concatenate(front + _occluder(rng, species))
    warm = rng.normal(0, 0.06)
    strength = rng.uniform(0.75, 1.25)
    sun = strength * np.array([1 + warm, 1.0, 1 - warm])
    sky = rng.uniform(0.12, 0.4) * np.array([0.95, 1.0, 1.08])
    return Scene(
        clouds, rng.uniform(3, 14), rng.uniform(0, 256, 2), np.concatenate(back),
        rng.choice([0.004, 0.015, 0.03, 0.05]) * rng.uniform(0.6, 1.3), front, sun, sky, _camera(rng),
    )  # fmt: skip


def _far_blooms(rng, species, colours, radius, light):
    """Unlabelled blooms of the same kind that the blur will melt away."""
    far = []
    for at in rng.uniform(-0.05, 1.05, (int(rng.integers(1, 4)), 2)):
        rows = _bloom(rng, species, colours, at, radius * rng.uniform(0.4, 0.8), light)[1]
        rows[:, INDEX["bloom"]] = 0
        far.append(rows)
    return far


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
    sun = np.array([s.sun for s in scenes], np.float32)
    sky = np.array([s.sky for s in scenes], np.float32)
    clouds = np.array([s.fill for s in scenes], np.float32)
    fill(canvas, clouds, np.array([s.fill_scale for s in scenes]), np.array([s.fill_offset for s in scenes]))
    paint(canvas, [s.back for s in scenes], sun, sky)
    blur(canvas, np.array([s.blur * size for s in scenes]))
    canvas[..., 3] = 0
    paint(canvas, [s.front for s in scenes], sun, sky)
    blur(canvas, np.array([s.camera["soft"] * size for s in scenes]))
    return _develop(canvas, [s.camera for s in scenes]), canvas[..., 3] > 0.5


def draw(species: list, seeds: list, size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and masks (see `render`) of a list of species, each drawn from its own seed (any numpy seed)."""
    scenes = [compose(s, np.random.default_rng(seed)) for s, seed in zip(species, seeds, strict=True)]
    return render(scenes, size)
