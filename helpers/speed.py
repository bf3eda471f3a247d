"""Faster training: the precision that suits the processor, and convolutions for small feature maps on the CPU."""

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pick_device() -> torch.device:
    """The GPU if torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(
    device: torch.device, model: nn.Module | None = None, *, speedup: float | None = None
) -> torch.dtype | None:
    """The dtype for autocast: bfloat16 if the device is clearly faster with it, else None (float32).

    model: the network to train, if it may contain depthwise convolutions, which many CPUs compute slowly in bfloat16.
    speedup: of bfloat16 on the CPU; measured in 0.3 s if not given. A GPU uses bfloat16 if it supports it in hardware.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    layers = [] if model is None else [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    depthwise = any(layer.groups == layer.in_channels > 1 for layer in layers)
    speedup = measure_bfloat16_speedup(depthwise) if speedup is None else speedup
    return torch.bfloat16 if speedup > 1.25 else None


def measure_bfloat16_speedup(depthwise: bool = False) -> float:
    """How many times faster the CPU computes a convolution and its gradients in bfloat16 than in float32."""
    layer = nn.Conv2d(128, 128, 3, padding=1, groups=128 if depthwise else 1)
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(32, 128, 16, 16).to(memory_format=torch.channels_last)

    def seconds(enabled: bool) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(images).float().sum().backward()
        return time.perf_counter() - start

    fastest = {enabled: min(seconds(enabled) for _ in range(6)) for enabled in (False, True)}
    return fastest[False] / fastest[True]


class Im2colConv2d(nn.Conv2d):
    """A convolution that computes small feature maps with one matmul (im2col, Chellapilla et al. 2006).

    For such layers, PyTorch's CPU kernels spend more time reordering the weights than multiplying
    (benchmarks/small_maps.py).
    """

    padding: tuple[int, int]

    def forward(self, maps: Tensor) -> Tensor:
        sizes = zip(maps.shape[2:], self.padding, self.kernel_size, self.stride, strict=True)
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size, padding, kernel, stride in sizes)
        if height * width > 9:
            return super().forward(maps)
        patches = F.unfold(maps, self.kernel_size, padding=self.padding, stride=self.stride)  # (n, in * kernel, pixels)
        rows = patches.transpose(1, 2).flatten(0, 1)  # a matrix: linear can be slow on three dimensions
        sums = F.linear(rows, self.weight.flatten(1), self.bias)  # (n * pixels, out)
        return sums.view(len(maps), height, width, -1).permute(0, 3, 1, 2)


def use_im2col(model: nn.Module) -> nn.Module:
    """Make every plain 3x3 convolution of the model an `Im2colConv2d` with the same weights, if it is on the CPU."""
    for module in model.modules() if next(model.parameters()).device.type == "cpu" else ():
        plain = type(module) is nn.Conv2d and module.groups == 1 and module.dilation == (1, 1)
        if plain and module.kernel_size == (3, 3) and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = Im2colConv2d
    return model
