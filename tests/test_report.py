"""Measured numbers as notebooks print them."""

import configparser
import re

import pytest

from helpers.base import PROJECT
from helpers.report import claim, show_table, spread


def masked(text: str) -> str:
    """The text as nbval compares it."""
    parser = configparser.ConfigParser()
    parser.read(PROJECT / "notebooks" / "nbval_sanitize.cfg")
    return re.sub(parser["measured number"]["regex"], parser["measured number"]["replace"], text)


def test_the_spread_is_mean_minimum_and_maximum():
    assert spread([0.5, 0.75, 0.25]) == "≈0.500 (≈0.250 to ≈0.750)"
    assert spread([12.0], digits=1) == "≈12.0 (≈12.0 to ≈12.0)"


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    [
        (0.1, {"at_least": 0.05}, "expected at least 0.05: holds"),
        (0.05, {"at_least": 0.05}, "expected at least 0.05: holds"),
        (0.04, {"at_least": 0.05}, "expected at least 0.05: does not hold here"),
        (0.1, {"at_most": 0.1}, "expected at most 0.1: holds"),
        (0.2, {"at_most": 0.1}, "expected at most 0.1: does not hold here"),
        (0.2, {"at_least": 0.1, "at_most": 0.3}, "expected at least 0.1 and at most 0.3: holds"),
        (0.4, {"at_least": 0.1, "at_most": 0.3}, "expected at least 0.1 and at most 0.3: does not hold here"),
        (float("nan"), {"at_least": 0.1}, "expected at least 0.1: does not hold here"),
    ],
)
def test_a_claim_shows_the_number_the_band_and_the_verdict(capsys, value, bounds, verdict):
    claim("gain", value, **bounds)
    assert capsys.readouterr().out == f"gain: ≈{value:.3f}, {verdict}\n"


def test_other_digits_are_masked_but_another_verdict_is_not(capsys):
    lines = []
    for value in (0.1234, 0.2, -0.3, 1e9, float("nan"), float("inf")):
        claim("gain", value, at_least=0)
        lines.append(masked(capsys.readouterr().out))
    assert len(set(lines)) == 2
    assert lines[0] == lines[1] == lines[3] == lines[5] == "gain: NUMBER, expected at least 0: holds\n"
    assert masked("1 of ≈3 images in ≈1.2e-05 s, ≈1,024 kB") == "1 of NUMBER images in NUMBER s, NUMBER kB"


def test_a_table_has_one_line_per_method(capsys):
    show_table({"frozen": [0.5, 0.7], "fine-tuned": [0.9]})
    assert capsys.readouterr().out.splitlines() == [
        "frozen      ≈0.600 (≈0.500 to ≈0.700), 2 seeds",
        "fine-tuned  ≈0.900 (≈0.900 to ≈0.900), 1 seed",
    ]
