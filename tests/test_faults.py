"""What goes wrong in front of thirty people: kills, full disks, bad pictures, strange names. All without a network.

FAULTS=N makes the long tests longer: N kills, 5 N bad pictures, and every notebook twice over (default: 10 kills,
50 pictures, no notebooks; before a release FAULTS=200).
"""

import contextlib
import copy
import io
import itertools
import multiprocessing
import os
import random
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import jupyter_client
import nbformat
import numpy as np
import pytest
import tiny_run
import torch
from conftest import COLOURS, is_one_sentence, line, make_data, noisy, save
from nbclient import NotebookClient

from helpers import data, train
from helpers.data import PROJECT, FlowerFolder, decode_split
from helpers.images import UserError, image_files, load_image
from helpers.prediction import load_model, predict_files
from helpers.training import load_checkpoint

FAULTS = int(os.environ.get("FAULTS", "10"))


def arguments_of(root: Path, out: Path, *more) -> list[str]:
    """Options of a short run on the pictures in `root`; --out comes last."""
    arguments = line(make_data(root, train=8, valid=4) if not root.exists() else root, out, *more, head=2, full=30)
    place = arguments.index("--out")
    return [*arguments[:place], *arguments[place + 2 :], *arguments[place : place + 2]]


@pytest.fixture
def command(tmp_path):
    """The command line of such a run, up to --out."""
    return [sys.executable, "-u", str(PROJECT / "tests" / "tiny_run.py"), *arguments_of(tmp_path / "data", tmp_path)[:-1]]


def run(arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=300, **options)


# ---- kill -9 -------------------------------------------------------------------------------------------------------


@pytest.fixture
def begin(monkeypatch):
    """Starts a run in a process of its own, which need not import torch first."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "tests"))  # where the server of processes finds tiny_run
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tiny_run"])

    def begin(arguments):
        process = context.Process(target=tiny_run.run_quietly, args=(arguments,))
        process.start()
        return process

    return begin


def killed(process, seconds: float) -> bool:
    """Kill the run after so many seconds; False if it had finished by then."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return True
    assert process.exitcode == 0
    return False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be started quickly enough here")
