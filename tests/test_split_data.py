"""Splitting copies every image once, changes nothing that exists, and is the same for the same seed."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import is_one_sentence, noisy, save

from helpers.base import UserError
from helpers.data import find_images
from helpers.split_data import draw_split, files_by_class, main, split_files


@pytest.fixture
def pile(tmp_path):
    """Two classes of 20 and 3 images, five of them with the same name in different subfolders."""
    for i in range(15):
        save(noisy((200, 40, 40), i), tmp_path / "pile" / "rose" / f"{i:02}.png")
    for i, folder in enumerate("abcde"):
        save(noisy((200, 90, 40), i), tmp_path / "pile" / "rose" / folder / "same.png")
    for i in range(3):
        save(noisy((40, 40, 200), i), tmp_path / "pile" / "iris" / f"{i:02}.png")
    return tmp_path / "pile"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("n", "valid", "test", "expected"), [
    (20, 0.15, 0.15, (14, 3, 3)), (3, 0.15, 0.15, (1, 1, 1)), (10, 0.25, 0, (8, 2, 0)), (100, 0.1, 0.3, (60, 10, 30))
])  # fmt: skip
def test_shares_are_rounded_but_no_split_is_empty(n, valid, test, expected):
    rows = draw_split(n, valid, test, np.random.default_rng(0))
    assert tuple(len(rows[split]) for split in ("train", "valid", "test")) == expected
    assert sorted(i for of_split in rows.values() for i in of_split) == list(range(n))


def test_every_image_is_copied_once_and_the_source_stays_as_it_was(pile, tmp_path, capsys):
    before = contents(pile)
    assert main([str(pile), str(tmp_path / "data")]) == 0
    assert contents(pile) == before
    assert sorted(contents(tmp_path / "data").values()) == sorted(before.values())
    counts = {split: {name: len(p) for name, p in c.items()} for split, c in find_images(tmp_path / "data").items()}
    assert counts == {"train": {"iris": 1, "rose": 14}, "valid": {"iris": 1, "rose": 3}, "test": {"iris": 1, "rose": 3}}
    assert names_in(tmp_path) == ["data", "pile"]
    assert "15 images, 2 classes" in capsys.readouterr().out


def test_a_seed_draws_the_same_split_again_and_another_seed_another(pile, tmp_path):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main([str(pile), str(tmp_path / name), "--seed", seed]) == 0
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b != c


def test_links_take_no_space_and_no_test_share_makes_no_test_folder_with_images(pile, tmp_path):
    assert main([str(pile), str(tmp_path / "data"), "--link", "--test", "0", "--valid", "0.3"]) == 0
    placed = list((tmp_path / "data").rglob("*.png"))
    inodes = {path.stat().st_ino for path in pile.rglob("*.png")}
    assert len(placed) == 23 and {path.stat().st_ino for path in placed} == inodes
    assert not list((tmp_path / "data" / "test").rglob("*.png"))


def refused(*arguments, **options) -> str:
    with pytest.raises(UserError) as error:
        split_files(*arguments, **options)
    assert is_one_sentence(str(error.value))
    return str(error.value)


def test_what_cannot_be_split_is_refused_and_nothing_is_written(pile, tmp_path):
    files, target = files_by_class(pile), tmp_path / "data"
    for valid, test in ((0, 0.1), (-0.1, 0.1), (0.1, 1), (0.5, 0.5), (1.5, 0), (float("nan"), 0)):
        assert "leave some to train on" in refused(files, target, valid=valid, test=test)
    assert "'iris' has fewer than 3" in refused({**files, "iris": files["iris"][:2]}, target)
    save(noisy((1, 2, 3)), target / "mine.png")
    assert "exists already" in refused(files, target)
    assert names_in(target) == ["mine.png"] and names_in(tmp_path) == ["data", "pile"]


def test_a_failure_half_way_leaves_nothing(pile, tmp_path, monkeypatch):
    copied, copyfile = [], shutil.copyfile

    def full_after_five(source, target):
        if len(copied) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(copyfile(source, target))

    monkeypatch.setattr(shutil, "copyfile", full_after_five)
    assert "No space left on device" in refused(files_by_class(pile), tmp_path / "data")
    assert len(copied) == 5 and names_in(tmp_path) == ["pile"]


@pytest.mark.parametrize(("source", "target", "said"), [
    ("missing", "data", "There is no folder"),
    ("pile/iris", "data", "0 class folders"),
    ("pile", "pile/data", "would be taken for a class"),
    ("done", "data", "split already"),
])  # fmt: skip
def test_the_command_says_what_is_wrong(pile, tmp_path, capsys, source, target, said):
    for split in ("train", "valid"):
        save(noisy((1, 2, 3)), tmp_path / "done" / split / "rose" / "0.png")
    assert main([str(tmp_path / source), str(tmp_path / target)]) == 2
    answer = capsys.readouterr().err
    assert said in answer and is_one_sentence(answer)
    assert not (tmp_path / target).exists()
