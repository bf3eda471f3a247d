"""Build networks, load weights into them, freeze them, and split them into backbone and head.

To add a backbone, add its constructor to MODELS, and its class name with the path of its last layer to HEADS.
"""

import copy
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision import models

from helpers.base import PROJECT, UserError
from helpers.checkpoints import load_checkpoint
from helpers.recipe import default_weights

BUNDLED = ("resnet18", "mobilenet_v3_small")  # architectures whose weights, flora, come with the course

MODELS = {
    name: getattr(models, name)
    for name in ("resnet18", "resnet34", "resnet50", "alexnet", "vgg11_bn", "squeezenet1_1", "densenet121",
                 "mobilenet_v3_small", "mobilenet_v3_large")
}  # fmt: skip
MODELS["inception_v3"] = partial(models.inception_v3, init_weights=False)  # torchvision's initialization is slow
# Class name of the network -> path of its head: the last layer, which outputs the logits.
HEADS = {
    "ResNet": "fc",
    "AlexNet": "classifier.6",
    "VGG": "classifier.6",
    "SqueezeNet": "classifier.1",
    "DenseNet": "classifier",
    "Inception3": "fc",
    "MobileNetV3": "classifier.3",
}


def initialize_model(model_name: str, num_classes: int, feature_extract: bool, weights: str | None = None) -> nn.Module:
    """A network with a new head for `num_classes` classes.

    model_name: a key of MODELS. feature_extract: freeze everything but the head. weights: flora, imagenet, none or a path
    (default: FLOWER_WEIGHTS or flora). Raises UserError for an unknown name or unavailable or unsuitable weights.
    """
    if model_name not in MODELS:
        raise UserError(f"There is no model {model_name!r}: choose one of {', '.join(MODELS)}.")
    model = MODELS[model_name](weights=None)
    load_backbone(model, weights or default_weights(), model_name)
    set_parameter_requires_grad(model, feature_extract)
    for path in head_paths(model):
        model.set_submodule(path, _new_head(model.get_submodule(path), num_classes))  # new layers require gradients
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # in torchvision's MobileNetV3 it is 0.01: fine-tuning ends before the statistics follow
    return model


def head_paths(model: nn.Module) -> list[str]:
    """The path of the head, such as ["fc"]; Inception v3 has a second, auxiliary head that is used in training only."""
    main = HEADS.get(type(model).__name__, "fc")
    return [main, "AuxLogits.fc"] if getattr(model, "AuxLogits", None) is not None else [main]


def _new_head(old: nn.Module, num_classes: int) -> nn.Module:
    if isinstance(old, nn.Conv2d):  # SqueezeNet scores every position, then averages
        return nn.Conv2d(old.in_channels, num_classes, kernel_size=1)
    return nn.Linear(old.in_features, num_classes)  # type: ignore[arg-type]


def set_parameter_requires_grad(model: nn.Module, feature_extracting: bool) -> None:
    """Freeze all parameters (feature_extracting) or make all of them trainable."""
    for parameter in model.parameters():
        parameter.requires_grad = not feature_extracting


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep the running statistics, scales and shifts of pretrained batch norms: `train_mode` leaves frozen ones in eval mode.

    In short fine-tuning on small batches, statistics that follow the batches cost more than they gain.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            set_parameter_requires_grad(module, feature_extracting=True)


def load_backbone(model: nn.Module, weights: str, model_name: str = "resnet18") -> None:
    """Load everything but the head.

    weights: flora (the bundled file for `model_name`), imagenet (torchvision's file for it), none (leave the random weights)
    or a path. Raises UserError if the weights are unavailable or belong to another network.
    """
    if weights == "none":
        return
    if weights == "imagenet":
        state = _imagenet_state(model_name)
        if hasattr(model, "transform_input"):
            model.transform_input = True  # type: ignore[assignment]  # Inception's weights expect inputs from -1 to 1
    else:
        state = _read_state(_flora_of(model_name) if weights == "flora" else Path(weights).expanduser())
    heads = tuple(f"{path}." for path in head_paths(model))
    state = {name: value for name, value in state.items() if not name.startswith(heads)}
    expected = {name: value.shape for name, value in model.state_dict().items() if not name.startswith(heads)}
    if {name: value.shape for name, value in state.items()} != expected:
        raise UserError(
            f"The weights {weights!r} do not match the layers of this {type(model).__name__}: "
            "use weights of the same architecture, imagenet or none."
        )
    model.load_state_dict(state, strict=False)  # converts half precision to the model's float32


