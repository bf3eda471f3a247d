"""Find, check and name the images of a data folder, and load them as tensors.

A data folder contains `train/` and `valid/` (and optionally `test/`), each with one folder of images per class:
torchvision's ImageFolder layout. FLOWER_DATA points to one; the default is the bundled set of rendered flowers.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from helpers.base import PROJECT, UserError
from helpers.images import center_crop_square, image_files, load_image

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # per RGB channel, for values in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)
Files = dict[str, dict[str, list[Path]]]  # split -> class folder -> its images, all sorted


# ---- the folder ----------------------------------------------------------------------------------------------------


def data_path() -> Path:
    """The folder that FLOWER_DATA names (relative to the current folder or to the project), or the bundled flowers."""
    root = Path(os.environ.get("FLOWER_DATA") or PROJECT / "flower_data").expanduser()
    return root if root.exists() or root.is_absolute() else PROJECT / root


def data_dir() -> Path:
    """`data_path`, checked. Raises UserError if it cannot be used for training (see `find_images`)."""
    find_images(data_path())
    return data_path()


def class_folders(folder: Path) -> list[str]:
    """The names of the class folders in ImageFolder's order (sorted as text); hidden folders are skipped."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def find_images(root: Path) -> Files:
    """The images of every split and class, found in one walk through the folder.

    A test/ without class folders is ignored. Raises UserError if train/ or valid/ or, in one of the splits, a class or its
    images are missing.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {root}: set FLOWER_DATA (or --data) to a folder with train/ and valid/.")
    splits = [root / split for split in ("train", "valid", "test") if (root / split).is_dir()]
    files = {folder.name: {name: image_files(folder / name) for name in class_folders(folder)} for folder in splits}
    files = {split: classes for split, classes in files.items() if classes or split != "test"}
    for split in ("train", "valid"):
        if split not in files:
            raise UserError(f"{root} has no folder {split}/: it needs train/ and valid/, each with one folder per class.")
    if not files["train"]:
        raise UserError(f"{root / 'train'} has no class folders: put the images of each class into a folder of its own.")
    for split, classes in files.items():
        for name in sorted(set(files["train"]) ^ set(classes)):
            raise UserError(f"train/ and {split}/ of {root} must have the same classes, but only one of them has {name!r}.")
        for name in (name for name, images in classes.items() if not images):
            raise UserError(f"{root / split / name} contains no images: add some, or remove this class from every split.")
    return files


def split_summary(root: Path, files: Files) -> dict:
    """How the data was split, to be reported with every accuracy.

    Per split: the number of images and classes, and of images in the smallest and the largest class. `files`: the first
    12 hex digits of the SHA-256 of the sorted file list (paths relative to `root`, one per line), equal for equal splits.
    """
    summary: dict = {}
    for split, classes in files.items():
        counts = [len(images) for images in classes.values()] or [0]
        summary[split] = {"images": sum(counts), "classes": len(classes), "fewest": min(counts), "most": max(counts)}
    paths = sorted(p.relative_to(root).as_posix() for classes in files.values() for images in classes.values() for p in images)
    return summary | {"files": hashlib.sha256("\n".join(paths).encode()).hexdigest()[:12]}


def print_split_summary(root: Path) -> None:
    """Print `split_summary`, one line per split and one for the hash."""
    summary = split_summary(root, find_images(root))
    digest = summary.pop("files")
    for split, row in summary.items():
        per_class = f"{row['fewest']} to {row['most']} per class"
        print(f"{split:5}  {row['images']} images, {row['classes']} classes, {per_class}")
    print(f"files  {digest} (SHA-256 of the sorted file list)")


def flower_names(classes: Sequence[str], root: Path | None = None) -> dict[str, str]:
    """Folder name -> flower name, from the cat_to_name.json of the data folder or else of the project.

    A file that lacks one of the classes is ignored; without a matching file the folder names are the flower names.
    """
    for path in [folder / "cat_to_name.json" for folder in (root, PROJECT) if folder]:
        cat_to_name = _read_names(path) if path.is_file() else {}
        if all(name in cat_to_name for name in classes):
            return {name: cat_to_name[name] for name in classes}
    return {name: name for name in classes}


def _read_names(path: Path) -> dict[str, str]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        names = None
    if not isinstance(names, dict):
        raise UserError(f"{path} is not a JSON object that maps folder names to flower names: fix it or remove it.")
    return names


# ---- one image as a tensor --------------------------------------------------------------------------------------


def train_transform(size: int) -> v2.Compose:
    """PIL image -> float32 (3, size, size), augmented and normalized."""
    return v2.Compose(
        [
            v2.RandomRotation(30, interpolation=v2.InterpolationMode.BILINEAR),  # first: the crop removes empty corners
            v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.03),
            v2.RandomGrayscale(0.025),
            *_to_normalized(),
        ]
    )


def valid_transform(size: int) -> v2.Compose:
    """PIL image -> float32 (3, size, size): resized, center-cropped and normalized, without randomness."""
    return v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size), *_to_normalized()])


def _to_normalized() -> list[v2.Transform]:
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]


def im_convert(tensor: Tensor) -> np.ndarray:
    """Undo the normalization for display: float (3, height, width) -> float32 (height, width, 3) in [0, 1]."""
    image = tensor.detach().cpu().float().numpy().transpose(1, 2, 0)
    image = image * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)
    return image.clip(0, 1).astype(np.float32)


# ---- a split as a map-style dataset --------------------------------------------------------------------------------


class FlowerFolder(ImageFolder):
    """torchvision's ImageFolder for any image mode, without hidden folders such as .ipynb_checkpoints."""

    def __init__(self, folder: Path, transform: Callable | None = None):
        super().__init__(str(folder), transform, loader=load_image)

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        classes = class_folders(Path(directory))
        return classes, {name: index for index, name in enumerate(classes)}

    @staticmethod
    def make_dataset(directory, class_to_idx: dict[str, int], *_, **__) -> list[tuple[str, int]]:  # type: ignore[override]
        folders = [(Path(directory) / name, index) for name, index in class_to_idx.items()]
        return [(str(path), index) for folder, index in folders for path in image_files(folder)]


