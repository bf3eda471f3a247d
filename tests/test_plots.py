"""The figures that several notebooks draw."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from helpers.plots import plot_history

mpl.use("Agg")


@pytest.mark.parametrize(("losses", "top"), [([5.0, 2.0], 7.0), ([2.0, float("nan")], 2.8), ([float("nan")], 1.4)])
def test_the_losses_are_drawn_even_if_one_is_not_a_number(losses, top, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    rows = [dict(train_loss=loss, valid_loss=loss, train_accuracy=0.5, valid_accuracy=0.5) for loss in losses]
    plot_history({"run": rows})
    left = plt.gcf().axes[0]
    assert left.get_ylim() == (0, pytest.approx(top))
    plt.close("all")
