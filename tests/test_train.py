"""helpers.train: from the recipe to the files, and every way to interrupt and resume a run."""

import contextlib
import json
import runpy
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from conftest import (
    COLOURS,
    MODELS,
    assert_same_run,
    file_size_limit,
    files_in,
    history_of,
    is_one_sentence,
    line,
    make_data,
    noisy,
    refused,
    save,
)
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from helpers import train
from helpers.base import UserError
from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.data import decode_split, find_images, normalize_batch, split_summary
from helpers.recipe import Recipe, versions
from helpers.speed import Im2colConv2d, pick_device

CPU = torch.device("cpu")
FILES = ["best.pt", "history.csv", "last.pt", "metrics.json"]
RECIPE = Recipe(
    architecture="tiny",
    weights="none",
    head_epochs=3,
    full_epochs=4,
    image_size=32,
    batch_size=12,
    full_lr=0.03,
    precision="float32",
)
SHORT = replace(RECIPE, head_epochs=1, full_epochs=1)


@pytest.fixture
def changes(tmp_path) -> dict:
    """Another value for every setting of RECIPE and SHORT."""
    weights = {name: value for name, value in MODELS["tiny"]().state_dict().items() if not name.startswith("fc.")}
    save_file(weights, tmp_path / "tiny.safetensors")
    return {
        "architecture": "mobilenet_v3_small", "weights": str(tmp_path / "tiny.safetensors"), "head_epochs": 2, "full_epochs": 5,
        "head_lr": 0.02, "full_lr": 0.02, "weight_decay": 0.01, "label_smoothing": 0.2, "ema_decay": 0.8,
        "views": 1, "image_size": 40, "batch_size": 8, "precision": "bfloat16", "seed": 1,
    }  # fmt: skip


class Whole(NamedTuple):
    """A run without interruption: its folder, copies of it after every epoch of all layers, and its metrics."""

    out: Path
    copies: list[Path]
    metrics: dict


@pytest.fixture(scope="module")
def whole(flowers, tmp_path_factory) -> Whole:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    out, copies = folder / "run", []

    def copy(epoch: int) -> None:
        assert epoch == len(copies)
        copies.append(shutil.copytree(out, folder / str(epoch), ignore=shutil.ignore_patterns(".lock")))

    metrics = train.train(RECIPE, flowers, out, after_epoch=copy)
    return Whole(out, copies, metrics)


@pytest.fixture
def out(whole, tmp_path) -> Path:
    """A copy of the folder of the whole run."""
    return shutil.copytree(whole.out, tmp_path / "out")


def average_of(out: Path) -> dict:
    """The moving average of the weights in last.pt."""
    ema = load_checkpoint(out / "last.pt")["ema"]
    return {name.removeprefix("module."): value for name, value in ema.items() if name != "n_averaged"}


def start_of(recipe: Recipe) -> dict:
    """The weights with which a run on three classes starts."""
    return train.build_run(recipe, {"classes": 3}, 3, CPU).model.state_dict()


# ---- what a run writes ---------------------------------------------------------------------------------------------


def test_a_run_writes_its_four_files_and_calls_back_after_every_epoch_of_all_layers(whole):
    assert files_in(whole.out) == FILES
    assert [files_in(copy) for copy in whole.copies] == [FILES[:3]] * 4


def test_the_history_has_a_row_for_every_epoch_of_both_phases(whole):
    history = history_of(whole.out)
    assert [row["epoch"] for row in history] == list(range(1, 8))
    assert list(history[0]) == ["epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr"]
    assert [len(history_of(copy)) for copy in whole.copies] == [4, 5, 6, 7]


def test_the_metrics_contain_the_results_the_data_the_recipe_and_the_versions(whole, flowers):
    metrics, history = whole.metrics, load_checkpoint(whole.out / "last.pt")["history"]
    assert json.loads((whole.out / "metrics.json").read_text()) == metrics
    assert metrics["best_valid_accuracy"] == max(row["valid_accuracy"] for row in history)
    assert metrics["head_seconds"] == pytest.approx(sum(row["seconds"] for row in history[:3]))
    assert metrics["full_seconds"] == pytest.approx(sum(row["seconds"] for row in history[3:]))
    assert metrics["load_seconds"] > 0
    facts = {"classes": 3, "train_images": 36, "valid_images": 12, "skipped": 0}
    facts |= {"split": split_summary(flowers, find_images(flowers))}
    facts |= asdict(RECIPE) | {"device": pick_device().type, "versions": versions()}
    results = {name: metrics[name] for name in ("best_valid_accuracy", "load_seconds", "head_seconds", "full_seconds")}
    assert metrics == facts | results


