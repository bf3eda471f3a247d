"""The training loops: one epoch, a whole training with validation, and the head alone on precomputed features."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from helpers.checkpoints import History
from helpers.data import BatchLoader, empty_or_memmap
from helpers.distributed import all_reduce_mean
from helpers.models import head_paths, split_head, train_mode


def progress(items: Iterable, label: str):
    """A progress bar on standard output that disappears when done; only with a label, in a terminal or a notebook."""
    ipython = sys.modules.get("IPython")
    in_notebook = ipython is not None and ipython.get_ipython() is not None
    return tqdm(items, desc=label, leave=False, file=sys.stdout, disable=not label or not (sys.stdout.isatty() or in_notebook))


class BestWeights:
    """The best validation accuracy so far and a copy of the weights that reached it; to be shared by all phases."""

    def __init__(self) -> None:
        self.accuracy: float = -1.0
        self.state: dict[str, Tensor] = {}

    def update(self, model: nn.Module, accuracy: float) -> bool:
        """Copy the weights if `accuracy` is higher than the best; return whether it was."""
        if accuracy <= self.accuracy:
            return False
        self.accuracy = accuracy
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return True

    def restore(self, model: nn.Module) -> None:
        """Load the best weights, if there are any."""
        if self.state:
            model.load_state_dict(self.state)


def run_epoch(
    model, batches, criterion, optimizer=None, scheduler=None, ema=None, precision=None, label=""
) -> tuple[float, float, int]:
    """One pass over the batches: training if an optimizer is given, else evaluation.

    scheduler: stepped after every batch. ema: an AveragedModel, updated after every step of the optimizer. precision:
    dtype for autocast (torch.bfloat16), or None for float32. label: of the progress bar.
    Returns the mean loss and the accuracy in [0, 1], both over all images (not a mean of batch means), and their number.
    """
    device = next(model.parameters()).device
    train_mode(model) if optimizer else model.eval()
    loss_sum, correct, seen = torch.zeros((), device=device), 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for inputs, labels in progress(batches, label):
            inputs, labels = inputs.to(device), labels.to(device)
            with torch.autocast(device.type, precision, enabled=precision is not None):
                logits = model(inputs)
            loss = criterion(logits.float(), labels)
            if optimizer:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if ema:
                    ema.update_parameters(model)
                if scheduler:
                    scheduler.step()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.argmax(1) == labels).sum()
            seen += len(labels)
    return loss_sum.item() / max(seen, 1), int(correct) / max(seen, 1), seen


def train_model(
    model: nn.Module, batches: Mapping[str, Iterable], criterion: nn.Module, optimizer: torch.optim.Optimizer,
    num_epochs: int, *, scheduler: LRScheduler | None = None, step_scheduler: Literal["batch", "epoch"] | None = None,
    ema: AveragedModel | None = None, precision: torch.dtype | None = None, patience: int | None = None,
    best: BestWeights | None = None, history: History | None = None, first_epoch: int = 0, verbose: bool = True,
    after_epoch: Callable[[int], None] | None = None, catch_interrupt: bool = True,
) -> tuple[nn.Module, History]:  # fmt: skip
    """Train on batches["train"], validate on batches["valid"] after every epoch, then restore the best weights.

    scheduler, step_scheduler: an LR scheduler of this optimizer (else: ValueError), stepped after each "batch" or "epoch".
    ema: if given, the average is validated and returned, not `model`. patience: early stopping after this many epochs without
    a new best. best, history: continue those of an earlier phase. first_epoch: for resuming. after_epoch(epoch): called
    after each. catch_interrupt: Ctrl-C ends the training with the best weights; if False, it raises KeyboardInterrupt.
    """
    _check_scheduler(scheduler, step_scheduler, optimizer)
    best, history = best or BestWeights(), [] if history is None else history
    eval_model = ema.module if ema else getattr(model, "module", model)  # DistributedDataParallel wraps it in .module
    per_batch, start, waiting = scheduler if step_scheduler == "batch" else None, time.perf_counter(), 0
    try:
        for epoch in range(first_epoch, num_epochs):
            lr, label = optimizer.param_groups[0]["lr"], f"epoch {epoch + 1}/{num_epochs}" if verbose else ""
            train = run_epoch(model, batches["train"], criterion, optimizer, per_batch, ema, precision, label)
            valid = run_epoch(eval_model, batches["valid"], criterion, precision=precision)
            row = _append_row(history, all_reduce_mean(*train), all_reduce_mean(*valid), lr, start)
            start += row["seconds"]
            if scheduler and step_scheduler == "epoch":
                scheduler.step(row["valid_loss"]) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
            waiting = 0 if best.update(eval_model, row["valid_accuracy"]) else waiting + 1
            if verbose:
                _print_row(label, row)
            if after_epoch:
                after_epoch(epoch)
            if patience is not None and waiting >= patience:
                break
    except KeyboardInterrupt:
        if not catch_interrupt:
            raise
        print(f"Interrupted after {len(history)} epochs: the best weights so far are kept.")
    best.restore(eval_model)
    return eval_model, history


def _check_scheduler(scheduler: LRScheduler | None, step_scheduler: str | None, optimizer: torch.optim.Optimizer) -> None:
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError("The scheduler belongs to another optimizer: create it for the one that is stepping.")
    if (scheduler is None) != (step_scheduler is None) or step_scheduler not in ("batch", "epoch", None):
        raise ValueError('A scheduler needs step_scheduler="batch" or step_scheduler="epoch", as its documentation says.')


def _append_row(history: History, train: tuple, valid: tuple, lr: float, start: float) -> dict:
    results = {"train_loss": train[0], "train_accuracy": train[1], "valid_loss": valid[0], "valid_accuracy": valid[1]}
    history.append({"epoch": len(history) + 1, **results, "lr": lr, "seconds": time.perf_counter() - start})
    return history[-1]


def _print_row(label: str, row: dict) -> None:
    for split in ("train", "valid"):
        label += f"  {split} loss {row[split + '_loss']:.2f}, accuracy {row[split + '_accuracy']:.2f}"
    print(label)


def compute_features(
    model: nn.Module, batches: Iterable, precision: torch.dtype | None = None, views: int = 1
) -> tuple[Tensor, Tensor]:
    """The backbone's output for every image: features float32 (n, features) and labels int64 (n,), on the CPU.

    batches: a sized iterable whose first batch is the largest. views: how many passes to make over it; with random
    augmentation every pass gives another view of each image.
    """
    backbone, _ = split_head(model)
    device = next(model.parameters()).device
    backbone.eval()
    features, labels, n = torch.empty(0), torch.empty(0), 0
    with torch.no_grad():
        for view in range(views):
            for inputs, targets in progress(batches, f"features {view + 1}/{views}"):
                with torch.autocast(device.type, precision, enabled=precision is not None):  # without the augmentation
                    rows = backbone(inputs.to(device)).float()
                if n == 0:
                    capacity = views * len(batches) * len(rows)  # type: ignore[arg-type]
                    features = empty_or_memmap((capacity, *rows.shape[1:]), rows.dtype)
                    labels = empty_or_memmap((capacity,), torch.int64)
                # Into one tensor: a list of small ones would fragment the memory that the large ones are taken from.
                features[n : n + len(rows)], labels[n : n + len(rows)] = rows, targets
                n += len(rows)
    return features[:n], labels[:n]


def train_head(
    model: nn.Module, train_batches: Iterable, valid_batches: Iterable, num_epochs: int, *,
    views: int = 2, lr: float = 1e-2, batch_size: int = 128, precision: torch.dtype | None = None, **options,
) -> History:  # fmt: skip
    """Train only the head, on features computed once for `views` augmented views of every image (a linear probe).

    AdamW with a one-cycle schedule up to `lr`. The head keeps its best weights. options: passed to `train_model`.
    The first epoch's seconds include those that the features took.
    """
    start = time.perf_counter()
    features, labels = compute_features(model, train_batches, precision, views)
    valid_features, valid_labels = compute_features(model, valid_batches, precision)
    feature_seconds = time.perf_counter() - start
    head = model.get_submodule(head_paths(model)[0])
    device = next(head.parameters()).device
    loaders = {
        "train": BatchLoader(features.to(device), labels.to(device), batch_size, shuffle=True),
        "valid": BatchLoader(valid_features.to(device), valid_labels.to(device), 1024),
    }
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=1e-2)
    scheduler = OneCycleLR(optimizer, lr, total_steps=max(2, num_epochs * len(loaders["train"])))
    options |= {"scheduler": scheduler, "step_scheduler": "batch"}
    history = options.setdefault("history", [])
    first = len(history)
    train_model(head, loaders, nn.CrossEntropyLoss(), optimizer, num_epochs, **options)
    for row in history[first : first + 1]:
        row["seconds"] += feature_seconds
    return history
