"""Predict with an exported model: python -m helpers.onnx_model flowers.onnx photo.jpg ...

Needs onnxruntime, NumPy and Pillow, but not PyTorch.
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

from helpers.base import UserError, run_command
from helpers.images import center_crop_square, load_image


class OnnxModel(NamedTuple):
    """An exported model. classes: folder names in the order of the outputs; names: folder name -> flower name."""

    session: onnxruntime.InferenceSession
    classes: list[str]
    names: dict[str, str]
    image_size: int


def load_onnx(path: Path) -> OnnxModel:
    """Read a file written by `helpers.export`. Raises UserError if it is missing, damaged or of another kind."""
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}: write it with python -m helpers.export, or check the path.")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        metadata = session.get_modelmeta().custom_metadata_map  # other programs may have added their own entries
        classes, names, image_size = (json.loads(metadata[name]) for name in ("classes", "names", "image_size"))
        return OnnxModel(session, classes, names, image_size)
    except Exception as error:  # a damaged file can make its reader raise anything
        raise UserError(f"{path} is damaged or not a model exported by this course: export it again.") from error


def predict_images(model: OnnxModel, images: Sequence[Image.Image]) -> np.ndarray:
    """Class probabilities of RGB images of any size: float32 (n, classes), each row sums to 1."""
    squares = [np.asarray(center_crop_square(image, model.image_size)).transpose(2, 0, 1) for image in images]
    return model.session.run(None, {"pixels": np.stack(squares)})[0]


def predict_top(model: OnnxModel, image: Image.Image, top: int = 5) -> list[tuple[str, float]]:
    """The names of the `top` most probable flowers with their probabilities, best first."""
    values = predict_images(model, [image])[0]
    order = np.argsort(-values)[:top]
    return [(model.names[model.classes[i]], float(values[i])) for i in order]


def predict(options: argparse.Namespace) -> int:
    """Print the predictions; returns 2 if an image is unreadable, which does not stop the others."""
    model, status = load_onnx(options.model), 0
    for path in options.images:
        try:
            guesses = predict_top(model, load_image(path, min_side=2 * model.image_size))
            print(path, *(f"  {probability:6.1%}  {name}" for name, probability in guesses), sep="\n")
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 2
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers.onnx_model", description="Predict flowers without PyTorch.")
    parser.add_argument("model", type=Path, help="a file written by helpers.export")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    options = parser.parse_args(arguments)
    return run_command(lambda: predict(options))


if __name__ == "__main__":
    sys.exit(main())
