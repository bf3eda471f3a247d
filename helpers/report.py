"""Print measured numbers so that a rerun can be compared: each has the sign ≈ in front, which nbval's sanitize file masks.

What must hold on every machine is a verdict beside the number, and is compared.
"""

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean and the range of repeated measurements, as text: "≈0.812 (≈0.804 to ≈0.820)"."""
    mean, low, high = (f"≈{value:.{digits}f}" for value in (statistics.mean(values), min(values), max(values)))
    return f"{mean} ({low} to {high})"


def claim(text: str, value: float, *, at_least: float | None = None, at_most: float | None = None, digits: int = 3) -> None:
    """Print a measured value, the band in which it is expected, and whether it lies there.

    With other data than the bundled flowers, an expectation may fail: then the line says so, and nothing stops.
    """
    bands = [f"{name} {bound:.3g}" for name, bound in (("at least", at_least), ("at most", at_most)) if bound is not None]
    holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    verdict = "holds" if holds else "does not hold here"
    print(f"{text}: ≈{value:.{digits}f}, expected {' and '.join(bands)}: {verdict}")


def show_table(rows: dict[str, Sequence[float]], digits: int = 3) -> None:
    """One line per method: the mean and the range of its repeated measurements."""
    width = max(map(len, rows))
    for name, values in rows.items():
        print(f"{name:{width}}  {spread(values, digits)}, {len(values)} seed{'s' * (len(values) > 1)}")
