"""Several processes that train together on the CPU of this machine."""

import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_run
import torch
from conftest import files_in, history_of, line, make_data
from torch import nn

from helpers import distributed
from helpers.augment import augment_batch
from helpers.base import PROJECT
from helpers.checkpoints import load_checkpoint
from helpers.data import BatchLoader
from helpers.distributed import CPUSyncBatchNorm2d, convert_sync_batch_norm, get_rank_and_world_size

EPOCHS = 20
ON_CPU = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
BY_FILE = ["--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"]  # the README's command on Windows
FILE_ONLY = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


# ---- the shards of a batch -----------------------------------------------------------------------------------------


def test_without_torchrun_there_is_one_process():
    assert get_rank_and_world_size() == (0, 1)


def test_the_shards_of_a_training_batch_are_equally_large_and_make_up_the_batch():
    numbers = torch.arange(20)

    def batches(rank: int, world_size: int) -> list[list[int]]:
        torch.manual_seed(0)
        loader = BatchLoader(numbers, numbers, 6, shuffle=True, shard=(rank, world_size))
        result = [labels.tolist() for _, labels in loader]
        assert len(loader) == len(result)
        return result

    whole = batches(0, 1)
    for world_size in (2, 3):
        shards = list(zip(*(batches(rank, world_size) for rank in range(world_size)), strict=True))
        assert len(shards) == 20 // 6 + (20 % 6 // world_size > 0)
        for of_batch, batch in zip(shards, whole, strict=False):
            assert len({len(shard) for shard in of_batch}) == 1
            kept = batch[: len(batch) // world_size * world_size]
            assert sorted(i for shard in of_batch for i in shard) == sorted(kept)


def test_every_validation_image_is_in_one_shard():
    numbers = torch.arange(7)
    loaders = [BatchLoader(numbers, numbers, 3, shard=(rank, 4)) for rank in range(4)]
    assert sorted(i for loader in loaders for _, labels in loader for i in labels.tolist()) == list(range(7))


def test_an_image_is_augmented_in_a_shard_as_in_the_whole_batch():
    images = torch.randint(0, 256, (7, 3, 40, 40), dtype=torch.uint8)
    torch.manual_seed(5)
    whole = augment_batch(images, 32)
    for rank in range(2):
        part = slice(rank, None, 2)
        torch.manual_seed(5)
        torch.testing.assert_close(augment_batch(images[part], 32, shard=(part, 7)), whole[part])


# ---- synchronized batch normalization and sums ---------------------------------------------------------------------


def test_batch_norms_are_converted_for_the_device_and_keep_their_tensors():
    for device, kind in (("cpu", CPUSyncBatchNorm2d), ("cuda", nn.SyncBatchNorm)):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(2)))
        before = model.state_dict(keep_vars=True)
        converted = convert_sync_batch_norm(model, torch.device(device))
        assert type(converted[1]) is type(converted[2][0]) is kind
        after = converted.state_dict(keep_vars=True)
        assert list(after) == list(before)
        assert all(after[name] is tensor for name, tensor in before.items()), device


SUMS = """
import sys, torch
from torch import nn
from helpers import distributed as dist

dist.init_distributed()
rank, world_size = dist.get_rank_and_world_size()
images = [1, 3][:world_size]
mean = sum(n * n for n in images) / sum(images)
assert dist.all_reduce_mean(float(images[rank]), 2.0 * images[rank], images[rank]) == (mean, 2 * mean)
assert dist.broadcast_flag(rank == 0) and not dist.broadcast_flag(rank > 0)
torch.manual_seed(0)
batch = torch.randn(12, 3, 6, 6, dtype=torch.float64)
plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2)).double()
model = dist.distribute(plain)
loss = (model(batch[rank::world_size]) ** 2).mean()
loss.backward()
loss = dist.all_reduce_sum(loss.detach()) / world_size
print("rank", rank)
if rank == 0:
    torch.save([loss, *[p.grad for p in plain.parameters()], *plain.buffers()], sys.argv[1])
dist.cleanup_distributed()
"""

