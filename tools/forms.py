"""The growth forms: how a bloom of each kind is put together from blades.

A form is a function `form(frame, rng, colours, **row)` that returns blade rows (see `tools.blades`). It builds the bloom
in its own space: radius about 1, z along the flower's axis towards whoever looks straight into it, y down. `Frame` says
where in the picture the bloom sits, how large it is, which way it faces and where the light comes from.
"""

from typing import NamedTuple

import numpy as np

from tools.blades import INDEX, blades

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
DEG = np.pi / 180

# Outlines of petals and leaves by their botanical names: widest at, width at the base, tip (0 pointed, 1 round),
# depth of the cleft, lobes behind the base.
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
    "cordate": (0.2, 0.85, 0.2, 0.0, 0.28),
    "bell": (0.45, 0.35, 1.6, 0.0, 0.0),
    "tube": (0.5, 0.85, 1.6, 0.0, 0.0),
    "club": (0.8, 0.35, 1.0, 0.0, 0.0),
    "funnel": (0.97, 0.3, 1.6, 0.0, 0.0),
}


class Frame(NamedTuple):
    """Where a bloom sits: position and radius in picture widths, rotation (3, 3) to the view, light direction (3,)."""

    x: float
    y: float
    scale: float
    rotation: np.ndarray
    light: np.ndarray


def pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """One of the keys, as likely as its share of the sum."""
    chances = np.array(list(shares.values()))
    return list(shares)[rng.choice(len(chances), p=chances / chances.sum())]


def rgb(text: str) -> np.ndarray:
    """'f0a030' -> linear RGB, float (3,)."""
    return (np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)]) / 255) ** 2.2


def outline(name: str) -> dict:
    return dict(zip(("peak", "base", "tip", "notch", "lobes"), OUTLINES[name], strict=True))


def paint_of(main, tip=None, base=None, mark=None) -> dict:
    """Colour columns from linear RGB triples; (n, 3) arrays give each blade its own."""
    columns = {}
    for prefix, colour in (("", main), ("tip_", tip), ("base_", base), ("mark_", mark)):
        colour = np.asarray(main if colour is None else colour)
        columns |= {prefix + channel: colour[..., i] for i, channel in enumerate("rgb")}
    return columns


