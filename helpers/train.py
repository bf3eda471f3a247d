"""Train on any data folder: python -m helpers.train --data DIR --out DIR

First the head, on features computed once; then all layers. Writes best.pt (for helpers.predict), last.pt (for --resume),
history.csv and metrics.json. On several processes:
torchrun --standalone --nproc-per-node=2 -m helpers.train --data DIR --out DIR
"""

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.augment import augment_batch
from helpers.data import (
    BatchLoader,
    Images,
    UserError,
    check_data,
    data_dir,
    decode_split,
    flower_names,
    normalize_batch,
    split_card,
)
from helpers.models import (
    default_weights,
    initialize_model,
    parameter_groups,
    set_parameter_requires_grad,
    speed_up_small_maps,
)
from helpers.prediction import save_model
from helpers.processes import agree, distribute, join_processes, leave_processes, rank_and_world
from helpers.training import (
    BestWeights,
    History,
    choose_precision,
    load_checkpoint,
    pick_device,
    random_state,
    save_checkpoint,
    save_history,
    set_random_state,
    train_head,
    train_model,
    write_atomically,
)

FINE_RATE, SCRATCH_RATE, WEIGHT_DECAY = 0.03, 0.1, 5e-4  # of the second phase: SGD, one cycle
AVERAGED = 0.9  # each step, the weights that are measured and kept move a tenth of the way to those that learn
VIEWS = 2  # augmented views of every image that the head learns from
ROOM = 1.25  # training images are kept this much larger than the network's input, as room for random crops


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.train", description="Train a flower classifier: first the head, then all layers."
    )
    parser.add_argument(
        "--data", type=Path, help="folder with train/ and valid/ (default: FLOWER_DATA, or the bundled flowers)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for best.pt, last.pt, history.csv and metrics.json")
    parser.add_argument(
        "--weights",
        default=default_weights(),
        help="flora (bundled), imagenet, none or a file (default: FLOWER_WEIGHTS or flora)",
    )
    parser.add_argument("--head-epochs", type=int, default=10)
    parser.add_argument("--full-epochs", type=int, default=6)
    parser.add_argument("--image-size", type=int, default=64, help="pixels, at least 32")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--skip-unreadable", action="store_true", help="name unreadable images and train without them")
    options = parser.parse_args(arguments)
    if min(options.head_epochs, options.full_epochs) < 0 or options.head_epochs + options.full_epochs == 0:
        parser.error("--head-epochs and --full-epochs must be 0 or more, and not both 0")
    if options.image_size < 32 or options.batch_size < 2:
        parser.error("--image-size must be at least 32 and --batch-size at least 2")
    return options


