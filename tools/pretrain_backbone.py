"""Pretrain the bundled backbone, "flora": a ResNet18 that learns to tell invented flowers apart.

    python -m tools.pretrain_backbone --work DIR

Draws pictures of invented species (none of the 102), trains a ResNet18 from scratch to name the species, and writes the
network without its head, in half precision, to helpers/weights/flora_resnet18.safetensors. Started again with the same
--work, it goes on where it stopped: drawn pictures are kept, and training resumes at the last whole epoch.
"""

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numba
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18
from tqdm import tqdm

from helpers.augment import Strength, augment_batch
from helpers.data import IMAGENET_MEAN, IMAGENET_STD
from helpers.models import WEIGHTS_FILE
from tools.scene import draw
from tools.wild_species import invent_species

CHUNK = 4000
# Strong colour changes: form, not only colour, has to tell the species apart.
STRENGTH = Strength(area=(0.25, 1.0), degrees=30, brightness=0.4, contrast=0.4, saturation=0.5, hue=0.08, grey=0.15)


def use_one_thread() -> None:
    """Every drawing process is one of several: it must not start threads of its own."""
    numba.set_num_threads(1)


def draw_chunk(job: tuple[int, int, int, int, Path]) -> None:
    """Draw one chunk of the endless row of wild pictures to a file; picture i shows species i % species."""
    number, count, species, size, path = job
    pictures = []
    for start in range(number * count, (number + 1) * count, 200):
        ids = range(start, min(start + 200, (number + 1) * count))
        pictures.append(draw([invent_species(i % species) for i in ids], [[2, i] for i in ids], size)[0])
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.save(file, np.concatenate(pictures))
    part.replace(path)


def draw_pictures(work: Path, species: int, pictures: int, size: int) -> torch.Tensor:
    """All pictures, uint8 (species * pictures, 3, size, size); drawn once, then read from `work`."""
    chunks = -(-species * pictures // CHUNK)
    jobs = [(i, CHUNK, species, size, work / f"pictures_{species}_{size}_{i:03}.npy") for i in range(chunks)]
    missing = [job for job in jobs if not job[-1].exists()]
    if missing:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(torch.get_num_threads(), mp_context=spawn, initializer=use_one_thread) as pool:
            for _ in tqdm(pool.map(draw_chunk, missing), total=len(missing), desc="drawing"):
                pass
    arrays = [np.load(path, mmap_mode="r") for *_, path in jobs]
    return torch.cat([torch.from_numpy(np.array(a)).permute(0, 3, 1, 2) for a in arrays])[: species * pictures]


def build(species: int) -> nn.Module:
    """A ResNet18 with a three-layer head: the head, not the backbone, takes up what serves only this task."""
    model = resnet18(weights=None)
    model.fc = nn.Sequential(
        nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(inplace=True),
        nn.Linear(512, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU(inplace=True), nn.Linear(256, species),
    )  # fmt: skip
    return model


def train_epoch(model, optimizer, scheduler, pictures, labels, batch_size, image_size, device) -> float:
    """One pass over the pictures; returns the mean loss."""
    order = torch.randperm(len(pictures))
    total = 0.0
    batches = order[: len(order) // batch_size * batch_size].split(batch_size)
    for batch in tqdm(batches, leave=False):
        inputs = augment_batch(pictures[batch].to(device), image_size, STRENGTH)
        with torch.autocast(device.type, torch.bfloat16):
            outputs = model(inputs.to(memory_format=torch.channels_last))
        loss = F.cross_entropy(outputs.float(), labels[batch].to(device), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item()
    return total / len(batches)


def save_backbone(model: nn.Module, path: Path) -> None:
    """Write the network without its head as half-precision safetensors."""
    tensors = {k: v.detach().cpu() for k, v in model.state_dict().items() if not k.startswith("fc.")}
    tensors = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in tensors.items()}
    part = path.with_suffix(".part")
    save_file(
        tensors,
        part,
        metadata={"architecture": "resnet18", "mean": json.dumps(IMAGENET_MEAN), "std": json.dumps(IMAGENET_STD)},
    )
    part.replace(path)


def pretrain(args) -> None:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.work.mkdir(parents=True, exist_ok=True)
    pictures = draw_pictures(args.work, args.species, args.pictures, args.picture_size)
    labels = torch.arange(len(pictures)) % args.species
    model = build(args.species).to(device, memory_format=torch.channels_last)
    decay = [p for p in model.parameters() if p.ndim > 1]
    keep = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 1e-4}, {"params": keep, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=args.rate, momentum=0.9, nesterov=True)
    sizes = [args.image_size // 2] * args.small_epochs + [args.image_size] * args.epochs
    steps = len(sizes) * (len(pictures) // args.batch_size)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.rate, total_steps=steps, pct_start=0.15)
    first, checkpoint = 0, args.work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        first = state["epoch"]
    for epoch in range(first, len(sizes)):
        start = time.perf_counter()
        torch.manual_seed(args.seed + epoch)
        model.train()
        loss = train_epoch(model, optimizer, scheduler, pictures, labels, args.batch_size, sizes[epoch], device)
        seconds = time.perf_counter() - start
        print(f"epoch {epoch + 1}/{len(sizes)} at {sizes[epoch]} pixels: loss {loss:.3f}, {seconds:.0f} s", flush=True)
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "epoch": epoch + 1,
        }
        torch.save(state, checkpoint.with_suffix(".part"))
        checkpoint.with_suffix(".part").replace(checkpoint)
    save_backbone(model, args.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for drawn pictures and the checkpoint (about 2 GB)")
    parser.add_argument("--output", type=Path, default=WEIGHTS_FILE)
    parser.add_argument("--species", type=int, default=800)
    parser.add_argument("--pictures", type=int, default=80, help="of each species")
    parser.add_argument("--picture-size", type=int, default=72)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--small-epochs", type=int, default=8, help="first at half the image size: three times as fast")
    parser.add_argument("--epochs", type=int, default=7, help="then at the full image size")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rate", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=0)
    pretrain(parser.parse_args())


if __name__ == "__main__":
    main()