def look_at(direction) -> np.ndarray:
    """Rotation (3, 3) that turns a bloom's axis towards `direction`, its lower side down."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    down = np.array([0.02, 1.0, 0.03]) - z * z[1]
    y = down - z * (down @ z)
    y /= np.linalg.norm(y)
    return np.stack([np.cross(y, z), y, z], 1)


def moved(frame: Frame, offset, scale=1.0, rotation=None) -> Frame:
    """The frame of a floret at `offset` (in the bloom's own space), smaller by `scale`, with its own view rotation."""
    v = frame.rotation @ np.asarray(offset, float) * frame.scale
    turned = frame.rotation if rotation is None else rotation
    return Frame(frame.x + v[0], frame.y + v[1], frame.scale * scale, turned, frame.light)


def petals(frame, azimuth, elevation, length, width, *, radius=0.0, height=0.0, bend=0.0, twist=0.0, bias=0.0, **look):
    """Blades that leave the axis at `azimuth` and rise by `elevation` (radians); all arguments broadcast to (n,).

    length, half-width, radius and height of the base: in bloom radii. bend > 0 turns the tips backwards.
    """
    given = (azimuth, elevation, length, width, radius, height, bend, twist, bias, look.pop("cup", 0.5))
    n = max(np.size(value) for value in given)
    table = np.empty((len(given), n))
    for line, value in zip(table, given, strict=True):
        line[:] = value
    _, _, le, wi, ra, he, be, _, bi, cup = table
    (cos_az, cos_el, cos_tw), (sin_az, sin_el, sin_tw) = np.cos(table[[0, 1, 7]]), np.sin(table[[0, 1, 7]])
    right, down, up = frame.rotation.T[:, None]  # the bloom's own axes in the view, each (1, 3)
    out = cos_az[:, None] * right + sin_az[:, None] * down
    side = cos_az[:, None] * down - sin_az[:, None] * right
    along = cos_el[:, None] * out + sin_el[:, None] * up
    normal = cos_el[:, None] * up - sin_el[:, None] * out
    side, normal = cos_tw[:, None] * side + sin_tw[:, None] * normal, cos_tw[:, None] * normal - sin_tw[:, None] * side
    foot = ra[:, None] * out + he[:, None] * up
    front = np.where(normal[:, 2] < 0, -1.0, 1.0)
    s = frame.scale
    a, b, c = along * (le * s)[:, None], side * (wi * s)[:, None], -normal * (be * le * s)[:, None]
    a = _not_end_on(a, b)
    middle = foot[:, 2] + 0.5 * le * along[:, 2] - 0.25 * be * le * normal[:, 2]
    geometry = {
        **{"x": frame.x + s * foot[:, 0], "y": frame.y + s * foot[:, 1]},
        **{"ax": a[:, 0], "ay": a[:, 1], "bx": b[:, 0], "by": b[:, 1], "cx": c[:, 0], "cy": c[:, 1]},
        **{"lit": front * (normal @ frame.light), "lit_across": -front * cup * (side @ frame.light)},
        **{"lit_along": front * be * (along @ frame.light), "cup": cup, "arch": np.abs(be)},
        **{"depth": middle * s + bi * s, "shadow_reach": np.minimum(0.055, 0.6 * wi) * s, "bloom": 1},
    }
    return blades(n, **(geometry | look))


def _not_end_on(a, b):
    """Lengthen midribs seen nearly end-on, so that the blade keeps a little area."""
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    size = np.hypot(b[:, 0], b[:, 1]) + 1e-6
    lack = np.maximum(0.12 * size - np.abs(area) / size, 0) * np.where(area < 0, -1, 1)
    a = a.copy()
    a[:, 0] += lack * b[:, 1] / size
    a[:, 1] -= lack * b[:, 0] / size
    return a


def ball(frame, at, radius, colour, stretch=1.0, **look):
    """Round bodies at points `at` (n, 3) of the bloom's space; radius in bloom radii, taller by `stretch`."""
    at = np.atleast_2d(at) @ frame.rotation.T
    n, s = len(at), frame.scale
    r = np.broadcast_to(radius, n) * s
    light = frame.light
    shape = {
        **{"x": frame.x + s * at[:, 0], "y": frame.y + s * at[:, 1] - r * stretch, "ay": 2 * r * stretch, "bx": r},
        **{
            "peak": 0.5,
            "base": 0.0,
            "tip": 1.0,
            "lit": light[2],
            "lit_across": light[0] * 1.3,
            "lit_along": light[1] * 1.3,
        },
        **{"cup": 1.3, "arch": 1.3, "crease": 0, "occlusion": 0, "texture": 0.1, "shadow_reach": 0.3 * r, "bloom": 1},
        **{"depth": at[:, 2] * s, "wave": 0.0},
    }
    return blades(n, **(shape | paint_of(colour) | look))


def sorted_by_depth(*parts):
    rows = np.concatenate([p for p in parts if len(p)])
    return rows[np.argsort(rows[:, INDEX["depth"]], kind="stable")]


def shades(rng, colour, n, spread=0.07):
    """`n` slightly different versions of a linear RGB colour, (n, 3)."""
    return np.asarray(colour) * (1 + spread * rng.standard_normal((n, 1))) * (1 + 0.3 * spread * rng.standard_normal((n, 3)))


def _petal_look(rng, colours, n, shape, marks):
    main, tip, base, mark = colours
    look = outline(shape) | paint_of(shades(rng, main, n), tip, base, mark)
    return look | {"phase": rng.uniform(0, 6, n), "through": 0.7} | marks


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
    frame, rng, colours, *, petals_=5, layers=1, spiral=False, shape="obovate", length=1.0, width=0.45, elevation=10,
    inner_elevation=None, inner_length=0.75, inner_width=None, bend=0.15, twist=0.0, eye=0.05, centre=(), tube=0.0,
    sepals=0, sepal_colour="6f9a4c", uneven=0.06, spurs=0, calyx=0.16, tube_width=0.26, **marks,
):  # fmt: skip
    """Petals in whorls or in a spiral around a centre: daisy, poppy, tulip, rose, lotus, morning glory."""
    azimuth, inner = _ranks(rng, petals_, layers, spiral)
    n = len(azimuth)
    last = elevation + 15 if inner_elevation is None else inner_elevation
    rise = (elevation + (last - elevation) * inner + rng.normal(0, 4, n)) * DEG
    long = length * (1 + (inner_length - 1) * inner) * (1 + uneven * rng.standard_normal(n))
    wide = (
        length * (width + ((inner_width or width * inner_length) - width) * inner) * (1 + 0.5 * uneven * rng.standard_normal(n))
    )
    order = inner * 0.25 + 0.01 * rng.uniform(-1, 1, n)
    look = _petal_look(rng, colours, n, shape, marks)
    curl = bend * (1 + 0.5 * rng.standard_normal(n)) * (1 - 0.7 * inner)
    parts = [petals(frame, azimuth, rise, long, wide, radius=eye, bend=curl, twist=twist * DEG, bias=order, **look)]
    if sepals:
        green = paint_of(shades(rng, rgb(sepal_colour), sepals)) | outline("lanceolate")
        angle = (np.arange(sepals) + 0.5) * 2 * np.pi / sepals + azimuth[0]
        tall = elevation * DEG - 0.1
        parts.append(petals(frame, angle, tall, 0.75 * length, 0.12, height=-0.05, bias=-0.15, **green))
    if tube:
        parts.append(_tube(frame, rng, colours, tube, tube_width))
    elif calyx:
        parts.append(_lifted(ball(frame, [0, 0, -0.5 * calyx], calyx, shades(rng, rgb(sepal_colour), 1)), frame, -0.3))
    if spurs:
        around = np.arange(spurs) * 2 * np.pi / spurs + azimuth[0] + np.pi / spurs
        horn = outline("lanceolate") | paint_of(shades(rng, colours[0], spurs))
        parts.append(petals(frame, around, -55 * DEG, 0.95, 0.07, radius=0.1, bend=-0.25, bias=-0.3, **horn))
    if spiral:
        heart = shades(rng, 0.8 * colours[0], 3)
        parts.append(_lifted(ball(frame, rng.normal(0, 0.03, (3, 3)), 0.09, heart, texture=0.3, through=0.6), frame, 0.5))
    for kind, options in centre:
        parts.append(CENTRES[kind](frame, rng, colours, **options))
    return sorted_by_depth(*parts)


