"""The figures that several notebooks share, in one style: importing this module sets it for all figures."""

import io
import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from helpers.checkpoints import History

RIGHT, WRONG = "#1a7f37", "#c62828"
STYLE = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
plt.style.use(["tableau-colorblind10", STYLE])


def show_grid(images: Sequence, titles: Sequence[str], columns: int, size: float, colors: Sequence[str] = ()) -> None:
    """Images under their titles, which are wrapped; size: width of an image in inches; colors: of the titles."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    wrapped = ["\n".join(textwrap.fill(line, round(11 * size)) for line in title.splitlines()) for title in titles]
    lines = max((title.count("\n") + 1 for title in wrapped), default=0)
    _, axes = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.17 * lines) * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(np.asarray(image))
        if titles:
            axis.set_title(wrapped[i], fontsize=9, color=colors[i] if colors else "black")
    plt.show()


def show_images(images: Sequence, titles: Sequence[str] = (), columns: int = 6, size: float = 1.7) -> None:
    """A grid of images: PIL images or arrays (height, width, 3), uint8 or in [0, 1]; at least one."""
    show_grid(images, titles, columns, size)


def plot_history(runs: dict[str, History]) -> None:
    """Learning curves: loss (logarithmic) and accuracy per epoch, train dashed and valid solid with dots, one color per run."""
    _, axes = plt.subplots(1, 2, figsize=(10, 3.5))
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for number, (label, history) in enumerate(runs.items()):
            epochs = range(1, len(history) + 1)
            axis.plot(epochs, [row[f"train_{quantity}"] for row in history], "--", color=f"C{number}", alpha=0.6)
            axis.plot(epochs, [row[f"valid_{quantity}"] for row in history], "o-", color=f"C{number}", ms=3, label=label)
        axis.set(xlabel="epoch", ylabel=quantity)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_yscale("log")  # the first epoch from scratch can have a huge loss
    axes[1].set_ylim(0, 1.02)
    axes[0].legend(title="dashed: train, solid: valid")
    plt.show()


def show_predictions(images: Sequence, predicted: Sequence[str], true: Sequence[str], columns: int = 6) -> None:
    """A grid of images titled "predicted (true)": green with a tick if correct, red with a cross if wrong."""
    right = [guess == truth for guess, truth in zip(predicted, true, strict=True)]
    titles = [f"{'✓' if ok else '✗'} {guess}\n({truth})" for ok, guess, truth in zip(right, predicted, true, strict=True)]
    show_grid(images, titles, columns, 1.8, [RIGHT if ok else WRONG for ok in right])


def plot_counts(counts: dict[str, int], title: str) -> None:
    """A bar chart of the number of images per class, in descending order."""
    values = sorted(counts.values(), reverse=True)
    _, axis = plt.subplots(figsize=(9, 2.6))
    axis.bar(range(len(values)), values, color="C0")
    axis.set(xlabel="classes, most frequent first", ylabel="images", title=title)
    plt.show()


class Animation:
    """Images that a notebook shows as an animated PNG, which is also visible on repository pages and in exported HTML.

    frames: uint8 arrays (height, width, 3) of one size. milliseconds: how long each is shown.
    """

    def __init__(self, frames: Sequence[np.ndarray], milliseconds: int):
        self.frames, self.milliseconds = frames, milliseconds

    def __repr__(self) -> str:
        return f"animation of {len(self.frames)} frames"

    def _repr_png_(self) -> bytes:  # Jupyter asks for it
        first, *others = map(Image.fromarray, self.frames)
        stream = io.BytesIO()
        first.save(stream, "PNG", save_all=True, append_images=others, duration=self.milliseconds, loop=0)
        return stream.getvalue()


def figure_to_array() -> np.ndarray:
    """The current figure as uint8 (height, width, 3), for one frame of an animation; the figure is closed."""
    figure = plt.gcf()
    figure.canvas.draw()
    frame = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
    plt.close(figure)
    return frame
