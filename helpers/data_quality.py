"""Find what spoils a data set: equal and nearly equal images, and labels that are probably wrong."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from helpers.data import BatchLoader, normalize_batch
from helpers.models import initialize_model
from helpers.speed import choose_precision, pick_device
from helpers.training import compute_features


def image_features(pixels: Tensor, weights: str | None = None) -> tuple[Tensor, Tensor]:
    """Features of images, uint8 (n, 3, size, size), and of their mirror images: float32 (n, 512) each.

    weights: of the ResNet18, see FLOWER_WEIGHTS.
    """
    device = pick_device()
    model = initialize_model("resnet18", 2, feature_extract=True, weights=weights)
    model, precision = model.to(device), choose_precision(device)

    def features(images: Tensor) -> Tensor:
        batches = BatchLoader(images, torch.zeros(len(images)), 256, transform=normalize_batch)
        return compute_features(model, batches, precision)[0]

    return features(pixels), features(pixels.flip(3))


def _unit_rows(features: Tensor, reference: Tensor) -> Tensor:
    """Features standardized by the mean and deviation of `reference`, each row with norm 1: products of rows are cosines."""
    return F.normalize((features - reference.mean(0)) / (reference.std(0) + 1e-6))


# ---- duplicates ----------------------------------------------------------------------------------------------------


def same_files(paths: Sequence[Path]) -> list[list[int]]:
    """Groups of indices of files with the same bytes (SHA-256), two or more in each."""
    groups: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        groups.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), []).append(i)
    return [group for group in groups.values() if len(group) > 1]


def near_duplicates(
    pixels: Tensor, features: Tensor, mirrored: Tensor, min_cosine: float = 0.85, min_correlation: float = 0.92
) -> list[tuple[int, int, float]]:
    """Pairs of images that show the same picture: compressed again, resized, brighter, mirrored or cropped by a tenth.

    pixels: uint8 (n, 3, size, size); features, mirrored: see `image_features`. A pair is reported if each of two measures is
    high: the cosine of the standardized features, for the three nearest neighbors of every image, and the correlation of
    gray thumbnails, of one whole image with crops of the other. Returns (i, j, correlation) with i < j, highest first.
    """
    a, b = _unit_rows(features, features), _unit_rows(mirrored, features)
    thumbnails = _thumbnails(pixels), _thumbnails(pixels.flip(3))
    found = {}
    for rows in torch.arange(len(a)).split(1024):  # not all n x n cosines at once
        cosines = torch.maximum(a[rows] @ a.T, a[rows] @ b.T)
        cosines[torch.arange(len(rows)), rows] = -1
        values, neighbors = cosines.topk(min(3, len(a) - 1))
        for row, of_row in (values >= min_cosine).nonzero().tolist():
            i, j = sorted((int(rows[row]), int(neighbors[row, of_row])))
            if (i, j) not in found:
                found[i, j] = _best_correlation(*thumbnails, i, j)
    pairs = [(i, j, score) for (i, j), score in found.items() if score >= min_correlation]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))


def _thumbnails(pixels: Tensor, side: int = 24) -> Tensor:
    """Gray thumbnails with mean 0 and norm 1, (n, 51, side * side): the whole image and 25 crops at each of two scales."""
    gray, size, crops = pixels.float().mean(1, keepdim=True), pixels.shape[-1], []
    for scale in (1, 0.95, 0.9):
        width = round(scale * size)
        offsets = sorted({(size - width) * step // 4 for step in range(5)})
        crops += [gray[:, :, y : y + width, x : x + width] for y in offsets for x in offsets]
    small = torch.stack([F.interpolate(crop, size=side, mode="area").flatten(1) for crop in crops], 1)
    return F.normalize(small - small.mean(-1, keepdim=True), dim=-1, eps=1e-3)


def _best_correlation(thumbnails: Tensor, mirrored: Tensor, i: int, j: int) -> float:
    """The highest correlation of one whole image with a crop of the other, or with a crop of its mirror image."""
    return max((crops[a] @ thumbnails[b, 0]).max().item() for crops in (thumbnails, mirrored) for a, b in ((i, j), (j, i)))


# ---- labels --------------------------------------------------------------------------------------------------------


def out_of_fold_probabilities(features: Tensor, labels: Tensor, folds: int = 5, seed: int = 0) -> np.ndarray:
    """Class probabilities of every image from a classifier that was not trained on it: float64 (n, classes).

    Linear discriminant analysis with shrinkage on standardized features, cross-validated. With fewer than `folds` images in
    the smallest class there are as many folds as it has images. Raises ValueError if it has fewer than three.
    """
    classifier = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    folds = min(folds, int(torch.bincount(labels).min()))
    if folds < 3:
        raise ValueError("Cross-validation needs three images or more of each class.")
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return cross_val_predict(classifier, features.numpy(), labels.numpy(), cv=split, method="predict_proba")


def rank_by_label_confidence(probabilities: np.ndarray, labels: Tensor) -> np.ndarray:
    """Indices of all images, the most suspicious label first: the one with the lowest probability (Northcutt et al. 2021)."""
    return np.argsort(probabilities[np.arange(len(labels)), labels], kind="stable")


def suspicious_labels(probabilities: np.ndarray, features: Tensor, labels: Tensor, neighbors: int = 10) -> np.ndarray:
    """Indices of labels that are probably wrong, the most suspicious first, by two witnesses that must agree.

    The out-of-fold probability of the label is below 0.001; and of the nearest neighbors in the feature space none has this
    label, but at least half have the class that is most probable.
    """
    unit = _unit_rows(features, features)
    ranked = rank_by_label_confidence(probabilities, labels)
    doubtful = ranked[probabilities[ranked, labels[ranked]] < 1e-3]
    cosines = unit[doubtful] @ unit.T
    cosines[torch.arange(len(doubtful)), doubtful] = -1
    near = labels[cosines.topk(min(neighbors, len(labels) - 1)).indices]
    probable = torch.from_numpy(probabilities.argmax(1))[doubtful]
    agree = (near != labels[doubtful, None]).all(1) & ((near == probable[:, None]).float().mean(1) >= 0.5)
    return doubtful[agree.numpy()]
