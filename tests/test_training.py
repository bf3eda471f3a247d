"""Training: one epoch, keeping the best weights, schedules, the moving average, and the head alone."""

import signal
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.data import BatchLoader, normalize_batch
from helpers.models import initialize_model, set_parameter_requires_grad
from helpers.training import BestWeights, compute_features, run_epoch, train_head, train_model

CRITERION = nn.CrossEntropyLoss()


def small_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


def points(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in the plane; the label says whether they lie on the right."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=generator)
    return x, (x[:, 0] > 0).long()


def loaders() -> dict[str, BatchLoader]:
    """Five batches of 8 points, and 20 points for validation."""
    return {"train": BatchLoader(*points(), 8, shuffle=True), "valid": BatchLoader(*points(20, seed=1), 8)}


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr)


def copy_of(model: nn.Module) -> dict:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in state.items())


# ---- one epoch -----------------------------------------------------------------------------------------------------


def test_loss_and_accuracy_are_means_over_all_images_however_unequal_the_batches():
    model = small_network().eval()
    x, y = points(11)
    expected = F.cross_entropy(model(x), y).item(), (model(x).argmax(1) == y).float().mean().item(), 11
    for sizes in ([11], [10, 1], [1, 3, 7]):
        batches = list(zip(x.split(sizes), y.split(sizes), strict=True))
        assert run_epoch(model, batches, CRITERION) == pytest.approx(expected, abs=1e-6)

    model = nn.Linear(2, 2)
    expected = F.cross_entropy(model(x), y).item()
    batches = list(zip(x.split([10, 1]), y.split([10, 1]), strict=True))
    loss, _, n = run_epoch(model, batches, CRITERION, sgd(model, lr=0.0))  # training that leaves the weights
    assert (loss, n) == (pytest.approx(expected, abs=1e-6), 11)


def test_evaluation_changes_nothing_and_leaves_no_gradients():
    model = small_network().train()
    before = copy_of(model)
    first = run_epoch(model, loaders()["valid"], CRITERION)
    assert same(before, model.state_dict())  # the running statistics too
    assert all(p.grad is None for p in model.parameters())
    assert run_epoch(model, loaders()["valid"], CRITERION) == first  # no dropout
    assert not model.training


