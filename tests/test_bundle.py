"""The bundle for offline computers: what the folder contains, and that the course can be installed from it."""

import os
import subprocess
import sys
import textwrap
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import is_one_sentence

from helpers.base import PROJECT, UserError
from tools.make_bundle import COURSE, CPU_INDEX, main, make_bundle

# A build backend that stands in for setuptools: it makes the wheel of an editable install of the small course below.
BACKEND = """
import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    info = "flower_course-1.0.dist-info"
    needs = "Requires-Dist: petals>=1.0\\nProvides-Extra: notebooks\\nRequires-Dist: stamens>=1.0; extra == 'notebooks'\\n"
    files = {"course_folder.pth": str(pathlib.Path.cwd()),
             f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: flower-course\\nVersion: 1.0\\n{needs}",
             f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n", f"{info}/RECORD": ""}
    with zipfile.ZipFile(pathlib.Path(folder) / "flower_course-1.0-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return "flower_course-1.0-py3-none-any.whl"
"""


def wheel(folder: Path, name: str, version: str, modules: dict[str, str] | None = None) -> None:
    """The smallest package that pip installs."""
    info = f"{name}-{version}.dist-info"
    files = (modules or {f"{name}.py": f"version = {version!r}\n"}) | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip uses in place of the network: it has the packages of the small course below, and nothing else."""
    for name, version in (("petals", "1.0"), ("petals", "2.0"), ("stamens", "1.0"), ("stamens", "2.0"), ("wheel", "1.0")):
        wheel(tmp_path / "index", name, version)
    wheel(tmp_path / "index", "setuptools", "80.0", {"setuptools/build_meta.py": BACKEND})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


SETTINGS = """
    [build-system]
    requires = ["setuptools>=77"]
    build-backend = "setuptools.build_meta"
    [project]
    dependencies = ["petals>=1.0"]
    [project.optional-dependencies]
    notebooks = ["stamens>=1.0"]
    test = ["only-for-tests>=1.0"]
"""


@pytest.fixture
def project(tmp_path):
    """A small course, with some files that do not belong into a bundle."""
    files = {name: "text" for name in COURSE if "." in name or name == "LICENSE"} | {
        "pyproject.toml": textwrap.dedent(SETTINGS),
        "SHA256SUMS": "",
        "constraints.txt": "petals==1.0\nstamens==1.0\nonly-for-tests==1.0\n",
        "requirements-course.txt": (PROJECT / "requirements-course.txt").read_text(),
        "flower_data/train/1/a.jpg": "image",
        "helpers/weights/w.safetensors": "weights",
        "notebooks/TOPICS.md": "| topic | [1](01_first.ipynb) |",
        "notebooks/runs/best.pt": "x",
        "tools/oxford102_split.csv": "x",
        "tests/test_x.py": "x",
        "benchmarks/x.py": "x",
        ".git/config": "x",
        ".venv/bin/python": "x",
        "my_photos/train/1/me.jpg": "private",
        "helpers/__pycache__/x.pyc": "x",
        "flower_course.egg-info/PKG-INFO": "x",
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_list_of_what_belongs_to_the_course_is_complete():
    """Compared with what git tracks, except for settings of the project itself, which begin with a dot."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is not a clone")
    assert {path.split("/")[0] for path in listed.stdout.splitlines() if path[0] != "."} <= set(COURSE)
    assert [name for name in COURSE if not (PROJECT / name).exists()] == []


def test_the_folder_contains_the_course_and_its_packages(index, project, tmp_path):
    make_bundle(tmp_path / "stick", project=project)
    course = files_below(tmp_path / "stick" / "course")
    assert {path.split("/")[0] for path in course} == set(COURSE)
    assert "notebooks/runs/best.pt" not in course
    assert files_below(tmp_path / "stick" / "pages") == ["TOPICS.html", "index.html"]  # the small course has no notebook
    assert "tools/oxford102_split.csv" in course
    assert "helpers/weights/w.safetensors" in course
    assert "helpers/__pycache__/x.pyc" not in course
    names = [name.removesuffix("-py3-none-any.whl") for name in files_below(tmp_path / "stick" / "wheels")]
    assert names == ["petals-1.0", "setuptools-80.0", "stamens-1.0", "wheel-1.0"]


def test_the_command_in_the_text_installs_without_a_network(index, project, tmp_path, monkeypatch):
    make_bundle(tmp_path / "stick", project=project)
    for name in index.iterdir():
        name.unlink()  # the network is gone
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.delenv("PIP_NO_INDEX")
    text = (tmp_path / "stick" / "INSTALL.txt").read_text()
    line = next(line.strip() for line in text.splitlines() if line.strip().startswith("pip install"))
    assert "--no-index" in line
    venv.create(tmp_path / "flowers", with_pip=True)
    python = tmp_path / "flowers" / ("Scripts" if os.name == "nt" else "bin") / "python"
    course = tmp_path / "stick" / "course"
    subprocess.run([python, "-m", *line.split()], cwd=course, check=True, capture_output=True)
    program = "import petals, stamens, sys; print(petals.version, stamens.version, sys.argv[1] in sys.path)"
    found = subprocess.run([python, "-c", program, str(course)], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout == "1.0 1.0 True\n"


@pytest.mark.parametrize("name", ["stick", "tools"])
def test_the_folder_may_have_any_name_and_lie_in_the_course(index, project, name):
    make_bundle(project / "bundles" / name, project=project)
    course = project / "bundles" / name / "course"
    assert (course / "tools" / "oxford102_split.csv").is_file()
    assert (course / "flower_data" / "train" / "1" / "a.jpg").is_file()
    assert not (course / "bundles").exists()


def test_an_unavailable_package_is_named_and_a_second_try_works(index, project, tmp_path, capfd):
    (project / "constraints.txt").write_text("petals==3.0\n")
    with pytest.raises(UserError) as error:
        make_bundle(tmp_path / "stick", project=project)
    assert is_one_sentence(str(error.value))
    assert "petals" in capfd.readouterr().err
    wheel(index, "petals", "3.0")
    make_bundle(tmp_path / "stick", project=project)
    assert (tmp_path / "stick" / "course" / "constraints.txt").is_file()


def test_a_folder_that_already_contains_a_course_is_refused(project, tmp_path, capsys):
    (tmp_path / "stick" / "course").mkdir(parents=True)
    assert main([str(tmp_path / "stick")], project) == 2
    said = capsys.readouterr().err
    assert is_one_sentence(said)
    assert "already contains a course" in said


def test_the_cpu_packages_come_from_pytorchs_own_index(index, project, monkeypatch, tmp_path):
    lines = []
    monkeypatch.setattr("subprocess.run", lambda line: lines.append(line) or subprocess.CompletedProcess(line, 0))
    for options in ([], ["--cpu"]):
        (tmp_path / f"stick{options}").mkdir()
        assert main([str(tmp_path / f"stick{options}"), *options], project) == 0
    assert lines[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert [CPU_INDEX in line for line in lines] == [False, True]
