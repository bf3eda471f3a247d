"""Pretrain the bundled backbone, "flora": a ResNet18 that classifies images of invented species of flowers.

    python -m tools.pretrain_backbone --work DIR

Draws images of invented species (none of the 102), trains a ResNet18 from scratch to name the species, and writes the
network without its head, in half precision, to helpers/weights/flora_resnet18.safetensors. Run again with the same --work,
it resumes: drawn images are kept, and training continues after the last complete epoch.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18
from tqdm import tqdm

from helpers.augment import AugmentConfig, augment_batch
from helpers.base import run_command, write_atomically
from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.data import IMAGENET_MEAN, IMAGENET_STD
from helpers.models import weights_file
from helpers.speed import pick_device
from tools.scene import draw
from tools.species import PORTRAITS
from tools.wild_species import ANYHOW, invent_species

# Strong color augmentation: the network must use the form, not only the color.
AUGMENT = AugmentConfig(scale=(0.25, 1.0), degrees=30, brightness=0.4, contrast=0.4, saturation=0.5, hue=0.08, grayscale=0.15)
# Seed and setting. No flowers of the 102 species at the edges: the backbone must not have seen them.
KINDS = {"pictures": (2, ANYHOW), "portraits": (3, PORTRAITS._replace(strangers=0.0))}


class Cycle(NamedTuple):
    """A part of the training with its own one-cycle schedule."""

    sizes: list[int]  # image size of every epoch
    pictures: torch.Tensor  # uint8 (n, 3, size, size); image i shows species i % species
    cameras: bool  # whether `simulate_cameras` augments the images, too
    lr: float  # peak learning rate


def use_one_thread() -> None:
    """One thread per drawing process: there is one process per core."""
    numba.set_num_threads(1)


def draw_chunk(job: tuple[str, int, int, int, int, Path]) -> None:
    """Draw one chunk of the endless sequence of images to a file; image i shows species i % species."""
    kind, number, count, species, size, path = job
    seed, setting = KINDS[kind]
    pictures = []
    for start in range(number * count, (number + 1) * count, 200):
        ids = range(start, min(start + 200, (number + 1) * count))
        kinds = [invent_species(i % species)._replace(setting=setting) for i in ids]
        pictures.append(draw(kinds, [[seed, i] for i in ids], size, samples=2)[0])

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:  # np.save would append .npy to the name
            np.save(file, np.concatenate(pictures))

    write_atomically(path, write)


def draw_pictures(work: Path, kind: str, species: int, pictures: int, size: int, chunk: int = 4000) -> torch.Tensor:
    """All images, uint8 (species * pictures, 3, size, size); drawn once in files of `chunk` images, then read from `work`."""
    chunks = -(-species * pictures // chunk)
    jobs = [(kind, i, chunk, species, size, work / f"{kind}_{species}_{size}_{i:03}.npy") for i in range(chunks)]
    missing = [job for job in jobs if not job[-1].exists()]
    if missing:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(torch.get_num_threads(), mp_context=spawn, initializer=use_one_thread) as pool:
            for _ in tqdm(pool.map(draw_chunk, missing), total=len(missing), desc=f"drawing {kind}"):
                pass
    arrays = [np.load(path, mmap_mode="r") for *_, path in jobs]
    return torch.cat([torch.from_numpy(np.array(a)).permute(0, 3, 1, 2) for a in arrays])[: species * pictures]


def simulate_cameras(inputs: torch.Tensor) -> torch.Tensor:
    """Normalized images (n, 3, size, size) with simulated camera variation: gamma, white balance, sharpness and noise.

    Rendered images are too clean. Random changes that keep the forms make a network depend less on the renderer (domain
    randomization, Tobin et al. 2017).
    """

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.rand(len(inputs), 1, 1, 1, device=inputs.device) * (high - low) + low

    mean, std = (torch.tensor(v, device=inputs.device)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    images = (inputs * std + mean).clamp(0, 1) ** torch.exp(uniform(-0.5, 0.5))
    images = images * (1 + 0.15 * torch.randn(len(inputs), 3, 1, 1, device=inputs.device))
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    images = images + uniform(-1.2, 1.2) * (images - soft)
    images = images + uniform(0, 0.08) * torch.randn_like(images)
    return (images.clamp(0, 1) - mean) / std


def build(species: int) -> nn.Module:
    """A ResNet18 with a three-layer head, so that the head, not the backbone, learns what is specific to this task."""
    model = resnet18(weights=None)
    model.fc = nn.Sequential(
        nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(inplace=True),
        nn.Linear(512, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(inplace=True), nn.Linear(256, species),
    )  # fmt: skip
    return model


def train_epoch(model, optimizer, scheduler, cycle, species, batch_size, image_size, device) -> float:
    """One pass over the images of a cycle; returns the mean loss."""
    order = torch.randperm(len(cycle.pictures))
    total = 0.0
    batches = order[: len(order) // batch_size * batch_size].split(batch_size)
    for batch in tqdm(batches, leave=False):
        inputs = augment_batch(cycle.pictures[batch].to(device), image_size, AUGMENT)
        inputs = simulate_cameras(inputs) if cycle.cameras else inputs
        with torch.autocast(device.type, torch.bfloat16):
            outputs = model(inputs.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(outputs.float(), (batch % species).to(device), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item()
    return total / len(batches)


def save_backbone(model: nn.Module, path: Path, architecture: str = "resnet18") -> None:
    """Write the network without its head as half-precision safetensors."""
    tensors = {k: v.detach().cpu() for k, v in model.state_dict().items() if not k.startswith("fc.")}
    tensors = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in tensors.items()}
    facts = {"architecture": architecture, "mean": json.dumps(IMAGENET_MEAN), "std": json.dumps(IMAGENET_STD)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=facts))


def plan(args) -> list[Cycle]:
    """First the images as drawn, at half size and then at full size; then all images with simulated camera variation."""
    anyhow = draw_pictures(args.work, "pictures", args.species, args.pictures, args.picture_size, args.chunk)
    cycles = [Cycle([args.image_size // 2] * args.small_epochs + [args.image_size] * args.epochs, anyhow, False, args.lr)]
    if args.camera_epochs:
        portraits = draw_pictures(args.work, "portraits", args.species, args.portraits, args.picture_size, args.chunk)
        everything = torch.cat([anyhow, portraits])
        cycles += [Cycle([args.image_size] * epochs, everything, True, args.lr / 2) for epochs in args.camera_epochs]
    return cycles


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """All parameters as two optimizer groups: biases and norms are not decayed."""
    return [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimizer(model: nn.Module, cycle: Cycle, batch_size: int) -> tuple:
    """SGD and the schedule of one cycle; biases and norms are not decayed."""
    optimizer = torch.optim.SGD(decay_groups(model, 1e-4), lr=cycle.lr, momentum=0.9, nesterov=True)
    steps = len(cycle.sizes) * (len(cycle.pictures) // batch_size)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, cycle.lr, total_steps=steps, pct_start=0.15)


def pretrain(args: argparse.Namespace, after_epoch: Callable[[int, int], None] | None = None) -> None:
    """Draw, train and write the backbone. after_epoch(cycle, epoch): called when the checkpoint of an epoch is written."""
    torch.manual_seed(args.seed)
    device = pick_device()
    args.work.mkdir(parents=True, exist_ok=True)
    cycles = plan(args)
    model = build(args.species).to(device, memory_format=torch.channels_last)
    checkpoint = args.work / "checkpoint.pt"
    state = load_checkpoint(checkpoint) if checkpoint.exists() else {"cycle": 0, "epoch": 0}
    if "model" in state:
        model.load_state_dict(state["model"])
    for number, cycle in enumerate(cycles[state["cycle"] :], state["cycle"]):
        optimizer, scheduler = make_optimizer(model, cycle, args.batch_size)
        first = state["epoch"] if number == state["cycle"] else 0
        if first:
            optimizer.load_state_dict(state["optimizer"])
            scheduler.load_state_dict(state["scheduler"])
        for epoch in range(first, len(cycle.sizes)):
            start, size = time.perf_counter(), cycle.sizes[epoch]
            torch.manual_seed(args.seed + 1000 * number + epoch)
            model.train()
            loss = train_epoch(model, optimizer, scheduler, cycle, args.species, args.batch_size, size, device)
            seconds = time.perf_counter() - start
            where = f"cycle {number + 1}, epoch {epoch + 1}/{len(cycle.sizes)} at {size} pixels"
            print(f"{where}: loss {loss:.3f}, {seconds:.0f} s", flush=True)
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
            save_checkpoint(checkpoint, states | {"cycle": number, "epoch": epoch + 1})
            if after_epoch:
                after_epoch(number, epoch)
    save_backbone(model, args.output)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn images and the checkpoint (about 2 GB)")
    parser.add_argument("--output", type=Path, default=weights_file("resnet18"))
    parser.add_argument("--species", type=int, default=800)
    parser.add_argument("--pictures", type=int, default=80, help="of each species")
    parser.add_argument("--portraits", type=int, default=50, help="more of each species, alone and in good light")
    parser.add_argument("--picture-size", type=int, default=72)
    parser.add_argument("--chunk", type=int, default=4000, help="images per file")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--small-epochs", type=int, default=8, help="first at half the image size: three times as fast")
    parser.add_argument("--epochs", type=int, default=7, help="then at the full image size")
    how = "then all images with simulated camera variation; epochs of each one-cycle schedule"
    parser.add_argument("--camera-epochs", type=int, nargs="*", default=[5, 6], help=how)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--lr", type=float, default=0.4, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse(arguments)
    return run_command(lambda: pretrain(args))


if __name__ == "__main__":
    sys.exit(main())