def test_training_changes_the_weights_and_lowers_the_loss():
    model = small_network()
    before = copy_of(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = [run_epoch(model, loaders()["train"], CRITERION, optimizer)[0] for _ in range(8)]
    assert not same(before, model.state_dict())
    assert losses[-1] < 0.7 * losses[0]
    assert model.training


def test_gradients_are_not_accumulated_over_batches():
    x, y = points(8)
    model, twin = nn.Linear(2, 2), nn.Linear(2, 2)
    twin.load_state_dict(model.state_dict())
    run_epoch(model, [(x, y), (x, y)], CRITERION, sgd(model, lr=0.5))
    for _ in range(2):
        gradients = torch.autograd.grad(F.cross_entropy(twin(x), y), list(twin.parameters()))
        with torch.no_grad():
            for p, g in zip(twin.parameters(), gradients, strict=True):
                p -= 0.5 * g
    assert torch.allclose(model.weight, twin.weight, atol=1e-6)


def test_training_keeps_the_statistics_of_frozen_norms():
    model = small_network()
    set_parameter_requires_grad(model, True)
    model[4].weight.requires_grad = True
    before = model[1].running_mean.clone()
    run_epoch(model, loaders()["train"], CRITERION, torch.optim.SGD([model[4].weight], lr=0.1))
    assert torch.equal(model[1].running_mean, before)


def test_the_network_runs_in_the_given_precision_and_the_loss_in_float32():
    seen = []

    def criterion(outputs, labels):
        seen.append(outputs.dtype)
        return F.cross_entropy(outputs, labels)

    model = nn.Linear(2, 2)
    model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    run_epoch(model, [points(4)], criterion, precision=torch.bfloat16)
    run_epoch(model, [points(4)], criterion)
    assert seen == [torch.bfloat16, torch.float32, torch.float32, torch.float32]


def test_without_a_terminal_or_notebook_there_is_no_progress_bar(capfd):
    run_epoch(small_network(), loaders()["valid"], CRITERION, label="watching")
    assert capfd.readouterr() == ("", "")


def test_only_training_records_gradients():
    recorded = []

    def criterion(outputs, labels):
        recorded.append(outputs.requires_grad)
        return F.cross_entropy(outputs, labels)

    model = small_network()
    run_epoch(model, [points(8)], criterion)
    run_epoch(model, [points(8)], criterion, sgd(model))
    assert recorded == [False, True]


# ---- the best weights ----------------------------------------------------------------------------------------------


def test_the_best_weights_are_a_copy_of_the_first_with_the_highest_accuracy():
    model, best = nn.Linear(1, 1), BestWeights()
    kept = []
    for value, accuracy in ((1.0, 0.0), (2.0, 0.5), (3.0, 0.4), (4.0, 0.5), (5.0, 0.6), (6.0, 0.6)):
        nn.init.constant_(model.weight, value)
        kept.append(best.update(model, accuracy))
    assert kept == [True, True, False, False, True, False]  # an accuracy of 0 is better than none
    assert best.accuracy == 0.6
    best.restore(model)
    assert model.weight.item() == 5


class Scripted(nn.Module):
    """A network whose validation accuracies are given; training with a learning rate of 1 counts the epochs in `epochs`."""

    def __init__(self, *accuracies: float):
        super().__init__()
        self.epochs, self.accuracies = nn.Parameter(torch.zeros(())), list(accuracies)

    def forward(self, inputs):
        if self.training:
            return self.epochs.expand(len(inputs), 2)
        right = torch.arange(len(inputs)) < round(len(inputs) * self.accuracies.pop(0))
        return F.one_hot((~right).long(), 2).float()  # all labels are 0


def scripted_loss(logits, labels):
    """Its gradient adds one to `epochs` at a learning rate of 1."""
    return -logits.mean()


ZEROS = (torch.zeros(20, 1), torch.zeros(20, dtype=torch.long))
ONE_BATCH = {"train": [ZEROS], "valid": [ZEROS]}


def train_scripted(model: Scripted, num_epochs: int, **options) -> list[dict]:
    return train_model(model, ONE_BATCH, scripted_loss, sgd(model, lr=1.0), num_epochs, verbose=False, **options)[1]


def test_training_ends_with_the_best_weights():
    model = Scripted(0.2, 0.6, 0.4, 0.6, 0.5)
    result, history = train_model(model, ONE_BATCH, scripted_loss, sgd(model, lr=1.0), 5, verbose=False)
    assert result is model
    assert model.epochs == 2
    assert [row["valid_accuracy"] for row in history] == [0.2, 0.6, 0.4, 0.6, 0.5]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]


def test_a_worse_second_phase_does_not_replace_the_best_weights_and_a_better_one_does():
    for second, epochs, accuracy in (((0.5, 0.6), 2, 0.9), ((0.5, 0.95), 4, 0.95)):
        best, history, model = BestWeights(), [], Scripted(0.3, 0.9, *second)
        for _ in range(2):
            train_scripted(model, 2, best=best, history=history)
        assert (model.epochs, best.accuracy) == (epochs, accuracy)
        assert [row["epoch"] for row in history] == [1, 2, 3, 4]


def test_patience_counts_epochs_since_the_last_best():
    for patience, num_epochs, best in ((1, 3, 2), (2, 6, 4), (3, 7, 4), (None, 8, 4)):
        model = Scripted(0.1, 0.5, 0.4, 0.6, 0.6, 0.3, 0.6, 0.6)
        assert len(train_scripted(model, 8, patience=patience)) == num_epochs, patience
        assert model.epochs == best, patience
    assert len(train_scripted(Scripted(0.1, 0.2, 0.3, 0.4), 4, patience=1)) == 4  # always better


