"""Write, and safely read, checkpoints and weights files.

best.pt (save_model in helpers/prediction.py): the best weights with classes, names, image size and normalization.
last.pt (Run.state_dict in helpers/train.py): everything that --resume needs besides best.pt.
"""

import csv
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from helpers.base import UserError, write_atomically

# A row per epoch: epoch, train_loss, train_accuracy, valid_loss, valid_accuracy, lr (of the first step) and seconds (of
# wall-clock time since the previous row, including its checkpoint).
History = list[dict]


def save_checkpoint(path: Path, content: dict) -> None:
    """Write tensors and plain values atomically. Raises UserError if the file cannot be written."""

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # given a path, torch.save would not say why it failed
            torch.save(content, file)

    write_atomically(path, write)


def load_checkpoint(path: Path) -> dict:
    """Read a .safetensors file or one written by torch.save onto the CPU; code in the file is never run.

    Raises UserError if the file is missing or damaged, or contains anything but tensors and plain values.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}: check the path, or train a model first.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a damaged file can make its reader raise anything
        problem = f"{path} is damaged or contains more than tensors and plain values, so it was not loaded"
        raise UserError(f"{problem}: use a .safetensors file or a checkpoint of this course.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a checkpoint of this course: it contains a {type(content).__name__}.")
    return content


def rng_state() -> list[Tensor]:
    """The states of torch's random generators: the CPU's and, if there is one, the current GPU's."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])]


def set_rng_state(states: list[Tensor]) -> None:
    """Restore the result of `rng_state`; the state of a GPU that is gone is ignored.

    Processes that train together draw the same numbers, so the state of rank 0 fits all.
    """
    torch.set_rng_state(states[0].cpu())
    if states[1:] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[1].cpu())


def save_history(path: Path, history: History) -> None:
    """Write the history as CSV, one row per epoch."""

    def write(temporary: Path) -> None:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=history[0].keys() if history else ["epoch"])
            writer.writeheader()
            writer.writerows(history)

    write_atomically(path, write)
