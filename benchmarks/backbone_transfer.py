"""How well a backbone transfers to a data folder: python -m benchmarks.backbone_transfer [--data DIR] [--image-size 64]

For a random backbone, the bundled one (flora) and torchvision's ImageNet one (if it is available): validation accuracy of
a linear probe on frozen features and of fine-tuning, with all labels and with 40 and 10 images per class. Each seed draws
the images, the head and the order of the batches. Fine-tuning random weights is training from scratch.
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.linked_data import link_data
from benchmarks.usual_recipe import mean_min_max
from helpers.base import UserError
from helpers.data import BatchLoader, data_dir, decode_split, normalize_batch
from helpers.images import image_files
from helpers.models import initialize_model
from helpers.recipe import Recipe
from helpers.train import train
from helpers.training import compute_features

BACKBONES = {"random": "none", "flora": "flora", "imagenet": "imagenet"}
LABELS = {"all": None, "40 per class": 40, "10 per class": 10}
EPOCHS, MIN_STEPS, BATCH_SIZE = 12, 120, 64  # of fine-tuning; small sets get more epochs


def subset(root: Path, target: Path, per_class: int | None, seed: int) -> Path:
    """A data folder with `per_class` random training images of each class (None: all)."""
    rng = np.random.default_rng(seed)
    return link_data(root, target, lambda files: [files[i] for i in sorted(rng.permutation(len(files))[:per_class])])


def features(model: torch.nn.Module, pixels: torch.Tensor) -> np.ndarray:
    """Pooled features of uint8 images, float32 (n, 512)."""
    batches = BatchLoader(pixels, torch.zeros(len(pixels)), 256, transform=normalize_batch)
    return compute_features(model, batches)[0].numpy()


def linear_probe(root: Path, weights: str, size: int, seed: int) -> float:
    """Logistic regression on the standardised features of every training image and its mirror image."""
    torch.manual_seed(seed)
    model = initialize_model("resnet18", 2, feature_extract=True, weights=weights)
    train_split, valid_split = (decode_split(root, split, size) for split in ("train", "valid"))
    inputs = np.concatenate([features(model, train_split.pixels), features(model, train_split.pixels.flip(3))])
    labels = np.tile(train_split.labels, 2)
    regression = LogisticRegression(C=10 / len(labels), max_iter=500)  # the same regularization for any number of images
    probe = make_pipeline(StandardScaler(), regression).fit(inputs, labels)
    return probe.score(features(model, valid_split.pixels), valid_split.labels)


def fine_tune(root: Path, weights: str, size: int, seed: int) -> float:
    """Best validation accuracy of `helpers.train`: first the head, unless the weights are random, then all layers."""
    images = sum(len(image_files(folder)) for folder in (root / "train").iterdir())
    recipe = Recipe(
        weights=weights,
        head_epochs=0 if weights == "none" else 20,
        full_epochs=max(EPOCHS, -(-MIN_STEPS // -(-images // BATCH_SIZE))),
        image_size=size,
        batch_size=BATCH_SIZE,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()):
        return train(recipe, root, Path(out) / "run")["best_valid_accuracy"]


def measure(root: Path, backbones: dict, size: int, seeds: int) -> dict:
    """{(labels, task, backbone): one accuracy per seed}, printed as they come."""
    results: dict = {}
    for seed in range(seeds):
        for labels, per_class in LABELS.items():
            with tempfile.TemporaryDirectory() as folder:
                part = subset(root, Path(folder) / "data", per_class, seed)
                for task in (linear_probe, fine_tune):
                    for backbone, weights in backbones.items():
                        accuracy = 100 * task(part, weights, size, seed)
                        results.setdefault((labels, task.__name__, backbone), []).append(accuracy)
                        print(f"seed {seed}, {labels}, {task.__name__}, {backbone}: {accuracy:.1f}", flush=True)
    return results


def available() -> dict[str, str]:
    """The backbones to compare; ImageNet's only if its file is here or can be downloaded."""
    backbones = dict(BACKBONES)
    try:
        initialize_model("resnet18", 2, True, "imagenet")
    except UserError as error:
        print(f"without imagenet: {error}")
        del backbones["imagenet"]
    return backbones


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backbone_transfer", description="Compare backbones.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    backbones = available()
    results = measure(options.data or data_dir(), backbones, options.image_size, options.seeds)
    print(f"\nvalidation accuracy in %, mean (min-max) of {options.seeds} seeds")
    print(f"{'':28}" + "".join(f"{backbone:24}" for backbone in backbones))
    for labels in LABELS:
        for task in ("linear_probe", "fine_tune"):
            rows = [results[labels, task, backbone] for backbone in backbones]
            print(f"{labels + ', ' + task:28}" + "".join(f"{mean_min_max(row, 1):24}" for row in rows))


if __name__ == "__main__":
    main()
