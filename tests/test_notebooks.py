"""The rules of a notebook. Their outputs are compared by nbval, which pytest runs on notebooks/ as well."""

import ast
import base64
import configparser
import io
import re
import subprocess
import sys
import tomllib
from urllib.parse import unquote

import nbformat
import numpy as np
import pytest
from nbval.plugin import IPyNbFile
from PIL import Image

from helpers.base import PROJECT
from helpers.plots import Animation
from tools.run_notebooks import shrink_pictures

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
SANITIZE = PROJECT / "notebooks" / "nbval_sanitize.cfg"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_all_notebooks_are_numbered_in_order():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{n:02}" for n in range(1, len(NOTEBOOKS) + 1)]
    assert len(NOTEBOOKS) >= 11


@every_notebook
def test_stored_outputs_come_from_one_clean_run(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert not [cell for cell in cells if "execution" in cell.metadata], "timing metadata"
    assert any(output.output_type == "stream" for output in outputs), "nothing to compare"


@every_notebook
def test_stored_outputs_hold_no_machine_paths(path):
    text = "".join(output.get("text", "") for cell in code_cells(path) for output in cell.outputs)
    assert not re.search(r"/tmp/|/home/|/root/|/work/|/Users/", text)


@every_notebook
def test_code_cells_are_short_and_prose_stands_between_them(path):
    cells = read(path).cells
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in cells)
    assert "ccc" not in kinds
    lines = [len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code"]
    assert max(lines) <= 25
    assert not [cell for cell in cells if not cell.source.strip()], "empty cell"


@every_notebook
def test_opens_and_closes_as_every_notebook(path):
    cells = read(path).cells
    first, text = cells[0].source, "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert first.startswith("# ")
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert "| You will learn | Time | Needs | Builds on |" in first
    end = text[text.index("## What we showed") : text.index("**Next:**")]
    assert "**Next:**" in cells[-1].source and "## Exercises" in end
    assert 2 <= end.count("<details>") == end.count("</details>") <= 4
    assert "Guess:" in text


@every_notebook
def test_most_outputs_are_compared(path):
    cells = code_cells(path)
    assert {tag for cell in cells for tag in cell.metadata.get("tags", [])} <= {"nbval-ignore-output"}
    assert not [cell for cell in cells if "NBVAL" in cell.source], "use tags, not comments"
    assert sum("nbval-ignore-output" in cell.metadata.get("tags", []) for cell in cells) <= 0.1 * len(cells)


def definitions(text):
    """Functions and classes by name, without their docstrings and annotations."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part):
                    part.body = part.body[1:]
                if isinstance(part, ast.ClassDef):  # "mean: Tensor" declares a type only
                    part.body = [line for line in part.body if not isinstance(line, ast.AnnAssign) or line.value]
                if isinstance(part, ast.FunctionDef):
                    part.returns = None
                if isinstance(part, ast.arg):
                    part.annotation = None
            found[node.name] = ast.dump(node)
    return found


def helper_definitions():
    found = {}
    for path in set((PROJECT / "helpers").glob("*.py")) - {PROJECT / "helpers" / "exercises.py"}:
        found |= definitions(path.read_text(encoding="utf-8"))
    return found


@every_notebook
def test_inline_definitions_equal_the_helpers(path):
    helpers = helper_definitions()
    for cell in code_cells(path):
        for name, code in definitions(cell.source).items():
            if name in helpers:
                assert code == helpers[name], f"{name} differs from helpers"


def test_some_definitions_are_shown_inline():
    helpers = helper_definitions()
    inline = {name for path in NOTEBOOKS for cell in code_cells(path) for name in definitions(cell.source)}
    shown = {"im_convert", "set_parameter_requires_grad", "train_mode", "run_epoch", "layer_table", "InferenceModel"}
    assert shown <= inline & set(helpers)


@every_notebook
def test_links_lead_somewhere(path):
    text = "".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def headings(path):
    """The anchors of a notebook's headings, as JupyterLab makes them."""
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    return {title.replace("`", "").replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}


def test_every_topic_leads_to_a_heading_that_exists():
    index = (PROJECT / "notebooks" / "TOPICS.md").read_text(encoding="utf-8")
    links = [(file, unquote(anchor)) for file, anchor in re.findall(r"\]\(([^)#]+)#([^)]+)\)", index)]
    there = {path.name: headings(path) for path in NOTEBOOKS}
    assert [(file, anchor) for file, anchor in links if anchor not in there.get(file, ())] == []
    assert {file for file, _ in links} == set(there)
    mistakes = {(file, anchor) for file, anchors in there.items() for anchor in anchors if anchor.startswith("Mistake")}
    assert mistakes - set(links) == set(), "a mistake that the index does not list"
    assert "](notebooks/TOPICS.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_no_notebook_is_large():
    assert max(path.stat().st_size for path in NOTEBOOKS) < 1_500_000


def test_every_sanitize_pair_is_used():
    # nbval drops malformed pairs without a word
    written = len(re.findall(r"^regex\s*[:=]", SANITIZE.read_text(), re.M))
    parser = configparser.ConfigParser()
    parser.read(SANITIZE)
    loaded = [section for section in parser.sections() if {"regex", "replace"} <= set(parser.options(section))]
    assert len(loaded) == written >= 1
    assert IPyNbFile  # the plugin that reads the file is the one installed
    for section in loaded:
        re.compile(parser.get(section, "regex"))


def test_a_changed_output_fails_but_a_changed_measurement_does_not(tmp_path):
    printed = "gain: ≈0.125, expected at least 0.05: holds"
    stored = {"same": printed, "digits": printed.replace("0.125", "0.2"), "verdict": printed.replace("holds", "fails")}
    for name, text in stored.items():
        cell = nbformat.v4.new_code_cell(f"print({printed!r})", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=f"{text}\n")]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
        nbformat.write(notebook, tmp_path / f"stored_{name}.ipynb")
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    options = " ".join(option for option in config["tool"]["pytest"]["ini_options"]["addopts"] if "nbval" in option)
    line = ["-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "-c", "pyproject.toml", "-o", f"addopts={options} -rA"]
    result = subprocess.run([sys.executable, *line, str(tmp_path)], capture_output=True, text=True, cwd=PROJECT)
    verdicts = re.findall(r"^(PASSED|FAILED) \S*stored_([a-z]+)", result.stdout, re.M)
    assert sorted(verdicts) == [("FAILED", "verdict"), ("PASSED", "digits"), ("PASSED", "same")], result.stdout


def test_large_figures_are_stored_as_jpeg_but_animations_stay():
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (3, 200, 300, 3), np.uint8)
    Image.fromarray(noise[0]).save(stream, "PNG")
    animation = Animation(noise, milliseconds=200)._repr_png_()
    large, small, moving = (base64.b64encode(data).decode() for data in (stream.getvalue(), b"small", animation))
    outputs = [nbformat.v4.new_output("display_data", {"image/png": png}) for png in (large, small, moving)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    shrink_pictures(notebook)
    first, second, third = (output.data for output in notebook.cells[0].outputs)
    assert "image/png" not in first
    picture = Image.open(io.BytesIO(base64.b64decode(first["image/jpeg"])))
    assert (picture.format, picture.size) == ("JPEG", (300, 200))
    assert second == {"image/png": small}
    assert third == {"image/png": moving}
    assert Image.open(io.BytesIO(animation)).n_frames == 3
