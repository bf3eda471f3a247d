"""How long each section of a notebook takes: python -m tools.lesson_times [NOTEBOOK ...]

Prints the tables of TEACHING.md: minutes for reading, at 130 words and 12 lines of code a minute, plus the measured run time.
The notebooks are run as copies and not changed.
"""

import argparse
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat

from helpers.base import PROJECT
from tools.run_notebooks import run_notebook

WORDS_PER_MINUTE = 130  # technical prose in a second language
LINES_PER_MINUTE = 12
MINUTES_PER_EXERCISE = 6


class Section(NamedTuple):
    """What follows a heading of level 2: Markdown texts and the sources of code cells."""

    prose: list[str]
    code: list[str]


def sections(notebook: nbformat.NotebookNode) -> dict[str, Section]:
    """The sections by heading; what stands before the first heading belongs to "Start"."""
    current = Section([], [])
    found = {"Start": current}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            current.code.append(cell.source)
            continue
        before, *parts = re.split(r"^## (.+)$", cell.source, flags=re.MULTILINE)  # a heading can stand within a cell
        current.prose.append(before)
        for heading, text in zip(parts[::2], parts[1::2], strict=True):
            current = found[heading] = Section([text], [])
    return found


def reading_minutes(section: Section) -> float:
    """Minutes for prose, code and exercises, without the folded solutions."""
    words = len(re.sub(r"<details>.*?</details>", "", " ".join(section.prose), flags=re.DOTALL).split())
    lines = sum(len(source.splitlines()) for source in section.code)
    exercises = sum(bool(re.search(r"^check\(", source, re.MULTILINE)) for source in section.code)
    return words / WORDS_PER_MINUTE + lines / LINES_PER_MINUTE + exercises * MINUTES_PER_EXERCISE


def measure(path: Path) -> dict[str, tuple[float, float]]:
    """{section: (minutes to read, seconds to run)} of a notebook, from a run of a copy."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".times_") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(path.read_bytes())
        seconds = iter(run_notebook(copy))
    found = {}
    for name, section in sections(nbformat.read(path, as_version=4)).items():
        found[name] = reading_minutes(section), sum(next(seconds) for _ in section.code)
    return found


def table(path: Path, times: dict[str, tuple[float, float]]) -> str:
    """The Markdown table of one notebook."""
    title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].lstrip("# ")
    lines = [f"### {title}", "", "| section | minutes | of these, running |", "|---|---|---|"]
    for name, (minutes, seconds) in times.items():
        lines.append(f"| {name} | {max(1, round(minutes + seconds / 60))} | {seconds / 60:.1f} |")
    read, run = (sum(column) for column in zip(*times.values(), strict=True))
    return "\n".join([*lines, f"| **all** | **{read + run / 60:.0f}** | **{run / 60:.1f}** |", ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.lesson_times", description="Minutes for each section.")
    parser.add_argument("notebooks", type=Path, nargs="*", help="default: all, in order")
    for path in parser.parse_args().notebooks or sorted((PROJECT / "notebooks").glob("*.ipynb")):
        print(table(path, measure(path.resolve())), flush=True)


if __name__ == "__main__":
    main()