@contextlib.contextmanager
def only_run_in(out: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees however the process ends. Raises UserError if another run holds it."""
    if rank_and_world()[0] > 0:  # of several processes, only the first writes
        yield
        return
    lock = FileLock(out / ".lock", blocking=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"Another run is writing to {out}: wait for its end, or choose another --out.") from None
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error}): choose another --out.") from error
    try:
        for name in ("best.pt", "last.pt", "history.csv", "metrics.json", "probe"):
            for left in out.glob(f".{name}.[0-9]*"):  # by a process that was killed while it wrote
                left.unlink()
        write_atomically(out / "probe", lambda temporary: temporary.write_text("ok"))
        (out / "probe").unlink()
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes the file itself, on release
            (out / ".lock").unlink()
        lock.release()


def check_resume(out: Path) -> None:
    if not (out / "last.pt").is_file():
        raise UserError(f"There is nothing to resume in {out}: leave out --resume, or name the folder of the stopped run.")


def check_new(out: Path) -> None:
    if (out / "last.pt").exists():
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out.")


class Run:
    """One training run: the data, the model and what a checkpoint has to remember."""

    def __init__(self, options: argparse.Namespace, train: Images, valid: Images, names: dict[str, str], card: dict):
        self.options, self.names, self.classes = options, names, train.classes
        self.history: History = []
        self.best = BestWeights()
        self.saved = -1.0  # accuracy of the weights in best.pt
        self.seconds = {"head_seconds": 0.0, "full_seconds": 0.0}
        self.facts = {
            "train_images": len(train.labels),
            "valid_images": len(valid.labels),
            "classes": len(train.classes),
            "split": card,
        }
        self.device = pick_device()
        self.precision = torch.bfloat16 if agree(choose_precision(self.device) is not None) else None
        torch.manual_seed(options.seed)
        model = initialize_model("resnet18", len(train.classes), feature_extract=True, weights=options.weights)
        self.model = speed_up_small_maps(model.to(self.device, memory_format=torch.channels_last))
        self.batches = self._loaders(train, valid, 0, 1)  # whole, for the head
        self.shares = self._loaders(train, valid, *rank_and_world())  # this process's part of them, for all layers

    def _loaders(self, train: Images, valid: Images, rank: int, world: int) -> dict[str, BatchLoader]:
        """The share of process `rank` of `world` in every batch."""

        def augment(pixels: torch.Tensor) -> torch.Tensor:
            whole = (slice(rank, None, world), len(pixels) * world)
            return augment_batch(pixels, self.options.image_size, share=whole)

        shared, size = {"share": (rank, world), "device": self.device}, self.options.batch_size
        return {
            "train": BatchLoader(train.pixels, train.labels, size, shuffle=True, transform=augment, **shared),
            "valid": BatchLoader(valid.pixels, valid.labels, 4 * size, transform=normalize_batch, **shared),
        }

    def recipe(self) -> dict:
        """What must be the same when a run is resumed."""
        chosen = {
            k: v
            for k, v in vars(self.options).items()
            if k in ("weights", "head_epochs", "full_epochs", "image_size", "batch_size", "seed")
        }
        return chosen | self.facts | {"folders": self.classes}

    def head_phase(self) -> None:
        start = time.perf_counter()
        if self.options.head_epochs:
            # Without anything to do after an epoch, train_model would take Ctrl-C for "enough" and go on to phase two.
            options = {"views": VIEWS, "precision": self.precision, "after_epoch": lambda epoch: None}
            epochs = self.options.head_epochs
            # Every process does all of it: with the same seed they end with the same head.
            self.history += train_head(self.model, self.batches["train"], self.batches["valid"], epochs, **options)
            self.best.update(self.model, max(row["valid_accuracy"] for row in self.history))
            self.save_best(self.model)
        self.seconds["head_seconds"] = time.perf_counter() - start

    def all_layers(self) -> tuple[torch.optim.Optimizer, AveragedModel]:
        """Let all layers learn: the optimizer, and the running average of the weights, which follows its steps."""
        set_parameter_requires_grad(self.model, False)
        rate = SCRATCH_RATE if self.options.weights == "none" else FINE_RATE
        groups = parameter_groups(self.model, rate, rate, WEIGHT_DECAY)
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
        # The average is good while the rate is still high, so fewer epochs do (Izmailov et al. 2018).
        averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED), use_buffers=True)
        optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(self.model))
        return optimizer, averaged

    def full_phase(self, state: dict | None = None) -> None:
        """Train all layers; `state` is the checkpoint that `restore` took over, to go on from."""
        options = self.options
        optimizer, averaged = self.all_layers()
        steps = max(2, options.full_epochs * len(self.batches["train"]))
        scheduler = OneCycleLR(optimizer, optimizer.param_groups[0]["lr"], total_steps=steps)
        torch.manual_seed(options.seed + 1)
        first = 0
        if state and state["epoch"]:
            averaged.load_state_dict(state["averaged"])
            optimizer.load_state_dict(state["optimizer"])
            scheduler.load_state_dict(state["scheduler"])
            set_random_state(state["random"])
            first = state["epoch"]
        begin, before = time.perf_counter(), self.seconds["full_seconds"]

        def after_epoch(epoch: int) -> None:
            self.seconds["full_seconds"] = before + time.perf_counter() - begin
            self.save_best(averaged.module)
            self.save_last(epoch + 1, averaged=averaged, optimizer=optimizer, scheduler=scheduler)

        criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
        kept = {"best": self.best, "history": self.history, "precision": self.precision}
        train_model(
            distribute(self.model), self.shares, criterion, optimizer, options.full_epochs,
            scheduler=scheduler, measured=averaged.module, first_epoch=first, after_epoch=after_epoch, **kept,
        )  # fmt: skip

    def save_best(self, model: nn.Module) -> None:
        """Write the model as best.pt if the last epoch was better than what the file holds."""
        if self.best.accuracy <= self.saved:
            return
        self.saved = self.best.accuracy
        facts = {"weights": self.options.weights, "valid_accuracy": self.best.accuracy}
        save_model(self.options.out / "best.pt", model, self.classes, self.names, self.options.image_size, **facts)

    def save_last(self, epoch: int, **parts) -> None:
        content = {name: part.state_dict() for name, part in parts.items()}
        content |= {
            "model": self.model.state_dict(),
            "epoch": epoch,
            "recipe": self.recipe(),
            "history": self.history,
            "seconds": self.seconds,
        }
        content |= {"random": random_state(), "bfloat16": self.precision is not None}
        save_checkpoint(self.options.out / "last.pt", content)
        save_history(self.options.out / "history.csv", self.history)

    def restore(self, state: dict) -> None:
        """Take over an earlier run's state. Raises UserError if it was another recipe."""
        recipe = state.get("recipe", {})
        for name, value in self.recipe().items():
            if recipe.get(name) != value:
                other = name.replace("_", "-")
                raise UserError(f"The run in {self.options.out} had another {other}: resume it with the same data and options.")
        best = self.options.out / "best.pt"
        saved = load_checkpoint(best) if best.is_file() else {"model": {}, "valid_accuracy": -1.0, "classes": self.classes}
        try:
            if saved["classes"] != self.classes or (state["epoch"] and "averaged" not in state):
                raise KeyError("best.pt has other classes, or last.pt is of an older version")
            self.history, self.seconds = state["history"], state["seconds"]
            self.precision = torch.bfloat16 if state["bfloat16"] else None
            self.model.load_state_dict(state["model"])
            self.best.state, self.best.accuracy = saved["model"], saved["valid_accuracy"]
        except (KeyError, RuntimeError) as error:
            message = f"The files in {self.options.out} are not those of one run: start again with another --out."
            raise UserError(message) from error
        self.saved = self.best.accuracy


def decode_both(root: Path, options: argparse.Namespace) -> tuple[Images, Images]:
    """The training images, with room for crops, and the validation images."""
    sizes = {"train": round(ROOM * options.image_size), "valid": options.image_size}
    return tuple(decode_split(root, split, size, options.skip_unreadable) for split, size in sizes.items())


def train(options: argparse.Namespace) -> dict:
    """Carry out the run and return its metrics (also written to metrics.json)."""
    if options.resume:
        check_resume(options.out)  # before a folder is made
    with only_run_in(options.out):
        if not options.resume:
            check_new(options.out)
        return _train(options)


def _train(options: argparse.Namespace) -> dict:
    begin = time.perf_counter()
    state = load_checkpoint(options.out / "last.pt") if options.resume else None
    root = check_data(options.data) if options.data else data_dir()
    train_images, valid_images = decode_both(root, options)
    card = split_card(root)
    if len(train_images.labels) < 2:
        raise UserError(f"{root / 'train'} holds a single image: a network needs at least two to learn from.")
    world = rank_and_world()[1]
    if options.batch_size % world or len(train_images.labels) < world:
        raise UserError(f"Batches of {options.batch_size} cannot be shared by {world} processes: choose a multiple of {world}.")
    counts = f"{len(train_images.labels)} training and {len(valid_images.labels)} validation images"
    print(f"{counts} of {len(train_images.classes)} classes from {root} (files {card['files']})")
    run = Run(options, train_images, valid_images, flower_names(train_images.classes, root), card)
    run.seconds["load_seconds"] = time.perf_counter() - begin
    if state:
        run.restore(state)
    else:
        run.head_phase()
        run.save_last(0)
    if options.full_epochs:
        run.full_phase(state)
    metrics = {
        "best_valid_accuracy": run.best.accuracy,
        **run.seconds,
        **run.facts,
        "left_out": sum(card[split]["images"] for split in ("train", "valid"))
        - len(train_images.labels)
        - len(valid_images.labels),
        "weights": options.weights,
        "image_size": options.image_size,
    }
    save_history(options.out / "history.csv", run.history)
    write_atomically(options.out / "metrics.json", lambda temporary: temporary.write_text(json.dumps(metrics, indent=2)))
    print(f"best validation accuracy {run.best.accuracy:.4f}; model in {options.out / 'best.pt'}")
    return metrics


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parse(arguments)
    status = run_to_the_end(options)
    if status and rank_and_world()[1] > 1:
        sys.stderr.flush()
        os._exit(status)  # parting is done together, and the others may be waiting elsewhere: torchrun ends them
    leave_processes()
    return status


def run_to_the_end(options: argparse.Namespace) -> int:
    """Train, and say in one sentence what went wrong; returns the exit status."""
    try:
        join_processes()
        train(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nStopped. {how_to_go_on(options.out)}", file=sys.stderr)
        return 130
    except RuntimeError:
        if rank_and_world()[1] == 1:
            raise
        traceback.print_exc()  # its own fault, or the end of another process
        print(f"\nA process of this run has failed. {how_to_go_on(options.out)}", file=sys.stderr)
        return 3
    return 0


def how_to_go_on(out: Path) -> str:
    if (out / "last.pt").is_file():
        return "Go on with the same line and --resume."
    return "Nothing was saved yet: start again with the same line."


if __name__ == "__main__":
    sys.exit(main())
