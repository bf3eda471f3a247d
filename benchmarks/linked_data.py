"""Data folders of other sizes, made of links: what scaling and backbone_transfer measure on."""

from collections.abc import Callable
from pathlib import Path

from helpers.data import class_folders
from helpers.images import image_files


def link_data(root: Path, target: Path, choose: Callable[[list[Path]], list[Path]]) -> Path:
    """A data folder with the same valid/, and of the training images of each class those that `choose` returns (a file may
    come more than once).
    """
    for name in class_folders(root / "train"):
        (target / "train" / name).mkdir(parents=True)
        for number, path in enumerate(choose(image_files(root / "train" / name))):
            (target / "train" / name / f"{number:06}_{path.name}").symlink_to(path.resolve())
    (target / "valid").symlink_to((root / "valid").resolve())
    return target
