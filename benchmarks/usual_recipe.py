"""The usual tutorial recipe, the baseline of time_to_accuracy and recipes.

ImageFolder with PIL transforms, float32, 20 epochs of the head with Adam at 1e-2, then 10 epochs of all layers with Adam
at 1e-3, each with StepLR.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from helpers.data import IMAGENET_MEAN, IMAGENET_STD, FlowerFolder
from helpers.models import initialize_model, set_parameter_requires_grad

HEAD_EPOCHS, FULL_EPOCHS = 20, 10


def usual_loaders(root: Path, size: int) -> dict[str, DataLoader]:
    """Training images resized to 1.5 times the size and cropped, validation images resized; batches of 128."""
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    augment = [
        v2.Resize([size * 3 // 2, size * 3 // 2]),
        v2.RandomRotation(45),
        v2.CenterCrop(size),
        v2.RandomHorizontalFlip(0.5),
        v2.RandomVerticalFlip(0.5),
        v2.ColorJitter(0.2, 0.1, 0.1, 0.1),
        v2.RandomGrayscale(0.025),
    ]
    transforms = {"train": v2.Compose(augment + to_tensor), "valid": v2.Compose([v2.Resize([size, size]), *to_tensor])}
    return {
        split: DataLoader(FlowerFolder(root / split, transforms[split]), batch_size=128, shuffle=split == "train")
        for split in ("train", "valid")
    }


def usual_epoch(model: nn.Module, loader: DataLoader, optimizer: torch.optim.Optimizer | None) -> float:
    """One pass, with training if there is an optimizer; returns the accuracy in [0, 1]."""
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


def usual_recipe(root: Path, weights: str, seed: int, size: int) -> Iterator[float]:
    """The usual 20 + 10 epochs at size x size pixels; yields the validation accuracy in [0, 1] after each one."""
    torch.manual_seed(seed)
    loaders = usual_loaders(root, size)
    model = initialize_model("resnet18", len(loaders["train"].dataset.classes), feature_extract=True, weights=weights)
    for frozen, lr, step, epochs in ((True, 1e-2, 10, HEAD_EPOCHS), (False, 1e-3, 7, FULL_EPOCHS)):
        if not frozen:
            set_parameter_requires_grad(model, False)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
        scheduler = StepLR(optimizer, step, gamma=0.1)
        for _ in range(epochs):
            usual_epoch(model, loaders["train"], optimizer)
            yield usual_epoch(model, loaders["valid"], None)
            scheduler.step()


def mean_min_max(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
