"""The growth forms: how a bloom of each kind is put together from surfaces.

A form is a function `form(rng, colors, **options)` that returns rows (see `tools.surfaces`). It builds the bloom in its own
space: radius about 1, the z axis is the flower's own, towards whoever looks straight into it; y points down. Upright forms
(spikes, plumes) stand along z. `tools.scene` turns, scales and places them. Angles in options are in degrees.
"""

import numpy as np

from tools.surfaces import BELL, TUBE, cross, instances, look_at, place, surfaces

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
DEG = np.pi / 180
Z = np.array([0.0, 0.0, 1.0])

# Outlines of petals and leaves by their botanical names: widest at, width at the base, tip (0 pointed, 1 round),
# depth of the notch, lobes behind the base.
OUTLINES = {
    "linear": (0.5, 0.75, 0.5, 0.0, 0.0),
    "lanceolate": (0.35, 0.3, 0.1, 0.0, 0.0),
    "oblanceolate": (0.65, 0.2, 0.35, 0.0, 0.0),
    "elliptic": (0.5, 0.2, 0.7, 0.0, 0.0),
    "oblong": (0.5, 0.6, 1.05, 0.0, 0.0),
    "ovate": (0.35, 0.45, 0.45, 0.0, 0.0),
    "acuminate": (0.33, 0.4, -0.2, 0.0, 0.0),
    "obovate": (0.66, 0.2, 1.0, 0.0, 0.0),
    "spatulate": (0.78, 0.12, 1.0, 0.0, 0.0),
    "orbicular": (0.55, 0.4, 1.0, 0.0, 0.0),
    "obcordate": (0.7, 0.2, 1.1, 0.2, 0.0),
    "fan": (0.85, 0.12, 1.35, 0.0, 0.0),
    "cordate": (0.25, 0.85, 0.35, 0.0, 0.26),
    "club": (0.8, 0.35, 1.0, 0.0, 0.0),
    "tube": (0.5, 0.85, 1.6, 0.0, 0.0),
    "ball": (0.5, 0.0, 1.0, 0.0, 0.0),
}


def pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """One of the keys, as likely as its share of the sum."""
    chances = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(chances), p=chances / chances.sum())]


def rgb(text: str) -> np.ndarray:
    """'f0a030' -> linear RGB, float (3,)."""
    return (np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)]) / 255) ** 2.2


def outline(name: str) -> dict:
    return dict(zip(("peak", "base", "tip", "notch", "lobes"), OUTLINES[name], strict=True))


def paint(main, tip=None, base=None, mark=None) -> dict:
    """Color columns from linear RGB triples; (n, 3) arrays give each surface its own."""
    columns = {}
    for prefix, color in (("", main), ("tip_", tip), ("base_", base), ("mark_", mark)):
        color = np.asarray(main if color is None else color)
        columns |= {prefix + channel: color[..., i] for i, channel in enumerate("rgb")}
    return columns


def shades(rng, color, n, spread=0.07):
    """`n` slightly different versions of a linear RGB color, (n, 3)."""
    return np.asarray(color) * np.exp(spread * rng.standard_normal((n, 1)) + 0.3 * spread * rng.standard_normal((n, 3)))


def _vectors(**columns) -> dict:
    """Columns ax, ay, az from a = (n, 3) and so on; the base point is called `at`."""
    names = {"at": ("x", "y", "z"), "a": ("ax", "ay", "az"), "b": ("bx", "by", "bz")}
    return {names[key][i]: value[..., i] for key, value in columns.items() for i in range(3)}


def petals(azimuth, elevation, length, width, *, radius=0.0, height=0.0, roll=0.0, **look):
    """Blades that leave the axis at `azimuth` and rise by `elevation` (radians); all arguments broadcast to (n,).

    length, half-width, radius and height of the base: in bloom radii; roll turns a blade around its midrib (radians).
    """
    arguments = np.broadcast_arrays(*np.atleast_1d(azimuth, elevation, length, width, radius, height, roll))
    azimuth, elevation, length, width, radius, height, roll = (np.asarray(v, float)[:, None] for v in arguments)
    flat = np.zeros_like(azimuth)
    out = np.concatenate([np.cos(azimuth), np.sin(azimuth), flat], 1)
    side = np.concatenate([-np.sin(azimuth), np.cos(azimuth), flat], 1)
    along = np.cos(elevation) * out + np.sin(elevation) * Z
    front = np.cos(elevation) * Z - np.sin(elevation) * out
    across = np.cos(roll) * side + np.sin(roll) * front
    return surfaces(len(out), **_vectors(at=radius * out + height * Z, a=along * length, b=across * width), **look)


def tubes(start, end, radius, color, **look):
    """Round rods from `start` to `end`, both (n, 3) or (3,); radius in the same unit."""
    start, end = np.broadcast_arrays(np.atleast_2d(start).astype(float), np.atleast_2d(end))
    a = end - start
    b = cross(a, np.where(np.abs(a[:, :1]) < np.abs(a[:, 1:2]), [[1.0, 0, 0]], [[0, 1.0, 0]]))
    b *= np.reshape(radius, (-1, 1)) / (np.linalg.norm(b, axis=1, keepdims=True) + 1e-9)
    shape = outline("tube") | paint(color) | {"kind": TUBE}
    return surfaces(len(a), **_vectors(at=start, a=a, b=b), **(shape | look))


