"""python -m helpers.doctor finds every problem that is planted, and says what to do."""

import errno
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple

import pytest
from conftest import is_one_sentence, make_data

from helpers import doctor, models
from helpers.data import PROJECT
from tools import hash_bundled

PINNED = dict(line.split("==") for line in (PROJECT / "requirements.txt").read_text().splitlines() if "==" in line)


@pytest.fixture
def course(tmp_path, monkeypatch, backbone_file):
    """A course with a few pictures and a small weights file, which the doctor takes for the whole."""
    root = make_data(tmp_path / "course" / "flower_data", train=2, valid=1).parent
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_suffix(".jpg"))
        assert number < 9
    weights = root / "helpers" / "weights" / "backbone.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copy(backbone_file, weights)
    (root / "notebooks").mkdir()
    for name in ("requirements.txt", "README.md"):
        shutil.copy(PROJECT / name, root / name)
    for module, name, value in (
        (hash_bundled, "PROJECT", root),
        (doctor, "PROJECT", root),
        (doctor, "HASHES", root / "bundled.sha256"),
        (doctor, "reference_work", lambda: 2 * doctor.REFERENCE_SECONDS),
        (models, "WEIGHTS_FILE", weights),
        (importlib.metadata, "version", lambda package: PINNED[package]),
    ):
        monkeypatch.setattr(module, name, value)
    (root / "bundled.sha256").write_text(hash_bundled.table())
    return root


def problems(capsys) -> dict[str, str]:
    """What the doctor complains about, by the check's name; the exit status must agree."""
    status = doctor.main()
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[1]: line.split(None, 2)[2] for line in lines if line.startswith("PROBLEM")}
    assert status == (1 if found else 0)
    assert lines[-1].startswith("The course will not run" if found else "The course will run.")
    assert all(is_one_sentence(sentence) for sentence in found.values())
    return found


def test_a_whole_course_will_run_in_twice_the_time_of_the_readme(course, capsys):
    assert doctor.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("ok")] == list(doctor.CHECKS)
    minutes = dict(re.findall(r"(\d+): (\d+\.\d)", lines[-2]))
    first = re.search(r"^\| \[1\..*\| (\d+) s \|$", (PROJECT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert float(minutes["1"]) == round(2 * int(first[1]) / 60, 1)
    assert len(minutes) == len(list((PROJECT / "notebooks").glob("*.ipynb")))


def test_missing_weights_are_found(course, capsys):
    models.WEIGHTS_FILE.unlink()
    found = problems(capsys)
    assert found.keys() == {"weights"}
    assert "git checkout" in found["weights"]


def test_altered_weights_are_found(course, capsys):
    data = bytearray(models.WEIGHTS_FILE.read_bytes())
    data[-1] ^= 1  # one bit of one number: the file can still be loaded
    models.WEIGHTS_FILE.write_bytes(data)
    assert "git checkout" in problems(capsys)["weights"]


@pytest.mark.parametrize("spoil", ["alter", "remove"])
def test_an_altered_or_missing_picture_is_named(course, capsys, spoil):
    picture = course / "flower_data" / "train" / "10" / "01.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0") if spoil == "alter" else picture.unlink()
    found = problems(capsys)
    assert found.keys() == {"pictures"}
    assert "flower_data/train/10/01.jpg" in found["pictures"]


@pytest.mark.parametrize(("package", "version"), [("torch", "2.3.1"), ("torchvision", "0.20.0"), ("nbval", None)])
def test_a_wrong_torch_or_a_missing_package_is_found(course, capsys, monkeypatch, package, version):
    real = importlib.metadata.version

    def pretend(name):
        if name == package and version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version if name == package else real(name)

    monkeypatch.setattr(importlib.metadata, "version", pretend)
    found = problems(capsys)
    assert found.keys() == {"versions"}
    assert found["versions"].startswith(package)
    assert "pip install -r requirements.txt" in found["versions"]


def test_another_version_of_a_lesser_package_is_only_mentioned(course, capsys, monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9" if name == "tqdm" else real(name))
    assert doctor.main() == 0
    assert "tqdm 9.9" in capsys.readouterr().out


def test_without_torch_the_doctor_still_answers():
    """In a Python that has nothing installed."""
    line = [sys.executable, "-S", "-c", "import sys; from helpers import doctor; sys.exit(doctor.main())"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    result = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert result.returncode == 1
    assert "is not installed: pip install -r requirements.txt." in result.stdout
    assert result.stdout.count("PROBLEM") == 1  # not one for every check that needs packages
    assert "Traceback" not in result.stderr


def test_a_full_disk_is_found(course, capsys, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(100e9, 99.8e9, 0.2e9))
    found = problems(capsys)
    assert found.keys() == {"disk"}
    assert "0.2 GB" in found["disk"]


def test_too_little_memory_is_found(course, capsys, monkeypatch):
    if not hasattr(os, "sysconf"):
        pytest.skip("the size of the memory is not known on this system")
    monkeypatch.setattr(os, "sysconf", lambda name: 2**20 if name == "SC_PHYS_PAGES" else 1024)
    assert problems(capsys).keys() == {"memory"}


@pytest.mark.parametrize("place", ["notebooks", "temporary"])
def test_missing_write_permission_is_found(course, capsys, monkeypatch, read_only_folder, place):
    if place == "temporary":
        monkeypatch.setattr(tempfile, "tempdir", str(read_only_folder))
        monkeypatch.setattr(doctor, "DISK", 0)
    else:
        (course / "notebooks").rmdir()
        (course / "notebooks").symlink_to(read_only_folder)
    found = problems(capsys)
    assert found.keys() == {"writing"}
    assert "cannot be written" in found["writing"]


def test_a_temporary_folder_without_room_is_found(course, capsys, monkeypatch, small_disk):
    """On a real file system of 1 MB."""
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    (small_disk / "filler").write_bytes(bytes(100_000))
    assert problems(capsys).keys() == {"disk"}


def test_a_port_in_use_is_no_problem_but_is_said(course, capsys, monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(doctor, "JUPYTER_PORT", taken.getsockname()[1])
        assert doctor.main() == 0
    assert "is taken" in capsys.readouterr().out


def test_a_bad_folder_of_ones_own_is_found(course, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("FLOWER_DATA", str(tmp_path / "nowhere"))
    found = problems(capsys)
    assert found.keys() == {"pictures"}
    assert "nowhere" in found["pictures"]


def test_a_good_folder_of_ones_own_is_counted(course, capsys, monkeypatch, flowers):
    monkeypatch.setenv("FLOWER_DATA", str(flowers))
    assert doctor.main() == 0
    assert "36 training images of 3 classes" in capsys.readouterr().out


def test_weights_of_ones_own_that_are_not_there_are_found(course, capsys, monkeypatch):
    monkeypatch.setenv("FLOWER_WEIGHTS", "nowhere.pt")
    assert problems(capsys).keys() == {"weights"}


@pytest.mark.parametrize("name", list(doctor.CHECKS))
def test_a_check_that_breaks_is_a_problem_and_no_traceback(course, capsys, monkeypatch, name):
    def broken():
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setitem(doctor.CHECKS, name, broken)
    assert problems(capsys).keys() == {name}


# ---- the bundled files themselves ----------------------------------------------------------------------------------


def test_the_list_of_hashes_is_that_of_the_bundled_files():
    assert doctor.HASHES.read_text(encoding="utf-8") == hash_bundled.table()


def test_the_reference_is_a_piece_of_real_work():
    assert doctor.reference_work() > 0.001