def _tube(frame, rng, colours, length, width):
    """The tube behind a trumpet: a blade along the axis, away from the looker."""
    look = outline("funnel") | paint_of(colours[0] * 0.8, None, rgb("7fa05a"), None) | {"base_reach": 0.4, "occlusion": 0.0}
    axis = (frame.rotation @ [0, 0, -1]) * length * frame.scale
    if np.hypot(axis[0], axis[1]) < 0.15 * frame.scale:
        return np.zeros((0, len(INDEX)), np.float32)
    across = np.array([-axis[1], axis[0]]) / np.hypot(axis[0], axis[1]) * width * frame.scale
    return blades(
        1, x=frame.x + axis[0], y=frame.y + axis[1], ax=-axis[0], ay=-axis[1], bx=across[0], by=across[1], bloom=1,
        lit=0.5, lit_across=0.6 * frame.light[0], depth=-2 * frame.scale, shadow_reach=0.03 * frame.scale, **look,
    )  # fmt: skip


# ---- centres -------------------------------------------------------------------------------------------------------


def disc(frame, rng, colours, *, radius=0.3, colour="e8b820", rim=None, seeds=90, dome=0.3, height=0.03):
    """A disc or cone of florets set in a golden-angle spiral (Vogel 1979), as in a sunflower or a coneflower."""
    inner, outer = rgb(colour), rgb(rim or colour)
    k = np.arange(seeds)
    q = np.sqrt((k + 0.5) / seeds)
    angle = k * GOLDEN_ANGLE
    at = np.stack([radius * q * np.cos(angle), radius * q * np.sin(angle), height + dome * radius * (1 - q**2)], 1)
    tint = (inner + (outer - inner) * (q[:, None] ** 2)) * rng.uniform(0.75, 1.15, (seeds, 1))
    size = radius * 1.25 / np.sqrt(seeds)
    under = _flat_disc(frame, radius, inner * 0.45 + outer * 0.2, height)
    return np.concatenate([under, _lifted(ball(frame, at, size, tint, shadow=0.5), frame, 0.6)])


def _lifted(rows, frame, bias):
    rows[:, INDEX["depth"]] += bias * frame.scale
    return rows


def _flat_disc(frame, radius, colour, height=0.02, bias=0.55):
    """A round plate in the petals' plane, seen in perspective."""
    look = {"peak": 0.5, "base": 0.0, "tip": 1.0, "crease": 0.0, "occlusion": 0.0, "cup": 0.9, "arch": 0.9}
    rows = petals(frame, [0.0], 0.0, 2 * radius, radius, radius=-radius, height=height, **look, **paint_of(colour))
    rows[:, INDEX["lit_along"]] = 0.9 * frame.light[0]
    rows[:, INDEX["depth"]] = bias * frame.scale
    return rows


def stamens(
    frame,
    rng,
    colours,
    *,
    n=8,
    length=0.4,
    spread=60,
    colour="f0d060",
    filament="f4f0d0",
    tip=0.05,
    ring=0.03,
    thin=0.018,
    bend=0.0,
):
    """Filaments with anthers, rising from the centre; `spread` is the angle from the axis (degrees)."""
    azimuth = np.arange(n) * 2 * np.pi / n * (1 if n < 14 else 1.9) + rng.normal(0, 0.15, n)
    rise = (90 - spread * rng.uniform(0.55, 1.1, n) ** (0.5 if n > 14 else 0.2)) * DEG
    long = length * rng.uniform(0.8, 1.1, n)
    threads = petals(
        frame, azimuth, rise, long, thin, radius=ring, height=0.03, bend=bend, bias=0.35, shadow=0.25,
        **outline("linear"), **paint_of(shades(rng, rgb(filament), n)),
    )  # fmt: skip
    out = np.stack([np.cos(azimuth), np.sin(azimuth)], 1) * (ring + np.cos(rise) * long)[:, None]
    top = np.concatenate([out, (0.03 + np.sin(rise) * long - bend * long * np.cos(rise))[:, None]], 1)
    anthers = ball(frame, top, tip, shades(rng, rgb(colour), n, 0.15), stretch=1.2)
    return np.concatenate([threads, _lifted(anthers, frame, 0.4)])


