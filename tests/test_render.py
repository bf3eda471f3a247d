"""The rendered flowers: the renderer, the species and the images that come with the course."""

import io
import itertools
import json
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from helpers.base import PROJECT
from helpers.data import find_images
from helpers.images import image_files
from tools.camera import develop, disc_blur, fill
from tools.forms import FORMS, balls, bell, paint, petals, tubes
from tools.gardens import GROUNDS, LEAVES, background, leaf
from tools.rasterizer import rasterize
from tools.render_flowers import (
    QUALITY,
    SIZE,
    SPLITS,
    contact_sheet,
    draw_pictures,
    mask_path,
    oxford_train,
    picture_path,
    pictures_of,
    render_split,
    seed_of,
)
from tools.scene import draw
from tools.species import PORTRAITS, SPECIES, pick_colors
from tools.surfaces import BLOOM, COLUMNS, instances, look_at, place, surfaces
from tools.wild_species import invent_species

FLOWERS = PROJECT / "flower_data"
CAT_TO_NAME = json.loads((PROJECT / "cat_to_name.json").read_text(encoding="utf-8"))


# ---- drawing -------------------------------------------------------------------------------------------------------


def test_drawing_gives_pictures_and_masks():
    for size in (32, 50):
        pictures, masks = draw([SPECIES[1], SPECIES[54]], [0, 1], size)
        assert (pictures.shape, pictures.dtype) == ((2, size, size, 3), np.uint8)
        assert (masks.shape, masks.dtype) == ((2, size, size), np.bool_)


def test_every_picture_needs_a_seed():
    with pytest.raises(ValueError, match="zip"):
        draw([SPECIES[1], SPECIES[2]], [0], 32)


def test_the_same_seed_draws_the_same_picture_whatever_else_is_drawn():
    alone = draw([SPECIES[54]], [[7, 3]], 48)
    among = draw([SPECIES[n] for n in (1, 9, 54, 20)], [[1], [2], [7, 3], [4]], 48)
    again = draw([SPECIES[54]], [[7, 3]], 48)
    for found, expected in zip(alone, again, strict=True):
        assert np.array_equal(found, expected)
    for found, expected in zip(among, alone, strict=True):
        assert np.array_equal(found[2], expected[0])


def test_another_seed_draws_another_picture():
    pictures, masks = draw([SPECIES[54]] * 6, list(range(6)), 48)
    for i in range(6):
        for j in range(i):
            assert np.abs(pictures[i].astype(float) - pictures[j]).mean() > 8
            assert (masks[i] != masks[j]).mean() > 0.02


def test_numpys_global_generator_has_no_part_in_it():
    first = draw([SPECIES[3]], [5], 32)[0]
    np.random.seed(1)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert np.array_equal(draw([SPECIES[3]], [5], 32)[0], first)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.fixture(scope="module")
def everything():
    """One picture of every species: numbers, pictures, masks."""
    pictures, masks = draw(list(SPECIES.values()), [[11, n, 0] for n in SPECIES], 48)
    return list(SPECIES), pictures, masks


def test_every_species_covers_a_reasonable_part_of_its_picture(everything):
    numbers, _, masks = everything
    for number, covered in zip(numbers, masks.mean((1, 2)), strict=True):
        assert covered > 0.003, SPECIES[number].name  # a far field; a close-up may fill the picture
    assert 0.08 < np.median(masks.mean((1, 2))) < 0.5


def test_no_picture_is_empty_or_overexposed(everything):
    numbers, pictures, _ = everything
    for number, picture in zip(numbers, pictures, strict=True):
        assert picture.std() > 10, SPECIES[number].name
        assert 15 < picture.mean() < 245, SPECIES[number].name


def test_the_mask_separates_the_flower_from_its_surroundings(everything):
    """The colors within the mask differ from those outside it, in nearly every picture."""
    _, pictures, masks = everything
    pairs = [(p, m) for p, m in zip(pictures, masks, strict=True) if 0.02 < m.mean() < 0.98]
    assert len(pairs) > 90
    apart = [np.abs(p[m].mean(0) - p[~m].mean(0)).max() for p, m in pairs]
    assert np.median(apart) > 40
    assert np.mean(np.array(apart) > 10) > 0.95


