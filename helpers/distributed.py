"""Data-parallel training with multiple processes, started by torchrun.

Every process computes its shard of each batch: images number rank, rank + world size, rank + 2 * world size, ...
DistributedDataParallel averages the gradients. With synchronized batch normalization, the result is that of one process
with the whole batch. Every process holds all the data.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce as differentiable_all_reduce
from torch.nn.parallel import DistributedDataParallel

from helpers.base import UserError


def get_rank_and_world_size() -> tuple[int, int]:
    """The rank of this process and the world size; (0, 1) without torchrun."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def init_distributed() -> None:
    """Join the process group if torchrun started this process. Only rank 0 then prints; each GPU serves one process.

    SIGTERM, by which torchrun ends the others when one process has died, then acts like Ctrl-C. Raises UserError if there
    are fewer GPUs than processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if torch.cuda.is_available():
        if local_size > torch.cuda.device_count():
            gpus = torch.cuda.device_count()
            raise UserError(f"{local_size} processes need {local_size} GPUs, but there are {gpus}: start fewer processes.")
        torch.cuda.set_device(local_rank)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // local_size))  # torchrun's own default is 1
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if dist.get_rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (it stays open as long as the process lives)


def cleanup_distributed(status: int = 0) -> None:
    """If torchrun started this process, leave the process group and end the process with the exit status.

    By os._exit: interpreter shutdown can abort while gloo's threads still hold tensors (seen with torch 2.11;
    pytorch/pytorch pull request 179291 describes the cause). After a failure there is no barrier, because the other
    processes may be waiting elsewhere: torchrun ends them.
    """
    if dist.is_initialized():
        if status == 0:
            dist.barrier()
            dist.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def all_reduce_sum(values: Tensor) -> Tensor:
    """Replace the values, in every process, by their sum over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def all_reduce_mean(loss: float, accuracy: float, images: int) -> tuple[float, float]:
    """Loss and accuracy over the images of all processes, from the means over this process's `images`."""
    if not dist.is_initialized():
        return loss, accuracy
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sums = torch.tensor([loss * images, accuracy * images, images], dtype=torch.float64, device=device)
    loss_sum, correct, total = all_reduce_sum(sums).tolist()
    return loss_sum / total, correct / total


def broadcast_flag(flag: bool) -> bool:
    """The flag of rank 0, in every process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return bool(all_reduce_sum(torch.tensor(int(flag and get_rank_and_world_size()[0] == 0), device=device)))


class CPUSyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization over the images of all processes, as nn.SyncBatchNorm, which supports only GPUs."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return super().forward(maps)
        values = maps.to(self.running_mean.dtype)  # bfloat16 has too few digits for sums over many pixels
        count = all_reduce_sum(values.new_tensor(values.numel() / values.shape[1]))
        mean = differentiable_all_reduce(values.sum((0, 2, 3))) / count
        centered = values - mean[:, None, None]
        variance = differentiable_all_reduce((centered**2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(maps.dtype)


def convert_sync_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Let every BatchNorm2d of the model normalize over the images of all processes; its tensors stay the same objects."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = CPUSyncBatchNorm2d
    return model


def distribute(model: nn.Module) -> nn.Module:
    """The model, wrapped for training on all processes; the model itself if there is only one."""
    if get_rank_and_world_size()[1] == 1:
        return model
    model = convert_sync_batch_norm(model, next(model.parameters()).device)
    # All processes compute the same running statistics: no need to broadcast the buffers before every step.
    return DistributedDataParallel(model, broadcast_buffers=False)


def torchrun(script: Path, processes: int, *arguments: object) -> str:
    """Run a Python script on several processes, all on the CPU of this machine, and return what they print.

    As `torchrun --standalone --nproc-per-node=PROCESSES SCRIPT` in a terminal, but the processes meet in a file, because
    PyTorch for Windows lacks libuv. Raises RuntimeError with their standard error if one of them fails.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-conf=store_type=file"]
    command += ["--local-addr=127.0.0.1", f"--nproc-per-node={processes}", str(script), *map(str, arguments)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return result.stdout
