"""The training recipe: every setting of a run, with the defaults that the course recommends."""

import argparse
import math
import os
import platform
from dataclasses import dataclass, field, fields, replace
from importlib import metadata

from helpers import __version__
from helpers.base import UserError

HEAD_STEPS, FULL_STEPS = 300, 90  # at least, if the number of epochs is left open


def default_weights() -> str:
    """The value of FLOWER_WEIGHTS: flora (the bundled backbone), imagenet, none, or a path; flora if it is not set."""
    return os.environ.get("FLOWER_WEIGHTS") or "flora"


def setting(default, help: str):
    """A field with a default and the help text that the command line shows."""
    how = {"default_factory": default} if callable(default) else {"default": default}
    return field(**how, metadata={"help": help})


@dataclass(frozen=True)
class Recipe:
    """All settings of `helpers.train`. Raises UserError if a value is out of range.

    Where the default is None, `for_images` chooses.

    First the head is trained on precomputed features, then all layers are fine-tuned (LP-FT, Kumar et al. 2022), both with
    AdamW and a one-cycle schedule of learning rate and momentum (Smith and Topin 2018). In fine-tuning, the batch norms of
    pretrained weights stay frozen, and an exponential moving average (EMA) of the weights is validated and saved: it
    performs well while the learning rate is still high, so fewer epochs suffice (compare SWA, Izmailov et al. 2018).
    """

    architecture: str = setting("resnet18", "a key of helpers.models.MODELS")
    weights: str = setting(default_weights, "flora (bundled), imagenet, none or a file (default: FLOWER_WEIGHTS or flora)")
    head_epochs: int = setting(None, "epochs of the head alone")
    full_epochs: int = setting(None, "fine-tuning epochs (all layers)")
    head_lr: float = setting(1e-2, "peak learning rate of the head")
    full_lr: float = setting(1e-3, "peak learning rate of all layers")
    weight_decay: float = setting(0.05, "of fine-tuning; biases and norms are not decayed")
    label_smoothing: float = setting(0.1, "of the cross-entropy in fine-tuning, from 0 to below 1")
    ema_decay: float = setting(0.9, "decay per step of the moving average (EMA) of the weights, from 0 (none) to below 1")
    views: int = setting(2, "augmented views of each image whose features train the head")
    image_size: int = setting(64, "pixels, at least 32")
    batch_size: int = setting(None, "images per step, at least 2")
    precision: str = setting("auto", "float32, bfloat16, or auto: whichever is measured to be faster")
    seed: int = setting(0, "seed of the random generators")

    def __post_init__(self):
        rules = {
            "head_epochs": (self.head_epochs is None or self.head_epochs >= 0, "0 or more"),
            "full_epochs": (self.full_epochs is None or self.full_epochs >= 0, "0 or more"),
            "head_lr": (self.head_lr > 0, "above 0"),
            "full_lr": (self.full_lr > 0, "above 0"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "from 0 to below 1"),
            "ema_decay": (0 <= self.ema_decay < 1, "from 0 to below 1"),
            "views": (self.views >= 1, "1 or more"),
            "image_size": (self.image_size >= 32, "32 or more"),
            "batch_size": (self.batch_size is None or self.batch_size >= 2, "2 or more"),
            "precision": (self.precision in ("auto", "float32", "bfloat16"), "auto, float32 or bfloat16"),
        }
        for name, (valid, allowed) in rules.items():
            if not valid:
                raise UserError(f"{name} is {getattr(self, name)!r}, but it must be {allowed}.")
        if self.head_epochs == self.full_epochs == 0:
            raise UserError("head_epochs and full_epochs are 0, but a run has at least one epoch: leave one of them out.")

    def for_images(self, n: int) -> "Recipe":
        """The recipe for n training images: the batch size and epochs that were left open (None) follow from n.

        What counts is the number of steps, so a small set gets smaller batches and more epochs.
        """
        batch_size = self.batch_size or min(64, max(16, 2 ** round(math.log2(n / 12))))
        steps = math.ceil(n / batch_size)  # of an epoch of all layers
        head_epochs, full_epochs = self.head_epochs, self.full_epochs
        if head_epochs is None:
            head_epochs = max(10, math.ceil(HEAD_STEPS / (steps * self.views)))
        if full_epochs is None:
            full_epochs = max(6, math.ceil(FULL_STEPS / steps))
        return replace(self, batch_size=batch_size, head_epochs=head_epochs, full_epochs=full_epochs)


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """One option for every field of the recipe: --head-epochs for head_epochs."""
    for each in fields(Recipe):
        default = getattr(Recipe(), each.name)
        shown = "from the number of images" if default is None else default
        suffix = "" if "default" in each.metadata["help"] else f" (default: {shown})"
        option, text = f"--{each.name.replace('_', '-')}", each.metadata["help"] + suffix
        kind = int if default is None else type(default)
        parser.add_argument(option, type=kind, default=default, help=text)


def recipe_from(options: argparse.Namespace) -> Recipe:
    """The recipe that the parsed options describe. Raises UserError if a value is out of range."""
    return Recipe(**{each.name: getattr(options, each.name) for each in fields(Recipe)})


def versions() -> dict[str, str]:
    """The versions on which a result depends."""
    packages = {name: metadata.version(name) for name in ("torch", "torchvision", "pillow")}
    return {"course": __version__, "python": platform.python_version(), **packages}
