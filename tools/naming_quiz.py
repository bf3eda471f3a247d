"""Can people name the rendered flowers? python -m tools.naming_quiz --out DIR [--seed 0]

Draws sheets of 60 images, each of a random species, with five candidate names under each, and writes the key to key.json.
You see only the sheets and write down one letter per image; `--answers FILE` (lines such as "17 c") counts the correct
answers and lists the others.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from helpers.base import UserError, run_command
from tools.scene import draw
from tools.species import SPECIES

CHOICES, COLUMNS, ROWS = 5, 5, 4


def questions(seed: int, count: int = 60) -> list[dict]:
    """Per image: the number of its species and five candidates, one of them correct, in random order.

    The wrong ones have the same growth form if there are enough of it, so that the outline alone does not give it away.
    """
    rng = np.random.default_rng([60, seed])
    rows = []
    for number in rng.permutation(list(SPECIES))[:count]:
        others = [int(n) for n in rng.permutation([n for n in SPECIES if n != number])]
        others = sorted(others, key=lambda n: SPECIES[n].form != SPECIES[number].form)[: CHOICES - 1]
        rows.append({"number": int(number), "candidates": [int(n) for n in rng.permutation([number, *others])]})
    return rows


def correct_letter(question: dict) -> str:
    return "abcde"[question["candidates"].index(question["number"])]


def sheets(rows: list[dict], seed: int, size: int = 256) -> list[Image.Image]:
    """Pages of 20 images with their candidates."""
    images, _ = draw([SPECIES[row["number"]] for row in rows], [[60, seed, i] for i in range(len(rows))], size)
    pages, font = [], ImageFont.load_default(15)
    for first in range(0, len(rows), COLUMNS * ROWS):
        page = Image.new("RGB", (COLUMNS * (size + 10), ROWS * (size + 110)), "white")
        pen = ImageDraw.Draw(page)
        for i, row in enumerate(rows[first : first + COLUMNS * ROWS]):
            x, y = i % COLUMNS * (size + 10), i // COLUMNS * (size + 110)
            page.paste(Image.fromarray(images[first + i]), (x, y))
            names = [f"{letter} {SPECIES[n].name}" for letter, n in zip("abcde", row["candidates"], strict=True)]
            pen.text((x, y + size + 2), "\n".join([f"{first + i + 1}   {names[0]}", *names[1:]]), fill="black", font=font)
        pages.append(page)
    return pages


def read_answers(path: Path) -> dict[int, str]:
    """Number -> letter, from lines such as "17 c"; other lines are ignored. Raises UserError if there is no such file."""
    if not path.is_file():
        raise UserError(f"There is no file {path}: write one answer per line, such as 17 b.")
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {int(words[0]): words[1].lower() for words in lines if len(words) == 2 and words[0].isdigit()}


def score(rows: list[dict], given: dict[int, str]) -> list[str]:
    """One line per wrong answer, then the number of correct ones. Images without an answer count as wrong."""
    lines = []
    for i, row in enumerate(rows, 1):
        if given.get(i) != correct_letter(row):
            place = "abcde".find(given.get(i, "-"))
            answer = SPECIES[row["candidates"][place]].name if place >= 0 else "nothing"
            lines.append(f"{i}: {SPECIES[row['number']].name}, taken for {answer}")
    return [*lines, f"{len(rows) - len(lines)} of {len(rows)} correct"]


def write_sheets(pages: list[Image.Image], key: list[str], out: Path) -> None:
    """Write sheet_1.png, ... and key.json, which numbers the lines of `key` from 1, to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for i, page in enumerate(pages, 1):
        page.save(out / f"sheet_{i}.png")
    (out / "key.json").write_text(json.dumps(dict(enumerate(key, 1)), indent=1), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.naming_quiz", description="Draw or grade the naming quiz.")
    parser.add_argument("--out", type=Path, default=Path("naming_quiz"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60, help="images in the quiz (default: 60)")
    parser.add_argument("--size", type=int, default=256, help="of an image in pixels (default: 256)")
    parser.add_argument("--answers", type=Path, help="grade these answers instead of drawing")
    options = parser.parse_args(arguments)
    rows = questions(options.seed, options.count)

    def command() -> None:
        if options.answers:
            print("\n".join(score(rows, read_answers(options.answers))))
        else:
            key = [f"{correct_letter(row)} {SPECIES[row['number']].name}" for row in rows]
            write_sheets(sheets(rows, options.seed, options.size), key, options.out)

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
