"""The species table: one row for each of the 102 classes of Oxford-102, in the terms of a flora.

A row says the name, the growth form (a function of `tools.forms`), its colors and the form's own numbers, and how the
plant is met: how many blooms in a picture, how far a bloom turns away from the looker, which leaves surround it.
A color string lists alternatives, separated by commas; each is "main tip base mark" in hex (left out: main again).
"""

from typing import NamedTuple

import numpy as np

from tools.forms import rgb


class Setting(NamedTuple):
    """How pictures of a species are taken: fractions (0..1) of all pictures, and the spread of the exposure."""

    views: dict  # name of a view (one bloom, one closer than the frame, a few, a flower bed, a field) -> fraction
    backlit: float  # the sun stands behind the flower
    sideways: float  # an open flower is seen from the side
    thicket: float  # leaves all around the bloom, not only along its stem
    occluded: float  # a blurred leaf in front of everything
    exposure: float  # standard deviation of the logarithm of the exposure
    neighbors: float = 0.6  # blurred blooms of the same species behind
    strangers: float = 0.85  # blooms of other species at the edges of the picture, as in a mixed border


# As people photograph a flower that they want to name: mostly one bloom, in good light.
PORTRAITS = Setting({"portrait": 0.93, "macro": 0.0, "few": 0.07, "bed": 0.0, "field": 0.0}, 0.08, 0.03, 0.2, 0.04, 0.08)


class Species(NamedTuple):
    """One kind of flower; `options` go to the form, the rest to `tools.scene`."""

    name: str
    form: str
    colors: str
    options: dict
    blooms: tuple = (1, 3)  # fewest and most labelled blooms in a picture
    tilt: tuple = (0, 50)  # degrees the bloom's axis leans away from the looker
    leaf: str = "lanceolate"
    leaf_color: str = "4f7d35"
    size: float = 1.0  # bloom radius relative to the usual one
    water: bool = False  # grows in water
    setting: Setting = PORTRAITS


def pick_colors(species: Species, rng: np.random.Generator) -> list:
    """One of the species' color sets with a little jitter: [main, tip, base, mark], linear RGB."""
    choice = rng.choice(species.colors.split(",")).split()
    hues = [rgb(c) for c in choice] + [rgb(choice[0])] * (4 - len(choice))
    jitter = np.exp(rng.normal(0, 0.07, 3) + rng.normal(0, 0.08))
    return [np.clip(0.82 * h * jitter, 0, 0.9) for h in hues]


def S(
    name,
    form,
    colors,
    /,
    blooms=(1, 3),
    tilt=(0, 50),
    leaf="lanceolate",
    leaf_color="4f7d35",
    size=1.0,
    water=False,
    **options,
):
    return Species(name, form, colors, options, blooms, tilt, leaf, leaf_color, 1.2 * size, water)


def stamens(n, length=0.4, **options):
    return ("stamens", dict(n=n, length=length, **options))


def disc(radius, color, **options):
    return ("disc", dict(radius=radius, color=color, **options))


def eye(radius, color, **options):
    return ("eye", dict(radius=radius, color=color, **options))


def pistil(**options):
    return ("pistil", options)


def small(petals_, shape="obovate", **options):
    """A floret of a cluster or a spike."""
    return ("open_flower", dict(petals_=petals_, shape=shape, **options))


# A pansy's five petals: two above, two at the sides, one below.
def pansy_pieces(upper, side, lower):
    face = dict(base_reach=0.3, veins=5, vein=0.9)
    return [
        dict(at=-112, length=0.9, width=0.52, shape="orbicular", twin=False, color=upper),
        dict(at=-68, length=0.9, width=0.52, shape="orbicular", color=upper),
        dict(at=8, length=0.85, width=0.48, shape="orbicular", twin=True, color=side, **face),
        dict(at=90, length=0.95, width=0.62, shape="obcordate", color=lower, blotch=0.7, blotch_at=0.3, **face),
    ]


# Orchids: three sepals behind, two petals at the sides, a lip below.
def orchid_pieces(
    petal,
    petal_width,
    sepal,
    sepal_width,
    lip,
    lip_length,
    lip_width,
    lip_shape="fan",
    lip_frill=0.0,
    petal_shape="orbicular",
    column="f4f0e0",
):
    return [
        dict(at=-90, length=1.0, width=sepal_width, shape="elliptic", color=sepal),
        dict(at=50, length=0.95, width=sepal_width, shape="elliptic", color=sepal, twin=True),
        dict(at=-14, length=1.0, width=petal_width, shape=petal_shape, color=petal, twin=True),
        dict(at=90, length=lip_length, width=lip_width, shape=lip_shape, color=lip, elevation=30, fringe=lip_frill, teeth=5, ruffle=lip_frill, bend=0.72, base_reach=0.5),
        dict(at=25, length=0.26, width=0.13, shape="orbicular", color=lip, elevation=55, twin=True),
        dict(at=90, length=0.2, width=0.08, shape="oblong", color=column, elevation=40, radius=-0.05),
    ]  # fmt: skip


def iris_pieces(fall, standard, beard):
    petal = dict(shape="obovate", ruffle=0.12)
    veined = petal | dict(color=fall, veins=9, vein=0.5, bend=1.35, curl=0.1)
    return [
        dict(at=-90, length=1.15, width=0.44, color=standard, elevation=30, bend=-0.5, cup=0.7, **petal),
        dict(at=-62, length=1.15, width=0.42, color=standard, elevation=42, bend=-0.6, cup=0.7, twin=True, **petal),
        dict(at=28, length=1.15, width=0.44, twin=True, elevation=18, **veined),
        dict(at=90, length=1.35, width=0.52, elevation=48, **veined),
        dict(at=90, length=0.5, width=0.06, shape="linear", color=beard, elevation=52, texture=0.8, bend=0.5),
        dict(at=28, length=0.42, width=0.05, shape="linear", color=beard, twin=True, elevation=24, texture=0.8, bend=0.4),
    ]


