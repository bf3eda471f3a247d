"""The rules of a notebook. Their outputs are compared by nbval, which pytest runs on notebooks/ as well."""

import ast
import base64
import configparser
import io
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pytest
from nbval.plugin import IPyNbFile
from PIL import Image

from helpers.data import PROJECT
from tools.run_notebooks import shrink_pictures

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
SANITIZE = PROJECT / "notebooks" / "nbval_sanitize.cfg"

# Cells whose output is not compared, by the first line of each: timings, losses and animations.
IGNORED = {
    "01_data_augmentation": [
        "import imageio.v3 as imageio",
        "import time",
        "def per_image(run, images, repeats=3):",
    ],
    "02_train_the_head": [
        "from helpers.training import choose_precision, pick_device, run_epoch",
        "import time",
        "from helpers.training import train_head",
        'histories = {"one layer": history}',
    ],
    "03_fine_tune": [
        "histories = {}",
        "torch.manual_seed(0)",
        "best = BestWeights()",
        "for name, value in accuracy.items():",
        "reckless = copy.deepcopy(model)",
    ],
    "04_predictions": [
        "temporary = tempfile.TemporaryDirectory()  # goes when the kernel ends",
        'print(f"accuracy {correct.float().mean():.2f}, chance {1 / len(names):.2f}")',
        "photo = valid.files[next((i for i in chosen if correct[i]), chosen[0])]",
        "from helpers.augment import augment_batch",
        "import imageio.v3 as imageio",
    ],
    "05_evaluation": [
        "frozen = new_network()",
        "import copy",
        "correct = {name: (s.argmax(1) == valid.labels).numpy() for name, s in scores.items()}",
        "train_features = features_of(frozen, train, lambda p: augment_batch(p, 64))",
        'guess = scores["fine-tuned"].argmax(1)',
        "each = torch.stack([scores_of(tuned, valid, lambda p, f=f: normalize_batch(f(p))).softmax(1) for f in looks])",
        'gain = (each.mean(0).argmax(1) == valid.labels).numpy().astype(float) - correct["fine-tuned"]',
        'masks = flower_masks([valid.files[i] for i in some]) if root == PROJECT / "flower_data" else None',
        "final = locked.open()",
    ],
    "06_recipes": [
        "optimizers = {",
        "steps = 8 * -(-len(x) // 128)",
        "tuned = {name: [fine_tune(make(rate)) for rate in (0.0003, 0.002)] for name, make in optimizers.items()}",
        'steps = 3 * len(small["train"])',
        'model = initialize_model("resnet18", len(train.classes), feature_extract=False)',
        'print(f"three steps: {three_steps(False)[1]:.2f} s as usual, {three_steps(True)[1]:.2f} s deterministic")',
    ],
    "07_resnet_by_hand": [
        'runs = {("with", seed): train_digits(True, seed) for seed in range(3)}',
        'runs |= {("without", seed): train_digits(False, seed) for seed in range(3)}',
    ],
    "08_other_backbones": [
        "loaders = {",
        "preparations = {",
        'runs = {name: race(name) for name in ("resnet18", "resnet34", "squeezenet1_1", "mobilenet_v3_small")}',
        'runs |= {name: race(name) for name in ("alexnet", "densenet121")}',
        'runs["vgg11_bn"] = race("vgg11_bn")',
        'longer = race("mobilenet_v3_small", epochs=16)[3]',
        "history = run_project(config, splits)",
        'print(f"test accuracy {accuracy:.3f}, macro precision {p:.3f}, recall {r:.3f}, F1 {f:.3f}")',
    ],
    "09_speed_and_scale": [
        'usual = DataLoader(FlowerFolder(root / "train", train_transform(64)), batch_size=64, shuffle=True, num_workers=0)',
        "from torch.profiler import ProfilerActivity, profile",
        'layout, precision = {"memory_format": torch.channels_last}, choose_precision(device)',
        "print(subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout)",
        "from helpers.data import BatchLoader, normalize_batch",
        'train_head(model, loaders["train"], loaders["valid"], 5, views=1, precision=precision, verbose=False)',
        'logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # nor the compiler',
    ],
    "10_ship_it": [
        "temporary = tempfile.TemporaryDirectory()  # goes when the kernel ends",
        "from helpers.export import export_onnx",
        'apart = {"ONNX": np.abs(by_torch - by_onnx).max(), "half precision": np.abs(by_torch - by_half).max()}',
        "table = {name: (path.stat().st_size / 1e6, milliseconds(run)) for name, (path, run) in ways.items()}",
        "import html",
    ],
}
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_all_notebooks_are_numbered_in_order():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{n:02}" for n in range(1, len(NOTEBOOKS) + 1)]
    assert len(NOTEBOOKS) >= 9


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
    first, last = cells[0].source, cells[-1].source
    assert first.startswith("# ")
    assert sum(bool(re.match(r"# ", cell.source)) for cell in cells if cell.cell_type == "markdown") == 1
    assert "| You will learn | Time | Needs | Builds on |" in first
    for part in ("## What we showed", "## Exercises", "**Next:**"):
        assert part in last
    assert 2 <= last.count("<details>") == last.count("</details>") <= 4
    assert "Guess:" in "".join(cell.source for cell in cells)


