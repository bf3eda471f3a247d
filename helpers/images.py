"""Find and read image files, without torch."""

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from helpers.base import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # those of ImageFolder


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, sorted; hidden files and folders are skipped."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def load_image(source: str | Path | BinaryIO, min_side: int = 0, label: str = "") -> Image.Image:
    """Read any image as upright 8-bit RGB: grayscale, palette, transparent (on white), CMYK and 16-bit images too.

    source: a path or an open binary file. min_side: if given, a JPEG may be decoded at reduced size, which is faster, but
    no side becomes shorter than this (unless it was). label: the source's name in error messages (default: its path).
    Raises UserError if the file is not an image or is damaged.
    """
    try:
        with Image.open(source) as image:
            if min_side:
                image.draft("RGB", (min_side, min_side))
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        cause = re.split(r" ['<]", str(error))[0]  # without the name or object that Pillow appends
        reason = "no such file" if isinstance(error, FileNotFoundError) else cause or "damaged"
        raise UserError(f"{label or source} cannot be read as an image ({reason}): replace it or remove it.") from error


def center_crop_square(image: Image.Image, size: int) -> Image.Image:
    """The largest centered square of an image, resized to size x size pixels."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits or more: scale to 8
        values = np.asarray(image, np.float64)
        sixteen = image.mode.startswith("I;16") or values.max() > 255
        top = 65535 if sixteen else 255 if values.max() > 1 else 1
        image = Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
