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


def history(*losses):
    return [dict(train_loss=loss, valid_loss=loss, train_accuracy=0.5, valid_accuracy=1.0) for loss in losses]


@pytest.mark.parametrize("losses", [(5.0, 2.0), (50000.0, 2.0), (2.0, float("nan"), 0.001), (float("nan"),)])
def test_every_finite_loss_is_inside_the_figure(losses):
    plot_history({"first": history(3.0, 2.5), "second": history(*losses)})
    loss, accuracy = plt.gcf().axes
    low, high = loss.get_ylim()
    assert low < min(value for value in (*losses, 2.5) if value == value)
    assert high > max(value for value in (*losses, 3.0) if value == value)
    assert accuracy.get_ylim()[1] > 1
    assert all(tick == round(tick) for tick in loss.get_xticks())


def test_a_grid_shows_every_image_with_its_title():
    show_images([np.full((4, 4, 3), 0.1 * i) for i in range(5)], list("abcde"), columns=3)
    shown = [axis for axis in plt.gcf().axes if axis.images]
    assert [axis.get_title() for axis in shown] == list("abcde")
    assert [axis.images[0].get_array()[0, 0, 0] for axis in shown] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_long_titles_are_wrapped():
    show_images([np.zeros((4, 4, 3))], ["hard-leaved pocket orchid, called prince of wales feathers"], size=1.5)
    lines = plt.gcf().axes[0].get_title().splitlines()
    assert len(lines) > 1 and max(map(len, lines)) <= 17


def test_right_and_wrong_predictions_differ_not_only_in_color():
    show_predictions([np.zeros((4, 4, 3))] * 2, ["rose", "lily"], ["rose", "iris"])
    assert [axis.get_title() for axis in plt.gcf().axes] == ["✓ rose\n(rose)", "✗ lily\n(iris)"]


def test_a_figure_becomes_a_frame():
    figure = plt.figure(figsize=(2, 1), dpi=50, facecolor="red")
    frame = figure_to_array()
    assert (frame.shape, frame.dtype) == ((50, 100, 3), np.uint8)
    assert (frame == [255, 0, 0]).all()
    assert not plt.fignum_exists(figure.number)
