"""Finding, checking, naming and loading images."""

import errno
import json
import math
import os
import shutil
import tempfile

import numpy as np
import pytest
import torch
from conftest import COLOURS, is_one_sentence, make_data, noisy, save
from PIL import Image

from helpers.base import PROJECT, UserError
from helpers.data import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    MEMMAP_BYTES,
    BatchLoader,
    FlowerFolder,
    class_folders,
    data_dir,
    decode_classes,
    decode_files,
    decode_image,
    decode_split,
    empty_or_memmap,
    few_images,
    find_images,
    flower_names,
    im_convert,
    normalize_batch,
    print_split_summary,
    split_summary,
    train_transform,
    valid_transform,
)
from helpers.images import image_files, load_image

MEAN, STD = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))


# ---- the folder ----------------------------------------------------------------------------------------------------


def test_the_images_of_every_split_and_class_are_found(tmp_path):
    root = make_data(tmp_path / "data", train=2, valid=1)
    save(noisy((9, 9, 9)), root / "test" / "without_labels.png")
    save(noisy((9, 9, 9)), root / "other" / "10" / "a.png")
    assert list(find_images(root)) == ["train", "valid"]
    for name in COLOURS:
        save(noisy((9, 9, 9)), root / "test" / name / "a.png")
    found = find_images(root)
    assert list(found) == ["train", "valid", "test"]
    assert list(found["train"]) == ["1", "10", "2"]
    assert found["train"]["2"] == [root / "train" / "2" / name for name in ("00.png", "01.png")]
    assert found["test"] == {name: [root / "test" / name / "a.png"] for name in COLOURS}


def _no_folder(root):
    shutil.rmtree(root)
    return str(root)


def _a_file(root):
    shutil.rmtree(root)
    root.write_text("no folder")
    return str(root)


def _no_train(root):
    shutil.rmtree(root / "train")
    return "train/"


def _no_valid(root):
    shutil.rmtree(root / "valid")
    return "valid/"


def _no_classes(root):
    shutil.rmtree(root / "train")
    save(noisy(COLOURS["1"]), root / "train" / "loose.jpg")
    return str(root / "train")


def _empty_class(root):
    for path in (root / "train" / "10").iterdir():
        path.unlink()
    return str(root / "train" / "10")


def _empty_class_in_valid(root):
    for path in (root / "valid" / "2").iterdir():
        path.rename(path.with_suffix(".txt"))
    return str(root / "valid" / "2")


def _class_missing_from_valid(root):
    shutil.rmtree(root / "valid" / "10")
    return "'10'"


def _class_missing_from_train(root):
    shutil.rmtree(root / "train" / "10")
    return "'10'"


def _class_missing_from_test(root):
    """The labels of the other classes would shift."""
    save(noisy(COLOURS["2"]), root / "test" / "2" / "a.png")
    return "'1'"


BAD_FOLDERS = [_no_folder, _a_file, _no_train, _no_valid, _no_classes, _empty_class, _empty_class_in_valid]
BAD_FOLDERS += [_class_missing_from_valid, _class_missing_from_train, _class_missing_from_test]


@pytest.mark.parametrize("damage", BAD_FOLDERS, ids=lambda f: f.__name__[1:])
def test_a_bad_folder_gives_one_sentence_that_names_the_thing(tmp_path, damage):
    root = make_data(tmp_path / "data", train=1, valid=1)
    culprit = damage(root)
    with pytest.raises(UserError) as error:
        find_images(root)
    assert culprit in str(error.value)
    assert is_one_sentence(str(error.value))


def test_without_flower_data_the_bundled_flowers_are_used():
    assert data_dir() == PROJECT / "flower_data"


def test_an_empty_flower_data_means_the_bundled_flowers(monkeypatch):
    monkeypatch.setenv("FLOWER_DATA", "")
    assert data_dir() == PROJECT / "flower_data"


