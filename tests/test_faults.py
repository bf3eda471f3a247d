"""What goes wrong in front of thirty learners: kills, full disks, corrupt images, strange names. All without a network.

FAULTS=N makes the long tests longer: N kills and 5 N corrupt images (default: 4 kills, 20 images). Only if it is set, every
notebook is run twice in the same kernel, and on a tiny data folder. Before a release: FAULTS=200.
"""

import contextlib
import copy
import io
import itertools
import os
import random
import struct
import time
import zlib
from pathlib import Path

import jupyter_client
import nbformat
import numpy as np
import pytest
import tiny_run
from conftest import COLOURS, assert_same_run, is_one_sentence, line, make_data, noisy, save
from nbclient import NotebookClient

from helpers import data, train
from helpers.base import PROJECT, UserError
from helpers.checkpoints import load_checkpoint
from helpers.data import FlowerFolder, decode_split
from helpers.images import image_files, load_image
from helpers.prediction import load_model, predict_files

FAULTS = int(os.environ.get("FAULTS", "4"))
only_if_set = pytest.mark.skipif("FAULTS" not in os.environ, reason="takes up to an hour: only if FAULTS is set")


# ---- kills and disks -----------------------------------------------------------------------------------------------


def short_run(root: Path, out: Path, *more) -> list[str]:
    return line(root, out, *more, head=2, full=20)


def start(root: Path, out: Path, *more, log: str = "log.txt"):
    return tiny_run.start(short_run(root, out, *more), out.with_name(log))


