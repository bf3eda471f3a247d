"""The course on a USB stick: what lies in the folder, and that it can be installed without a network."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import is_one_sentence

from helpers.data import PROJECT
from helpers.images import UserError
from tools import make_bundle


def wheel(folder: Path, name: str, version: str) -> None:
    """The smallest package that pip installs."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
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
    """A folder that pip takes for the network: it has the packages of the small course below, and nothing else."""
    for name, version in (("petals", "1.0"), ("petals", "2.0"), ("setuptools", "80.0"), ("wheel", "1.0")):
        wheel(tmp_path / "index", name, version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_the_list_of_what_belongs_to_the_course_is_complete():
    """Compared with what git keeps, but for settings of the project itself, which begin with a dot."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is not a clone")
    assert {path.split("/")[0] for path in listed.stdout.splitlines() if path[0] != "."} == set(make_bundle.COURSE)


@pytest.fixture
def project(tmp_path):
    """A small course, with some files that nobody wants on a stick."""
    files = {name: "text" for name in make_bundle.COURSE if "." in name or name == "LICENSE"} | {
        "requirements.txt": "# tested with\npetals==1.0\n",
        "flower_data/train/1/a.jpg": "picture",
        "helpers/weights/w.safetensors": "weights",
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


def test_the_folder_holds_the_course_its_packages_and_the_way_to_install_them(index, project, tmp_path):
    make_bundle.make_bundle(tmp_path / "stick", project=project)
    course = files_below(tmp_path / "stick" / "course")
    assert {path.split("/")[0] for path in course} == set(make_bundle.COURSE) - {"notebooks"}
    assert "tools/oxford102_split.csv" in course
    assert "helpers/weights/w.safetensors" in course
    assert "helpers/__pycache__/x.pyc" not in course
    names = files_below(tmp_path / "stick" / "wheels")
    assert names == ["petals-1.0-py3-none-any.whl", "setuptools-80.0-py3-none-any.whl", "wheel-1.0-py3-none-any.whl"]


def test_the_line_of_the_text_installs_without_a_network(index, project, tmp_path, monkeypatch):
    make_bundle.make_bundle(tmp_path / "stick", project=project)
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
    found = subprocess.run([python, "-c", "import petals; print(petals.version)"], capture_output=True, text=True)
    assert found.stdout == "1.0\n"


@pytest.mark.parametrize("name", ["stick", "tools", "1"])
def test_the_folder_may_have_any_name_and_lie_in_the_course(index, project, name):
    make_bundle.make_bundle(project / "bundles" / name, project=project)
    course = project / "bundles" / name / "course"
    assert (course / "tools" / "oxford102_split.csv").is_file()
    assert (course / "flower_data" / "train" / "1" / "a.jpg").is_file()
    assert not (course / "bundles").exists()


def test_a_package_that_cannot_be_had_is_said_and_a_second_try_works(index, project, tmp_path, capfd):
    (project / "requirements.txt").write_text("petals==3.0\n")
    with pytest.raises(UserError) as error:
        make_bundle.make_bundle(tmp_path / "stick", project=project)
    assert is_one_sentence(str(error.value))
    assert "petals==3.0" in capfd.readouterr().err
    wheel(index, "petals", "3.0")
    make_bundle.make_bundle(tmp_path / "stick", project=project)
    assert (tmp_path / "stick" / "course" / "requirements.txt").is_file()


def test_a_folder_that_holds_a_course_already_is_not_mixed_with_another(index, project, tmp_path, capsys, monkeypatch):
    make_bundle.make_bundle(tmp_path / "stick", project=project)
    monkeypatch.setattr(make_bundle, "PROJECT", project)
    assert make_bundle.main([str(tmp_path / "stick")]) == 2
    said = capsys.readouterr().err
    assert is_one_sentence(said)
    assert "already holds a course" in said


def test_the_cpu_packages_come_from_pytorchs_own_index(monkeypatch, tmp_path):
    lines = []
    monkeypatch.setattr(make_bundle.subprocess, "run", lambda line: lines.append(line) or subprocess.CompletedProcess(line, 0))
    monkeypatch.setattr(make_bundle, "COURSE", ("LICENSE",))
    (tmp_path / "stick").mkdir()
    assert make_bundle.main([str(tmp_path / "stick"), "--cpu"]) == 0
    assert lines[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert make_bundle.CPU_INDEX in lines[0]
    assert any(word.startswith("torch==") for word in lines[0])
