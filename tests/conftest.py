"""Small images, data folders and networks that several test files share."""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from helpers import export, train
from helpers.checkpoints import load_checkpoint
from helpers.models import MODELS

# Text order of the folders is 1, 10, 2: index, folder and flower name are three different things.
COLOURS = {"1": (210, 40, 40), "10": (40, 180, 60), "2": (50, 60, 210)}


def pytest_configure(config) -> None:
    """The environment that all processes started by the tests inherit."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"  # every core has a worker already
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # numba's first parallel loop also resets torch's threads
    # Kernels that nbval kills cannot remove their temporary files: these go into a folder that is removed with the tests.
    temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    config.add_cleanup(temporary.cleanup)
    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary.name))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a script would ignore Ctrl-C


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread: sums are the same in every process, and small networks do not wait for busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    """FLOWER_ variables of the shell do not reach a test, and every test draws the same random numbers."""
    torch.manual_seed(0)
    monkeypatch.delenv("FLOWER_DATA", raising=False)
    monkeypatch.delenv("FLOWER_WEIGHTS", raising=False)


def noisy(colour, seed: int = 0, size: tuple[int, int] = (40, 40), spread: int = 25) -> Image.Image:
    """A picture of one colour with noise; size is (width, height)."""
    rng = np.random.default_rng(seed)
    pixels = np.array(colour) + rng.integers(-spread, spread + 1, (size[1], size[0], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def save(image: Image.Image, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def make_data(root: Path, colours=None, train: int = 12, valid: int = 4) -> Path:
    """A data folder in ImageFolder layout with one colour per class."""
    for k, (name, colour) in enumerate((colours or COLOURS).items()):
        for s, (split, count) in enumerate({"train": train, "valid": valid}.items()):
            for i in range(count):
                save(noisy(colour, 1000 * k + 100 * s + i), root / split / name / f"{i:02}.png")
    return root


@pytest.fixture(scope="session")
def flowers(tmp_path_factory) -> Path:
    """Three classes of 12 training and 4 validation pictures; not to be changed."""
    return make_data(tmp_path_factory.mktemp("flowers"))


@pytest.fixture(scope="session")
def backbone_file(tmp_path_factory) -> Path:
    """A ResNet18's tensors in half precision and without head, as the bundled file has them."""
    torch.manual_seed(5)
    tensors = {k: v for k, v in resnet18().state_dict().items() if not k.startswith("fc.")}
    path = tmp_path_factory.mktemp("weights") / "backbone.safetensors"
    save_file({k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}, path)
    return path


def tiny_network(weights=None) -> nn.Module:
    """Named like a ResNet, a thousand times smaller."""
    layers = {
        "conv1": nn.Conv2d(3, 8, 5, stride=4, bias=False),
        "bn1": nn.BatchNorm2d(8),
        "relu": nn.ReLU(),
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(8, 1000),
    }
    return nn.Sequential(OrderedDict(layers))


MODELS["tiny"] = tiny_network  # for tests of everything around the network


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def is_one_sentence(text: str) -> bool:
    """One line that ends like a sentence (perhaps with a remark in brackets)."""
    return "\n" not in text.strip() and text.strip().endswith((".", ")")) and "Traceback" not in text


def refused(capsys, status: int, *words) -> str:
    """The only line on standard error of a command that ended with status 2; it contains the words."""
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert is_one_sentence(error)
    for word in words:
        assert str(word) in error
    return error


def history_of(out: Path) -> list[dict]:
    """The rows of history.csv without the seconds."""
    with open(out / "history.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(out: Path, other: Path, case: object = "") -> None:
    """The same files, history, best weights and metrics, to the last digit."""
    assert files_in(out) == files_in(other), case
    assert history_of(out) == history_of(other), case
    best, expected = (load_checkpoint(folder / "best.pt") for folder in (out, other))
    torch.testing.assert_close(best.pop("model"), expected.pop("model"), rtol=0, atol=0)
    assert best == expected, case
    metrics, expected = (json.loads((folder / "metrics.json").read_text()) for folder in (out, other))
    times = dict.fromkeys(("load_seconds", "head_seconds", "full_seconds"))
    assert metrics | times == expected | times, case


def line(root: Path, out: Path, *more, head: int = 3, full: int = 2, architecture: str = "tiny") -> list[str]:
    """Arguments of a short run of helpers.train from random weights, in float32: the faster precision depends on the load."""
    options = {"--data": root, "--out": out, "--weights": "none", "--head-epochs": head, "--full-epochs": full}
    options |= {"--image-size": 32, "--batch-size": 12, "--architecture": architecture, "--precision": "float32"}
    options["--full-lr"] = 0.03
    return [*(str(part) for pair in options.items() for part in pair), *more]


@pytest.fixture(scope="session")
def trained(flowers, tmp_path_factory):
    """The folder of a finished run of a ResNet18 on three colors; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    assert train.main(line(flowers, out, head=8, full=3, architecture="resnet18")) == 0
    return out


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory) -> Path:
    """The trained network as an ONNX file."""
    path = tmp_path_factory.mktemp("exported") / "flowers.onnx"
    assert export.main(["--checkpoint", str(trained / "best.pt"), "--out", str(path)]) == 0
    return path


@contextlib.contextmanager
def file_size_limit(size: int):
    """The system stops writing to any file at this size, as a full disk would; skips the test where it cannot."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    """A small file system of its own in the folder; skips the test where that is not allowed."""
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(line, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk with room for 1 MB."""
    with mounted(tmp_path / "disk", "size=1m") as folder:
        yield folder


@pytest.fixture
def read_only_folder(tmp_path):
    """A folder that nobody may write into."""
    if os.name == "posix" and os.geteuid() == 0:  # permissions do not bind root: the file system itself must refuse
        with mounted(tmp_path / "locked", "ro") as folder:
            yield folder
        return
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("folders cannot be locked on this system")
    yield folder
    folder.chmod(0o700)


class Hostile:
    """Unpickling this would create a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")