# ---- a split, decoded once -----------------------------------------------------------------------------------------


MEMMAP_BYTES = 64 * 2**20  # tensors above this size are memory-mapped files


def empty_or_memmap(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """An uninitialized tensor; a large one is a memory-mapped temporary file, of which the system caches what fits.

    The file is deleted with the tensor. It lies in the folder that TMPDIR names (on a disk, not in memory, if memory is
    short). Raises UserError if the disk is full.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= MEMMAP_BYTES:
        return torch.empty(*shape, dtype=dtype)
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (it stays open as long as the tensor lives)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # or a full disk would kill the process with SIGBUS later
        return torch.from_numpy(np.memmap(file, np.uint8, "w+", shape=(size,))).view(dtype).view(*shape)
    except OSError as error:
        raise UserError(
            f"{tempfile.gettempdir()} has no space for {size / 1e9:.1f} GB ({error.strerror}): "
            "free some space or set TMPDIR to a folder on another disk."
        ) from error


class Images(NamedTuple):
    """A decoded split. pixels: uint8 (n, 3, size, size), labels: int64 (n,), classes: folder names, files: n paths."""

    pixels: Tensor
    labels: Tensor
    classes: list[str]
    files: list[Path]


def decode_image(path: Path, size: int) -> Tensor:
    """The center crop of an image, uint8 (3, size, size)."""
    square = center_crop_square(load_image(path, min_side=2 * size), size)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def decode_files(files: Sequence[Path], size: int) -> tuple[Tensor, dict[int, str]]:
    """Decode files in parallel: pixels uint8 (n, 3, size, size), and {index: error message} of the unreadable ones."""
    pixels, errors = empty_or_memmap((len(files), 3, size, size), torch.uint8), {}

    def decode(i: int) -> None:
        try:
            pixels[i] = decode_image(files[i], size)
        except UserError as error:
            errors[i] = str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the GIL while it decodes
        list(pool.map(decode, range(len(files))))
    return pixels, errors


def decode_split(root: Path, split: str, size: int, skip_unreadable: bool = False) -> Images:
    """Decode one split of a data folder into memory: see `decode_classes`."""
    return decode_classes(
        {name: image_files(root / split / name) for name in class_folders(root / split)}, size, skip_unreadable
    )


def decode_classes(files: dict[str, list[Path]], size: int, skip_unreadable: bool = False) -> Images:
    """Decode the images of all classes at size x size pixels; a class's label is its position in `files`.

    Raises UserError if an image is unreadable, or, with skip_unreadable (which prints their names), if all of a class are.
    """
    paths = [path for of_class in files.values() for path in of_class]
    labels = torch.tensor([label for label, of_class in enumerate(files.values()) for _ in of_class], dtype=torch.int64)
    pixels, errors = decode_files(paths, size)
    if errors and not skip_unreadable:
        more = f" ({len(errors) - 1} more unreadable files)" if len(errors) > 1 else ""
        raise UserError(min(errors.values()) + more)
    for i in sorted(errors):
        print(f"skipped: {errors[i]}")
    kept = [i for i in range(len(paths)) if i not in errors]
    for new, old in enumerate(kept if errors else ()):  # in place: the tensor may be large
        pixels[new] = pixels[old]
    require_every_class(labels[kept], list(files))
    return Images(pixels[: len(kept)], labels[kept], list(files), [paths[i] for i in kept])


def require_every_class(labels: Tensor, classes: Sequence[str]) -> None:
    """Raises UserError if a class has no label: none of its images was readable."""
    for label, name in enumerate(classes):
        if label not in labels:
            raise UserError(f"Class {name!r} has no readable image: add some, or remove this class from every split.")


def few_images(images: Images, classes: Sequence[int], per_class: int) -> Images:
    """The first `per_class` images of each of the given class indices, relabeled 0, 1, ... in this order."""
    rows = [(images.labels == label).nonzero().flatten()[:per_class] for label in classes]
    labels = torch.cat([torch.full_like(of_class, new) for new, of_class in enumerate(rows)])
    chosen = torch.cat(rows)
    files = [images.files[i] for i in chosen.tolist()]
    return Images(images.pixels[chosen], labels, [images.classes[label] for label in classes], files)


def normalize_batch(pixels: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """uint8 (batch, 3, height, width) -> float32, normalized per channel."""
    mean_map, std_map = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (mean, std))
    return (pixels.float() / 255 - mean_map) / std_map


class BatchLoader:
    """Batches of tensors in memory, in place of a DataLoader.

    transform: turns a batch of inputs into the model's inputs. shuffle: a new order in every epoch, drawn from torch's
    global generator. shard: (rank, world size) when several processes share each batch; with shuffle they draw the same
    order, and their shards of a batch are equally large: up to world size - 1 images are dropped at the end of an epoch.
    device: where the batches are needed; to a GPU they are copied asynchronously from pinned memory.
    """

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        shuffle: bool = False,
        transform: Callable[[Tensor], Tensor] | None = None,
        shard: tuple[int, int] = (0, 1),
        device: torch.device | None = None,
    ):
        self.inputs, self.labels = inputs, labels
        self.batch_size, self.shuffle, self.transform = batch_size, shuffle, transform
        self.shard, self.device = shard, device

    def __len__(self) -> int:
        return len(self._batches(torch.arange(len(self.labels))))

    def _batches(self, order: Tensor) -> list[Tensor]:
        rank, world_size = self.shard
        batches = list(order.split(self.batch_size))
        if self.shuffle:
            batches = [batch[: len(batch) // world_size * world_size] for batch in batches]
            if len(batches) > 1 and len(batches[-1]) < 2:
                batches.pop()  # batch normalization cannot train on a single image
        return [batch[rank::world_size] for batch in batches if rank < len(batch)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.labels)
        for batch in self._batches(torch.randperm(n) if self.shuffle else torch.arange(n)):
            inputs, labels = self._copy(self.inputs[batch]), self._copy(self.labels[batch])
            yield (self.transform(inputs) if self.transform else inputs), labels

    def _copy(self, batch: Tensor) -> Tensor:
        if self.device is None or self.device.type == "cpu":
            return batch
        return batch.pin_memory().to(self.device, non_blocking=True)
