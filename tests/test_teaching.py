"""TEACHING.md and the notebooks stay in step."""

import re
from urllib.parse import unquote

import nbformat
import pytest
from test_notebooks import headings

from helpers.base import PROJECT
from tools.lesson_times import reading_minutes, sections, table

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
TEACHING = (PROJECT / "TEACHING.md").read_text(encoding="utf-8")


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the table that follows a heading."""
    text = re.split(r"^#+ ", TEACHING[TEACHING.index(f"{heading}\n") + len(heading) :], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_table_lists_the_sections_of_the_notebook(path):
    notebook = nbformat.read(path, as_version=4)
    *rows, total = rows_below(f"### {notebook.cells[0].source.splitlines()[0].lstrip('# ')}")
    found = sections(notebook)
    assert [row[0] for row in rows] == list(found)
    for name, minutes, running in rows:
        assert int(minutes) == pytest.approx(reading_minutes(found[name]) + float(running), abs=1.5), name
    assert int(total[1].strip("*")) == pytest.approx(
        sum(map(reading_minutes, found.values())) + float(total[2].strip("*")), abs=3
    )


@pytest.mark.parametrize(("plan", "available"), [("### 90 minutes: what transfer learning is", 90),
                                                 ("### Three hours: from folders to predictions", 180)])  # fmt: skip
def test_a_plan_fits_into_its_time(plan, available):
    assert sum(int(row[0]) for row in rows_below(plan)) <= 0.91 * available


def test_every_link_to_a_section_leads_there():
    links = re.findall(r"\]\(notebooks/([^)#]+)#([^)]+)\)", TEACHING)
    there = {path.name: headings(path) for path in NOTEBOOKS}
    assert len(links) > 10
    assert [(file, anchor) for file, anchor in links if unquote(anchor) not in there[file]] == []


def test_sections_are_found_within_cells_and_solutions_are_not_read():
    text = "# 1. T\n\none two\n\n## A\n\nthree <details>\nmany words here\n</details> four"
    cells = [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell('x = 1\ncheck("1.1", x)')]
    found = sections(nbformat.v4.new_notebook(cells=cells))
    assert list(found) == ["Start", "A"]
    assert reading_minutes(found["Start"]) == pytest.approx(5 / 130)
    assert reading_minutes(found["A"]) == pytest.approx(2 / 130 + 2 / 12 + 6)


def test_the_printed_table_adds_up(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 3. Title")]), tmp_path / "03_x.ipynb")
    lines = table(tmp_path / "03_x.ipynb", {"Start": (2.0, 30.0), "B": (0.1, 6.0)}).splitlines()
    assert lines[0] == "### 3. Title"
    assert lines[4:] == ["| Start | 2 | 0.5 |", "| B | 1 | 0.1 |", "| **all** | **3** | **0.6** |"]
