"""Train a classifier on any data folder: python -m helpers.train --data DIR --out DIR

First the head on precomputed features, then all layers, by the recipe in helpers/recipe.py. Writes best.pt (for
helpers.predict), last.pt (for --resume), history.csv and metrics.json. With multiple processes:
torchrun --standalone --nproc-per-node=2 -m helpers.train --data DIR --out DIR
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from helpers.augment import augment_batch
from helpers.base import UserError, run_command, write_atomically
from helpers.checkpoints import History, load_checkpoint, rng_state, save_checkpoint, save_history, set_rng_state
from helpers.data import (
    BatchLoader,
    Images,
    data_path,
    decode_classes,
    find_images,
    flower_names,
    normalize_batch,
    split_summary,
)
from helpers.distributed import broadcast_flag, cleanup_distributed, distribute, get_rank_and_world_size, init_distributed
from helpers.models import freeze_batch_norm, head_paths, initialize_model, parameter_groups
from helpers.prediction import save_model
from helpers.recipe import Recipe, add_recipe_options, recipe_from, versions
from helpers.runs import run_folder
from helpers.speed import choose_precision, pick_device, use_im2col
from helpers.training import BestWeights, train_head, train_model

TRAIN_OVERSIZE = 1.25  # training images are stored this much larger than the network's input, for random crops


def parse(arguments: list[str] | None) -> tuple[Recipe, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.train", description="Train a flower classifier: first the head, then all layers."
    )
    parser.add_argument("--data", type=Path, help="folder with train/ and valid/ (default: FLOWER_DATA or the bundled flowers)")
    parser.add_argument("--out", type=Path, required=True, help="folder for best.pt, last.pt, history.csv and metrics.json")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--skip-unreadable", action="store_true", help="print the names of unreadable images and skip them")
    add_recipe_options(parser)
    options = parser.parse_args(arguments)
    try:
        return recipe_from(options), options
    except UserError as error:
        parser.error(str(error))


@dataclass
class Run:
    """The state of a run. last.pt holds its state_dict; the best weights are only in best.pt."""

    recipe: Recipe
    data: dict  # what `load_images` says about the data; must be equal when the run is resumed
    model: nn.Module
    ema: AveragedModel
    optimizer: torch.optim.Optimizer
    scheduler: OneCycleLR
    epoch: int = 0  # finished epochs of all layers
    history: History = field(default_factory=list)
    best: BestWeights = field(default_factory=BestWeights)
    saved_accuracy: float = -1.0  # of the weights in best.pt

    def state_dict(self) -> dict:
        modules = {name: getattr(self, name).state_dict() for name in ("model", "ema", "optimizer", "scheduler")}
        values = {"recipe": asdict(self.recipe), "data": self.data, "epoch": self.epoch, "history": self.history}
        return modules | values | {"rng": rng_state()}

    def load_state_dict(self, state: dict, best: dict) -> None:
        """Restore the contents of last.pt and best.pt ({} if there is none); raises an error of any type if they do not fit."""
        for name in ("model", "ema", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.history = state["epoch"], state["history"]
        if self.history:  # else best.pt, if there is one, is a leftover
            if best["classes"] != self.data["folders"]:
                raise KeyError("best.pt was trained on other classes")
            self.best.state, self.best.accuracy = best["model"], best["valid_accuracy"]
        self.saved_accuracy = self.best.accuracy
        set_rng_state(state["rng"])


def train(
    recipe: Recipe, root: Path, out: Path, *, resume: bool = False, skip_unreadable: bool = False,
    after_epoch: Callable[[int], None] | None = None,
) -> dict:  # fmt: skip
    """Train on the data folder `root`; returns the metrics, which are also written to `out`/metrics.json.

    after_epoch(epoch): called after each epoch of all layers, once its checkpoint is written. Raises UserError if the
    data, the weights or `out` cannot be used; after an interrupt, `resume` continues from the last checkpoint.
    """
    start, device = time.perf_counter(), pick_device()
    with run_folder(out, resume):
        last = load_last(out) if resume else {}
        recipe = continue_recipe(recipe, last, out)
        images, data = load_images(recipe, root, skip_unreadable)
        recipe = settle_recipe(recipe, data["train_images"], device)
        loaders = make_loaders(images, recipe, device, *get_rank_and_world_size())
        run = build_run(recipe, data, len(loaders["train"]), device)
        if resume:
            restore_run(run, last, out)
        load_seconds = time.perf_counter() - start
        if not resume:
            train_head_phase(run, make_loaders(images, recipe, device))  # every process trains the same head
            torch.manual_seed(recipe.seed + 1)
            save_run(run, run.model, out)
        train_full_phase(run, loaders, out, after_epoch)
        return write_metrics(run, device, load_seconds, out)


def load_images(recipe: Recipe, root: Path, skip_unreadable: bool) -> tuple[dict[str, Images], dict]:
    """Decode train/ and valid/; returns the images, and what metrics.json and last.pt say about them."""
    files = find_images(root)
    sizes = {"train": round(TRAIN_OVERSIZE * recipe.image_size), "valid": recipe.image_size}
    images = {split: decode_classes(files[split], size, skip_unreadable) for split, size in sizes.items()}
    n_train, n_valid = (len(images[split].labels) for split in sizes)
    _, world_size = get_rank_and_world_size()
    if n_train < 2:
        raise UserError(f"{root / 'train'} contains a single image: training needs at least two.")
    if n_train < world_size:
        raise UserError(f"{n_train} training images are too few for {world_size} processes: start fewer processes.")
    summary, classes = split_summary(root, files), images["train"].classes
    print(f"{n_train} training and {n_valid} validation images of {len(classes)} classes in {root} (files {summary['files']})")
    found = summary["train"]["images"] + summary["valid"]["images"]
    counts = {"classes": len(classes), "train_images": n_train, "valid_images": n_valid, "skipped": found - n_train - n_valid}
    return images, counts | {"split": summary, "folders": classes, "names": flower_names(classes, root)}


def load_last(out: Path) -> dict:
    """Read the checkpoint to resume from. Raises UserError if it is damaged or was written by another version."""
    last, types = load_checkpoint(out / "last.pt"), {"recipe": dict, "data": dict, "epoch": int, "history": list, "rng": list}
    if not all(isinstance(last.get(name), kind) for name, kind in types.items()):
        problem = f"{out / 'last.pt'} was not written by this version of the course"
        raise UserError(f"{problem}: start again with another --out (an older best.pt can still be used to predict).")
    return last


def continue_recipe(recipe: Recipe, last: dict, out: Path) -> Recipe:
    """The recipe with what it leaves open taken from the run to resume. Raises UserError if the rest differs from it."""
    for name, value in asdict(recipe).items() if last else ():
        before = last["recipe"].get(name)
        if value in (None, "auto") and isinstance(before, int | float | str):
            recipe = replace(recipe, **{name: before})  # type: ignore[arg-type]
        elif before != value:
            option = f"--{name.replace('_', '-')} {before}"
            raise UserError(f"The run in {out} was started with {option}: resume it with the same options.")
    return recipe


def settle_recipe(recipe: Recipe, images: int, device: torch.device) -> Recipe:
    """The recipe with every value that it leaves open: those that follow from the number of images, and the precision."""
    recipe, (_, world_size) = recipe.for_images(images), get_rank_and_world_size()
    if recipe.batch_size % world_size:  # type: ignore[operator]
        shards = f"Batches of {recipe.batch_size} cannot be split over {world_size} processes"
        raise UserError(f"{shards}: choose a multiple of {world_size} as --batch-size.")
    if recipe.precision != "auto":
        return recipe
    network = initialize_model(recipe.architecture, 2, feature_extract=False, weights="none")
    fast = broadcast_flag(choose_precision(device, network) is not None)
    return replace(recipe, precision="bfloat16" if fast else "float32")


def make_loaders(
    images: dict[str, Images], recipe: Recipe, device: torch.device, rank: int = 0, world_size: int = 1
) -> dict[str, BatchLoader]:
    """Augmented training batches and validation batches: the shards of process `rank`, or whole ones."""

    def augment(pixels: torch.Tensor) -> torch.Tensor:
        shard = (slice(rank, None, world_size), len(pixels) * world_size)
        return augment_batch(pixels, recipe.image_size, shard=shard)

    (train, valid), loader = images.values(), partial(BatchLoader, shard=(rank, world_size), device=device)
    return {
        "train": loader(train.pixels, train.labels, recipe.batch_size, shuffle=True, transform=augment),
        "valid": loader(valid.pixels, valid.labels, 4 * recipe.batch_size, transform=normalize_batch),
    }


def build_run(recipe: Recipe, data: dict, steps_per_epoch: int, device: torch.device) -> Run:
    """The model, its moving average, the optimizer and the schedule of all layers. Raises UserError for bad weights."""
    torch.manual_seed(recipe.seed)
    model = initialize_model(recipe.architecture, data["classes"], feature_extract=False, weights=recipe.weights)
    if head_paths(model)[1:] or not isinstance(model.get_submodule(head_paths(model)[0]), nn.Linear):
        raise UserError(f"{recipe.architecture} does not end in a single linear layer: choose another --architecture.")
    model = use_im2col(model.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
    if recipe.weights != "none":
        freeze_batch_norm(model)
    groups = parameter_groups(model, recipe.full_lr, recipe.full_lr, recipe.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=recipe.full_lr)  # OneCycleLR cycles its first beta as well
    scheduler = OneCycleLR(optimizer, recipe.full_lr, total_steps=max(2, recipe.full_epochs * steps_per_epoch))
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)
    return Run(recipe, data, model, ema, optimizer, scheduler)


def restore_run(run: Run, last: dict, out: Path) -> None:
    """Continue from last.pt and best.pt. Raises UserError if they belong to other data or not to each other."""
    if last["data"] != run.data:
        raise UserError(f"The run in {out} was started with other data: resume it with the same files.")
    try:
        run.load_state_dict(last, load_checkpoint(out / "best.pt") if (out / "best.pt").is_file() else {})
    except UserError:
        raise
    except Exception as error:  # damaged values can make load_state_dict raise anything
        raise UserError(f"The files in {out} do not belong to one run: start again with another --out.") from error


def train_head_phase(run: Run, loaders: dict[str, BatchLoader]) -> None:
    """Train the head on precomputed features of the frozen backbone."""
    recipe = run.recipe
    if recipe.head_epochs:
        train_head(
            run.model, loaders["train"], loaders["valid"], recipe.head_epochs, views=recipe.views, lr=recipe.head_lr,
            batch_size=recipe.batch_size, precision=autocast_dtype(recipe), history=run.history, catch_interrupt=False,
        )  # fmt: skip
        run.best.update(run.model, max(row["valid_accuracy"] for row in run.history))


def train_full_phase(run: Run, loaders: dict[str, BatchLoader], out: Path, after_epoch: Callable[[int], None] | None) -> None:
    """Train all layers; the moving average of the weights is validated and kept."""

    def checkpoint(epoch: int) -> None:
        run.epoch = epoch + 1
        save_run(run, run.ema.module, out)
        if after_epoch:
            after_epoch(epoch)

    train_model(
        distribute(run.model), loaders, nn.CrossEntropyLoss(label_smoothing=run.recipe.label_smoothing), run.optimizer,
        run.recipe.full_epochs, scheduler=run.scheduler, step_scheduler="batch", ema=run.ema,
        precision=autocast_dtype(run.recipe), best=run.best, history=run.history, first_epoch=run.epoch,
        after_epoch=checkpoint, catch_interrupt=False,
    )  # fmt: skip


def autocast_dtype(recipe: Recipe) -> torch.dtype | None:
    return torch.bfloat16 if recipe.precision == "bfloat16" else None


def save_run(run: Run, model: nn.Module, out: Path) -> None:
    """Write best.pt if `model` is the new best, then last.pt and history.csv; only rank 0 writes.

    model: after the head phase the plain network, then its EMA.
    """
    if get_rank_and_world_size()[0] > 0:
        return
    if run.best.accuracy > run.saved_accuracy:
        run.saved_accuracy = run.best.accuracy
        facts = {"valid_accuracy": run.best.accuracy, "recipe": asdict(run.recipe), "versions": versions()}
        facts |= {"architecture": run.recipe.architecture, "device": next(model.parameters()).device.type}
        save_model(out / "best.pt", model, run.data["folders"], run.data["names"], run.recipe.image_size, **facts)
    save_checkpoint(out / "last.pt", run.state_dict())
    save_history(out / "history.csv", run.history)


def write_metrics(run: Run, device: torch.device, load_seconds: float, out: Path) -> dict:
    """Collect the metrics; rank 0 writes them to metrics.json."""
    seconds, head_epochs = [row["seconds"] for row in run.history], run.recipe.head_epochs
    metrics = {
        "best_valid_accuracy": run.best.accuracy,
        "load_seconds": load_seconds,
        "head_seconds": sum(seconds[:head_epochs]),
        "full_seconds": sum(seconds[head_epochs:]),
        **{name: value for name, value in run.data.items() if name not in ("folders", "names")},
        **asdict(run.recipe),
        "device": device.type,
        "versions": versions(),
    }
    if get_rank_and_world_size()[0] == 0:
        save_history(out / "history.csv", run.history)
        write_atomically(out / "metrics.json", lambda temporary: temporary.write_text(json.dumps(metrics, indent=2)))
    print(f"best validation accuracy {run.best.accuracy:.4f}; model in {out / 'best.pt'}")
    return metrics


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    recipe, options = parse(arguments)

    def command() -> None:
        init_distributed()
        how = {"resume": options.resume, "skip_unreadable": options.skip_unreadable}
        train(recipe, options.data or data_path(), options.out, **how)

    status = run_command(command)
    cleanup_distributed(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
