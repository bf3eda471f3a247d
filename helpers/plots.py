"""The figures that several notebooks share."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from helpers.checkpoints import History

RIGHT, WRONG = "#1a7f37", "#c62828"


def show_images(images: Sequence, titles: Sequence[str] | None = None, columns: int = 6, size: float = 1.7) -> None:
    """A grid of images: PIL images or arrays (height, width, 3), uint8 or in [0, 1]; at least one."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.25) * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(np.asarray(image))
        if titles:
            axis.set_title(titles[i], fontsize=8)
    figure.tight_layout()
    plt.show()


def plot_history(runs: dict[str, History]) -> None:
    """Learning curves: loss and accuracy per epoch, train dashed and valid solid with dots, one color per run."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5))
    for number, (label, history) in enumerate(runs.items()):
        epochs = range(1, len(history) + 1)
        for axis, quantity in ((left, "loss"), (right, "accuracy")):
            axis.plot(epochs, [row[f"train_{quantity}"] for row in history], "--", color=f"C{number}", alpha=0.6)
            axis.plot(epochs, [row[f"valid_{quantity}"] for row in history], "o-", color=f"C{number}", ms=3, label=label)
            axis.set(xlabel="epoch", ylabel=quantity)
            axis.xaxis.get_major_locator().set_params(integer=True)
    right.set_ylim(0, 1)
    # The first epoch from scratch can have a huge loss: keep the axis readable.
    losses = [row["train_loss"] for history in runs.values() for row in history]
    left.set_ylim(0, 1.4 * max([loss for loss in losses if math.isfinite(loss)], default=1.0))
    left.legend(title="dashed: train, solid: valid", fontsize=8, title_fontsize=8)
    figure.tight_layout()
    plt.show()


def show_predictions(images: Sequence, predicted: Sequence[str], true: Sequence[str], columns: int = 6) -> None:
    """A grid of images titled "predicted (true)": green with a tick if correct, red with a cross if wrong."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.9 * columns, 2.4 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, guess, truth in zip(axes.flat, images, predicted, true, strict=False):
        right = guess == truth
        axis.imshow(np.asarray(image))
        title = f"{'✓' if right else '✗'} {guess}\n({truth})"
        axis.set_title(title, fontsize=8, color=RIGHT if right else WRONG, weight="normal" if right else "bold")
    figure.tight_layout()
    plt.show()


def plot_counts(counts: dict[str, int], title: str) -> None:
    """A bar chart of the number of images per class, in descending order."""
    values = sorted(counts.values(), reverse=True)
    figure, axis = plt.subplots(figsize=(9, 2.6))
    axis.bar(range(len(values)), values, color="C0")
    axis.set(xlabel="classes, most frequent first", ylabel="images", title=title)
    figure.tight_layout()
    plt.show()


def figure_to_array() -> np.ndarray:
    """The current figure as uint8 (height, width, 3), for one frame of an animation; the figure is closed."""
    figure = plt.gcf()
    figure.canvas.draw()
    frame = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    plt.close(figure)
    return frame
