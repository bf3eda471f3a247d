"""The choice of the device and the precision."""

import contextlib
import time

import torch

from helpers import speed
from helpers.models import initialize_model
from helpers.speed import choose_precision, pick_device

CPU = torch.device("cpu")


def test_the_device_is_a_gpu_where_there_is_one():
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_bfloat16_is_chosen_on_the_cpu_only_if_it_is_clearly_faster():
    for speedup, precision in ((0.5, None), (1.0, None), (1.2, None), (1.3, torch.bfloat16), (4.0, torch.bfloat16)):
        assert choose_precision(CPU, speedup=speedup) is precision, speedup


def test_a_gpu_uses_bfloat16_if_it_supports_it_in_hardware(monkeypatch):
    for supported, precision in ((True, torch.bfloat16), (False, None)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, s=supported: s or including_emulation)
        assert choose_precision(torch.device("cuda")) is precision


def test_the_cpu_uses_what_is_measured_to_be_faster(monkeypatch):
    class SlowFloat32(contextlib.nullcontext):
        """Computes everything in float32; as if a processor were faster in bfloat16."""

        def __init__(self, device_type, dtype, enabled):
            super().__init__()
            time.sleep(0 if enabled else 0.1)

    monkeypatch.setattr(torch, "autocast", SlowFloat32)
    assert choose_precision(CPU) is torch.bfloat16


def test_depthwise_convolutions_are_judged_by_themselves(monkeypatch):
    """As on a processor that computes only dense convolutions faster in bfloat16."""
    monkeypatch.setattr(speed, "measure_bfloat16_speedup", lambda depthwise: 0.5 if depthwise else 2.0)
    assert choose_precision(CPU) is torch.bfloat16
    assert choose_precision(CPU, initialize_model("resnet18", 2, False, weights="none")) is torch.bfloat16
    assert choose_precision(CPU, initialize_model("mobilenet_v3_small", 2, False, weights="none")) is None
