"""Does the default recipe hold everywhere? python -m benchmarks.recipes FILE --data DIR [DIR ...]

For every data folder, image size and number of training images per class: a linear probe on the frozen features, the usual
tutorial recipe, fastai's `fit_one_cycle` (if it is installed) and the defaults of `helpers.train`, with several seeds. A seed
also draws the images. Every run is one line of FILE; started again with the same FILE, the benchmark continues.
"""

import argparse
import importlib.util
import itertools
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.backbone_transfer import linear_probe, subset
from benchmarks.time_to_accuracy import run_alone
from benchmarks.usual_recipe import mean_min_max

RECIPES = ["linear probe", "usual recipe", "fastai", "helpers.train"]


def measure(recipe: str, root: Path, weights: str, size: int, seed: int) -> dict:
    """Best validation accuracy in % and seconds of one run; a probe has no seconds."""
    if recipe == "linear probe":
        return {"accuracy": 100 * linear_probe(root, weights, size)}
    curve = run_alone(recipe, root, weights, seed, size)["curve"]
    return {"accuracy": 100 * max(accuracy for _, accuracy in curve), "seconds": curve[-1][0]}


def run_all(options: argparse.Namespace) -> list[dict]:
    """All runs, those in the file and the missing ones, which are appended to it as they come."""
    rows = [json.loads(line) for line in options.file.read_text().splitlines()] if options.file.exists() else []
    names = [name for name in RECIPES if name != "fastai" or importlib.util.find_spec("fastai")]
    # The seed varies slowest: the other runs of a seed are then a complete table, and recipes alternate.
    for seed, size, data, images in itertools.product(
        range(options.seeds), options.image_size, options.data, options.per_class
    ):
        with tempfile.TemporaryDirectory() as folder:
            part = subset(data, Path(folder) / "data", images or None, seed)
            for recipe in names:
                case = {"data": data.name, "size": size, "per_class": images, "seed": seed, "recipe": recipe}
                if not any(case.items() <= row.items() for row in rows):
                    rows.append(case | measure(recipe, part, options.weights, size, seed))
                    print(rows[-1], flush=True)
                    with open(options.file, "a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    return rows


def report(rows: list[dict]) -> None:
    """One line of the table per setting that is complete, and the smallest margins over all of them."""
    print("| data | pixels | per class | " + " | ".join(RECIPES) + " | seconds | times faster |")
    print("|---" * (len(RECIPES) + 5) + "|")
    settings = sorted({(row["data"], row["size"], row["per_class"]) for row in rows})
    above_probe, above_usual, ratios = [], [], []
    for data, size, images in settings:
        runs = [row for row in rows if (row["data"], row["size"], row["per_class"]) == (data, size, images)]
        best = {name: [row["accuracy"] for row in runs if row["recipe"] == name] for name in RECIPES}
        seconds = {name: [row["seconds"] for row in runs if row["recipe"] == name] for name in RECIPES[1:]}
        mean = {name: statistics.mean(values) for name, values in best.items() if values}
        if not {"linear probe", "usual recipe", "helpers.train"} <= mean.keys():
            continue  # the benchmark was stopped within this setting
        above_probe.append(mean["helpers.train"] - mean["linear probe"])
        above_usual.append(mean["helpers.train"] - mean["usual recipe"])
        ratios.append(statistics.mean(seconds["usual recipe"]) / statistics.mean(seconds["helpers.train"]))
        cells = [mean_min_max(values, 1) if values else "" for values in best.values()]
        cells += [mean_min_max(seconds["helpers.train"], 1), f"{ratios[-1]:.1f}"]
        print(f"| {data} | {size} | {images or 'all'} | " + " | ".join(cells) + " |")
    for name, margins in (("linear probe", above_probe), ("usual recipe", above_usual)):
        print(f"points above the {name}: mean {statistics.mean(margins):.1f}, smallest {min(margins):.1f}")
    print(f"times faster than the usual recipe: smallest {min(ratios):.1f}, largest {max(ratios):.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description="Compare recipes on several sets.")
    parser.add_argument("file", type=Path, help="JSON lines, one per run; an existing file is continued")
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", default="flora")
    parser.add_argument("--image-size", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--per-class", type=int, nargs="+", default=[10, 30, 0], help="training images; 0: all")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    report(run_all(options))


if __name__ == "__main__":
    main()
