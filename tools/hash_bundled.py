"""Write the hashes of the bundled pictures and weights: python -m tools.hash_bundled

`helpers.doctor` compares them; so does `sha256sum --check helpers/bundled.sha256`.
"""

import hashlib
from pathlib import Path

from helpers.data import PROJECT
from helpers.doctor import HASHES
from helpers.training import write_atomically


def bundled_files() -> list[Path]:
    """Every bundled picture and file of weights, sorted. Text files are left out: their line ends depend on the system."""
    return sorted([*(PROJECT / "flower_data").rglob("*.jpg"), *(PROJECT / "helpers" / "weights").glob("*.safetensors")])


def table() -> str:
    """One line per file as sha256sum writes it: digest, two spaces, path seen from the project."""
    files = bundled_files()
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(PROJECT).as_posix()}\n" for path in files]
    return "".join(lines)


if __name__ == "__main__":
    write_atomically(HASHES, lambda temporary: temporary.write_text(table(), encoding="utf-8", newline="\n"))