def balls(at, radius, color, stretch=1.0, axis=Z, **look):
    """Round bodies around the points `at` (n, 3), longer along `axis` by `stretch`."""
    half = np.reshape(radius, (-1, 1)) * stretch * np.asarray(axis)
    return tubes(np.atleast_2d(at) - half, np.atleast_2d(at) + half, radius, color, **(outline("ball") | look))


def bell(radius, length, rise, *, height=0.0, **look):
    """A surface of revolution around the axis; the meridian starts at `radius` and rises by `rise` (radians)."""
    place = {"kind": BELL, "z": height, "az": length, "bx": radius, "rise": rise}
    return surfaces(1, **(outline("tube") | place | look))


def _petal_look(rng, colors, n, shape, marks):
    main, tip, base, mark = colors
    look = outline(shape) | paint(shades(rng, main, n), tip, base, mark)
    return look | {"phase": rng.uniform(0, 6, n), "through": 0.6, "streak": 0.16, "texture": 0.06, "cup": 0.45} | marks


def _ranks(rng, petals_, layers, spiral):
    """Azimuth and layer position (0 outer .. 1 inner) of every petal."""
    if spiral:
        k = np.arange(petals_ * layers)
        return k * GOLDEN_ANGLE + rng.normal(0, 0.06, len(k)) + rng.uniform(0, 6), k / max(len(k) - 1, 1)
    layer = np.repeat(np.arange(layers), petals_)
    turn = np.tile(np.arange(petals_), layers) + 0.5 * layer
    jitter = rng.normal(0, 0.35 / petals_, len(turn))
    return turn * 2 * np.pi / petals_ + jitter + rng.uniform(0, 6), layer / max(layers - 1, 1)


def open_flower(
    rng, colors, *, petals_=5, layers=1, spiral=False, shape="obovate", length=1.0, width=0.45, elevation=10,
    inner_elevation=None, inner_length=0.75, inner_width=None, bend=0.25, inner_bend=None, curl=0.0, roll=0.0, eye=0.05,
    rises=0.0, center=(), tube=0.0, tube_width=0.13, sepals=0, sepal_color="6f9a4c", sepal_width=0.12, uneven=0.06,
    spurs=0, calyx=0.16, **marks,
):  # fmt: skip
    """Petals in whorls or in a spiral around a center: daisy, poppy, tulip, rose, lotus.

    rises: how much higher the innermost petals stand than the outermost.
    """
    azimuth, inner = _ranks(rng, petals_, layers, spiral)
    n = len(azimuth)
    last = elevation + 15 if inner_elevation is None else inner_elevation
    rise = (elevation + (last - elevation) * inner + rng.normal(0, 40 * uneven + 2, n)) * DEG
    long = length * (1 + (inner_length - 1) * inner) * (1 + uneven * rng.standard_normal(n))
    wide = width + ((inner_width or width * inner_length) - width) * inner
    wide = length * wide * (1 + 0.5 * uneven * rng.standard_normal(n))
    stack = 0.012 * rng.permutation(n) / n + 0.02 * inner + rises * inner  # overlapping petals do not cut each other
    look = _petal_look(rng, colors, n, shape, marks)
    look |= {
        "bend": bend + ((0.5 * bend if inner_bend is None else inner_bend) - bend) * inner + rng.normal(0, 0.1, n),
        "curl": curl,
        "sway": rng.normal(0, 0.08, n),
    }
    foot = eye * (1 - 0.6 * inner) if spiral else eye
    rows = [petals(azimuth, rise, long, wide, radius=foot, height=stack, roll=roll * DEG + rng.normal(0, 0.06, n), **look)]
    green = shades(rng, rgb(sepal_color), max(sepals, 1))
    if sepals:
        angle = (np.arange(sepals) + 0.5) * 2 * np.pi / sepals + azimuth[0]
        rows.append(
            petals(
                angle, elevation * DEG - 0.1, 0.75 * length, sepal_width, height=-0.05, **outline("lanceolate"), **paint(green)
            )
        )
    if tube:
        rows.append(_funnel(colors, tube, tube_width))
    elif calyx:
        rows.append(balls([0, 0, -0.6 * calyx], calyx, green[0], stretch=0.8))
    if spurs:
        rows.append(_spurs(rng, colors, spurs, azimuth[0] + np.pi / spurs))
    return np.concatenate(rows + [CENTERS[kind](rng, colors, **options) for kind, options in center])


def _funnel(colors, length, width):
    """The tube behind a flower, narrow at its far end."""
    ends = paint(0.85 * colors[0], None, rgb("8aa862")) | {"base_reach": 0.5, "through": 0.5}
    return _cone(width, length, **ends)


def _cone(width, length, **look):
    """A tube along the axis from behind the flower to its face, where its radius is `width`."""
    wider = 0.9 * width
    return bell(0.1 * width, np.hypot(length, wider), np.arctan2(length, wider), height=-length, **look)


