"""Export a trained model to ONNX: python -m helpers.export --checkpoint best.pt --out flowers.onnx

The file is self-contained: it includes normalization and softmax, and the classes, names and image size as metadata.
`helpers.onnx_model` and `helpers.serve` use it without PyTorch.
"""

import argparse
import copy
import json
import logging
import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from helpers.base import run_command, write_atomically
from helpers.prediction import Predictor, load_model


class InferenceModel(nn.Module):
    """The full inference pipeline, from pixels to probabilities: normalization, network, softmax."""

    mean: Tensor
    std: Tensor

    def __init__(self, predictor: Predictor, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.network = copy.deepcopy(predictor.model)  # the predictor keeps its own precision
        self.register_buffer("mean", torch.tensor(predictor.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(predictor.std).view(1, 3, 1, 1))
        self.to(dtype).eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (batch, 3, size, size) -> float32 (batch, classes), each row sums to 1."""
        scaled = (pixels.to(self.mean.dtype) / 255 - self.mean) / self.std
        return self.network(scaled).float().softmax(1)


def export_onnx(predictor: Predictor, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a trained model as ONNX with a dynamic batch size. dtype: of the weights; torch.float16 halves the file.

    Input "pixels": uint8 (batch, 3, size, size); output "probabilities": float32 (batch, classes). Raises UserError if the
    file cannot be written.
    """
    size = predictor.image_size
    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # raised within torch's exporter
        program = torch.onnx.export(
            InferenceModel(predictor, dtype), (example,), input_names=["pixels"], output_names=["probabilities"],
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}}, verbose=False,
        )  # fmt: skip
    model = program.model_proto  # type: ignore[union-attr]
    facts = {"classes": predictor.classes, "names": predictor.names, "image_size": size}
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in facts.items()})
    write_atomically(path, lambda temporary: temporary.write_bytes(model.SerializeToString()))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m helpers.export", description="Export a trained model to ONNX.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="best.pt, written by helpers.train")
    parser.add_argument("--out", type=Path, required=True, help="the file to write, for example flowers.onnx")
    parser.add_argument("--half", action="store_true", help="16-bit weights: half the file size")
    options = parser.parse_args(arguments)

    def command() -> None:
        export_onnx(load_model(options.checkpoint), options.out, torch.float16 if options.half else torch.float32)
        print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
