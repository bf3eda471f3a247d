"""Invent species that are none of the 102: the backbone is pretrained on these.

A species is drawn at random in the terms of the species table: a growth form, its numbers, colors, leaves and habit.
"""

import colorsys

import numpy as np

from tools.forms import pick
from tools.gardens import LEAVES
from tools.species import Setting, Species

# Framed in more ways than the bundled flowers: the more the images differ, the more a network learns from them.
ANYHOW = Setting(
    {"portrait": 0.45, "macro": 0.12, "few": 0.27, "bed": 0.1, "field": 0.06}, 0.2, 0.15, 0.25, 0.15, 0.2, strangers=0.0
)
PETAL_SHAPES = ["lanceolate", "oblanceolate", "elliptic", "oblong", "ovate", "acuminate", "obovate", "spatulate",
                "orbicular", "obcordate", "fan", "linear"]  # fmt: skip
# Red, orange, yellow and pink to purple are common, blue less, green and cyan rare.
HUES = (0.0, 0.02, 0.07, 0.11, 0.13, 0.15, 0.15, 0.25, 0.5, 0.62, 0.68, 0.73, 0.78, 0.83, 0.88, 0.92, 0.95, 0.98)


def _hex(rng, value=(0.35, 1.0), saturation=(0.0, 1.0)):
    return _text(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value)))


def _text(rgb):
    return "".join(f"{int(255 * c):02x}" for c in rgb)


def _colors(rng):
    """One to three color sets "main tip base mark", from the hues that flowers have; one in five is white."""
    sets = []
    for _ in range(int(rng.integers(1, 4))):
        hue, s = (rng.choice(HUES) + rng.normal(0, 0.04)) % 1, rng.beta(1.6, 1.0)
        if rng.random() < 0.2:
            s = rng.uniform(0, 0.12)
        v = rng.uniform(0.55, 1.0)
        near = ((hue + rng.normal(0, 0.05)) % 1, min(s * rng.uniform(0.3, 1.2), 1), min(v * rng.uniform(0.8, 1.15), 1))
        two = [_text(colorsys.hsv_to_rgb(hue, s, v)), _text(colorsys.hsv_to_rgb(*near))]
        sets.append(" ".join([*two, _hex(rng), _hex(rng, (0.1, 0.9))]))
    return ",".join(sets)


def _some(rng, *columns):
    """Those of the columns (name, chance, least, greatest) that are present this time, at random values."""
    return {name: rng.uniform(low, high) for name, chance, low, high in columns if rng.random() < chance}


def _marks(rng):
    """Gradients and markings of a petal."""
    marks = _some(
        rng, ("tip_reach", 0.35, 0.15, 0.8), ("base_reach", 0.4, 0.15, 0.8), ("stripe", 0.15, 0.2, 0.9), ("spot", 0.15, 0.4,
        1.0),
        ("vein", 0.4, 0.1, 0.9), ("blotch", 0.12, 0.4, 1.0), ("fringe", 0.15, 0.03, 0.2), ("ruffle", 0.3, 0.05, 0.3),
        ("gloss", 0.2, 0.05, 0.5), ("notch", 0.1, 0.05, 0.25), ("rim", 0.3, 1.0, 1.0), ("checks", 0.04, 4, 16),
        ("wave", 0.07, 0.2, 0.7), ("fold", 0.15, 0.2, 0.9), ("curl", 0.25, -0.6, 1.2),
    )  # fmt: skip
    return marks | {
        "veins": int(rng.integers(2, 11)), "spots": rng.uniform(0.8, 5), "teeth": int(rng.integers(2, 9)),
        "ruffles": rng.uniform(1, 5), "waves": int(rng.integers(3, 9)), "blotch_at": rng.uniform(0.1, 0.7),
        "cup": rng.uniform(-0.3, 1.2), "texture": rng.uniform(0.02, 0.2), "streak": rng.uniform(0, 0.3),
    }  # fmt: skip


def _center(rng):
    """Zero to three of the parts that stand in the middle of a flower."""
    parts = {
        "disc": (0.35, lambda: dict(radius=rng.uniform(0.12, 0.5), color=_hex(rng), rim=_hex(rng),
                                    seeds=int(rng.integers(12, 150)), dome=rng.uniform(0.05, 1.4))),
        "eye": (0.15, lambda: dict(radius=rng.uniform(0.06, 0.3), color=_hex(rng, (0.05, 1.0)))),
        "stamens": (0.45, lambda: dict(n=int(rng.integers(2, 60)), length=rng.uniform(0.15, 0.9), spread=rng.uniform(15, 90),
                                       color=_hex(rng), filament=_hex(rng), tip=rng.uniform(0.02, 0.07),
                                       ring=rng.uniform(0, 0.2), hollow=rng.uniform(0, 0.6), bend=rng.normal(0, 0.4))),
        "pistil": (0.3, lambda: dict(radius=rng.uniform(0.04, 0.2), color=_hex(rng), lobes=int(rng.choice([0, 3, 5, 6])),
                                     height=rng.uniform(0.05, 0.5))),
        "corona": (0.07, lambda: dict(radius=rng.uniform(0.1, 0.3), length=rng.uniform(0.15, 0.7), color=_hex(rng),
                                      frill=rng.uniform(0, 0.15), flare=rng.uniform(45, 85))),
        "cups": (0.04, lambda: dict(n=int(rng.integers(3, 7)), color=_hex(rng))),
        "column": (0.06, lambda: dict(length=rng.uniform(0.3, 1.1), color=_hex(rng), stem=_hex(rng))),
        "filaments": (0.05, lambda: dict(n=int(rng.integers(20, 80)), length=rng.uniform(0.3, 0.8),
                                         bands=(_hex(rng), _hex(rng), _hex(rng)))),
    }  # fmt: skip
    return [(name, options()) for name, (chance, options) in parts.items() if rng.random() < chance]