PEA = [
    dict(at=-118, length=0.95, width=0.62, shape="orbicular", ruffle=0.16, elevation=22, bend=0.8, curl=0.4, veins=7, vein=0.2),
    dict(at=-62, length=0.95, width=0.62, shape="orbicular", ruffle=0.16, elevation=20, bend=0.8, curl=0.4, veins=7, vein=0.2),
    dict(
        at=58,
        length=0.72,
        width=0.4,
        shape="orbicular",
        color=1,
        twin=True,
        elevation=42,
        cup=1.0,
        roll=-25,
        height=0.05,
        ruffle=0.1,
    ),
    dict(at=90, length=0.5, width=0.2, shape="ovate", color=2, elevation=50, cup=1.3, height=0.02),
]
SNAP = [
    dict(at=-60, length=0.75, width=0.42, shape="orbicular", elevation=30, twin=True, bend=0.54),
    dict(at=40, length=0.7, width=0.36, shape="orbicular", twin=True, elevation=20, bend=0.72),
    dict(at=90, length=0.75, width=0.38, shape="orbicular", elevation=20, bend=0.72),
    dict(at=90, length=0.34, width=0.3, shape="orbicular", color=2, elevation=55),
]
HOOD = [
    dict(at=90, length=0.7, width=0.28, shape="elliptic", elevation=10, twin=False),
    dict(at=40, length=0.75, width=0.38, shape="orbicular", elevation=25, twin=True),
    dict(at=-90, length=1.3, width=0.5, shape="orbicular", elevation=62, cup=1.5, bend=-1.7, radius=0.25, height=-0.1),
]
GINGER = [
    dict(at=-60, length=0.7, width=0.3, shape="ovate", twin=True, color=1),
    dict(at=90, length=0.9, width=0.45, shape="fan", color=1, notch=0.2, elevation=20, bend=0.54),
    dict(at=-90, length=0.8, width=0.3, shape="ovate", color=1),
]
LILY = dict(petals_=3, layers=2, inner_length=1.0, shape="elliptic", elevation=20, inner_elevation=20, uneven=0.03)
DAISY = dict(shape="oblong", elevation=2, inner_elevation=8, inner_length=0.92, bend=0.14, eye=0.12)