def weights_file(model_name: str) -> Path:
    """Where the bundled weights of an architecture are."""
    return PROJECT / "helpers" / "weights" / f"flora_{model_name}.safetensors"


def _flora_of(model_name: str) -> Path:
    if model_name not in BUNDLED:
        raise UserError(
            f"There are no bundled weights for {model_name}, only for {' and '.join(BUNDLED)}: "
            "choose one of these, or set FLOWER_WEIGHTS to imagenet, none or a file."
        )
    return weights_file(model_name)


def _imagenet_state(model_name: str) -> dict[str, Tensor]:
    source = models.get_model_weights(model_name).IMAGENET1K_V1  # type: ignore[attr-defined]
    try:
        return models.get_model(model_name, weights=source).state_dict()  # renames the keys of old files
    except (URLError, OSError, HTTPException, RuntimeError) as error:  # RuntimeError: the checksum is wrong
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"The ImageNet weights could not be downloaded ({reason}): connect to the internet once, copy "
            f"{source.url} into {folder}, or use FLOWER_WEIGHTS=flora."
        ) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, or those of the model in a checkpoint."""
    if not path.is_file():
        raise UserError(f"There is no weights file {path}: set FLOWER_WEIGHTS to flora, imagenet, none or an existing file.")
    content = load_checkpoint(path)
    state = content.get("model", content)
    if isinstance(state, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        return state
    raise UserError(f"{path} is not a state_dict: use a .safetensors file or a state_dict saved by torch.save.")


def train_mode(model: nn.Module) -> nn.Module:
    """model.train(), except that batch norms with frozen parameters keep their running statistics (eval mode)."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine and not module.weight.requires_grad:
            module.eval()
    return model


def split_head(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The network as (backbone, head), with shared parameters; the backbone outputs the head's input (batch, features)."""
    path = head_paths(model)[0]
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    backbone = copy.deepcopy(model, memo=shared)  # new modules with the same tensors
    backbone.set_submodule(path, nn.Identity())
    return backbone, model.get_submodule(path)


def parameter_groups(model: nn.Module, head_lr: float, backbone_lr: float, weight_decay: float = 0.0) -> list[dict]:
    """Trainable parameters as optimizer groups: the head and the backbone, each with its learning rate; vectors (biases and
    the parameters of norms) without weight decay.
    """
    head = {id(p) for path in head_paths(model) for p in model.get_submodule(path).parameters()}
    groups = []
    for in_head, lr in ((True, head_lr), (False, backbone_lr)):
        for is_matrix, decay in ((True, weight_decay), (False, 0.0)):
            trainable = [p for p in model.parameters() if p.requires_grad and (id(p) in head) == in_head]
            params = [p for p in trainable if (p.ndim > 1) == is_matrix]
            if params:
                groups.append({"params": params, "lr": lr, "weight_decay": decay})
    return groups


def count_parameters(model: nn.Module, only_learning: bool = False) -> int:
    """The number of parameters, or only of the trainable ones."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not only_learning)


def layer_table(model: nn.Module, images: Tensor) -> list[tuple]:
    """For every convolution and linear layer that `images` pass: type, output shape of one image, parameters, multiply-adds."""
    rows = []

    def note(layer, inputs, output):
        adds = output[0].numel() * layer.weight[0].numel()  # each output value is a sum of that many products
        rows.append((type(layer).__name__, tuple(output.shape[1:]), sum(p.numel() for p in layer.parameters()), adds))

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return rows