def test_the_best_checkpoint_contains_all_that_is_known_about_the_model(whole):
    content = load_checkpoint(whole.out / "best.pt")
    assert content.pop("model").keys() == MODELS["tiny"]().state_dict().keys()
    assert content == {
        "architecture": "tiny",
        "classes": ["1", "10", "2"],
        "names": {"1": "pink primrose", "10": "globe thistle", "2": "hard-leaved pocket orchid"},
        "image_size": 32,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "valid_accuracy": whole.metrics["best_valid_accuracy"],
        "recipe": asdict(RECIPE),
        "versions": versions(),
        "device": pick_device().type,
    }


def test_after_every_epoch_the_best_checkpoint_contains_the_first_weights_with_the_highest_accuracy(whole):
    """Of all layers, those of the moving average."""
    accuracies = [row["valid_accuracy"] for row in history_of(whole.out)]
    sources = set()
    for epoch, copy in enumerate(whole.copies):
        best, so_far = load_checkpoint(copy / "best.pt"), accuracies[: RECIPE.head_epochs + epoch + 1]
        source = so_far.index(max(so_far)) - RECIPE.head_epochs
        assert best["valid_accuracy"] == max(so_far)
        if source < 0:  # in the first phase only the head learns
            assert torch.equal(best["model"]["conv1.weight"], start_of(RECIPE)["conv1.weight"])
        else:
            torch.testing.assert_close(best["model"], average_of(whole.copies[source]), rtol=0, atol=0)
        sources.add(source)
    assert len(sources) > 1, "the best checkpoint was never replaced: the test needs other data"
    assert source < epoch, "the last epoch was the best: the test needs more epochs"


def test_a_worse_second_phase_leaves_the_best_checkpoint_of_the_first(flowers, tmp_path):
    recipe = replace(RECIPE, head_epochs=8, head_lr=0.1, full_epochs=2, full_lr=1000)
    metrics = train.train(recipe, flowers, tmp_path / "run")
    accuracies = [row["valid_accuracy"] for row in history_of(tmp_path / "run")]
    assert max(accuracies[8:]) < max(accuracies[:8]) == metrics["best_valid_accuracy"]
    best = load_checkpoint(tmp_path / "run" / "best.pt")
    assert best["valid_accuracy"] == metrics["best_valid_accuracy"]
    assert torch.equal(best["model"]["conv1.weight"], start_of(recipe)["conv1.weight"])