SPECIES: dict[int, Species] = {
    1: S("pink primrose", "open_flower", "f2b8d0 f8d4e2 f4f2b8 d878a8", petals_=4, shape="obcordate", width=0.62, notch=0.08, veins=9, vein=0.35, base_reach=0.35, elevation=18, center=[stamens(8, 0.4, color="f0e070"), pistil(lobes=4, color="f4f4c0", lobe_length=0.2)]),
    2: S("hard-leaved pocket orchid", "parts", "e8d8a8 f4eed8 b06888 8a3a50,f0e8d0 f4f0e0 b87090 7a3048", tilt=(0, 30), pieces=[
        dict(at=-90, length=0.85, width=0.5, shape="orbicular", veins=7, vein=0.5), dict(at=95, length=0.6, width=0.35, shape="elliptic"),
        dict(at=-8, length=1.0, width=0.48, shape="orbicular", twin=True, veins=7, vein=0.7), dict(at=90, length=0.85, width=0.42, shape="orbicular", color="e8a0b0", elevation=25, cup=1.3, gloss=0.25),
        dict(at=90, length=0.3, width=0.2, shape="orbicular", color="f0f0e0", elevation=20)]),
    3: S("canterbury bells", "spike", "8a78d0 a89ae8 c8c0f0 604aa0,e8a8c8 f4c8dc f8e0e8 c078a0,f0eef8 ffffff e8f0e0 c8c8d8", floret=("urn", dict(length=2.0, radius=0.14, rise=42, bend=-0.95, curl=1.35, lobes=5, depth=0.14, pointed=False, veins=3, vein=0.2)), n=8, floret_size=0.5, radius=0.44, length=2.5, buds=0.15, taper=0.25, droop=-0.1, loose=0.1, bracts=0.5, blooms=(1, 2)),
    4: S("sweet pea", "parts", "e878b0 f4b0d0 f8d8e8 c04888,b070c8 d0a0e0 e8d0f0 8040a0,e84a60 f48090 f8b0b8 a82038,f4e4ec fcf4f8 f8f0e8 e0b0c8", pieces=PEA, blooms=(1, 4), tilt=(0, 60), leaf="pinnate", size=0.95),
    5: S("english marigold", "open_flower", "f5a010 f8b830,f8c818 fcd850,f08010 f89a28", petals_=24, layers=3, width=0.11, **DAISY, fringe=0.04, center=[disc(0.24, "c87010", rim="f0a020", dome=0.5)], leaf="oblanceolate"),
    6: S("tiger lily", "open_flower", "f07a20 f89a40 e88820 401810", **(LILY | dict(width=0.22, bend=1.6, elevation=35, inner_elevation=38)), spots=3.2, spot=1.0, length=1.15, center=[stamens(6, 1.0, color="7a3010", filament="e8a850", spread=45, tip=0.07, bend=0.36), pistil(color="c88040", height=0.5)], leaf="linear"),
    7: S("moon orchid", "parts", "fbf8fc ffffff f4e8b0 f0c840,f4eef8 fcf8ff f0e0a0 e8b840", pieces=orchid_pieces(0, 0.72, 0, 0.42, "f8e8b8", 0.5, 0.24, "cordate"), veins=9, vein=0.08, blooms=(1, 5), tilt=(0, 35), leaf="oblong"),
    8: S("bird of paradise", "bird", "f58a18 f8a830 e87810 3848b8", blooms=(1, 2), tilt=(0, 10), leaf="oblong", size=1.15),
    9: S("monkshood", "spike", "5048b0 7068c8 8078d0 302878,6a58c0 8878d8 9088d8 403090", floret=("parts", dict(pieces=HOOD)), n=17, floret_size=0.5, radius=0.3, length=2.5, buds=0.2, blooms=(1, 2), leaf="maple"),
    10: S("globe thistle", "cluster", "5a70c0 98a8e0 48609a,5068b8 8898d8 405890", floret=small(5, "linear", width=0.13, elevation=35, length=1.1, calyx=0.3, bend=0.6), n=120, floret_size=0.2, radius=0.82, dome=1.0, spread=160, stand=0.0, core="5a6a98", leaf="lobed", leaf_color="6a8a60", tilt=(20, 80)),
    11: S("snapdragon", "spike", "e85890 f490b8 f8e060 c03068,f4d040 f8e070 f8b030 d0a020,f4f0f0 ffffff f8e880 d8d0c8,c82840 e05068 f8d060 901828", floret=("parts", dict(pieces=SNAP)), n=16, floret_size=0.52, radius=0.33, length=2.4, buds=0.25, bud_color="a8b868", blooms=(1, 2), taper=0.6),
    12: S("colt's foot", "open_flower", "f8d018 fce050", petals_=52, layers=3, width=0.028, **(DAISY | dict(shape="linear", uneven=0.04)), center=[disc(0.27, "e8a810", seeds=60, dome=0.3), stamens(16, 0.16, color="f8c820", filament="f0c020", tip=0.03, hollow=0.0)], leaf="cordate", blooms=(1, 5), size=0.8),
    13: S("king protea", "brush", "f4dce0 fcf4f4 ecc4cc", n=230, length=0.95, spread=40, thin=0.02, inner=-0.12, bend=-0.25, heart=0.55, body_size=0, bracts=48, bract_color="d87890", bract_tip="f4d4d4", bract_length=(1.2, 0.95), bract_width=0.15, bract_elevation=(20, 70), bract_shape="elliptic", tilt=(0, 65), leaf="elliptic", size=1.1, blooms=(1, 1)),
    14: S("spear thistle", "brush", "b048a0 d078c0 c890c0,a03890 c868b8 c080b8", n=130, length=0.75, spread=52, thin=0.022, body="6a8050", body_size=0.5, body_scales=60, tilt=(30, 85), leaf="lobed", leaf_color="5a7a48"),
    15: S("yellow iris", "parts", "f4d020 f8e050 e8b818 a06818", pieces=iris_pieces(0, 0, "c89018"), leaf="sword", tilt=(0, 55), water=True),
    16: S("globe-flower", "open_flower", "f4d820 f8e850 e0c018", petals_=13, spiral=True, shape="orbicular", width=0.6, elevation=25, inner_elevation=52, inner_length=0.95, bend=-1.7, cup=0.8, length=1.25, eye=0.22, tilt=(20, 75), leaf="maple"),
    17: S("purple coneflower", "open_flower", "d070b0 e090c8 c060a0 b05090,c860a8 d888c0 b85098 a04888", petals_=15, width=0.13, **(DAISY | dict(elevation=-18, bend=0.63)), veins=3, vein=0.3, notch=0.05, center=[disc(0.36, "e07828", rim="5a2818", dome=0.85, seeds=120)], tilt=(15, 70), leaf="ovate"),
    18: S("peruvian lily", "cluster", "f08068 f8b098 f8d870 6a2020,f8c8d0 fce0e4 f8e080 8a3040,f4c040 f8d870 f8e890 802810", floret=("open_flower", dict(LILY, width=0.27, spots=1.3, spot=0.9, base_reach=0.6, elevation=35, inner_elevation=35, bend=0.54, center=[stamens(5, 0.6, color="806040", spread=30)])), n=5, floret_size=0.62, radius=0.75, spread=65),
    19: S("balloon flower", "open_flower", "7068d0 8a84e0 a8a0e8 4a40a8", petals_=5, shape="ovate", width=0.5, elevation=12, veins=8, vein=0.55, bend=0.18, center=[pistil(color="e8e8f8", lobes=5, lobe_length=0.18, height=0.25)], leaf="ovate"),
    20: S("giant white arum lily", "arum", "f8f6ee ffffff e8f0c8 d8d8b8", leaf="cordate", size=0.95),
    21: S("fire lily", "open_flower", "e83818 f8a020 f8c030,f05020 f8b838 f8d048", **(LILY | dict(shape="linear", width=0.11, bend=1.4, elevation=42, inner_elevation=45)), ruffle=0.6, tip_reach=0.0, rim=1.0, base_reach=0.6, length=1.15, center=[stamens(6, 0.8, color="b06820", filament="f0c868", spread=85)], leaf="lanceolate"),
    22: S("pincushion flower", "open_flower", "a090d8 beb0ea,c8a8e0 dcc8f0,8098d8 a0b4e8", petals_=14, layers=2, shape="fan", width=0.2, fringe=0.12, ruffle=0.13, elevation=5, inner_length=0.7, center=[disc(0.42, "d8d0f0", rim="b8a8e0", dome=0.4, seeds=60), stamens(22, 0.5, color="f0e8f8", filament="c8b8e8", spread=60, ring=0.12)], tilt=(5, 60), leaf="lobed"),
    23: S("fritillary", "urn", "5a2038 803858 4a1c30 b890a0,702c48 904a60 582840 c8a0ac,64304c 885060 502038 c09ca8,e8e4dc f4f0e8 d8dcb8 c8ccb0", length=2.0, radius=0.1, rise=40, bend=-1.1, curl=0.05, lobes=6, depth=0.26, pointed=False, checks=15, tilt=(75, 105), leaf="linear", blooms=(1, 2), calyx=False),
    24: S("red ginger", "cone", "d82838 e84858 b81828,e04858 f07080 c03040", n=44, height=2.2, radius=(0.12, 0.05), length=(0.6, 0.34), width=(0.28, 0.16), elevation=(42, 78), bend=-0.35, gloss=0.35, leaf="oblong", blooms=(1, 2)),
    25: S("grape hyacinth", "spike", "4850b8 6a74d0 8890d8 283080,5058c8 7078d8 98a0e0 303890", floret=("urn", dict(length=1.7, radius=0.1, rise=5, bend=-2.6, curl=0.5, lobes=6, depth=0.1, tip_reach=0.14, calyx=False)), tips="f0f0f8", n=52, floret_size=0.15, radius=0.26, length=1.9, droop=0.9, buds=0.12, taper=0.5, blooms=(1, 5), leaf="linear"),
    26: S("corn poppy", "open_flower", "d82818 e84028 b81810 180808,e83820 f05030 c02818 180808", petals_=4, shape="fan", width=0.8, elevation=22, ruffle=0.11, blotch=0.9, blotch_at=0.12, bend=0.18, texture=0.1, center=[stamens(34, 0.32, color="281828", filament="301828"), pistil(radius=0.12, color="90a860")], leaf="lobed"),
    27: S("prince of wales feathers", "plume", "c82850 e04870,d83888 e868a8,f0a020 f8c040,e04020 f06838", blooms=(1, 4), leaf="ovate"),
    28: S("stemless gentian", "trumpet", "2838b8 4858d0 3040b0 141c60,3048c8 5068d8 3848b8 181f68", tube=1.2, tube_width=0.3, limb=0.7, elevation=36, bend=0.9, lobes=5, depth=0.75, pointed=True, spots=2.2, spot=0.6, base_reach=0.3, throat="343c90", throat_reach=0.5, tilt=(0, 60), leaf="elliptic"),
    29: S("artichoke", "brush", "8858c0 a880d8 9868c8", n=150, length=0.75, spread=45, thin=0.016, body_size=0.85, body="7a8e62", body_scales=58, scale_shape="ovate", scale_size=1.5, tilt=(35, 80), leaf_color="8a9a80", leaf="lobed", blooms=(1, 2)),
    30: S("sweet william", "cluster", "d03068 e87098 f8f0f4 801838,b01838 c83050 f4d8e0 600818,f4b0c8 f8d8e4 c83060 a02048,e85070 f8f4f8 fcf8fa b82848", floret=small(5, "fan", width=0.55, fringe=0.1, base_reach=0.35, tip_reach=0.25, blotch=0.6, blotch_at=0.35), n=24, floret_size=0.29, radius=1.0, dome=0.6),
    31: S("carnation", "open_flower", "e86090 f08cb0,d02840 e04860,f8f0f0 ffffff,f4b8c8 f8d0dc", petals_=34, spiral=True, shape="fan", width=0.4, fringe=0.07, teeth=9, ruffle=0.22, ruffles=2, elevation=2, inner_elevation=78, inner_length=0.62, bend=0.35, inner_bend=-0.5, leaf="linear", leaf_color="7a9a88"),
    32: S("garden phlox", "cluster", "d868b0 e890c8 b03888,f0e8f4 fcf8fc d860a0,b070c8 c890d8 8040a0,f07890 f8a0b0 c03058", floret=small(5, "orbicular", width=0.48, base_reach=0.28, center=[eye(0.1, "f0d8a0")]), n=30, floret_size=0.27, radius=0.9, dome=1.0, loose=0.1),
    33: S("love in the mist", "open_flower", "7090d8 90b0e8 b8d0f0 5070b8,e8eef8 fafcff d0e0f0 a0b8d8", petals_=7, layers=2, shape="ovate", tip=0.2, width=0.27, veins=5, vein=0.3, inner_length=0.8, center=[pistil(radius=0.16, color="90b070", lobes=6, lobe_length=0.32, height=0.25), stamens(22, 0.35, color="6070a0")], sepals=18, sepal_width=0.025, sepal_color="7aa058", leaf="ferny"),
    34: S("mexican aster", "open_flower", "e070b8 f090d0 d060a8,f4f0f8 ffffff f0e8f0,c83080 d85098 a82068", petals_=8, width=0.3, **(DAISY | dict(shape="fan", inner_length=1.0)), fringe=0.1, teeth=3, veins=5, vein=0.2, center=[disc(0.2, "f4c820", dome=0.4, seeds=55)], leaf="ferny"),
    35: S("alpine sea holly", "open_flower", "7088b8 98a8d0 8098b8 b0c0e0,6878c8 8898d8 7088b0 b0b8e0", petals_=15, layers=2, shape="lanceolate", width=0.1, elevation=2, inner_elevation=24, inner_length=0.85, wave=0.75, waves=6, veins=2, vein=0.4, uneven=0.12, bend=0.2, calyx=0.1, sepal_color="5a7890", center=[disc(0.36, "5a70a8", rim="8098cc", dome=1.5, seeds=170, long=2.2)], tilt=(15, 70), leaf="lobed", leaf_color="5a7a68"),
    36: S("ruby-lipped cattleya", "parts", "d888c8 e8a8d8 c060a8 901858,e0a0d0 f0c0e0 c868b0 a02060", pieces=orchid_pieces(0, 0.55, 0, 0.24, "a81858", 0.85, 0.48, "orbicular", 0.1), tilt=(0, 35), leaf="oblong"),
    37: S("cape flower", "open_flower", "fcfcf6 ffffff 6858a8,f8b060 fcc888 8a3c30,f8e8a0 fcf0c0 7a5038", petals_=14, layers=1, width=0.17, **DAISY, center=[disc(0.2, "3a2438", rim="604030", dome=0.3, seeds=60)], base_reach=0.3, leaf="oblanceolate", size=1.0),
    38: S("great masterwort", "open_flower", "f0e4e8 fcf4f8 c8d0a8 b890a0,d07890 e8a0b0 b0a088 803850", petals_=19, layers=1, shape="lanceolate", width=0.12, elevation=6, veins=3, vein=0.35, tip_reach=0.3, base_reach=0.5, bend=0.1, uneven=0.08, center=[stamens(85, 0.5, color="f4e0e8", filament="d8d0b8", tip=0.036, spread=78, ring=0.02, hollow=0.0)], tilt=(0, 55), blooms=(1, 4), leaf="maple"),
    39: S("siam tulip", "cone", "e890c0 f4b8d8 e8a0c8 a04890,f0b0d0 f8d0e4 f0b8d4 b060a0", n=26, height=1.8, radius=(0.16, 0.08), length=(0.5, 0.72), width=(0.34, 0.3), elevation=(38, 74), bend=-0.25, lower="8aae68", lower_share=0.42, core="8aa060", shape="ovate", leaf="oblong", blooms=(1, 2)),
    40: S("lenten rose", "open_flower", "b86888 d090a8 a8b078 702848,e0e4c0 f0f0dc b8c890 903050,683050 804868 889068 401830", petals_=5, shape="orbicular", width=0.62, elevation=18, spots=1.6, spot=0.8, veins=6, vein=0.25, base_reach=0.35, center=[stamens(36, 0.32, color="f4ecc0", filament="e8e8c8"), pistil(color="a8c078", lobes=5, lobe_length=0.2)], tilt=(10, 65), leaf="palmate"),
    41: S("barbeton daisy", "open_flower", "e83048 f05068,f880a8 fca8c4,f89020 fcb050,f8d838 fce868", petals_=26, layers=2, width=0.095, **(DAISY | dict(inner_length=0.85)), center=[disc(0.26, "e8d060", rim="c8a048", dome=0.25), stamens(30, 0.22, tip=0.02, color="f0e0a0", ring=0.16, spread=75)], tilt=(0, 35), leaf="lobed"),
    42: S("daffodil", "open_flower", "f8d828 fce858,f8f4e8 fffff8,f8e060 fcec88", **(LILY | dict(shape="ovate", width=0.34, elevation=0, inner_elevation=2, bend=0.09)), center=[("corona", dict(radius=0.3, length=0.5, color="f49818", rim="f8b030")), stamens(6, 0.3, color="f8d840", filament="e8c840", spread=14, tip=0.03)], tilt=(5, 60), leaf="sword"),
    43: S("sword lily", "spike", "e84850 f47078 f8d8c8 b02838,f8d048 fce078 f8f0b0 d8a020,f4f0f4 ffffff f4f0c0 d8a8c0,c060b0 d888c8 f0d8f0 803878", floret=("open_flower", dict(LILY, width=0.36, elevation=45, inner_elevation=45, ruffle=0.13, bend=0.63, base_reach=0.55, tube=0.7, center=[stamens(3, 0.5, spread=30)])), n=8, floret_size=0.7, radius=0.25, length=2.6, one_sided=True, side=0.4, buds=0.25, bud_size=0.24, taper=0.45, leaf="sword", blooms=(1, 2)),
    44: S("poinsettia", "open_flower", "d81828 e83040 b01018 901018,e02030 f04050 b81820 981018,f4a8a8 f8c8c0 e88888 d07878,f4f0d8 fcfaec d8e0a8 c0d090", petals_=8, layers=2, shape="elliptic", tip=0.35, width=0.3, elevation=0, inner_elevation=14, inner_length=0.6, veins=7, vein=0.35, bend=0.27, uneven=0.12, center=[disc(0.15, "d8c838", rim="88a040", seeds=14, dome=0.5)], leaf="ovate", size=1.15),
    45: S("bolero deep blue", "open_flower", "5850c0 7870d8 4038a0 282070", petals_=5, shape="fan", width=0.66, elevation=30, ruffle=0.16, bend=0.5, cup=0.6, tube=0.7, tube_width=0.3, veins=7, vein=0.3, base_reach=0.3, center=[pistil(color="e8e0a0", lobes=3, lobe_length=0.14), stamens(5, 0.25, color="f0d860", spread=30, tip=0.03)], blooms=(1, 3), tilt=(0, 55), leaf="elliptic", leaf_color="6a8a70"),
    46: S("wallflower", "spike", "f0a018 f8c040 d87810,c84018 e06830 903010,a02830 b84048 701820,f4d830 f8e860 e0b818", floret=small(4, "orbicular", width=0.5, veins=5, vein=0.2, texture=0.12, elevation=18, center=[eye(0.1, "8a5a20")]), n=22, floret_size=0.33, radius=0.5, length=1.15, droop=-0.75, buds=0.25, bud_size=0.28, bud_color="7a5038", taper=0.35, loose=0.1, bracts=0.0),
    47: S("marigold", "open_flower", "f09010 f8a828,f8c018 fcd440,e06810 f08020,a82810 f0a020", petals_=48, spiral=True, shape="fan", width=0.28, fringe=0.08, ruffle=0.26, elevation=5, inner_elevation=80, inner_length=0.5, bend=0.18, rim=1.0, tip_reach=0.2, leaf="pinnate"),
    48: S("buttercup", "open_flower", "f8d810 fce830 e8c010", petals_=5, shape="fan", width=0.58, elevation=28, gloss=0.4, bend=-0.18, center=[stamens(32, 0.26, color="f0d020", filament="d8c020"), pistil(radius=0.13, color="b8c030")], leaf="maple", size=0.85, blooms=(1, 4)),
    49: S("oxeye daisy", "open_flower", "fafaf6 ffffff f4f4e8", petals_=21, width=0.12, **DAISY, center=[disc(0.3, "f0b818", rim="f8d038", dome=0.35)], blooms=(1, 4), leaf="lobed"),
    50: S("common dandelion", "open_flower", "f8d010 fce040 e8b008", petals_=54, layers=5, width=0.045, **(DAISY | dict(shape="linear", elevation=-4, inner_elevation=72, inner_length=0.4, eye=0.04, uneven=0.03)), tip=1.3, fringe=0.03, center=[disc(0.12, "e8a810", seeds=14, dome=0.5)], blooms=(1, 4), leaf="lobed"),
    51: S("petunia", "trumpet", "8038a8 9850c0 502078 401860,e060a0 f088b8 b03878 801850,f8f4f8 ffffff e8f0c8 d0d0b0,c81838 d83858 801020 600818", tube=0.9, limb=0.9, elevation=16, bend=0.55, depth=0.14, pleat=0.06, stripe=0.5, veins=5, vein=0.6, base_reach=0.4, throat="302040", tilt=(0, 50), leaf="ovate"),
    52: S("wild pansy", "parts", "6a38a8 8050c0 f8e040 281040,5830a0 7048b8 f4e8a0 281040", pieces=pansy_pieces(0, "f4e8b0", "f8d828"), center=[pistil(radius=0.07, color="e0c040")], blooms=(1, 4), tilt=(0, 40), leaf="ovate", size=0.85),
    53: S("primula", "cluster", "f4e890 f8f0b0 f0b820,e05890 f088b0 f8d840,5860c8 7880d8 f8e060,d83048 e85868 f8d840", floret=small(5, "obcordate", width=0.48, base_reach=0.4, center=[eye(0.09, "c08018")]), n=10, floret_size=0.5, radius=0.75, dome=0.55, leaf="obovate", spread=70),
    54: S("sunflower", "open_flower", "f8b810 fcd040 e89008,f8c818 fce058 e89810", petals_=24, layers=2, shape="lanceolate", width=0.11, elevation=4, inner_elevation=12, inner_length=0.92, bend=0.18, eye=0.3, length=0.85, veins=3, vein=0.25, center=[disc(0.44, "3a2010", rim="7a4a18", dome=0.22, seeds=170)], leaf="cordate", size=1.15, blooms=(1, 2), tilt=(0, 55)),
    55: S("pelargonium", "cluster", "e02838 f04858 f8e0e4 901020,f080a8 f8a8c4 f8e0e8 c03870,f8f0f0 ffffff f0c8d4 d04070,f07858 f89878 f8d8c8 b83820", floret=small(5, "obovate", width=0.44, blotch=0.35, blotch_at=0.3, veins=4, vein=0.3, elevation=14, calyx=0.08, center=[stamens(5, 0.22, tip=0.03)]), n=17, floret_size=0.36, radius=0.85, dome=0.85, spread=88, loose=0.14, buds=0.15, stems="7a9a50", leaf="orbicular"),
    56: S("bishop of llandaff", "open_flower", "d81820 e83038 a81018", petals_=9, layers=2, shape="ovate", width=0.3, elevation=5, inner_length=0.85, bend=0.09, center=[disc(0.2, "402018", rim="f0b828", dome=0.4, seeds=70)], leaf="pinnate", leaf_color="3a3830"),
    57: S("gaura", "spike", "f8eef2 fffafc f4c8d8,f090b8 f8b0d0 d86898", floret=("parts", dict(pieces=[dict(at=-22, length=0.95, width=0.3, shape="spatulate", twin=True, elevation=8), dict(at=-66, length=0.95, width=0.32, shape="spatulate", twin=True, elevation=12)], center=[stamens(8, 0.85, color="b05848", filament="f4e0e4", spread=60, bend=0.6, tip=0.035)])), n=12, floret_size=0.62, radius=0.34, length=2.6, droop=-0.1, buds=0.4, bud_size=0.2, bud_color="d87898", taper=0.4, loose=0.25, stem="9a6a50", blooms=(1, 3)),
    58: S("geranium", "open_flower", "8068d0 9a84e0 e0d8f8 5838a0,d870b8 e898d0 f4d8ec a04088,e8e0f4 f8f4fc f0f0f0 a888c8", petals_=5, shape="obovate", width=0.5, notch=0.06, veins=7, vein=0.6, base_reach=0.3, elevation=14, center=[stamens(10, 0.3, color="5858a0"), pistil(color="d080a8", lobes=5, lobe_length=0.14, height=0.3)], leaf="maple", blooms=(1, 4)),
    59: S("orange dahlia", "open_flower", "f07818 f89838 d85810,f89028 fcb050 e06818", petals_=84, spiral=True, shape="elliptic", tip=0.55, width=0.17, elevation=-22, inner_elevation=82, inner_length=0.38, rises=0.18, bend=0.15, inner_bend=-0.9, cup=1.0, crease=0.2, leaf="serrate"),
    60: S("pink-yellow dahlia", "open_flower", "f090a8 f8b8c0 f8d858 e06888,f8a8a0 f8c8b8 fce068 e88078", petals_=78, spiral=True, shape="lanceolate", width=0.12, elevation=-18, inner_elevation=75, inner_length=0.42, rises=0.15, bend=0.3, inner_bend=-0.5, cup=1.3, base_reach=0.75, leaf="serrate"),
    61: S("cautleya spicata", "spike", "f8c820 fce050 a82838", floret=("parts", dict(pieces=[*GINGER, dict(at=90, length=1.0, width=0.2, shape="lanceolate", color="a02838", elevation=-20)])), n=14, floret_size=0.6, radius=0.32, length=2.4, buds=0.25, bud_color="902030", stem="8a2838", leaf="oblong", blooms=(1, 2)),
    62: S("japanese anemone", "open_flower", "f4b8d0 f8d8e4 f0a0c0 e080a8,fcfafa ffffff f0f0f0 e8d8e0", petals_=6, layers=1, shape="orbicular", width=0.46, elevation=8, uneven=0.1, veins=6, vein=0.12, center=[stamens(44, 0.3, color="f4c020", filament="f0e8a0", ring=0.1), pistil(radius=0.12, color="a8b840")], blooms=(1, 4), leaf="maple"),
    63: S("black-eyed susan", "open_flower", "f8b810 fccc38 e08808", petals_=14, width=0.16, **(DAISY | dict(elevation=-8, bend=0.36)), veins=3, vein=0.25, base_reach=0.2, center=[disc(0.24, "281410", rim="401c10", dome=0.8, seeds=80)], blooms=(1, 4), leaf="ovate"),
    64: S("silverbush", "trumpet", "fcfcfa ffffff f8e870 e8e0e8", tube=0.6, tube_width=0.14, limb=0.9, elevation=18, bend=0.4, depth=0.05, pleat=0.04, stripe=0.35, base_reach=0.3, throat="e8c040", center=[stamens(5, 0.16, color="f0d890", tip=0.035)], leaf="oblanceolate", leaf_color="9aaa98", blooms=(1, 4)),
    65: S("californian poppy", "open_flower", "f88810 fca830 e86808,f8a818 fcc848 f08008", petals_=4, shape="fan", width=0.78, elevation=42, bend=0.18, veins=9, vein=0.1, base_reach=0.35, center=[stamens(26, 0.25, color="f8b020", filament="f0a020", tip=0.024, thin=0.012)], leaf="ferny", leaf_color="7a9a80"),
    66: S("osteospermum", "open_flower", "c070c8 d898dc 8848a0,fafafc ffffff d0c8e8,f8c050 fcd880 a05838", petals_=18, width=0.15, **DAISY, base_reach=0.25, veins=2, vein=0.15, center=[disc(0.19, "303878", rim="7060a0", dome=0.35, seeds=60), stamens(14, 0.16, color="f0a828", ring=0.14, spread=60)], leaf="oblanceolate"),
    67: S("spring crocus", "open_flower", "9068d0 b090e4 e8e0f8 5838a0,f8f4fc ffffff e0d8f4 8058b8,f8c818 fcdc50 f0a810 c08010", **(LILY | dict(shape="obovate", width=0.34, elevation=55, inner_elevation=62, bend=-0.18)), veins=6, vein=0.35, tube=0.8, tube_width=0.07, center=[stamens(3, 0.55, color="f89010", spread=15, tip=0.07)], tilt=(10, 75), leaf="linear", blooms=(1, 5)),
    68: S("bearded iris", "parts", "6848b8 8a70d0 f0e8d0 402880,e8d8f0 f8f0fc f4e0a0 9068b0,a05080 b87898 f0d8a0 602848,f4e0a0 f8ecc0 e8c860 a07030", pieces=iris_pieces(0, 1, "f4a818"), leaf="sword", tilt=(0, 55)),
    69: S("windflower", "open_flower", "f8f8fc ffffff e8f0d8 d8d8e0,7080d8 90a0e8 d8dcf4 4858b0,d84058 e86878 f4e8ec a02038", petals_=8, layers=1, shape="elliptic", width=0.3, elevation=12, base_reach=0.25, center=[stamens(30, 0.26, color="484870", filament="7070a0"), pistil(radius=0.14, color="586048")], leaf="ferny", blooms=(1, 4)),
    70: S("tree poppy", "open_flower", "fcfcf8 ffffff f4f8e8 e8e8e0", petals_=6, shape="fan", width=0.68, elevation=15, ruffle=0.2, texture=0.08, bend=0.27, center=[stamens(70, 0.36, color="f4b810", filament="f8d850", ring=0.06), pistil(radius=0.09, color="b0b860")], leaf="lobed", leaf_color="7a9a88", tilt=(0, 45)),
    71: S("gazania", "open_flower", "f8a010 fcc038 502010 a03010,f8d020 fce050 602810 c04818,e85818 f88838 401808 801808,f4f0e0 fffaf0 583020 a04858", petals_=16, width=0.19, **(DAISY | dict(shape="elliptic", tip=0.5)), stripe=0.75, base_reach=0.3, center=[disc(0.2, "c87818", rim="f0b830", dome=0.3, seeds=70)], leaf="oblanceolate"),
    72: S("azalea", "cluster", "e85088 f088b0 f8b8d0 a81850,f4f0f4 ffffff e8f0d8 90b060,f47858 f8a080 f8c0a8 b03020,c858b8 d888cc f0c8e8 802878", floret=("open_flower", dict(petals_=5, shape="ovate", width=0.42, elevation=25, ruffle=0.13, bend=0.45, spots=1.8, spot=0.55, center=[stamens(7, 0.62, tip=0.03, color="704040", filament="f0b8c8", spread=35, thin=0.014)])), n=6, floret_size=0.68, radius=0.72, spread=72, leaf="elliptic"),
    73: S("water lily", "open_flower", "f4b8d4 f8d8e8 f0e4ec,fcfcfa ffffff f4f0e0,f8e888 fcf0b0 f4e070,d05090 e890b8 f0c0d8", petals_=24, spiral=True, shape="elliptic", width=0.2, elevation=8, inner_elevation=62, inner_length=0.65, bend=-0.36, tip_reach=0.6, center=[stamens(46, 0.28, tip=0.026, color="f8b818", filament="f8c830", thin=0.03)], tilt=(25, 65), leaf="pad", water=True, blooms=(1, 2)),
    74: S("rose", "open_flower", "d01830 e03848 a81020,f490a8 f8b8c8 e87090,f8f0e4 fffaf4 f4e0c0,f8d060 fce490 f0b840", petals_=30, spiral=True, shape="orbicular", width=0.58, elevation=12, inner_elevation=86, inner_length=0.42, inner_width=0.34, inner_bend=-0.5, bend=0.54, cup=0.9, tilt=(5, 65), leaf="pinnate", sepals=5, blooms=(1, 2)),
    75: S("thorn apple", "trumpet", "f8f8f4 ffffff e8ecd0 d0d0c0,d8c8ec f0e8fa b8a0d8 9078c0", tube=1.8, tube_width=0.24, limb=0.9, elevation=42, bend=0.9, depth=0.24, pointed=True, pleat=0.08, stripe=0.5, throat="b8c080", throat_reach=0.2, tilt=(15, 75), leaf="maple", blooms=(1, 2)),
    76: S("morning glory", "trumpet", "5060d8 7888e8 f8f4f8 a870d0,8048c0 9a68d4 f8f0f8 d080d8,e060a0 f090c0 fcf4f8 b03878", tube=0.9, tube_width=0.14, limb=0.95, elevation=26, bend=0.6, depth=0.03, pleat=0.02, stripe=0.5, base_reach=0.5, throat="f8f0c0", center=[stamens(5, 0.14, color="fcf8f0", tip=0.026)], leaf="cordate", tilt=(0, 50)),
    77: S("passion flower", "open_flower", "f4f4e8 fcfcf8 d8e4c0,d8c8e8 e8dcf4 c8d8b0", petals_=5, layers=2, shape="oblong", width=0.23, elevation=2, inner_elevation=4, inner_length=0.97, center=[("filaments", dict())], leaf="maple", tilt=(0, 45), blooms=(1, 2)),
    78: S("lotus", "open_flower", "f49ab8 f8c0d0 fce8ec e07098,f8e0e8 fcd0dc fcf4f4 f0b0c0", petals_=20, spiral=True, shape="ovate", width=0.34, elevation=15, inner_elevation=70, inner_length=0.8, bend=-0.63, tip_reach=0.5, veins=9, vein=0.2, base_reach=0.6, cup=0.9, center=[stamens(40, 0.3, color="f8e078", filament="f8d850", ring=0.18, spread=50), ("disc", dict(radius=0.2, color="c8cc50", rim="d8d868", seeds=16, dome=0.1, height=0.22))], leaf="pad", tilt=(10, 65), water=True, blooms=(1, 2)),
    79: S("toad lily", "open_flower", "f0e4f0 f8f0f8 f0e8c0 702878", **(LILY | dict(width=0.2, shape="lanceolate", elevation=28, inner_elevation=28)), spots=4.0, spot=1.0, bend=0.63, center=[stamens(6, 0.5, color="c89858", filament="e8d8e8", spread=50, bend=0.72), pistil(color="e8d0e8", lobes=6, lobe_length=0.35, height=0.45)], leaf="elliptic", blooms=(1, 3)),
    80: S("anthurium", "spathe", "d81828 e83040 b81020,f4a0a8 f8c0c4 f09098,f8f4f0 ffffff f0f0e0,f87848 fc9868 f06030", width=0.85, length=1.5, spadix="f8e078", spadix_tip="f0b030", spadix_length=1.1, gloss=0.7, tilt=(0, 45), leaf="cordate"),
    81: S("frangipani", "open_flower", "fcf8f0 ffffff f8c828,f8c0c8 fcdce0 f8b830,f88890 fcb0b0 f8a828", petals_=5, shape="obovate", width=0.44, elevation=12, roll=16, base_reach=0.65, bend=0.36, gloss=0.1, blooms=(1, 5), leaf="oblong", tilt=(0, 45)),
    82: S("clematis", "open_flower", "6a48c0 8868d4 9868c8 c060b0,d070b8 e498d0 e080c0 b03080,f4f0f8 ffffff f0e8f4 d8b0d8,901848 b03060 801040 d05078", petals_=7, shape="elliptic", width=0.34, elevation=2, stripe=0.5, veins=3, vein=0.3, ruffle=0.088, center=[stamens(36, 0.32, color="e8d8c0", filament="f4ecd8", ring=0.05, tip=0.026)], leaf="ovate", tilt=(0, 45)),
    83: S("hibiscus", "open_flower", "e02838 f04858 801018,f8a0b8 fcc0d0 c02050,f8c830 fce068 c02828,f88838 fca860 a82030", petals_=5, shape="fan", width=0.62, elevation=18, ruffle=0.13, veins=8, vein=0.25, base_reach=0.38, bend=0.27, roll=8, center=[("column", dict(length=0.95, color="f8d040", stem="f0a0a0", bend=0.18))], leaf="serrate", tilt=(5, 55), blooms=(1, 2)),
    84: S("columbine", "open_flower", "5870d0 7890e0 4858b8,c84060 e06880 a82848,8858b8 a078d0 7040a0,f4f0e8 fcfaf4 e8e8c0", petals_=5, shape="ovate", width=0.26, elevation=8, length=0.95, spurs=5, calyx=0, center=[("cups", dict(color="f8f4e8")), stamens(18, 0.6, color="f0d040", filament="f0ecc0", spread=16)], leaf="orbicular", tilt=(25, 95), blooms=(1, 3)),
    85: S("desert-rose", "trumpet", "f0a0c0 e83068 fcf0f0,f8c0d0 f06088 fcf4f0,fcf0f2 e84878 fcf8f0", tube=0.7, tube_width=0.2, limb=0.85, elevation=22, bend=0.4, lobes=5, depth=0.34, pleat=0.02, ruffle=0.05, tip_reach=0.55, rim=0.9, base_reach=0.3, throat="e8c870", leaf="obovate", blooms=(1, 4)),
    86: S("tree mallow", "open_flower", "d868b0 e890c8 a02878 801860,e078b8 f0a0d0 a83080 882068", petals_=5, shape="obcordate", width=0.52, elevation=18, veins=6, vein=0.65, base_reach=0.3, center=[("column", dict(length=0.4, color="f4e8f0", stem="e0a0c8"))], leaf="orbicular", blooms=(1, 4)),
    87: S("magnolia", "open_flower", "fcf0f0 ffffff e8a0b8 d888a8,f4d0dc fce8ec d06898 c05888,fcfaf4 ffffff f4e8d0 e0d8c8", petals_=9, layers=1, spiral=True, shape="obovate", width=0.34, elevation=25, inner_elevation=68, inner_length=0.85, bend=-0.54, base_reach=0.7, cup=0.9, center=[pistil(radius=0.11, color="b8a060", height=0.12)], leaf="elliptic", tilt=(10, 80), blooms=(1, 2)),
    88: S("cyclamen", "open_flower", "e04888 f080b0 a01850 901048,f8f0f4 ffffff d03070 c02860,d86cc0 e898d4 902878 801868", petals_=5, shape="obovate", width=0.27, elevation=-42, bend=0.6, cup=0.3, roll=38, base_reach=0.2, length=1.2, eye=0.16, uneven=0.08, calyx=0, tube=0.12, tube_width=0.2, center=[eye(0.17, "801848", height=0.04)], tilt=(70, 105), leaf="cordate", leaf_color="5a7a58", blooms=(1, 4), size=0.9),
    89: S("watercress", "open_flower", "f07820 f89038 c03010 801808,f8b018 fcc848 d04810 901808,c82818 e04828 801008 500808,f8e060 fcec90 e07818 a02808", petals_=5, shape="orbicular", width=0.52, elevation=16, ruffle=0.13, veins=6, vein=0.6, base_reach=0.35, fringe=0.03, center=[eye(0.12, "703010"), stamens(6, 0.2, color="f0c040")], leaf="peltate", leaf_color="6a9a48", blooms=(1, 4)),
    90: S("canna lily", "open_flower", "e83020 f8a030 f8c030 c02010,f8c020 fcd850 f8e060 d83818,f8806c fca088 f8c8a0 d04030", petals_=4, layers=2, shape="obovate", width=0.32, elevation=22, inner_elevation=55, uneven=0.2, ruffle=0.26, bend=0.81, spots=1.4, spot=0.45, rim=0.9, tip_reach=0.3, leaf="oblong", leaf_color="4a7a40", tilt=(10, 70), size=1.1),
    91: S("hippeastrum", "open_flower", "d01820 e03838 c8d890 f4e8e0,f8f0ec ffffff d8e8a8 d82838,f08868 f8b098 d8e0a0 f8f0e8", **(LILY | dict(width=0.37, elevation=26, inner_elevation=30, bend=0.63)), stripe=0.55, veins=6, vein=0.25, base_reach=0.3, tube=0.8, length=1.1, center=[stamens(6, 0.75, color="f0d880", filament="f4d8c8", spread=35)], leaf="sword", blooms=(1, 3), tilt=(5, 60)),
    92: S("bee balm", "brush", "d02038 e04058 a01828,e070a8 f090c0 c04880,a868c0 c088d4 8848a0", n=64, length=0.95, spread=100, thin=0.05, shape="oblanceolate", kind=0, cup=1.6, curl=0.9, bend=0.3, heart=0.3, body_size=0.22, body="7a3840", body_scales=0, bracts=9, bract_color="a85868", bract_length=0.6, bract_width=0.16, bract_shape="ovate", tilt=(0, 75), leaf="serrate", inner=0.45),
    93: S("ball moss", "tuft", "98a888 b8c4a8,88a078 a8b898", n=95, tilt=(0, 50), leaf="linear", leaf_color="8a9a80", blooms=(1, 2)),
    94: S("foxglove", "spike", "d078b8 e49ccc f4d8ec 702050,f0e0ec faf4f8 f8f0f0 903868,e8a8c0 f4c8d8 f8e4ec 802848", floret=("urn", dict(length=2.0, radius=0.14, rise=70, bend=-0.45, curl=0.6, lobes=5, depth=0.1, pointed=False, spots=2.2, spot=0.9)), n=22, floret_size=0.52, radius=0.26, length=2.7, droop=0.5, one_sided=True, buds=0.22, taper=0.6, blooms=(1, 2), leaf="ovate"),
    95: S("bougainvillea", "cluster", "d82890 e850a8 c02080 a01868,f07838 f89858 e06028 c04818,f8f0f4 ffffff f0e8e8 d8c8d0,b848b8 d070d0 a03898 802878", floret=("open_flower", dict(petals_=3, shape="ovate", tip=0.3, width=0.5, elevation=42, veins=5, vein=0.5, bend=0.3, cup=0.5, center=[stamens(3, 0.45, color="fcf8e8", filament="f0d8c8", tip=0.06, spread=25, thin=0.03)])), n=17, floret_size=0.42, radius=0.85, spread=85, loose=0.14, leaf="ovate"),
    96: S("camellia", "open_flower", "e03858 f06078 c02848,f8b0c4 fcd0dc f090a8,fcf8f6 ffffff f4f0e8,c81830 d83848 a81020", petals_=28, spiral=True, shape="orbicular", width=0.5, elevation=4, inner_elevation=66, inner_length=0.4, inner_width=0.28, inner_bend=-0.4, bend=0.22, cup=0.6, gloss=0.08, leaf="elliptic", leaf_color="2f5a30", tilt=(0, 45), blooms=(1, 2)),
    97: S("mallow", "open_flower", "d890d8 e8b4e8 f4e0f4 8a3898,f0c8dc f8e0ec f8f0f4 c870a8", petals_=5, shape="obcordate", width=0.36, notch=0.12, elevation=12, veins=4, vein=0.9, center=[("column", dict(length=0.32, color="f4ecf4", stem="e0b8e0"))], leaf="orbicular", blooms=(1, 4)),
    98: S("mexican petunia", "trumpet", "8868d0 a08ae0 6848b0 5038a0,d880c0 e8a4d4 b858a0 a04890", tube=1.1, tube_width=0.14, limb=0.9, elevation=18, bend=0.4, depth=0.28, ruffle=0.06, veins=4, vein=0.3, texture=0.2, base_reach=0.3, throat="503088", leaf="lanceolate", blooms=(1, 4), tilt=(5, 60)),
    99: S("bromelia", "open_flower", "d82838 e85058 7a9a40,e86088 f088a8 88a850,f08828 f8a848 80a048", petals_=36, spiral=True, shape="lanceolate", width=0.15, elevation=8, inner_elevation=72, inner_length=0.6, bend=0.5, base_reach=0.3, cup=1.0, gloss=0.25, streak=0.08, rises=0.1, center=[disc(0.16, "6848b8", rim="f0e8f4", seeds=24, dome=0.4)], leaf="sword", blooms=(1, 1), size=1.15),
    100: S("blanket flower", "open_flower", "d83018 f8c828 b82010,c02818 f8d030 a01810,e04020 f8b820 b82818", petals_=15, width=0.2, **(DAISY | dict(shape="fan")), fringe=0.14, teeth=3, tip_reach=0.42, center=[disc(0.3, "803018", rim="d88028", dome=0.5, seeds=90)], leaf="lobed"),
    101: S("trumpet creeper", "cluster", "f06828 f88848 f8b040 c83010,e84820 f06838 f8a038 b82810", floret=("trumpet", dict(tube=1.4, tube_width=0.26, limb=0.44, elevation=22, bend=0.6, depth=0.38, throat="d86020", throat_reach=0.6)), n=7, floret_size=0.5, radius=0.8, spread=95, dome=0.8, loose=0.2, stand=0.2, leaf="pinnate", stems="9a8a48"),
    102: S("blackberry lily", "open_flower", "f48828 f8a848 f8c050 a02010,f8a030 fcb858 f8c860 a82818", **(LILY | dict(width=0.22, shape="elliptic", elevation=8, inner_elevation=8)), spots=2.8, spot=1.0, bend=0.22, center=[stamens(3, 0.4, color="e8b030", filament="f0a048", spread=40), pistil(color="f0a850", height=0.3)], leaf="sword", blooms=(1, 4)),
}  # fmt: skip