def test_flower_data_relative_to_the_project_works_from_the_notebooks_folder(monkeypatch, tmp_path):
    elsewhere = tmp_path / "notebooks"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("FLOWER_DATA", "flower_data")
    assert data_dir().resolve() == (PROJECT / "flower_data").resolve()


def test_flower_data_relative_to_the_current_folder_comes_first(monkeypatch, tmp_path):
    make_data(tmp_path / "flower_data", train=1, valid=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWER_DATA", "flower_data")
    assert data_dir().resolve() == (tmp_path / "flower_data").resolve()


def test_flower_data_may_be_absolute_or_begin_with_a_tilde(monkeypatch, flowers):
    monkeypatch.setenv("FLOWER_DATA", str(flowers))
    assert data_dir() == flowers
    monkeypatch.setenv("HOME", str(flowers.parent))
    monkeypatch.setenv("USERPROFILE", str(flowers.parent))
    monkeypatch.setenv("FLOWER_DATA", f"~/{flowers.name}")
    assert data_dir() == flowers


def test_a_flower_data_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("FLOWER_DATA", "no_such_flowers")
    with pytest.raises(UserError, match="no_such_flowers"):
        data_dir()


@pytest.fixture
def littered(tmp_path):
    """A data folder with what Jupyter and desktops leave behind, and a folder within a class."""
    root = make_data(tmp_path / "data", train=3, valid=2)
    for split in ("train", "valid"):
        for litter in (".ipynb_checkpoints/00-checkpoint.png", "1/.ipynb_checkpoints/00-checkpoint.png", "2/._00.png"):
            save(noisy((255, 255, 255)), root / split / litter)
    (root / "train" / "1" / "notes.txt").write_text("no image")
    (root / "train" / "1" / "folder.png").mkdir()
    save(noisy(COLOURS["1"]), root / "train" / "1" / "more" / "deep.JPG")
    return root


def test_hidden_files_and_folders_are_skipped(littered):
    assert list(find_images(littered)["train"]) == ["1", "10", "2"]
    assert class_folders(littered / "train") == ["1", "10", "2"]
    names = [path.name for path in image_files(littered / "train" / "1")]
    assert names == ["00.png", "01.png", "02.png", "deep.JPG"]
    assert [path.name for path in image_files(littered / "train" / "2")] == ["00.png", "01.png", "02.png"]


def test_a_hidden_folder_above_the_data_hides_nothing(tmp_path):
    root = make_data(tmp_path / ".cache" / "data", train=2, valid=1)
    assert len(find_images(root)["train"]["1"]) == 2
    assert len(decode_split(root, "train", 8).files) == 6
    assert len(FlowerFolder(root / "train")) == 6


def test_decode_split_skips_hidden_files(littered):
    images = decode_split(littered, "train", 8)
    assert [path.relative_to(littered / "train").as_posix() for path in images.files][:5] == [
        *("1/00.png", "1/01.png", "1/02.png", "1/more/deep.JPG", "10/00.png"),
    ]
    assert images.labels.tolist() == [0] * 4 + [1] * 3 + [2] * 3


def test_every_way_to_load_a_split_has_the_same_classes_labels_and_order(littered):
    for split in ("train", "valid"):
        images, folder = decode_split(littered, split, 8), FlowerFolder(littered / split)
        assert images.classes == folder.classes == ["1", "10", "2"]
        assert images.labels.tolist() == folder.targets
        assert [str(path) for path in images.files] == [path for path, _ in folder.samples]
        found = decode_classes(find_images(littered)[split], 8)
        assert (found.classes, found.files) == (images.classes, images.files)
        assert torch.equal(found.labels, images.labels)


def test_decode_split_returns_the_images_of_its_files(flowers):
    images = decode_split(flowers, "valid", 16)
    assert images.pixels.shape == (12, 3, 16, 16)
    assert images.pixels.dtype == torch.uint8
    assert images.labels.dtype == torch.int64
    for pixels, label in zip(images.pixels, images.labels, strict=True):
        expected = torch.tensor(COLOURS[images.classes[label]])
        assert (pixels.float().mean((1, 2)) - expected).abs().max() < 5


def test_few_images_of_some_classes_get_new_labels(flowers):
    images = decode_split(flowers, "train", 8)
    few = few_images(images, [2, 0], per_class=1)
    assert few.classes == [images.classes[2], images.classes[0]]
    assert few.labels.tolist() == [0, 1]
    for row, old in enumerate([2, 0]):
        first = images.labels.tolist().index(old)
        assert torch.equal(few.pixels[row], images.pixels[first])
        assert few.files[row] == images.files[first]
    assert len(few_images(images, [0, 1, 2], per_class=10**6).labels) == len(images.labels)


def test_flower_folder_returns_transformed_images_and_labels(flowers):
    image, label = FlowerFolder(flowers / "train", valid_transform(32))[15]
    assert image.shape == (3, 32, 32)
    assert label == 1  # 12 images of each class


# ---- names ---------------------------------------------------------------------------------------------------------


def test_names_go_from_index_to_folder_to_flower(flowers):
    classes = class_folders(flowers / "train")
    names = flower_names(classes, flowers)
    assert [names[classes[index]] for index in range(3)] == [
        *("pink primrose", "globe thistle", "hard-leaved pocket orchid"),
    ]


def test_a_matching_file_in_the_data_folder_wins(tmp_path):
    (tmp_path / "cat_to_name.json").write_text(json.dumps({"1": "mine", "2": "yours", "3": "nobody's"}))
    assert flower_names(["1", "2"], tmp_path) == {"1": "mine", "2": "yours"}


def test_a_file_without_every_class_is_ignored(tmp_path):
    (tmp_path / "cat_to_name.json").write_text(json.dumps({"1": "mine"}))
    assert flower_names(["1", "2"], tmp_path) == {"1": "pink primrose", "2": "hard-leaved pocket orchid"}


def test_without_a_matching_file_the_folder_names_are_the_names(tmp_path):
    assert flower_names(["1", "rose"], tmp_path) == {"1": "1", "rose": "rose"}


@pytest.mark.parametrize("text", ["{not json", '["1", "2"]'])
def test_a_damaged_file_of_names_is_named(tmp_path, text):
    (tmp_path / "cat_to_name.json").write_text(text)
    with pytest.raises(UserError, match=r"cat_to_name\.json"):
        flower_names(["1", "2"], tmp_path)


# ---- one image -----------------------------------------------------------------------------------------------------

LEFT, RIGHT = (200, 40, 30), (20, 90, 220)


def halves(left=LEFT, right=RIGHT, dtype=np.uint8) -> np.ndarray:
    """16 x 24 pixels: the left half of one color or value, the right half of another."""
    return np.repeat(np.array([left, right], dtype), 12, axis=0)[None].repeat(16, axis=0)


def colors_of(path, **options) -> tuple[np.ndarray, np.ndarray]:
    image = load_image(path, **options)
    assert image.mode == "RGB"
    pixels = np.asarray(image).astype(int)
    return pixels[len(pixels) // 2, 2], pixels[len(pixels) // 2, -3]


def assert_colors(path, left, right, tolerance=0):
    for found, expected in zip(colors_of(path), (left, right), strict=True):
        assert np.abs(found - np.array(expected)).max() <= tolerance, (found, expected)


def test_an_rgb_image_is_read_as_it_is(tmp_path):
    assert_colors(save(Image.fromarray(halves()), tmp_path / "a.png"), LEFT, RIGHT)


def test_a_gray_image_gets_three_equal_channels(tmp_path):
    assert_colors(save(Image.fromarray(halves(90, 201)), tmp_path / "a.png"), [90] * 3, [201] * 3)


def test_a_one_bit_image_is_black_and_white(tmp_path):
    image = Image.fromarray(halves(0, 255)).convert("1")
    assert_colors(save(image, tmp_path / "a.png"), [0] * 3, [255] * 3)


def palette_image() -> Image.Image:
    image = Image.fromarray(halves(0, 1), "P")
    image.putpalette([*LEFT, *RIGHT])
    return image


def test_a_palette_image_keeps_its_colors(tmp_path):
    assert_colors(save(palette_image(), tmp_path / "a.png"), LEFT, RIGHT)


def test_a_transparent_palette_entry_becomes_white(tmp_path):
    assert_colors(save(palette_image(), tmp_path / "a.png", transparency=0), [255] * 3, RIGHT)


def test_a_transparent_gray_level_becomes_white(tmp_path):
    image = Image.fromarray(halves(90, 201))
    assert_colors(save(image, tmp_path / "a.png", transparency=90), [255] * 3, [201] * 3)


def test_gray_with_alpha_lies_on_white(tmp_path):
    image = Image.fromarray(np.dstack([halves(90, 90), halves(0, 255)]))
    assert image.mode == "LA"
    assert_colors(save(image, tmp_path / "a.png"), [255] * 3, [90] * 3)


def test_color_with_alpha_lies_on_white(tmp_path):
    image = Image.fromarray(halves((200, 0, 100, 128), (200, 0, 100, 255)))
    assert image.mode == "RGBA"
    assert_colors(save(image, tmp_path / "a.png"), (227, 127, 177), (200, 0, 100), tolerance=1)


def test_a_cmyk_jpeg_keeps_its_colors(tmp_path):
    path = save(Image.fromarray(halves()).convert("CMYK"), tmp_path / "a.jpg", quality=95)
    assert Image.open(path).mode == "CMYK"
    assert_colors(path, LEFT, RIGHT, tolerance=6)


def test_a_16_bit_gray_png_is_brought_to_8_bits(tmp_path):
    path = save(Image.fromarray(halves(32768, 65535, np.uint16)), tmp_path / "a.png")
    assert Image.open(path).mode.startswith("I;16")
    assert_colors(path, [127] * 3, [255] * 3, tolerance=1)


def test_a_dark_16_bit_png_stays_dark(tmp_path):
    path = save(Image.fromarray(halves(10, 250, np.uint16)), tmp_path / "a.png")  # 250 of 65,535
    assert_colors(path, [0] * 3, [1] * 3, tolerance=1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [((20000, 65535), (77.8, 255)), ((20, 200), (20, 200)), ((0, 0), (0, 0)), ((-50, 99000), (0, 255))],
    ids=["16 bits used", "8 bits used", "black", "out of range"],
)
def test_a_32_bit_tiff_is_brought_to_8_bits(tmp_path, values, expected):
    path = save(Image.fromarray(halves(*values, np.int32)), tmp_path / "a.tif")
    assert Image.open(path).mode == "I"
    assert_colors(path, [expected[0]] * 3, [expected[1]] * 3, tolerance=1)


def test_a_float_tiff_from_0_to_1_is_brought_to_8_bits(tmp_path):
    path = save(Image.fromarray(halves(0.25, 1.0, np.float32)), tmp_path / "a.tif")
    assert Image.open(path).mode == "F"
    assert_colors(path, [63] * 3, [255] * 3, tolerance=1)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (8, np.rot90),
    ],
)
def test_a_turned_photo_is_set_upright(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.concatenate([halves(), halves((250, 250, 0), (0, 0, 0))])
    path = save(Image.fromarray(stored), tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.asarray(load_image(path)), turn(stored))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_large_jpeg_may_be_read_small_but_not_too_small(tmp_path, mode):
    image = Image.fromarray(halves()).resize((960, 640), Image.Resampling.NEAREST).convert(mode)
    path = save(image, tmp_path / "a.jpg", quality=95)
    small = load_image(path, min_side=64)
    assert small.width < 960 or mode == "CMYK"
    assert min(small.size) >= 64
    assert small.width / small.height == pytest.approx(1.5, rel=0.02)
    for found, expected in zip(colors_of(path, min_side=64), colors_of(path), strict=True):
        assert np.abs(found - expected).max() <= 6


def test_a_small_image_is_not_enlarged(tmp_path):
    path = save(Image.fromarray(halves()), tmp_path / "a.jpg")
    assert load_image(path, min_side=500).size == (24, 16)


def _text(path):
    path.write_text("this is not a picture")


def _truncated(path):
    save(noisy(LEFT, size=(200, 200), spread=100), path)
    path.write_bytes(path.read_bytes()[:2000])


def _header_only(path):
    save(noisy(LEFT, size=(200, 200)), path)
    path.write_bytes(path.read_bytes()[:30])


def _empty(path):
    path.write_bytes(b"")


def _missing(path):
    pass


def _folder(path):
    path.mkdir()


@pytest.mark.parametrize("damage", [_text, _truncated, _header_only, _empty, _missing, _folder], ids=lambda f: f.__name__[1:])
@pytest.mark.parametrize("min_side", [0, 32])
def test_what_is_no_image_is_named_in_one_sentence(tmp_path, damage, min_side):
    path = tmp_path / "broken.jpg"
    damage(path)
    with pytest.raises(UserError) as error:
        load_image(path, min_side)
    assert str(path) in str(error.value)
    assert is_one_sentence(str(error.value))
    assert str(error.value).count(path.name) == 1  # Pillow's own text repeats the path


def test_a_missing_image_is_called_missing(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_image(tmp_path / "nowhere.jpg")


@pytest.fixture
def corrupt(tmp_path):
    """A data folder in which some files are damaged."""
    root = make_data(tmp_path / "data", train=4, valid=2)
    for name in ("1/02", "10/00", "10/03"):
        (root / "train" / f"{name}.png").write_text("corrupt")
    return root


def test_decoding_a_split_names_the_first_unreadable_file_and_counts_the_others(corrupt):
    with pytest.raises(UserError) as error:
        decode_split(corrupt, "train", 8)
    assert str(corrupt / "train" / "1" / "02.png") in str(error.value)
    assert "10" not in str(error.value).replace(str(corrupt), "")
    assert "2 more" in str(error.value)
    assert is_one_sentence(str(error.value))


def test_decoding_a_split_counts_no_others_when_one_file_is_unreadable(corrupt):
    for name in ("00", "03"):
        (corrupt / "train" / "10" / f"{name}.png").unlink()
    with pytest.raises(UserError, match=r"02\.png") as error:
        decode_split(corrupt, "train", 8)
    assert "more" not in str(error.value)


def test_unreadable_files_are_named_and_skipped_on_request(corrupt, capsys):
    images = decode_split(corrupt, "train", 8, skip_unreadable=True)
    said = capsys.readouterr().out.splitlines()
    assert [text.split(" cannot")[0] for text in said] == [
        f"skipped: {corrupt / 'train' / name}.png" for name in ("1/02", "10/00", "10/03")
    ]
    assert len(images.pixels) == len(images.labels) == len(images.files) == 9
    for pixels, label, path in zip(images.pixels, images.labels, images.files, strict=True):
        assert torch.equal(pixels, decode_image(path, 8))
        assert path.parent.name == images.classes[label]


def test_a_class_without_a_readable_image_is_named(corrupt):
    for path in (corrupt / "train" / "2").iterdir():
        path.write_text("corrupt")
    with pytest.raises(UserError) as error:
        decode_split(corrupt, "train", 8, skip_unreadable=True)
    assert "'2'" in str(error.value)
    assert is_one_sentence(str(error.value))


@pytest.fixture
def files(monkeypatch):
    """Every temporary file that is made from now on."""
    made, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(make()) or made[-1])
    return made


@pytest.mark.parametrize(("extra", "dtype", "count"), [(0, torch.uint8, 0), (1, torch.uint8, 1), (1, torch.float32, 1)])
def test_only_a_large_tensor_is_a_file(files, extra, dtype, count):
    shape = (MEMMAP_BYTES // dtype.itemsize + extra,)
    tensor = empty_or_memmap(shape, dtype)
    assert (tensor.shape, tensor.dtype, len(files)) == (shape, dtype, count)


def test_what_is_written_into_a_large_tensor_is_in_its_file(files):
    tensor = empty_or_memmap((MEMMAP_BYTES // 60, 3, 5, 2), torch.float32)
    tensor[-1] = torch.arange(30).view(3, 5, 2)
    files[0].seek(-120, os.SEEK_END)
    assert np.frombuffer(files[0].read(), np.float32).tolist() == list(range(30))
    files[0].close()
    assert tensor[-1].sum() == sum(range(30))  # the memory stays when the file is closed


def test_a_large_split_is_the_same_as_one_in_memory(flowers, files):
    size = math.isqrt(MEMMAP_BYTES // (36 * 3)) + 1
    large = decode_split(flowers, "train", size)
    assert len(files) == 1
    for i in (0, 17, 35):
        assert torch.equal(large.pixels[i], decode_image(large.files[i], size))


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("stand_in", [True, False], ids=["simulated", "real"])
def test_a_full_disk_is_reported_before_the_work(flowers, monkeypatch, request, stand_in):
    """In place of a process that is killed when it writes to the disk later."""
    if stand_in:
        monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(request.getfixturevalue("small_disk")))
    with pytest.raises(UserError, match=r"TMPDIR") as caught:
        decode_files([flowers / "train" / "1" / "00.png"] * 40, 800)
    assert is_one_sentence(str(caught.value))
    assert "No space left" in str(caught.value)


def test_decode_image_takes_the_middle_of_a_wide_and_of_a_tall_picture(tmp_path):
    stripes = np.zeros((20, 60, 3), np.uint8)
    stripes[:, :20], stripes[:, 20:40], stripes[:, 40:] = LEFT, (0, 255, 0), RIGHT
    wide = save(Image.fromarray(stripes), tmp_path / "wide.png")
    tall = save(Image.fromarray(stripes.transpose(1, 0, 2)), tmp_path / "tall.png")
    for path in (wide, tall):
        square = decode_image(path, 20)
        assert square.shape == (3, 20, 20)
        assert torch.equal(square, torch.tensor([0, 255, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 20, 20))


# ---- transforms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(50, 50), (90, 60), (40, 70)])
@pytest.mark.parametrize("make", [train_transform, valid_transform])
def test_transforms_give_normalized_squares_of_the_requested_size(make, size):
    tensor = make(32)(noisy(LEFT, size=size))
    assert tensor.shape == (3, 32, 32)
    assert tensor.dtype == torch.float32
    shown = tensor * STD + MEAN
    assert shown.min() >= -1e-6
    assert shown.max() <= 1 + 1e-6


def test_valid_transform_normalizes_the_colors_of_the_picture():
    tensor = valid_transform(32)(noisy(LEFT, spread=0))
    expected = (torch.tensor(LEFT).view(3, 1, 1) / 255 - MEAN) / STD
    assert torch.allclose(tensor, expected.expand(3, 32, 32), atol=1e-5)


def test_train_transform_normalizes_last():
    """A turned picture has black corners; turned after normalization they would be gray."""
    torch.manual_seed(0)
    transform = train_transform(32)
    drawn = torch.stack([transform(noisy((255, 255, 255), spread=0)) for _ in range(20)]) * STD + MEAN
    assert drawn.min().abs() < 1e-5
    assert (drawn.amin((1, 2, 3)) < 0.2).float().mean() > 0.7  # contrast lifts the black a little
    assert drawn.max() < 1 + 1e-5


def test_train_transform_draws_anew_each_time_and_repeats_under_a_seed():
    picture = noisy(LEFT, spread=100)
    transform = train_transform(32)
    torch.manual_seed(3)
    first, second = transform(picture), transform(picture)
    torch.manual_seed(3)
    again = transform(picture)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_valid_transform_draws_nothing():
    picture = noisy(LEFT, spread=100)
    assert torch.equal(valid_transform(32)(picture), valid_transform(32)(picture))


@pytest.mark.parametrize("side", [32, 61, 128, 300])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_both_ways_of_loading_agree_on_square_pictures(tmp_path, side, suffix):
    rng = np.random.default_rng(side)
    rough = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((side, side))
    path = save(rough, tmp_path / f"a.{suffix}")
    usual = valid_transform(32)(load_image(path))
    ours = normalize_batch(decode_image(path, 32)[None])[0]
    difference = ((usual - ours) * STD * 255).abs()
    assert difference.mean() < (0.1 if suffix == "png" else 2)
    assert difference.max() < (1.5 if suffix == "png" else 20)


def test_normalize_batch_normalizes_each_channel():
    pixels = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    normal = normalize_batch(pixels)
    assert normal.dtype == torch.float32
    for c in range(3):
        expected = (pixels[:, c] / 255 - IMAGENET_MEAN[c]) / IMAGENET_STD[c]
        assert torch.allclose(normal[:, c], expected, atol=1e-6)


def test_im_convert_undoes_the_normalization():
    pixels = torch.randint(0, 256, (1, 3, 6, 4), dtype=torch.uint8)
    shown = im_convert(normalize_batch(pixels)[0])
    assert shown.shape == (6, 4, 3)
    assert shown.dtype == np.float32
    assert np.abs(shown - pixels[0].permute(1, 2, 0).numpy() / 255).max() < 1e-5


def test_im_convert_takes_tensors_of_a_network_and_stays_in_range():
    tensor = torch.full((3, 2, 2), 50.0, requires_grad=True)
    assert im_convert(tensor).max() == 1
    assert im_convert(-tensor).min() == 0
    assert im_convert(tensor.bfloat16()).dtype == np.float32


# ---- batches -------------------------------------------------------------------------------------------------------


def numbers(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels that tell which sample is which."""
    return torch.arange(n).float()[:, None], torch.arange(n)


@pytest.mark.parametrize(
    ("n", "shuffle", "sizes"),
    [
        (8, False, [4, 4]),
        (8, True, [4, 4]),
        (10, False, [4, 4, 2]),
        (10, True, [4, 4, 2]),
        (9, False, [4, 4, 1]),
        (9, True, [4, 4]),
        (1, False, [1]),
        (1, True, [1]),
        (3, True, [3]),
    ],
)
def test_only_a_single_last_sample_of_a_shuffled_pass_is_dropped(n, shuffle, sizes):
    loader = BatchLoader(*numbers(n), 4, shuffle=shuffle)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == sizes
    assert len(loader) == len(sizes)
    assert all(torch.equal(inputs[:, 0].long(), labels) for inputs, labels in batches)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_pass_covers_every_sample_once(shuffle):
    seen = torch.cat([labels for _, labels in BatchLoader(*numbers(23), 5, shuffle=shuffle)])
    assert sorted(seen.tolist()) == list(range(23))
    assert (seen.tolist() == list(range(23))) is not shuffle


def test_the_dropped_sample_changes_from_pass_to_pass():
    torch.manual_seed(0)
    loader = BatchLoader(*numbers(9), 4, shuffle=True)
    seen = {label for _ in range(12) for _, labels in loader for label in labels.tolist()}
    assert seen == set(range(9))


def test_shuffling_repeats_under_a_seed_and_differs_between_passes():
    loader = BatchLoader(*numbers(20), 6, shuffle=True)
    torch.manual_seed(4)
    first, second = ([labels.tolist() for _, labels in loader] for _ in range(2))
    torch.manual_seed(4)
    assert [labels.tolist() for _, labels in loader] == first
    assert first != second


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_shards_of_all_processes_are_the_batches_of_one(shuffle):
    def batches(**shard) -> list[list[int]]:
        torch.manual_seed(1)
        return [labels.tolist() for _, labels in BatchLoader(*numbers(20), 6, shuffle=shuffle, **shard)]

    whole, shards = batches(), [batches(shard=(rank, 3)) for rank in range(3)]
    for i, batch in enumerate(whole):
        batch = batch[: len(batch) // 3 * 3] if shuffle else batch  # in training, all shards are equally large
        expected = [batch[rank::3] for rank in range(3) if batch[rank::3]]
        assert [shard[i] for shard in shards if i < len(shard)] == expected


def test_batches_for_the_cpu_stay_in_pageable_memory():
    for batch in BatchLoader(*numbers(4), 4, device=torch.device("cpu")):
        assert [(tensor.device.type, tensor.is_pinned()) for tensor in batch] == [("cpu", False)] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_batches_for_a_gpu_arrive_there():
    inputs, labels = next(iter(BatchLoader(*numbers(4), 4, device=torch.device("cuda"))))
    assert inputs.is_cuda and labels.is_cuda
    assert labels.tolist() == inputs[:, 0].tolist() == [0, 1, 2, 3]


def test_the_transform_sees_whole_batches():
    seen = []

    def double(inputs):
        seen.append(len(inputs))
        return 2 * inputs

    loader = BatchLoader(*numbers(5), 2, transform=double)
    assert torch.cat([inputs for inputs, _ in loader])[:, 0].tolist() == [0, 2, 4, 6, 8]
    assert seen == [2, 2, 1]


# ---- the summary of a split ------------------------------------------------------------------------------------------


def test_the_summary_counts_every_split(tmp_path):
    root = make_data(tmp_path, train=5, valid=2)
    save(noisy((9, 9, 9), 7), root / "train" / "2" / "one_more.png")
    (root / "train" / "2" / "notes.txt").write_text("no image")
    summary = split_summary(root, find_images(root))
    assert summary["train"] == {"images": 16, "classes": 3, "fewest": 5, "most": 6}
    assert summary["valid"] == {"images": 6, "classes": 3, "fewest": 2, "most": 2}
    assert "test" not in summary
    for i, name in enumerate(COLOURS):
        save(noisy((9, 9, 9), 8 + i), root / "test" / name / "a.png")
    assert split_summary(root, find_images(root))["test"] == {"images": 3, "classes": 3, "fewest": 1, "most": 1}


def files_hash(root) -> str:
    return split_summary(root, find_images(root))["files"]


def test_the_hash_of_a_split_knows_names_and_folders_only(tmp_path):
    first, second = make_data(tmp_path / "a", train=3, valid=1), make_data(tmp_path / "b", train=3, valid=1)
    known = files_hash(first)
    assert len(known) == 12 and int(known, 16) >= 0
    save(noisy((0, 0, 0), 3), second / "train" / "1" / "00.png")  # other pixels, same name
    assert files_hash(second) == known
    (second / "train" / "1" / "00.png").rename(second / "train" / "2" / "moved.png")
    assert files_hash(second) != known


def test_moving_an_image_to_another_split_changes_the_hash(tmp_path):
    root = make_data(tmp_path, train=3, valid=1)
    before = files_hash(root)
    (root / "train" / "1" / "02.png").rename(root / "valid" / "1" / "02.png")
    assert files_hash(root) != before


def test_the_printed_summary_shows_the_same_numbers(tmp_path, capsys):
    root = make_data(tmp_path, train=5, valid=2)
    print_split_summary(root)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "train  15 images, 3 classes, 5 to 5 per class"
    assert lines[1] == "valid  6 images, 3 classes, 2 to 2 per class"
    assert files_hash(root) in lines[2]
