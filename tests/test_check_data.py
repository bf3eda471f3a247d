"""What is wrong with a data folder is found, named and counted, and nothing in the folder is changed."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_data, noisy, save
from PIL import Image, ImageEnhance, ImageOps

from helpers.base import PROJECT
from helpers.check_data import main
from helpers.data import decode_files
from helpers.data_quality import image_features, near_duplicates, out_of_fold_probabilities, same_files, suspicious_labels

CLASSES = ("54", "77", "51", "2")  # sunflower, passion flower, petunia, hard-leaved pocket orchid: easy to tell apart


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def clean(tmp_path) -> Path:
    """12 training and 4 validation images of each of four bundled flowers."""
    for split, count in (("train", 12), ("valid", 4)):
        for name in CLASSES:
            for path in sorted((PROJECT / "flower_data" / split / name).glob("*.jpg"))[:count]:
                target = tmp_path / "data" / split / name / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    return tmp_path / "data"


def checked(folder: Path, capsys) -> tuple[int, str]:
    """Exit status and what is printed; the folder must be as before."""
    before = fingerprint(folder)
    status = main([str(folder)])
    assert fingerprint(folder) == before
    said = capsys.readouterr()
    return status, said.out + said.err


def first(folder: Path, name: str = "54", split: str = "train") -> Path:
    return min((folder / split / name).iterdir())


def test_a_clean_folder(clean, capsys):
    status, said = checked(clean, capsys)
    assert status == 0
    assert "48 images, 4 classes" in said
    assert "Unreadable files: 0\nDuplicates: 0\nLabels that are probably wrong: 0\n" in said


def test_a_copy_in_another_split_is_a_leak(clean, capsys):
    shutil.copy(first(clean), clean / "valid" / "54" / "copy.jpg")
    status, said = checked(clean, capsys)
    assert status == 1
    assert "Duplicates: 1." in said and "valid/54/copy.jpg: the same file (LEAK between train and valid)" in said


def test_a_copy_in_the_same_split_is_no_leak(clean, capsys):
    shutil.copy(first(clean), clean / "train" / "54" / "copy.jpg")
    status, said = checked(clean, capsys)
    assert status == 1 and "Duplicates: 1." in said and "LEAK" not in said


CHANGES = {
    "smaller": lambda image: image.resize((90, 90)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "mirrored": ImageOps.mirror,
    "cropped": lambda image: image.crop((2, 9, 118, 125)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found(clean, capsys, change):
    CHANGES[change](Image.open(first(clean))).save(clean / "valid" / "54" / "copy.jpg", quality=80)
    status, said = checked(clean, capsys)
    assert status == 1 and "nearly the same image" in said and "LEAK between train and valid" in said


def test_unreadable_files_are_listed_and_the_rest_is_checked(clean, capsys):
    (clean / "train" / "54" / "page.jpg").write_text("<html>not found</html>")
    cut = first(clean).read_bytes()
    (clean / "valid" / "2" / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    status, said = checked(clean, capsys)
    assert status == 1 and "Unreadable files: 2." in said and "page.jpg" in said and "cut.jpg" in said
    assert "Duplicates: 0" in said


def test_a_wrong_label_is_named(clean, capsys):
    wrong = first(clean, "77").rename(clean / "train" / "54" / "wrong.jpg")
    status, said = checked(clean, capsys)
    assert status == 1 and f"train/54/{wrong.name}: looks like 77" in said
    assert "Labels that are probably wrong: 1." in said


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda root: [shutil.rmtree(root / s / name) for s in ("train", "valid") for name in CLASSES[1:]], "only one class"),
    (lambda root: shutil.rmtree(root / "valid"), "has no folder valid/"),
    (lambda root: shutil.rmtree(root / "train" / "54"), "must have the same classes"),
    (lambda root: shutil.rmtree(root), "There is no folder"),
])  # fmt: skip
def test_a_folder_that_cannot_be_used(clean, capsys, spoil, said):
    spoil(clean)
    status, answer = checked(clean, capsys)
    assert status == 2 and said in answer and answer.startswith("error: ") and answer.count("\n") == 1


def test_nested_folders_belong_to_their_class(clean, capsys):
    inner, path = clean / "train" / "54" / "holiday" / "day 1", first(clean)
    inner.mkdir(parents=True)
    path.rename(inner / "a.jpg")
    status, said = checked(clean, capsys)
    assert status == 0 and "48 images, 4 classes" in said


@pytest.mark.parametrize(("train", "said"), [(1, "a class has fewer than 3 images"), (2, "probably wrong: 0")])
def test_with_few_images_the_labels_cannot_be_checked(tmp_path, capsys, train, said):
    make_data(tmp_path / "data", train=train, valid=1)
    assert said in checked(tmp_path / "data", capsys)[1]


def test_two_thousand_files(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for split, count in (("train", 900), ("valid", 100)):
        for name, colour in (("a", (200, 40, 40)), ("b", (40, 40, 200))):
            for i in range(count):
                small = np.clip(rng.integers(-90, 90, (6, 6, 3)) + colour, 0, 255).astype(np.uint8)
                save(Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC), tmp_path / split / name / f"{i}.png")
    status, said = checked(tmp_path, capsys)
    assert status == 0 and "1800 images, 2 classes" in said


def test_many_lines_are_cut(clean, capsys):
    for i in range(25):
        (clean / "train" / "54" / f"x{i}.jpg").write_text("no image")
    _, said = checked(clean, capsys)
    assert "Unreadable files: 25." in said and "... and 5 more" in said


# ---- the functions -------------------------------------------------------------------------------------------------


def test_groups_of_equal_files(tmp_path):
    for name, content in {"a": "1", "b": "2", "c": "1", "d": "1", "e": ""}.items():
        (tmp_path / name).write_text(content)
    assert same_files([tmp_path / name for name in "abcde"]) == [[0, 2, 3]]


def test_different_pictures_of_one_kind_are_no_duplicates():
    files = sorted((PROJECT / "flower_data" / "train" / "54").glob("*.jpg"))
    pixels, _ = decode_files(files, 64)
    assert near_duplicates(pixels, *image_features(pixels)) == []


def test_two_images_are_enough_to_compare(tmp_path):
    pixels, _ = decode_files([save(noisy((i, 90, 200)), tmp_path / f"{i}.png") for i in (30, 31)], 64)
    assert near_duplicates(pixels, torch.eye(2, 512), torch.eye(2, 512)) == []


def test_no_image_is_judged_by_a_classifier_that_saw_it():
    torch.manual_seed(0)
    features, labels = torch.randn(60, 8), torch.arange(60) % 3  # nothing to learn
    probabilities = out_of_fold_probabilities(features, labels)
    assert probabilities.shape == (60, 3)
    assert np.allclose(probabilities.sum(1), 1)
    assert (probabilities.argmax(1) == labels.numpy()).mean() < 0.6


def test_wrong_labels_of_two_clear_clusters_are_found_and_no_others():
    torch.manual_seed(0)
    true = torch.arange(80) % 2
    features = torch.randn(80, 16) + 6 * true[:, None]
    labels = true.clone()
    labels[[3, 10]] = 1 - labels[[3, 10]]
    found = suspicious_labels(out_of_fold_probabilities(features, labels), features, labels)
    assert sorted(found.tolist()) == [3, 10]


def test_both_witnesses_must_agree():
    """Twenty images of each of two clusters; the first is mislabeled. What the classifier says is given."""
    true = torch.arange(40) % 2
    features = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)) + 9 * true[:, None]
    labels = true.clone()
    labels[0] = 1
    sure = np.where(np.arange(2) == true.numpy()[:, None], 1 - 1e-6, 1e-6)
    assert suspicious_labels(sure, features, labels).tolist() == [0]
    assert suspicious_labels(np.full((40, 2), 0.5), features, labels).tolist() == []  # the classifier sees nothing wrong
    assert suspicious_labels(sure, features, true).tolist() == []
    sure[4] = sure[4][::-1]  # the classifier doubts a right label, the neighbors do not
    assert suspicious_labels(sure, features, labels).tolist() == [0]
