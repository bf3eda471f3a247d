"""Is one matrix product faster than torch's convolution on small maps? python -m benchmarks.small_maps

Training steps of a ResNet18 on the CPU with and without `helpers.models.speed_up_small_maps`, alternating; the last stage's
maps have a 32nd of the images' side.
"""

import time

import torch
from torch import nn

from benchmarks.usual_recipe import spread
from helpers.models import initialize_model, speed_up_small_maps
from helpers.training import choose_precision


def images_per_second(fast: bool, images: torch.Tensor, precision: torch.dtype | None, steps: int = 4) -> float:
    model = initialize_model("resnet18", 102, False, "none").to(memory_format=torch.channels_last).train()
    if fast:
        speed_up_small_maps(model)
    labels = torch.zeros(len(images), dtype=torch.long)

    def step() -> None:
        with torch.autocast("cpu", precision, enabled=precision is not None):
            outputs = model(images)
        nn.functional.cross_entropy(outputs.float(), labels).backward()

    step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * len(images) / (time.perf_counter() - start)


def main(repeats: int = 5) -> None:
    for precision in (None, choose_precision(torch.device("cpu"))):
        for size in (64, 96, 128):
            images = torch.randn(64, 3, size, size).to(memory_format=torch.channels_last)
            pairs = [[images_per_second(fast, images, precision) for fast in (False, True)] for _ in range(repeats)]
            ratios = [fast / usual for usual, fast in pairs]
            print(f"{precision or 'float32'}, {size} pixels: {spread(ratios, 2)} times the images per second", flush=True)


if __name__ == "__main__":
    main()
