"""Can people name the rendered flowers? python -m tools.naming_test --out DIR [--seed 0]

Writes sheets of 60 pictures, each of another species drawn at random, with five candidate names under each, and the key
in key.json. Whoever takes the test sees the sheets only and writes one letter per picture; `--answers FILE` (lines such as
"17 c") counts the right ones and lists the others.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.scene import draw
from tools.species import SPECIES

PICTURES, CHOICES, COLUMNS, ROWS, SIZE = 60, 5, 5, 4, 256


def questions(seed: int) -> list[dict]:
    """Per picture: the number of its species and five candidates, one of them right, in random order.

    The wrong ones are of the same growth form as far as there are such, so that the outline alone gives nothing away.
    """
    rng = np.random.default_rng([60, seed])
    rows = []
    for number in rng.permutation(list(SPECIES))[:PICTURES]:
        others = [int(n) for n in rng.permutation([n for n in SPECIES if n != number])]
        others = sorted(others, key=lambda n: SPECIES[n].form != SPECIES[number].form)[: CHOICES - 1]
        rows.append({"number": int(number), "candidates": [int(n) for n in rng.permutation([number, *others])]})
    return rows


def right_letter(question: dict) -> str:
    return "abcde"[question["candidates"].index(question["number"])]


def sheets(rows: list[dict], seed: int) -> list[Image.Image]:
    """Pages of 20 pictures with their candidates."""
    pictures, _ = draw([SPECIES[row["number"]] for row in rows], [[60, seed, i] for i in range(len(rows))], SIZE)
    pages, font = [], ImageFont.load_default(15)
    for first in range(0, len(rows), COLUMNS * ROWS):
        page = Image.new("RGB", (COLUMNS * (SIZE + 10), ROWS * (SIZE + 110)), "white")
        pen = ImageDraw.Draw(page)
        for i, row in enumerate(rows[first : first + COLUMNS * ROWS]):
            x, y = i % COLUMNS * (SIZE + 10), i // COLUMNS * (SIZE + 110)
            page.paste(Image.fromarray(pictures[first + i]), (x, y))
            names = [f"{letter} {SPECIES[n].name}" for letter, n in zip("abcde", row["candidates"], strict=True)]
            pen.text((x, y + SIZE + 2), "\n".join([f"{first + i + 1}   {names[0]}", *names[1:]]), fill="black", font=font)
        pages.append(page)
    return pages


def score(rows: list[dict], answers: str) -> list[str]:
    """One line per wrong answer, and the number of right ones last. Pictures without an answer count as wrong."""
    given = {int(line.split()[0]): line.split()[1].lower() for line in answers.splitlines() if len(line.split()) == 2}
    lines = []
    for i, row in enumerate(rows, 1):
        if given.get(i) != right_letter(row):
            place = "abcde".find(given.get(i, "-"))
            said = SPECIES[row["candidates"][place]].name if place >= 0 else "nothing"
            lines.append(f"{i}: {SPECIES[row['number']].name}, taken for {said}")
    return [*lines, f"{len(rows) - len(lines)} of {len(rows)} right"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.naming_test", description="Draw or mark the naming test.")
    parser.add_argument("--out", type=Path, default=Path("naming_test"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--answers", type=Path, help="mark these answers instead of drawing")
    options = parser.parse_args()
    rows = questions(options.seed)
    if options.answers:
        print("\n".join(score(rows, options.answers.read_text(encoding="utf-8"))))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    for i, page in enumerate(sheets(rows, options.seed), 1):
        page.save(options.out / f"sheet_{i}.png")
    key = {i: f"{right_letter(row)} {SPECIES[row['number']].name}" for i, row in enumerate(rows, 1)}
    (options.out / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
