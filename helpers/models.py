"""Build, freeze and take apart the networks."""

import copy
import os
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from helpers.data import PROJECT
from helpers.images import UserError

WEIGHTS_FILE = PROJECT / "helpers" / "weights" / "flora_resnet18.safetensors"

MODELS = {
    name: getattr(models, name)
    for name in ("resnet18", "resnet34", "resnet50", "alexnet", "vgg11_bn", "squeezenet1_1", "densenet121",
                 "mobilenet_v3_small", "mobilenet_v3_large")
}  # fmt: skip
MODELS["inception_v3"] = partial(models.inception_v3, init_weights=False)  # torchvision calls its own start slow
# Where torchvision keeps the layer that gives one score per class, by the network's Python class.
HEADS = {
    "ResNet": "fc",
    "AlexNet": "classifier.6",
    "VGG": "classifier.6",
    "SqueezeNet": "classifier.1",
    "DenseNet": "classifier",
    "Inception3": "fc",
    "MobileNetV3": "classifier.3",
}


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
    load_backbone(model, weights or default_weights(), model_name)
    set_parameter_requires_grad(model, feature_extract)
    for path in head_paths(model):
        model.set_submodule(path, _new_head(model.get_submodule(path), num_classes))  # new layers require gradients
    return model


def head_paths(model: nn.Module) -> list[str]:
    """Where the head sits: ["fc"], for example. Inception v3 has a second, auxiliary head that is used in training only."""
    main = HEADS.get(type(model).__name__, "fc")
    return [main, "AuxLogits.fc"] if getattr(model, "AuxLogits", None) is not None else [main]


def _new_head(old: nn.Module, num_classes: int) -> nn.Module:
    if isinstance(old, nn.Conv2d):  # SqueezeNet scores every position, then takes the mean
        return nn.Conv2d(old.in_channels, num_classes, kernel_size=1)
    return nn.Linear(old.in_features, num_classes)


def set_parameter_requires_grad(model: nn.Module, feature_extracting: bool) -> None:
    """Freeze all parameters (feature_extracting) or let all of them learn."""
    for parameter in model.parameters():
        parameter.requires_grad = not feature_extracting


def load_backbone(model: nn.Module, weights: str, model_name: str = "resnet18") -> None:
    """Fill everything but the head from flora (a ResNet18), imagenet (torchvision's file for `model_name`), none (leave it
    random) or a file. Raises UserError if the weights cannot be had or are another model's.
    """
    if weights == "none":
        return
    if weights == "imagenet":
        state = _imagenet_state(model_name)
        if hasattr(model, "transform_input"):
            model.transform_input = True  # Inception's weights expect values from -1 to 1: it converts them itself
    else:
        state = _read_state(WEIGHTS_FILE if weights == "flora" else Path(weights).expanduser())
    heads = tuple(f"{path}." for path in head_paths(model))
    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if not name.startswith(heads)
    }
    expected = {name: value.shape for name, value in model.state_dict().items() if not name.startswith(heads)}
    if {name: value.shape for name, value in state.items()} != expected:
        raise UserError(
            f"The weights {weights!r} do not fit a {type(model).__name__} of this size, they are another model's: "
            "use weights of this model, imagenet or none."
        )
    model.load_state_dict(state, strict=False)


def _imagenet_state(model_name: str) -> dict[str, Tensor]:
    source = models.get_model_weights(model_name).IMAGENET1K_V1
    try:
        return models.get_model(model_name, weights=source).state_dict()  # renames the keys of old files
    except (URLError, OSError, HTTPException, RuntimeError) as error:  # RuntimeError: the checksum is wrong
        place = Path(torch.hub.get_dir()) / "checkpoints"
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"The ImageNet weights could not be downloaded ({reason}): connect to a network once, copy "
            f"{source.url} into {place} by other means, or use FLOWER_WEIGHTS=flora."
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
    """A network as (backbone, head) that share its parameters; the backbone gives the (batch, features) that the head takes."""
    path = head_paths(model)[0]
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    backbone = copy.deepcopy(model, memo=shared)  # new modules around the same tensors
    backbone.set_submodule(path, nn.Identity())
    return backbone, model.get_submodule(path)


class SmallMapConv2d(nn.Conv2d):
    """A convolution that, on the CPU, makes maps of few places by one matrix product (Chellapilla et al. 2006).

    There torch's own way spends more time on arranging the many weights than on the sums (benchmarks/small_maps.py).
    """

    def forward(self, maps: Tensor) -> Tensor:
        reach = zip(maps.shape[2:], self.padding, self.kernel_size, self.stride, strict=True)
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size, padding, kernel, stride in reach)
        if maps.device.type != "cpu" or height * width > 9:
            return super().forward(maps)
        patches = F.unfold(maps, self.kernel_size, padding=self.padding, stride=self.stride)  # (n, in * kernel, places)
        rows = patches.transpose(1, 2).flatten(0, 1)  # a plain matrix: with three dimensions, linear can be slow
        sums = F.linear(rows, self.weight.flatten(1), self.bias)  # (n * places, out)
        return sums.view(len(maps), height, width, -1).permute(0, 3, 1, 2)


def speed_up_small_maps(model: nn.Module) -> nn.Module:
    """Turn every plain 3x3 convolution of the model into one that is faster on small maps, with the same weights."""
    for module in model.modules():
        plain = type(module) is nn.Conv2d and module.groups == 1 and module.dilation == (1, 1)
        if plain and module.kernel_size == (3, 3) and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            module.__class__ = SmallMapConv2d
    return model


def parameter_groups(model: nn.Module, head_rate: float, body_rate: float, weight_decay: float = 0.0) -> list[dict]:
    """Optimizer groups: the head at one learning rate, the body at another; vectors (biases, norms) are not decayed."""
    head = {id(p) for path in head_paths(model) for p in model.get_submodule(path).parameters()}
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


def layer_table(model: nn.Module, images: Tensor) -> list[tuple]:
    """For every convolution and linear layer that `images` pass: kind, output shape of one image, parameters, multiply-adds."""
    rows = []

    def note(layer, inputs, output):
        adds = output[0].numel() * layer.weight[0].numel()  # each output is a sum of as many products
        rows.append((type(layer).__name__, tuple(output.shape[1:]), sum(p.numel() for p in layer.parameters()), adds))

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return rows
