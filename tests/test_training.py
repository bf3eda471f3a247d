"""Training, keeping the best, writing and reading files."""

import csv
import errno
import gc
import os
import pickle
from collections import OrderedDict

import pytest
import torch
from conftest import Hostile, is_one_sentence
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

from helpers import data, training
from helpers.data import BatchLoader, UserError, normalize_batch
from helpers.models import initialize_model, set_parameter_requires_grad
from helpers.training import (
    BestWeights,
    choose_precision,
    compute_features,
    load_checkpoint,
    run_epoch,
    save_checkpoint,
    save_history,
    train_head,
    train_model,
    write_atomically,
)

CRITERION = nn.CrossEntropyLoss()


def linear(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


def points(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in the plane; the label says whether they lie on the right."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator)
    return x, (x[:, 0] > 0).long()


def loaders(n: int = 40, size: int = 8) -> dict[str, BatchLoader]:
    return {
        "train": BatchLoader(*points(n), size, shuffle=True),
        "valid": BatchLoader(*points(20, seed=1), size),
    }


def copy_of(model: nn.Module) -> dict:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in state.items())


# ---- one pass ------------------------------------------------------------------------------------------------------


def test_measuring_gives_the_mean_over_samples_however_unequal_the_batches():
    model = linear().eval()
    x, y = points(11)
    expected = F.cross_entropy(model(x), y).item(), (model(x).argmax(1) == y).float().mean().item()
    for sizes in ([11], [10, 1], [1, 3, 7]):
        batches = list(zip(x.split(sizes), y.split(sizes), strict=True))
        assert run_epoch(model, batches, CRITERION) == pytest.approx(expected, abs=1e-6)


def test_training_gives_the_mean_over_samples_too():
    model = nn.Sequential(nn.Linear(2, 2))
    x, y = points(11)
    expected = F.cross_entropy(model(x), y).item()
    standing = torch.optim.SGD(model.parameters(), lr=0.0)  # the weights stay, so the loss can be known
    loss, _ = run_epoch(model, list(zip(x.split([10, 1]), y.split([10, 1]), strict=True)), CRITERION, standing)
    assert loss == pytest.approx(expected, abs=1e-6)


def test_measuring_changes_nothing_and_leaves_no_gradients():
    model = linear().train()
    before = copy_of(model)
    first = run_epoch(model, loaders()["valid"], CRITERION)
    assert same(before, model.state_dict())  # the norm's statistics too
    assert all(p.grad is None for p in model.parameters())
    assert run_epoch(model, loaders()["valid"], CRITERION) == first  # no dropout
    assert not model.training


def test_training_changes_the_weights_and_lowers_the_loss():
    model = linear()
    before = copy_of(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = [run_epoch(model, loaders()["train"], CRITERION, optimizer)[0] for _ in range(8)]
    assert not same(before, model.state_dict())
    assert losses[-1] < 0.7 * losses[0]
    assert model.training


def test_gradients_do_not_pile_up_from_batch_to_batch():
    x, y = points(8)
    model, twin = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 2))
    twin.load_state_dict(model.state_dict())
    run_epoch(model, [(x, y), (x, y)], CRITERION, torch.optim.SGD(model.parameters(), lr=0.5))
    for _ in range(2):
        gradients = torch.autograd.grad(F.cross_entropy(twin(x), y), list(twin.parameters()))
        with torch.no_grad():
            for p, g in zip(twin.parameters(), gradients, strict=True):
                p -= 0.5 * g
    assert torch.allclose(model[0].weight, twin[0].weight, atol=1e-6)


def test_training_keeps_the_statistics_of_frozen_norms():
    model = linear()
    set_parameter_requires_grad(model, True)
    model[4].weight.requires_grad = True
    before = model[1].running_mean.clone()
    run_epoch(model, loaders()["train"], CRITERION, torch.optim.SGD([model[4].weight], lr=0.1))
    assert torch.equal(model[1].running_mean, before)


