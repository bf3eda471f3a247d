"""Train, keep the best weights, write checkpoints, resume."""

import contextlib
import csv
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau
from tqdm import tqdm

from helpers.data import BatchLoader, room
from helpers.images import UserError
from helpers.models import head_paths, split_head, train_mode
from helpers.processes import add_up, rank_and_world

History = list[dict]  # one dict per epoch: epoch, train_loss, train_accuracy, valid_loss, valid_accuracy, rate


def pick_device() -> torch.device:
    """The GPU if torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(device: torch.device) -> torch.dtype | None:
    """bfloat16 if this GPU has it in hardware, or if this CPU is measured to be clearly faster with it (0.3 s), else None."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    layer = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.randn(32, 128, 16, 16).to(memory_format=torch.channels_last)

    def seconds(enabled: bool) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(images).float().sum().backward()
        return time.perf_counter() - start

    fastest = {enabled: min(seconds(enabled) for _ in range(6)) for enabled in (False, True)}
    return torch.bfloat16 if fastest[True] < 0.8 * fastest[False] else None


def progress(items: Iterable, label: str):
    """A progress bar on standard output that disappears when done; silent where nobody watches."""
    ipython = sys.modules.get("IPython")
    in_notebook = ipython is not None and ipython.get_ipython() is not None
    watched = sys.stdout.isatty() or in_notebook
    return tqdm(items, desc=label, leave=False, file=sys.stdout, disable=not watched)


class BestWeights:
    """The best validation accuracy so far and the weights that reached it; hand the same one to every phase."""

    def __init__(self):
        self.accuracy: float = -1.0
        self.state: dict[str, Tensor] = {}

    def update(self, model: nn.Module, accuracy: float) -> bool:
        """Copy the weights if `accuracy` beats the best; say whether it did."""
        if accuracy <= self.accuracy:
            return False
        self.accuracy = accuracy
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        return True


def run_epoch(model, batches, criterion, optimizer=None, scheduler=None, precision=None, label="") -> tuple[float, float]:
    """One pass over the batches; with an optimizer it trains, without one it only measures.

    precision: a dtype for autocast (torch.bfloat16), or None for float32. Returns (mean loss, accuracy in [0, 1]) over
    all samples, however unequal the batches, and of all processes if there are several.
    """
    device = next(model.parameters()).device
    train_mode(model) if optimizer else model.eval()
    loss_sum, correct, seen = torch.zeros(3, device=device)
    with torch.set_grad_enabled(optimizer is not None):
        for inputs, labels in progress(batches, label):
            inputs, labels = inputs.to(device), labels.to(device)
            with torch.autocast(device.type, precision, enabled=precision is not None):
                outputs = model(inputs)
            loss = criterion(outputs.float(), labels)
            if optimizer:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if isinstance(scheduler, OneCycleLR):
                    scheduler.step()
            loss_sum += loss.detach() * len(labels)
            correct += (outputs.argmax(1) == labels).sum()
            seen += len(labels)
    loss_sum, correct, seen = add_up(torch.stack([loss_sum, correct, seen])).tolist()
    return loss_sum / seen, correct / seen


def train_model(
    model: nn.Module,
    batches: dict[str, Iterable],
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    num_epochs: int,
    *,
    scheduler: LRScheduler | None = None,
    best: BestWeights | None = None,
    history: History | None = None,
    patience: int | None = None,
    precision: torch.dtype | None = None,
    verbose: bool = True,
    measured: nn.Module | None = None,
    first_epoch: int = 0,
    after_epoch: Callable[[int], None] | None = None,
) -> tuple[nn.Module, History]:
    """Train on batches["train"], measure on batches["valid"] after every epoch, end with the best weights.

    scheduler: stepped once per epoch (OneCycleLR: once per batch); it must belong to `optimizer`. best, history: hand on
    those of an earlier phase, so that the best of both phases is kept. patience: stop after so many epochs without a new
    best. measured: the network that is measured and kept, if it is another than the one that learns (an average of its
    weights, for example). first_epoch: for resuming. after_epoch(epoch) is called after each one. Ctrl-C ends the training
    early and keeps the best weights when there is no `after_epoch`. Raises ValueError if the scheduler is bound to another
    optimizer.
    """
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError("The scheduler belongs to another optimizer: make it from the one that is stepping.")
    best, history = best or BestWeights(), [] if history is None else history
    measured = measured or getattr(model, "module", model)  # DistributedDataParallel keeps the network in .module
    waiting = 0
    try:
        for epoch in range(first_epoch, num_epochs):
            rate = optimizer.param_groups[0]["lr"]
            step = f"epoch {epoch + 1}/{num_epochs}"
            train_loss, train_accuracy = run_epoch(model, batches["train"], criterion, optimizer, scheduler, precision, step)
            valid_loss, valid_accuracy = run_epoch(measured, batches["valid"], criterion, precision=precision)
            _step_epoch(scheduler, valid_loss)
            waiting = 0 if best.update(measured, valid_accuracy) else waiting + 1
            history.append(dict(epoch=len(history) + 1, train_loss=train_loss, train_accuracy=train_accuracy,
                                valid_loss=valid_loss, valid_accuracy=valid_accuracy, rate=rate))  # fmt: skip
            if verbose:
                train_text = f"train loss {train_loss:.2f}, accuracy {train_accuracy:.2f}"
                print(f"{step}  {train_text}  valid loss {valid_loss:.2f}, accuracy {valid_accuracy:.2f}")
            if after_epoch:
                after_epoch(epoch)
            if patience is not None and waiting >= patience:
                break
    except KeyboardInterrupt:
        if after_epoch:
            raise
        print(f"Stopped by you after {len(history)} epochs: the best weights so far are kept.")
    if best.state:
        measured.load_state_dict(best.state)
    return measured, history


