"""Find and read image files, without torch. What the user can put right is raised as UserError."""

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # those of ImageFolder


class UserError(ValueError):
    """Something the user can put right; the text says in one sentence, on one line, what is wrong and what to do."""

    def __init__(self, sentence: str):
        super().__init__(sentence.replace("\n", "\\n"))  # a file name may hold a line break


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and below it, sorted; hidden files and folders are passed over."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def load_image(source: str | Path | BinaryIO, least: int = 0, label: str = "") -> Image.Image:
    """Read any image as 8-bit RGB, upright: grey, palette, transparent (on white), CMYK and 16-bit ones too.

    source: a path or an open binary file. least: if given, a JPEG may be decoded at reduced size, but each side stays at
    least this long (or the original's length), which is faster. label: what to call the source in a message, if not by its
    path. Raises UserError if the file is no image or is damaged.
    """
    try:
        with Image.open(source) as image:
            if least:
                image.draft("RGB", (least, least))
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        said = re.split(r" ['<]", str(error))[0]  # Pillow repeats the file, or which object it was read from
        reason = "no such file" if isinstance(error, FileNotFoundError) else said or "damaged"
        raise UserError(f"{label or source} cannot be read as an image ({reason}): replace it or remove it.") from error


def middle_square(image: Image.Image, size: int) -> Image.Image:
    """The middle square of an image, size x size pixels."""
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: to 8
        values = np.asarray(image, np.float64)
        sixteen = image.mode.startswith("I;16") or values.max() > 255
        top = 65535 if sixteen else 255 if values.max() > 1 else 1
        image = Image.fromarray(np.clip(values * (255 / top), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
