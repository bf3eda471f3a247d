"""From scratch < frozen < fine-tuned, on the same data and budget: python -m benchmarks.arc [--data DIR]

Every way goes ten times through the training images: from scratch trains all layers; frozen trains the head, on features
stored once; fine-tuned trains the head twice in that way, then all layers eight times.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.usual_recipe import spread
from helpers import train
from helpers.data import data_dir

WAYS = {
    "from scratch": ["--weights", "none", "--head-epochs", "0", "--full-epochs", "10"],
    "frozen": ["--weights", "flora", "--head-epochs", "10", "--full-epochs", "0"],
    "fine-tuned": ["--weights", "flora", "--head-epochs", "2", "--full-epochs", "8"],
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arc", description="From scratch, frozen, fine-tuned.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    root = options.data or data_dir()
    train.VIEWS = 1  # the head, too, sees one augmented view of every image in an epoch
    for name, arguments in WAYS.items():
        accuracies = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                line = ["--data", str(root), "--out", folder + "/run", "--seed", str(seed), *arguments]
                accuracies.append(100 * train.train(train.parse(line))["best_valid_accuracy"])
        print(
            f"{name:13} {spread(accuracies, 1)} % valid accuracy, {options.seeds} seeds: mean (least to most)",
            flush=True,
        )


if __name__ == "__main__":
    main()
