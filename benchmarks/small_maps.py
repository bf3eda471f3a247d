"""Is im2col faster than torch's convolution on small feature maps? python -m benchmarks.small_maps

Training steps of a ResNet18 on the CPU with and without `helpers.speed.use_im2col`, alternating. The feature maps of the
last stage are 32 times smaller than the image.
"""

import time

import torch
from torch import nn

from benchmarks.usual_recipe import mean_min_max
from helpers.models import initialize_model
from helpers.speed import choose_precision, use_im2col


def images_per_second(im2col: bool, images: torch.Tensor, precision: torch.dtype | None, steps: int = 4) -> float:
    model = initialize_model("resnet18", 102, False, "none").to(memory_format=torch.channels_last).train()
    if im2col:
        use_im2col(model)
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
            print(f"{precision or 'float32'}, {size} pixels: {mean_min_max(ratios, 2)} times the images per second", flush=True)


if __name__ == "__main__":
    main()
