"""Copy everything the course needs into a folder, for computers without a network: python -m tools.make_bundle FOLDER

The folder gets the course with its images and weights, all packages as wheels for this system and this Python, the notebooks
as web pages, and INSTALL.txt, which says how to install the packages without a network. --cpu takes torch's CPU build from
PyTorch's own index: on Linux a tenth of the size.
"""

import argparse
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from helpers.base import PROJECT, UserError, run_command
from tools.make_pages import make_pages

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
COURSE = ("README.md", "TEACHING.md", "SHA256SUMS", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "requirements.txt",
          "requirements-course.txt",
          "constraints.txt", "pyproject.toml", "cat_to_name.json", "notebooks", "helpers", "flower_data", "tools", "tests",
          "benchmarks")  # fmt: skip
SKIPPED = ("__pycache__", ".ipynb_checkpoints", "runs")
INSTALL = """\
Install the course without a network
====================================

The packages are for Python {version} on {system} ({machine}). Copy this folder to the disk of the computer, open a terminal
in the copy, and type:

    python{version} -m venv flowers           (on Windows: py -{version} -m venv flowers)
    source flowers/bin/activate          (on Windows: flowers\\Scripts\\activate)
    cd course
    pip install --no-index --find-links ../wheels -r requirements-course.txt
    python -m helpers.doctor
    jupyter lab notebooks

This installs what the notebooks and the command line need, but not the packages for the tests.

To read the course without Python, open pages/index.html in a browser.
"""


def download_wheels(project: Path, target: Path, *options: str) -> None:
    """Download what requirements-course.txt installs, and what pip needs to install the course. Raises UserError."""
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [*settings["project"]["dependencies"], *settings["project"]["optional-dependencies"]["notebooks"]]
    command = [sys.executable, "-m", "pip", "download", "--dest", str(target), "--only-binary", ":all:", *options]
    command += ["-c", str(project / "constraints.txt"), *needed, *settings["build-system"]["requires"], "wheel"]
    if subprocess.run(command).returncode:
        raise UserError("The packages could not be downloaded, see pip's message above: check the network and try again.")


def make_bundle(folder: Path, *options: str, project: Path = PROJECT) -> None:
    """Fill a new folder with wheels/, course/, pages/ and INSTALL.txt; wheels from an earlier try are reused. Raises UserError.

    options: for pip.
    """
    if (folder / "course").exists():
        raise UserError(f"{folder} already contains a course: choose another folder, or remove {folder / 'course'}.")
    download_wheels(project, folder / "wheels", *options)
    try:
        (folder / "course").mkdir()
        for name in COURSE:
            if (project / name).is_dir():
                shutil.copytree(project / name, folder / "course" / name, ignore=shutil.ignore_patterns(*SKIPPED))
            else:
                shutil.copy(project / name, folder / "course" / name)
        make_pages(folder / "pages", project)
        version = ".".join(map(str, sys.version_info[:2]))
        text = INSTALL.format(version=version, system=platform.system(), machine=platform.machine())
        (folder / "INSTALL.txt").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} could not be written ({error}): free some space or choose another folder.") from error


def main(arguments: list[str] | None = None, project: Path = PROJECT) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_bundle", description="Make a bundle for offline computers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu", action="store_true", help="torch's CPU build")
    options = parser.parse_args(arguments)

    def command() -> None:
        index = ["--index-url", CPU_INDEX, "--extra-index-url", "https://pypi.org/simple"] if options.cpu else []
        make_bundle(options.folder, *index, project=project)
        size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
        print(f"{options.folder}: {size / 1e9:.1f} GB. How to install from it: {options.folder / 'INSTALL.txt'}")

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
