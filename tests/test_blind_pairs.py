"""Blind pairs of two sets of renderings: which images, in which order, and the grading."""

import json

import numpy as np
import pytest
from conftest import is_one_sentence
from PIL import Image

from helpers.base import UserError
from tools.blind_pairs import main, pairs, score, sheets


@pytest.fixture
def two_sets(tmp_path):
    """The old images are dark, the new ones light; one image exists only in each of the sets."""
    for name, value in (("old", 40), ("new", 200)):
        for k in [*range(20), 90 if name == "old" else 91]:
            path = tmp_path / name / "valid" / str(k % 3) / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (value, value, k)).save(path)
    return tmp_path / "old", tmp_path / "new"


def test_pairs_are_random_and_each_side_is_first_in_half_of_them(two_sets):
    chosen = pairs(*two_sets, 0, 18)
    names = [name for name, _ in chosen]
    assert len(set(names)) == 18
    assert not {name.rpartition("/")[2] for name in names} & {"90.png", "91.png"}
    assert sum(first for _, first in chosen) == 9
    assert pairs(*two_sets, 0, 18) == chosen != pairs(*two_sets, 1, 18)


def test_too_few_common_images_are_an_error(two_sets):
    with pytest.raises(UserError, match="have 20 images with the same path") as error:
        pairs(*two_sets, 0, 21)
    assert is_one_sentence(str(error.value))


def test_the_sheets_show_the_images_in_the_order_of_the_key(two_sets):
    chosen = pairs(*two_sets, 0, 18)
    pages = sheets(chosen, *two_sets, size=16)
    assert len(pages) == 2
    page = np.asarray(pages[0])
    for i in range(3):  # the first line of pairs
        left, right = (page[24 + 8, i * 60 + x, 0] for x in (8, 28))
        assert (left > right) == chosen[i][1]
        assert abs(int(left) - int(right)) == 160


def test_grading_counts_how_often_the_new_image_was_preferred(two_sets):
    chosen = pairs(*two_sets, 0, 4)
    best = {i: "a" if first else "b" for i, (_, first) in enumerate(chosen, 1)}
    assert score(chosen, best) == ["new preferred in 4 of 4"]
    found = score(chosen, {i: letter for i, letter in best.items() if i != 3})
    assert found == [f"3: {chosen[2][0]}", "new preferred in 3 of 4"]


def test_the_command_line_draws_and_grades(two_sets, tmp_path, capsys):
    arguments = [*map(str, two_sets), "--out", str(tmp_path / "out"), "--count", "6", "--size", "16"]
    assert main(arguments) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["key.json", "sheet_1.png"]
    key = json.loads((tmp_path / "out" / "key.json").read_text())
    (tmp_path / "answers.txt").write_text("\n".join(f"{i} {line[0]}" for i, line in key.items()))
    assert main([*arguments, "--answers", str(tmp_path / "answers.txt")]) == 0
    assert capsys.readouterr().out.strip() == "new preferred in 6 of 6"
    assert main([*arguments, "--answers", str(tmp_path / "nowhere.txt")]) == 2
    assert is_one_sentence(capsys.readouterr().err)