def test_bfloat16_is_used_when_asked_for_and_the_loss_is_still_float32():
    seen = []

    def criterion(outputs, labels):
        assert outputs.dtype == torch.float32
        return F.cross_entropy(outputs, labels)

    model = nn.Sequential(nn.Linear(2, 2))
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    run_epoch(model, [points(4)], criterion, precision=torch.bfloat16)
    run_epoch(model, [points(4)], criterion)
    assert seen == [torch.bfloat16, torch.float32]


def test_where_nobody_watches_there_is_no_progress_bar(capfd):
    run_epoch(linear(), loaders()["valid"], CRITERION, label="watching")
    out, err = capfd.readouterr()
    assert out + err == ""


def test_only_training_keeps_track_of_gradients():
    tracked = []

    def criterion(outputs, labels):
        tracked.append(outputs.requires_grad)
        return F.cross_entropy(outputs, labels)

    model = linear()
    run_epoch(model, [points(8)], criterion)
    run_epoch(model, [points(8)], criterion, torch.optim.SGD(model.parameters(), lr=0.1))
    assert tracked == [False, True]


# ---- keeping the best ----------------------------------------------------------------------------------------------


def test_the_best_weights_are_a_copy_of_the_strictly_best():
    model, best = nn.Sequential(nn.Linear(1, 1)), BestWeights()
    kept = []
    for value, accuracy in ((1.0, 0.5), (2.0, 0.4), (3.0, 0.5), (4.0, 0.6), (5.0, 0.6)):
        nn.init.constant_(model[0].weight, value)
        kept.append(best.update(model, accuracy))
    assert kept == [True, False, False, True, False]
    assert best.accuracy == 0.6
    assert best.state["0.weight"].item() == 4


def test_an_accuracy_of_zero_is_better_than_nothing():
    assert BestWeights().update(linear(), 0.0)


@pytest.fixture
def script(monkeypatch):
    """Replace the passes by a script of (loss, accuracy) for each validation; the first weight counts the epochs."""

    def install(*measured):
        left = list(measured)

        def pass_(model, batches, criterion, optimizer=None, *rest, **options):
            if optimizer:
                with torch.no_grad():
                    model[0].weight += 1
                return 1.0, 0.5
            return left.pop(0)

        monkeypatch.setattr(training, "run_epoch", pass_)
        model = nn.Sequential(nn.Linear(1, 1))
        nn.init.zeros_(model[0].weight)
        return model, torch.optim.SGD(model.parameters(), lr=1.0)

    return install


BATCHES = {"train": [], "valid": []}


def accuracies(*values):
    return [(1.0, value) for value in values]


def epochs_kept(model) -> int:
    return int(model[0].weight.item())


def test_training_ends_with_the_best_weights(script):
    model, optimizer = script(*accuracies(0.2, 0.6, 0.4, 0.6, 0.5))
    result, history = train_model(model, BATCHES, CRITERION, optimizer, 5, verbose=False)
    assert result is model
    assert epochs_kept(model) == 2
    assert [row["valid_accuracy"] for row in history] == [0.2, 0.6, 0.4, 0.6, 0.5]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]


def test_a_worse_second_phase_does_not_overwrite_a_better_first_one(script):
    best, history = BestWeights(), []
    model, optimizer = script(*accuracies(0.3, 0.9, 0.5, 0.6))
    for _ in range(2):
        train_model(model, BATCHES, CRITERION, optimizer, 2, best=best, history=history, verbose=False)
    assert epochs_kept(model) == 2
    assert best.accuracy == 0.9
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]


def test_a_better_second_phase_wins(script):
    best = BestWeights()
    model, optimizer = script(*accuracies(0.3, 0.2, 0.5, 0.9))
    train_model(model, BATCHES, CRITERION, optimizer, 2, best=best, verbose=False)
    assert epochs_kept(model) == 1
    train_model(model, BATCHES, CRITERION, optimizer, 2, best=best, verbose=False)
    assert epochs_kept(model) == 3  # two epochs on from the best of the first phase
    assert best.accuracy == 0.9


