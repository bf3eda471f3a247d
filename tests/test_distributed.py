"""Several processes that train together, under torchrun, on this machine's CPU."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import make_data

from helpers.augment import augment_batch
from helpers.data import PROJECT, BatchLoader
from helpers.processes import SharedBatchNorm2d, rank_and_world, share_batch_norms
from helpers.training import load_checkpoint

SETTINGS = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
BY_FILE = ["--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"]  # the README's way on Windows
FILE_ONLY = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def start(processes: int, *arguments, torchrun=("-m", "torch.distributed.run"), by_file=os.name == "nt") -> subprocess.Popen:
    """torchrun on this machine's CPU; scripts outside the project find `helpers`."""
    line = [sys.executable, *torchrun, *(BY_FILE if by_file else ["--standalone"]), "--local-addr", "127.0.0.1"]
    line += ["--nproc-per-node", processes, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | SETTINGS | (FILE_ONLY if by_file else {})
    return subprocess.Popen(list(map(str, line)), env=environment, **pipes)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def history_of(folder: Path) -> list[dict]:
    with open(folder / "history.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def assert_same_curve(one: Path, two: Path):
    assert len(history_of(one)) == len(history_of(two))
    for a, b in zip(history_of(one), history_of(two), strict=True):
        assert a == pytest.approx(b, abs=2e-3)


def test_alone_there_is_one_process():
    assert rank_and_world() == (0, 1)


@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_a_batch_make_up_the_whole(world):
    inputs, labels = torch.arange(20), torch.arange(20)
    batches = []
    for rank in range(world):
        torch.manual_seed(0)
        batches.append([y.tolist() for _, y in BatchLoader(inputs, labels, 6, shuffle=True, share=(rank, world))])
    torch.manual_seed(0)
    whole = [y.tolist() for _, y in BatchLoader(inputs, labels, 6, shuffle=True)]
    shared = list(zip(*batches, strict=True))
    assert len(shared) == 20 // 6 + (20 % 6 // world > 0)
    for shares, batch in zip(shared, whole, strict=False):
        assert len({len(share) for share in shares}) == 1
        assert sorted(i for share in shares for i in share) == sorted(batch[: len(batch) // world * world])


def test_every_image_is_measured_once_by_some_process():
    inputs = torch.arange(7)
    shares = [[y.tolist() for _, y in BatchLoader(inputs, inputs, 3, share=(rank, 4))] for rank in range(4)]
    assert sorted(i for share in shares for batch in share for i in batch) == list(range(7))


def test_an_image_gets_the_same_draws_in_a_share_as_in_the_whole_batch():
    images = torch.randint(0, 256, (7, 3, 40, 40), dtype=torch.uint8)
    torch.manual_seed(5)
    whole = augment_batch(images, 32)
    for rank in range(2):
        part = slice(rank, None, 2)
        torch.manual_seed(5)
        torch.testing.assert_close(augment_batch(images[part], 32, share=(part, 7)), whole[part])


SUMS = """
import sys, torch
from torch import nn
from helpers.processes import add_up, agree, distribute, join_processes, leave_processes, rank_and_world

join_processes()
rank, world = rank_and_world()
torch.manual_seed(0)
images = torch.randn(12, 3, 6, 6, dtype=torch.float64)
norm = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2)).double()
norm = distribute(norm)
loss = (norm(images[rank::world]) ** 2).mean()
loss.backward()
whole = getattr(norm, "module", norm)
total = add_up(loss.detach()) / world
first = agree(rank == 0)
print("agree", first, "sum", add_up(torch.tensor(rank + 1)).item())
if rank == 0:
    torch.save([total, *[p.grad for p in whole.parameters()], *whole.buffers()], sys.argv[1])
leave_processes()
"""


def test_two_processes_compute_the_same_gradients_and_statistics_as_one(tmp_path):
    script = tmp_path / "sums.py"
    script.write_text(SUMS)
    for processes in (1, 2):
        code, out, err = finish(start(processes, script, tmp_path / f"{processes}.pt"))
        assert code == 0, err
        assert out.splitlines() == [f"agree True sum {sum(range(1, processes + 1))}"]  # the first alone prints
    one, two = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a.double(), b.double(), rtol=1e-5, atol=1e-7)


WITHOUT_LIBUV = """
import torch.distributed as dist

class Store(dist.TCPStore):
    def __init__(self, *arguments, use_libuv=True, **options):
        if use_libuv:
            raise RuntimeError("use_libuv was requested but PyTorch was built without libuv support")
        super().__init__(*arguments, use_libuv=False, **options)

dist.TCPStore = Store
from torch.distributed.run import main
main()
"""


def test_processes_meet_where_pytorch_lacks_what_torchrun_asks_for(tmp_path):
    """As PyTorch for Windows does (pytorch/pytorch issue 148283); checked with a stand-in, not on Windows."""
    torchrun, script = tmp_path / "torchrun.py", tmp_path / "sums.py"
    torchrun.write_text(WITHOUT_LIBUV)
    script.write_text(SUMS)
    code, out, err = finish(start(2, script, tmp_path / "2.pt", torchrun=[torchrun], by_file=True))
    assert code == 0, err
    assert out == "agree True sum 3\n"
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert " ".join(BY_FILE) in readme
    assert all(f"{name}={value}" in readme for name, value in FILE_ONLY.items())


def test_shared_batch_norms_keep_the_names_of_plain_ones():
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    names = list(plain.state_dict())
    shared = share_batch_norms(plain)
    assert type(shared[1]) is SharedBatchNorm2d
    assert list(shared.state_dict()) == names


DOUBLE = """
import sys
from helpers import train

build = train.initialize_model

def in_double_precision(*arguments, **options):
    model = build(*arguments, **options).double()
    model.register_forward_pre_hook(lambda model, inputs: (inputs[0].double(),))
    return model

train.initialize_model = in_double_precision
train.choose_precision = lambda device: None
train.SCRATCH_RATE = 0.003
sys.exit(train.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """A line that runs helpers.train on all layers of a network in float64, at a low rate: in float32, and with so few images,
    batch normalisation makes a large difference of the last digit of a sum.
    """
    folder = tmp_path_factory.mktemp("command")
    script = folder / "training.py"
    script.write_text(DOUBLE)
    options = ["--weights", "none", "--head-epochs", "0", "--full-epochs", "4", "--image-size", "32", "--batch-size", "8"]
    data = make_data(folder / "data", train=16, valid=5)  # 48 images: every batch can be shared
    return [script, *options, "--data", data, "--out"]


@pytest.fixture(scope="module")
def on_two(command, tmp_path_factory):
    """A run on two processes in one go."""
    out = tmp_path_factory.mktemp("on_two") / "run"
    code, text, err = finish(start(2, *command, out))
    assert code == 0, err
    assert text.count("best validation accuracy") == 1  # the first process alone prints
    return out


def test_training_on_two_processes_gives_the_curve_of_one(tmp_path, command, on_two):
    code, _, err = finish(start(1, *command, tmp_path / "run"))
    assert code == 0, err
    assert_same_curve(tmp_path / "run", on_two)
    assert sorted(path.name for path in on_two.iterdir()) == ["best.pt", "history.csv", "last.pt", "metrics.json"]
    assert not [name for name in load_checkpoint(on_two / "best.pt")["model"] if name.startswith("module.")]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_a_process_that_dies_ends_the_run_and_it_can_be_resumed_to_the_same_curve(tmp_path, command, on_two):
    run, cut = start(2, *command, tmp_path / "cut"), tmp_path / "cut"
    while not (cut / "history.csv").is_file() or len(history_of(cut)) < 2:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    workers = [pid for pid in children if "training.py" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(int(workers[1]), signal.SIGKILL)
    code, _, err = finish(run)
    assert code != 0
    assert "Go on with the same line and --resume." in err
    assert 2 <= len(history_of(cut)) < 4
    code, _, err = finish(start(2, *command, cut, "--resume"))
    assert code == 0, err
    assert_same_curve(cut, on_two)


@pytest.mark.parametrize("change", [["--batch-size", "9"], ["--data", "nowhere"]])
def test_what_is_wrong_is_said_and_nobody_waits(tmp_path, command, change):
    code, _, err = finish(start(2, *command, tmp_path / "run", *change))
    assert code != 0
    assert "error: " in err
    assert not (tmp_path / "run" / "last.pt").exists()