TORCHRUN_WITHOUT_LIBUV = """
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


def torchrun(script: Path, *arguments, program=("-m", "torch.distributed.run"), by_file=os.name == "nt") -> subprocess.Popen:
    """The script on two processes, started by torchrun."""
    command = [sys.executable, *program, *(BY_FILE if by_file else ["--standalone"]), "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", "2", script, *arguments]
    environment = os.environ | ON_CPU | {"PYTHONPATH": str(PROJECT)} | (FILE_ONLY if by_file else {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, command)), env=environment, **pipes)


def test_two_processes_compute_the_sums_gradients_and_statistics_of_one(tmp_path, monkeypatch, capsys):
    """Started as on Windows, with a stand-in for its PyTorch without libuv (pytorch/pytorch issue 148283)."""
    script, program = tmp_path / "sums.py", tmp_path / "torchrun.py"
    script.write_text(SUMS)
    program.write_text(TORCHRUN_WITHOUT_LIBUV)
    process = torchrun(script, tmp_path / "two.pt", program=[program], by_file=True)
    monkeypatch.setattr(sys, "argv", ["sums.py", str(tmp_path / "one.pt")])
    runpy.run_path(str(script), run_name="__main__")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert out == capsys.readouterr().out == "rank 0\n"  # rank 1 prints nothing
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a.double(), b.double(), rtol=1e-5, atol=1e-7)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert " ".join(BY_FILE) in readme
    assert all(f"{name}={value}" in readme for name, value in FILE_ONLY.items())


def test_the_notebooks_torchrun_raises_what_a_process_said(tmp_path):
    (tmp_path / "fails.py").write_text("import sys; sys.exit(f'{sys.argv[1]} is missing')")
    with pytest.raises(RuntimeError, match=r"data\.pt is missing"):
        distributed.torchrun(tmp_path / "fails.py", 2, "data.pt")


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """48 training images, so that every batch of 12 can be split over two processes."""
    return make_data(tmp_path_factory.mktemp("data"), train=16, valid=5)


def start(data: Path, out: Path, *more, out_of_rank_1: Path | None = None) -> list:
    """Start a run on two processes, in the environment that torchrun gives them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test", **ON_CPU}
    shared |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), "2")
    processes = []
    for rank, folder in (("0", out), ("1", out_of_rank_1 or out)):
        arguments = line(data, folder, *more, head=1, full=EPOCHS)
        processes.append(tiny_run.start(arguments, log_of(out, rank), RANK=rank, LOCAL_RANK=rank, **shared))
    return processes


def log_of(out: Path, rank: int | str) -> Path:
    return out.with_name(f"{out.name}_{rank}.txt")


def wait(processes: list) -> list[int]:
    """The exit statuses; processes that wait for each other are an error."""
    for process in processes:
        process.join(60)
    hanging = [process for process in processes if process.is_alive()]
    for process in hanging:
        process.kill()
    assert not hanging
    return [process.exitcode for process in processes]


def wait_for_epochs(out: Path, number: int, running) -> None:
    while not (out / "history.csv").is_file() or len(history_of(out)) < number:
        assert running(), "the run ended too early"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def on_two(data, tmp_path_factory) -> Path:
    """A run on two processes without interruption."""
    out = tmp_path_factory.mktemp("on_two") / "run"
    assert wait(start(data, out, out_of_rank_1=out.with_name("unused"))) == [0, 0], log_of(out, 0).read_text()
    return out


def assert_same_curve(out: Path, other: Path) -> None:
    """Equal up to rounding errors: sums over two processes are added in another order."""
    assert len(history_of(out)) == len(history_of(other)) == 1 + EPOCHS
    for row, expected in zip(history_of(out), history_of(other), strict=True):
        assert row == pytest.approx(expected, abs=1e-4)


def test_training_on_two_processes_gives_the_curve_and_the_files_of_one(data, tmp_path, on_two):
    alone = tiny_run.start(line(data, tmp_path / "one", head=1, full=EPOCHS), log_of(tmp_path / "one", 0), **ON_CPU)
    assert wait([alone]) == [0]
    assert_same_curve(on_two, tmp_path / "one")
    assert files_in(on_two) == ["best.pt", "history.csv", "last.pt", "metrics.json"]
    assert not on_two.with_name("unused").exists()  # only rank 0 writes
    best, expected = (load_checkpoint(out / "best.pt")["model"] for out in (on_two, tmp_path / "one"))
    torch.testing.assert_close(best, expected, rtol=0, atol=1e-3)
    assert "best validation accuracy" in log_of(on_two, 0).read_text()
    assert log_of(on_two, 1).read_text() == ""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_when_a_process_dies_torchrun_ends_the_run_and_it_can_be_resumed(data, tmp_path, on_two):
    out = tmp_path / "cut"
    run = torchrun(Path(tiny_run.__file__), *line(data, out, head=1, full=EPOCHS))
    wait_for_epochs(out, 4, lambda: run.poll() is None)
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    workers = [pid for pid in children if "tiny_run.py" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(int(workers[1]), signal.SIGKILL)
    _, err = run.communicate(timeout=240)
    assert run.returncode != 0
    assert "Continue with the same command and --resume." in err
    assert 4 <= len(history_of(out)) < 1 + EPOCHS
    assert wait(start(data, out, "--resume")) == [0, 0]
    assert_same_curve(out, on_two)


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process without a signal")
def test_sigterm_acts_like_ctrl_c(data, tmp_path):
    processes = start(data, tmp_path / "run")
    wait_for_epochs(tmp_path / "run", 2, lambda: all(process.is_alive() for process in processes))
    os.kill(processes[0].pid, signal.SIGTERM)
    assert wait(processes)[0] == 130
    log = log_of(tmp_path / "run", 0).read_text()
    assert log.endswith("\nInterrupted. Continue with the same command and --resume.\n")
    assert "Traceback" not in log


def test_an_error_in_all_processes_or_in_one_ends_the_run(data, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "last.pt").touch()  # which only rank 0 refuses
    odd, old = start(data, tmp_path / "odd", "--batch-size", "9"), start(data, tmp_path / "old")
    assert wait(odd) == [2, 2]
    message = "error: Batches of 9 cannot be split over 2 processes: choose a multiple of 2 as --batch-size.\n"
    assert log_of(tmp_path / "odd", 0).read_text().endswith(message)
    assert not (tmp_path / "odd" / "last.pt").exists()
    statuses = wait(old)
    assert statuses[0] == 2
    assert statuses[1] != 0
