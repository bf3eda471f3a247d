"""Will the course run here? python -m helpers.doctor

Looks, in some seconds, at what a workshop needs: versions, disk, memory, processor, pictures and weights (by their hashes),
permissions, Jupyter's port; and estimates the time of every notebook from a short piece of the same work. Every problem
comes with its remedy. The exit status is 0 only if the course will run.
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
from pathlib import Path

# What needs torch is imported where it is used: the doctor must be able to say that it is missing.

PROJECT = Path(__file__).resolve().parent.parent
HASHES = Path(__file__).with_name("bundled.sha256")  # of the bundled pictures and weights, by tools.hash_bundled
DISK, MEMORY = 1.0, 3.0  # GB that the notebooks need
JUPYTER_PORT = 8888
REFERENCE_SECONDS = 0.42  # of `reference_work` on the machine whose times are in the README


class Problem(Exception):
    """One sentence: what is wrong and what to do."""


def check_versions() -> str:
    """The packages that requirements.txt pins: torch and torchvision exactly, of the others any version."""
    lines = (PROJECT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    others = []
    for package, wanted in (line.split("==") for line in lines if "==" in line and not line.startswith("#")):
        try:
            found = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            raise Problem(f"{package} is not installed: pip install -r requirements.txt.") from None
        if found != wanted and package in ("torch", "torchvision"):
            raise Problem(f"{package} is {found}, but the course was tested with {wanted}: pip install -r requirements.txt.")
        others += [f"{package} {found} (tested: {wanted})"] if found != wanted else []
    return ", ".join([f"Python {platform.python_version()}", *(others or ["all packages as tested"])])


def check_disk() -> str:
    for place in (PROJECT, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free / 1e9
        if free < DISK:
            raise Problem(f"Only {free:.1f} GB are free in {place}: free {DISK:.0f} GB, or set TMPDIR to another disk.")
    return f"{shutil.disk_usage(PROJECT).free / 1e9:.0f} GB free"


def check_memory() -> str:
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return "not known on this system"
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    if total < MEMORY:
        raise Problem(f"This machine has {total:.1f} GB of memory and the course needs {MEMORY:.0f}: use another machine.")
    return f"{total:.0f} GB"


def check_processor() -> str:
    import torch

    from helpers.training import choose_precision, pick_device

    device = pick_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{os.cpu_count()} cores, no GPU (none is needed)"
    return f"{name}; bfloat16 is {'fast' if choose_precision(device) else 'not faster'} here"


def check_hashes(under: str) -> int:
    """How many bundled files below `under` are as they were made."""
    rows = [line.split("  ", 1) for line in HASHES.read_text(encoding="utf-8").splitlines()]
    rows = [(digest, path) for digest, path in rows if path.startswith(under)]
    for digest, path in rows:
        try:
            whole = hashlib.sha256((PROJECT / path).read_bytes()).hexdigest() == digest
        except OSError:
            whole = False
        if not whole:
            raise Problem(f"{path} is missing or altered: git checkout -- {under}, or clone the course anew.")
    return len(rows)


def check_weights() -> str:
    from helpers.images import UserError
    from helpers.models import default_weights, initialize_model

    if default_weights() == "flora":
        check_hashes("helpers/weights")
        return "the bundled network is whole"
    try:
        initialize_model("resnet18", 2, True)
    except UserError as error:
        raise Problem(str(error)) from error
    return f"FLOWER_WEIGHTS={default_weights()} can be loaded"


def check_pictures() -> str:
    """The bundled pictures by their hashes; a folder of one's own by its layout."""
    from helpers.data import data_dir, split_card
    from helpers.images import UserError

    if not os.environ.get("FLOWER_DATA"):
        return f"all {check_hashes('flower_data')} bundled pictures are whole"
    try:
        root = data_dir()
    except UserError as error:
        raise Problem(str(error)) from error
    card = split_card(root)
    return f"{root}: {card['train']['images']} training images of {card['train']['classes']} classes"


def check_writing() -> str:
    """Notebooks are saved beside themselves and write temporary files."""
    for place in (PROJECT / "notebooks", Path(tempfile.gettempdir())):
        try:
            with tempfile.NamedTemporaryFile(dir=place):
                pass
        except OSError as error:
            reason = error.strerror or "not allowed"
            raise Problem(f"{place} cannot be written ({reason}): change its permissions, or copy the course.") from error
    return "notebooks and temporary files can be written"


def check_port() -> str:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", JUPYTER_PORT)) == 0
    return f"{JUPYTER_PORT} is taken, Jupyter will use the next one" if taken else f"{JUPYTER_PORT} is free for Jupyter"


def reference_work() -> float:
    """Seconds of one training step of ResNet18 on 64 images, what most of the notebooks' time goes into; the least of six."""
    import torch

    from helpers.models import initialize_model
    from helpers.training import pick_device

    device = pick_device()
    model = initialize_model("resnet18", 10, False, "none").to(device)
    images, labels = torch.randn(64, 3, 64, 64, device=device), torch.zeros(64, dtype=torch.long, device=device)

    def step() -> float:
        start = time.perf_counter()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        model.conv1.weight.grad.sum().item()  # waits for a GPU
        return time.perf_counter() - start

    return min(step() for _ in range(6))


def expected_seconds() -> dict[str, float]:
    """Notebook number -> seconds to expect here: the README's times, scaled."""
    factor = reference_work() / REFERENCE_SECONDS
    rows = re.findall(r"^\| \[(\d+)\..*\| (\d+) s \|$", (PROJECT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {number: factor * int(seconds) for number, seconds in rows}


CHECKS: dict[str, Callable[[], str]] = {
    "versions": check_versions,
    "disk": check_disk,
    "memory": check_memory,
    "writing": check_writing,
    "processor": check_processor,
    "weights": check_weights,
    "pictures": check_pictures,
    "port": check_port,
}


def main() -> int:
    """Print one line for every check; returns 0 if the course will run, else 1."""
    problems = []
    for name, check in CHECKS.items():
        try:
            print(f"ok       {name:10} {check()}", flush=True)
        except Exception as error:  # whatever it is, the other checks go on
            said = error if isinstance(error, Problem) else f"{type(error).__name__}, {error}: install the packages anew."
            problems.append(name)
            print(f"PROBLEM  {name:10} {said}", flush=True)
            if name == "versions":
                break  # the other checks need the packages
    if problems:
        print("The course will not run: put this right and start the doctor again.")
        return 1
    minutes = ", ".join(f"{number}: {seconds / 60:.1f}" for number, seconds in expected_seconds().items())
    print(f"Minutes of the notebooks here, about: {minutes}\nThe course will run.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
