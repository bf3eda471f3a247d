"""The usual tutorial recipe beside `helpers.train`, in the same run: python -m benchmarks.usual_recipe --data DIR

The recipe as tutorials write it: ImageFolder with PIL transforms, float32, 20 epochs for the head with Adam 1e-2, then 10
epochs for all layers with Adam 1e-3, each with StepLR. Ours: `python -m helpers.train` with its defaults. Both start from
the same backbone file. They alternate, seed by seed; the table shows seconds and best validation accuracy.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from helpers import train
from helpers.data import IMAGENET_MEAN, IMAGENET_STD, FlowerFolder, data_dir
from helpers.models import initialize_model, set_parameter_requires_grad


def usual_loaders(root: Path) -> dict[str, DataLoader]:
    """Training at 96 -> 64 pixels with augmentation, validation squeezed to 64 x 64, batches of 128, no workers."""
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    augment = [
        v2.Resize([96, 96]),
        v2.RandomRotation(45),
        v2.CenterCrop(64),
        v2.RandomHorizontalFlip(0.5),
        v2.RandomVerticalFlip(0.5),
        v2.ColorJitter(0.2, 0.1, 0.1, 0.1),
        v2.RandomGrayscale(0.025),
    ]
    transforms = {"train": v2.Compose(augment + to_tensor), "valid": v2.Compose([v2.Resize([64, 64]), *to_tensor])}
    return {
        split: DataLoader(FlowerFolder(root / split, transforms[split]), batch_size=128, shuffle=split == "train")
        for split in ("train", "valid")
    }


def usual_epoch(model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer | None) -> float:
    """One pass, training if there is an optimizer; returns the accuracy in [0, 1]."""
    model.train(optimizer is not None)
    correct = 0
    with torch.set_grad_enabled(optimizer is not None):
        for inputs, labels in loader:
            outputs = model(inputs)
            if optimizer:
                optimizer.zero_grad()
                nn.functional.cross_entropy(outputs, labels).backward()
                optimizer.step()
            correct += (outputs.argmax(1) == labels).sum().item()
    return correct / len(loader.dataset)


def usual_recipe(root: Path, weights: str, seed: int) -> dict[str, float]:
    """The usual 20 + 10 epochs; seconds of both phases and the best validation accuracy."""
    torch.manual_seed(seed)
    start = time.perf_counter()
    loaders = usual_loaders(root)
    model = initialize_model("resnet18", len(loaders["train"].dataset.classes), feature_extract=True, weights=weights)
    best = 0.0
    for frozen, rate, step, epochs in ((True, 1e-2, 10, 20), (False, 1e-3, 7, 10)):
        if not frozen:
            set_parameter_requires_grad(model, False)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
        scheduler = StepLR(optimizer, step, gamma=0.1)
        for _ in range(epochs):
            usual_epoch(model, loaders["train"], optimizer)
            best = max(best, usual_epoch(model, loaders["valid"], None))
            scheduler.step()
    return {"seconds": time.perf_counter() - start, "accuracy": best}


def ours(root: Path, weights: str, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        options = train.parse(["--data", str(root), "--out", folder + "/run", "--weights", weights, "--seed", str(seed)])
        metrics = train.train(options)
        return {"seconds": time.perf_counter() - start, "accuracy": metrics["best_valid_accuracy"]}


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.usual_recipe", description="The usual recipe beside ours.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--weights", default="flora")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    root = options.data or data_dir()
    rows = {"usual recipe": [], "helpers.train": []}
    for seed in range(options.seeds):
        rows["usual recipe"].append(usual_recipe(root, options.weights, seed))
        rows["helpers.train"].append(ours(root, options.weights, seed))
        print(f"seed {seed}:", {name: results[-1] for name, results in rows.items()}, flush=True)
    print(
        f"\n{root}, torch {torch.__version__}, {torch.get_num_threads()} threads, {options.seeds} seeds: mean (least to most)"
    )
    for name, results in rows.items():
        accuracy = spread([100 * row["accuracy"] for row in results], 1)
        print(f"{name:14} {spread([row['seconds'] for row in results], 1):24} s   {accuracy} % valid accuracy")
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(*rows.values(), strict=True)]
    print(f"times faster   {spread(ratios, 2)}")


if __name__ == "__main__":
    main()
