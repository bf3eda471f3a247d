"""helpers.train with a network so small that an epoch takes some milliseconds: in this process, or python tiny_run.py ..."""

import sys

import torch
from conftest import tiny_network

from helpers import models, train


def main(arguments: list[str]) -> int:
    torch.set_num_threads(1)
    models.MODELS["resnet18"] = tiny_network
    train.choose_precision = lambda device: None
    return train.main(arguments)


def run_quietly(arguments: list[str]) -> None:
    """For a process of its own: it ends with the run's exit status, and its output goes into a file."""
    sys.stdout = sys.stderr = open(arguments[-1] + ".txt", "w", buffering=1)  # noqa: SIM115 (it ends with the process)
    sys.exit(main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