def test_a_red_flower_is_red_and_a_blue_one_blue():
    pictures, masks = draw([SPECIES[26]] * 8 + [SPECIES[25]] * 8, list(range(16)), 64)  # corn poppy, grape hyacinth
    red, _, blue = np.array([p[m].mean(0) for p, m in zip(pictures, masks, strict=True)]).T
    assert (red[:8] > blue[:8] + 30).all()
    assert (blue[8:] > red[8:] + 10).all()


# ---- surfaces ------------------------------------------------------------------------------------------------------

RED, GREEN, WHITE = (np.array(c, float) for c in ((0.8, 0, 0), (0, 0.8, 0), (0.8, 0.8, 0.8)))


def shown(*rows, light=(0, 0, 1), sun=1.0, sky=0.3, size=48, samples=2, softness=0.005):
    """RGB, coverage and coverage by blooms of some surfaces in one light, (size, size, 5)."""
    lights = [np.array([[c] * 3], np.float32) for c in (sun, sky, sky)]
    direction = np.array([light], np.float32) / np.linalg.norm(light)
    return rasterize([np.concatenate(rows)], size, samples, direction, *lights, np.array([softness], np.float32))[0]


def plate(z, color, side=0.4, **look):
    """A square in the middle that faces the camera."""
    flat = {"tip": 2.5, "base": 1.0, "texture": 0.0} | look
    return surfaces(1, x=0.5, y=0.5 - side, z=z, ay=2 * side, bx=-side, **flat, **paint(color))


def test_the_nearest_surface_hides_the_others_whatever_their_order():
    near, far = plate(0.1, RED, side=0.2), plate(-0.1, GREEN)
    for rows in ((near, far), (far, near)):
        image = shown(*rows)
        assert image[24, 24, 0] > 0.1 > image[24, 24, 1]
        assert image[24, 8, 1] > 0.1 > image[24, 8, 0]


def test_the_outline_of_a_surface_is_its_area_in_the_picture():
    """An ellipse covers pi/4 of its box, a diamond about half of it; the coverage of edge pixels is between 0 and 1."""
    ball = shown(balls([0.5, 0.5, 0], 0.3, WHITE), size=64, samples=3)[..., 3]
    assert ball.sum() / 64**2 == pytest.approx(np.pi * 0.3**2, rel=0.08)  # a polygon
    assert set(np.unique(ball)) > {0.0, 1.0}
    leaf = shown(plate(0, WHITE, peak=0.5, base=0.0, tip=0.0), size=64, samples=3)[..., 3]
    assert 0.4 < leaf.sum() / 64**2 / 0.64 < 0.8


def test_a_notch_and_teeth_cut_into_the_tip():
    whole = shown(plate(0, WHITE))[..., 3]
    for cut in ({"notch": 0.3}, {"fringe": 0.3, "teeth": 5}):
        less = shown(plate(0, WHITE, **cut))[..., 3]
        assert (less <= whole).all() and less.sum() < 0.97 * whole.sum()


def test_a_petal_that_bends_backwards_is_shorter_in_the_picture_and_its_tip_lies_deeper():
    straight, bent = (shown(plate(0, WHITE, bend=bend))[..., 3] for bend in (0.0, 1.5))
    assert bent.sum() < 0.85 * straight.sum()
    assert shown(plate(0, RED, bend=1.5), plate(-0.2, GREEN))[40, 24, 1] > 0.1  # the tip has gone behind the green plate


def test_a_bell_is_open_in_front_and_closed_at_the_back():
    """Seen from its mouth one looks into it: no sample of the disc lets the background through."""
    rows = place(bell(0.05, 0.5, 1.2, **paint(WHITE)), [0.5, 0.5, -0.4])
    inside = shown(rows, plate(-0.8, GREEN))
    assert inside[24, 30, 0] > 0.02
    turned = place(bell(0.05, 0.5, 1.2, fringe=0.4, teeth=5, **paint(WHITE)), [0.5, 0.5, -0.4])
    assert shown(turned)[..., 3].sum() < shown(rows)[..., 3].sum()