def pistil(frame, rng, colours, *, radius=0.09, height=0.15, colour="a8c060", lobes=0, lobe_length=0.15):
    """A knob in the middle, with or without a star of stigmas."""
    green = rgb(colour)
    knob = _lifted(ball(frame, [0, 0, height], radius, green), frame, 0.45)
    if not lobes:
        return knob
    angle = np.arange(lobes) * 2 * np.pi / lobes + rng.uniform(0, 6)
    star = petals(frame, angle, 0.3, lobe_length, 0.03, height=height, bias=0.5, **outline("club"), **paint_of(green * 1.1))
    return np.concatenate([knob, star])


def throat(frame, rng, colours, *, radius=0.22, colour="403020", soft=0.04):
    """The coloured or dark mouth of a tube."""
    plate = _flat_disc(frame, radius, rgb(colour), bias=0.3)
    plate[:, INDEX["soft"]] = soft * frame.scale * 4
    plate[:, INDEX["shadow"]] = 0
    return plate


def corona(frame, rng, colours, *, radius=0.3, length=0.45, colour="f4a020", rim=None, frill=0.08, flare=75):
    """A daffodil's cup: a ring of upright pieces around a dark floor."""
    n = 22
    angle = np.arange(n) * 2 * np.pi / n
    main = rgb(colour)
    look = outline("tube") | paint_of(shades(rng, main, n, 0.04), rgb(rim or colour), main * 0.55, main * 0.6)
    look |= {
        "tip_reach": 0.25,
        "base_reach": 0.7,
        "fringe": frill,
        "teeth": 3,
        "phase": rng.uniform(0, 6, n),
        "cup": 0.2,
    }
    wall = petals(
        frame, angle, flare * DEG, length, radius * 0.24, radius=radius * 0.8, bias=0.3, shadow=0.12, bend=0.15, **look
    )
    return np.concatenate([_flat_disc(frame, radius, main * 0.35, bias=0.12), wall])


def column(frame, rng, colours, *, length=0.75, colour="f4d060", stem=None, bend=0.0, n=26):
    """A hibiscus' staminal column: a rod along the axis with anthers around its upper half."""
    rod = petals(
        frame, [0.3], 80 * DEG, length, 0.045, bend=bend, bias=0.3, **outline("linear"), **paint_of(rgb(stem or colour))
    )
    f = rng.uniform(0.45, 1.0, n)
    angle = rng.uniform(0, 6.28, n)
    lean = np.array([np.cos(0.3), np.sin(0.3), 0]) * np.cos(80 * DEG) + np.array([0, 0, np.sin(80 * DEG)])
    at = lean * (f * length)[:, None] + 0.09 * np.stack([np.cos(angle), np.sin(angle), np.zeros(n)], 1)
    return np.concatenate([rod, _lifted(ball(frame, at, 0.03, shades(rng, rgb(colour), n)), frame, 0.5)])


def filaments(frame, rng, colours, *, n=52, length=0.66, bands=("3a1060", "f8f4ff", "3040c8")):
    """A passion flower's crown of banded threads, with its ovary, anthers and stigmas above."""
    angle = np.arange(n) * 2 * np.pi / n + rng.normal(0, 0.02, n)
    base, middle, tip = (rgb(c) for c in bands)
    look = (
        outline("linear") | paint_of(middle, tip, base) | {"tip_reach": 0.5, "base_reach": 0.65, "shadow": 0.2, "texture": 0.0}
    )
    crown = petals(frame, angle, 8 * DEG, length * rng.uniform(0.9, 1.05, n), 0.027, radius=0.12, bias=0.3, bend=-0.05, **look)
    plate = _flat_disc(frame, 0.14, rgb("d8e0a0"), bias=0.35)
    five = np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 6)
    anthers = petals(
        frame,
        five,
        25 * DEG,
        0.26,
        0.05,
        radius=0.03,
        height=0.15,
        bias=0.5,
        **outline("club"),
        **paint_of(rgb("d0d070")),
    )
    three = np.arange(3) * 2 * np.pi / 3 + rng.uniform(0, 6)
    stigmas = petals(frame, three, 40 * DEG, 0.3, 0.028, height=0.25, bias=0.7, **outline("club"), **paint_of(rgb("5a2040")))
    return np.concatenate([plate, crown, anthers, stigmas, _lifted(ball(frame, [0, 0, 0.25], 0.06, rgb("b0c860")), frame, 0.6)])


