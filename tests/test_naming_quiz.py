"""The quiz on the rendered flowers: its questions, sheets and grading."""

import json

from conftest import is_one_sentence

from tools.naming_quiz import correct_letter, main, questions, read_answers, score, sheets
from tools.species import SPECIES


def test_sixty_species_once_each_with_five_candidates_one_of_them_correct():
    rows = questions(0)
    assert len({row["number"] for row in rows}) == 60
    for row in rows:
        assert len(set(row["candidates"])) == 5
        assert row["candidates"].count(row["number"]) == 1
        assert row["candidates"]["abcde".index(correct_letter(row))] == row["number"]


def test_the_correct_answer_stands_at_every_place():
    letters = [correct_letter(row) for row in questions(0)]
    assert min(letters.count(letter) for letter in "abcde") >= 5


def test_another_seed_asks_other_questions():
    assert questions(0) == questions(0)
    assert questions(0) != questions(1)


def test_grading_counts_and_names_what_was_confused():
    rows = questions(0)
    answers = {i: correct_letter(row) for i, row in enumerate(rows, 1)}
    assert score(rows, answers) == ["60 of 60 correct"]
    for wrong in set("abcde") - {correct_letter(rows[0])}:
        found = score(rows, {i: letter for i, letter in answers.items() if i != 2} | {1: wrong})
        taken = SPECIES[rows[0]["candidates"]["abcde".index(wrong)]].name
        assert found[0] == f"1: {SPECIES[rows[0]['number']].name}, taken for {taken}"
    assert found[1].startswith("2: ") and found[1].endswith("taken for nothing")
    assert found[-1] == "58 of 60 correct"


def test_answers_are_read_whatever_their_case_and_other_lines_are_ignored(tmp_path):
    (tmp_path / "answers.txt").write_text("1 a\n2 C\n\nmy notes here\nabc d\n10 e\n")
    assert read_answers(tmp_path / "answers.txt") == {1: "a", 2: "c", 10: "e"}


def test_the_sheets_contain_all_images():
    pages = sheets(questions(0, 22), 0, size=32)
    assert [page.size for page in pages] == [(210, 568)] * 2
    assert len(set(pages[1].crop((0, 0, 74, 32)).getdata())) > 100
    assert set(pages[1].crop((84, 0, 116, 32)).getdata()) == {(255, 255, 255)}  # 22 = 20 + 2


def test_the_command_line_draws_and_grades(tmp_path, capsys):
    options = ["--count", "6", "--size", "32", "--seed", "3"]
    assert main(["--out", str(tmp_path / "quiz"), *options]) == 0
    assert sorted(path.name for path in (tmp_path / "quiz").iterdir()) == ["key.json", "sheet_1.png"]
    key = json.loads((tmp_path / "quiz/key.json").read_text())
    (tmp_path / "answers.txt").write_text("\n".join(f"{i} {line[0]}" for i, line in key.items()))
    assert main(["--answers", str(tmp_path / "answers.txt"), *options]) == 0
    assert capsys.readouterr().out.strip() == "6 of 6 correct"
    assert main(["--answers", str(tmp_path / "nowhere.txt")]) == 2
    assert is_one_sentence(capsys.readouterr().err)


def test_the_wrong_names_are_of_the_same_growth_form_where_there_are_enough():
    for row in questions(0):
        form = SPECIES[row["number"]].form
        alike = sum(SPECIES[n].form == form for n in row["candidates"])
        assert alike == min(5, sum(species.form == form for species in SPECIES.values()))