def test_a_shadow_falls_away_from_the_light():
    for light, side in (((-0.7, 0, 1), 1), ((0.7, 0, 1), -1)):
        image = shown(plate(0, WHITE), balls([0.5, 0.5, 0.2], 0.08, WHITE), light=light)
        there, opposite = image[24, 24 + side * 7, 0], image[24, 24 - side * 7, 0]
        assert there < 0.6 * opposite


def test_a_softer_sun_gives_softer_shadows():
    edges = []
    for softness in (0.002, 0.06):
        row = shown(plate(0, WHITE), balls([0.5, 0.5, 0.25], 0.1, WHITE), light=(-0.9, 0, 1), softness=softness)[24, 31:42, 0]
        edges.append(np.abs(np.diff(row)).max())
    assert edges[1] < 0.7 * edges[0]


def test_light_from_behind_shines_through_a_petal():
    dull, clear = (shown(plate(0, np.array([0.6, 0.2, 0.2]), through=t), light=(0, 0, -1)) for t in (0.0, 0.9))
    assert clear[24, 24, 0] > 1.5 * dull[24, 24, 0]
    assert clear[24, 24, 0] > 2 * clear[24, 24, 2]  # and is colored by it


def test_corners_are_darker_than_open_places():
    gray = np.full(3, 0.2)
    wall = surfaces(1, x=0.5, y=0.1, z=0.0, ay=0.8, bx=-0.15, bz=0.15, tip=2.5, base=1.0, **paint(gray))
    row = shown(plate(0, gray, side=0.5), wall, sun=0.0, sky=1.0, samples=3)[14:34, :, 0].mean(0)
    assert row[16] < 0.9 * row[4]  # at the foot of the wall and far from it


def test_rows_are_rotated_scaled_and_moved_as_one_body():
    rows = tubes([[0, 0, 0], [1, 0, 0]], [[0, 1, 0], [1, 0, 2]], [0.1, 0.2], WHITE)
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = place(rows, [3, 4, 5], 2.0, quarter)
    assert np.allclose(moved[:, 1:4], [[3, 4, 5], [3, 6, 5]], atol=1e-6)
    assert np.allclose(moved[:, 4:7], [[-2, 0, 0], [0, 0, 4]], atol=1e-6)
    assert np.allclose(np.linalg.norm(moved[:, 7:10], axis=1), [0.2, 0.4])
    assert np.array_equal(moved[:, 10:], rows[:, 10:])
    two = instances(rows, np.zeros((2, 3)), np.ones(2), np.stack([np.eye(3), quarter]))
    assert np.array_equal(two[:2], rows) and np.allclose(two[2:], place(rows, np.zeros(3), 1.0, quarter))


def test_look_at_gives_rotations_that_turn_z_to_the_direction():
    directions = np.random.default_rng(0).normal(size=(20, 3))
    turns = look_at(directions)
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(turns), 1)
    assert np.allclose(turns[:, :, 2], directions / np.linalg.norm(directions, axis=1, keepdims=True))