CENTRES = {
    "disc": disc, "stamens": stamens, "pistil": pistil, "throat": throat, "corona": corona, "column": column,
    "filaments": filaments,
}  # fmt: skip

# ---- other forms ---------------------------------------------------------------------------------------------------


def parts(frame, rng, colours, *, pieces, centre=(), **marks):
    """A bloom with a left and a right (orchid, pansy, iris, sweet pea), given piece by piece.

    A piece is a dict: at (azimuth in degrees, 90 is down), length, width, shape, and perhaps elevation, bend, bias, height,
    colour (hex, or 0..3 for one of the bloom's colours), twin (also mirrored left to right) and any blade column.
    """
    rows = []
    for piece in pieces:
        piece = dict(piece)
        angles = [piece.pop("at")]
        if piece.pop("twin", False):
            angles.append(180 - angles[0])
        n, colour = len(angles), piece.pop("colour", 0)
        main = rgb(colour) if isinstance(colour, str) else colours[colour]
        look = outline(piece.pop("shape", "elliptic")) | paint_of(shades(rng, main, n, 0.04), *colours[1:])
        look |= marks | {"phase": rng.uniform(0, 6, n)}
        azimuth = (np.array(angles) + rng.normal(0, 3, n)) * DEG
        rise = (piece.pop("elevation", 0) + rng.normal(0, 4, n)) * DEG
        long, wide = piece.pop("length") * rng.uniform(0.93, 1.07), piece.pop("width") * rng.uniform(0.93, 1.07)
        rows.append(petals(frame, azimuth, rise, long, wide, **(look | piece)))
    for kind, options in centre:
        rows.append(CENTRES[kind](frame, rng, colours, **options))
    return sorted_by_depth(*rows)


def bell(
    frame,
    rng,
    colours,
    *,
    length=1.0,
    width=0.42,
    lobes=5,
    flare=0.3,
    mouth="604070",
    shape="bell",
    spots_inside=0.0,
    calyx=True,
    lobe_length=0.75,
    **marks,
):
    """A bell seen from the side, its axis along z: the body, the mouth's ellipse and the lobes around it."""
    main, tip, base, mark = colours
    axis = frame.rotation[:, 2]
    flat = np.array([axis[0], axis[1]])
    norm = np.hypot(*flat) + 1e-6
    side = np.array([-flat[1], flat[0]]) / norm * width * frame.scale
    light = frame.light
    s = frame.scale
    look = outline(shape) | paint_of(main, tip, base, mark) | {"phase": rng.uniform(0, 6), "occlusion": 0.2} | marks
    body = blades(
        1, x=frame.x, y=frame.y, ax=flat[0] * length * s, ay=flat[1] * length * s, bx=side[0], by=side[1], bloom=1, cup=1.1,
        lit=light[2], lit_across=1.1 * (side @ light[:2]) / (width * s), shadow_reach=0.05 * s, **look,
    )  # fmt: skip
    end = Frame(frame.x + flat[0] * length * s, frame.y + flat[1] * length * s, s * width, frame.rotation, light)
    azimuth = (np.arange(lobes) + 0.5) * 2 * np.pi / lobes
    lobe_look = _petal_look(rng, colours, lobes, "ovate", marks)
    rim = petals(end, azimuth, (60 - 90 * flare) * DEG, lobe_length, 0.62, radius=0.75, bend=0.5, **lobe_look)
    hole = _flat_disc(end, 0.95, rgb(mouth), bias=0.0)
    hole[:, INDEX["shadow"]] = 0
    if spots_inside:
        for name, value in (
            {"spots": 1.2, "spot": spots_inside} | {"mark_" + c: v for c, v in zip("rgb", mark, strict=True)}
        ).items():
            hole[:, INDEX[name]] = value
    rim_back, rim_front = rim[rim[:, INDEX["depth"]] < 0], rim[rim[:, INDEX["depth"]] >= 0]
    hidden = axis[2] < 0.05
    rows = [rim_back, body, rim_front] if hidden else [body, rim_back, hole, rim_front]
    if calyx:
        green = paint_of(rgb("6f9a4c")) | outline("lanceolate")
        rows.append(petals(frame, np.arange(5) * 1.256, 55 * DEG, 0.3, 0.1, **green))
    rows = np.concatenate(rows)
    rows[:, INDEX["depth"]] = axis[2] * s + np.arange(len(rows)) * 1e-5
    return rows


