"""Invent species that are none of the 102: the backbone is pretrained on these.

A species is drawn at random in the terms of the species table: a growth form, its numbers, colours, leaves and habit.
"""

import colorsys

import numpy as np

from tools.forms import pick
from tools.gardens import LEAF_WIDTH
from tools.species import Setting, Species

# Framed in more ways than the bundled flowers: what is learned here has to serve for any photo.
# Anything goes: the more the pictures differ, the more a network learns from them.
ANYHOW = Setting({"portrait": 0.42, "macro": 0.12, "few": 0.27, "bed": 0.12, "field": 0.07}, 0.2, 0.12, 0.25, 0.1, 0.2)
PETAL_SHAPES = ["lanceolate", "oblanceolate", "elliptic", "oblong", "ovate", "acuminate", "obovate", "spatulate",
                "orbicular", "obcordate", "fan", "linear"]  # fmt: skip


# Red, orange, yellow and pink to purple are common, blue less, green and cyan rare.
HUES = (0.0, 0.02, 0.07, 0.11, 0.13, 0.15, 0.15, 0.25, 0.5, 0.62, 0.68, 0.73, 0.78, 0.83, 0.88, 0.92, 0.95, 0.98)


def _hex(rng, value=(0.35, 1.0), saturation=(0.0, 1.0)):
    colour = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value))
    return "".join(f"{int(255 * c):02x}" for c in colour)


def _colours(rng):
    """One to three colour sets "main tip base mark", from the hues that flowers have; one in five is white."""
    sets = []
    for _ in range(int(rng.integers(1, 4))):
        hue, s = (rng.choice(HUES) + rng.normal(0, 0.04)) % 1, rng.beta(1.6, 1.0)
        if rng.random() < 0.2:
            s = rng.uniform(0, 0.12)
        v = rng.uniform(0.55, 1.0)
        near = [
            (hue + rng.normal(0, 0.05)) % 1,
            np.clip(s * rng.uniform(0.3, 1.2), 0, 1),
            np.clip(v * rng.uniform(0.8, 1.15), 0, 1),
        ]
        two = [colorsys.hsv_to_rgb(hue, s, v), colorsys.hsv_to_rgb(*near)]
        text = ["".join(f"{int(255 * c):02x}" for c in rgb) for rgb in two]
        sets.append(" ".join([*text, _hex(rng), _hex(rng, (0.1, 0.9))]))
    return ",".join(sets)


def _marks(rng):
    """Gradients and markings of a petal, each present now and then."""
    marks = {}
    for name, chance, low, high in (
        ("tip_reach", 0.35, 0.15, 0.8), ("base_reach", 0.4, 0.15, 0.8), ("stripe", 0.15, 0.2, 0.9), ("spot", 0.15, 0.4, 1.0),
        ("vein", 0.4, 0.1, 0.9), ("blotch", 0.12, 0.4, 1.0), ("fringe", 0.15, 0.03, 0.2), ("wave", 0.3, 0.02, 0.12),
        ("gloss", 0.2, 0.05, 0.5), ("notch", 0.1, 0.05, 0.25), ("rim", 0.3, 1.0, 1.0), ("checks", 0.04, 4, 12),
    ):  # fmt: skip
        if rng.random() < chance:
            marks[name] = rng.uniform(low, high)
    marks |= {
        "veins": int(rng.integers(2, 11)),
        "spots": rng.uniform(0.8, 5),
        "teeth": int(rng.integers(2, 9)),
        "blotch_at": rng.uniform(0.1, 0.7),
    }
    return marks | {
        "cup": rng.uniform(0.1, 1.2),
        "crease": rng.uniform(0, 0.35),
        "texture": rng.uniform(0.03, 0.3),
        "occlusion": rng.uniform(0.1, 0.5),
    }