def test_petals_stand_around_the_axis():
    rows = petals(np.arange(4) * np.pi / 2, 0.0, 1.0, 0.3, radius=0.1)
    assert np.allclose(rows[:, 4:6], [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-6)
    assert np.allclose(rows[:, 1:3], 0.1 * rows[:, 4:6], atol=1e-6)
    front = np.cross(rows[:, 4:7], rows[:, 7:10])
    assert (front[:, 2] > 0).all()  # towards whoever looks into the flower


def test_every_form_gives_finite_rows_with_a_bloom():
    for number, species in SPECIES.items():
        rows = FORMS[species.form](
            np.random.default_rng(number), pick_colors(species, np.random.default_rng(0)), **species.options
        )
        assert rows.shape[1] == len(COLUMNS) and np.isfinite(rows).all(), species.name
        assert (rows[:, BLOOM] >= 0).any(), species.name


# ---- camera --------------------------------------------------------------------------------------------------------


def test_the_horizon_divides_sky_and_ground():
    colors = np.array([[[0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]], np.float32)
    canvas = fill(40, colors, np.array([[0.5, 0.02]], np.float32), np.array([[5.0, 0, 0]], np.float32))
    assert (canvas[0, :14, :, 2] > 0.99).all() and (canvas[0, 26:, :, 1] > 0.99).all()


def test_a_point_out_of_focus_becomes_a_disc():
    images = np.zeros((2, 31, 31, 1), np.float32)
    images[:, 15, 15] = 1
    disc_blur(images, np.array([0.0, 5.0]))
    assert images[0, 15, 15] == 1 and images[0].sum() == 1
    disc = images[1, ..., 0]
    assert disc.sum() == pytest.approx(1, rel=0.01)
    assert (disc > 0.5 * disc.max()).sum() == pytest.approx(np.pi * 25, rel=0.2)
    assert disc[15, 21] < 0.5 * disc[15, 15] and disc[15, 19] == pytest.approx(disc[15, 15], rel=0.01)


def test_the_exposure_keeps_texture_in_white_flowers_and_light_in_dark_ones():
    """A flower of half a stop more or less light comes out alike; the lightest parts stay below pure white."""
    rng = np.random.default_rng(0)
    camera = {
        "exposure": 1.0,
        "contrast": 1.0,
        "saturation": 1.0,
        "white": np.ones(3),
        "noise": 0.0,
        "vignette": 0.0,
        "seed": 0,
    }
    masks = np.zeros((1, 32, 32), np.float32)
    masks[:, 8:24, 8:24] = 1
    for level in (0.1, 0.4, 2.0):
        light = np.full((1, 32, 32, 3), 0.2, np.float32)
        light[:, 8:24, 8:24] = level * rng.uniform(0.8, 1.2, (16, 16, 1))
        flower = develop(light, masks, [camera])[0, 8:24, 8:24]
        assert 90 < flower.mean() < 245
        assert flower.std() > 3 and (flower < 255).mean() > 0.9


# ---- scenes ----------------------------------------------------------------------------------------------------------


def test_every_ground_can_be_drawn_with_every_leaf():
    up = np.array([0.0, -0.9, 0.4])
    for name, kind in itertools.product(GROUNDS, LEAVES):
        colors, horizon, rows = background(np.random.default_rng(3), GROUNDS[name], kind, "4f7d35", up)
        assert colors.shape == (4, 3) and (colors >= 0).all(), (name, kind)
        assert horizon.shape == (2,), (name, kind)
        assert rows.shape[1] == len(COLUMNS) and np.isfinite(rows).all(), (name, kind)
        assert (rows[:, BLOOM] == 0).all(), (name, kind)  # the mask marks blooms only


def test_every_leaf_has_its_own_shape():
    """Leaves of each kind, alone in the picture: none is empty, and no two cover the same pixels."""
    covers = {}
    for kind in LEAVES:
        rows = place(leaf(np.random.default_rng(1), kind, GREEN), [0.1, 0.5, 0], 0.8)
        covers[kind] = shown(rows)[..., 3]
        assert 0.01 < covers[kind].mean() < 0.6, kind
    for one, other in itertools.combinations(covers, 2):
        assert np.abs(covers[one] - covers[other]).mean() > 0.004, (one, other)


def views(view: str, number: int, count: int = 8, size: int = 64):
    setting = PORTRAITS._replace(views={name: float(name == view) for name in PORTRAITS.views})
    species = SPECIES[number]._replace(setting=setting)
    return draw([species] * count, [[5, i] for i in range(count)], size)


@pytest.mark.parametrize("field", ["backlit", "sideways", "thicket", "occluded", "exposure"])
def test_every_field_of_a_setting_changes_pictures(field):
    pictures = {}
    for value in (0.0, 0.0, 1.0):
        setting = PORTRAITS._replace(**{field: value})
        again = draw([SPECIES[54]._replace(setting=setting)] * 6, [[8, i] for i in range(6)], 32)[0]
        assert value not in pictures or np.array_equal(pictures[value], again)
        pictures[value] = again
    changed = (pictures[0.0] != pictures[1.0]).any((1, 2, 3))
    assert changed.mean() > 0.5


def border(number, strangers, count=12):
    species = SPECIES[number]._replace(setting=PORTRAITS._replace(strangers=strangers, exposure=0.0, backlit=0.0))
    return draw([species] * count, [[9, i] for i in range(count)], 64)


def test_other_species_stand_at_the_edges_and_are_not_marked():
    alone, marked = border(54, 0.0)
    mixed, marked_too = border(54, 1.0)
    assert (marked & ~marked_too).mean() < 0.02 and (marked_too & ~marked).mean() < 0.02
    changed = np.abs(alone.astype(int) - mixed).max(-1) > 30
    edge = np.ones((64, 64), bool)
    edge[16:48, 16:48] = False
    assert changed[:, edge].mean() > 1.3 * changed[:, ~edge].mean()


@pytest.mark.parametrize(("number", "water"), [(78, True), (54, False)])
def test_water_plants_stand_among_water_plants(number, water):
    drawn = []

    def watch(frame, event, _):
        if event == "call" and frame.f_code is pick_colors.__code__:
            drawn.append(frame.f_locals["species"])

    sys.setprofile(watch)
    try:
        border(number, 1.0, 12)
    finally:
        sys.setprofile(None)
    strangers = [species for species in drawn if species.name != SPECIES[number].name]
    assert len(strangers) >= 12
    assert {species.water for species in strangers} == {water}


def test_a_portrait_has_one_bloom_a_bed_many():
    """Counted as connected components of the mask, without specks."""

    def patches(view):
        return np.mean([(np.bincount(label(mask)[0].ravel())[1:] > 20).sum() for mask in views(view, 26, 16)[1]])

    assert patches("portrait") < 1.2
    assert patches("bed") > 2  # overlapping ones count as one


def test_a_macro_leaves_the_frame_a_portrait_rarely_does():
    def touching(view):
        masks = views(view, 54)[1]
        return np.mean([mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any() for mask in masks])

    assert touching("macro") > 0.8 > touching("portrait")


def test_flowers_of_a_field_grow_larger_towards_the_camera():
    masks = views("field", 50, 16)[1]
    assert masks[:, 32:].mean() > 1.5 * masks[:, :32].mean()


def test_the_mask_shows_the_bloom_and_not_its_leaves():
    pictures, masks = views("portrait", 54, 16)
    for picture, mask in zip(pictures.astype(float), masks, strict=True):
        yellow = picture[..., 0] - picture[..., 2]
        assert yellow[mask].mean() > yellow[~mask].mean() + 10


# ---- species -------------------------------------------------------------------------------------------------------


def test_the_species_are_those_of_the_names_file():
    assert list(SPECIES) == list(range(1, 103))
    assert {str(number): species.name for number, species in SPECIES.items()} == CAT_TO_NAME


def assert_well_formed(species):
    assert species.form in FORMS, species
    assert species.leaf in LEAVES, species
    assert 1 <= species.blooms[0] <= species.blooms[1], species
    assert 0 <= species.tilt[0] <= species.tilt[1] <= 180, species
    assert species.size > 0, species
    for colors in species.colors.split(","):
        assert 1 <= len(colors.split()) <= 4, species
        for color in [*colors.split(), species.leaf_color]:
            assert len(color) == 6, species
            assert int(color, 16) >= 0, species


def test_every_row_of_the_table_is_well_formed():
    for species in SPECIES.values():
        assert_well_formed(species)


def test_no_two_species_are_the_same():
    rows = [str((s.form, s.colors, s.options)) for s in SPECIES.values()]
    assert len(set(rows)) == len(rows)


# ---- wild species --------------------------------------------------------------------------------------------------


def test_the_same_number_invents_the_same_species():
    for number in (0, 1, 500):
        assert str(invent_species(number)) == str(invent_species(number))
    assert len({str(invent_species(number)) for number in range(60)}) == 60


def test_sixty_wild_species_can_be_drawn():
    species = [invent_species(number) for number in range(60)]
    for one in species:
        assert_well_formed(one)
    pictures, masks = draw(species, [[2, number] for number in range(60)], 48)
    assert (pictures.std((1, 2, 3)) > 8).all()
    assert (masks.mean((1, 2)) > 0.005).mean() > 0.95
    assert len({one.form for one in species}) >= 6


def test_wild_species_are_none_of_the_102():
    known = {s.colors for s in SPECIES.values()}
    assert not any(invent_species(number).colors in known for number in range(200))


# ---- the bundled pictures ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files():
    return {split: image_files(FLOWERS / split) for split in SPLITS}


def test_every_split_has_all_the_classes_and_as_many_pictures_as_planned(files):
    for split, classes in find_images(FLOWERS).items():
        assert list(classes) == sorted(CAT_TO_NAME)
        planned = {picture_path(FLOWERS, split, *picture) for picture in pictures_of(split)}
        assert set(files[split]) == planned
    assert len(files["train"]) >= 2000
    for split in ("valid", "test"):
        assert set(Counter(path.parent.name for path in files[split]).values()) == {5}
        assert len(files[split]) == 510


def test_training_classes_have_the_proportions_of_the_real_ones(files):
    assert sum(oxford_train().values()) == 6552  # the number of training photos in the tutorials' split
    counts = Counter(path.parent.name for path in files["train"])
    fraction = len(files["train"]) / sum(oxford_train().values())
    for number, real in oxford_train().items():
        assert abs(counts[str(number)] - fraction * real) <= 1, number


def test_every_bundled_picture_is_a_small_rgb_jpeg(files):
    for path in [path for split in SPLITS for path in files[split]]:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE)), path
    assert sum(path.stat().st_size for split in SPLITS for path in files[split]) < 25e6


