"""python -m helpers.doctor finds every problem that is planted, and says how to fix it."""

import errno
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest
from conftest import is_one_sentence, make_data

from helpers.base import PROJECT, UserError
from tools import doctor
from tools.hash_bundled import hash_table

PORT = 8888


@pytest.fixture
def course(tmp_path, backbone_file):
    """A course with a few images and a small weights file, tested with the packages that are installed here."""
    root = make_data(tmp_path / "course" / "flower_data", train=2, valid=1).parent
    for path in sorted(root.rglob("*.png")):
        path.rename(path.with_suffix(".jpg"))
    weights = root / "helpers" / "weights" / "flora_resnet18.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copy(backbone_file, weights)
    (root / "notebooks").mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, root / name)
    pins = [f"{name}=={importlib.metadata.version(name)}\n" for name in doctor.required_versions(PROJECT)]
    (root / "constraints.txt").write_text("".join(pins))
    (root / doctor.HASHES).write_text(hash_table(root))
    return root


def replace(path, old: str, new: str) -> None:
    """Change one line of a text file."""
    text = re.sub(old, new, path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    assert text != path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")


def problem(check, *arguments) -> str:
    """What a check complains about."""
    with pytest.raises(UserError) as error:
        check(*arguments)
    assert is_one_sentence(str(error.value))
    return str(error.value)


def test_a_good_course_will_run(course, capsys):
    assert doctor.main(course, PORT) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("ok")] == list(doctor.all_checks(course, PORT))
    assert "all packages as tested" in lines[0]
    assert lines[-1] == "The course will run."


def test_all_problems_are_listed_and_the_status_is_1(course, capsys):
    (course / "helpers/weights/flora_resnet18.safetensors").unlink()
    (course / "flower_data/train/10/01.jpg").unlink()
    assert doctor.main(course, PORT) == 1
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[1]: line.split(None, 2)[2] for line in lines if line.startswith("PROBLEM")}
    assert list(found) == ["weights", "images"]
    assert all(is_one_sentence(text) for text in found.values())
    assert lines[-1] == "The course will not run: fix this, then run the doctor again."


# ---- packages ------------------------------------------------------------------------------------------------------


def test_what_the_course_needs_includes_the_notebooks_but_not_the_tools_and_tests():
    needed = doctor.required_versions(PROJECT)
    assert {"torch", "torchvision", "onnxruntime", "jupyterlab", "scikit-learn", "pytorch_optimizer"} <= needed.keys()
    assert not {"pytest", "ruff", "nbval", "mypy", "nbclient"} & needed.keys()


@pytest.mark.parametrize("package", ["torch", "torchvision"])
def test_another_torch_is_a_problem(course, package):
    replace(course / "constraints.txt", f"^{package}==.*", f"{package}==9.9.0")
    said = problem(doctor.check_versions, course)
    assert said.startswith(f"{package} is ") and "9.9.0" in said and said.endswith(f"{doctor.INSTALL}.")


def test_another_version_of_a_lesser_package_is_only_mentioned(course):
    replace(course / "constraints.txt", "^tqdm==.*", "tqdm==9.9.0")
    assert re.search(r"tqdm \S+ \(tested: 9\.9\.0\)", doctor.check_versions(course))


@pytest.mark.parametrize("extra", ["dependencies", "notebooks"])
def test_a_missing_package_is_a_problem(course, extra):
    replace(course / "pyproject.toml", rf"^{extra} = \[", rf'{extra} = ["petals>=1.0",')
    replace(course / "constraints.txt", "^torch==", "petals==1.0\ntorch==")
    assert problem(doctor.check_versions, course) == f"petals is not installed: {doctor.INSTALL}."


def test_a_missing_package_of_the_tests_is_no_problem(course):
    replace(course / "pyproject.toml", r"^test = \[", 'test = ["petals>=1.0",')
    doctor.check_versions(course)


@pytest.mark.parametrize(("lowest", "is_problem"), [("4.0", False), ("4.9999", True), ("50.0", True)])
def test_a_version_below_the_declared_range_is_a_problem(course, lowest, is_problem):
    replace(course / "pyproject.toml", 'tqdm>=[^"]*', f"tqdm>={lowest}")
    if is_problem:
        assert problem(doctor.check_versions, course).startswith("tqdm is ")
    else:
        doctor.check_versions(course)


def test_versions_are_compared_as_numbers():
    assert doctor.as_numbers("2.11.0+cpu") == [2, 11, 0] > doctor.as_numbers("2.9")