def test_a_resumed_training_starts_at_its_first_epoch_and_reports_each():
    seen, model = [], Scripted(0.1, 0.2)
    assert len(train_scripted(model, 5, first_epoch=3, after_epoch=seen.append)) == 2
    assert seen == [3, 4]


def test_every_epoch_is_printed_unless_verbose_is_false(capsys):
    model = Scripted(0.25, 0.75)
    train_model(model, ONE_BATCH, scripted_loss, sgd(model, lr=1.0), 2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "epoch 2/2" in lines[1]
    assert "0.75" in lines[1]
    train_scripted(Scripted(0.25), 1)
    assert capsys.readouterr().out == ""


def test_the_seconds_of_the_epochs_add_up_to_the_time_that_passed(monkeypatch):
    """What the callback takes after an epoch counts for the next one."""
    model, clock = Scripted(0.1, 0.2, 0.3), [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    model.register_forward_hook(lambda *_: clock.__setitem__(0, clock[0] + 1))
    history = train_scripted(model, 3, after_epoch=lambda epoch: clock.__setitem__(0, clock[0] + 10))
    assert [row["seconds"] for row in history] == [2, 12, 12]


# ---- schedules -----------------------------------------------------------------------------------------------------


def test_a_scheduler_without_its_step_or_of_another_optimizer_is_refused():
    model = small_network()
    optimizer, before = sgd(model), copy_of(model)
    scheduler = StepLR(optimizer, 1)
    for message, options in {
        "another optimizer": {"scheduler": StepLR(sgd(model), 1), "step_scheduler": "epoch"},
        "needs step_scheduler": {"scheduler": scheduler},
        "step_scheduler=": {"scheduler": scheduler, "step_scheduler": "step"},
        "A scheduler": {"step_scheduler": "epoch"},
    }.items():
        with pytest.raises(ValueError, match=message):
            train_model(model, loaders(), CRITERION, optimizer, 1, verbose=False, **options)
    assert same(before, model.state_dict())


def learning_rates(make, num_epochs: int, step: str) -> tuple[list[float], list[float]]:
    """The learning rates in the history, and those before each of 5 steps per epoch."""
    model, seen = small_network(), []
    optimizer = sgd(model)
    optimizer.register_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    options = {"scheduler": make(optimizer), "step_scheduler": step, "verbose": False}
    history = train_model(model, loaders(), CRITERION, optimizer, num_epochs, **options)[1]
    return [row["lr"] for row in history], seen


def expected_rates(make, steps: int) -> list[float]:
    optimizer, rates = sgd(nn.Linear(1, 1)), []
    scheduler = make(optimizer)
    for _ in range(steps):
        rates += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    return rates


def test_a_scheduler_is_stepped_after_every_batch_or_after_every_epoch():
    schedulers = {
        "one cycle": lambda optimizer: OneCycleLR(optimizer, 0.1, total_steps=15),  # raises an error at step 16
        "cosine": lambda optimizer: CosineAnnealingLR(optimizer, T_max=15),
        "step": lambda optimizer: StepLR(optimizer, 2, gamma=0.1),
    }
    for name, make in schedulers.items():
        rates = expected_rates(make, 15)
        assert learning_rates(make, 3, "batch") == (rates[::5], rates), name
        assert learning_rates(make, 3, "epoch") == (rates[:3], [rate for rate in rates[:3] for _ in range(5)]), name


def test_a_plateau_scheduler_watches_the_validation_loss():
    for losses, accuracies, lr in (([3.0, 2.0, 1.0], [0.7, 0.8, 0.9], 1.0), ([1.0, 2.0, 3.0], [0.9, 0.8, 0.7], 0.01)):
        model = Scripted(*accuracies)
        optimizer = sgd(model, lr=1.0)

        def criterion(logits, labels, losses=losses):
            return -logits.mean() if logits.requires_grad else torch.tensor(losses.pop(0))

        scheduler = ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
        options = {"scheduler": scheduler, "step_scheduler": "epoch", "verbose": False}
        train_model(model, ONE_BATCH, criterion, optimizer, 3, **options)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr)


# ---- the moving average --------------------------------------------------------------------------------------------


def test_the_moving_average_is_updated_after_every_step_validated_and_returned():
    model, batches = small_network(), loaders()
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    optimizer, states = sgd(model), []
    optimizer.register_step_post_hook(lambda *_: states.append(copy_of(model)))
    seen = []

    def look(epoch: int) -> None:
        expected = states[0]
        for state in states[1:]:
            expected = {name: 0.9 * value + 0.1 * state[name] for name, value in expected.items()}
        for name, value in ema.module.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-5)
        seen.append((*run_epoch(ema.module, batches["valid"], CRITERION)[:2], copy_of(ema.module)))

    options = {"ema": ema, "after_epoch": look, "verbose": False}
    result, history = train_model(model, batches, CRITERION, optimizer, 3, **options)
    assert len(states) == 15
    assert [(row["valid_loss"], row["valid_accuracy"]) for row in history] == [values[:2] for values in seen]
    assert result is ema.module
    assert same(result.state_dict(), max(seen, key=lambda values: values[1])[2])
    assert same(model.state_dict(), states[-1])  # the trained weights stay as they are