def _florets(frame, rng, colours, floret, spots):
    """Blooms of another form at several spots: (offset (3,), facing in the view (3,), scale)."""
    rows = []
    form, options = floret
    for offset, facing, scale in spots:
        small = moved(frame, offset, scale, look_at(facing))
        part = FORMS[form](small, rng, colours, **options)
        depth = (frame.rotation @ np.asarray(offset))[2] * frame.scale
        part[:, INDEX["depth"]] = depth + np.linspace(0, 1e-3, len(part))
        rows.append(part)
    return rows


def spike(
    frame, rng, colours, *, floret, n=24, length=2.4, radius=0.25, floret_size=0.4, taper=0.5, droop=0.0, one_sided=False,
    buds=0.15,
    bud_colour="8aa860", stem="6f9a4c",
):  # fmt: skip
    """Florets along an upright stem, largest below: foxglove, hyacinth, snapdragon, monkshood."""
    lean = rng.normal(0, 0.1)
    axis = np.array([np.sin(lean), -np.cos(lean), 0.15])
    f = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n
    f = np.clip(f, 0, 1)
    angle = np.arange(n) * GOLDEN_ANGLE + rng.uniform(0, 6)
    if one_sided:
        angle = np.pi / 2 + np.where(np.arange(n) % 2, 0.75, -0.75) + rng.normal(0, 0.3, n)
    out = np.stack([np.cos(angle), np.full(n, droop), np.sin(angle)], 1)
    level = frame._replace(rotation=np.eye(3))
    scale = floret_size * (1 - taper * f)
    at = axis * ((f - 0.45) * length)[:, None] + out * [1, 0, 1] * (radius * (1 - taper * f))[:, None]
    open_ = f < 1 - buds
    spots = [(at[i], out[i] + [0, 0, 0.35], scale[i]) for i in range(n) if open_[i]]
    rows = _florets(level, rng, colours, floret, spots)
    top = at[~open_]
    if len(top):
        rows.append(
            ball(
                level,
                top,
                0.45 * scale[~open_],
                shades(rng, 0.2 * rgb(bud_colour) + 0.75 * colours[0], len(top)),
                stretch=1.5,
            )
        )
    rod = _line(level, axis * -0.75 * length, axis * 0.5 * length, 0.035, rgb(stem))
    return sorted_by_depth(rod, *rows)


def _line(frame, start, end, half_width, colour, **look):
    """A straight rod between two points of the bloom's space."""
    a, b = (frame.rotation @ np.asarray(p, float) * frame.scale for p in (start, end))
    d = b - a
    side = np.array([-d[1], d[0]]) / (np.hypot(d[0], d[1]) + 1e-6) * half_width * frame.scale
    shape = outline("tube") | paint_of(colour) | {"cup": 1.0, "lit": frame.light[2], "occlusion": 0, "crease": 0}
    shape |= {"depth": 0.5 * (a + b)[2], "lit_across": side @ frame.light[:2] / (half_width * frame.scale + 1e-9)}
    return blades(1, x=frame.x + a[0], y=frame.y + a[1], ax=d[0], ay=d[1], bx=side[0], by=side[1], **(shape | look))


def cluster(frame, rng, colours, *, floret, n=14, radius=0.8, floret_size=0.35, dome=0.5, spread=75, stems=None):
    """Florets side by side on a dome: sweet william, geranium, phlox, primula."""
    k = np.arange(n)
    away = np.sqrt((k + 0.5) / n) * spread * DEG
    turn = k * GOLDEN_ANGLE + rng.uniform(0, 6)
    away = away + rng.normal(0, 0.06, n)
    local = np.stack([np.sin(away) * np.cos(turn), np.sin(away) * np.sin(turn), np.cos(away)], 1)
    at = local * radius * [1, 1, dome]
    facing = local @ frame.rotation.T + [0, 0, 0.3]
    spots = [(at[i], facing[i], floret_size * rng.uniform(0.85, 1.1)) for i in range(n)]
    rows = _florets(frame, rng, colours, floret, spots)
    foot = np.array([0, 0, -radius * 0.9])
    green = rgb(stems or "7a9a50")
    rods = [_line(frame, foot, p * 0.95, 0.02, green, shadow=0.2) for p in at] if stems else []
    for rod in rods:
        rod[:, INDEX["depth"]] = -frame.scale * 2
    return sorted_by_depth(*rods, *rows)


def spathe(
    frame, rng, colours, *, length=1.5, width=0.7, shape="cordate", spadix="f0d060", spadix_length=0.8, spadix_tip=None,
    curl=0.1, lift=15, **marks,
):  # fmt: skip
    """One large bract behind a rod of tiny flowers: anthurium."""
    look = _petal_look(rng, colours, 1, shape, {"gloss": 0.25, "crease": 0.15, "veins": 6, "vein": 0.12} | marks)
    bract = petals(frame, [90 * DEG], lift * DEG, length, width, radius=-0.35 * length, bend=curl, **look)
    place = {"radius": -0.3 * length, "height": 0.02, "bias": 0.5}
    rod = petals(frame, [rng.normal(90, 12) * DEG], 55 * DEG, spadix_length, 0.075, **place, **_rod(spadix, spadix_tip))
    return np.concatenate([bract, rod])


