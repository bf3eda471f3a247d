"""Download the real Oxford-102 flowers: python -m tools.get_oxford102 [--out DIR] [--split tutorial|official]

8,189 photographs of 102 kinds of flowers (Nilsback and Zisserman 2008, https://www.robots.ox.ac.uk/~vgg/data/flowers/102/),
downloaded and verified by torchvision's Flowers102 and arranged in train/, valid/ and test/ with one folder per class.
`tutorial` is the split that most tutorials use (6,552 / 818 / 819 photographs), `official` that of the authors
(1,020 / 1,020 / 6,149). Run again after an interruption, it resumes the download; if everything is there, it changes nothing.
"""

import argparse
import csv
import http.client
import os
import shutil
import sys
import tarfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError

from torchvision.datasets import Flowers102
from torchvision.datasets.utils import check_integrity
from tqdm import tqdm

from helpers.base import PROJECT, UserError, run_command

# Columns: image number, class number, split.
TUTORIAL_SPLIT = Path(__file__).with_name("oxford102_split.csv")
AGAIN = "check the network and run the same command again to resume"


def download(url: str, path: Path) -> None:
    """Download to `path`, resuming a partial download. Raises UserError if the file is incomplete."""
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            resumed = response.status == http.client.PARTIAL_CONTENT
            have = have if resumed else 0
            total = have + int(response.headers["Content-Length"])
            with (
                open(part, "ab" if resumed else "wb") as file,
                tqdm(total=total, initial=have, unit="B", unit_scale=True, file=sys.stdout, disable=None) as bar,
            ):
                while block := response.read(1 << 16):
                    file.write(block)
                    bar.update(len(block))
    except HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise UserError(f"{url} answered {error}: {AGAIN}.") from error
        total = have  # nothing is missing
    except (URLError, OSError, http.client.HTTPException) as error:
        raise UserError(f"{url} could not be downloaded ({error}): {AGAIN}.") from error
    if part.stat().st_size < total:
        raise UserError(f"The download of {url} stopped after {part.stat().st_size:,} of {total:,} bytes: {AGAIN}.")
    part.replace(path)


@contextmanager
def safe_archives():
    """Let tarfile reject members outside the folder, on every Python (the default only from 3.14 on)."""
    before = tarfile.TarFile.__dict__.get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        if before is None:
            del tarfile.TarFile.extraction_filter
        else:
            tarfile.TarFile.extraction_filter = before


def fetch(cache: Path) -> dict[str, Flowers102]:
    """The three official splits, downloaded to `cache`, verified by checksum and extracted."""
    folder = cache / "flowers-102"
    folder.mkdir(parents=True, exist_ok=True)
    for name, md5 in Flowers102._file_dict.values():
        if not check_integrity(folder / name, md5):
            download(Flowers102._download_url_prefix + name, folder / name)
            if not check_integrity(folder / name, md5):
                (folder / name).unlink()
                raise UserError(f"{name} had a wrong checksum and was removed: {AGAIN}.")
    try:
        with safe_archives():
            splits = {s: Flowers102(str(cache), s, download=True) for s in ("train", "val", "test")}
            if not all(path.exists() for split in splits.values() for path in split._image_files):
                shutil.rmtree(folder / "jpg")  # an earlier extraction was interrupted
                splits = {s: Flowers102(str(cache), s, download=True) for s in ("train", "val", "test")}
    except tarfile.TarError as error:
        raise UserError(f"The archive in {folder} is not safe to extract ({error}): remove {folder} and report it.") from error
    return splits


def official_rows(splits: dict[str, Flowers102]) -> list[tuple[Path, int, str]]:
    """(photograph, class number from 1, folder) of the authors' split."""
    folders = {"train": "train", "val": "valid", "test": "test"}
    return [
        (path, label + 1, folders[name])
        for name, split in splits.items()
        for path, label in zip(split._image_files, split._labels, strict=True)
    ]


def tutorial_rows(splits: dict[str, Flowers102], table: Path) -> list[tuple[Path, int, str]]:
    """The same photographs split as in `table`. Raises UserError if its labels differ from the authors'."""
    official = {path.name: (path, number) for path, number, _ in official_rows(splits)}
    rows = []
    with open(table, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path, number = official.get(f"image_{int(row['image']):05}.jpg", (None, None))
            if number != int(row["class"]):
                raise UserError(f"{table.name} and the downloaded labels differ at image {row['image']}.")
            rows.append((path, number, row["split"]))
    return rows


def arrange(rows: list[tuple[Path, int, str]], out: Path) -> None:
    """Link (or copy) the photographs into `out`/split/class/; the folder appears only when it is complete."""
    wanted = {Path(split) / str(number) / path.name: path for path, number, split in rows}
    if out.exists():
        found = {path.relative_to(out) for path in out.rglob("*.jpg")}
        if found == set(wanted):
            return
        raise UserError(f"{out} exists and contains other files: remove it, or choose another folder with --out.")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for target, source in wanted.items():
        (part / target).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, part / target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(source, part / target)
    part.replace(out)


def get_oxford102(out: Path, split: str, cache: Path, table: Path) -> None:
    """Download to `cache` and arrange the photographs in `out`. Raises UserError if that fails."""
    try:
        splits = fetch(cache)
        arrange(tutorial_rows(splits, table) if split == "tutorial" else official_rows(splits), out)
    except OSError as error:
        problem = f"{out} could not be written ({error})"
        raise UserError(f"{problem}: free some disk space or choose another folder with --out.") from error
    print(f"The real flowers are in {out}. To use them everywhere, set FLOWER_DATA={out}")


def main(arguments: list[str] | None = None, table: Path = TUTORIAL_SPLIT) -> int:
    """Run the command line; returns the exit status. table: the split of the tutorials."""
    parser = argparse.ArgumentParser(prog="python -m tools.get_oxford102", description="Download the real Oxford-102 flowers.")
    parser.add_argument("--out", type=Path, default=PROJECT / "oxford102", help="default: %(default)s")
    parser.add_argument("--split", choices=("tutorial", "official"), default="tutorial")
    parser.add_argument("--cache", type=Path, help="folder for the archive (345 MB); default: beside --out")
    options = parser.parse_args(arguments)
    out = options.out.resolve()
    cache = options.cache or out.with_name(out.name + "_download")
    return run_command(lambda: get_oxford102(out, options.split, cache, table))


if __name__ == "__main__":
    sys.exit(main())
