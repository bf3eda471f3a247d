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
from tools.blades import COLUMNS, INDEX, blades, dapple, fill, paint
from tools.forms import FORMS
from tools.gardens import GROUNDS, LEAF_WIDTH, background
from tools.render_flowers import (
    QUALITY,
    SIZE,
    SPLITS,
    contact_sheet,
    draw_pictures,
    oxford_train,
    picture_path,
    pictures_of,
    render_split,
    seed_of,
)
from tools.scene import draw
from tools.species import PORTRAITS, SPECIES, pick_colours
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


# ---- scenes ----------------------------------------------------------------------------------------------------------


def test_every_ground_can_be_drawn_with_every_leaf():
    for name, leaf in itertools.product(GROUNDS, LEAF_WIDTH):
        colours, horizon, rows = background(np.random.default_rng(3), GROUNDS[name], leaf, "4f7d35")
        assert colours.shape == (4, 3) and (colours >= 0).all(), (name, leaf)
        assert horizon.shape == (2,), (name, leaf)
        assert rows.shape[1] == len(COLUMNS) and np.isfinite(rows).all(), (name, leaf)
        assert (rows[:, INDEX["bloom"]] == 0).all(), (name, leaf)  # the mask marks blooms only


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


def test_other_kinds_stand_around_the_labelled_blooms_and_are_not_marked():
    alone, marked = border(54, 0)
    mixed, marked_too = border(54, 5)
    assert (marked == marked_too).mean() > 0.99  # the edges only: the camera draws another softness
    motley = [np.mean([p[~m].std(0).mean() for p, m in zip(some, marked, strict=True)]) for some in (alone, mixed)]
    assert motley[1] > 1.2 * motley[0]


@pytest.mark.parametrize(("number", "water"), [(78, True), (54, False)])
def test_water_plants_stand_among_water_plants(number, water):
    drawn = []

    def watch(frame, event, _):
        if event == "call" and frame.f_code is pick_colours.__code__:
            drawn.append(frame.f_locals["species"])

    sys.setprofile(watch)
    try:
        border(number, 5, 6)
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


def test_a_shadow_falls_away_from_the_light():
    row = blades(1, x=0.5, y=0.7, ay=-0.4, bx=0.15, r=0.5, g=0.5, b=0.5, shadow=0.8, shadow_reach=0.05)
    canvas = np.full((2, 64, 64, 4), 0.5, np.float32)
    light = np.ones((2, 3), np.float32)
    paint(canvas, [row, row], light, light, np.array([[-1.0, 0.0], [1.0, 0.0]], np.float32))
    left, right = canvas[0, 30, 15:22, 0].mean(), canvas[0, 30, 42:49, 0].mean()
    assert right < left - 0.03
    assert np.allclose(canvas[0, 30, :21, 0], canvas[1, 30, :42:-1, 0], atol=0.02)


def test_light_from_behind_shines_through_a_petal():
    dark = {"r": 0.6, "g": 0.2, "b": 0.2, "lit": -0.8}
    rows = [blades(1, x=0.5, y=0.9, ay=-0.8, bx=0.4, through=through, **dark) for through in (0.0, 0.9)]
    canvas = np.zeros((2, 32, 32, 4), np.float32)
    light = np.ones((2, 3), np.float32)
    paint(canvas, rows, light, 0.1 * light, np.zeros((2, 2), np.float32))
    assert canvas[1, 16, 16, 0] > 1.5 * canvas[0, 16, 16, 0]


def test_dapples_darken_patches_only():
    canvas = np.ones((2, 64, 64, 4), np.float32)
    dapple(canvas, np.array([0.0, 0.5]), np.array([8.0, 8.0]), np.zeros((2, 2)))
    assert (canvas[0] == 1).all()
    assert 0.1 < (canvas[1, ..., 0] < 0.6).mean() < 0.9
    assert canvas[1, ..., :3].min() >= 0.5 - 1e-6 and (canvas[..., 3] == 1).all()


def test_the_horizon_divides_sky_and_ground():
    canvas = np.zeros((1, 40, 40, 4), np.float32)
    colours = np.array([[[0, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 0]]], np.float32)
    fill(canvas, colours, np.array([[0.5, 0.02]], np.float32), np.array([5.0]), np.zeros((1, 2)))
    assert (canvas[0, :14, :, 2] > 0.99).all() and (canvas[0, 26:, :, 1] > 0.99).all()


# ---- species -------------------------------------------------------------------------------------------------------


def test_the_species_are_those_of_the_names_file():
    assert list(SPECIES) == list(range(1, 103))
    assert {str(number): species.name for number, species in SPECIES.items()} == CAT_TO_NAME


def assert_well_formed(species):
    assert species.form in FORMS, species
    assert species.leaf in LEAF_WIDTH, species
    assert 1 <= species.blooms[0] <= species.blooms[1], species
    assert 0 <= species.tilt[0] <= species.tilt[1] <= 180, species
    assert species.size > 0, species
    for colours in species.colours.split(","):
        assert 1 <= len(colours.split()) <= 4, species
        for colour in [*colours.split(), species.leaf_colour]:
            assert len(colour) == 6, species
            assert int(colour, 16) >= 0, species


def test_every_row_of_the_table_is_well_formed():
    for species in SPECIES.values():
        assert_well_formed(species)


def test_no_two_species_are_the_same():
    rows = [str((s.form, s.colours, s.options)) for s in SPECIES.values()]
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
    known = {s.colours for s in SPECIES.values()}
    assert not any(invent_species(number).colours in known for number in range(200))


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
    for picture, pixels in zip(sample, draw_pictures(split, sample)[0], strict=True):
        stored = np.asarray(Image.open(picture_path(FLOWERS, split, *picture))).astype(float)
        assert np.abs(as_jpeg(pixels) - stored).mean() < 0.3, picture


def test_rendering_a_split_writes_an_image_folder(tmp_path):
    pictures = [(1, 0), (1, 1), (102, 0)]
    render_split(tmp_path, "valid", pictures)
    names = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
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
