"""Write the hashes of the bundled images and weights: python -m tools.hash_bundled

`helpers.doctor` compares them; so does `sha256sum --check SHA256SUMS`.
"""

import hashlib
from pathlib import Path

from helpers.base import PROJECT, write_atomically
from tools.doctor import HASHES


def hash_table(project: Path = PROJECT) -> str:
    """One line per image and weights file, as sha256sum writes it: digest, two spaces, path relative to the project.

    Text files are not included: their line ends depend on the system.
    """
    images = [path for kind in ("*.jpg", "*.png") for path in (project / "flower_data").rglob(kind)]
    files = sorted([*images, *(project / "helpers" / "weights").glob("*.safetensors")])
    digests = {path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return "".join(f"{digest}  {path}\n" for path, digest in digests.items())


if __name__ == "__main__":
    write_atomically(PROJECT / HASHES, lambda temporary: temporary.write_text(hash_table(), encoding="utf-8", newline="\n"))
