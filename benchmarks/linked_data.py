"""Data folders of other sizes, made of symbolic links, for scaling and backbone_transfer."""

from collections.abc import Callable
from pathlib import Path

from helpers.data import class_folders
from helpers.images import image_files


def link_data(root: Path, target: Path, choose: Callable[[list[Path]], list[Path]]) -> Path:
    """Create a data folder `target` with the same valid/ and, of each class, the training images that `choose` returns.

    A file may be repeated.
    """
    for name in class_folders(root / "train"):
        (target / "train" / name).mkdir(parents=True)
        for number, path in enumerate(choose(image_files(root / "train" / name))):
            (target / "train" / name / f"{number:06}_{path.name}").symlink_to(path.resolve())
    (target / "valid").symlink_to((root / "valid").resolve())
    return target