def _centre(rng):
    kinds = []
    if rng.random() < 0.35:
        kinds.append(
            (
                "disc",
                dict(
                    radius=rng.uniform(0.12, 0.5),
                    colour=_hex(rng),
                    rim=_hex(rng),
                    seeds=int(rng.integers(12, 130)),
                    dome=rng.uniform(0, 0.9),
                ),
            )
        )
    if rng.random() < 0.2:
        kinds.append(("throat", dict(radius=rng.uniform(0.06, 0.35), colour=_hex(rng, (0.05, 1.0)))))
    if rng.random() < 0.45:
        kinds.append(
            (
                "stamens",
                dict(
                    n=int(rng.integers(2, 50)),
                    length=rng.uniform(0.15, 0.9),
                    spread=rng.uniform(15, 90),
                    colour=_hex(rng),
                    filament=_hex(rng),
                    tip=rng.uniform(0.025, 0.08),
                    ring=rng.uniform(0, 0.2),
                ),
            )
        )
    if rng.random() < 0.3:
        kinds.append(
            (
                "pistil",
                dict(
                    radius=rng.uniform(0.04, 0.2),
                    colour=_hex(rng),
                    lobes=int(rng.choice([0, 3, 5, 6])),
                    height=rng.uniform(0.05, 0.5),
                ),
            )
        )
    if rng.random() < 0.07:
        kinds.append(
            (
                "corona",
                dict(
                    radius=rng.uniform(0.15, 0.4),
                    length=rng.uniform(0.15, 0.7),
                    colour=_hex(rng),
                    frill=rng.uniform(0, 0.25),
                    flare=rng.uniform(45, 85),
                ),
            )
        )
    if rng.random() < 0.06:
        kinds.append(("column", dict(length=rng.uniform(0.3, 1.1), colour=_hex(rng), stem=_hex(rng))))
    if rng.random() < 0.05:
        kinds.append(
            (
                "filaments",
                dict(n=int(rng.integers(20, 80)), length=rng.uniform(0.3, 0.8), bands=(_hex(rng), _hex(rng), _hex(rng))),
            )
        )
    return kinds


def _open_flower(rng, simple=False):
    shape = str(rng.choice(PETAL_SHAPES))
    narrow = shape in ("linear", "lanceolate", "oblanceolate", "oblong")
    spiral = not simple and rng.random() < 0.25
    count = int(rng.integers(10, 60)) if spiral else int(rng.choice([3, 4, 5, 5, 6, 7, 8, 10, 13, 16, 21, 30]))
    if simple:
        count = int(rng.choice([3, 4, 5, 6]))
    width = rng.uniform(0.04, 0.25) if narrow or count > 12 else rng.uniform(0.2, 0.85)
    options = dict(
        petals_=count,
        spiral=spiral,
        shape=shape,
        width=width,
        elevation=rng.uniform(-25, 80),
        bend=rng.normal(0.15, 0.3),
        twist=rng.choice([0, 0, 0, 15, 30]),
    )
    options |= dict(
        length=rng.uniform(0.7, 1.15),
        uneven=rng.uniform(0.02, 0.15),
        eye=rng.uniform(0, 0.3),
        centre=_centre(rng),
        **_marks(rng),
    )
    if spiral:
        options |= dict(inner_elevation=rng.uniform(40, 88), inner_length=rng.uniform(0.3, 0.9))
    elif not simple:
        options |= dict(layers=int(rng.choice([1, 1, 1, 2, 2, 3])), inner_length=rng.uniform(0.5, 1.0))
    if rng.random() < 0.15:
        options["tube"] = rng.uniform(0.4, 1.8)
    if rng.random() < 0.08:
        options["spurs"] = int(rng.integers(1, 7))
    if rng.random() < 0.15:
        options["sepals"] = int(rng.integers(3, 14))
    return options


def _parts(rng):
    """Left-right symmetry: one piece up, pairs at the sides, a lip below."""
    pieces = []
    for _ in range(int(rng.integers(2, 6))):
        at, twin = (float(rng.choice([-90, 90])), False) if rng.random() < 0.4 else (rng.uniform(-85, 85), True)
        colour = int(rng.integers(0, 3)) if rng.random() < 0.8 else _hex(rng)
        pieces.append(dict(at=at, twin=twin, length=rng.uniform(0.4, 1.15), width=rng.uniform(0.15, 0.8), shape=str(rng.choice(PETAL_SHAPES)),
                           elevation=rng.uniform(-10, 55), bend=rng.normal(0.1, 0.3), bias=rng.uniform(-0.3, 0.4), colour=colour))  # fmt: skip
    return dict(pieces=pieces, centre=_centre(rng) if rng.random() < 0.3 else (), **_marks(rng))