def _spurs(rng, colors, n, turn):
    """Hollow spurs that run backwards from between the petals and hook inwards at their ends (columbine)."""
    around = np.arange(n) * 2 * np.pi / n + turn
    horn = outline("tube") | {"base": 1.0, "peak": 0.01, "tip": 0.4} | paint(shades(rng, colors[0], n), colors[1], colors[0])
    return petals(around, -62 * DEG, 0.95, 0.085, radius=0.2, height=0.05, kind=TUBE, bend=-0.5, curl=-1.2, through=0.4, **horn)


def trumpet(
    rng, colors, *, tube=0.8, tube_width=0.16, limb=0.85, elevation=15, bend=0.3, lobes=5, depth=0.12, pointed=False,
    pleat=0.03, throat="403020", throat_reach=0.35, calyx=True, center=(), **marks,
):  # fmt: skip
    """Petals joined to one corolla, a tube that opens into a limb: morning glory, petunia, gentian."""
    main, tip, base, mark = colors
    look = outline("tube") | paint(shades(rng, main, 1), tip, base, mark)
    look |= {"fringe": depth, "teeth": lobes, "scallop": 0 if pointed else 1, "ruffle": pleat, "ruffles": lobes}
    look |= {"through": 0.7, "streak": 0.1, "texture": 0.05, "phase": np.pi * 0.5}
    spread = bell(tube_width, limb, elevation * DEG, bend=bend, **(look | marks))
    body = paint(0.9 * main, rgb(throat), rgb("9ab070")) | {"tip_reach": throat_reach, "base_reach": 0.4, "through": 0.6}
    rows = [spread, _cone(tube_width, tube, **body)]
    if calyx:
        green = shades(rng, rgb("6f9a4c"), lobes)
        angle = np.arange(lobes) * 2 * np.pi / lobes
        leaf = outline("lanceolate") | paint(green) | {"cup": 0.8}
        rows.append(petals(angle, 75 * DEG, 0.45 * tube + 0.1, 0.1, radius=0.5 * tube_width, height=-tube, **leaf))
    rows = np.concatenate(rows + [CENTERS[kind](rng, colors, **options) for kind, options in center])
    return place(rows, [0, 0, 0], rotation=spin(rng.uniform(0, 6)))