def _rod(colour, tip=None):
    look = outline("oblong") | paint_of(rgb(colour), rgb(tip or colour))
    return look | {"tip_reach": 0.6, "texture": 0.6, "cup": 1.0}


def arum(frame, rng, colours, *, spadix="f4c828"):
    """A bract rolled into a funnel around a rod, seen from the side: arum lily."""
    level = frame._replace(rotation=look_at([rng.normal(0, 0.2), -0.25, 1.0]))
    flip = 1 if rng.random() < 0.5 else -1
    look = {"gloss": 0.2, "veins": 8, "vein": 0.1, "crease": 0.05, "through": 0.6}
    look |= paint_of(colours[0], None, rgb("c8d890"), colours[3]) | {"base_reach": 0.35, "phase": rng.uniform(0, 6)}
    up, down = -90 * DEG + flip * rng.normal(0.1, 0.08), 90 * DEG
    back = petals(level, [up], 0.1, 1.25, 0.66, radius=-0.35, bend=0.2, **(look | outline("ovate") | {"wave": 0.03}))
    floor = petals(
        level, [up], 0.1, 0.62, 0.4, radius=-0.25, bias=0.02, **(look | outline("elliptic") | paint_of(0.62 * colours[0]))
    )
    rod = petals(level, [up - 0.1 * flip], 0.1, 0.85, 0.075, radius=-0.3, bias=0.05, **_rod(spadix))
    funnel = petals(level, [down], 0.0, 1.3, 0.1, radius=-0.35, **(look | outline("tube")))
    collar = look | outline("obovate") | {"base": 0.12, "peak": 0.8, "cup": 1.1, "notch": 0.0}
    front = petals(level, [up + 0.3 * flip], 0.0, 1.3, 0.52, radius=-1.05, bias=0.1, twist=0.3 * flip, **collar)
    rows = np.concatenate([back, floor, rod, funnel, front])
    rows[:, INDEX["depth"]] = np.linspace(0, 1e-3, len(rows))
    return rows


def brush(
    frame, rng, colours, *, n=90, length=0.7, spread=80, thin=0.025, shape="linear", inner=0.0, body="5a7a40", body_size=0.45,
    body_scales=28, bracts=0, bract_colour="6f8a5a", bract_length=0.6, bract_width=0.1, bract_shape="lanceolate",
    bract_elevation=10,
):  # fmt: skip
    """A tuft of threads above a round involucre: thistle, protea, bee balm, globe thistle."""
    k = np.arange(n)
    away = np.sqrt((k + 0.5) / n) * spread * DEG
    turn = k * GOLDEN_ANGLE
    look = outline(shape) | paint_of(shades(rng, colours[0], n, 0.12), colours[1], colours[2])
    look |= {"tip_reach": 0.4, "base_reach": 0.5, "shadow": 0.35}
    long = length * rng.uniform(0.85, 1.1, n) * (1 - inner * (1 - away / away.max()))
    rows = [petals(frame, turn, np.pi / 2 - away, long, thin, radius=0.1, bend=rng.normal(0.1, 0.1, n), bias=0.1, **look)]
    rows.append(_lifted(ball(frame, [0, 0, 0.5 * length], 0.12, 0.7 * colours[0], texture=0.4, through=0.6), frame, -0.1))
    if body_size:
        green = rgb(body)
        rows.append(ball(frame, [0, 0, -0.6 * body_size], body_size, green * 0.6))
        if body_scales:
            j = np.arange(body_scales)
            scale_az, low = j * GOLDEN_ANGLE, j / body_scales
            scales = outline("ovate") | paint_of(shades(rng, green, body_scales, 0.15))
            out = body_size * (0.55 + 0.4 * np.sin(low * 3.1))
            up = -1.3 * body_size + 1.2 * body_size * low
            wide = 0.14 * body_size + 0.02
            rows.append(
                petals(frame, scale_az, (15 + 65 * low) * DEG, 0.45 * body_size + 0.1, wide, radius=out, height=up, **scales)
            )
    if bracts:
        around = np.arange(bracts) * 2 * np.pi / bracts * (1 if bracts < 20 else 2.9)
        leaf = outline(bract_shape) | {"veins": 3, "vein": 0.25}
        tips, tints = (shades(rng, rgb(bract_colour), bracts) for _ in range(2))
        leaf |= paint_of(tints, tips, mark=rgb(bract_colour) * 1.5)
        rise = (bract_elevation + rng.normal(0, 6, bracts)) * DEG
        rows.append(petals(frame, around, rise, bract_length, bract_width, radius=0.15, height=-0.1, bias=-0.2, **leaf))
    return sorted_by_depth(*rows)