# ---- Ctrl-C --------------------------------------------------------------------------------------------------------


class Interrupted:
    """Batches with a real Ctrl-C in the middle of the given pass over them."""

    def __init__(self, batches, at: int):
        self.batches, self.at = batches, at

    def __iter__(self):
        self.at -= 1
        for i, batch in enumerate(self.batches):
            if self.at == 0 and i == 2:
                signal.raise_signal(signal.SIGINT)
            yield batch


class Escaped(Exception):
    """Ctrl-C was not caught."""


def interrupted(split: str, at: int, **options) -> tuple[nn.Module, BestWeights, list[dict]]:
    """Train for nine epochs, interrupted in the given pass over the training or validation batches."""
    model, best, batches = small_network(), BestWeights(), loaders()
    batches[split] = Interrupted(batches[split], at)
    try:
        result, history = train_model(model, batches, CRITERION, sgd(model), 9, best=best, **options)
    except KeyboardInterrupt as error:  # which would end pytest, too
        raise Escaped from error
    assert result is model
    return model, best, history


def test_ctrl_c_ends_the_training_with_the_best_weights(capsys):
    for split, at, epochs in (("train", 3, 2), ("valid", 2, 1)):
        model, best, history = interrupted(split, at)
        assert len(history) == epochs
        assert same(best.state, model.state_dict())
        assert best.accuracy == max(row["valid_accuracy"] for row in history)
        assert f"Interrupted after {epochs} epochs" in capsys.readouterr().out.splitlines()[-1]


def test_ctrl_c_in_the_first_epoch_ends_the_training_without_a_result():
    _, best, history = interrupted("train", 1, verbose=False)
    assert (best.state, history) == ({}, [])


def test_ctrl_c_is_raised_if_it_is_not_caught():
    with pytest.raises(Escaped):
        interrupted("train", 2, catch_interrupt=False, verbose=False)


# ---- the head alone ------------------------------------------------------------------------------------------------


