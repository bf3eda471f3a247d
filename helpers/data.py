"""Find, check and name the pictures of a data folder, and load them as tensors.

A data folder has `train/` and `valid/` (and perhaps `test/`), each with one folder of images per class: torchvision's
ImageFolder layout. `FLOWER_DATA` points to one; without it the rendered flowers that come with the course are used.
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

from helpers.images import UserError, image_files, load_image, middle_square

PROJECT = Path(__file__).resolve().parent.parent
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of the three channels, for values in [0, 1]
IMAGENET_STD = (0.229, 0.224, 0.225)


# ---- the folder ----------------------------------------------------------------------------------------------------


def data_dir() -> Path:
    """The folder named by FLOWER_DATA (seen from here or from the project), or the bundled flowers; checked."""
    wanted = os.environ.get("FLOWER_DATA")
    if not wanted:
        return check_data(PROJECT / "flower_data")
    root = Path(wanted).expanduser()
    return check_data(root if root.exists() or root.is_absolute() else PROJECT / root)


def class_folders(folder: Path) -> list[str]:
    """The class folders' names in ImageFolder's order: sorted as text, hidden ones passed over."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def check_data(root: Path) -> Path:
    """Return `root` if it can be trained on; raise UserError if a folder, a class or its images are missing."""
    if not root.is_dir():
        raise UserError(f"There is no folder {root}: set FLOWER_DATA (or --data) to a folder with train/ and valid/.")
    for split in ("train", "valid"):
        if not (root / split).is_dir():
            raise UserError(f"{root} has no folder {split}/: it needs train/ and valid/, each with one folder per class.")
    classes = class_folders(root / "train")
    if not classes:
        raise UserError(f"{root / 'train'} has no class folders: put the images of each class into a folder of its own.")
    for split in ("train", "valid"):
        differing = set(classes) ^ set(class_folders(root / split))
        if differing:
            raise UserError(
                f"train/ and {split}/ of {root} must have the same classes, but only one has {sorted(differing)[0]!r}."
            )
        for name in classes:
            if not image_files(root / split / name):
                raise UserError(
                    f"{root / split / name} holds no images: add some, or remove this class from train/ and valid/."
                )
    return root


def split_card(root: Path) -> dict:
    """What belongs to every accuracy: how the data was split. Per split (train, valid, perhaps test) the number of images
    and classes, and the images of the smallest and the largest class; and `files`, the first 12 hex digits of the SHA-256
    of the sorted file list (paths seen from `root`, one a line): two runs with the same digits used the same split.
    """
    card, listed = {}, []
    for split in ("train", "valid", "test"):
        if (root / split).is_dir():
            files = {name: image_files(root / split / name) for name in class_folders(root / split)}
            counts = [len(images) for images in files.values()] or [0]
            card[split] = {"images": sum(counts), "classes": len(files), "fewest": min(counts), "most": max(counts)}
            listed += [path.relative_to(root).as_posix() for images in files.values() for path in images]
    return card | {"files": hashlib.sha256("\n".join(sorted(listed)).encode()).hexdigest()[:12]}


def print_split_card(root: Path) -> None:
    """Show `split_card` in four lines."""
    card = split_card(root)
    for split, row in card.items():
        if split != "files":
            each = f"{row['fewest']} to {row['most']} in a class"
            print(f"{split:5}  {row['images']} images, {row['classes']} classes, {each}")
    print(f"files  {card['files']} (hash of the sorted file list)")


def flower_names(classes: Sequence[str], root: Path | None = None) -> dict[str, str]:
    """Folder name -> flower name, from the data folder's cat_to_name.json or the project's if it has every class.

    Without a fitting file the folder names are the names.
    """
    for folder in ([root] if root else []) + [PROJECT]:
        path = folder / "cat_to_name.json"
        if path.is_file():
            cat_to_name = _read_names(path)
            if all(name in cat_to_name for name in classes):
                return {name: cat_to_name[name] for name in classes}
    return {name: name for name in classes}


