"""Check a data folder before training: python -m helpers.check_data DIR

Reports the split, unreadable files, duplicates within and across the splits, and labels that are probably wrong.
Nothing in the folder is changed. Exit status: 0 if nothing was found, 1 if something was, 2 if the folder cannot be used.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from helpers.base import UserError, run_command
from helpers.data import data_path, decode_files, find_images, print_split_summary, require_every_class
from helpers.data_quality import image_features, near_duplicates, out_of_fold_probabilities, same_files, suspicious_labels

SIZE = 64  # pixels at which images are compared
SHOWN = 20  # lines per kind of problem


class Photos(NamedTuple):
    """The readable images of all splits. pixels: uint8 (n, 3, 64, 64), labels: int64 (n,), names: paths from the folder."""

    pixels: Tensor
    labels: Tensor
    names: list[str]
    paths: list[Path]
    classes: list[str]


def read_photos(root: Path) -> tuple[Photos, list[str]]:
    """All readable images, and one message per unreadable file. Raises UserError if a class has no readable image."""
    files = find_images(root)
    classes = list(files["train"])
    if len(classes) < 2:
        raise UserError(f"{root} has only one class, {classes[0]!r}: a classifier needs two or more.")
    rows = [(path, label) for of_split in files.values() for label, name in enumerate(classes) for path in of_split[name]]
    pixels, errors = decode_files([path for path, _ in rows], SIZE)
    kept = [i for i in range(len(rows)) if i not in errors]
    paths, labels = [rows[i][0] for i in kept], torch.tensor([rows[i][1] for i in kept], dtype=torch.int64)
    require_every_class(labels, classes)
    names = [path.relative_to(root).as_posix() for path in paths]
    return Photos(pixels[kept], labels, names, paths, classes), [message for _, message in sorted(errors.items())]


def find_duplicates(photos: Photos, features: Tensor, mirrored: Tensor) -> list[str]:
    """One line per pair of equal or nearly equal images; pairs across splits first."""
    pairs = {(group[0], other): "the same file" for group in same_files(photos.paths) for other in group[1:]}
    for i, j, correlation in near_duplicates(photos.pixels, features, mirrored):
        pairs.setdefault((i, j), f"nearly the same image, correlation {correlation:.2f}")
    lines = []
    for (i, j), how in pairs.items():
        splits = {photos.names[k].split("/")[0] for k in (i, j)}
        leak = f" (LEAK between {' and '.join(sorted(splits))})" if len(splits) == 2 else ""
        lines.append(f"{photos.names[i]} = {photos.names[j]}: {how}{leak}")
    return sorted(lines, key=lambda line: "LEAK" not in line)


def find_wrong_labels(photos: Photos, features: Tensor) -> list[str]:
    """One line per label that is probably wrong."""
    probabilities = out_of_fold_probabilities(features, photos.labels)
    found = suspicious_labels(probabilities, features, photos.labels)
    return [f"{photos.names[i]}: looks like {photos.classes[probabilities[i].argmax()]}" for i in found]


def report(title: str, lines: list[str], advice: str) -> None:
    """Print a kind of problem with its number, at most SHOWN of its lines, and what to do."""
    print(f"{title}: {len(lines)}" + (f". {advice}" if lines else ""))
    for line in lines[:SHOWN]:
        print(f"  {line}")
    if len(lines) > SHOWN:
        print(f"  ... and {len(lines) - SHOWN} more")


def check_data(root: Path) -> int:
    """Print the report; returns 1 if anything was found, else 0. Raises UserError if the folder cannot be used."""
    photos, unreadable = read_photos(root)
    print_split_summary(root)
    features, mirrored = image_features(photos.pixels)
    duplicates = find_duplicates(photos, features, mirrored)
    enough = torch.bincount(photos.labels).min() >= 3
    labels = find_wrong_labels(photos, features) if enough else []
    report("Unreadable files", unreadable, "Replace them or remove them:")
    report("Duplicates", duplicates, "Keep one of each pair; across splits, they make the accuracy look higher than it is:")
    if enough:
        report("Labels that are probably wrong", labels, "Look at these images:")
    else:
        print("Labels: not checked, because a class has fewer than 3 images.")
    return int(bool(unreadable or duplicates or labels))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers.check_data", description="Check a data folder before training.")
    parser.add_argument("folder", type=Path, nargs="?", help="with train/ and valid/ (default: FLOWER_DATA)")
    options = parser.parse_args(arguments)
    return run_command(lambda: check_data(options.folder or data_path()))


if __name__ == "__main__":
    sys.exit(main())
