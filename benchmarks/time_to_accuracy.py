"""Time to accuracy: python -m benchmarks.time_to_accuracy [--data DIR] [--plot FILE.png]

Three recipes from the same backbone, alternating, each run in its own process: the usual tutorial recipe (20 epochs of the
head, 10 of all layers), fastai's `vision_learner` with `fit_one_cycle` (the same epochs; skipped if fastai is not
installed) and `helpers.train`. Reports the seconds to the best accuracy of the usual recipe, the best accuracy and the peak
memory (of the main process; fastai starts others for loading), and the throughput of the loader and the training step,
alone and together. Linux and macOS.
"""

import argparse
import contextlib
import csv
import importlib.util
import io
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch

from benchmarks.usual_recipe import FULL_EPOCHS, HEAD_EPOCHS, mean_min_max, usual_recipe
from helpers.data import data_dir
from helpers.models import initialize_model
from helpers.recipe import Recipe
from helpers.speed import pick_device
from helpers.train import autocast_dtype, build_run, load_images, make_loaders, settle_recipe, train
from helpers.training import run_epoch

matplotlib.use("Agg")


def usual(root: Path, weights: str, seed: int, size: int) -> list[tuple[float, float]]:
    """[(seconds since the start, validation accuracy)], one after every epoch."""
    start = time.perf_counter()
    return [(time.perf_counter() - start, accuracy) for accuracy in usual_recipe(root, weights, seed, size)]