def test_killed_at_any_moment_a_run_goes_on_and_ends_in_the_same_history(tmp_path, begin):
    data, whole = tmp_path / "data", tmp_path / "whole"
    for out in (tmp_path / "first", whole):  # the first one also starts the server of processes
        start = time.perf_counter()
        assert not killed(begin(arguments_of(data, out)), 300)
        lasts = time.perf_counter() - start
    chance, kills, resumed, number = random.Random(0), 0, 0, 0
    while kills < FAULTS:
        cut, more = tmp_path / f"cut{number}", []
        while killed(begin(arguments_of(data, cut, *more)), chance.uniform(0, lasts)):
            kills += 1
            if (cut / "last.pt").exists():
                load_checkpoint(cut / "last.pt")  # whole, whenever the kill came
                more = ["--resume"]
                resumed += 1
        number += 1
        assert (cut / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
        expected, found = (load_checkpoint(out / "best.pt")["model"] for out in (whole, cut))
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert sorted(path.name for path in cut.iterdir()) == sorted(path.name for path in whole.iterdir())
    print(f"{kills} kills, {resumed} with a checkpoint to go on from, {number} runs all ended as the one that was not killed")
    assert resumed > 0


# ---- the disk ------------------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_is_said_and_the_run_goes_on_when_there_is_room(small_disk, command, tmp_path):
    filler = small_disk / "filler"
    assert run([*command, small_disk / "whole"]).returncode == 0
    for path in sorted((small_disk / "whole").iterdir()):
        path.unlink()
    line = [*command, str(small_disk / "run")]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (small_disk / "run" / "last.pt").exists():
        assert child.poll() is None, child.communicate()[0]
        time.sleep(0.01)
    with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as file:
        while True:  # take all that is left
            file.write(bytes(512))
    said = child.communicate()[0]
    assert child.returncode == 2, said
    assert is_one_sentence(said.splitlines()[-1])
    assert "No space left on device" in said.splitlines()[-1]
    load_checkpoint(small_disk / "run" / "last.pt")
    filler.unlink()
    assert run([*command, small_disk / "run", "--resume"]).returncode == 0
    assert run([*command, tmp_path / "other"]).returncode == 0
    assert (small_disk / "run" / "history.csv").read_bytes() == (tmp_path / "other" / "history.csv").read_bytes()


def test_a_read_only_folder_is_said_before_the_work(read_only_folder, flowers, capsys, tiny):
    assert train.main(line(flowers, read_only_folder / "run")) == 2
    said = capsys.readouterr()
    assert is_one_sentence(said.err)
    assert str(read_only_folder) in said.err
    assert "training and" not in said.out


def test_two_runs_at_the_same_moment_do_not_mix(command, tmp_path):
    children = [subprocess.Popen([*command, str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(2)]  # fmt: skip
    said = [child.communicate(timeout=300) for child in children]
    statuses = [child.returncode for child in children]
    assert sorted(statuses) == [0, 2], said
    refused = said[statuses.index(2)][1]
    assert is_one_sentence(refused)
    assert "Another run" in refused or "already holds a run" in refused
    assert run([*command, tmp_path / "alone"]).returncode == 0
    assert (tmp_path / "run" / "history.csv").read_bytes() == (tmp_path / "alone" / "history.csv").read_bytes()


# ---- pictures ------------------------------------------------------------------------------------------------------


def encoded() -> dict[str, bytes]:
    """The same picture in every format, by suffix."""
    pictures = {}
    for form, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("BMP", "bmp"), ("WEBP", "webp"), ("TIFF", "tif"), ("PPM", "ppm")):
        stream = io.BytesIO()
        noisy(COLOURS["1"], size=(60, 50)).save(stream, form)
        pictures[suffix] = stream.getvalue()
    return pictures


def spoil(content: bytes, chance: random.Random) -> bytes:
    """The bytes of a picture with some damage."""
    at = chance.randrange(1, len(content))
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 60)):
        changed[chance.randrange(min(len(content), chance.choice([100, 10**9])))] = chance.randrange(256)
    return chance.choice([content[:at], b"", bytes(changed), content[:at] + content, chance.randbytes(at), content[at:]])


def bomb(suffix: str) -> bytes:
    """A small file that says it is a picture of 2.5 thousand million pixels."""
    if suffix == "ppm":
        return b"P6 50000 50000 255\n"
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + name + c + struct.pack(">I", zlib.crc32(name + c)) for name, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.fixture
def bad_pictures(tmp_path):
    """A data folder with some good and 5 * FAULTS spoilt or misnamed training pictures."""
    root, chance, pictures = make_data(tmp_path / "data", train=4, valid=2), random.Random(0), encoded()
    for number in range(5 * FAULTS):
        content = (
            bomb(chance.choice(["png", "ppm"])) if number % 10 == 0 else spoil(pictures[chance.choice(list(pictures))], chance)
        )
        name = f"bad{number:04}.{chance.choice(list(pictures))}"  # the suffix is often wrong
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
def test_every_bad_picture_is_used_or_named_and_nothing_else_is_lost(bad_pictures, checkpoint, capsys):
    files = [path for name in COLOURS for path in image_files(bad_pictures / "train" / name)]
    good = readable(files)
    assert {path for path in files if not path.name.startswith("bad")} <= good
    assert 0 < len(files) - len(good) <= 5 * FAULTS

    images = decode_split(bad_pictures, "train", 16, skip_unreadable=True)  # the fast path
    named = [text for text in capsys.readouterr().out.splitlines() if text.startswith("left out: ")]
    assert set(images.files) == good
    assert len(named) == len(files) - len(good)

    folder, usable = FlowerFolder(bad_pictures / "train"), set()  # the usual path
    for number, (path, _) in enumerate(folder.samples):
        try:
            assert folder[number][0].mode == "RGB"
            usable.add(Path(path))
        except UserError as error:
            assert is_one_sentence(str(error))
    assert usable == good

    results, problems = predict_files(load_model(checkpoint), files)
    assert {guesses[0].file for guesses in results} == good
    assert len(problems) == len(files) - len(good)
    print(f"{5 * FAULTS} bad pictures: {len(named)} named, {5 * FAULTS - len(named)} still readable")