def _step_epoch(scheduler: LRScheduler | None, valid_loss: float) -> None:
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(valid_loss)
    elif scheduler is not None and not isinstance(scheduler, OneCycleLR):
        scheduler.step()


def compute_features(
    model: nn.Module, batches: Iterable, precision: torch.dtype | None = None, views: int = 1
) -> tuple[Tensor, Tensor]:
    """What the frozen backbone makes of every image: features float32 (n, features) and labels (n,), on the CPU.

    batches: as many as their len() says, the first at least as large as the others. views: how often to go through them;
    with augmentation every view differs.
    """
    backbone, _ = split_head(model)
    device = next(model.parameters()).device
    backbone.eval()
    features, labels, n = None, None, 0
    with torch.no_grad():
        for view in range(views):
            for inputs, targets in progress(batches, f"features {view + 1}/{views}"):
                with torch.autocast(device.type, precision, enabled=precision is not None):  # not the augmentation
                    rows = backbone(inputs.to(device)).float()
                if features is None:  # the first batch is a full one
                    most = views * len(batches) * len(rows)
                    features, labels = room((most, *rows.shape[1:]), rows.dtype), room((most,), torch.int64)
                # A list of many small tensors would keep the memory of the large ones around them from being used again.
                features[n : n + len(rows)], labels[n : n + len(rows)] = rows, targets
                n += len(rows)
    return features[:n], labels[:n]


def train_head(
    model: nn.Module,
    train_batches,
    valid_batches,
    num_epochs: int,
    *,
    views: int = 4,
    rate: float = 1e-2,
    batch_size: int = 128,
    **options,
) -> History:
    """Train only the head, on features computed once for several augmented views of every image.

    The backbone must be frozen in eval mode, or the features would change. options go to `train_model`. The model's head
    ends with its best weights.
    """
    precision = options.pop("precision", None)
    features, labels = compute_features(model, train_batches, precision, views)
    valid_features, valid_labels = compute_features(model, valid_batches, precision)
    head = model.get_submodule(head_paths(model)[0])
    device = next(head.parameters()).device
    loaders = {
        "train": BatchLoader(features.to(device), labels.to(device), batch_size, shuffle=True),
        "valid": BatchLoader(valid_features.to(device), valid_labels.to(device), 1024),
    }
    optimizer = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=1e-2)
    scheduler = OneCycleLR(optimizer, rate, total_steps=max(1, num_epochs * len(loaders["train"])))
    return train_model(head, loaders, nn.CrossEntropyLoss(), optimizer, num_epochs, scheduler=scheduler, **options)[1]


# ---- files ---------------------------------------------------------------------------------------------------------


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new file beside `path`, then put it in place at once: a kill never leaves half a file.

    Of several processes that train together, only the first writes. Raises UserError if the folder cannot be written or
    the disk is full; the old file is then still whole.
    """
    if rank_and_world()[0] > 0:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # torch.save hides the system's reason there
        reason = getattr(cause, "strerror", None) or str(error).partition("\n")[0]
        raise UserError(f"{path} could not be written ({reason}): free some space or choose another folder.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def save_checkpoint(path: Path, content: dict) -> None:
    """Write tensors and plain values so that `load_checkpoint` can read them back."""

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # given a path, torch.save would not tell why it failed
            torch.save(content, file)

    write_atomically(path, write)


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint onto the CPU. Only tensors and plain values are accepted: nothing in the file is run.

    Raises UserError if there is none, or if it is damaged or holds anything else.
    """
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: train a model first, or check the path.")
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file can make its reader raise anything
        problem = f"{path} is damaged or holds more than tensors and plain values, so it was not opened"
        raise UserError(f"{problem}: use a checkpoint written by this course.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a checkpoint of this course: it holds a {type(content).__name__}.")
    return content


def random_state() -> list[Tensor]:
    """The state of torch's random generators: the CPU's, then that of the GPU in use."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])]


def set_random_state(states: list[Tensor]) -> None:
    """Put back what `random_state` gave; a GPU that is no longer there is passed over.

    Processes that train together draw the same numbers, so the state of the first fits all.
    """
    torch.set_rng_state(states[0].cpu())
    if states[1:] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[1].cpu())


def save_history(path: Path, history: History) -> None:
    """Write the history as CSV, one line per epoch."""

    def write(temporary: Path) -> None:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=history[0].keys() if history else ["epoch"])
            writer.writeheader()
            writer.writerows(history)

    write_atomically(path, write)
