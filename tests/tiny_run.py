"""helpers.train with the tiny network of the tests, in this process or as python tiny_run.py ..."""

import sys

import conftest  # registers the tiny network
import torch

from helpers import train


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    assert "tiny" in conftest.MODELS
    return train.main(arguments)


def run_quietly(arguments: list[str]) -> None:
    """For a process of its own: it ends with the run's exit status, and its output goes into a file."""
    sys.stdout = sys.stderr = open(arguments[-1] + ".txt", "w", buffering=1)  # noqa: SIM115 (it ends with the process)
    sys.exit(main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