def test_every_validation_image_has_a_mask_of_one_bit_per_pixel(files):
    masks = {mask_path(FLOWERS, path) for path in files["valid"]}
    assert masks == set(image_files(FLOWERS / "masks"))
    for path in masks:
        with Image.open(path) as mask:
            assert (mask.format, mask.mode, mask.size) == ("PNG", "1", (SIZE, SIZE)), path
            assert 0.002 < np.asarray(mask).mean() < 0.995, path
    assert sum(path.stat().st_size for path in FLOWERS.rglob("*") if path.is_file()) < 30e6


def test_there_are_no_duplicates(files):
    """Neither within a split nor in two of them: a test image seen in training would prove nothing."""
    contents = Counter(path.read_bytes() for split in SPLITS for path in files[split])
    assert max(contents.values()) == 1


def test_every_picture_has_a_seed_of_its_own():
    seeds = [tuple(seed_of(split, *picture)) for split in SPLITS for picture in pictures_of(split)]
    assert len(set(seeds)) == len(seeds)


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    """A picture after it was saved as the bundled ones are."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(stream)).astype(float)


@pytest.mark.parametrize("split", SPLITS)
def test_redrawn_pictures_are_the_bundled_ones(split):
    """On the machine that drew them they are equal; elsewhere sums may round differently here and there."""
    every = pictures_of(split)
    sample = [every[i * (len(every) - 1) // 2] for i in range(3)]
    for picture, pixels, mask in zip(sample, *draw_pictures(split, sample), strict=True):
        path = picture_path(FLOWERS, split, *picture)
        assert np.abs(as_jpeg(pixels) - np.asarray(Image.open(path)).astype(float)).mean() < 0.3, picture
        if split == "valid":
            assert (mask != np.asarray(Image.open(mask_path(FLOWERS, path)))).mean() < 0.005, picture


def test_rendering_a_split_writes_an_image_folder(tmp_path):
    pictures = [(1, 0), (1, 1), (102, 0)]
    render_split(tmp_path, "valid", pictures)
    masks = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path / "masks")]
    assert masks == ["masks/1/valid_001_000.png", "masks/1/valid_001_001.png", "masks/102/valid_102_000.png"]
    names = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path / "valid")]
    assert names == ["valid/1/valid_001_000.jpg", "valid/1/valid_001_001.jpg", "valid/102/valid_102_000.jpg"]
    for picture in pictures:
        path = picture_path(tmp_path, "valid", *picture)
        ours, bundled = (np.asarray(Image.open(p)).astype(float) for p in (path, FLOWERS / path.relative_to(tmp_path)))
        assert np.abs(ours - bundled).mean() < 0.3


def test_the_contact_sheet_shows_every_species():
    sheet = np.asarray(contact_sheet([1, 9, 26, 54, 78, 102], columns=3))
    tiles = sheet.reshape(2, SIZE + 16, 3, SIZE + 4, 3)[:, 13:-3, :, :-4].transpose(0, 2, 1, 3, 4).reshape(6, -1)
    assert (tiles.astype(float).std(1) > 10).all()
    assert len(np.unique(tiles, axis=0)) == 6
