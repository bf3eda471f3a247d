"""Split images into train, valid and test: python -m helpers.split_data SOURCE TARGET

SOURCE has one folder of images per class; TARGET becomes a data folder for FLOWER_DATA. Files are copied, or hard-linked with
--link. Nothing in SOURCE is changed, and no existing file is overwritten.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from helpers.base import UserError, run_command
from helpers.data import class_folders, print_split_summary
from helpers.images import image_files


def draw_split(n: int, valid: float, test: float, rng: np.random.Generator) -> dict[str, list[int]]:
    """Random indices of n images for each split; valid and test get their share, rounded, but at least one image."""
    order = rng.permutation(n).tolist()
    n_valid, n_test = (max(1, round(share * n)) if share else 0 for share in (valid, test))
    return {"valid": order[:n_valid], "test": order[n_valid : n_valid + n_test], "train": order[n_valid + n_test :]}


def split_files(
    files: Mapping[str, Sequence[Path]], target: Path, *, valid: float = 0.15, test: float = 0.15, seed: int = 0,
    link: bool = False,
) -> None:  # fmt: skip
    """Copy (or hard-link) the images of each class, {class: paths}, to target/train, target/valid and target/test.

    valid, test: shares in [0, 1), drawn for each class. Files are numbered, so equal names in different folders are no
    problem. The target appears when it is complete. Raises UserError if it exists already, a class has fewer than three
    images, the shares leave nothing to train on, or a file cannot be written.
    """
    if target.exists():
        raise UserError(f"{target} exists already: choose a new folder, nothing was changed.")
    if not (0 < valid < 1 and 0 <= test < 1 and valid + test < 1):
        raise UserError(f"The shares valid={valid:g} and test={test:g} must lie between 0 and 1 and leave some to train on.")
    for name in (name for name, of_class in files.items() if len(of_class) < 3):
        raise UserError(f"Class {name!r} has fewer than 3 images: add some, or leave the class out.")
    rng = np.random.default_rng(seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            for name, of_class in files.items():
                for split, rows in draw_split(len(of_class), valid, test, rng).items():
                    if rows:
                        _copy([of_class[i] for i in sorted(rows)], Path(folder) / "data" / split / name, link)
            (Path(folder) / "data").rename(target)
    except OSError as error:
        raise UserError(f"The images could not be copied to {target} ({error.strerror}): nothing is left there.") from error


def _copy(paths: Sequence[Path], folder: Path, link: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        place = folder / f"{number:05}_{path.name}"
        os.link(path, place) if link else shutil.copyfile(path, place)


def files_by_class(source: Path) -> dict[str, list[Path]]:
    """The images of each class folder. Raises UserError if there are none, or if the folder is split already."""
    if not source.is_dir():
        raise UserError(f"There is no folder {source}: name one that has a folder of images for each class.")
    names = class_folders(source)
    if {"train", "valid"} <= set(names):
        raise UserError(f"{source} is split already: it has train/ and valid/.")
    files = {name: image_files(source / name) for name in names}
    if len(files) < 2:
        raise UserError(f"{source} has {len(files)} class folders: put the images of each class into a folder of its own.")
    return files


def split(options: argparse.Namespace) -> None:
    if options.source.resolve() in options.target.resolve().parents:
        raise UserError(f"{options.target} lies in {options.source}, where it would be taken for a class: choose another.")
    shares = {"valid": options.valid, "test": options.test}
    split_files(files_by_class(options.source), options.target, **shares, seed=options.seed, link=options.link)
    print_split_summary(options.target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m helpers.split_data", description="Split images: train, valid, test.")
    parser.add_argument("source", type=Path, help="a folder with one folder of images per class; it is only read")
    parser.add_argument("target", type=Path, help="the new data folder")
    parser.add_argument("--valid", type=float, default=0.15, help="share of the validation images (default: 0.15)")
    parser.add_argument("--test", type=float, default=0.15, help="share of the test images, 0 for none (default: 0.15)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--link", action="store_true", help="hard links in place of copies, on the same disk")
    return run_command(lambda: split(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