def test_without_any_package_the_doctor_still_answers():
    """In a Python that has nothing installed."""
    line = [sys.executable, "-S", "-m", "helpers.doctor"]
    result = subprocess.run(line, capture_output=True, text=True, cwd=PROJECT)
    assert result.returncode == 1
    assert f"torch is not installed: {doctor.INSTALL}." in result.stdout
    assert result.stdout.count("PROBLEM") == 1  # not one for every check that needs packages
    assert result.stderr == ""


# ---- the machine ---------------------------------------------------------------------------------------------------


def test_too_little_disk_space_is_a_problem(course):
    assert "free 1000000000 GB" in problem(doctor.check_disk, course, 1e9)


def test_too_little_space_for_temporary_files_is_a_problem(course, monkeypatch, small_disk):
    """On a real file system of 1 MB."""
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    (small_disk / "filler").write_bytes(bytes(100_000))
    said = problem(doctor.check_disk, course)
    assert said.startswith("Only 0.0 GB are free") and "TMPDIR" in said


def test_too_little_memory_is_a_problem():
    if doctor.check_memory().startswith("unknown"):
        pytest.skip("the size of the memory is unknown on this system")
    assert "use another machine" in problem(doctor.check_memory, 1e9)


@pytest.mark.parametrize("place", ["notebooks", "temporary"])
def test_a_missing_write_permission_is_a_problem(course, monkeypatch, read_only_folder, place):
    if place == "temporary":
        monkeypatch.setattr(tempfile, "tempdir", str(read_only_folder))
    else:
        (course / "notebooks").rmdir()
        (course / "notebooks").symlink_to(read_only_folder)
    assert "is not writable" in problem(doctor.check_writing, course)


def test_a_port_in_use_is_mentioned_but_no_problem():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "in use" in doctor.check_port(port)
    assert doctor.check_port(port) == f"{port} is free for Jupyter"


@pytest.mark.parametrize("name", doctor.all_checks(PROJECT, PORT))
def test_a_check_that_fails_unexpectedly_is_a_problem_without_a_traceback(capsys, name):
    def broken():
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    checks = dict.fromkeys(doctor.all_checks(PROJECT, PORT), lambda: "good") | {name: broken}
    assert doctor.run_checks(checks) == [name]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (1 if name == "versions" else len(checks))
    assert [line for line in lines if "PROBLEM" in line and "OSError" in line and is_one_sentence(line)]


# ---- images and weights --------------------------------------------------------------------------------------------


BUNDLED = {
    "flower_data/train/10/01.jpg": doctor.check_images,
    "helpers/weights/flora_resnet18.safetensors": doctor.check_weights,
}


@pytest.mark.parametrize("damage", ["change", "remove"])
@pytest.mark.parametrize("name", BUNDLED)
def test_a_changed_or_missing_file_is_named(course, name, damage):
    BUNDLED[name](course)
    data = bytearray((course / name).read_bytes())
    data[-1] ^= 1  # one bit: the weights can still be loaded
    (course / name).write_bytes(data) if damage == "change" else (course / name).unlink()
    said = problem(BUNDLED[name], course)
    assert said.startswith(f"{name} is missing or has changed") and "git checkout" in said


def test_a_bad_folder_of_your_own_is_a_problem(course, monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWER_DATA", str(tmp_path / "nowhere"))
    assert "nowhere" in problem(doctor.check_images, course)


def test_a_good_folder_of_your_own_is_counted(course, monkeypatch, flowers):
    monkeypatch.setenv("FLOWER_DATA", str(flowers))
    assert doctor.check_images(course) == f"{flowers}: 36 training images of 3 classes"


def test_weights_of_your_own_are_loaded(course, monkeypatch, backbone_file):
    monkeypatch.setenv("FLOWER_WEIGHTS", str(backbone_file))
    assert doctor.check_weights(course).endswith("can be loaded")
    monkeypatch.setenv("FLOWER_WEIGHTS", "nowhere.pt")
    assert "nowhere.pt" in problem(doctor.check_weights, course)


def test_the_list_of_hashes_is_that_of_the_bundled_files():
    assert (PROJECT / doctor.HASHES).read_text(encoding="utf-8") == hash_table()


# ---- the estimate --------------------------------------------------------------------------------------------------


def test_a_machine_of_half_the_speed_needs_twice_the_time_of_the_readme():
    expected = doctor.expected_seconds(PROJECT, 2 * doctor.REFERENCE_SECONDS)
    first = re.search(r"^\| \[1\..*\| (\d+) s \|$", (PROJECT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert expected["1"] == 2 * int(first[1])
    assert len(expected) == len(list((PROJECT / "notebooks").glob("*.ipynb")))


def test_the_reference_takes_longer_with_more_work():
    assert doctor.reference_work(16) > 2 * doctor.reference_work(1)
