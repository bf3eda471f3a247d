"""Name flowers with an exported file alone: python -m helpers.onnx_model flowers.onnx photo.jpg ...

Needs onnxruntime, NumPy and Pillow, not PyTorch.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from PIL import Image

from helpers.images import UserError, load_image, middle_square


class OnnxModel(NamedTuple):
    """An exported model. classes: folder names in the order of the outputs; names: folder name -> flower name."""

    session: onnxruntime.InferenceSession
    classes: list[str]
    names: dict[str, str]
    image_size: int


def load_onnx(path: Path) -> OnnxModel:
    """Read a file written by `helpers.export`. Raises UserError if it is missing, damaged or another model's."""
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}: write it with python -m helpers.export, or check the path.")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        facts = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
        return OnnxModel(session, facts["classes"], facts["names"], facts["image_size"])
    except Exception as error:  # a damaged file can make its reader raise anything
        raise UserError(f"{path} is not a model exported by this course, or is damaged: export it again.") from error


def probabilities(model: OnnxModel, images: Sequence[Image.Image]) -> np.ndarray:
    """Pictures of any size -> float32 (n, classes), each row sums to 1."""
    squares = [np.asarray(middle_square(image, model.image_size)).transpose(2, 0, 1) for image in images]
    return model.session.run(None, {"pixels": np.stack(squares)})[0]


def best(model: OnnxModel, image: Image.Image, top: int = 5) -> list[tuple[str, float]]:
    """The `top` most probable flowers' names with their probabilities, best first."""
    values = probabilities(model, [image])[0]
    order = np.argsort(-values)[:top]
    return [(model.names[model.classes[i]], float(values[i])) for i in order]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 2 if something could not be read."""
    parser = argparse.ArgumentParser(prog="python -m helpers.onnx_model", description="Name flowers without PyTorch.")
    parser.add_argument("model", type=Path, help="a file written by helpers.export")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    options = parser.parse_args(arguments)
    status = 0
    try:
        model = load_onnx(options.model)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in options.images:
        try:
            guesses = best(model, load_image(path, least=2 * model.image_size))
            print(path, *(f"  {probability:6.1%}  {name}" for name, probability in guesses), sep="\n")
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