def spin(angle):
    """Rotation (3, 3) around the z axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def urn(
    rng, colors, *, length=1.5, radius=0.1, rise=35, bend=-1.1, curl=1.4, lobes=5, depth=0.2, pointed=True, calyx=True, **marks,
):  # fmt: skip
    """A bell, urn or goblet of joined petals: canterbury bells, fritillary, grape hyacinth, foxglove.

    The meridian leaves the base at `rise`, turns towards the axis by -bend (radians) and flares out by curl at the rim.
    """
    main, tip, base, mark = colors
    look = outline("tube") | paint(shades(rng, main, 1), tip, base, mark)
    look |= {"fringe": depth, "teeth": lobes, "scallop": 0 if pointed else 1, "through": 0.6, "streak": 0.1, "phase": 0.5}
    rows = [bell(radius, length, rise * DEG, bend=bend, curl=curl, **(look | marks))]
    if calyx:
        leaf = outline("lanceolate") | paint(shades(rng, rgb("6f9a4c"), 5)) | {"cup": 0.6}
        rows.append(petals(np.arange(5) * 1.256, (rise + 8) * DEG, 0.42, 0.12, radius=0.8 * radius, height=-0.04, **leaf))
    return place(np.concatenate(rows), [0, 0, -0.4 * length], rotation=spin(rng.uniform(0, 6)))


# ---- centers -------------------------------------------------------------------------------------------------------


def disc(rng, colors, *, radius=0.3, color="e8b820", rim=None, seeds=90, dome=0.3, height=0.03, long=1.4):
    """A disc or cone of florets set in a golden-angle spiral (Vogel 1979), as in a sunflower or a coneflower."""
    inner, outer = rgb(color), rgb(rim or color)
    k = np.arange(seeds)
    q = np.sqrt((k + 0.5) / seeds)
    angle = k * GOLDEN_ANGLE
    local = np.stack([q * np.cos(angle), q * np.sin(angle), np.sqrt(1.02 - q**2)], 1)
    tint = (inner + (outer - inner) * (q[:, None] ** 2)) * rng.uniform(0.75, 1.2, (seeds, 1))
    size = radius * 0.95 / np.sqrt(seeds)
    at = local * [radius, radius, dome * radius] + [0, 0, height]
    lean = local * [dome, dome, 1] + 0.2 * rng.standard_normal((seeds, 3))
    axis = lean / np.linalg.norm(lean, axis=1, keepdims=True)
    under = balls([0, 0, height], radius, 0.5 * inner + 0.25 * outer, stretch=max(dome, 0.05))
    return np.concatenate([under, balls(at, size, tint, stretch=long, axis=axis, through=0.3)])


def stamens(
    rng, colors, *, n=8, length=0.4, spread=60, color="f0d060", filament="f4f0d0", tip=0.036, ring=0.03, thin=0.014, bend=0.0,
    base=0.03, hollow=0.55,
):  # fmt: skip
    """Filaments with anthers, rising from the center; `spread` is the angle from the axis, `hollow` 0 fills the middle, too."""
    azimuth = np.arange(n) * 2 * np.pi / n * (1 if n < 14 else 1.9) + rng.normal(0, 0.15, n)
    tilt = spread * rng.uniform(hollow, 1.1, n) ** (0.5 if n > 14 else 0.2) * DEG
    rise, long = np.pi / 2 - tilt, length * rng.uniform(0.8, 1.1, n)
    rows = petals(
        azimuth, rise, long, thin, radius=ring, height=base, bend=bend, kind=TUBE, **outline("linear"),
        **paint(shades(rng, rgb(filament), n)), through=0.5,
    )  # fmt: skip
    # The end of an arc that starts at `rise` and turns by -bend.
    mean = rise - 0.5 * bend
    top = np.stack([np.cos(azimuth) * (ring + np.cos(mean) * long), np.sin(azimuth) * (ring + np.cos(mean) * long),
                    base + np.sin(mean) * long], 1)  # fmt: skip
    lie = np.stack([-np.sin(azimuth), np.cos(azimuth), rng.normal(0, 0.5, n)], 1)
    lie /= np.linalg.norm(lie, axis=1, keepdims=True)
    return np.concatenate([rows, balls(top, tip, shades(rng, rgb(color), n, 0.15), stretch=1.7, axis=lie, texture=0.3)])


def pistil(rng, colors, *, radius=0.09, height=0.15, color="a8c060", lobes=0, lobe_length=0.15):
    """An ovary in the middle, with or without a style that ends in a star of stigmas."""
    green = rgb(color)
    rows = [balls([0, 0, 0.4 * height], radius, green, stretch=1.2)]
    if lobes:
        angle = np.arange(lobes) * 2 * np.pi / lobes + rng.uniform(0, 6)
        star = outline("club") | paint(1.1 * green) | {"kind": TUBE, "bend": 0.5}
        rows += [
            tubes([0, 0, 0], [0, 0, height], 0.35 * radius, green),
            petals(angle, 0.4, lobe_length, 0.025, height=height, **star),
        ]
    return np.concatenate(rows)


def eye(rng, colors, *, radius=0.22, color="403020", height=0.03):
    """A small dark or colored mouth in the middle of a flat flower."""
    return balls([0, 0, height], radius, rgb(color), stretch=0.12)


def cups(rng, colors, *, n=5, color="f8f4e8"):
    """A ring of rounded cups around the stamens: the petals of a columbine, whose spurs run backwards."""
    angle = (np.arange(n) + 0.5) * 2 * np.pi / n
    look = _petal_look(
        rng, [rgb(color), rgb(color), 0.8 * colors[0], colors[3]], n, "orbicular", {"cup": 0.9, "base_reach": 0.4}
    )
    return petals(angle, 62 * DEG, 0.5, 0.26, radius=0.14, bend=-0.3, **look)


def corona(rng, colors, *, radius=0.22, length=0.5, color="f4a020", rim=None, frill=0.08, flare=68):
    """A daffodil's cup."""
    main = rgb(color)
    look = paint(main, rgb(rim or color), 0.7 * main) | {"tip_reach": 0.25, "base_reach": 0.6, "through": 0.6, "streak": 0.15}
    look |= {"fringe": frill, "teeth": 24, "ruffle": frill, "ruffles": 9, "curl": 0.7, "bend": -0.2}
    return bell(radius, length, flare * DEG, height=0.02, **look)


def column(rng, colors, *, length=0.75, color="f4d060", stem=None, bend=0.0, n=26):
    """A hibiscus' staminal column: a rod along the axis with anthers around its upper half."""
    lean = np.array([0.17, 0.05, 0.98])
    f = rng.uniform(0.45, 1.0, n)
    angle = rng.uniform(0, 6.28, n)
    away = np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], 1)
    at = lean * (f * length)[:, None] + 0.1 * away
    rod = tubes([0, 0, 0], lean * length, 0.045, rgb(stem or color))
    threads = tubes(at - 0.08 * away, at, 0.01, rgb(stem or color))
    return np.concatenate([rod, threads, balls(at, 0.032, shades(rng, rgb(color), n))])


