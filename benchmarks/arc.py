"""From scratch < frozen < fine-tuned, on the same data and budget: python -m benchmarks.arc [--data DIR]

Each method makes ten passes over the training images: from scratch trains all layers; frozen trains the head, on
precomputed features; fine-tuned trains the head for two passes in that way, then all layers for eight.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.usual_recipe import mean_min_max
from helpers.data import data_dir
from helpers.recipe import Recipe
from helpers.train import train

# views=1: the head, too, sees one augmented view of every image per epoch.
RECIPES = {
    "from scratch": {"weights": "none", "head_epochs": 0, "full_epochs": 10},
    "frozen": {"weights": "flora", "head_epochs": 10, "full_epochs": 0, "views": 1},
    "fine-tuned": {"weights": "flora", "head_epochs": 2, "full_epochs": 8, "views": 1},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arc", description="From scratch, frozen, fine-tuned.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    root = options.data or data_dir()
    print(f"validation accuracy in %, mean (min-max) of {options.seeds} seeds")
    for name, settings in RECIPES.items():
        accuracies = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                metrics = train(Recipe(seed=seed, **settings), root, Path(folder) / "run")
                accuracies.append(100 * metrics["best_valid_accuracy"])
        print(f"{name:13} {mean_min_max(accuracies, 1)}", flush=True)


if __name__ == "__main__":
    main()