@pytest.mark.parametrize(
    ("patience", "epochs"),
    [(1, 3), (2, 6), (3, 7), (None, 8)],
)
def test_patience_counts_epochs_since_the_last_best(script, patience, epochs):
    model, optimizer = script(*accuracies(0.1, 0.5, 0.4, 0.6, 0.6, 0.3, 0.6, 0.6))
    _, history = train_model(model, BATCHES, CRITERION, optimizer, 8, patience=patience, verbose=False)
    assert len(history) == epochs
    assert epochs_kept(model) == (2 if patience == 1 else 4)


def test_patience_does_not_end_a_run_that_keeps_getting_better(script):
    model, optimizer = script(*accuracies(0.1, 0.2, 0.3, 0.4))
    assert len(train_model(model, BATCHES, CRITERION, optimizer, 4, patience=1, verbose=False)[1]) == 4


def test_resuming_starts_at_the_first_epoch_and_reports_each(script):
    seen = []
    model, optimizer = script(*accuracies(0.1, 0.2))
    train_model(model, BATCHES, CRITERION, optimizer, 5, first_epoch=3, after_epoch=seen.append, verbose=False)
    assert seen == [3, 4]


def test_every_epoch_is_told_unless_told_not_to(script, capsys):
    model, optimizer = script(*accuracies(0.25, 0.75))
    train_model(model, BATCHES, CRITERION, optimizer, 2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "epoch 2/2" in lines[1]
    assert "0.75" in lines[1]
    model, optimizer = script(*accuracies(0.25))
    train_model(model, BATCHES, CRITERION, optimizer, 1, verbose=False)
    assert capsys.readouterr().out == ""


# ---- schedulers ----------------------------------------------------------------------------------------------------


def test_a_scheduler_of_another_optimizer_is_refused():
    model = linear()
    ours, other = (torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    before = copy_of(model)
    with pytest.raises(ValueError, match="another optimizer"):
        train_model(model, loaders(), CRITERION, ours, 1, scheduler=StepLR(other, 1), verbose=False)
    assert same(before, model.state_dict())


def test_a_step_scheduler_steps_once_per_epoch():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = StepLR(optimizer, 2, gamma=0.1)
    history = train_model(model, loaders(), CRITERION, optimizer, 5, scheduler=scheduler, verbose=False)[1]
    assert [row["rate"] for row in history] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


def test_a_one_cycle_scheduler_steps_once_per_batch():
    model, batches = linear(), loaders(40, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = OneCycleLR(optimizer, 0.1, total_steps=15)
    history = train_model(model, batches, CRITERION, optimizer, 3, scheduler=scheduler, verbose=False)[1]
    assert scheduler.last_epoch == 15
    other = OneCycleLR(torch.optim.SGD(model.parameters(), lr=0.1), 0.1, total_steps=15)
    rates = []
    for _ in range(15):
        rates += other.get_last_lr()
        other.optimizer.step()
        other.step()
    assert [row["rate"] for row in history] == pytest.approx([rates[0], rates[5], rates[10]])


@pytest.mark.parametrize(
    ("measured", "rate"),
    [
        ([(3.0, 0.9), (2.0, 0.8), (1.0, 0.7)], 1.0),  # the loss falls: leave the rate, whatever the accuracy does
        ([(1.0, 0.7), (2.0, 0.8), (3.0, 0.9)], 0.01),
    ],
    ids=["falling", "rising"],
)
def test_a_plateau_scheduler_watches_the_validation_loss(script, measured, rate):
    model, optimizer = script(*measured)
    scheduler = ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    train_model(model, BATCHES, CRITERION, optimizer, 3, scheduler=scheduler, verbose=False)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)


# ---- Ctrl-C --------------------------------------------------------------------------------------------------------


class Interrupted:
    """Batches during which Ctrl-C comes, in the middle of the given pass."""

    def __init__(self, batches, at: int):
        self.batches, self.at = batches, at

    def __iter__(self):
        self.at -= 1
        for i, batch in enumerate(self.batches):
            if self.at == 0 and i == 2:
                raise KeyboardInterrupt
            yield batch


def test_ctrl_c_within_an_epoch_keeps_the_best_weights(capsys):
    model, best = linear(), BestWeights()
    batches = loaders()
    batches["train"] = Interrupted(batches["train"], at=3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    _, history = train_model(model, batches, CRITERION, optimizer, 9, best=best)
    assert len(history) == 2
    assert same(best.state, model.state_dict())
    assert best.accuracy == max(row["valid_accuracy"] for row in history)
    assert "2 epochs" in capsys.readouterr().out.splitlines()[-1]


def test_ctrl_c_while_measuring_keeps_the_best_weights():
    model, best = linear(), BestWeights()
    batches = loaders()
    batches["valid"] = Interrupted(batches["valid"], at=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    _, history = train_model(model, batches, CRITERION, optimizer, 9, best=best, verbose=False)
    assert len(history) == 1
    assert same(best.state, model.state_dict())


def test_ctrl_c_in_the_first_epoch_ends_quietly():
    model, batches = linear(), loaders()
    batches["train"] = Interrupted(batches["train"], at=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert train_model(model, batches, CRITERION, optimizer, 9, verbose=False) == (model, [])


def test_ctrl_c_goes_on_to_whoever_writes_checkpoints():
    model, batches = linear(), loaders()
    batches["train"] = Interrupted(batches["train"], at=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(KeyboardInterrupt):
        train_model(model, batches, CRITERION, optimizer, 9, after_epoch=lambda epoch: None, verbose=False)


# ---- precision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fast", "expected"), [(0.5, torch.bfloat16), (0.95, None), (2.0, None)])
def test_bfloat16_is_chosen_only_where_it_is_clearly_faster(monkeypatch, fast, expected):
    now = [0.0]

    class Layer(nn.Conv2d):
        def forward(self, x):
            now[0] += fast if torch.is_autocast_enabled("cpu") else 1.0
            return super().forward(x)

    monkeypatch.setattr(training.nn, "Conv2d", Layer)
    monkeypatch.setattr(training.time, "perf_counter", lambda: now[0])
    assert choose_precision(torch.device("cpu")) is expected


# ---- the head alone ------------------------------------------------------------------------------------------------


def coloured(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, half of it a little redder than the rest: hard enough that a network makes mistakes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    pixels = torch.randint(0, 200, (n, 3, 32, 32), generator=generator)
    pixels[:, 0] += 4 * labels[:, None, None]
    return pixels.to(torch.uint8), labels


@pytest.fixture
def frozen():
    torch.manual_seed(0)
    model = initialize_model("resnet18", 2, True, weights="none")
    batches = {
        "train": BatchLoader(*coloured(24, 0), 8, shuffle=True, transform=normalize_batch),
        "valid": BatchLoader(*coloured(19, 1), 8, transform=normalize_batch),
    }
    return model, batches


def test_features_are_what_the_head_gets(frozen):
    model, batches = frozen
    features, labels = compute_features(model.train(), batches["valid"])
    assert features.shape == (19, 512)
    assert features.dtype == torch.float32
    assert labels.tolist() == coloured(19, 1)[1].tolist()
    with torch.no_grad():
        expected = model.eval()(normalize_batch(coloured(19, 1)[0]))
        assert torch.allclose(model.fc(features), expected, atol=1e-5)


def test_features_of_several_views_stand_one_after_the_other(frozen, monkeypatch):
    model, batches = frozen
    monkeypatch.setattr(data, "IN_MEMORY", 100)  # in a file
    features, labels = compute_features(model, batches["valid"], views=3)
    assert features.shape == (57, 512)
    once, expected = compute_features(model, batches["valid"])
    assert torch.equal(features, once.repeat(3, 1))
    assert torch.equal(labels, expected.repeat(3))


def test_computing_features_keeps_nothing_of_a_batch(frozen, monkeypatch):
    """Small tensors that stay between large ones that go would make the memory grow with every batch."""
    model, batches = frozen
    alive = []

    def watch(items, label):
        for item in items:
            alive.append(sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects()))
            yield item

    monkeypatch.setattr(training, "progress", watch)
    compute_features(model, batches["valid"], views=5)
    assert len(set(alive[3:])) == 1


def test_the_augmentation_of_features_stays_in_float32(frozen):
    model, batches = frozen
    seen = []
    batches["valid"].transform = lambda pixels: seen.append(torch.is_autocast_enabled("cpu")) or normalize_batch(pixels)
    compute_features(model, batches["valid"], torch.bfloat16)
    assert not any(seen)


def test_the_measured_network_is_the_one_that_is_kept(frozen):
    model, batches = frozen
    other = initialize_model("resnet18", 2, True, weights="none")
    start = {name: value.clone() for name, value in other.state_dict().items()}
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    kept, history = train_model(model, batches, CRITERION, optimizer, 2, measured=other, verbose=False)
    assert kept is other
    assert history[0]["valid_loss"] == history[1]["valid_loss"] == run_epoch(other, batches["valid"], CRITERION)[0]
    for name, value in start.items():
        assert torch.equal(other.state_dict()[name], value), name
    assert history[0]["train_loss"] != history[1]["train_loss"]


def test_training_the_head_reports_what_the_whole_model_reaches(frozen):
    model, batches = frozen
    backbone = {name: value.clone() for name, value in model.state_dict().items() if not name.startswith("fc.")}
    head = model.fc.weight.clone()
    history = train_head(model, batches["train"], batches["valid"], 6, views=2, batch_size=12, verbose=False)
    assert len(history) == 6
    best = max(history, key=lambda row: row["valid_accuracy"])
    loss, accuracy = run_epoch(model, batches["valid"], CRITERION)
    assert accuracy == pytest.approx(best["valid_accuracy"])
    assert loss == pytest.approx(best["valid_loss"], rel=1e-4)
    assert not torch.equal(model.fc.weight, head)
    for name, value in backbone.items():
        assert torch.equal(model.state_dict()[name], value), name


def test_the_head_learns_from_several_views(frozen):
    model, batches = frozen
    passes = []

    class Counting:
        def __iter__(self):
            passes.append(1)
            return iter(batches["train"])

        def __len__(self):
            return len(batches["train"])

    history = train_head(model, Counting(), batches["valid"], 2, views=3, batch_size=8, verbose=False)
    assert len(passes) == 3
    assert history[1]["train_loss"] < history[0]["train_loss"]


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_the_head_trains_on_a_single_batch_per_epoch(frozen, epochs):
    model, batches = frozen
    history = train_head(model, batches["train"], batches["valid"], epochs, views=1, batch_size=64, verbose=False)
    assert len(history) == epochs


def test_train_head_hands_its_options_on(frozen):
    model, batches = frozen
    best = BestWeights()
    train_head(model, batches["train"], batches["valid"], 2, views=1, best=best, verbose=False)
    assert torch.equal(best.state["weight"], model.fc.weight)


# ---- files ---------------------------------------------------------------------------------------------------------


def files_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_alone_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "note.txt"
    write_atomically(path, lambda temporary: temporary.write_text("first"))
    write_atomically(path, lambda temporary: temporary.write_text("second"))
    assert path.read_text() == "second"
    assert files_in(path.parent) == ["note.txt"]


def test_until_it_is_complete_the_old_file_stays_in_place(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path  # replacing is at once only within a file system

    write_atomically(path, write)
    assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ZeroDivisionError, OSError, RuntimeError])
def test_a_failure_while_writing_leaves_the_old_file_whole(tmp_path, failure):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half")
        raise failure("in the middle")

    expected = UserError if failure in (OSError, RuntimeError) else failure
    with pytest.raises(expected) as error:
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["note.txt"]
    if expected is UserError:
        assert str(path) in str(error.value)
        assert is_one_sentence(str(error.value))


def test_a_disk_that_is_full_when_flushing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="free some space"):
        write_atomically(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["note.txt"]


@pytest.mark.parametrize("kind", ["checkpoint", "text"])
def test_a_disk_that_fills_up_leaves_the_old_file_whole(tmp_path, kind):
    """The system stops the process at 100 kB per file, as a full disk would."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "best.pt"
    save_checkpoint(path, {"epoch": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match="free some space") as error:
            if kind == "checkpoint":
                save_checkpoint(path, {"epoch": 2, "model": torch.zeros(100_000)})
            else:
                write_atomically(path, lambda temporary: temporary.write_text("x" * 200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(path) == {"epoch": 1}
    assert files_in(tmp_path) == ["best.pt"]
    assert is_one_sentence(str(error.value))
    assert os.strerror(errno.EFBIG) in str(error.value)


@pytest.mark.parametrize("path", ["file/below", "file/deep/below", "folder"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, path):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError) as error:
        write_atomically(tmp_path / path, lambda temporary: temporary.write_text("x"))
    assert str(tmp_path / path) in str(error.value)
    assert is_one_sentence(str(error.value))
    assert files_in(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permission bits do not bind root")
def test_a_folder_without_write_permission_is_named(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(UserError, match="locked"):
        write_atomically(folder / "note.txt", lambda temporary: temporary.write_text("x"))


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    content = {"model": {"a": torch.arange(4.0)}, "classes": ["1", "10"], "epoch": 3, "rate": 0.1, "none": None}
    content["random"] = torch.get_rng_state()
    save_checkpoint(tmp_path / "a.pt", content)
    found = load_checkpoint(tmp_path / "a.pt")
    assert torch.equal(found["model"].pop("a"), content["model"].pop("a"))
    assert torch.equal(found.pop("random"), content.pop("random"))
    assert found == content


def assert_refused(path) -> str:
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert is_one_sentence(str(error.value))
    return str(error.value)


@pytest.mark.parametrize("how", ["torch", "old torch", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path, how):
    path, trace = tmp_path / "best.pt", tmp_path / "trace"
    content = {"model": {"a": torch.zeros(2)}, "classes": Hostile(trace)}
    if how == "pickle":
        path.write_bytes(pickle.dumps({"classes": Hostile(trace)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    assert_refused(path)
    assert not trace.exists()


def test_a_whole_model_in_a_file_is_refused(tmp_path):
    torch.save(nn.Sequential(OrderedDict(a=nn.Linear(1, 1))), tmp_path / "model.pt")
    assert_refused(tmp_path / "model.pt")


GARBAGE = {
    "empty": b"",
    "text": b"hello world, this is no checkpoint",
    "zeros": bytes(100),
    "zip": b"PK\x03\x04" + bytes(50),
    "short pickle": b"\x80\x02.",
    "mark only": b"(.",
    "image": b"\x89PNG\r\n\x1a\n" + bytes(40),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused(tmp_path, name):
    path = tmp_path / "garbage.pt"
    path.write_bytes(GARBAGE[name])
    assert_refused(path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old format"])
def test_a_checkpoint_cut_off_anywhere_is_refused(tmp_path, new):
    path = tmp_path / "cut.pt"
    torch.save({"model": torch.zeros(50), "classes": ["1", "2"]}, path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    for length in range(1, len(whole) - 1, 23):
        path.write_bytes(whole[:length])
        assert_refused(path)


@pytest.mark.parametrize("content", [[1, 2], 5, torch.zeros(2), "text", None])
def test_a_file_that_holds_no_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    assert "not a checkpoint" in assert_refused(tmp_path / "other.pt")


def test_a_missing_checkpoint_is_named(tmp_path):
    assert "no checkpoint" in assert_refused(tmp_path / "nowhere.pt")
    assert "no checkpoint" in assert_refused(tmp_path)  # a folder


def test_the_history_is_a_table_with_one_line_per_epoch(tmp_path):
    history = [{"epoch": 1, "valid_accuracy": 0.5}, {"epoch": 2, "valid_accuracy": 0.75}]
    save_history(tmp_path / "history.csv", history)
    with open(tmp_path / "history.csv", newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "valid_accuracy"], ["1", "0.5"], ["2", "0.75"]]


def test_an_empty_history_has_only_a_head_line(tmp_path):
    save_history(tmp_path / "history.csv", [])
    assert (tmp_path / "history.csv").read_text().split() == ["epoch"]
