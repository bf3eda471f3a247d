"""The rendered flowers: the renderer, the species and the pictures that come with the course."""

import io
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from helpers.data import PROJECT, check_data, class_folders, image_files
from tools import scene
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


@pytest.mark.parametrize("size", [32, 50])
def test_drawing_gives_pictures_and_masks(size):
    pictures, masks = draw([SPECIES[1], SPECIES[54]], [0, 1], size)
    assert pictures.shape == (2, size, size, 3)
    assert pictures.dtype == np.uint8
    assert masks.shape == (2, size, size)
    assert masks.dtype == np.bool_


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
    """Every species from two seeds: numbers, pictures, masks."""
    numbers = [n for n in SPECIES for _ in range(2)]
    pictures, masks = draw([SPECIES[n] for n in numbers], [[11, n, i % 2] for i, n in enumerate(numbers)], 64)
    return numbers, pictures, masks


def test_every_species_fills_a_fair_part_of_its_pictures(everything):
    numbers, _, masks = everything
    for number, share in zip(numbers, masks.mean((1, 2)), strict=True):
        assert share > 0.003, SPECIES[number].name  # a far field; a close-up may fill the picture
    assert 0.08 < np.median(masks.mean((1, 2))) < 0.5


def test_no_picture_is_empty_or_blown_out(everything):
    numbers, pictures, _ = everything
    for number, picture in zip(numbers, pictures, strict=True):
        assert picture.std() > 10, SPECIES[number].name
        assert 15 < picture.mean() < 245, SPECIES[number].name


def test_the_mask_tells_the_flower_from_its_surroundings(everything):
    """Within the mask the colours are others than outside it, in nearly every picture."""
    _, pictures, masks = everything
    pairs = [(p, m) for p, m in zip(pictures, masks, strict=True) if 0.02 < m.mean() < 0.98]
    assert len(pairs) > 180
    apart = [np.abs(p[m].mean(0) - p[~m].mean(0)).max() for p, m in pairs]
    assert np.median(apart) > 40
    assert np.mean(np.array(apart) > 10) > 0.95


def test_a_red_flower_is_red_and_a_blue_one_blue():
    pictures, masks = draw([SPECIES[26]] * 8 + [SPECIES[25]] * 8, list(range(16)), 64)  # corn poppy, grape hyacinth
    red, _, blue = np.array([p[m].mean(0) for p, m in zip(pictures, masks, strict=True)]).T
    assert (red[:8] > blue[:8] + 30).all()
    assert (blue[8:] > red[8:] + 10).all()


# ---- scenes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("leaf", LEAF_WIDTH)
def test_every_ground_can_be_drawn_with_every_leaf(name, leaf):
    colours, horizon, rows = background(np.random.default_rng(3), GROUNDS[name], leaf, "4f7d35")
    assert colours.shape == (4, 3) and (colours >= 0).all()
    assert horizon.shape == (2,)
    assert rows.shape[1] == len(COLUMNS) and np.isfinite(rows).all()
    assert (rows[:, INDEX["bloom"]] == 0).all()  # the mask marks blooms only


def views(view: str, number: int, count: int = 8, size: int = 64):
    setting = PORTRAITS._replace(views={name: float(name == view) for name in PORTRAITS.views})
    species = SPECIES[number]._replace(setting=setting)
    return draw([species] * count, [[5, i] for i in range(count)], size)


@pytest.mark.parametrize("share", ["backlit", "sideways", "thicket", "occluded", "exposure"])
def test_every_share_of_a_setting_changes_pictures(share):
    pictures = {}
    for value in (0.0, 0.0, 1.0):
        setting = PORTRAITS._replace(**{share: value})
        again = draw([SPECIES[54]._replace(setting=setting)] * 6, [[8, i] for i in range(6)], 32)[0]
        assert value not in pictures or np.array_equal(pictures[value], again)
        pictures[value] = again
    changed = (pictures[0.0] != pictures[1.0]).any((1, 2, 3))
    assert changed.mean() > 0.5


def border(number, most, count=12):
    species = SPECIES[number]._replace(setting=PORTRAITS._replace(strangers=most, exposure=0.0, backlit=0.0))
    return draw([species] * count, [[9, i] for i in range(count)], 64)


def test_other_kinds_stand_around_the_labelled_blooms_and_are_not_marked():
    alone, marked = border(54, 0)
    mixed, marked_too = border(54, 5)
    assert (marked == marked_too).mean() > 0.99  # the edges only: the camera draws another softness
    motley = [np.mean([p[~m].std(0).mean() for p, m in zip(some, marked, strict=True)]) for some in (alone, mixed)]
    assert motley[1] > 1.2 * motley[0]


@pytest.mark.parametrize(("number", "water"), [(78, True), (54, False)])
def test_plants_of_the_water_stand_among_their_like(number, water, monkeypatch):
    drawn = []
    monkeypatch.setattr(scene, "pick_colours", lambda species, rng: drawn.append(species) or pick_colours(species, rng))
    border(number, 5, 6)
    strangers = [species for species in drawn if species.name != SPECIES[number].name]
    assert len(strangers) >= 12
    assert {species.water for species in strangers} == {water}