@pytest.mark.filterwarnings("ignore")
def test_training_goes_on_without_the_bad_pictures_when_asked(bad_pictures, tmp_path, tiny, capsys):
    assert train.main(line(bad_pictures, tmp_path / "refused")) == 2
    said = capsys.readouterr().err
    assert is_one_sentence(said)
    assert "more files like it" in said
    assert train.main(line(bad_pictures, tmp_path / "run", "--skip-unreadable")) == 0


@pytest.mark.parametrize("suffix", ["png", "ppm"])
def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, suffix):
    path = tmp_path / f"bomb.{suffix}"
    path.write_bytes(bomb(suffix))
    with pytest.raises(UserError, match="bomb"):
        load_image(path)


@pytest.fixture
def checkpoint(tmp_path, tiny, flowers):
    assert train.main(line(flowers, tmp_path / "small", head=1, full=0)) == 0
    return tmp_path / "small" / "best.pt"


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
    "e\u0301",  # an accent as a sign of its own
    "rose.jpg",  # a folder that is called like a picture
]


@pytest.mark.skipif(os.name != "posix", reason="these names are not allowed on Windows")
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_class_works_from_the_folder_to_the_table(tmp_path, tiny, capsys, name):
    colours = {name: COLOURS["1"], "other": COLOURS["2"]}
    root = make_data(tmp_path / name / "data", colours, train=3, valid=2)
    save(noisy(COLOURS["1"]), root / "valid" / name / f"{name[:100]}.png")
    assert train.main(line(root, tmp_path / name / "out")) == 0
    best = tmp_path / name / "out" / "best.pt"
    assert load_model(best).classes == sorted([name, "other"])
    results, problems = predict_files(load_model(best), image_files(root / "valid"))
    assert not problems
    assert {guess.label for guess in results[0]} == {name, "other"}


@pytest.mark.skipif(os.name != "posix", reason="these names are not allowed on Windows")
@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_bad_file_gives_one_line(tmp_path, name):
    path = tmp_path / f"{name}.jpg"
    path.write_text("no picture")
    with pytest.raises(UserError) as error:
        load_image(path)
    assert is_one_sentence(str(error.value))


def test_a_path_with_backslashes_or_dots_stays_in_its_place(monkeypatch, tmp_path, flowers):
    """What a learner on Windows may set; seen from the project's folder."""
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
print("begin", flush=True)
train_model(model, batches, torch.nn.CrossEntropyLoss(), optimizer, 10**6, verbose=False)
"""


def compared(cell) -> str:
    """What a cell prints, if nbval compares it and it does not count how often it was run (notebook 5's test set)."""
    if "nbval-ignore-output" in cell.metadata.get("tags", []) or "locked.uses" in cell.source:
        return ""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.skipif("FAULTS" not in os.environ, reason="takes an hour: only when FAULTS is set")
@pytest.mark.parametrize("order", ["every cell twice", "all cells, then all again"])
@pytest.mark.parametrize("path", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_run_twice_over_prints_the_same(path, order):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stored = [compared(cell) for cell in cells]
    again = copy.deepcopy(cells)
    for number, cell in enumerate(again):
        cell.id = f"again{number}"
    pairs = itertools.chain(*zip(cells, again, strict=True))
    notebook.cells = list(pairs) if order == "every cell twice" else cells + again
    NotebookClient(notebook, timeout=900, coalesce_streams=True, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert [compared(cell) for cell in again] == stored


@pytest.mark.skipif(os.name != "posix", reason="a kernel is interrupted in another way on Windows")
def test_ctrl_c_in_a_training_cell_keeps_the_best_weights_and_the_next_cell_runs(kernel):
    manager, client = kernel
    client.execute(TRAINING)
    while client.get_iopub_msg(timeout=60)["content"].get("text") != "begin\n":
        pass
    time.sleep(1)
    manager.interrupt_kernel()
    assert "Stopped by you after" in printed(client)
    client.execute("print(model.weight.shape)")
    assert printed(client) == "torch.Size([2, 4])\n"