def plume(frame, rng, colours, *, n=110, length=2.2, width=0.55, tooth=0.22):
    """A feathery upright plume (celosia)."""
    f = np.sort(rng.uniform(0, 1, n))[::-1]
    level = frame._replace(rotation=np.eye(3))
    half = width * (1 - f) ** 0.7
    x, z = rng.uniform(-1, 1, n) * half, rng.uniform(-0.3, 0.3, n)
    lean = np.arctan2(x, 0.9) + rng.normal(0, 0.25, n)
    look = outline("lanceolate") | paint_of(shades(rng, colours[0], n, 0.15), colours[1]) | {"tip_reach": 0.5}
    rows = []
    for i in range(n):
        small = moved(level, [x[i], (0.5 - f[i]) * length + 0.3, z[i]])
        rows.append(
            petals(
                small,
                [-np.pi / 2 + lean[i]],
                0.2,
                tooth * 1.6,
                tooth * 0.35,
                **{k: v[i] if np.ndim(v) else v for k, v in look.items()},
            )
        )
        rows[-1][:, INDEX["depth"]] = z[i] * frame.scale
    rod = _line(level, [0, length * 0.5, 0], [0, length * 0.9, 0], 0.05, rgb("8a9a50"))
    return sorted_by_depth(rod, *rows)


def bird(frame, rng, colours, **_):
    """Bird of paradise: a boat-shaped bract with upright orange sepals and a blue tongue."""
    level = frame._replace(rotation=np.eye(3))
    flip = 1 if rng.random() < 0.5 else -1
    green = outline("acuminate") | paint_of(rgb("5a8a50"), rgb("c04848")) | {"tip_reach": 0.5, "cup": 0.9}
    face = 0 if flip > 0 else 180
    beak = petals(level, [(face + flip * rng.normal(2, 6)) * DEG], 0.0, 1.9, 0.17, radius=-0.7, bend=0.0, **green)
    stalk = _line(level, [-0.5 * flip, 0, -0.1], [-0.75 * flip, 2.0, -0.1], 0.09, rgb("6f9a50"))
    rows = [stalk, beak]
    n = int(rng.integers(4, 7))
    up = np.linspace(-70, -125, n) + rng.normal(0, 5, n)
    up = up if flip > 0 else -180 - up
    sepal = outline("lanceolate") | paint_of(shades(rng, colours[0], n), colours[1]) | {"tip_reach": 0.6, "crease": 0.3}
    x0 = moved(level, [-0.25 * flip, -0.05, 0])
    rows.insert(1, petals(x0, up * DEG, 0.1, rng.uniform(1.1, 1.4, n), 0.15, **sepal))
    tongue = outline("lanceolate") | paint_of(colours[3], colours[3] * 1.4) | {"crease": 0.3}
    rows.append(petals(x0, np.array([-40.0, -28.0] if flip > 0 else [-140.0, -152.0]) * DEG, 0.1, 1.05, 0.1, **tongue))
    rows = np.concatenate(rows)
    rows[:, INDEX["depth"]] = np.linspace(0, 1e-3, len(rows))
    return rows


def tuft(frame, rng, colours, *, n=55, length=0.9, thin=0.03, spread=100, flowers=4, flower_colour="9a70c0"):
    """A ball of thin curled leaves with a few small flowers (ball moss)."""
    k = np.arange(n)
    away = np.sqrt((k + 0.5) / n) * spread * DEG
    look = outline("acuminate") | paint_of(shades(rng, colours[0], n, 0.15), colours[1]) | {"tip_reach": 0.5}
    leaves = petals(
        frame,
        k * GOLDEN_ANGLE,
        np.pi / 2 - away,
        length * rng.uniform(0.7, 1.2, n),
        thin * 1.6,
        bend=rng.normal(0.1, 0.45, n),
        **look,
    )
    stalks = rng.uniform(0, 6.28, flowers)
    rods = petals(frame, stalks, 55 * DEG, 1.0, 0.02, bias=0.3, **outline("linear"), **paint_of(rgb("a8b080")))
    tip = np.stack([np.cos(stalks) * 0.6, np.sin(stalks) * 0.6, np.full(flowers, 0.85)], 1)
    return sorted_by_depth(leaves, rods, _lifted(ball(frame, tip, 0.07, rgb(flower_colour), stretch=1.8), frame, 0.3))


FORMS = {
    "open_flower": open_flower, "parts": parts, "bell": bell, "spike": spike, "cluster": cluster, "spathe": spathe,
    "arum": arum, "brush": brush, "plume": plume, "bird": bird, "tuft": tuft,
}  # fmt: skip
