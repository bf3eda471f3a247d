"""Which of two sets of renderings looks better? python -m tools.blind_pairs OLD NEW --out DIR [--seed 0]

OLD and NEW hold images under the same paths, such as two versions of flower_data: the same species drawn from the same seed.
Draws sheets of 60 random pairs, the order within each pair random, and writes the key to key.json. You see only the sheets
and write down the better one of each pair; `--answers FILE` (lines such as "17 b") counts how often NEW was preferred.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from helpers.base import UserError, run_command
from helpers.images import image_files
from tools.naming_quiz import read_answers, write_sheets

COLUMNS, ROWS, GAP = 3, 5, 24


def pairs(old: Path, new: Path, seed: int, count: int) -> list[tuple[str, bool]]:
    """`count` random paths that exist below both folders, each with whether the new image comes first."""
    names = [{path.relative_to(folder).as_posix() for path in image_files(folder)} for folder in (old, new)]
    common = sorted(names[0] & names[1])
    if len(common) < count:
        raise UserError(f"{old} and {new} have {len(common)} images with the same path: {count} pairs cannot be drawn.")
    rng = np.random.default_rng([61, seed])
    chosen = rng.choice(len(common), count, replace=False)
    first = rng.permutation(np.arange(count) % 2 == 0)  # in exactly half of the pairs
    return [(common[i], bool(f)) for i, f in zip(chosen, first, strict=True)]


def sheets(chosen: list[tuple[str, bool]], old: Path, new: Path, size: int) -> list[Image.Image]:
    """Pages of 15 numbered pairs, a on the left and b on the right."""
    pages, font, width = [], ImageFont.load_default(16), 2 * size + 4 + GAP
    for start in range(0, len(chosen), COLUMNS * ROWS):
        page = Image.new("RGB", (COLUMNS * width, ROWS * (size + GAP)), "white")
        pen = ImageDraw.Draw(page)
        for i, (name, new_first) in enumerate(chosen[start : start + COLUMNS * ROWS]):
            x, y = i % COLUMNS * width, i // COLUMNS * (size + GAP)
            pen.text((x, y + 2), f"{start + i + 1}   a | b", fill="black", font=font)
            for k, folder in enumerate((new, old) if new_first else (old, new)):
                with Image.open(folder / name) as image:
                    shown = image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
                page.paste(shown, (x + k * (size + 4), y + GAP))
        pages.append(page)
    return pages


def score(chosen: list[tuple[str, bool]], answers: dict[int, str]) -> list[str]:
    """The pairs in which the old image was preferred (or none), then the number in which the new one was."""
    lines = []
    for i, (name, new_first) in enumerate(chosen, 1):
        if answers.get(i) != ("a" if new_first else "b"):
            lines.append(f"{i}: {name}")
    return [*lines, f"new preferred in {len(chosen) - len(lines)} of {len(chosen)}"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.blind_pairs", description="Draw or grade blind pairs of images.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--out", type=Path, default=Path("blind_pairs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60, help="pairs (default: 60)")
    parser.add_argument("--size", type=int, default=256, help="of an image in pixels (default: 256)")
    parser.add_argument("--answers", type=Path, help="grade these answers instead of drawing")
    options = parser.parse_args(arguments)

    def command() -> None:
        chosen = pairs(options.old, options.new, options.seed, options.count)
        if options.answers:
            print("\n".join(score(chosen, read_answers(options.answers))))
        else:
            key = [f"{'a' if new_first else 'b'} is new: {name}" for name, new_first in chosen]
            write_sheets(sheets(chosen, options.old, options.new, options.size), key, options.out)

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