def _read_names(path: Path) -> dict[str, str]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        names = None
    if not isinstance(names, dict):
        raise UserError(f"{path} is not a JSON object of folder names and flower names: mend it or remove it.")
    return names


# ---- one image as a tensor --------------------------------------------------------------------------------------


def train_transform(size: int) -> v2.Compose:
    """PIL image -> float32 (3, size, size), augmented and normalised."""
    return v2.Compose(
        [
            v2.RandomRotation(30, interpolation=v2.InterpolationMode.BILINEAR),  # first: the crop cuts off empty corners
            v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.03),
            v2.RandomGrayscale(0.025),
            *_to_normalised(),
        ]
    )


def valid_transform(size: int) -> v2.Compose:
    """PIL image -> float32 (3, size, size): the middle square, normalised; nothing random."""
    return v2.Compose([v2.Resize(size, antialias=True), v2.CenterCrop(size), *_to_normalised()])


def _to_normalised() -> list[v2.Transform]:
    return [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)]


def im_convert(tensor: Tensor) -> np.ndarray:
    """Undo the normalisation for display: float (3, height, width) -> float32 array (height, width, 3) in [0, 1]."""
    image = tensor.detach().cpu().float().numpy().transpose(1, 2, 0)
    return (image * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)).clip(0, 1).astype(np.float32)


# ---- a split, the usual way ----------------------------------------------------------------------------------------


class FlowerFolder(ImageFolder):
    """torchvision's ImageFolder, reading any image mode and passing over hidden folders such as .ipynb_checkpoints."""

    def __init__(self, folder: Path, transform: Callable | None = None):
        super().__init__(str(folder), transform, loader=load_image)

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        classes = class_folders(Path(directory))
        return classes, {name: index for index, name in enumerate(classes)}

    @staticmethod
    def make_dataset(directory: str, class_to_idx: dict[str, int], *_, **__) -> list[tuple[str, int]]:
        folders = [(Path(directory) / name, index) for name, index in class_to_idx.items()]
        return [(str(path), index) for folder, index in folders for path in image_files(folder)]


# ---- a split, decoded once -----------------------------------------------------------------------------------------


IN_MEMORY = 64 * 2**20  # bytes; what is larger lies in a temporary file


