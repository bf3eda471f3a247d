"""Views for distillation: random crops of photographs and renders, with and without cut-outs pasted on them."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageStat

from helpers.augment import AugmentConfig, augment_batch
from helpers.base import UserError
from helpers.data import IMAGENET_MEAN, IMAGENET_STD

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SIDE = 448  # pixels of the shorter side of a stored picture
DRAFT, VIEW = 144, 128  # pixels of a crop before augmentation, and of a view
AUGMENT = AugmentConfig(scale=(0.7, 1.0), degrees=15, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.04, grayscale=0.05)
SOURCES = {"photograph": 0.5, "render": 0.25, "cut-out": 0.25}  # share of the views
AREA = (0.08, 1.0)  # fraction of a picture's area that a crop keeps, uniform in its logarithm


def read_picture(path: Path) -> Image.Image | None:
    """The picture at SIDE pixels, with its alpha channel if it has one; None if it is too small or nearly uniform."""
    try:
        with Image.open(path) as image:
            if min(image.size) < 100 or max(image.size) > 3 * min(image.size):
                return None
            image.draft("RGB", (SIDE * 2, SIDE * 2))
            cut = "A" in image.getbands() or "transparency" in image.info
            image = image.convert("RGBA" if cut else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # damaged, or too large
        return None
    scale = SIDE / min(image.size)
    if scale < 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), reducing_gap=3)
    if cut and image.getextrema()[3][0] > 200:  # opaque
        image = image.convert("RGB")
    return image if max(ImageStat.Stat(image.convert("L")).stddev) > 12 else None


def read_pictures(folder: Path) -> tuple[list[Image.Image], list[Image.Image]]:
    """All pictures below the folder as (photographs, cut-outs), each once: copies in several sizes look the same at 8x8.

    Raises UserError if there are none of either kind.
    """
    pictures: dict[str, list[Image.Image]] = {"RGB": [], "RGBA": []}
    seen = set()
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        image = read_picture(path)
        small = image and (np.asarray(image.convert("RGB").resize((8, 8), Image.Resampling.BOX)) // 16).tobytes()
        if image and small not in seen:
            seen.add(small)
            pictures[image.mode].append(image)
    if not all(pictures.values()):
        raise UserError(f"{folder} must contain photographs and pictures with a transparent background: add the missing kind.")
    return pictures["RGB"], pictures["RGBA"]


def random_crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A random part of a picture at DRAFT pixels."""
    zoom = np.exp(rng.uniform(*np.log(AREA)) / 2)
    ratio = np.exp(rng.uniform(-0.25, 0.25))
    side = max(zoom * min(image.size), 48)
    width, height = min(side * ratio, image.width), min(side / ratio, image.height)
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    return image.convert("RGB").resize((DRAFT, DRAFT), Image.Resampling.BILINEAR, box=box, reducing_gap=2)


def paste_cutout(background: Image.Image, cutout: Image.Image, rng: np.random.Generator) -> None:
    """Paste a cut-out onto the background, anywhere and from a third of its size to larger than it."""
    scale = DRAFT * np.exp(rng.uniform(np.log(0.35), np.log(1.3))) / max(cutout.size)
    size = (max(1, round(cutout.width * scale)), max(1, round(cutout.height * scale)))
    small = cutout.resize(size, Image.Resampling.BILINEAR, reducing_gap=2).rotate(rng.normal(0, 15), expand=True)
    x, y = rng.uniform(0.1, 0.9, 2) * DRAFT - np.array(small.size) / 2
    background.paste(small, (round(x), round(y)), small)


def mix(views: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """CutMix (Yun et al. 2019) of every second view (n, 3, size, size) with another one."""
    mixed, size = views.clone(), views.shape[-1]
    for i in range(0, len(views), 2):
        other = (i + rng.integers(1, len(views))) % len(views)
        side = int(size * np.sqrt(rng.uniform(0.1, 0.6)))
        y, x = rng.integers(0, size - side + 1, 2)
        mixed[i, :, y : y + side, x : x + side] = views[other, :, y : y + side, x : x + side]
    return mixed


def draw_view(photographs, cutouts, renders, rng: np.random.Generator) -> Image.Image:
    """One crop of a photograph or a render, or a cut-out on either."""
    source = rng.choice(list(SOURCES), p=list(SOURCES.values()))
    photographic = source == "photograph" or (source == "cut-out" and rng.random() < 0.7)
    pictures = photographs if photographic else renders
    picture = pictures[rng.integers(len(pictures))]
    view = random_crop(picture, rng)
    for _ in range(3):  # sky and other plain areas teach little
        if max(ImageStat.Stat(view).stddev) > 20:
            break
        view = random_crop(picture, rng)
    if source == "cut-out":
        paste_cutout(view, cutouts[rng.integers(len(cutouts))], rng)
    return view


def draw_views(photographs, cutouts, renders, n: int, seed: list[int]) -> torch.Tensor:
    """n views, uint8 (n, 3, VIEW, VIEW), of three lists of images; the same seed gives the same views."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(int(rng.integers(2**31)))
    drafts = np.stack([np.asarray(draw_view(photographs, cutouts, renders, rng)) for _ in range(n)])
    pixels = augment_batch(torch.from_numpy(drafts).permute(0, 3, 1, 2), VIEW, AUGMENT)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return mix((pixels * std + mean).mul(255).round().clamp(0, 255).byte(), rng)
