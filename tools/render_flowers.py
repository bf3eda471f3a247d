"""Render the bundled flowers: python -m tools.render_flowers

Draws flower_data/train, valid and test from the species table. The same seed draws the same pictures. --sheet FILE draws
a contact sheet of all species instead.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from helpers.data import PROJECT
from tools.scene import draw
from tools.species import SPECIES

# Training photos of each class in Oxford-102 as tutorials split it; the rendered set keeps the proportions.
OXFORD_TRAIN = (
    27, 49, 36, 44, 54, 35, 33, 70, 41, 38, 68, 73, 38, 44, 38, 36, 60,
    65, 38, 46, 34, 47, 72, 35, 34, 33, 36, 55, 62, 61, 48, 36, 31, 28,
    33, 62, 92, 44, 33, 54, 97, 49, 100, 73, 33, 157, 61, 57, 38, 73, 206,
    67, 70, 47, 56, 92, 50, 86, 56, 85, 36, 48, 42, 42, 88, 51, 36, 43,
    46, 51, 64, 77, 147, 142, 95, 83, 205, 112, 34, 82, 135, 82, 104, 66, 48,
    48, 51, 116, 153, 66, 59, 53, 34, 132, 101, 72, 54, 68, 50, 35, 49, 36,
)  # fmt: skip
TRAIN_PICTURES, EVERY_CLASS, SIZE, QUALITY = 2100, 5, 128, 88
SPLITS = ("train", "valid", "test")


def pictures_of(split: str) -> list[tuple[int, int]]:
    """Every (class number, picture number) of a split."""
    share = TRAIN_PICTURES / sum(OXFORD_TRAIN)
    counts = [round(n * share) if split == "train" else EVERY_CLASS for n in OXFORD_TRAIN]
    return [(number, k) for number, count in enumerate(counts, 1) for k in range(count)]


def seed_of(split: str, number: int, k: int) -> list[int]:
    return [102, SPLITS.index(split), number, k]


def draw_pictures(split: str, pictures: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, 128, 128, 3) of the bundled set and masks of the blooms, bool (n, 128, 128)."""
    return draw([SPECIES[number] for number, _ in pictures], [seed_of(split, *picture) for picture in pictures], SIZE)


def picture_path(root: Path, split: str, number: int, k: int) -> Path:
    return root / split / str(number) / f"{split}_{number:03}_{k:03}.jpg"


def render_split(root: Path, split: str) -> None:
    """Draw one split into the folder `root`, in ImageFolder layout."""
    todo = pictures_of(split)
    for start in tqdm(range(0, len(todo), 100), desc=split):
        batch = todo[start : start + 100]
        for picture, pixels in zip(batch, draw_pictures(split, batch)[0], strict=True):
            path = picture_path(root, split, *picture)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=QUALITY)


def clearest(number: int) -> int:
    """Which of a species' test pictures shows it neither too small nor too close: a third of it is bloom."""
    _, masks = draw([SPECIES[number]] * EVERY_CLASS, [seed_of("test", number, k) for k in range(EVERY_CLASS)], 32)
    return int(np.abs(masks.mean((1, 2)) - 0.35).argmin())


def contact_sheet(columns: int = 17) -> Image.Image:
    """One test picture of every species with its number and name."""
    pictures, _ = draw(list(SPECIES.values()), [seed_of("test", number, clearest(number)) for number in SPECIES], SIZE)
    rows = -(-len(SPECIES) // columns)
    sheet = Image.new("RGB", (columns * (SIZE + 4), rows * (SIZE + 16)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (number, species) in enumerate(SPECIES.items()):
        x, y = i % columns * (SIZE + 4), i // columns * (SIZE + 16)
        sheet.paste(Image.fromarray(pictures[i]), (x, y + 13))
        pen.text((x, y), f"{number} {species.name}", fill="black")
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
        render_split(options.out, split)


if __name__ == "__main__":
    main()