def room(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A new tensor to be filled. A large one lies in a temporary file, of which the system keeps in memory what fits.

    The file vanishes with the tensor; TMPDIR says where it lies (on a disk, not in memory, if memory is short). Raises
    UserError if there is no room for it.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return torch.empty(shape, dtype=dtype)
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (it stays as long as the tensor)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # or a full disk would end the program while it writes
        return torch.from_numpy(np.memmap(file, np.uint8, "w+", shape=size)).view(dtype).view(*shape)
    except OSError as error:
        raise UserError(
            f"There is no room for {size / 1e9:.1f} GB in {tempfile.gettempdir()} ({error.strerror}): "
            "free some space or set TMPDIR to a folder on another disk."
        ) from error


class Images(NamedTuple):
    """A split, decoded. pixels: uint8 (n, 3, size, size), labels: int64 (n,), classes: folder names, files: n paths."""

    pixels: Tensor
    labels: Tensor
    classes: list[str]
    files: list[Path]


def decode_square(path: Path, size: int) -> Tensor:
    """The middle square of an image, uint8 (3, size, size)."""
    square = middle_square(load_image(path, least=2 * size), size)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


def decode_files(files: Sequence[Path], size: int) -> tuple[Tensor, dict[int, str]]:
    """Decode every file once: pixels uint8 (n, 3, size, size), and a sentence about each unreadable file by its number."""
    pixels, bad = room((len(files), 3, size, size), torch.uint8), {}

    def decode(i: int) -> None:
        try:
            pixels[i] = decode_square(files[i], size)
        except UserError as error:
            bad[i] = str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside Python's lock
        list(pool.map(decode, range(len(files))))
    return pixels, bad


def decode_split(root: Path, split: str, size: int, skip_unreadable: bool = False) -> Images:
    """Decode one split of a data folder once and for all.

    Raises UserError that names the first unreadable image; with skip_unreadable they are named and left out.
    """
    classes = class_folders(root / split)
    files = [(path, i) for i, name in enumerate(classes) for path in image_files(root / split / name)]
    pixels, bad = decode_files([path for path, _ in files], size)
    if bad and not skip_unreadable:
        more = f" ({len(bad) - 1} more files like it)" if len(bad) > 1 else ""
        raise UserError(sorted(bad.values())[0] + more)
    good = [i for i in range(len(files)) if i not in bad]
    for new, old in enumerate(good if bad else ()):  # in its place: it may be large
        pixels[new] = pixels[old]
    for i in sorted(bad):
        print(f"left out: {bad[i]}")
    labels = [files[i][1] for i in good]
    for empty in sorted(set(range(len(classes))) - set(labels))[:1]:
        raise UserError(f"{root / split / classes[empty]} holds no readable image: add some, or remove this class everywhere.")
    return Images(pixels[: len(good)], torch.tensor(labels), classes, [files[i][0] for i in good])


def few_images(images: Images, classes: Sequence[int], most: int) -> Images:
    """The first `most` images of each of the given classes (indices); their new labels are 0, 1, ... in this order."""
    rows = [(images.labels == label).nonzero().flatten()[:most] for label in classes]
    labels = torch.cat([torch.full_like(of_class, new) for new, of_class in enumerate(rows)])
    chosen = torch.cat(rows)
    files = [images.files[i] for i in chosen.tolist()]
    return Images(images.pixels[chosen], labels, [images.classes[label] for label in classes], files)


def normalize_batch(pixels: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> Tensor:
    """uint8 (batch, 3, height, width) -> float32, normalised."""
    mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (mean, std))
    return (pixels.float() / 255 - mean) / std


class BatchLoader:
    """Batches from tensors in memory; stands in for a DataLoader.

    transform turns a batch of inputs into what the model takes; shuffling draws from torch's global generator. share:
    (rank, world) if several processes divide every batch; when they shuffle, they draw the same order, and their shares of
    a batch are equally large: up to world - 1 images at the end of an epoch are left out. device: where batches are wanted;
    to a GPU they are copied from pinned memory, so that the processor does not wait for the copy.
    """

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        shuffle: bool = False,
        transform: Callable | None = None,
        share: tuple[int, int] = (0, 1),
        device: torch.device | None = None,
    ):
        self.inputs, self.labels = inputs, labels
        self.batch_size, self.shuffle, self.transform = batch_size, shuffle, transform
        self.share, self.device = share, device

    def __len__(self) -> int:
        return len(self._batches(torch.arange(len(self.labels))))

    def _batches(self, order: Tensor) -> Sequence[Tensor]:
        rank, world = self.share
        batches = order.split(self.batch_size)
        if self.shuffle:
            batches = [batch[: len(batch) // world * world] for batch in batches]
            # Batch normalisation cannot learn from a single image: leave a last lonely one out of this epoch.
            if len(batches) > 1 and len(batches[-1]) < 2:
                batches.pop()
        return [batch[rank::world] for batch in batches if rank < len(batch)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.labels)
        for batch in self._batches(torch.randperm(n) if self.shuffle else torch.arange(n)):
            inputs, labels = self._copy(self.inputs[batch]), self._copy(self.labels[batch])
            yield (self.transform(inputs) if self.transform else inputs), labels

    def _copy(self, batch: Tensor) -> Tensor:
        if self.device is None or self.device.type == "cpu":
            return batch
        return batch.pin_memory().to(self.device, non_blocking=True)
