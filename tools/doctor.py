"""Check whether this machine can run the course: python -m helpers.doctor

Takes a few seconds: versions, disk, memory, processor, images and weights (by their hashes), permissions and Jupyter's
port. Every problem comes with how to fix it. At the end, the time of every notebook is estimated from a short sample of the
same work. The exit status is 0 if the course will run, else 1.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from helpers.base import PROJECT, UserError

# Whatever needs an installed package is imported where it is used: the doctor must be able to report that it is missing.

HASHES = "SHA256SUMS"  # of the bundled images and weights, written by tools.hash_bundled
INSTALL = "pip install -r requirements-course.txt"
REFERENCE_SECONDS = 0.205  # of `reference_work` on the machine that ran the notebooks for the README


def required_versions(project: Path) -> dict[str, tuple[str, str]]:
    """Package -> (lowest version, tested version) of everything that the course itself needs."""
    import tomllib

    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*settings["dependencies"], *settings["optional-dependencies"]["notebooks"]]
    pins = re.findall(r"^([\w.-]+)==(\S+)", (project / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    return {name: (lowest, dict(pins)[name]) for name, lowest in (requirement.split(">=") for requirement in needed)}


def as_numbers(version: str) -> list[int]:
    """2.11.0+cpu -> [2, 11, 0]"""
    return [int(digits) for digits in re.findall(r"\d+", version.partition("+")[0])]


def check_versions(project: Path) -> str:
    """torch and torchvision must be the tested versions; of the others any allowed version will do."""
    if sys.version_info < (3, 11):  # noqa: UP036 (pip checks it, but the doctor may run before pip)
        raise UserError(f"This is Python {platform.python_version()}, but the course needs 3.11 or newer: install that.")
    differences = []
    for package, (lowest, tested) in required_versions(project).items():
        try:
            found = importlib.metadata.version(package).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            raise UserError(f"{package} is not installed: {INSTALL}.") from None
        if found != tested and package in ("torch", "torchvision"):
            raise UserError(f"{package} is {found}, but the course was tested with {tested}: {INSTALL}.")
        if as_numbers(found) < as_numbers(lowest):
            raise UserError(f"{package} is {found}, but the course needs {lowest} or newer: {INSTALL}.")
        if found != tested:
            differences.append(f"{package} {found} (tested: {tested})")
    return ", ".join([f"Python {platform.python_version()}", *(differences or ["all packages as tested"])])


def check_disk(project: Path, needed: float = 1.0) -> str:
    """needed: GB, also for temporary files."""
    for folder in (project, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(folder).free / 1e9
        if free < needed:
            raise UserError(f"Only {free:.1f} GB are free in {folder}: free {needed:.0f} GB, or set TMPDIR to another disk.")
    return f"{shutil.disk_usage(project).free / 1e9:.0f} GB free"


def check_memory(needed: float = 3.0) -> str:
    """needed: GB."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return "unknown on this system"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    if total < needed:
        raise UserError(f"This machine has {total:.1f} GB of memory, but the course needs {needed:.0f}: use another machine.")
    return f"{total:.0f} GB"


def check_writing(project: Path) -> str:
    """Notebooks are saved where they are, and write temporary files."""
    for folder in (project / "notebooks", Path(tempfile.gettempdir())):
        try:
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = error.strerror or "not allowed"
            raise UserError(f"{folder} is not writable ({reason}): change its permissions, or copy the course.") from error
    return "notebooks and temporary files can be written"


def check_processor() -> str:
    import torch

    from helpers.speed import choose_precision, pick_device

    device = pick_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} cores, no GPU (none is needed)"
    return f"{name}; bfloat16 is {'faster' if choose_precision(device) else 'not faster'} than float32"


def check_hashes(project: Path, folder: str) -> int:
    """Compare the bundled files in `folder` with their hashes; returns how many there are."""
    rows = [line.split("  ", 1) for line in (project / HASHES).read_text(encoding="utf-8").splitlines()]
    rows = [(digest, path) for digest, path in rows if path.startswith(folder)]
    for digest, path in rows:
        file = project / path
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise UserError(f"{path} is missing or has changed: git checkout -- {folder}, or clone the course again.")
    return len(rows)


def check_weights(project: Path) -> str:
    from helpers.models import initialize_model
    from helpers.recipe import default_weights

    if default_weights() == "flora":
        check_hashes(project, "helpers/weights")
        return "the bundled weights are intact"
    initialize_model("resnet18", 2, True)
    return f"FLOWER_WEIGHTS={default_weights()} can be loaded"


def check_images(project: Path) -> str:
    """The bundled images by their hashes; the folder that FLOWER_DATA names by its layout."""
    from helpers.data import data_path, find_images, split_summary

    if not os.environ.get("FLOWER_DATA"):
        return f"all {check_hashes(project, 'flower_data')} bundled images are intact"
    root = data_path()
    train = split_summary(root, find_images(root))["train"]
    return f"{root}: {train['images']} training images of {train['classes']} classes"


def check_port(port: int) -> str:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    return f"{port} is in use, Jupyter will take the next one" if taken else f"{port} is free for Jupyter"


def reference_work(images: int = 64) -> float:
    """Seconds of one training step of a ResNet18, which is what most of the notebooks' time goes into; the minimum of 3."""
    import torch

    from helpers.models import initialize_model
    from helpers.speed import pick_device

    device = pick_device()
    model = initialize_model("resnet18", 10, False, "none").to(device)
    inputs, labels = torch.randn(images, 3, 64, 64, device=device), torch.zeros(images, dtype=torch.long, device=device)

    def step() -> float:
        start = time.perf_counter()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        model.conv1.weight.grad.sum().item()  # waits for a GPU
        return time.perf_counter() - start

    return min(step() for _ in range(3))


def expected_seconds(project: Path, reference: float) -> dict[str, float]:
    """Notebook number -> expected seconds here: those in the README, scaled by the seconds of `reference_work`."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d+)\..*\| (\d+) s \|$", readme, re.MULTILINE)
    return {number: reference / REFERENCE_SECONDS * int(seconds) for number, seconds in rows}


def all_checks(project: Path, port: int) -> dict[str, Callable[[], str]]:
    """Name -> check, which returns what it found or raises UserError."""
    return {
        "versions": partial(check_versions, project),
        "disk": partial(check_disk, project),
        "memory": check_memory,
        "writing": partial(check_writing, project),
        "processor": check_processor,
        "weights": partial(check_weights, project),
        "images": partial(check_images, project),
        "port": partial(check_port, port),
    }


def run_checks(checks: dict[str, Callable[[], str]]) -> list[str]:
    """Print one line for every check; returns the names of those that found a problem."""
    problems = []
    for name, check in checks.items():
        try:
            print(f"ok       {name:10} {check()}", flush=True)
        except Exception as error:  # whatever it is, the other checks go on
            unexpected = f"{type(error).__name__}, {error}: install the packages again with {INSTALL}."
            print(f"PROBLEM  {name:10} {error if isinstance(error, UserError) else unexpected}", flush=True)
            problems.append(name)
            if name == "versions":
                break  # the other checks need the packages
    return problems


def main(project: Path = PROJECT, port: int = 8888) -> int:
    """Run all checks; returns 0 if the course will run, else 1."""
    if run_checks(all_checks(project, port)):
        print("The course will not run: fix this, then run the doctor again.")
        return 1
    expected = expected_seconds(project, reference_work())
    minutes = ", ".join(f"{number}: {seconds / 60:.1f}" for number, seconds in expected.items())
    print(f"Expected minutes per notebook: {minutes}\nThe course will run.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