def colored(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, half of it slightly redder than the rest: hard enough that a network makes mistakes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    pixels = torch.randint(0, 200, (n, 3, 32, 32), generator=generator)
    pixels[:, 0] += 4 * labels[:, None, None]
    return pixels.to(torch.uint8), labels


@pytest.fixture
def frozen() -> tuple[nn.Module, dict]:
    model = initialize_model("tiny", 2, True, weights="none")
    batches = {
        "train": BatchLoader(*colored(24, 0), 8, shuffle=True, transform=normalize_batch),
        "valid": BatchLoader(*colored(19, 1), 8, transform=normalize_batch),
    }
    return model, batches


def test_features_are_the_inputs_of_the_head(frozen):
    model, batches = frozen
    features, labels = compute_features(model.train(), batches["valid"])
    assert features.shape == (19, 8)
    assert features.dtype == torch.float32
    assert labels.tolist() == colored(19, 1)[1].tolist()
    with torch.no_grad():
        expected = model.eval()(normalize_batch(colored(19, 1)[0]))
        assert torch.allclose(model.fc(features), expected, atol=1e-5)


def test_features_of_several_views_follow_each_other(frozen):
    model, batches = frozen
    once, expected = compute_features(model, batches["valid"])
    features, labels = compute_features(model, batches["valid"], views=3)
    assert torch.equal(features, once.repeat(3, 1))
    assert torch.equal(labels, expected.repeat(3))


def test_computing_features_keeps_no_tensors_of_a_batch(frozen):
    """Small tensors that stay between large ones would make the memory grow with every batch."""
    model, batches = frozen
    outputs, alive = [], []

    def count(module, inputs, output):
        alive.append(sum(reference() is not None for reference in outputs))
        outputs.append(weakref.ref(output))

    model.flatten.register_forward_hook(count)  # its output is the backbone's
    compute_features(model, batches["valid"], views=3)
    assert len(alive) == 9
    assert max(alive) <= 1


def test_the_augmentation_of_features_stays_in_float32(frozen):
    model, batches = frozen
    seen = []
    batches["valid"].transform = lambda pixels: seen.append(torch.is_autocast_enabled("cpu")) or normalize_batch(pixels)
    compute_features(model, batches["valid"], torch.bfloat16)
    assert seen == [False] * 3


def test_training_the_head_reports_the_results_of_the_whole_model(frozen):
    model, batches = frozen
    before = copy_of(model)
    history = train_head(model, batches["train"], batches["valid"], 6, views=2, batch_size=12, verbose=False)
    assert len(history) == 6
    best = max(history, key=lambda row: row["valid_accuracy"])
    loss, accuracy, _ = run_epoch(model, batches["valid"], CRITERION)
    assert accuracy == pytest.approx(best["valid_accuracy"])
    assert loss == pytest.approx(best["valid_loss"], rel=1e-4)
    changed = [name for name, value in before.items() if not torch.equal(model.state_dict()[name], value)]
    assert changed == ["fc.weight", "fc.bias"]


def test_the_head_learns_from_several_views_whose_time_counts_for_its_first_epoch(frozen, monkeypatch):
    model, batches = frozen
    clock, history = [0.0], [{"seconds": 5.0}]  # of an earlier phase
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    class Slow:
        def __iter__(self):
            clock[0] += 100
            return iter(batches["train"])

        def __len__(self):
            return len(batches["train"])

    train_head(model, Slow(), batches["valid"], 2, views=3, batch_size=8, history=history, verbose=False)
    assert [row["seconds"] for row in history] == [5, 300, 0]
    assert [row.get("epoch") for row in history] == [None, 2, 3]
    assert history[2]["train_loss"] < history[1]["train_loss"]


def test_the_head_trains_on_a_single_batch_per_epoch(frozen):
    model, batches = frozen
    for epochs in (1, 2, 5):
        history = train_head(model, batches["train"], batches["valid"], epochs, views=1, batch_size=64, verbose=False)
        assert len(history) == epochs


def test_train_head_passes_its_options_to_train_model(frozen):
    model, batches = frozen
    best = BestWeights()
    train_head(model, batches["train"], batches["valid"], 2, views=1, best=best, verbose=False)
    assert torch.equal(best.state["weight"], model.fc.weight)