def filaments(rng, colors, *, n=60, length=0.66, bands=("3a1060", "f8f4ff", "3040c8")):
    """A passion flower's crown of banded threads, with its ovary, anthers and stigmas above."""
    angle = np.arange(n) * 2 * np.pi / n + rng.normal(0, 0.03, n)
    base, middle, tip = (rgb(c) for c in bands)
    look = outline("linear") | paint(middle, tip, base) | {"tip_reach": 0.5, "base_reach": 0.65, "kind": TUBE, "curl": -0.4}
    five, three = np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 6), np.arange(3) * 2 * np.pi / 3 + rng.uniform(0, 6)
    club = outline("club") | {"kind": TUBE}
    out = np.stack([np.cos(five), np.sin(five), np.full(5, 1.3)], 1) * 0.2
    side = np.stack([-np.sin(five), np.cos(five), np.zeros(5)], 1) * 0.1
    return np.concatenate([
        petals(angle, 10 * DEG, length * rng.uniform(0.9, 1.05, n), 0.017, radius=0.12, height=0.05, **look),
        balls([0, 0, 0.03], 0.15, rgb("d8e0a0"), stretch=0.3),
        tubes([0, 0, 0], [0, 0, 0.3], 0.045, rgb("c8d890")),
        tubes([0, 0, 0.2], out, 0.015, rgb("c8d890")),
        tubes(out - side, out + side, 0.045, rgb("d8c850"), **outline("oblong")),
        petals(three, 40 * DEG, 0.3, 0.022, height=0.28, bend=0.6, **club, **paint(rgb("5a2040"))),
        balls([0, 0, 0.3], 0.065, rgb("b0c860"), stretch=1.2),
    ])  # fmt: skip


CENTERS = {
    "disc": disc, "cups": cups, "stamens": stamens, "pistil": pistil, "eye": eye, "corona": corona, "column": column,
    "filaments": filaments,
}  # fmt: skip

# ---- other flowers -------------------------------------------------------------------------------------------------


def parts(rng, colors, *, pieces, center=(), tube=0.0, **marks):
    """A bloom with a left and a right (orchid, pansy, iris, sweet pea), given piece by piece.

    A piece is a dict: at (azimuth in degrees, 90 is down), length, width, shape, and perhaps elevation, roll, radius, height,
    color (hex, or 0..3 for one of the bloom's colors), twin (also mirrored left to right) and any column of a surface.
    """
    rows = [_funnel(colors, tube, 0.13)] if tube else []
    for piece in pieces:
        piece = dict(piece)
        angles = [piece.pop("at")]
        sides = np.ones(1)
        if piece.pop("twin", False):
            angles.append(180 - angles[0])
            sides = np.array([1.0, -1.0])
        n, color = len(angles), piece.pop("color", 0)
        main = rgb(color) if isinstance(color, str) else colors[color]
        look = _petal_look(rng, [main, *colors[1:]], n, piece.pop("shape", "elliptic"), marks)
        azimuth = (np.array(angles) + rng.normal(0, 3, n)) * DEG
        rise = (piece.pop("elevation", 0) + rng.normal(0, 4, n)) * DEG
        long, wide = piece.pop("length") * rng.uniform(0.93, 1.07), piece.pop("width") * rng.uniform(0.93, 1.07)
        roll = sides * piece.pop("roll", 0.0) * DEG
        rows.append(petals(azimuth, rise, long, wide, roll=roll, **(look | piece)))
    return np.concatenate(rows + [CENTERS[kind](rng, colors, **options) for kind, options in center])


def _florets(rng, colors, floret, at, facing, scale, variants=4):
    """Blooms of another form at the points `at` (n, 3), facing `facing` (n, 3), of radius `scale` (n,)."""
    form, options = floret
    n = len(at)
    rows = []
    turn = look_at(facing)
    for k in range(min(variants, n)):
        one = FORMS[form](rng, [np.clip(c * np.exp(rng.normal(0, 0.07)), 0, 0.9) for c in colors], **options)
        rows.append(instances(one, at[k::variants], scale[k::variants], turn[k::variants]))
    return np.concatenate(rows)


