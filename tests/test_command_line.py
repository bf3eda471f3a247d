"""python -m helpers.train and python -m helpers.predict, from the arguments to the files and the exit status."""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import COLOURS, Hostile, is_one_sentence, line, make_data, noisy, save
from PIL import Image

from helpers import data, predict, train, training
from helpers.models import SmallMapConv2d
from helpers.training import load_checkpoint, save_checkpoint

NAMES = {"1": "pink primrose", "10": "globe thistle", "2": "hard-leaved pocket orchid"}
FILES = ["best.pt", "history.csv", "last.pt", "metrics.json"]


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    """Which precision is faster is a matter of the machine's load; runs that are compared must not depend on it."""
    monkeypatch.setattr(train, "choose_precision", lambda device: None)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_fails(capsys, status: int, *words) -> str:
    """Exit status 2 and exactly one line on standard error that says `words`."""
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert is_one_sentence(error)
    for word in words:
        assert str(word) in error
    return error


def history_of(out: Path) -> list[dict]:
    with open(out / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_run(out: Path, other: Path) -> None:
    assert (out / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    best, expected = load_checkpoint(out / "best.pt"), load_checkpoint(other / "best.pt")
    for name, value in expected["model"].items():
        assert torch.equal(best["model"][name], value), name
    assert best["valid_accuracy"] == expected["valid_accuracy"]
    results, wanted = (json.loads((folder / "metrics.json").read_text()) for folder in (out, other))
    assert results["best_valid_accuracy"] == wanted["best_valid_accuracy"]


# ---- training ------------------------------------------------------------------------------------------------------


def test_a_run_writes_its_four_files(trained):
    assert files_in(trained) == FILES


def test_the_metrics_say_how_good_how_long_and_on_what(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["classes"] == 3
    assert metrics["train_images"] == 36
    assert metrics["valid_images"] == 12
    assert metrics["best_valid_accuracy"] == 1.0
    assert metrics["head_seconds"] > 0
    assert metrics["full_seconds"] > 0
    assert metrics["weights"] == "none"
    assert metrics["image_size"] == 32


def test_the_history_has_a_line_for_every_epoch_of_both_phases(trained):
    history = history_of(trained)
    assert [int(row["epoch"]) for row in history] == list(range(1, 12))
    columns = ["epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "rate"]
    assert list(history[0]) == columns
    assert max(float(row["valid_accuracy"]) for row in history) == 1.0


def test_the_best_model_knows_its_classes_and_their_names(trained):
    content = load_checkpoint(trained / "best.pt")
    assert content["classes"] == ["1", "10", "2"]
    assert content["names"] == NAMES
    assert content["valid_accuracy"] == 1.0


def test_the_trained_model_names_every_training_picture(trained, flowers, capsys):
    assert predict.main(["--checkpoint", str(trained / "best.pt"), "--top", "1", str(flowers / "train")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 72
    for file, guess in zip(lines[::2], lines[1::2], strict=True):
        assert guess.strip().endswith(NAMES[Path(file).parent.name])


def test_flower_data_takes_the_place_of_the_option(flowers, tmp_path, monkeypatch, tiny):
    monkeypatch.setenv("FLOWER_DATA", str(flowers))
    arguments = line(flowers, tmp_path / "run")
    del arguments[:2]
    assert train.main(arguments) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["train_images"] == 36


@pytest.mark.parametrize(("head", "full"), [(2, 0), (0, 2), (1, 1)])
def test_either_phase_may_be_left_out(flowers, tmp_path, tiny, head, full):
    out = tmp_path / "run"
    assert train.main(line(flowers, out, head=head, full=full)) == 0
    assert files_in(out) == FILES
    assert len(history_of(out)) == head + full


@pytest.mark.parametrize("full", range(1, 8))
def test_any_number_of_epochs_works_with_one_batch_per_epoch(flowers, tmp_path, tiny, full):
    arguments = line(flowers, tmp_path / "run", "--batch-size", "64", head=1, full=full)
    assert train.main(arguments) == 0
    assert len(history_of(tmp_path / "run")) == 1 + full


def test_the_same_seed_repeats_a_run_and_another_does_not(flowers, tmp_path, tiny):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert train.main(line(flowers, tmp_path / name, "--seed", seed)) == 0
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "history.csv").read_bytes() != (tmp_path / "c" / "history.csv").read_bytes()


def test_all_layers_learn_in_the_second_phase_and_only_the_head_in_the_first(flowers, tmp_path, tiny):
    states = {}
    for full in (0, 1):
        assert train.main(line(flowers, tmp_path / str(full), head=1, full=full)) == 0
        states[full] = load_checkpoint(tmp_path / str(full) / "last.pt")["model"]
    torch.manual_seed(0)
    start = train.initialize_model("resnet18", 3, True, weights="none").state_dict()
    assert torch.equal(states[0]["conv1.weight"], start["conv1.weight"])
    assert torch.equal(states[0]["bn1.running_mean"], start["bn1.running_mean"])
    assert not torch.equal(states[0]["fc.weight"], start["fc.weight"])
    assert not torch.equal(states[1]["conv1.weight"], start["conv1.weight"])
    assert not torch.equal(states[1]["bn1.running_mean"], start["bn1.running_mean"])


@pytest.mark.parametrize("accuracies", [[0.75] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]])
def test_the_best_file_holds_the_weights_that_were_measured_as_best(flowers, tmp_path, tiny, monkeypatch, accuracies):
    """Also when a later epoch is only as good as the best one; in the second phase the average is measured."""
    runs, measure, script = [], training.run_epoch, list(accuracies)

    class Watched(train.Run):
        def __init__(self, *args):
            super().__init__(*args)
            runs.append(self)

    def scripted(model, batches, criterion, optimizer=None, *rest, **options):
        loss, accuracy = measure(model, batches, criterion, optimizer, *rest, **options)
        return loss, accuracy if optimizer else script.pop(0)

    monkeypatch.setattr(train, "Run", Watched)
    monkeypatch.setattr(training, "run_epoch", scripted)
    assert train.main(line(flowers, tmp_path / "run")) == 0
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert best["valid_accuracy"] == max(accuracies)
    for name, value in runs[0].best.state.items():
        assert torch.equal(best["model"][name], value), name
    learned = runs[0].model.state_dict()["conv1.weight"]
    assert not torch.equal(best["model"]["conv1.weight"], learned), "the weights that learn are not their average"


def test_a_worse_second_phase_leaves_the_best_file_of_the_first(flowers, tmp_path, tiny, monkeypatch):
    script = [0.5, 0.9, 0.6, 0.8]
    measure = training.run_epoch

    def scripted(model, batches, criterion, optimizer=None, *rest, **options):
        loss, accuracy = measure(model, batches, criterion, optimizer, *rest, **options)
        return loss, accuracy if optimizer else script.pop(0)

    monkeypatch.setattr(training, "run_epoch", scripted)
    assert train.main(line(flowers, tmp_path / "run", head=2, full=2)) == 0
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    torch.manual_seed(0)
    start = train.initialize_model("resnet18", 3, True, weights="none").state_dict()
    assert best["valid_accuracy"] == 0.9
    assert torch.equal(best["model"]["conv1.weight"], start["conv1.weight"])  # the first phase learns the head alone
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["best_valid_accuracy"] == 0.9


def test_images_of_every_kind_can_be_trained_on(tmp_path, tiny, capsys):
    root = make_data(tmp_path / "data", train=2, valid=1)
    for split in ("train", "valid"):
        for mode in ("L", "P", "RGBA", "CMYK", "LA", "1"):
            suffix = "jpg" if mode == "CMYK" else "png"
            save(noisy(COLOURS["2"]).convert(mode), root / split / "2" / f"{mode}.{suffix}")
        save(Image.fromarray(np.full((40, 40), 40000, np.uint16)), root / split / "10" / "deep.png")
        save(noisy(COLOURS["1"], size=(300, 31)), root / split / "1" / "wide.jpg")
    assert train.main(line(root, tmp_path / "run", head=1, full=1)) == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["train_images"] == 6 + 8
    assert capsys.readouterr().err == ""


def test_an_unreadable_training_image_is_named(flowers, tmp_path, tiny, capsys):
    root = tmp_path / "data"
    shutil.copytree(flowers, root)
    (root / "train" / "10" / "03.png").write_text("spoilt")
    assert_fails(capsys, train.main(line(root, tmp_path / "run")), root / "train" / "10" / "03.png")


def test_an_unreadable_training_image_is_left_out_when_asked(flowers, tmp_path, tiny, capsys):
    root = tmp_path / "data"
    shutil.copytree(flowers, root)
    (root / "train" / "10" / "03.png").write_text("spoilt")
    (root / "valid" / "2" / "01.png").write_text("spoilt")
    assert train.main(line(root, tmp_path / "run", "--skip-unreadable")) == 0
    assert capsys.readouterr().out.count("left out: ") == 2
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["valid_images"], metrics["left_out"]) == (35, 11, 2)


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(flowers, tmp_path, tiny, capsys, monkeypatch):
    out, second = tmp_path / "run", []
    decode = train.decode_both

    def meanwhile(*arguments):
        if not second:
            second.append(0)
            other = subprocess.run([sys.executable, "-m", "helpers.train", *line(flowers, out)], capture_output=True, text=True)
            second[0] = other
        return decode(*arguments)

    monkeypatch.setattr(train, "decode_both", meanwhile)
    assert train.main(line(flowers, out)) == 0
    assert second[0].returncode == 2
    assert second[0].stderr.startswith(f"error: Another run is writing to {out}")
    assert is_one_sentence(second[0].stderr)
    assert files_in(out) == FILES


def test_what_a_killed_process_left_half_written_is_cleared_away(flowers, tmp_path, tiny):
    out = tmp_path / "run"
    out.mkdir()
    for name in (".best.pt.4711", ".last.pt.12", ".history.csv.999", ".probe.5", ".coverage.host.1.2"):
        (out / name).write_bytes(b"half")
    assert train.main(line(flowers, out)) == 0
    assert files_in(out) == [".coverage.host.1.2", *FILES]  # what is not ours stays


def test_the_network_in_training_is_fast_on_small_maps(flowers, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train.Run, "full_phase", lambda run, state: seen.append(run.model))
    assert train.main(line(flowers, tmp_path / "run")) == 0
    assert isinstance(seen[0].layer4[1].conv2, SmallMapConv2d)


def test_a_bad_data_folder_is_named(tmp_path, capsys):
    assert_fails(capsys, train.main(line(tmp_path / "nowhere", tmp_path / "run")), tmp_path / "nowhere")


def test_weights_that_do_not_exist_are_named(flowers, tmp_path, capsys):
    assert_fails(capsys, train.main(line(flowers, tmp_path / "run", "--weights", "nowhere.pt")), "nowhere.pt")


def test_a_folder_that_cannot_be_written_is_named_before_the_work_begins(flowers, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(train, "decode_split", lambda *args: pytest.fail("began to work"))
    assert_fails(capsys, train.main(line(flowers, tmp_path / "file" / "run")), tmp_path / "file" / "run")


def test_a_disk_that_fills_up_during_the_run_is_told(flowers, tmp_path, tiny, capsys, monkeypatch):
    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert_fails(capsys, train.main(line(flowers, tmp_path / "run")), "No space left", tmp_path / "run" / "best.pt")
    assert files_in(tmp_path / "run") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--image-size", "16"),
        ("--batch-size", "1"),
        ("--head-epochs", "-1"),
        ("--head-epochs", "0", "--full-epochs", "0"),
        ("--full-epochs", "many"),
    ],
)
def test_options_that_make_no_sense_are_refused(flowers, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        train.main(line(flowers, tmp_path / "run", *arguments))
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# ---- going on with a run -------------------------------------------------------------------------------------------


def test_an_older_run_is_not_overwritten(trained, flowers, capsys):
    before = {name: (trained / name).stat().st_mtime_ns for name in FILES}
    assert_fails(capsys, train.main(line(flowers, trained)), trained, "--resume")
    assert {name: (trained / name).stat().st_mtime_ns for name in FILES} == before


@pytest.mark.parametrize("exists", [True, False])
def test_there_must_be_something_to_resume(flowers, tmp_path, capsys, exists):
    if exists:
        (tmp_path / "run").mkdir()
    assert_fails(capsys, train.main(line(flowers, tmp_path / "run", "--resume")), "nothing to resume", tmp_path / "run")
    assert (tmp_path / "run").exists() == exists


class Stop(Exception):
    """Something goes wrong in the middle of a run."""


def stop_at(monkeypatch, place: str, call: int, exception=Stop) -> None:
    """Let the given method of Run raise after (or, with "before ", instead of) its call number `call`."""
    before = place.startswith("before ")
    name = place.removeprefix("before ")
    method, calls = getattr(train.Run, name), []

    def stopping(self, *args, **parts):
        calls.append(1)
        if before and len(calls) == call:
            raise exception
        method(self, *args, **parts)
        if not before and len(calls) == call:
            raise exception

    monkeypatch.setattr(train.Run, name, stopping)


@pytest.fixture
def whole(flowers, tmp_path, tiny):
    """A run of the tiny network in one go."""
    assert train.main(line(flowers, tmp_path / "whole", full=4)) == 0
    return tmp_path / "whole"


@pytest.mark.parametrize("place", ["save_last", "before save_last"])
@pytest.mark.parametrize("call", [2, 3, 4, 5])
def test_a_run_stopped_at_any_epoch_and_resumed_is_the_same_as_in_one_go(flowers, tmp_path, monkeypatch, whole, place, call):
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_at(patch, place, call)
        with pytest.raises(Stop):
            train.main(line(flowers, out, full=4))
    assert not (out / "metrics.json").exists()
    torch.manual_seed(99)  # whatever happened in between
    assert train.main(line(flowers, out, "--resume", full=4)) == 0
    assert_same_run(out, whole)


def test_a_run_stopped_after_its_first_phase_goes_on_with_the_second(flowers, tmp_path, monkeypatch, whole):
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_at(patch, "save_last", 1)
        with pytest.raises(Stop):
            train.main(line(flowers, out, full=4))
    torch.manual_seed(99)
    with monkeypatch.context() as patch:
        patch.setattr(train, "train_head", lambda *args, **options: pytest.fail("trained the head again"))
        assert train.main(line(flowers, out, "--resume", full=4)) == 0
    assert_same_run(out, whole)


def test_a_run_may_be_stopped_more_than_once(flowers, tmp_path, monkeypatch, whole):
    out = tmp_path / "stopped"
    for more in ([], ["--resume"], ["--resume"]):
        with monkeypatch.context() as patch:
            stop_at(patch, "save_last", 1 if more else 2)
            with pytest.raises(Stop):
                train.main(line(flowers, out, *more, full=4))
    assert train.main(line(flowers, out, "--resume", full=4)) == 0
    assert_same_run(out, whole)


def test_resuming_a_finished_run_changes_nothing(flowers, tmp_path, whole):
    before = {name: (whole / name).read_bytes() for name in ("best.pt", "history.csv")}
    assert train.main(line(flowers, whole, "--resume", full=4)) == 0
    assert {name: (whole / name).read_bytes() for name in before} == before
    assert json.loads((whole / "metrics.json").read_text())["full_seconds"] > 0


@pytest.mark.parametrize("full", [0, 2])
def test_a_run_stopped_before_its_last_table_gets_it_on_resuming(flowers, tmp_path, tiny, full):
    """last.pt is written first: whoever stops the run just then must not lose a line of the history."""
    out = tmp_path / "run"
    assert train.main(line(flowers, out, full=full)) == 0
    table = (out / "history.csv").read_bytes()
    (out / "history.csv").unlink()
    assert train.main(line(flowers, out, "--resume", full=full)) == 0
    assert (out / "history.csv").read_bytes() == table


@pytest.mark.parametrize(
    "other",
    [
        ("--image-size", "40"),
        ("--batch-size", "8"),
        ("--head-epochs", "4"),
        ("--full-epochs", "5"),
        ("--seed", "1"),
        ("--weights", "imagenet"),
    ],
    ids=lambda option: option[0],
)
def test_resuming_with_other_options_is_refused(flowers, whole, backbone_file, capsys, monkeypatch, other):
    monkeypatch.setattr("helpers.models.load_backbone", lambda *arguments: None)
    status = train.main(line(flowers, whole, *other, "--resume", full=4) if other[0] != "--full-epochs" else
                        line(flowers, whole, "--resume", full=5))  # fmt: skip
    assert_fails(capsys, status, whole, other[0].removeprefix("--"))


@pytest.mark.parametrize("change", ["another class", "another name", "one picture more"])
def test_resuming_with_other_data_is_refused(flowers, tmp_path, whole, capsys, change):
    root = tmp_path / "other"
    shutil.copytree(flowers, root)
    if change == "another class":
        for split in ("train", "valid"):
            save(noisy((0, 0, 0)), root / split / "3" / "00.png")
    elif change == "another name":
        for split in ("train", "valid"):
            (root / split / "2").rename(root / split / "3")
    else:
        save(noisy((0, 0, 0)), root / "train" / "2" / "more.png")
    assert_fails(capsys, train.main(line(root, whole, "--resume", full=4)), whole)


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
@pytest.mark.parametrize("content", [b"", b"hello world", b"cut", "other"], ids=["empty", "text", "cut", "other"])
def test_resuming_from_a_spoilt_file_is_refused(flowers, whole, capsys, name, content):
    path = whole / name
    if content == "other":
        save_checkpoint(path, {"something": "else"})
    else:
        path.write_bytes(path.read_bytes()[:1000] if content == b"cut" else content)
    assert_fails(capsys, train.main(line(flowers, whole, "--resume", full=4)), whole)


def test_ctrl_c_in_the_second_phase_says_how_to_go_on(flowers, tmp_path, monkeypatch, capsys, whole):
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_at(patch, "save_last", 3, KeyboardInterrupt)
        assert train.main(line(flowers, out, full=4)) == 130
    captured = capsys.readouterr()
    assert "--resume" in captured.err
    assert "Traceback" not in captured.err
    assert train.main(line(flowers, out, "--resume", full=4)) == 0
    assert_same_run(out, whole)


@pytest.mark.parametrize("at", [1, 2, 3, 9])
def test_ctrl_c_within_a_batch_of_the_second_phase_stops_the_run(flowers, tmp_path, monkeypatch, whole, at):
    out, calls = tmp_path / "stopped", []
    augment = train.augment_batch

    def interrupted(pixels, size, **share):
        if torch.is_grad_enabled():  # not while the features for the head are computed
            calls.append(1)
            if len(calls) == at:
                raise KeyboardInterrupt
        return augment(pixels, size, **share)

    with monkeypatch.context() as patch:
        patch.setattr(train, "augment_batch", interrupted)
        assert train.main(line(flowers, out, full=4)) == 130
    assert train.main(line(flowers, out, "--resume", full=4)) == 0
    assert_same_run(out, whole)


@pytest.mark.parametrize("at", [1, 2, 5])
def test_ctrl_c_in_the_first_phase_stops_the_run_and_its_advice_works(flowers, tmp_path, monkeypatch, tiny, capsys, at):
    out, calls = tmp_path / "stopped", []
    with monkeypatch.context() as patch:

        def interrupted(loss, *args, **options):
            calls.append(1)
            if len(calls) == at:
                raise KeyboardInterrupt
            return backward(loss, *args, **options)

        backward = torch.Tensor.backward
        patch.setattr(torch.Tensor, "backward", interrupted)
        status = train.main(line(flowers, out, full=1))
    assert status == 130
    advice = capsys.readouterr().err
    assert advice
    again = ["--resume"] if "--resume" in advice else []
    assert train.main(line(flowers, out, *again, full=1)) == 0


def test_ctrl_c_while_reading_the_pictures_stops_the_run_and_its_advice_works(flowers, tmp_path, monkeypatch, tiny, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "decode_split", interrupted)
        assert train.main(line(flowers, tmp_path / "run")) == 130
    again = ["--resume"] if "--resume" in capsys.readouterr().err else []
    assert train.main(line(flowers, tmp_path / "run", *again)) == 0


# ---- killed ----

DRIVER = """
import sys, torch
torch.set_num_threads(1)
from helpers import train
train.choose_precision = lambda device: None
sys.exit(train.main(sys.argv[1:]))
"""


def kill_when(arguments: list[str], moment, seconds: float = 120) -> None:
    """Start the command in a process of its own and kill it (no clean-up, no flush) as soon as `moment()` is true."""
    process = subprocess.Popen([sys.executable, "-c", DRIVER, *arguments], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + seconds
        while process.poll() is None and not moment():
            assert time.monotonic() < end, "the moment did not come"
            time.sleep(0.002)
    finally:
        process.kill()
        status = process.wait()
    assert status != 0, "the run was over before it could be killed"
    assert os.name != "posix" or status < 0, status


@pytest.fixture(scope="module")
def whole_resnet(flowers, tmp_path_factory):
    """A run of the real network in one go."""
    out = tmp_path_factory.mktemp("resnet") / "whole"
    subprocess.run([sys.executable, "-c", DRIVER, *line(flowers, out, head=2, full=4)], check=True, capture_output=True)
    return out


@pytest.mark.parametrize("when", ["a checkpoint was written", "a checkpoint is half written"])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(flowers, tmp_path, whole_resnet, when):
    out, versions = tmp_path / "killed", set()
    last = out / "last.pt"

    def moment() -> bool:
        if not last.exists():
            return False
        versions.add(last.stat().st_mtime_ns)
        half = any(out.glob(".last.pt.*"))
        return len(versions) >= (3 if when == "a checkpoint was written" else 2) and (
            half or when == "a checkpoint was written"
        )

    kill_when(line(flowers, out, head=2, full=4), moment)
    assert not (out / "metrics.json").exists()
    assert 0 < load_checkpoint(last)["epoch"] < 4
    load_checkpoint(out / "best.pt")
    assert train.main(line(flowers, out, "--resume", head=2, full=4)) == 0
    assert_same_run(out, whole_resnet)


# ---- predicting ----------------------------------------------------------------------------------------------------


def guess(trained, *images, more=()) -> int:
    return predict.main(["--checkpoint", str(trained / "best.pt"), *more, *map(str, images)])


def table_of(path: Path) -> list[dict]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("folder", COLOURS)
def test_one_picture_is_answered_with_flower_names(trained, flowers, capsys, folder):
    """Not with the index of the output nor with the folder."""
    picture = flowers / "valid" / folder / "00.png"
    assert guess(trained, picture) == 0
    captured = capsys.readouterr()
    file, *guesses = captured.out.splitlines()
    assert file == str(picture)
    assert len(guesses) == 3  # five were asked for, three classes there are
    assert guesses[0].endswith(NAMES[folder])
    assert {text.split("%")[1].strip() for text in guesses} == set(NAMES.values())
    shares = [float(text.split("%")[0]) for text in guesses]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)
    assert captured.err == ""


def test_several_files_and_a_folder_are_answered_in_order(trained, flowers, capsys):
    first, second = flowers / "valid" / "2" / "01.png", flowers / "valid" / "1" / "02.png"
    assert guess(trained, first, second, flowers / "valid" / "10", more=["--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(text) for text in lines[::2]] == [first, second, *sorted((flowers / "valid" / "10").iterdir())]
    names = [NAMES[Path(text).parent.name] for text in lines[::2]]
    assert [text.split("%")[1].strip() for text in lines[1::2]] == names


def test_the_table_has_the_best_guess_for_every_picture(trained, flowers, tmp_path):
    path = tmp_path / "new" / "guesses.csv"
    assert guess(trained, flowers / "valid", more=["--csv", str(path), "--top", "2"]) == 0
    rows = table_of(path)
    assert path.read_text().splitlines()[0] == "image_id,label,name,probability"
    assert len(rows) == 12
    for row in rows:
        folder = Path(row["image_id"]).parent.name
        assert Path(row["image_id"]).is_file()
        assert row["label"] == folder
        assert row["name"] == NAMES[folder]
        assert 1 / 3 < float(row["probability"]) <= 1


@pytest.mark.parametrize(("top", "shown"), [("1", 1), ("2", 2), ("99", 3)])
def test_top_may_be_larger_than_the_number_of_classes(trained, flowers, capsys, top, shown):
    assert guess(trained, flowers / "valid" / "1" / "00.png", more=["--top", top]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + shown


def test_top_must_be_positive(trained, flowers, capsys):
    with pytest.raises(SystemExit) as stop:
        guess(trained, flowers / "valid", more=["--top", "0"])
    assert stop.value.code == 2
    assert "--top" in capsys.readouterr().err


def test_a_bad_picture_among_good_ones_does_not_stop_the_others(trained, flowers, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    good = [flowers / "valid" / "1" / "00.png", flowers / "valid" / "2" / "00.png"]
    status = guess(trained, good[0], bad, good[1], more=["--csv", str(tmp_path / "guesses.csv"), "--top", "1"])
    captured = capsys.readouterr()
    assert status == 2
    assert [Path(text) for text in captured.out.splitlines()[::2]] == good
    assert [row["label"] for row in table_of(tmp_path / "guesses.csv")] == ["1", "2"]
    assert captured.err.startswith("error: ")
    assert captured.err.splitlines() == [captured.err.strip()]
    assert str(bad) in captured.err


def test_a_bad_picture_is_named_even_if_the_table_cannot_be_written(trained, flowers, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    table = bad / "guesses.csv"
    assert guess(trained, flowers / "valid" / "1", bad, more=["--csv", str(table)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert all(text.startswith("error: ") for text in errors)
    assert [text for text in errors if f"{bad} " in text]
    assert [text for text in errors if f"{table} " in text]


def test_a_picture_that_does_not_exist_is_named(trained, tmp_path, capsys):
    assert_fails(capsys, guess(trained, tmp_path / "nowhere.png"), tmp_path / "nowhere.png")


def test_a_folder_without_pictures_is_an_error(trained, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert_fails(capsys, guess(trained, tmp_path / "empty"), "no images")


def test_a_table_that_cannot_be_written_is_named(trained, flowers, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    path = tmp_path / "file" / "guesses.csv"
    assert_fails(capsys, guess(trained, flowers / "valid" / "1", more=["--csv", str(path)]), path)


def test_a_hostile_checkpoint_is_refused_and_not_run(flowers, tmp_path, capsys):
    for i, how in enumerate((torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)))):
        trace = tmp_path / f"trace{i}"
        how({"model": {}, "classes": Hostile(trace)}, tmp_path / "best.pt")
        assert_fails(capsys, guess(tmp_path, flowers / "valid"), tmp_path / "best.pt")
        assert not trace.exists()


def test_a_checkpoint_that_is_missing_or_of_another_kind_is_named(trained, flowers, tmp_path, capsys):
    path = tmp_path / "best.pt"
    assert_fails(capsys, guess(tmp_path, flowers / "valid"), path)
    for content in ({"model": {}}, [1, 2], load_checkpoint(trained / "last.pt")):
        torch.save(content, path)
        assert_fails(capsys, guess(tmp_path, flowers / "valid"), path)
    shutil.copy(flowers / "valid" / "1" / "00.png", path)
    assert_fails(capsys, guess(tmp_path, flowers / "valid"), path)


def test_ctrl_c_while_predicting_ends_with_130(trained, flowers, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "predict_files", interrupted)
    assert guess(trained, flowers / "valid") == 130
    assert "Traceback" not in capsys.readouterr().err


def test_both_commands_run_as_modules_from_anywhere(tmp_path):
    """In processes of their own: the exit status and the one line are what a shell sees."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    commands = {
        "train": ["--data", "nowhere", "--out", str(tmp_path / "run")],
        "predict": ["--checkpoint", "nowhere.pt", "photo.jpg"],
    }
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", f"helpers.{name}", *arguments],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, arguments in commands.items()
    }
    for process in running.values():
        error = process.communicate(timeout=120)[1]
        assert process.returncode == 2
        assert error.startswith("error: ")
        assert len(error.splitlines()) == 1
        assert "nowhere" in error
    assert data.PROJECT.is_dir()


def test_one_training_image_is_too_few(tmp_path, capsys):
    root = make_data(tmp_path / "data", {"only": (9, 90, 200)}, train=1, valid=1)
    assert_fails(capsys, train.main(line(root, tmp_path / "run")), "single image")


def test_a_best_checkpoint_of_other_classes_is_noticed_before_the_work(flowers, tmp_path, capsys, trained):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    best = load_checkpoint(out / "best.pt")
    save_checkpoint(out / "best.pt", best | {"classes": ["1", "10", "3"]})
    assert_fails(capsys, train.main(line(flowers, out, "--resume", head=8, full=3)), "not those of one run")


def test_the_metrics_carry_the_split(flowers, trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["split"] == data.split_card(flowers)


def test_another_file_list_of_the_same_size_is_not_resumed(flowers, tmp_path, capsys, trained):
    out, other = tmp_path / "run", tmp_path / "data"
    shutil.copytree(trained, out)
    shutil.copytree(flowers, other)
    next((other / "train" / "1").iterdir()).rename(other / "train" / "1" / "renamed.png")
    assert_fails(capsys, train.main(line(other, out, "--resume", head=8, full=3)), "split")