@every_notebook
def test_only_listed_cells_are_not_compared(path):
    tags = [(cell.metadata.get("tags", []), cell.source.splitlines()[0]) for cell in code_cells(path)]
    ignored = [line for marked, line in tags if "nbval-ignore-output" in marked]
    assert ignored == IGNORED[path.stem]
    assert {tag for marked, _ in tags for tag in marked} <= {"nbval-ignore-output"}
    assert not [cell for cell in code_cells(path) if "NBVAL" in cell.source], "use tags, not comments"
    assert len(ignored) <= 0.35 * len(tags)


def definitions(text):
    """Functions and classes by name, without their docstrings and annotations."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part):
                    part.body = part.body[1:]
                if isinstance(part, ast.FunctionDef):
                    part.returns = None
                if isinstance(part, ast.arg):
                    part.annotation = None
            found[node.name] = ast.dump(node)
    return found


def helper_definitions():
    found = {}
    for path in (PROJECT / "helpers").glob("*.py"):
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
    assert {"im_convert", "set_parameter_requires_grad", "train_mode", "run_epoch"} <= inline & set(helpers)


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


@pytest.mark.parametrize(("stored", "passes"), [("1\n", True), ("2\n", False)])
def test_a_changed_output_fails(tmp_path, stored, passes):
    cell = nbformat.v4.new_code_cell("print(1)", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "toy.ipynb")
    options = ["-c", str(PROJECT / "pyproject.toml"), "--nbval-sanitize-with", str(SANITIZE), "-p", "no:cacheprovider"]
    line = [sys.executable, "-m", "pytest", *options, str(tmp_path / "toy.ipynb")]
    result = subprocess.run(line, capture_output=True, text=True, cwd=PROJECT)
    assert (result.returncode == 0) == passes, result.stdout


def test_temporary_files_of_notebooks_are_not_in_the_project():
    assert not (Path(PROJECT) / "notebooks" / "runs").exists()


def test_large_figures_are_stored_as_jpeg():
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    large, small = (base64.b64encode(data).decode() for data in (stream.getvalue(), b"small"))
    outputs = [nbformat.v4.new_output("display_data", {"image/png": png}) for png in (large, small)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    shrink_pictures(notebook)
    first, second = (output.data for output in notebook.cells[0].outputs)
    assert "image/png" not in first
    picture = Image.open(io.BytesIO(base64.b64decode(first["image/jpeg"])))
    assert (picture.format, picture.size) == ("JPEG", (300, 200))
    assert second == {"image/png": small}
