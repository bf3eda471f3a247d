"""Load a trained model and predict the flowers in images."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers.base import UserError, write_atomically
from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.data import IMAGENET_MEAN, IMAGENET_STD, decode_files, normalize_batch
from helpers.images import image_files
from helpers.models import initialize_model
from helpers.training import progress


class Predictor(NamedTuple):
    """A trained model with everything needed to use it. classes: folder names in the order of the logits."""

    model: nn.Module
    classes: list[str]
    names: dict[str, str]  # folder name -> flower name
    image_size: int
    mean: tuple[float, ...]  # per RGB channel, as in training
    std: tuple[float, ...]


class Prediction(NamedTuple):
    """One predicted class of one image. label: folder name; name: flower name; probability in [0, 1]."""

    file: Path
    label: str
    name: str
    probability: float


def save_model(path: Path, model: nn.Module, classes: Sequence[str], names: dict[str, str], image_size: int, **facts) -> None:
    """Write a self-contained checkpoint: weights, classes, names, image size, normalization, architecture.

    facts: more plain values, or another architecture than the default resnet18.
    """
    content = {
        "architecture": "resnet18",
        "model": {name: value.detach().cpu() for name, value in model.state_dict().items()},
        "classes": list(classes),
        "names": dict(names),
        "image_size": image_size,
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    }
    save_checkpoint(path, content | facts)


def load_model(path: Path) -> Predictor:
    """Read a checkpoint written by `save_model`. Raises UserError if it is missing, damaged or of another kind."""
    content = load_checkpoint(path)
    try:
        model = initialize_model(content["architecture"], len(content["classes"]), feature_extract=False, weights="none")
        model.load_state_dict(content["model"])
        names = {label: content["names"].get(label, label) for label in content["classes"]}
        inputs = (content["image_size"], tuple(content["mean"]), tuple(content["std"]))
        return Predictor(model.eval(), content["classes"], names, *inputs)
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} is not a model of this course ({reason}): use a best.pt written by helpers.train.") from error


def collect_images(paths: Iterable[Path]) -> list[Path]:
    """The given files, and all images in the given folders. Raises UserError if a path does not exist or there are none."""
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"There is no file or folder {path}.")
        files += image_files(path) if path.is_dir() else [path]
    if not files:
        raise UserError("There are no images in the given folders.")
    return files


def predict_proba(predictor: Predictor, pixels: Tensor) -> Tensor:
    """Class probabilities: uint8 (n, 3, size, size) -> float32 (n, classes) on the CPU, each row sums to 1."""
    with torch.inference_mode():
        device = next(predictor.model.parameters()).device
        return predictor.model(normalize_batch(pixels.to(device), predictor.mean, predictor.std)).softmax(1).cpu()


def predict_files(
    predictor: Predictor, files: Sequence[Path], top: int = 5, batch_size: int = 64
) -> tuple[list[list[Prediction]], list[str]]:
    """The `top` most probable classes of every readable file, best first, and an error message for every other file."""
    results, messages = [], []
    for start in progress(range(0, len(files), batch_size), "predicting"):
        batch = files[start : start + batch_size]
        pixels, errors = decode_files(batch, predictor.image_size)
        messages += [errors[i] for i in sorted(errors)]
        readable = [i for i in range(len(batch)) if i not in errors]
        if readable:
            rows = predict_proba(predictor, pixels[readable]).topk(min(top, len(predictor.classes)))
            for i, values, indices in zip(readable, rows.values.tolist(), rows.indices.tolist(), strict=True):
                labels = [predictor.classes[index] for index in indices]  # index -> folder name -> flower name
                guesses = zip(labels, values, strict=True)
                results.append([Prediction(batch[i], label, predictor.names[label], value) for label, value in guesses])
    return results, messages


def write_csv(path: Path, results: Sequence[Sequence[Prediction]]) -> None:
    """The most probable class of every image as CSV: image_id, label, name, probability."""

    def write(temporary: Path) -> None:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", "label", "name", "probability"])
            writer.writerows([g[0].file.as_posix(), g[0].label, g[0].name, f"{g[0].probability:.4f}"] for g in results)

    write_atomically(path, write)
