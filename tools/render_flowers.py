"""Render the bundled flowers: python -m tools.render_flowers

Draws flower_data/train, valid and test from the table of species, and the masks of the validation flowers to
flower_data/masks. The same seed draws the same images. --sheet FILE draws a contact sheet of all species instead.
"""

import argparse
import csv
import functools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from helpers.base import PROJECT
from tools.get_oxford102 import TUTORIAL_SPLIT
from tools.scene import draw
from tools.species import SPECIES

TRAIN_IMAGES, PER_CLASS, SIZE, QUALITY = 2100, 5, 128, 92  # PER_CLASS: in valid and in test
SPLITS = ("train", "valid", "test")


@functools.cache
def oxford_train() -> dict[int, int]:
    """Class number -> training photographs in the real set; the rendered set has the same proportions."""
    with open(TUTORIAL_SPLIT, newline="", encoding="utf-8") as file:
        counts = Counter(int(row["class"]) for row in csv.DictReader(file) if row["split"] == "train")
    return {number: counts[number] for number in SPECIES}


def pictures_of(split: str) -> list[tuple[int, int]]:
    """Every (class number, image number) of a split."""
    fraction = TRAIN_IMAGES / sum(oxford_train().values())
    counts = {n: round(real * fraction) if split == "train" else PER_CLASS for n, real in oxford_train().items()}
    return [(number, k) for number, count in counts.items() for k in range(count)]


def seed_of(split: str, number: int, k: int) -> list[int]:
    return [102, SPLITS.index(split), number, k]


def draw_pictures(split: str, pictures: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Images of the bundled set, uint8 (n, 128, 128, 3), and masks of their flowers, bool (n, 128, 128)."""
    return draw([SPECIES[number] for number, _ in pictures], [seed_of(split, *picture) for picture in pictures], SIZE)


def picture_path(root: Path, split: str, number: int, k: int) -> Path:
    return root / split / str(number) / f"{split}_{number:03}_{k:03}.jpg"


def mask_path(root: Path, image: Path) -> Path:
    """Where the mask of a validation image lies: beside the splits, so that ImageFolder does not read it."""
    return root / "masks" / image.parent.name / f"{image.stem}.png"


def save(image: Image.Image, path: Path, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def render_split(root: Path, split: str, todo: list[tuple[int, int]]) -> None:
    """Draw images of one split, given as (class number, image number), into the folder `root` in ImageFolder layout.

    For the validation images also the masks of their flowers, as PNG with one bit per pixel.
    """
    for start in tqdm(range(0, len(todo), 100), desc=split):
        batch = todo[start : start + 100]
        for picture, pixels, mask in zip(batch, *draw_pictures(split, batch), strict=True):
            path = picture_path(root, split, *picture)
            save(Image.fromarray(pixels), path, quality=QUALITY)
            if split == "valid":
                save(Image.fromarray(mask), mask_path(root, path), optimize=True)


def clearest(number: int) -> int:
    """The number of the test image of which the flower covers about a third: neither too small nor too close."""
    _, masks = draw([SPECIES[number]] * PER_CLASS, [seed_of("test", number, k) for k in range(PER_CLASS)], 32)
    return int(np.abs(masks.mean((1, 2)) - 0.35).argmin())


def contact_sheet(numbers: Iterable[int] = SPECIES, columns: int = 17) -> Image.Image:
    """One test image of each of the given species with its number and name."""
    numbers = list(numbers)
    images, _ = draw_pictures("test", [(number, clearest(number)) for number in numbers])
    rows = -(-len(numbers) // columns)
    sheet = Image.new("RGB", (columns * (SIZE + 4), rows * (SIZE + 16)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, number in enumerate(numbers):
        x, y = i % columns * (SIZE + 4), i // columns * (SIZE + 16)
        sheet.paste(Image.fromarray(images[i]), (x, y + 13))
        pen.text((x, y), f"{number} {SPECIES[number].name}", fill="black")
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.render_flowers", description="Render the bundled flowers.")
    parser.add_argument("--out", type=Path, default=PROJECT / "flower_data")
    parser.add_argument("--sheet", type=Path, help="draw a contact sheet to this file instead")
    options = parser.parse_args()
    if options.sheet:
        contact_sheet().save(options.sheet)
        return
    for split in SPLITS:
        render_split(options.out, split, pictures_of(split))


if __name__ == "__main__":
    main()
