"""Load a checkpoint alone and name the flowers in pictures."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers.data import IMAGENET_MEAN, IMAGENET_STD, decode_square, normalize_batch
from helpers.images import UserError, image_files
from helpers.models import initialize_model
from helpers.training import load_checkpoint, progress, save_checkpoint, write_atomically


class Predictor(NamedTuple):
    """A trained model with everything needed to use it. classes: folder names in the order of the outputs."""

    model: nn.Module
    classes: list[str]
    names: dict[str, str]
    image_size: int
    mean: tuple  # of the three channels, as in training
    std: tuple


class Prediction(NamedTuple):
    """One guess for one image. label: class folder; name: flower; probability in [0, 1]."""

    file: Path
    label: str
    name: str
    probability: float


def save_model(path: Path, model: nn.Module, classes: Sequence[str], names: dict[str, str], image_size: int, **facts) -> None:
    """Write a checkpoint that needs nothing beside it: weights, classes, names, image size, normalisation, plain facts."""
    tensors = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    content = {
        "architecture": "resnet18",
        "model": tensors,
        "classes": list(classes),
        "names": dict(names),
        "image_size": image_size,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }
    save_checkpoint(path, content | facts)


def load_model(path: Path) -> Predictor:
    """Read a checkpoint written by `save_model`. Raises UserError if it is no such file."""
    content = load_checkpoint(path)
    try:
        model = initialize_model(content["architecture"], len(content["classes"]), feature_extract=False, weights="none")
        model.load_state_dict(content["model"])
        names = {label: content["names"].get(label, label) for label in content["classes"]}
        how = (content["image_size"], tuple(content["mean"]), tuple(content["std"]))
        predictor = Predictor(model.eval(), content["classes"], names, *how)
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not a model of this course ({str(error).splitlines()[0]}): use a best.pt written by helpers.train."
        ) from error
    return predictor


def collect_images(paths: Iterable[Path]) -> list[Path]:
    """The given files, and all images in the given folders. Raises UserError if one does not exist or nothing is found."""
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"There is no file or folder {path}.")
        files += image_files(path) if path.is_dir() else [path]
    if not files:
        raise UserError("There are no images in the given folders.")
    return files


def probabilities(predictor: Predictor, pixels: Tensor) -> Tensor:
    """uint8 (n, 3, size, size) -> float32 (n, classes), each row sums to 1."""
    with torch.inference_mode():
        device = next(predictor.model.parameters()).device
        return predictor.model(normalize_batch(pixels.to(device), predictor.mean, predictor.std)).softmax(1).cpu()


def predict_files(
    predictor: Predictor, files: Sequence[Path], top: int = 5, batch_size: int = 64
) -> tuple[list[list[Prediction]], list[str]]:
    """The `top` most probable flowers of every readable file, best first, and a sentence for every unreadable one."""
    results, problems = [], []
    for start in progress(range(0, len(files), batch_size), "predicting"):
        readable, squares = [], []
        for path in files[start : start + batch_size]:
            try:
                squares.append(decode_square(path, predictor.image_size))
                readable.append(path)
            except UserError as error:
                problems.append(str(error))
        if readable:
            values, indices = probabilities(predictor, torch.stack(squares)).topk(min(top, len(predictor.classes)))
            results += [_predictions(predictor, *row) for row in zip(readable, indices.tolist(), values.tolist(), strict=True)]
    return results, problems


def _predictions(predictor: Predictor, file: Path, indices: list[int], values: list[float]) -> list[Prediction]:
    """Index -> folder -> flower name; an index alone is neither."""
    labels = [predictor.classes[index] for index in indices]
    return [Prediction(file, label, predictor.names[label], value) for label, value in zip(labels, values, strict=True)]


def write_csv(path: Path, results: Sequence[Sequence[Prediction]]) -> None:
    """The best guess for every image: image_id, label, name, probability."""

    def write(temporary: Path) -> None:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", "label", "name", "probability"])
            writer.writerows([g[0].file.as_posix(), g[0].label, g[0].name, f"{g[0].probability:.4f}"] for g in results)

    write_atomically(path, write)
