"""How well a backbone transfers to a data folder: python -m benchmarks.backbone_transfer [--data DIR] [--weights W ...]

Validation accuracy of a linear probe on frozen features, with all labels and with 40 and 10 training images per class. Each
seed draws the images.
"""

import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.linked_data import link_data
from benchmarks.usual_recipe import mean_min_max
from helpers.data import BatchLoader, data_dir, decode_split, normalize_batch
from helpers.models import initialize_model
from helpers.training import compute_features

LABELS = {"all": None, "40 per class": 40, "10 per class": 10}


def subset(root: Path, target: Path, per_class: int | None, seed: int) -> Path:
    """A data folder with `per_class` random training images of each class (None: all)."""
    rng = np.random.default_rng(seed)
    return link_data(root, target, lambda files: [files[i] for i in sorted(rng.permutation(len(files))[:per_class])])


def features(model: torch.nn.Module, pixels: torch.Tensor) -> np.ndarray:
    """Pooled features of uint8 images, float32 (n, features)."""
    batches = BatchLoader(pixels, torch.zeros(len(pixels)), 256, transform=normalize_batch)
    return compute_features(model, batches)[0].numpy()


def linear_probe(root: Path, weights: str, size: int, architecture: str = "resnet18") -> float:
    """Logistic regression on the standardised features of every training image and its mirror image."""
    torch.manual_seed(0)  # of random weights
    model = initialize_model(architecture, 2, feature_extract=True, weights=weights)
    train_split, valid_split = (decode_split(root, split, size) for split in ("train", "valid"))
    inputs = np.concatenate([features(model, train_split.pixels), features(model, train_split.pixels.flip(3))])
    labels = np.tile(train_split.labels, 2)
    regression = LogisticRegression(C=10 / len(labels), max_iter=500)  # the same regularization for any number of images
    probe = make_pipeline(StandardScaler(), regression).fit(inputs, labels)
    return probe.score(features(model, valid_split.pixels), valid_split.labels)


def probe_draws(root: Path, per_class: int | None, weights: str, size: int, architecture: str, seeds: int) -> list[float]:
    """Accuracies in %, one per draw of `per_class` images; with all images (None) there is nothing to draw."""
    accuracies = []
    for seed in range(seeds if per_class else 1):
        with tempfile.TemporaryDirectory() as folder:
            part = subset(root, Path(folder) / "data", per_class, seed)
            accuracies.append(100 * linear_probe(part, weights, size, architecture))
    return accuracies


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbone_transfer", description="Compare backbones.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--architecture", nargs="+", default=["resnet18", "mobilenet_v3_small"])
    parser.add_argument("--weights", nargs="+", default=["none", "flora"], help="see FLOWER_WEIGHTS; imagenet needs a network")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    root, size = options.data or data_dir(), options.image_size
    print(f"linear probe, validation accuracy in %, mean (min-max) of {options.seeds} seeds")
    print(f"{'':40}" + "".join(f"{labels:20}" for labels in LABELS))
    for architecture, weights in itertools.product(options.architecture, options.weights):
        draws = (probe_draws(root, count, weights, size, architecture, options.seeds) for count in LABELS.values())
        cells = "".join(f"{mean_min_max(accuracies, 1):20}" for accuracies in draws)
        print(f"{architecture + ', ' + Path(weights).name:40}{cells}", flush=True)


if __name__ == "__main__":
    main()