def test_a_portrait_has_one_bloom_a_bed_many():
    """Counted as patches of the mask that hang together, specks left out."""

    def patches(view):
        return np.mean([(np.bincount(label(mask)[0].ravel())[1:] > 20).sum() for mask in views(view, 26, 16)[1]])

    assert patches("portrait") < 1.2
    assert patches("bed") > 2  # those that overlap count as one


def test_a_macro_leaves_the_frame_a_portrait_rarely_does():
    def touching(view):
        masks = views(view, 54)[1]
        return np.mean([mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any() for mask in masks])

    assert touching("macro") > 0.8 > touching("portrait")


def test_flowers_of_a_field_grow_towards_the_looker():
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
    assert species.form in FORMS
    assert species.leaf in LEAF_WIDTH
    assert 1 <= species.blooms[0] <= species.blooms[1]
    assert 0 <= species.tilt[0] <= species.tilt[1] <= 180
    assert species.size > 0
    for colours in species.colours.split(","):
        assert 1 <= len(colours.split()) <= 4
        for colour in [*colours.split(), species.leaf_colour]:
            assert len(colour) == 6
            assert int(colour, 16) >= 0


@pytest.mark.parametrize("number", SPECIES)
def test_every_row_of_the_table_is_well_formed(number):
    assert_well_formed(SPECIES[number])


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


def test_the_bundled_flowers_can_be_trained_on():
    assert check_data(FLOWERS) == FLOWERS


def test_every_split_has_all_the_classes_and_as_many_pictures_as_planned(files):
    names = sorted(CAT_TO_NAME)
    for split in SPLITS:
        assert class_folders(FLOWERS / split) == names
        planned = {picture_path(FLOWERS, split, *picture) for picture in pictures_of(split)}
        assert set(files[split]) == planned
    assert len(files["train"]) >= 2000
    for split in ("valid", "test"):
        assert set(Counter(path.parent.name for path in files[split]).values()) == {5}
        assert len(files[split]) == 510


def test_training_classes_are_as_unequal_as_the_real_ones(files):
    assert sum(oxford_train().values()) == 6552  # the number of training photos in the tutorials' split
    counts = Counter(path.parent.name for path in files["train"])
    share = len(files["train"]) / sum(oxford_train().values())
    for number, real in oxford_train().items():
        assert abs(counts[str(number)] - share * real) <= 1, number


def test_every_bundled_picture_is_a_small_rgb_jpeg(files):
    for path in [path for split in SPLITS for path in files[split]]:
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE)), path
    assert sum(path.stat().st_size for split in SPLITS for path in files[split]) < 25e6


def test_no_picture_comes_twice(files):
    """Neither within a split nor in two of them: a test picture seen in training would prove nothing."""
    contents = Counter(path.read_bytes() for split in SPLITS for path in files[split])
    assert max(contents.values()) == 1


def test_every_picture_has_a_seed_of_its_own():
    seeds = [tuple(seed_of(split, *picture)) for split in SPLITS for picture in pictures_of(split)]
    assert len(set(seeds)) == len(seeds)


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    """What is left of a picture after it was saved as the bundled ones are."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(stream)).astype(float)


@pytest.mark.parametrize("split", SPLITS)
def test_redrawn_pictures_are_the_bundled_ones(split):
    """On the machine that drew them they are equal; elsewhere sums may round differently here and there."""
    every = pictures_of(split)
    sample = [every[i * (len(every) - 1) // 3] for i in range(4)]
    for picture, pixels in zip(sample, draw_pictures(split, sample)[0], strict=True):
        stored = np.asarray(Image.open(picture_path(FLOWERS, split, *picture))).astype(float)
        assert np.abs(as_jpeg(pixels) - stored).mean() < 0.3, picture


def test_rendering_a_split_writes_an_image_folder(tmp_path, monkeypatch):
    pictures = [(1, 0), (1, 1), (102, 0)]
    monkeypatch.setattr("tools.render_flowers.pictures_of", lambda split: pictures)
    render_split(tmp_path, "valid")
    names = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert names == ["valid/1/valid_001_000.jpg", "valid/1/valid_001_001.jpg", "valid/102/valid_102_000.jpg"]
    for picture in pictures:
        path = picture_path(tmp_path, "valid", *picture)
        ours, bundled = (np.asarray(Image.open(p)).astype(float) for p in (path, FLOWERS / path.relative_to(tmp_path)))
        assert np.abs(ours - bundled).mean() < 0.3


def test_the_contact_sheet_shows_every_species():
    sheet = np.asarray(contact_sheet(17))
    tiles = sheet.reshape(6, SIZE + 16, 17, SIZE + 4, 3)[:, 13:-3, :, :-4].transpose(0, 2, 1, 3, 4).reshape(102, -1)
    assert (tiles.astype(float).std(1) > 10).all()
