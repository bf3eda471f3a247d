"""Several processes that train one network together, started by torchrun.

Every process takes its share of each batch: images number rank, rank + world, rank + 2 * world ... Gradients are averaged
by DistributedDataParallel. With the batch norms below, the result is that of one process with the whole batch. Every process
holds all the data.
"""

import os
import signal
import sys

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce as all_reduce_with_gradient
from torch.nn.parallel import DistributedDataParallel

from helpers.images import UserError


def join_processes() -> None:
    """Meet the other processes if torchrun started this one. Only the first then prints; on GPUs each takes its own.

    SIGTERM, by which torchrun ends the others when one has died, then acts like Ctrl-C. Raises UserError if there are
    fewer GPUs than processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    number, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if torch.cuda.is_available():
        if here > torch.cuda.device_count():
            raise UserError(f"{here} processes need {here} GPUs, but there are {torch.cuda.device_count()}: start fewer.")
        torch.cuda.set_device(number)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // here))  # torchrun's own choice is a single one
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if dist.get_rank() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open as long as the process lives)


def leave_processes() -> None:
    """Part from the other processes, and end this one, once all have come here.

    At once, without Python's own clearing up: threads of gloo that still live would end it with a false alarm.
    """
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def rank_and_world() -> tuple[int, int]:
    """The number of this process and how many there are; (0, 1) if it is alone."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def add_up(values: Tensor) -> Tensor:
    """Replace the values, in every process, by their sum over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def agree(answer: bool) -> bool:
    """What the first process answers, in every process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return bool(add_up(torch.tensor(int(answer and rank_and_world()[0] == 0), device=device)))


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the images of all processes. (torch's SyncBatchNorm does the same, but on GPUs only.)"""

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return super().forward(maps)
        values = maps.to(self.running_mean.dtype)  # sums over many places need more digits than bfloat16 has
        count = add_up(values.new_tensor(values.numel() / values.shape[1]))
        mean = all_reduce_with_gradient(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = all_reduce_with_gradient((centred**2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(maps.dtype)


def share_batch_norms(model: nn.Module) -> nn.Module:
    """Turn every BatchNorm2d of the model into one that looks at the images of all processes."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d  # the same weights and statistics, another forward
    return model


def distribute(model: nn.Module) -> nn.Module:
    """The model as all processes train it together; the model itself if there is only one."""
    if rank_and_world()[1] == 1:
        return model
    # All processes see the same statistics already: no need to send the buffers round before every step.
    return DistributedDataParallel(share_batch_norms(model), broadcast_buffers=False)