def wait_for(path: Path, process) -> None:
    while not path.exists() and process.is_alive():
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(flowers, tmp_path_factory) -> Path:
    """A run without interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert train.main(short_run(flowers, out)) == 0
    return out


def test_killed_at_any_moment_a_run_can_be_resumed_to_the_same_result(flowers, whole, tmp_path):
    for out in (tmp_path / "first", tmp_path / "second"):  # the first run also starts the server of processes
        begin = time.perf_counter()
        start(flowers, out).join()
        duration = time.perf_counter() - begin
    chance, kills, resumed = random.Random(0), 0, 0
    for number in itertools.count():
        out, more = tmp_path / f"cut{number}", []
        while True:
            process = start(flowers, out, *more)
            if kills % 2:  # every other kill at least comes after a checkpoint
                wait_for(out / "last.pt", process)
            process.join(chance.uniform(0, duration))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
            if (out / "last.pt").exists():
                load_checkpoint(out / "last.pt")  # complete, whenever the kill came
                more = ["--resume"]
                resumed += 1
        assert process.exitcode == 0
        assert_same_run(out, whole)
        if kills >= FAULTS:
            break
    print(f"{kills} kills, {resumed} after a checkpoint; {number + 1} runs ended like the one without interruption")
    assert resumed > 0


def test_a_run_on_a_full_disk_says_so_and_can_be_resumed_when_there_is_space(small_disk, flowers, whole):
    out, filler = small_disk / "run", small_disk / "filler"
    process = start(flowers, out)
    wait_for(out / "last.pt", process)
    with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as file:
        while True:  # until the disk is full
            file.write(bytes(512))
    process.join()
    load_checkpoint(out / "last.pt")
    filler.unlink()
    assert process.exitcode == 2
    assert train.main(short_run(flowers, out, "--resume")) == 0
    assert_same_run(out, whole)


def test_of_two_runs_at_the_same_moment_one_is_refused(flowers, whole, tmp_path):
    out = tmp_path / "run"
    processes = [start(flowers, out, log=f"log{number}.txt") for number in range(2)]
    for process in processes:
        process.join()
    statuses = [process.exitcode for process in processes]
    logs = [(tmp_path / f"log{number}.txt").read_text() for number in range(2)]
    assert sorted(statuses) == [0, 2], logs
    refused = logs[statuses.index(2)]
    assert is_one_sentence(refused)
    assert "Another run is writing" in refused or "already contains a run" in refused
    assert_same_run(out, whole)


# ---- images --------------------------------------------------------------------------------------------------------


def encoded() -> dict[str, bytes]:
    """The same image in every format, by suffix."""
    images = {}
    for form, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("BMP", "bmp"), ("WEBP", "webp"), ("TIFF", "tif"), ("PPM", "ppm")):
        stream = io.BytesIO()
        noisy(COLOURS["1"], size=(60, 50)).save(stream, form)
        images[suffix] = stream.getvalue()
    return images


def corrupt(content: bytes, chance: random.Random) -> bytes:
    """The bytes of an image with some damage."""
    at = chance.randrange(1, len(content))
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 60)):
        changed[chance.randrange(min(len(content), chance.choice([100, 10**9])))] = chance.randrange(256)
    return chance.choice([content[:at], b"", bytes(changed), content[:at] + content, chance.randbytes(at), content[at:]])


def bomb(suffix: str) -> bytes:
    """A small file that claims to be an image of 2.5 billion pixels."""
    if suffix == "ppm":
        return b"P6 50000 50000 255\n"
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.fixture(scope="module")
def bad_images(tmp_path_factory) -> Path:
    """A data folder with some good and 5 * FAULTS corrupt or misnamed training images."""
    root, chance, images = make_data(tmp_path_factory.mktemp("bad") / "data", train=4, valid=2), random.Random(0), encoded()
    for number in range(5 * FAULTS):
        kind = chance.choice(["png", "ppm"]) if number % 10 == 0 else chance.choice(list(images))
        content = bomb(kind) if number % 10 == 0 else corrupt(images[kind], chance)
        name = f"bad{number:04}.{chance.choice(list(images))}"  # the suffix is often wrong
        (root / "train" / chance.choice(list(COLOURS)) / name).write_bytes(content)
    return root


def readable(files: list[Path]) -> set[Path]:
    """Those that load_image reads; the others must be named in one sentence."""
    good = set()
    for path in files:
        try:
            image = load_image(path)
            assert (image.mode, np.asarray(image).dtype) == ("RGB", np.uint8)
            good.add(path)
        except UserError as error:
            assert is_one_sentence(str(error)), str(error)
            assert path.name in str(error)
    return good


@pytest.mark.filterwarnings("ignore")  # Pillow also warns about some of these files
def test_every_bad_image_is_used_or_named_and_nothing_else_is_lost(bad_images, whole, capsys):
    files = [path for name in COLOURS for path in image_files(bad_images / "train" / name)]
    good = readable(files)
    assert {path for path in files if not path.name.startswith("bad")} <= good
    assert 0 < len(files) - len(good) <= 5 * FAULTS

    images = decode_split(bad_images, "train", 16, skip_unreadable=True)  # in parallel
    named = [text for text in capsys.readouterr().out.splitlines() if text.startswith("skipped: ")]
    assert set(images.files) == good
    assert len(named) == len(files) - len(good)

    folder, usable = FlowerFolder(bad_images / "train"), set()  # one by one
    for number, (path, _) in enumerate(folder.samples):
        with contextlib.suppress(UserError):
            assert folder[number][0].mode == "RGB"
            usable.add(Path(path))
    assert usable == good

    results, messages = predict_files(load_model(whole / "best.pt"), files)
    assert {guesses[0].file for guesses in results} == good
    assert len(messages) == len(files) - len(good)
    print(f"{5 * FAULTS} bad images: {len(named)} named, {5 * FAULTS - len(named)} still readable")


@pytest.mark.filterwarnings("ignore")
def test_training_skips_the_bad_images_if_it_is_told_to(bad_images, tmp_path, capsys):
    assert train.main(line(bad_images, tmp_path / "refused")) == 2
    message = capsys.readouterr().err
    assert is_one_sentence(message)
    assert "more unreadable files)" in message
    assert train.main(line(bad_images, tmp_path / "run", "--skip-unreadable")) == 0


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path):
    for suffix in ("png", "ppm"):
        path = tmp_path / f"bomb.{suffix}"
        path.write_bytes(bomb(suffix))
        with pytest.raises(UserError, match="bomb"):
            load_image(path)


# ---- names ---------------------------------------------------------------------------------------------------------

NAMES = [
    "two words",
    "l'été à Zürich",
    'quo"te',
    "花",
    "زهرة",
    "🌻",
    "a" * 120,
    "back\\slash",
    "C:rose",
    "per%cent {brace} $HOME *",
    "new\nline",
    "-rf",
    "e\u0301",  # an accent as a character of its own
    "rose.jpg",  # a folder that is named like an image
]


@pytest.mark.skipif(os.name != "posix", reason="these names are not allowed on Windows")
def test_any_name_of_a_folder_a_class_or_an_image_works(tmp_path):
    folder = tmp_path / " ".join(name for name in NAMES if len(name) < 120)
    root = make_data(folder / "data", dict.fromkeys(NAMES, COLOURS["1"]), train=2, valid=1)
    for name in NAMES:
        save(noisy(COLOURS["1"]), root / "valid" / name / f"{name}.png")
    assert train.main(line(root, folder / "run", head=1, full=1)) == 0
    model = load_model(folder / "run" / "best.pt")
    assert model.classes == sorted(NAMES)
    results, messages = predict_files(model, image_files(root / "valid"), top=len(NAMES))
    assert (len(results), messages) == (2 * len(NAMES), [])
    assert {guess.name for guess in results[0]} == set(NAMES)


@pytest.mark.skipif(os.name != "posix", reason="these names are not allowed on Windows")
def test_any_name_of_an_unreadable_image_is_named_on_one_line(tmp_path):
    for name in NAMES:
        path = tmp_path / f"{name}.jpg"
        path.write_text("no image")
        with pytest.raises(UserError) as error:
            load_image(path)
        assert is_one_sentence(str(error.value)), name


def test_a_path_with_backslashes_or_dots_works_or_is_named(monkeypatch, tmp_path, flowers):
    """What a learner on Windows may set, seen from the project's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWER_DATA", str(flowers) + os.sep)
    assert data.data_dir() == flowers
    monkeypatch.setenv("FLOWER_DATA", os.path.relpath(flowers))
    assert data.data_dir().resolve() == flowers.resolve()
    monkeypatch.setenv("FLOWER_DATA", "C:\\my photos\\flowers")
    with pytest.raises(UserError) as error:
        data.data_dir()
    assert is_one_sentence(str(error.value))


