"""helpers.predict: from the arguments to the printed names, the CSV file and the exit status."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Hostile, is_one_sentence, refused

from helpers import predict
from helpers.checkpoints import load_checkpoint

NAMES = {"1": "pink primrose", "10": "globe thistle", "2": "hard-leaved pocket orchid"}


def run(folder: Path, *images, more=()) -> int:
    """The exit status of helpers.predict with the best.pt of a folder."""
    return predict.main(["--checkpoint", str(folder / "best.pt"), *more, *map(str, images)])


def rows_of(path: Path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_image_is_answered_with_flower_names(trained, flowers, capsys):
    """Not with the index of the output or the folder."""
    for folder, name in NAMES.items():
        image = flowers / "valid" / folder / "00.png"
        assert run(trained, image) == 0
        out, error = capsys.readouterr()
        file, *guesses = out.splitlines()
        assert (file, error) == (str(image), "")
        assert len(guesses) == 3  # five were asked for, but there are three classes
        assert guesses[0].endswith(name)
        assert {text.split("%")[1].strip() for text in guesses} == set(NAMES.values())
        percent = [float(text.split("%")[0]) for text in guesses]
        assert percent == sorted(percent, reverse=True)
        assert sum(percent) == pytest.approx(100, abs=0.2)


def test_files_and_folders_are_answered_in_order(trained, flowers, capsys):
    first, second = flowers / "valid" / "2" / "01.png", flowers / "valid" / "1" / "02.png"
    assert run(trained, first, second, flowers / "train", more=["--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    files = [Path(text) for text in lines[::2]]
    assert files == [first, second, *sorted((flowers / "train").rglob("*.png"))]
    assert [text.split("%")[1].strip() for text in lines[1::2]] == [NAMES[file.parent.name] for file in files]


def test_the_csv_file_has_the_best_guess_for_every_image(trained, flowers, tmp_path):
    path = tmp_path / "new" / "guesses.csv"
    assert run(trained, flowers / "valid", more=["--csv", str(path), "--top", "2"]) == 0
    rows = rows_of(path)
    assert list(rows[0]) == ["image_id", "label", "name", "probability"]
    assert [Path(row["image_id"]) for row in rows] == sorted((flowers / "valid").rglob("*.png"))
    for row in rows:
        folder = Path(row["image_id"]).parent.name
        assert (row["label"], row["name"]) == (folder, NAMES[folder])
        assert 1 / 3 < float(row["probability"]) <= 1


def test_top_is_positive_and_may_be_larger_than_the_number_of_classes(trained, flowers, capsys):
    for top, shown in (("1", 1), ("2", 2), ("99", 3)):
        assert run(trained, flowers / "valid" / "1" / "00.png", more=["--top", top]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1 + shown
    with pytest.raises(SystemExit) as stop:
        run(trained, flowers / "valid", more=["--top", "0"])
    assert stop.value.code == 2
    assert "error: --top must be 1 or more" in capsys.readouterr().err.splitlines()[-1]


def test_an_unreadable_image_does_not_stop_the_others(trained, flowers, tmp_path, capsys):
    bad, table = tmp_path / "bad.jpg", tmp_path / "guesses.csv"
    bad.write_text("no image")
    good = [flowers / "valid" / "1" / "00.png", flowers / "valid" / "2" / "00.png"]
    status = run(trained, good[0], bad, good[1], more=["--csv", str(table), "--top", "1"])
    out, error = capsys.readouterr()
    assert status == 2
    assert [Path(text) for text in out.splitlines()[::2]] == good
    assert [row["label"] for row in rows_of(table)] == ["1", "2"]
    assert error.startswith(f"error: {bad} ")
    assert is_one_sentence(error)


def test_an_unreadable_image_is_named_even_if_the_csv_file_cannot_be_written(trained, flowers, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    assert run(trained, flowers / "valid" / "1", bad, more=["--csv", str(bad / "guesses.csv")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: {bad} ")
    assert second.startswith(f"error: {bad / 'guesses.csv'} ")


def test_missing_images_are_named(trained, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    refused(capsys, run(trained, tmp_path / "nowhere.png"), tmp_path / "nowhere.png")
    refused(capsys, run(trained, tmp_path / "empty"), "no images")


def test_a_checkpoint_that_is_missing_or_of_another_kind_is_named(trained, flowers, tmp_path, capsys):
    path = tmp_path / "best.pt"
    refused(capsys, run(tmp_path, flowers / "valid"), path)
    trace = tmp_path / "trace"
    for content in ({"model": {}}, [1, 2], load_checkpoint(trained / "last.pt"), {"model": {}, "classes": Hostile(trace)}):
        torch.save(content, path)
        refused(capsys, run(tmp_path, flowers / "valid"), path)
    assert not trace.exists()
    shutil.copy(flowers / "valid" / "1" / "00.png", path)
    refused(capsys, run(tmp_path, flowers / "valid"), path)