def test_the_validation_loss_is_that_of_the_moving_average_with_label_smoothing(whole, flowers):
    images, model = decode_split(flowers, "valid", 32), train.build_run(RECIPE, {"classes": 3}, 3, CPU).model.eval()
    for copy, row in zip(whole.copies, history_of(whole.out)[3:], strict=True):
        model.load_state_dict(average_of(copy))
        with torch.no_grad():
            loss = F.cross_entropy(model(normalize_batch(images.pixels)), images.labels, label_smoothing=RECIPE.label_smoothing)
        assert row["valid_loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_only_the_head_learns_in_the_first_phase_and_all_layers_in_the_second(flowers, tmp_path):
    start = start_of(RECIPE)
    for full, changed in ((0, {"fc.weight", "fc.bias"}), (1, set(start))):
        train.train(replace(SHORT, full_epochs=full), flowers, tmp_path / str(full))
        last = load_checkpoint(tmp_path / str(full) / "last.pt")["model"]
        assert {name for name, value in start.items() if not torch.equal(last[name], value)} == changed


def test_pretrained_batch_norms_stay_as_they_are(flowers, tmp_path, changes):
    recipe = replace(SHORT, weights=changes["weights"])
    train.train(recipe, flowers, tmp_path / "run")
    start, last = start_of(recipe), load_checkpoint(tmp_path / "run" / "last.pt")["model"]
    same = {name for name, value in start.items() if torch.equal(last[name], value)}
    assert same == {name for name in start if name.startswith("bn1.")}


# ---- the recipe ----------------------------------------------------------------------------------------------------


def test_a_run_can_be_repeated_and_every_setting_makes_a_difference(flowers, tmp_path, changes):
    histories = {}
    for name in ("nothing", *changes):
        recipe = replace(SHORT, **{name: changes[name]}) if name in changes else SHORT
        train.train(recipe, flowers, tmp_path / name)
        histories[name] = history_of(tmp_path / name)
    same = {name for name in histories if histories[name] == histories["nothing"]}
    assert same == {"nothing"}
    assert all(a != b for a, b in zip(histories["seed"], histories["nothing"], strict=True))  # the seed, in both phases
    train.train(SHORT, flowers, tmp_path / "again")
    assert_same_run(tmp_path / "again", tmp_path / "nothing")


def test_weights_are_decayed_and_biases_and_norms_are_not():
    run = train.build_run(replace(RECIPE, weight_decay=0.25), {"classes": 3}, 3, CPU)
    decay = {id(p): group["weight_decay"] for group in run.optimizer.param_groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in run.model.named_parameters()} == {
        "conv1.weight": 0.25,
        "bn1.weight": 0,
        "bn1.bias": 0,
        "fc.weight": 0.25,
        "fc.bias": 0,
    }


def test_the_schedule_has_as_many_steps_as_there_are_batches_and_peaks_at_the_learning_rate(whole):
    last = load_checkpoint(whole.out / "last.pt")
    assert last["scheduler"]["total_steps"] == last["scheduler"]["last_epoch"] == 4 * 3
    assert {group["max_lr"] for group in last["optimizer"]["param_groups"]} == {RECIPE.full_lr}


def test_the_moving_average_includes_the_running_statistics_and_a_decay_of_0_means_no_average(flowers, tmp_path):
    images = torch.randn(24, 3, 32, 32)
    run, expected = train.build_run(RECIPE, {"classes": 3}, 3, CPU), torch.empty(0)
    for step in range(4):
        with torch.no_grad():
            run.model.train()(images[6 * step : 6 * step + 6])  # changes the running statistics
        run.ema.update_parameters(run.model)
        current = run.model.bn1.running_mean.clone()
        expected = current if step == 0 else expected.lerp(current, 0.1)
        torch.testing.assert_close(run.ema.module.bn1.running_mean, expected)

    train.train(replace(SHORT, ema_decay=0), flowers, tmp_path / "run")
    last = load_checkpoint(tmp_path / "run" / "last.pt")["model"]
    torch.testing.assert_close(average_of(tmp_path / "run"), last, rtol=0, atol=0)


def test_a_network_that_ends_in_one_linear_layer_can_be_trained_and_another_is_refused():
    accepted = set()
    for name in MODELS:
        recipe, meta = replace(RECIPE, architecture=name), torch.device("meta")
        with meta:
            try:
                model = train.build_run(recipe, {"classes": 3}, 3, meta).model
            except UserError as error:
                assert str(error).startswith(f"{name} does not end in a single linear layer: ")
                assert is_one_sentence(str(error))
                continue
        assert [m for m in model.modules() if isinstance(m, nn.Linear)][-1].out_features == 3
        accepted.add(name)
    assert MODELS.keys() - accepted == {"squeezenet1_1", "inception_v3"}


def test_an_unknown_architecture_is_answered_with_the_known_ones(flowers, tmp_path, capsys):
    refused(capsys, train.main(line(flowers, tmp_path / "run", architecture="resnet19")), "resnet19", "resnet18, ")


def test_small_feature_maps_are_computed_by_im2col():
    run = train.build_run(replace(RECIPE, architecture="resnet18"), {"classes": 3}, 3, CPU)
    assert isinstance(run.model.layer4[1].conv2, Im2colConv2d)


def test_the_precision_is_resolved_recorded_and_taken_over_on_resuming(flowers, tmp_path):
    auto = replace(SHORT, precision="auto")
    resolved = train.train(auto, flowers, tmp_path / "auto")["precision"]
    assert resolved in ("float32", "bfloat16")
    for precision in ("float32", "bfloat16"):  # whichever this machine would choose
        out = tmp_path / precision
        train.train(replace(SHORT, precision=precision), flowers, out)
        assert train.train(auto, flowers, out, resume=True)["precision"] == precision
        assert load_checkpoint(out / "best.pt")["recipe"]["precision"] == precision
    assert history_of(tmp_path / "auto") == history_of(tmp_path / resolved)


def test_what_the_recipe_leaves_open_is_settled_recorded_and_taken_over_on_resuming(flowers, tmp_path):
    names = ("head_epochs", "full_epochs", "batch_size")
    open_ = replace(RECIPE, **dict.fromkeys(names))
    metrics = train.train(replace(open_, full_epochs=2), flowers, tmp_path / "run")
    settled = replace(open_, full_epochs=2).for_images(36)
    assert [metrics[name] for name in names] == [getattr(settled, name) for name in names]
    again = train.train(open_, flowers, tmp_path / "run", resume=True)
    assert [again[name] for name in names] == [metrics[name] for name in names]


# ---- the command line ----------------------------------------------------------------------------------------------


def test_the_command_line_gives_the_run_of_its_options(flowers, tmp_path, whole, capsys, monkeypatch):
    assert train.main(line(flowers, tmp_path / "run", full=4)) == 0
    assert_same_run(tmp_path / "run", whole.out)
    output, error = capsys.readouterr()
    assert error == ""
    assert output.startswith("36 training and 12 validation images of 3 classes in ")
    assert f"best validation accuracy {whole.metrics['best_valid_accuracy']:.4f}" in output

    monkeypatch.setenv("FLOWER_DATA", str(flowers))
    arguments = line(flowers, tmp_path / "again", full=4)
    assert arguments.pop(0) == "--data"
    assert train.main(arguments[1:]) == 0
    assert_same_run(tmp_path / "again", whole.out)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_commands_run_as_modules_and_end_with_their_status(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for module, arguments in (
        ("helpers.train", ["--data", "nowhere", "--out", "run"]),
        ("helpers.predict", ["--checkpoint", "nowhere.pt", "photo.jpg"]),
    ):
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_module(module, run_name="__main__")
        refused(capsys, stop.value.code, "nowhere")


def test_either_phase_may_be_left_out(flowers, tmp_path):
    for head, full in ((2, 0), (0, 2)):
        out = tmp_path / f"{head} {full}"
        train.train(replace(RECIPE, head_epochs=head, full_epochs=full), flowers, out)
        assert files_in(out) == FILES
        assert len(history_of(out)) == 2


def test_any_number_of_epochs_works_with_one_batch_per_epoch(flowers, tmp_path):
    for full in range(1, 5):
        recipe = replace(RECIPE, head_epochs=1, full_epochs=full, batch_size=64)
        train.train(recipe, flowers, tmp_path / str(full))
        assert len(history_of(tmp_path / str(full))) == 1 + full


def test_images_of_every_mode_can_be_trained_on(tmp_path, capsys):
    root = make_data(tmp_path / "data", train=2, valid=1)
    for split in ("train", "valid"):
        for mode in ("L", "P", "RGBA", "CMYK", "LA", "1"):
            suffix = "jpg" if mode == "CMYK" else "png"
            save(noisy(COLOURS["2"]).convert(mode), root / split / "2" / f"{mode}.{suffix}")
        save(Image.fromarray(np.full((40, 40), 40000, np.uint16)), root / split / "10" / "deep.png")
        save(noisy(COLOURS["1"], size=(300, 31)), root / split / "1" / "wide.jpg")
    assert train.train(SHORT, root, tmp_path / "run")["train_images"] == 6 + 8
    assert capsys.readouterr().err == ""


def test_an_unreadable_image_is_named_or_skipped(flowers, tmp_path, capsys):
    root = shutil.copytree(flowers, tmp_path / "data")
    bad = [root / "train" / "10" / "03.png", root / "valid" / "2" / "01.png"]
    for path in bad:
        path.write_text("corrupt")
    refused(capsys, train.main(line(root, tmp_path / "run")), bad[0])
    assert train.main(line(root, tmp_path / "run", "--skip-unreadable")) == 0
    assert [text for text in capsys.readouterr().out.splitlines() if text.startswith("skipped: ")] == [
        f"skipped: {path} cannot be read as an image (cannot identify image file): replace it or remove it." for path in bad
    ]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (metrics["train_images"], metrics["valid_images"], metrics["skipped"]) == (35, 11, 2)


def test_what_cannot_be_used_is_named_before_the_work_begins(flowers, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    one = make_data(tmp_path / "one", {"only": (9, 90, 200)}, train=1, valid=1)
    new = tmp_path / "new"
    for arguments, words in {
        (tmp_path / "nowhere", new): [tmp_path / "nowhere"],
        (one, new): ["single image", one],
        (flowers, tmp_path / "file" / "run"): [tmp_path / "file" / "run"],
        (flowers, new, "--weights", "nowhere.pt"): ["nowhere.pt"],
    }.items():
        refused(capsys, train.main(line(*arguments)), *words)
        assert not new.exists() or files_in(new) == []


def test_a_disk_that_fills_up_during_the_run_is_named(flowers, tmp_path, capsys):
    with file_size_limit(2000):
        status = train.main(line(flowers, tmp_path / "run"))
    refused(capsys, status, "File too large", tmp_path / "run" / "best.pt")
    assert files_in(tmp_path / "run") == []


# ---- resuming ------------------------------------------------------------------------------------------------------


def resume(out: Path, flowers: Path, recipe: Recipe = RECIPE) -> dict:
    """Resume the run; whatever was drawn in the meantime makes no difference."""
    torch.manual_seed(99)
    return train.train(recipe, flowers, out, resume=True)


def test_a_run_resumed_after_any_epoch_is_the_same_as_without_interruption(flowers, tmp_path, whole):
    for epoch, copy in enumerate(whole.copies):
        out = shutil.copytree(copy, tmp_path / str(epoch))
        resume(out, flowers)
        assert_same_run(out, whole.out, epoch)


def test_a_run_stopped_between_its_two_checkpoints_is_the_same_too(flowers, tmp_path, whole):
    """best.pt is written first: it may be one epoch ahead of last.pt and history.csv."""
    accuracies = set()
    for epoch, (copy, following) in enumerate(zip(whole.copies, whole.copies[1:], strict=False)):
        out = shutil.copytree(copy, tmp_path / str(epoch))
        accuracies |= {load_checkpoint(folder / "best.pt")["valid_accuracy"] for folder in (out, following)}
        shutil.copy(following / "best.pt", out)
        resume(out, flowers)
        assert_same_run(out, whole.out, epoch)
    assert len(accuracies) > 1, "no epoch wrote best.pt: the test needs other data"


class Stop(Exception):
    """Something goes wrong in the middle of a run."""


def test_a_run_may_fail_and_be_resumed_again_and_again(flowers, tmp_path, whole):
    seen = []

    def fail(epoch: int) -> None:
        seen.append(epoch)
        raise Stop

    for resuming in (False, True, True, True):
        with pytest.raises(Stop):
            train.train(RECIPE, flowers, tmp_path / "run", resume=resuming, after_epoch=fail)
        assert files_in(tmp_path / "run") == FILES[:3]
    assert seen == [0, 1, 2, 3]
    train.train(RECIPE, flowers, tmp_path / "run", resume=True, after_epoch=fail)
    assert_same_run(tmp_path / "run", whole.out)


def test_resuming_a_finished_run_changes_nothing_and_restores_a_missing_history(flowers, out, whole):
    best = (out / "best.pt").stat().st_mtime_ns
    (out / "history.csv").unlink()
    metrics = resume(out, flowers)
    assert_same_run(out, whole.out)
    assert (out / "history.csv").read_bytes() == (whole.out / "history.csv").read_bytes()
    assert (out / "best.pt").stat().st_mtime_ns == best
    assert metrics | {"load_seconds": 0} == whole.metrics | {"load_seconds": 0}


@contextlib.contextmanager
def ctrl_c_at(step: int) -> Iterator[None]:
    """A real Ctrl-C during training step number `step`, counted over both phases."""
    count = 0

    def hook(module: nn.Module, inputs) -> None:
        nonlocal count
        if isinstance(module, nn.Linear) and module.training:
            count += 1
            if count == step:
                signal.raise_signal(signal.SIGINT)

    handle = nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def test_ctrl_c_in_any_step_stops_the_run_and_its_advice_leads_to_the_same_end(flowers, tmp_path, whole, capsys):
    head = 3 * 2 * 3  # steps of the head: 3 epochs, 2 views, 3 batches
    for step, advice in {
        1: "Nothing was saved yet: start again.",
        head: "Nothing was saved yet: start again.",
        head + 1: "Continue with the same command and --resume.",
        head + 5: "Continue with the same command and --resume.",
        head + 12: "Continue with the same command and --resume.",
    }.items():
        arguments = line(flowers, tmp_path / str(step), full=4)
        with ctrl_c_at(step):
            assert train.main(arguments) == 130
        assert capsys.readouterr().err == f"\nInterrupted. {advice}\n"
        again = ["--resume"] if "--resume" in advice else []
        with ctrl_c_at(head + 13):  # never: the finished steps are not repeated
            assert train.main([*arguments, *again]) == 0
        assert_same_run(tmp_path / str(step), whole.out, step)
        capsys.readouterr()


def test_resuming_with_another_setting_is_refused_and_names_it(flowers, out, capsys, changes):
    before = {name: (out / name).read_bytes() for name in FILES}
    for name, value in changes.items():
        with pytest.raises(UserError) as error:
            resume(out, flowers, replace(RECIPE, **{name: value}))
        assert f"was started with --{name.replace('_', '-')} {getattr(RECIPE, name)}: " in str(error.value)
        assert is_one_sentence(str(error.value))
    refused(capsys, train.main(line(flowers, out, "--resume", full=5)), out, "--full-epochs 4")
    assert {name: (out / name).read_bytes() for name in FILES} == before


def test_resuming_with_other_data_is_refused(flowers, tmp_path, out):
    def add_class(root: Path) -> None:
        for split in ("train", "valid"):
            save(noisy((0, 0, 0)), root / split / "3" / "00.png")

    def rename_class(root: Path) -> None:
        for split in ("train", "valid"):
            (root / split / "2").rename(root / split / "3")

    def add_image(root: Path) -> None:
        save(noisy((0, 0, 0)), root / "train" / "2" / "more.png")

    def rename_image(root: Path) -> None:
        (root / "train" / "1" / "00.png").rename(root / "train" / "1" / "renamed.png")

    def name_classes(root: Path) -> None:
        (root / "cat_to_name.json").write_text(json.dumps(dict.fromkeys(COLOURS, "rose")))

    for change in (add_class, rename_class, add_image, rename_image, name_classes):
        root = shutil.copytree(flowers, tmp_path / change.__name__)
        change(root)
        with pytest.raises(UserError, match="was started with other data") as error:
            resume(out, root)
        assert str(out) in str(error.value)
        assert is_one_sentence(str(error.value))


def test_a_best_file_left_over_from_another_run_is_not_adopted():
    """Before its first epoch, a run without a head phase has no best weights."""
    run = train.build_run(replace(RECIPE, head_epochs=0), {"classes": 3, "folders": ["1", "10", "2"]}, 2, CPU)
    run.load_state_dict(run.state_dict(), {"model": {}, "classes": ["1", "10", "2"], "valid_accuracy": 0.9})
    assert (run.best.accuracy, run.saved_accuracy, run.best.state) == (-1.0, -1.0, {})


def test_resuming_from_a_damaged_or_foreign_file_is_refused(flowers, out, whole, capsys):
    last, best = (load_checkpoint(out / name) for name in ("last.pt", "best.pt"))
    other, old = {"something": "else"}, {"recipe": last["recipe"], "averaged": last["ema"], "model": last["model"]}
    contents = {
        "last.pt": [
            *(other, old, last | {"optimizer": {}}, last | {"ema": {}}, last | {"rng": []}, last | {"epoch": "two"}),
            *(last | {name: None} for name in last),
        ],
        "best.pt": [other, best | {"classes": ["1", "10", "3"]}],
    }
    for name, others in contents.items():
        content = (whole.out / name).read_bytes()
        for wrong in [b"", b"hello world", content[:1000], *others]:
            (out / name).write_bytes(wrong) if isinstance(wrong, bytes) else save_checkpoint(out / name, wrong)
            refused(capsys, train.main(line(flowers, out, "--resume", full=4)), out)
        (out / name).write_bytes(content)
    (out / "best.pt").unlink()
    refused(capsys, train.main(line(flowers, out, "--resume", full=4)), out)
    save_checkpoint(out / "last.pt", old)
    refused(capsys, train.main(line(flowers, out, "--resume", full=4)), "not written by this version of the course", "--out")
