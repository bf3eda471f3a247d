"""How time and memory scale with the data: python -m benchmarks.scaling [--data DIR]

`helpers.train` (one epoch of the head, one of all layers, from random weights) on 1, 4 and 16 times the training images
(links to the same files), and with one process and two. Memory is the peak of the private memory of all processes,
torchrun's included (RssAnon in /proc, without the pages of memory-mapped files, which the system can drop). Linux only.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.linked_data import link_data
from helpers.data import data_dir

TRAIN = ["-m", "helpers.train", "--weights", "none", "--head-epochs", "1", "--full-epochs", "1"]


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # the process has just ended
                found += [int(child) for child in tasks.read_text().split()]
    return found


def private_memory(pid: int) -> float:
    """Private memory of a process and its descendants, in MB."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:  # the process has just ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return total / 1024


def run(data: Path, processes: int = 1) -> dict:
    """Train once; its metrics, and the peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        start = [sys.executable]
        if processes > 1:
            start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        line = [*start, *TRAIN, "--data", str(data), "--out", f"{folder}/run"]
        child, peak = subprocess.Popen(line, stdout=subprocess.DEVNULL), 0.0
        while child.poll() is None:
            peak = max(peak, private_memory(child.pid))
            time.sleep(0.1)
        if child.returncode:
            raise SystemExit(f"The run ended with status {child.returncode}.")
        return json.loads(Path(f"{folder}/run/metrics.json").read_text()) | {"memory": peak}


def show(label: str, metrics: dict) -> None:
    images, full = metrics["train_images"], metrics["full_seconds"]
    print(
        f"{label:14}{images:7} images   load {metrics['load_seconds']:5.1f} s   head {metrics['head_seconds']:5.1f} s   "
        f"all layers {full:6.1f} s, {images / full:5.0f} images/s   {metrics['memory']:5.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="How time and memory scale.")
    parser.add_argument("--data", type=Path, help="default: FLOWER_DATA or the bundled flowers")
    parser.add_argument("--repeats", type=int, default=3, help="of the comparison between one process and two")
    options = parser.parse_args()
    root = options.data or data_dir()
    for times in (1, 4, 16):
        with tempfile.TemporaryDirectory() as folder:
            grown = link_data(root, Path(folder) / "data", lambda files, times=times: files * times)
            show(f"{times} x", run(grown))
    for _ in range(options.repeats):
        for processes in (1, 2):
            show(f"{processes} process{'es' if processes > 1 else ''}", run(root, processes))


if __name__ == "__main__":
    main()
