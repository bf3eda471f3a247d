"""The figures that several notebooks draw."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from helpers.plots import figure_to_array, plot_history, show_images, show_predictions

mpl.use("Agg")


@pytest.fixture(autouse=True)
def figures_stay(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    yield
    plt.close("all")


@pytest.mark.parametrize(("losses", "top"), [([5.0, 2.0], 7.0), ([2.0, float("nan")], 2.8), ([float("nan")], 1.4)])
def test_the_losses_are_drawn_even_if_one_is_not_a_number(losses, top):
    rows = [dict(train_loss=loss, valid_loss=loss, train_accuracy=0.5, valid_accuracy=0.5) for loss in losses]
    plot_history({"run": rows})
    left = plt.gcf().axes[0]
    assert left.get_ylim() == (0, pytest.approx(top))


def test_a_grid_shows_every_image_with_its_title():
    show_images([np.full((4, 4, 3), 0.1 * i) for i in range(5)], list("abcde"), columns=3)
    shown = [axis for axis in plt.gcf().axes if axis.images]
    assert [axis.get_title() for axis in shown] == list("abcde")
    assert [axis.images[0].get_array()[0, 0, 0] for axis in shown] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_right_and_wrong_predictions_differ_not_only_in_color():
    show_predictions([np.zeros((4, 4, 3))] * 2, ["rose", "lily"], ["rose", "iris"])
    assert [axis.get_title() for axis in plt.gcf().axes] == ["✓ rose\n(rose)", "✗ lily\n(iris)"]


def test_a_figure_becomes_a_frame():
    figure = plt.figure(figsize=(2, 1), dpi=50, facecolor="red")
    frame = figure_to_array()
    assert (frame.shape, frame.dtype) == ((50, 100, 3), np.uint8)
    assert (frame == [255, 0, 0]).all()
    assert not plt.fignum_exists(figure.number)
