"""Put the whole course on a USB stick: python -m tools.make_bundle FOLDER

The folder gets a copy of the course (pictures and weights are in it), the packages as wheels for this system and this
Python, and INSTALL.txt with the lines that install them without a network. Needs a network once. --cpu takes torch's build
for the CPU from PyTorch's own index: on Linux a tenth of the size.
"""

import argparse
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.data import PROJECT
from helpers.images import UserError

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
COURSE = ("README.md", "LICENSE", "requirements.txt", "pyproject.toml", "cat_to_name.json", "notebooks", "helpers",
          "flower_data", "tools", "tests", "benchmarks")  # fmt: skip
LEFT_OUT = ("__pycache__", ".ipynb_checkpoints", "runs")
INSTALL = """\
Install the course without a network
====================================

The packages are for Python {version} on {system} ({machine}). Copy this folder to the disk of the computer, open a terminal
in the copy, and type:

    python{version} -m venv flowers           (on Windows: py -{version} -m venv flowers)
    source flowers/bin/activate          (on Windows: flowers\\Scripts\\activate)
    cd course
    pip install --no-index --find-links ../wheels -r requirements.txt
    python -m helpers.doctor
    jupyter lab notebooks
"""


def fetch_wheels(requirements: Path, target: Path, *options: str) -> None:
    """Download what requirements.txt pins, and what is needed to install the course itself. Raises UserError."""
    pinned = [line for line in requirements.read_text(encoding="utf-8").split("\n") if "==" in line and line[0] != "#"]
    line = [sys.executable, "-m", "pip", "download", "--dest", str(target), "--only-binary", ":all:", *options]
    if subprocess.run([*line, *pinned, "setuptools>=77", "wheel"]).returncode:
        raise UserError("The packages could not be downloaded, see pip's message above: look at the network and start again.")


def make_bundle(folder: Path, *options: str, project: Path = PROJECT) -> None:
    """Fill a new folder with wheels/, course/ and INSTALL.txt; what is already there from an earlier try is used again."""
    if (folder / "course").exists():
        raise UserError(f"{folder} already holds a course: choose another folder, or remove {folder / 'course'}.")
    fetch_wheels(project / "requirements.txt", folder / "wheels", *options)
    (folder / "course").mkdir()
    for name in COURSE:
        if (project / name).is_dir():
            shutil.copytree(project / name, folder / "course" / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            shutil.copy(project / name, folder / "course" / name)
    version = ".".join(map(str, sys.version_info[:2]))
    text = INSTALL.format(version=version, system=platform.system(), machine=platform.machine())
    (folder / "INSTALL.txt").write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_bundle", description="Put the whole course on a USB stick.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu", action="store_true", help="torch for the CPU only")
    options = parser.parse_args(arguments)
    try:
        make_bundle(
            options.folder, *(["--index-url", CPU_INDEX, "--extra-index-url", "https://pypi.org/simple"] if options.cpu else [])
        )
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    print(f"{options.folder}: {size / 1e9:.1f} GB. How to install from it: {options.folder / 'INSTALL.txt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