def _bell(rng):
    return dict(
        length=rng.uniform(0.6, 1.3),
        width=rng.uniform(0.25, 0.6),
        lobes=int(rng.integers(3, 8)),
        flare=rng.uniform(-0.2, 0.6),
        mouth=_hex(rng, (0.1, 0.9)),
    )


def _floret(rng):
    form = str(rng.choice(["open_flower", "parts", "bell"], p=[0.6, 0.22, 0.18]))
    options = {
        "open_flower": lambda: _open_flower(rng, simple=True),
        "parts": lambda: _parts(rng),
        "bell": lambda: _bell(rng),
    }[form]()
    if form == "open_flower":
        options["centre"] = [c for c in options["centre"] if c[0] in ("throat", "pistil")]
    return form, options


def _options(rng, form):
    if form == "open_flower":
        return _open_flower(rng)
    if form == "parts":
        return _parts(rng)
    if form == "bell":
        return _bell(rng)
    if form == "cluster":
        n = int(rng.integers(4, 26))
        return dict(
            floret=_floret(rng),
            n=n,
            radius=rng.uniform(0.6, 1.0),
            floret_size=rng.uniform(1.0, 1.7) / np.sqrt(n),
            dome=rng.uniform(0.2, 1),
            spread=rng.uniform(55, 95),
        )
    if form == "spike":
        n = int(rng.integers(5, 36))
        return dict(floret=_floret(rng), n=n, length=rng.uniform(1.6, 2.7), radius=rng.uniform(0.12, 0.45), floret_size=rng.uniform(1.3, 2.4) / np.sqrt(n), taper=rng.uniform(0.1, 0.7),
                    droop=rng.uniform(-0.3, 0.8), one_sided=bool(rng.random() < 0.2), buds=rng.uniform(0, 0.4))  # fmt: skip
    if form == "brush":
        options = dict(
            n=int(rng.integers(30, 160)),
            length=rng.uniform(0.25, 1.0),
            spread=rng.uniform(30, 170),
            thin=rng.uniform(0.015, 0.07),
            body=_hex(rng),
            body_size=rng.uniform(0, 0.55),
            inner=rng.uniform(0, 0.5),
        )
        return options | dict(
            bracts=int(rng.choice([0, 0, 8, 14, 24, 40])),
            bract_colour=_hex(rng),
            bract_length=rng.uniform(0.5, 1.2),
            bract_width=rng.uniform(0.06, 0.25),
            bract_elevation=rng.uniform(-10, 50),
            body_scales=int(rng.integers(0, 50)),
        )
    if form == "spathe":
        return dict(
            width=rng.uniform(0.4, 0.9),
            length=rng.uniform(1.1, 1.7),
            shape=str(rng.choice(["cordate", "ovate", "acuminate", "elliptic"])),
            spadix=_hex(rng),
            spadix_length=rng.uniform(0.4, 1.0),
            curl=rng.uniform(-0.2, 0.4),
        )
    if form == "arum":
        return dict(spadix=_hex(rng))
    if form == "plume":
        return dict(n=int(rng.integers(50, 130)), width=rng.uniform(0.3, 0.8), tooth=rng.uniform(0.12, 0.35))
    return dict(n=int(rng.integers(25, 70)), length=rng.uniform(0.6, 1.1), flower_colour=_hex(rng))


WEIGHTS = {"open_flower": 0.5, "parts": 0.1, "cluster": 0.12, "spike": 0.12, "brush": 0.07, "bell": 0.03, "spathe": 0.02, "arum": 0.01, "plume": 0.015, "tuft": 0.015}  # fmt: skip


def invent_species(seed: int) -> Species:
    """The wild species with this number; the same number always gives the same species."""
    rng = np.random.default_rng([seed, 102])
    form = pick(rng, WEIGHTS)
    high = rng.uniform(15, 85)
    leaf = str(rng.choice(sorted(LEAF_WIDTH)))
    green = colorsys.hsv_to_rgb(rng.uniform(0.18, 0.42), rng.uniform(0.2, 0.7), rng.uniform(0.25, 0.7))
    return Species(
        f"wild {seed}", form, _colours(rng), _options(rng, form), (1, int(rng.integers(1, 6))), (rng.uniform(0, high * 0.5), high),
        leaf, "".join(f"{int(255 * c):02x}" for c in green), rng.uniform(0.8, 1.2), bool(rng.random() < 0.06), ANYHOW,
    )  # fmt: skip