# ---- notebooks -----------------------------------------------------------------------------------------------------

every_notebook = pytest.mark.parametrize("path", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)


def execute(notebook, folder: Path) -> None:
    NotebookClient(notebook, timeout=900, coalesce_streams=True, resources={"metadata": {"path": str(folder)}}).execute()


def compared(cell) -> str:
    """What a cell prints, if nbval compares it and it does not count how often it was run (notebook 5's test set)."""
    if "nbval-ignore-output" in cell.metadata.get("tags", []) or "locked.uses" in cell.source:
        return ""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@only_if_set
@pytest.mark.parametrize("order", ["every cell twice", "all cells, then all again"])
@every_notebook
def test_a_notebook_run_twice_in_the_same_kernel_prints_the_same(path, order):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stored = [compared(cell) for cell in cells]
    again = copy.deepcopy(cells)
    for number, cell in enumerate(again):
        cell.id = f"again{number}"
    pairs = itertools.chain(*zip(cells, again, strict=True))
    notebook.cells = list(pairs) if order == "every cell twice" else cells + again
    execute(notebook, path.parent)
    assert [compared(cell) for cell in again] == stored


@only_if_set
@every_notebook
def test_a_notebook_runs_on_a_tiny_data_folder(path, tmp_path, monkeypatch):
    """Two classes with 12 training and 4 validation images each; an error in any cell fails the test."""
    root = make_data(tmp_path / "data", {"rose": COLOURS["1"], "iris": COLOURS["2"]}, train=12, valid=4)
    monkeypatch.setenv("FLOWER_DATA", str(root))
    execute(nbformat.read(path, as_version=4), path.parent)


@pytest.fixture
def kernel():
    manager, client = jupyter_client.manager.start_new_kernel(cwd=str(PROJECT / "notebooks"))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def printed(client, timeout: float = 60) -> str:
    """What the running cell prints until it ends."""
    text = ""
    while True:
        message = client.get_iopub_msg(timeout=timeout)
        if message["msg_type"] == "stream":
            text += message["content"]["text"]
        if message["msg_type"] == "error":
            text += message["content"]["ename"]
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return text


TRAINING = """
import torch
from helpers.training import train_model
model, batch = torch.nn.Linear(4, 2), (torch.randn(8, 4), torch.zeros(8, dtype=torch.long))
batches = {"train": [batch] * 50, "valid": [batch]}
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
begin = lambda epoch: epoch == 0 and print("begin", flush=True)
train_model(model, batches, torch.nn.CrossEntropyLoss(), optimizer, 10**6, verbose=False, after_epoch=begin)
"""


@pytest.mark.skipif(os.name != "posix", reason="a kernel is interrupted in another way on Windows")
def test_ctrl_c_in_a_training_cell_keeps_the_best_weights_and_the_next_cell_runs(kernel):
    manager, client = kernel
    client.execute(TRAINING)
    while "begin" not in client.get_iopub_msg(timeout=60)["content"].get("text", ""):
        pass
    manager.interrupt_kernel()
    assert "Interrupted after" in printed(client)
    client.execute("print(model.weight.shape)")
    assert printed(client) == "torch.Size([2, 4])\n"