def _open_flower(rng, simple=False):
    shape = str(rng.choice(PETAL_SHAPES))
    narrow = shape in ("linear", "lanceolate", "oblanceolate", "oblong")
    spiral = not simple and rng.random() < 0.25
    few = [3, 4, 5, 6] if simple else [3, 4, 5, 5, 6, 7, 8, 10, 13, 16, 21, 30]
    count = int(rng.integers(10, 70)) if spiral else int(rng.choice(few))
    width = rng.uniform(0.04, 0.25) if narrow or count > 12 else rng.uniform(0.2, 0.85)
    options = dict(petals_=count, spiral=spiral, shape=shape, width=width, elevation=rng.uniform(-35, 80),
                   bend=rng.normal(0.3, 0.5), roll=rng.choice([0, 0, 0, 15, 30]), length=rng.uniform(0.7, 1.15),
                   uneven=rng.uniform(0.02, 0.15), eye=rng.uniform(0, 0.3), center=_center(rng))  # fmt: skip
    if spiral:
        options |= dict(inner_elevation=rng.uniform(40, 88), inner_length=rng.uniform(0.3, 0.9), inner_bend=rng.normal(-0.3,
                        0.5),
                        rises=rng.uniform(0, 0.25))  # fmt: skip
    elif not simple:
        options |= dict(layers=int(rng.choice([1, 1, 1, 2, 2, 3])), inner_length=rng.uniform(0.5, 1.0))
    options |= _some(rng, ("tube", 0.15, 0.4, 1.8))
    options |= {name: int(value) for name, value in _some(rng, ("spurs", 0.08, 1, 7), ("sepals", 0.15, 3, 14)).items()}
    return options | _marks(rng)


def _trumpet(rng):
    marks = _marks(rng)
    for name in ("teeth", "fringe", "ruffle", "ruffles", "curl"):
        marks.pop(name, None)
    return dict(tube=rng.uniform(0.4, 1.8), tube_width=rng.uniform(0.1, 0.32), limb=rng.uniform(0.4, 0.95),
                elevation=rng.uniform(0, 50), bend=rng.uniform(0, 1.0), lobes=int(rng.integers(4, 9)),
                depth=rng.uniform(0.02, 0.8),
                pointed=bool(rng.random() < 0.4), pleat=rng.uniform(0, 0.1), throat=_hex(rng, (0.1, 1.0)),
                center=_center(rng) if rng.random() < 0.4 else (), **marks)  # fmt: skip


def _urn(rng):
    return dict(length=rng.uniform(1.2, 2.2), radius=rng.uniform(0.06, 0.2), rise=rng.uniform(5, 70), bend=-rng.uniform(0.3,
                2.4),
                curl=rng.uniform(0, 1.8), lobes=int(rng.integers(3, 8)), depth=rng.uniform(0.03, 0.35),
                pointed=bool(rng.random() < 0.5), **_some(rng, ("checks", 0.1, 5, 16), ("tip_reach", 0.3, 0.1,
                0.6)))  # fmt: skip


def _parts(rng):
    """Left-right symmetry: one piece up, pairs at the sides, a lip below."""
    pieces = []
    for _ in range(int(rng.integers(2, 6))):
        at, twin = (float(rng.choice([-90, 90])), False) if rng.random() < 0.4 else (rng.uniform(-85, 85), True)
        color = int(rng.integers(0, 3)) if rng.random() < 0.8 else _hex(rng)
        pieces.append(dict(at=at, twin=twin, length=rng.uniform(0.4, 1.15), width=rng.uniform(0.15, 0.8), color=color,
                           shape=str(rng.choice(PETAL_SHAPES)), elevation=rng.uniform(-10, 60), bend=rng.normal(0.3, 0.6),
                           height=rng.uniform(0, 0.1)))  # fmt: skip
    return dict(pieces=pieces, center=_center(rng) if rng.random() < 0.3 else (), **_marks(rng))


