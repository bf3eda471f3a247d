"""The test of the pictures by eye: its questions, sheets and marking."""

import json
import sys

import pytest

from tools import naming_test
from tools.naming_test import PICTURES, main, questions, right_letter, score, sheets
from tools.species import SPECIES


def test_sixty_species_once_each_with_five_candidates_one_of_them_right():
    rows = questions(0)
    assert len({row["number"] for row in rows}) == PICTURES == 60
    for row in rows:
        assert len(set(row["candidates"])) == 5
        assert row["candidates"].count(row["number"]) == 1
        assert row["candidates"]["abcde".index(right_letter(row))] == row["number"]


def test_the_right_answer_stands_at_every_place():
    letters = [right_letter(row) for row in questions(0)]
    assert min(letters.count(letter) for letter in "abcde") >= 5


def test_another_seed_asks_other_questions():
    assert questions(0) == questions(0)
    assert questions(0) != questions(1)


def test_marking_counts_and_names_what_was_confused():
    rows = questions(0)
    answers = [f"{i} {right_letter(row)}" for i, row in enumerate(rows, 1)]
    assert score(rows, "\n".join(answers)) == ["60 of 60 right"]
    wrong = "abcde"[(rows[0]["candidates"].index(rows[0]["number"]) + 1) % 5]
    found = score(rows, "\n".join([f"1 {wrong.upper()}", *answers[2:]]))
    taken = SPECIES[rows[0]["candidates"]["abcde".index(wrong)]].name
    assert found[0] == f"1: {SPECIES[rows[0]['number']].name}, taken for {taken}"
    assert found[1].startswith("2: ") and found[1].endswith("taken for nothing")
    assert found[-1] == "58 of 60 right"


@pytest.fixture
def small(monkeypatch):
    for name, value in {"PICTURES": 6, "COLUMNS": 2, "ROWS": 2, "SIZE": 32}.items():
        monkeypatch.setattr(naming_test, name, value)


def test_the_sheets_hold_all_pictures(small):
    pages = sheets(questions(0), 0)
    assert [page.size for page in pages] == [(84, 284)] * 2


def test_the_command_line_draws_and_marks(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["naming_test", "--out", str(tmp_path / "test")])
    main()
    assert sorted(path.name for path in (tmp_path / "test").iterdir()) == ["key.json", "sheet_1.png", "sheet_2.png"]
    key = json.loads((tmp_path / "test/key.json").read_text())
    (tmp_path / "answers.txt").write_text("\n".join(f"{i} {line[0]}" for i, line in key.items()))
    monkeypatch.setattr(sys, "argv", ["naming_test", "--answers", str(tmp_path / "answers.txt")])
    main()
    assert capsys.readouterr().out.strip() == "6 of 6 right"


def test_the_wrong_names_are_of_the_same_growth_form_as_far_as_there_are_such():
    for row in questions(0):
        form = SPECIES[row["number"]].form
        alike = sum(SPECIES[n].form == form for n in row["candidates"])
        assert alike == min(5, sum(species.form == form for species in SPECIES.values()))