def ours(root: Path, weights: str, seed: int, size: int, **epochs: int) -> list[tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        metrics = train(Recipe(weights=weights, seed=seed, image_size=size, **epochs), root, Path(folder) / "run")
        with open(Path(folder) / "run" / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
    ends = itertools.accumulate((float(row["seconds"]) for row in rows), initial=metrics["load_seconds"])
    return list(zip(list(ends)[1:], (float(row["valid_accuracy"]) for row in rows), strict=True))


def fastai(root: Path, weights: str, seed: int, size: int) -> list[tuple[float, float]]:
    from fastai.vision.all import (
        Callback,
        CrossEntropyLossFlat,
        ImageDataLoaders,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        imagenet_stats,
        models,
        set_seed,
        vision_learner,
    )

    set_seed(seed)
    curve, start = [], time.perf_counter()

    class Note(Callback):
        order = 60  # after the recorder, which has the accuracy

        def after_epoch(self):
            curve.append((time.perf_counter() - start, float(self.learn.recorder.values[-1][-1])))

    transforms = [*aug_transforms(size=size), Normalize.from_stats(*imagenet_stats)]
    loaders = ImageDataLoaders.from_folder(root, valid="valid", item_tfms=Resize(size * 3 // 2), batch_tfms=transforms, bs=128)
    learner = vision_learner(loaders, models.resnet18, metrics=accuracy, pretrained=False, loss_func=CrossEntropyLossFlat())
    backbone = initialize_model("resnet18", 2, True, weights)
    for theirs, own in zip(learner.model[0], list(backbone.children())[:8], strict=True):
        theirs.load_state_dict(own.state_dict())
    learner.add_cb(Note())
    learner.freeze()
    with learner.no_bar():
        learner.fit_one_cycle(HEAD_EPOCHS)
        learner.unfreeze()
        learner.fit_one_cycle(FULL_EPOCHS, slice(1e-5, 1e-3))
    return curve


def head_only(root: Path, weights: str, seed: int, size: int) -> list[tuple[float, float]]:
    """As many epochs of the head as in the usual recipe, on precomputed features."""
    return ours(root, weights, seed, size, head_epochs=HEAD_EPOCHS, full_epochs=0)


RECIPES = {"usual recipe": usual, "fastai": fastai, "helpers.train": ours, "head only": head_only}


def run_alone(name: str, root: Path, weights: str, seed: int, size: int) -> dict:
    """One run in its own process: its curve and its peak memory in MB."""
    line = [sys.executable, "-m", "benchmarks.time_to_accuracy", "--data", root, "--weights", weights, "--image-size", size]
    line += ["--one", name, seed]
    result = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def one(name: str, root: Path, weights: str, seed: int, size: int) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        curve = RECIPES[name](root, weights, seed, size)
    print(json.dumps({"curve": curve, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def seconds_to(curve: list, target: float) -> float:
    """When the curve first reaches the target; infinity if it never does."""
    return next((seconds for seconds, accuracy in curve if accuracy >= target), float("inf"))


def report(runs: dict[str, list[dict]]) -> None:
    targets = [max(accuracy for _, accuracy in run["curve"]) for run in runs["usual recipe"]]
    print("\nmean (min-max) over the seeds; the target is the best accuracy of the usual recipe with the same seed")
    print(f"{'':15}{'seconds to the target':24}{'total seconds':24}{'best accuracy, %':24}peak memory, MB")
    reached = {}
    for name, results in runs.items():
        reached[name] = [seconds_to(run["curve"], target) for run, target in zip(results, targets, strict=True)]
        best = [100 * max(accuracy for _, accuracy in run["curve"]) for run in results]
        total, memory = [run["curve"][-1][0] for run in results], [run["memory"] for run in results]
        columns = "".join(f"{mean_min_max(values, 1):24}" for values in (reached[name], total, best))
        print(f"{name:15}{columns}{statistics.mean(memory):.0f}")
    for name in runs:
        if name != "helpers.train":
            ratios = [a / b for a, b in zip(reached[name], reached["helpers.train"], strict=True)]
            print(f"{name} / helpers.train, seconds to the target: {mean_min_max(ratios, 1)}")


def report_head(runs: dict[str, list[dict]]) -> None:
    pairs = zip(runs["usual recipe"], runs["head only"], strict=True)
    ratios = [usual["curve"][HEAD_EPOCHS - 1][0] / stored["curve"][-1][0] for usual, stored in pairs]
    label = f"{HEAD_EPOCHS} epochs of the head, through the loader / on precomputed features"
    print(f"{label}: {mean_min_max(ratios, 1)} times the seconds")


def throughput(root: Path, weights: str, size: int) -> dict[str, float]:
    """Images per second of one epoch of all layers in `helpers.train`: the loader alone, the step on one batch, both."""
    device = pick_device()
    images, data = load_images(Recipe(weights=weights, image_size=size), root, skip_unreadable=False)
    recipe = settle_recipe(Recipe(weights=weights, image_size=size), data["train_images"], device)
    batches = make_loaders(images, recipe, device)["train"]
    run = build_run(recipe, data, len(batches), device)
    one_batch = next(iter(batches))

    def per_second(work) -> float:
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            count = work()
            seconds.append((time.perf_counter() - start) / count)
        return 1 / min(seconds)

    def step(source) -> int:
        return run_epoch(run.model, source, torch.nn.CrossEntropyLoss(), run.optimizer, precision=autocast_dtype(recipe))[2]

    return {
        "loader alone": per_second(lambda: sum(len(labels) for _, labels in batches)),
        "step alone": per_second(lambda: step([one_batch] * len(batches))),
        "both": per_second(lambda: step(batches)),
    }


def draw(runs: dict[str, list[dict]], path: Path) -> None:
    """Validation accuracy over seconds, one line per run."""
    for (name, results), color, style in zip(runs.items(), ("C0", "C1", "C2"), ("-", "--", ":"), strict=False):
        for number, run in enumerate(results):
            seconds, accuracy = zip(*run["curve"], strict=True)
            plt.plot(seconds, [100 * a for a in accuracy], style, color=color, label=name if number == 0 else None)
    plt.xlabel("seconds, decoding included (logarithmic)")
    plt.ylabel("validation accuracy, %")
    plt.xscale("log")
    plt.legend()
    plt.savefig(path, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time_to_accuracy", description="Seconds to an accuracy.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--weights", default="flora")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="draw the curves into this file")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # recipe and seed, for run_alone
    options = parser.parse_args()
    root = options.data or data_dir()
    if options.one:
        one(options.one[0], root, options.weights, int(options.one[1]), options.image_size)
        return
    setting = root, options.weights
    names = ["usual recipe", "fastai", "helpers.train"]
    if importlib.util.find_spec("fastai") is None:
        print("without fastai: it is not installed (pip install fastai)")
        names.remove("fastai")
    print(f"{root}, torch {torch.__version__}, {torch.get_num_threads()} threads, {options.seeds} seeds", flush=True)
    runs = {name: [] for name in names}
    for seed in range(options.seeds):
        for name in names:
            runs[name].append(run_alone(name, *setting, seed, options.image_size))
            seconds, accuracy = runs[name][-1]["curve"][-1][0], max(a for _, a in runs[name][-1]["curve"])
            print(f"seed {seed}, {name}: {seconds:.1f} s, best {100 * accuracy:.1f} %", flush=True)
    report(runs)
    report_head(
        runs | {"head only": [run_alone("head only", *setting, seed, options.image_size) for seed in range(options.seeds)]}
    )
    for part, speed in throughput(*setting, options.image_size).items():
        print(f"{part:13} {speed:6.0f} images per second")
    if options.plot:
        draw(runs, options.plot)


if __name__ == "__main__":
    main()
