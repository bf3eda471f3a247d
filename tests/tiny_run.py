"""helpers.train with the tiny network of the tests, in new processes or as python tiny_run.py ..."""

import multiprocessing
import os
import sys
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path

import conftest  # registers the tiny network
import torch
from tqdm import tqdm

from helpers import train

assert "tiny" in conftest.MODELS
tqdm.set_lock(threading.RLock())  # a killed process would leave behind the semaphore of tqdm's own lock


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    return train.main(arguments)


def start(arguments: list[str], log: Path, **environment: str) -> BaseProcess:
    """Start helpers.train in a process of its own, which need not import torch where processes can be forked.

    log: for what it prints. environment: more variables, such as those that torchrun sets.
    """
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where the server of processes finds this module
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    if hasattr(os, "fork"):
        context.set_forkserver_preload([Path(__file__).stem])
    process = context.Process(target=_run, args=(arguments, log, environment))
    process.start()
    return process


def _run(arguments: list[str], log: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sys.stdout = sys.stderr = open(log, "w", buffering=1, encoding="utf-8")  # noqa: SIM115 (it ends with the process)
    sys.exit(main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