def _floret(rng):
    form = str(rng.choice(["open_flower", "parts", "trumpet", "urn"], p=[0.5, 0.2, 0.15, 0.15]))
    options = _open_flower(rng, simple=True) if form == "open_flower" else OPTIONS[form](rng)
    if "center" in options:
        options["center"] = [part for part in options["center"] if part[0] in ("eye", "pistil")]
    return form, options


def _cluster(rng):
    n = int(rng.integers(4, 30))
    return dict(floret=_floret(rng), n=n, radius=rng.uniform(0.6, 1.0), floret_size=rng.uniform(1.0, 1.7) / np.sqrt(n),
                dome=rng.uniform(0.2, 1), spread=rng.uniform(55, 150), loose=rng.uniform(0.03, 0.2), buds=rng.uniform(0,
                0.3))  # fmt: skip


def _spike(rng):
    n = int(rng.integers(5, 40))
    return dict(floret=_floret(rng), n=n, length=rng.uniform(1.2, 2.7), radius=rng.uniform(0.12, 0.5),
                floret_size=rng.uniform(1.1, 2.2) / np.sqrt(n), taper=rng.uniform(0.1, 0.7), droop=rng.uniform(-0.7, 0.9),
                one_sided=bool(rng.random() < 0.2), buds=rng.uniform(0, 0.4), bud_size=rng.uniform(0.2, 0.4),
                bracts=rng.choice([0, 0, rng.uniform(0.2, 0.6)]))  # fmt: skip


def _brush(rng):
    options = dict(n=int(rng.integers(30, 200)), length=rng.uniform(0.25, 1.0), spread=rng.uniform(30, 160),
                   thin=rng.uniform(0.01, 0.05), body=_hex(rng), body_size=rng.uniform(0, 0.7), inner=rng.uniform(-0.2, 0.5),
                   body_scales=int(rng.integers(0, 60)), bend=rng.normal(0.2, 0.4), curl=rng.normal(0.2, 0.5))  # fmt: skip
    return options | dict(bracts=int(rng.choice([0, 0, 8, 14, 24, 40])), bract_color=_hex(rng), bract_length=rng.uniform(0.5,
                          1.2),
                          bract_width=rng.uniform(0.06, 0.25), bract_elevation=rng.uniform(-10, 55))  # fmt: skip


def _cone(rng):
    return dict(n=int(rng.integers(16, 60)), height=rng.uniform(0.8, 2.2), length=tuple(rng.uniform(0.3, 0.8, 2)),
                width=tuple(rng.uniform(0.1, 0.35, 2)), elevation=(rng.uniform(-10, 50), rng.uniform(50, 85)),
                bend=rng.normal(-0.2, 0.3), shape=str(rng.choice(PETAL_SHAPES)),
                lower=_hex(rng) if rng.random() < 0.4 else None)  # fmt: skip


def _spathe(rng):
    return dict(width=rng.uniform(0.4, 0.9), length=rng.uniform(1.1, 1.7), spadix=_hex(rng), spadix_length=rng.uniform(0.5,
                1.1),
                shape=str(rng.choice(["cordate", "ovate", "acuminate", "elliptic"])))  # fmt: skip


OPTIONS = {
    "open_flower": _open_flower, "trumpet": _trumpet, "urn": _urn, "parts": _parts, "cluster": _cluster, "spike": _spike,
    "brush": _brush, "cone": _cone, "spathe": _spathe, "arum": lambda rng: dict(spadix=_hex(rng)),
    "plume": lambda rng: dict(n=int(rng.integers(30, 90)), width=rng.uniform(0.3, 0.8), tuft=int(rng.integers(8, 20))),
    "tuft": lambda rng: dict(n=int(rng.integers(25, 90)), length=rng.uniform(0.6, 1.1), flower_color=_hex(rng)),
}  # fmt: skip
WEIGHTS = {"open_flower": 0.45, "trumpet": 0.08, "urn": 0.04, "parts": 0.1, "cluster": 0.12, "spike": 0.1, "brush": 0.06,
           "cone": 0.02, "spathe": 0.01, "arum": 0.005, "plume": 0.005, "tuft": 0.01}  # fmt: skip


def invent_species(seed: int) -> Species:
    """The wild species with this number; the same number always gives the same species."""
    rng = np.random.default_rng([seed, 102])
    form = pick(rng, WEIGHTS)
    high = rng.uniform(15, 85)
    leaf = str(rng.choice(sorted(LEAVES)))
    green = colorsys.hsv_to_rgb(rng.uniform(0.18, 0.42), rng.uniform(0.2, 0.7), rng.uniform(0.25, 0.7))
    return Species(
        f"wild {seed}", form, _colors(rng), OPTIONS[form](rng), (1, int(rng.integers(1, 6))), (rng.uniform(0, high * 0.5),
        high),
        leaf, _text(green), rng.uniform(0.8, 1.2), bool(rng.random() < 0.06), ANYHOW,
    )  # fmt: skip
