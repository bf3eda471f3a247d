"""Build, freeze and take apart the networks."""

import os
from collections import OrderedDict
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

from helpers.data import PROJECT, UserError

WEIGHTS_FILE = PROJECT / "helpers" / "weights" / "flora_resnet18.safetensors"
MODELS = {"resnet18": resnet18}


def default_weights() -> str:
    """What FLOWER_WEIGHTS says: flora (the bundled backbone), imagenet, none, or a path."""
    return os.environ.get("FLOWER_WEIGHTS") or "flora"


def initialize_model(model_name: str, num_classes: int, feature_extract: bool, weights: str | None = None) -> nn.Module:
    """A network with a new head for `num_classes` classes.

    feature_extract: freeze everything but the head. weights: see `default_weights`. Raises UserError for an unknown name
    or weights that cannot be had.
    """
    if model_name not in MODELS:
        raise UserError(f"There is no model {model_name!r} here: choose one of {', '.join(MODELS)}.")
    model = MODELS[model_name](weights=None)
    load_backbone(model, weights or default_weights())
    set_parameter_requires_grad(model, feature_extract)
    model.fc = nn.Linear(model.fc.in_features, num_classes)  # new layers require gradients
    return model


def set_parameter_requires_grad(model: nn.Module, feature_extracting: bool) -> None:
    """Freeze all parameters (feature_extracting) or let all of them learn."""
    for parameter in model.parameters():
        parameter.requires_grad = not feature_extracting


def load_backbone(model: nn.Module, weights: str) -> None:
    """Fill everything but the head of a ResNet from flora, imagenet, none (leave it random) or a file."""
    if weights == "none":
        return
    if weights == "imagenet":
        state = _imagenet_state()
    else:
        state = _read_state(WEIGHTS_FILE if weights == "flora" else Path(weights).expanduser())
    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if not name.startswith("fc.")
    }
    expected = {name: value.shape for name, value in model.state_dict().items() if not name.startswith("fc.")}
    if {name: value.shape for name, value in state.items()} != expected:
        raise UserError(f"The weights {weights!r} do not fit a {type(model).__name__} of this size: they are another model's.")
    model.load_state_dict(state, strict=False)


def _imagenet_state() -> dict[str, Tensor]:
    try:
        return ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except (URLError, OSError, HTTPException, RuntimeError) as error:  # RuntimeError: the checksum is wrong
        place = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"The ImageNet weights could not be downloaded ({error}): connect to a network once, copy "
            f"{ResNet18_Weights.IMAGENET1K_V1.url} into {place} by other means, or use FLOWER_WEIGHTS=flora."
        ) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file or in a checkpoint; never runs code from the file."""
    if not path.is_file():
        raise UserError(f"There is no weights file {path}: set FLOWER_WEIGHTS to flora, imagenet, none or a file that exists.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, weights_only=True, map_location="cpu")
        state = state.get("model", state)
        if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()):
            return state
    except Exception:  # a damaged file can make its reader raise anything
        pass
    raise UserError(
        f"{path} holds no plain tensors, or is damaged: use a .safetensors file or a state_dict saved by torch.save."
    )


def train_mode(model: nn.Module) -> nn.Module:
    """model.train(), but batch norms with frozen parameters keep their running statistics as they are."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine and not module.weight.requires_grad:
            module.eval()
    return model


def split_head(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A ResNet as (backbone, head) that share its parameters; the backbone gives (batch, features)."""
    layers = OrderedDict((name, module) for name, module in model.named_children() if name != "fc")
    return nn.Sequential(layers | {"flatten": nn.Flatten()}), model.fc


def parameter_groups(model: nn.Module, head_rate: float, body_rate: float, weight_decay: float = 0.0) -> list[dict]:
    """Optimizer groups: the head at one learning rate, the body at another; vectors (biases, norms) are not decayed."""
    head = {id(p) for p in model.fc.parameters()}
    groups = []
    for in_head, rate in ((True, head_rate), (False, body_rate)):
        for is_matrix, decay in ((True, weight_decay), (False, 0.0)):
            chosen = [
                p for p in model.parameters() if p.requires_grad and (id(p) in head) == in_head and (p.ndim > 1) == is_matrix
            ]
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def count_parameters(model: nn.Module, only_learning: bool = False) -> int:
    """Number of weights in the model, or only of those that require gradients."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not only_learning)