def spike(
    rng, colors, *, floret, n=24, length=2.4, radius=0.25, floret_size=0.4, taper=0.5, droop=0.0, one_sided=False, buds=0.15,
    bud_color="8aa860", bud_size=0.4, stem="6f9a4c", loose=0.05, bracts=0.0, tips=None,
    side=0.75,
):  # fmt: skip
    """Florets along an upright stem (the z axis), largest below: foxglove, hyacinth, snapdragon, monkshood."""
    f = np.clip((np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n, 0, 1)
    angle = np.arange(n) * GOLDEN_ANGLE + rng.uniform(0, 6)
    if one_sided:
        angle = np.pi / 2 + np.where(np.arange(n) % 2, side, -side) + rng.normal(0, 0.3, n)
    out = np.stack([np.cos(angle), np.sin(angle), np.full(n, -droop)], 1)
    scale = floret_size * (1 - taper * f) * np.exp(rng.normal(0, loose, n))
    if tips:
        colors = [colors[0], rgb(tips), *colors[2:]]
    foot = np.stack([np.zeros(n), np.zeros(n), (f - 0.5) * length], 1)
    at = foot + out * [1, 1, 0.4] * (radius * (1 - taper * f) * np.exp(rng.normal(0, loose, n)))[:, None]
    open_ = f < 1 - buds
    facing = out + [0, 0, 0.2] + rng.normal(0, loose, (n, 3))
    rows = [_florets(rng, colors, floret, at[open_], facing[open_], scale[open_])]
    rows.append(tubes(foot, at, 0.018, rgb(stem), bloom=-1))
    top = at[~open_]
    if len(top):
        tint = shades(rng, 0.3 * rgb(bud_color) + 0.65 * colors[0], len(top))
        axis = facing[~open_] / np.linalg.norm(facing[~open_], axis=1, keepdims=True)
        rows.append(balls(top, bud_size * scale[~open_], tint, stretch=1.8, axis=axis, through=0.3, peak=0.4, tip=0.35))
    if bracts:
        leaf = outline("lanceolate") | paint(shades(rng, rgb(stem), n)) | {"through": 0.4, "fold": 0.3}
        rows.append(petals(angle, 0.3, bracts * (1 - 0.6 * f), 0.14 * bracts, height=foot[:, 2], bend=0.5, **leaf))
    rows.append(tubes([0, 0, -0.75 * length], [0, 0, 0.5 * length], 0.028, rgb(stem), bloom=-1))
    return np.concatenate(rows)


def cluster(
    rng, colors, *, floret, n=14, radius=0.8, floret_size=0.35, dome=0.5, spread=75, stems="7a9a50", loose=0.06, buds=0.0,
    bud_color="8aa860", stand=0.9, core=None,
):  # fmt: skip
    """Florets side by side on a dome or a ball: sweet william, geranium, phlox, primula, globe thistle."""
    k = np.arange(n)
    away = np.arccos(1 - (k + 0.5) / n * (1 - np.cos(spread * DEG))) + rng.normal(0, loose, n)
    turn = k * GOLDEN_ANGLE + rng.uniform(0, 6) + rng.normal(0, loose, n)
    local = np.stack([np.sin(away) * np.cos(turn), np.sin(away) * np.sin(turn), np.cos(away)], 1)
    at = local * radius * [1, 1, dome] * np.exp(rng.normal(0, loose, (n, 1)))
    facing = local + rng.normal(0, 2 * loose, (n, 3))
    shut = rng.random(n) < buds
    size = floret_size * rng.uniform(0.85, 1.1, n)
    rows = [_florets(rng, colors, floret, at[~shut], facing[~shut], size[~shut])]
    if shut.any():
        tint = shades(rng, 0.5 * rgb(bud_color) + 0.4 * colors[0], shut.sum(), 0.15)
        rows.append(balls(at[shut], 0.35 * size[shut], tint, stretch=1.4, axis=local[shut]))
    if core:
        rows.append(balls([0, 0, 0], 0.8 * radius, rgb(core), stretch=dome))
    foot = np.array([0, 0, -radius * stand])
    rows.append(tubes(foot, at - 0.1 * local, 0.022, shades(rng, rgb(stems), n), bloom=-1))
    return np.concatenate(rows)


def cone(
    rng, colors, *, n=40, height=1.6, radius=(0.1, 0.05), length=(0.6, 0.5), width=(0.3, 0.2), elevation=(10, 70),
    shape="ovate", bend=-0.3, core="7a9a50", lower=None, lower_share=0.35, **marks,
):  # fmt: skip
    """Overlapping bracts along the axis, from below (first number) to the top (second): ginger, curcuma, artichoke.

    lower: color (hex) of the bracts of the lower part, if it differs.
    """
    f = (np.arange(n) + 0.5) / n
    angle = np.arange(n) * GOLDEN_ANGLE + rng.normal(0, 0.08, n) + rng.uniform(0, 6)

    def between(ends, spread=0.06):
        return (ends[0] + (ends[1] - ends[0]) * f) * np.exp(rng.normal(0, spread, n))

    look = _petal_look(rng, colors, n, shape, {"cup": 0.7, "bend": bend} | marks)
    if lower:
        share = np.clip((f - lower_share) * 8, 0, 1)[:, None]
        mixed = shades(rng, rgb(lower), n) * (1 - share) + shades(rng, colors[0], n) * share
        look |= paint(mixed, rgb(lower) * (1 - share) + colors[1] * share, colors[2], colors[3])
    rise = between(elevation, 0.0) * DEG + rng.normal(0, 0.08, n)
    rows = petals(angle, rise, between(length), between(width), radius=between(radius), height=(f - 0.5) * height, **look)
    return np.concatenate([rows, tubes([0, 0, -0.55 * height], [0, 0, 0.5 * height], 0.9 * min(radius), rgb(core), bloom=-1)])


def spathe(
    rng, colors, *, length=1.5, width=0.7, shape="cordate", spadix="f0d060", spadix_length=0.8, spadix_tip=None, lift=12,
    **marks,
):  # fmt: skip
    """One large glossy bract with a rod of tiny flowers that stands on its base: anthurium."""
    look = _petal_look(rng, colors, 1, shape, {"gloss": 0.25, "ribs": 7, "rib": 0.15, "bend": 0.25, "cup": 0.2} | marks)
    bract = petals(90 * DEG, lift * DEG, length, width, **look)
    rise, turn = rng.uniform(22, 48) * DEG, rng.normal(90, 20) * DEG
    rod = petals(turn, rise, spadix_length, 0.085, height=0.03, bend=rng.normal(0, 0.3), kind=TUBE, **_rod(spadix, spadix_tip))
    return np.concatenate([bract, rod])


def _rod(color, tip=None):
    """The look of a rod that is studded with tiny flowers."""
    look = {"peak": 0.3, "base": 0.8, "tip": 1.0} | paint(rgb(color), rgb(tip or color))
    return look | {"tip_reach": 0.6, "texture": 0.9, "through": 0.2}


def arum(rng, colors, *, spadix="f4c828"):
    """A bract rolled into a funnel with an oblique rim, around a rod: arum lily. Stands along z."""
    look = {"teeth": 1, "fringe": 0.6, "through": 0.6, "gloss": 0.15, "streak": 0.06, "texture": 0.03}
    look |= paint(colors[0], colors[1], rgb("b8cc80")) | {"base_reach": 0.35, "tip_reach": 0.3}
    bract = bell(0.1, 2.2, 84 * DEG, height=-0.9, bend=rng.uniform(0.35, 0.5), curl=rng.uniform(1.3, 1.8), **look)
    rod = tubes([0, 0, -0.8], [0.1, 0, 0.45], 0.085, rgb(spadix), **_rod(spadix))
    return place(np.concatenate([bract, rod]), [0, 0, 0], rotation=spin(np.pi / 2 + rng.normal(0, 0.8)))


def brush(
    rng, colors, *, n=90, length=0.7, spread=80, thin=0.018, shape="linear", inner=0.0, body="5a7a40", body_size=0.45,
    body_scales=28, scale_shape="ovate", scale_size=1.0, bracts=0, bract_color="6f8a5a", bract_tip=None, bract_length=0.6,
    bract_width=0.1, bract_shape="lanceolate", bract_elevation=10, bend=0.2, curl=0.0, heart=0.3, **marks,
):  # fmt: skip
    """A tuft of threads above a round involucre: thistle, bee balm, sea holly, masterwort."""
    k = np.arange(n)
    away = np.arccos(1 - (k + 0.5) / n * (1 - np.cos(spread * DEG)))
    look = outline(shape) | paint(shades(rng, colors[0], n, 0.12), colors[1], colors[2])
    look |= {"tip_reach": 0.4, "base_reach": 0.5, "through": 0.6, "curl": curl} | marks
    long = length * rng.uniform(0.85, 1.1, n) * (1 - inner * (1 - away / away.max()))
    turn = k * GOLDEN_ANGLE + rng.normal(0, 0.1, n)
    rows = [petals(turn, np.pi / 2 - away, long, thin, radius=0.1 * np.sin(away), bend=rng.normal(bend, 0.15, n), **look)]
    if heart:
        rows.append(balls([0, 0, 0.0], heart * length, 0.8 * colors[0], texture=0.5, through=0.4))
    if body_size:
        rows.append(_involucre(rng, rgb(body), body_size, body_scales, scale_shape, scale_size))
    if bracts:
        around = np.arange(bracts) * (2 * np.pi / bracts if bracts < 20 else GOLDEN_ANGLE) + rng.normal(0, 0.05, bracts)
        green = rgb(bract_color)
        look = outline(bract_shape) | {"veins": 3, "vein": 0.3, "cup": 0.5, "through": 0.4, "phase": rng.uniform(0, 6, bracts)}
        look |= paint(shades(rng, green, bracts), rgb(bract_tip or bract_color), mark=np.minimum(1.6 * green, 0.9))
        look |= {"bend": 0.15, "tip_reach": 0.4}
        rise, long = (_from_to(ends, bracts) for ends in (bract_elevation, bract_length))
        rise = (rise + rng.normal(0, 5, bracts)) * DEG
        rows.append(
            petals(around, rise, long * rng.uniform(0.88, 1.08, bracts), bract_width, radius=0.15, height=-0.08, **look)
        )
    return np.concatenate(rows)


def _from_to(ends, n):
    """`n` numbers from the first to the last of `ends`, or all the same if it is a number."""
    return np.linspace(*(ends if np.ndim(ends) else (ends, ends)), n)


def _involucre(rng, green, size, scales, shape, larger):
    """The round green body below a thistle, covered with pointed scales."""
    rows = [balls([0, 0, -0.75 * size], size, 0.7 * green)]
    if scales:
        low = np.arange(scales) / scales
        look = outline(shape) | paint(shades(rng, green, scales, 0.15), 1.5 * green) | {"tip_reach": 0.3, "cup": 0.5}
        angle = (40 + 100 * low) * DEG  # from the pole below
        out, up = size * np.sin(angle), -0.75 * size - size * np.cos(angle)
        turn, wide, bend = np.arange(scales) * GOLDEN_ANGLE, larger * (0.13 * size + 0.02), 0.3 if larger <= 1 else -0.2
        rows.append(petals(turn, (25 + 60 * low) * DEG, 0.5 * size + 0.08, wide, radius=out, height=up, bend=bend, **look))
    return np.concatenate(rows)


def plume(rng, colors, *, n=90, length=2.2, width=0.52, tuft=20, branch=0.4):
    """A feathery upright plume of many side plumes (celosia)."""
    f = np.sort(rng.uniform(0, 1, n))
    angle = np.arange(n) * GOLDEN_ANGLE
    reach = width * (1 - f) ** 0.6 * rng.uniform(0.5, 1.0, n)
    at = np.stack([reach * np.cos(angle), reach * np.sin(angle), (f - 0.5) * length], 1)
    lean = np.stack([0.45 * np.cos(angle), 0.45 * np.sin(angle), np.ones(n)], 1) + rng.normal(0, 0.12, (n, 3))
    k = np.arange(tuft)
    look = outline("lanceolate") | paint(shades(rng, colors[0], tuft, 0.2), colors[1], 0.7 * colors[0])
    look |= {"tip_reach": 0.6, "base_reach": 0.4, "through": 0.7, "texture": 0.2, "bend": 0.3}
    high = (k / tuft) ** 0.8
    feather = petals(k * GOLDEN_ANGLE, (30 + 55 * high) * DEG, 0.5 - 0.2 * high, 0.08, height=high * 1.0 - 0.4, **look)
    feather = np.concatenate([feather, tubes([0, 0, -0.6], [0, 0, 1.0], 0.05, colors[0], **outline("lanceolate"))])
    rows = instances(feather, at, branch * (1.1 - 0.45 * f) * rng.uniform(0.8, 1.2, n), look_at(lean))
    return np.concatenate([rows, tubes([0, 0, -0.6 * length], [0, 0, 0.4 * length], 0.05, rgb("8a9a50"), bloom=-1)])


def bird(rng, colors, **_):
    """Bird of paradise: a boat-shaped bract with upright orange sepals and a blue tongue. Stands along z, looks along x."""
    beak = {"fold": 1.5, "bend": 0.15, "base": 0.6, "peak": 0.2, "gloss": 0.15, "tip_reach": 0.5, "base_reach": 0.4}
    beak |= paint(rgb("5f8450"), rgb("a8506a"), rgb("6f9a50"), rgb("c04858")) | {
        "rim": 0.8,
        "through": 0.2,
        "cup": 0.2,
        "tip": 0.2,
    }
    rows = [petals(0.0, 12 * DEG, 1.75, 0.24, radius=-0.75, height=-0.5, **beak)]
    n = int(rng.integers(4, 7))
    rise = (np.linspace(58, 118, n) + rng.normal(0, 6, n)) * DEG
    look = _petal_look(
        rng, colors, n, "lanceolate", {"tip_reach": 0.5, "base_reach": 0.35, "fold": 0.7, "cup": 0.2, "bend": -0.15}
    )
    side = rng.normal(0, 0.2, n)
    rows.append(petals(side, rise, rng.uniform(1.1, 1.4, n), 0.16, radius=np.linspace(0.1, -0.3, n), height=-0.42, **look))
    blue = paint(colors[3], 1.3 * colors[3]) | {"fold": 0.8, "through": 0.3}
    rows.append(
        petals(np.array([-0.08, 0.08]), np.array([38.0, 46]) * DEG, 1.05, 0.075, height=-0.4, **outline("acuminate"), **blue)
    )
    rows.append(
        petals(
            0.0,
            -80 * DEG,
            1.6,
            0.085,
            radius=-0.72,
            height=-0.5,
            kind=TUBE,
            **outline("tube"),
            **paint(rgb("6f8a50")),
            bloom=-1,
        )
    )
    turn = rng.choice([0, np.pi]) + rng.normal(0, 0.35)
    return place(place(np.concatenate(rows), [0.72, 0, 0]), [0, 0, 0], rotation=spin(turn))


def tuft(rng, colors, *, n=55, length=0.9, thin=0.03, spread=100, flowers=4, flower_color="9a70c0"):
    """A ball of thin curled leaves with a few small flowers (ball moss)."""
    k = np.arange(n)
    away = np.arccos(1 - (k + 0.5) / n * (1 - np.cos(spread * DEG)))
    look = outline("acuminate") | paint(shades(rng, colors[0], n, 0.15), colors[1]) | {"tip_reach": 0.5, "cup": 1.0}
    look |= {"bend": rng.normal(0.3, 0.8, n), "curl": rng.normal(0, 0.8, n), "sway": rng.normal(0, 0.5, n), "through": 0.3}
    leaves = petals(k * GOLDEN_ANGLE, np.pi / 2 - away, length * rng.uniform(0.7, 1.2, n), thin * 1.6, **look)
    around = rng.uniform(0, 6.28, flowers)
    stalk = {"kind": TUBE, "bend": 0.3} | outline("linear") | paint(rgb("a8b080"))
    rods = petals(around, 58 * DEG, 1.0, 0.02, **stalk)
    tip = np.stack([np.cos(around) * 0.62, np.sin(around) * 0.62, np.full(flowers, 0.78)], 1)
    return np.concatenate([leaves, rods, balls(tip, 0.05, rgb(flower_color), stretch=3.2)])


FORMS = {
    "open_flower": open_flower, "trumpet": trumpet, "urn": urn, "parts": parts, "spike": spike, "cluster": cluster,
    "cone": cone, "spathe": spathe, "arum": arum, "brush": brush, "plume": plume, "bird": bird, "tuft": tuft,
}  # fmt: skip
