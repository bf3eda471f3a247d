"""The project as a whole: declared packages, what an installation contains, the documents."""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import make_data

from helpers.base import PROJECT
from tools.doctor import as_numbers

SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
DOCUMENTS = [PROJECT / folder / "README.md" for folder in ("", "benchmarks", "flower_data", "helpers/weights")]
DOCUMENTS += [PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md"]
README = DOCUMENTS[0].read_text(encoding="utf-8")
RENDERER = [f"{name}.py" for name in ("blades", "forms", "gardens", "scene", "species", "wild_species")]


def sources(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).glob("*.py"))


# ---- packages ------------------------------------------------------------------------------------------------------


def canonical(name: str) -> str:
    """The name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parsed(requirements: list[str]) -> dict[str, str]:
    """name>=version -> {name: version}; the doctor, too, relies on this form."""
    matches = [re.fullmatch(r"([\w.-]+)(?:>=([\d.]+))?", requirement) for requirement in requirements]
    return {canonical(match[1]): match[2] or "0" for match in matches}


OF_IPYKERNEL = {"ipython", "jupyter-client"}  # it requires them
CORE = parsed(SETTINGS["project"]["dependencies"])
EXTRAS = {name: parsed(packages) for name, packages in SETTINGS["project"]["optional-dependencies"].items()}
ALL = CORE.keys() | {name for extra in EXTRAS.values() for name in extra}


def imported(*programs: str) -> set[str]:
    """The distributions that the programs import, without those of Python and of the project."""
    names: set[str] = set()
    for node in (node for program in programs for node in ast.walk(ast.parse(program))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    ours = {"helpers", "tools", "benchmarks"} | {path.stem for path in [*sources("tests"), *sources("benchmarks")]}
    distributions = importlib.metadata.packages_distributions()
    outside = names - ours - set(sys.stdlib_module_names)
    return {canonical(distributions.get(name, [name])[0]) for name in outside}


def imported_by(folder: str) -> set[str]:
    return imported(*(path.read_text(encoding="utf-8") for path in sources(folder)))


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def test_the_dependencies_are_what_helpers_imports():
    assert imported_by("helpers") | {"onnxscript"} == CORE.keys()  # torch.onnx.export imports onnxscript


def test_the_tools_import_what_is_declared():
    declared = EXTRAS["tools"].keys() | EXTRAS["distill"].keys()
    assert imported_by("tools") - CORE.keys() | {"scipy"} == declared  # torchvision's Flowers102 imports scipy


def test_the_notebooks_import_what_is_declared():
    assert imported(*map(code_of, NOTEBOOKS)) - OF_IPYKERNEL <= CORE.keys() | EXTRAS["notebooks"].keys()


def test_the_tests_and_benchmarks_import_what_is_declared():
    assert imported_by("tests") - OF_IPYKERNEL <= ALL
    assert imported_by("benchmarks") - {"fastai"} <= ALL  # fastai: an optional opponent


def test_every_declared_package_is_pinned_within_its_range_and_nothing_else_is():
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonical(name): version for name, version in (line.split("==") for line in lines if not line.startswith("#"))}
    assert pins.keys() == ALL
    for packages in (CORE, *EXTRAS.values()):
        for name, lowest in packages.items():
            assert as_numbers(pins[name]) >= as_numbers(lowest), name


@pytest.mark.parametrize(("name", "extras"), [("requirements", "notebooks,tools,test"), ("requirements-course", "notebooks")])
def test_the_requirements_install_the_project_in_the_tested_versions(name, extras):
    lines = (PROJECT / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-c constraints.txt", f"-e .[{extras}]"]


# ---- the installation ----------------------------------------------------------------------------------------------


def build(project: Path, site: Path) -> None:
    """Put into `site` what pip install would: by setuptools, or else as pyproject.toml lists it."""
    if as_numbers(importlib.metadata.version("setuptools")) >= [77]:
        program = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
        subprocess.run([sys.executable, "-c", program, str(project)], cwd=project, check=True, capture_output=True)
        zipfile.ZipFile(next(project.glob("*.whl"))).extractall(site)
        return
    listed = SETTINGS["tool"]["setuptools"]
    for package in listed["packages"]:
        for pattern in ("*.py", *listed["package-data"].get(package, ())):
            for path in (project / package).glob(pattern):
                target = site / path.relative_to(project)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the project as pip install leaves it: without notebooks, images and names."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SETTINGS["tool"]["setuptools"]["packages"]:
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", copy)
    site = tmp_path_factory.mktemp("site")
    build(copy, site)
    return site


def files_of(root: Path, package: str) -> set[str]:
    files = (path for path in (root / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix() for path in files}


def test_an_installation_has_every_file_of_the_packages(site):
    for package in ("helpers", "tools"):
        assert files_of(site, package) == files_of(PROJECT, package)


def test_an_installed_course_trains_and_predicts_in_any_folder(site, tmp_path):
    def run(*command) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
        line = [sys.executable, *map(str, command)]
        result = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    data = make_data(tmp_path / "data", {"red": (210, 40, 40), "blue": (50, 60, 210)}, train=2, valid=1)
    assert run("-c", "import helpers; print(helpers.__file__)").startswith(str(site))
    small = ["--head-epochs", 1, "--full-epochs", 0, "--image-size", 32, "--batch-size", 2, "--precision", "float32"]
    run("-m", "helpers.train", "--data", data, "--out", tmp_path / "run", "--weights", "flora", *small)
    said = run("-m", "helpers.predict", "--checkpoint", tmp_path / "run" / "best.pt", data / "valid" / "red")
    assert re.search(r"^ +[\d.]+%  (red|blue)$", said, re.MULTILINE)


# ---- the documents -------------------------------------------------------------------------------------------------


def test_the_readme_has_the_two_commands():
    lines = README.splitlines()
    assert "pip install -r requirements.txt && jupyter lab notebooks" in lines
    assert "pip install -r requirements.txt && pytest" in lines


def test_the_readme_lists_every_notebook_with_its_time():
    for path in NOTEBOOKS:
        row = next(line for line in README.splitlines() if f"(notebooks/{path.name})" in line)
        assert re.search(r"\d+ s", row), row


def anchors(document: Path) -> set[str]:
    """The anchors of the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(document):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            path = document.parent / target if target else document
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_names_belong_to_the_class_folders():
    cat_to_name = json.loads((PROJECT / "cat_to_name.json").read_text(encoding="utf-8"))
    assert len(cat_to_name) == len(set(cat_to_name.values())) == 102
    assert {path.name for path in (PROJECT / "flower_data" / "train").iterdir()} == set(cat_to_name)


# ---- style ---------------------------------------------------------------------------------------------------------


def test_functions_of_helpers_fit_on_a_screen():
    for path in sources("helpers"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 40, f"{path.name}: {node.name}"


def test_packages_are_found_without_changing_the_path():
    programs = [path.read_text(encoding="utf-8") for path in [*sources("helpers"), *sources("tools")]]
    for program in [*programs, *map(code_of, NOTEBOOKS)]:
        assert "sys.path" not in program


PRIVATE_TERMS = (
    r"add_up|rank_and_world\b|join_processes|leave_processes|share_batch_norms|SharedBatchNorm|middle_square|decode_square",
    r"split_card|SmallMap|speed_up_small_maps|Strength\(|body_rate|head_rate|other_cameras|naming_test|passed over|in vain",
    r"cannot be had|spoilt|least to most|the same line|how to mend|colour|grey\b|normalis",
)


def test_the_field_has_terms_for_what_once_had_private_names():
    tools = [path for path in sources("tools") if path.name not in RENDERER]
    for path in [*sources("helpers"), *tools, DOCUMENTS[0]]:
        found = re.search("|".join(PRIVATE_TERMS), path.read_text(encoding="utf-8"), re.IGNORECASE)
        assert not found, f"{path.name}: {found[0]}"
