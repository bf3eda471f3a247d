"""Run the notebooks from top to bottom in fresh kernels and store their outputs: python -m tools.run_notebooks [FILE ...]

Cells run in order in a fresh kernel, so execution counts are 1..n. Streams are joined, timing metadata is removed, cell ids
are kept. A notebook that fails is not changed.
"""

import argparse
import base64
import io
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from helpers.base import PROJECT


def shrink_pictures(notebook: nbformat.NotebookNode, min_size: int = 100_000) -> None:
    """Store figures of at least min_size base64 characters as JPEG: images of flowers then take a sixth of the space.

    nbval compares neither format.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png", "")
            if len(png) >= min_size:
                stream, picture = io.BytesIO(), Image.open(io.BytesIO(base64.b64decode(png)))
                if getattr(picture, "is_animated", False):
                    continue
                picture.convert("RGB").save(stream, "JPEG", quality=85)
                del output.data["image/png"]
                output.data["image/jpeg"] = base64.b64encode(stream.getvalue()).decode()


def run_notebook(path: Path) -> list[float]:
    """Execute one notebook and store its outputs in it; returns the seconds of every code cell."""
    notebook = nbformat.read(path, as_version=4)
    seconds, started = [], []
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=lambda **_: started.append(time.perf_counter()),
        on_cell_executed=lambda **_: seconds.append(time.perf_counter() - started[-1]),
    )
    client.execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    shrink_pictures(notebook)
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.run_notebooks", description="Run notebooks and store their outputs.")
    parser.add_argument("notebooks", type=Path, nargs="*", help="default: all, in order")
    for path in parser.parse_args().notebooks or sorted((PROJECT / "notebooks").glob("*.ipynb")):
        seconds = run_notebook(path)
        print(f"{path.name}: {sum(seconds):.0f} s, longest cell {max(seconds):.0f} s", flush=True)


if __name__ == "__main__":
    main()
