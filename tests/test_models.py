"""Building, freezing and splitting networks, and loading their weights."""

import copy
import hashlib
import io
import itertools
import re
from email.message import Message
from urllib.error import URLError
from urllib.response import addinfourl

import pytest
import torch
from conftest import Hostile, is_one_sentence
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.models import densenet121, inception_v3, resnet18, resnet34

from helpers.base import UserError
from helpers.models import (
    BUNDLED,
    MODELS,
    count_parameters,
    freeze_batch_norm,
    head_paths,
    initialize_model,
    layer_table,
    load_backbone,
    parameter_groups,
    set_parameter_requires_grad,
    split_head,
    train_mode,
    weights_file,
)
from helpers.recipe import default_weights
from helpers.speed import Im2colConv2d, use_im2col

NETWORKS = [name for name in MODELS if name != "tiny"]


def fingerprint(tensors) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def images(n: int = 4, size: int = 32) -> torch.Tensor:
    return torch.randn(n, 3, size, size)


def structure(name: str, classes: int, feature_extract: bool) -> nn.Module:
    """A network without memory for its parameters."""
    with torch.device("meta"):
        return initialize_model(name, classes, feature_extract, weights="none")


# ---- building ------------------------------------------------------------------------------------------------------


def test_freezing_and_unfreezing_reach_every_parameter():
    model = structure("resnet18", 2, False)
    set_parameter_requires_grad(model, True)
    assert not any(p.requires_grad for p in model.parameters())
    set_parameter_requires_grad(model, False)
    assert all(p.requires_grad for p in model.parameters())


def test_parameters_are_counted():
    for feature_extract, learning in ((True, 52_326), (False, 11_228_838)):
        model = structure("resnet18", 102, feature_extract)
        assert count_parameters(model) == 11_228_838
        assert count_parameters(model, only_learning=True) == learning


def test_an_unknown_model_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"resnet19.*resnet18") as error:
        initialize_model("resnet19", 2, True, weights="none")
    assert is_one_sentence(str(error.value))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_model_has_new_heads_which_alone_learn_when_features_are_extracted(name):
    for classes, feature_extract in ((2, True), (102, True), (5, False)):
        model = structure(name, classes, feature_extract)
        heads = [f"{path}.{kind}" for path in head_paths(model) for kind in ("weight", "bias")]
        parameters = dict(model.named_parameters())
        assert {len(parameters[head]) for head in heads} == {classes}
        assert {each for each, p in parameters.items() if p.requires_grad} == (
            set(heads) if feature_extract else set(parameters)
        )
        rates = {group["lr"] for group in parameter_groups(model, 0.1, 0.01)}
        assert rates == ({0.1} if feature_extract else {0.1, 0.01})


@pytest.mark.parametrize("name", NETWORKS)
def test_every_model_can_be_split_and_takes_a_training_step(name):
    model = initialize_model(name, 5, False, weights="none")
    inputs = images(2, {"inception_v3": 299, "alexnet": 63}.get(name, 32))  # the smallest that the networks take
    if name not in ("squeezenet1_1", "inception_v3"):  # the last layer is not the last operation, or it has two
        backbone, head = split_head(model.eval())
        with torch.no_grad():
            assert torch.allclose(head(backbone(inputs)), model(inputs), atol=1e-5)
    trained = [next(model.parameters()), *(model.get_submodule(path).weight for path in head_paths(model))]
    before = [p.clone() for p in trained]
    outputs = model.train()(inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert [output.shape for output in outputs] == [(2, 5)] * len(head_paths(model))
    sum(cross_entropy(output, torch.tensor([0, 1])) for output in outputs).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not any(torch.equal(new, old) for new, old in zip(trained, before, strict=True))


def test_splitting_leaves_the_model_as_it_was_and_shares_its_tensors():
    model = structure("alexnet", 4, True).train()
    names = [name for name, _ in model.named_modules()]
    backbone, head = split_head(model)
    backbone.eval()
    assert model.training
    assert [name for name, _ in model.named_modules()] == names
    assert model.classifier[6].out_features == 4
    assert {id(p) for part in (backbone, head) for p in part.parameters()} == {id(p) for p in model.parameters()}


def test_the_table_of_layers_counts_what_the_images_pass():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, stride=2), torch.nn.BatchNorm2d(8), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(8, 5),
    )  # fmt: skip
    assert layer_table(model, images(2, 16)) == [
        ("Conv2d", (8, 8, 8), 3 * 8 * 9 + 8, 8 * 8 * 8 * 3 * 9),
        ("Linear", (5,), 8 * 5 + 5, 8 * 5),
    ]
    assert not any(module._forward_hooks for module in model.modules())


# ---- weights -------------------------------------------------------------------------------------------------------


def test_no_weights_means_random_ones():
    torch.manual_seed(0)
    first = initialize_model("resnet18", 2, True, weights="none")
    second = initialize_model("resnet18", 2, True, weights="none")
    assert not torch.equal(first.conv1.weight, second.conv1.weight)


def test_weights_come_from_the_environment_unless_they_are_given(monkeypatch, backbone_file):
    assert default_weights() == "flora"
    monkeypatch.setenv("FLOWER_WEIGHTS", "")
    assert default_weights() == "flora"
    monkeypatch.setenv("FLOWER_WEIGHTS", str(backbone_file))
    assert default_weights() == str(backbone_file)
    stored = load_file(backbone_file)["conv1.weight"].float()
    assert torch.equal(initialize_model("resnet18", 2, True).conv1.weight, stored)
    assert not torch.equal(initialize_model("resnet18", 2, True, weights="none").conv1.weight, stored)


def assert_holds(model, tensors):
    """Everything but the head equals the given tensors, in float32."""
    heads = tuple(f"{path}." for path in head_paths(model))
    state = {name: value for name, value in model.state_dict().items() if not name.startswith(heads)}
    tensors = {name: value for name, value in tensors.items() if not name.startswith(heads)}
    assert state.keys() == tensors.keys()
    for name, value in state.items():
        assert torch.equal(value, tensors[name].to(value.dtype)), name
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_safetensors_file_fills_everything_but_the_head(backbone_file):
    assert_holds(initialize_model("resnet18", 7, True, weights=str(backbone_file)), load_file(backbone_file))


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_backbone_is_loaded(name):
    tensors = load_file(weights_file(name))
    model = initialize_model(name, 102, True, weights="flora")
    assert_holds(model, tensors)
    random = initialize_model(name, 102, True, weights="none")
    filters, means = next(k for k in tensors if k.endswith("weight")), next(k for k in tensors if k.endswith("running_mean"))
    assert not torch.equal(model.get_parameter(filters), random.get_parameter(filters))
    assert (tensors[means] != 0).any()  # statistics of pictures, not of a fresh network
    assert not any(key.startswith(tuple(head_paths(model))) for key in tensors)
    model.eval()
    assert model(images()).isfinite().all()


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state, "epoch": 3}], ids=["bare", "run"])
def test_a_file_of_torch_save_works_without_its_own_head(tmp_path, wrap):
    state = resnet18(num_classes=9).state_dict()
    path = tmp_path / "weights.pth"
    torch.save(wrap(state), path)
    model = initialize_model("resnet18", 7, False, weights=str(path))
    assert_holds(model, state)
    assert model.fc.out_features == 7


def assert_refused(path) -> str:
    model = resnet18()
    before = fingerprint(model.state_dict().values())
    with pytest.raises(UserError) as error:
        load_backbone(model, str(path))
    assert str(path) in str(error.value)
    assert is_one_sentence(str(error.value))
    assert fingerprint(model.state_dict().values()) == before
    return str(error.value)


def _resnet34():
    return resnet34().state_dict()


def _random_names():
    return {"a": torch.zeros(3), "b": torch.zeros(2, 2)}


def _nothing():
    return {}


def _one_shape_differs():
    return resnet18().state_dict() | {"layer4.1.conv2.weight": torch.zeros(512, 512, 1, 1)}


def _one_tensor_missing():
    state = resnet18().state_dict()
    del state["layer1.0.bn1.weight"]
    return state


OTHERS = [_resnet34, _random_names, _nothing, _one_shape_differs, _one_tensor_missing]


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("make", OTHERS, ids=lambda f: f.__name__[1:])
def test_weights_of_another_network_are_refused(tmp_path, make, suffix):
    path = tmp_path / f"other.{suffix}"
    save_file(make(), path) if suffix == "safetensors" else torch.save(make(), path)
    assert "do not match" in assert_refused(path)


@pytest.mark.parametrize(
    "content",
    [[1, 2], 5, {"model": 5}, {"a": "text"}, {1: torch.zeros(2)}, torch.zeros(3)],
    ids=["list", "number", "number as model", "text", "numbers as names", "tensor"],
)
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    path = tmp_path / "strange.pt"
    torch.save(content, path)
    assert_refused(path)


def test_a_damaged_file_is_refused(tmp_path, backbone_file):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(backbone_file.read_bytes()[:1_000_000])
    assert_refused(path)


def test_code_in_a_weights_file_is_not_run(tmp_path):
    torch.save({"a": torch.zeros(2), "b": Hostile(tmp_path / "trace")}, tmp_path / "hostile.pt")
    assert_refused(tmp_path / "hostile.pt")
    assert not (tmp_path / "trace").exists()


def test_a_missing_file_is_named(tmp_path):
    assert "no weights file" in assert_refused(tmp_path / "nowhere.safetensors")


def test_a_tilde_in_the_path_is_the_home_folder(monkeypatch, backbone_file):
    monkeypatch.setenv("HOME", str(backbone_file.parent))
    monkeypatch.setenv("USERPROFILE", str(backbone_file.parent))
    model = initialize_model("resnet18", 2, True, weights=f"~/{backbone_file.name}")
    assert_holds(model, load_file(backbone_file))


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_imagenet_without_a_network_says_what_to_do(monkeypatch, no_cache):
    def no_network(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", no_network)
    with pytest.raises(UserError, match="FLOWER_WEIGHTS=flora") as error:
        initialize_model("resnet18", 2, True, weights="imagenet")
    assert is_one_sentence(str(error.value))


def test_imagenet_from_a_network_that_answers_with_something_else_says_what_to_do(monkeypatch, no_cache):
    """A login page in place of the file: its checksum is wrong."""

    def login_page(*args, **kwargs):
        return addinfourl(io.BytesIO(b"<html>please log in</html>"), Message(), "https://example.org")

    monkeypatch.setattr("torch.hub.urlopen", login_page)
    with pytest.raises(UserError, match="FLOWER_WEIGHTS=flora") as error:
        initialize_model("resnet18", 2, True, weights="imagenet")
    assert is_one_sentence(str(error.value))


def test_imagenet_weights_are_used_when_they_are_available(monkeypatch):
    state = resnet18().state_dict()
    monkeypatch.setattr("torchvision.models.ResNet18_Weights.get_state_dict", lambda *args, **kwargs: state)
    assert_holds(initialize_model("resnet18", 2, True, weights="imagenet"), state)


# ---- splitting -----------------------------------------------------------------------------------------------------


def test_train_mode_keeps_the_statistics_of_frozen_norms():
    model = initialize_model("resnet18", 3, True, weights="none")
    before = fingerprint(model.buffers())
    assert train_mode(model) is model
    model(images())
    assert fingerprint(model.buffers()) == before
    model.train()  # the plain one lets them drift although the parameters are frozen
    model(images())
    assert fingerprint(model.buffers()) != before


def test_train_mode_lets_trainable_norms_update_their_statistics():
    model = initialize_model("resnet18", 3, False, weights="none")
    before = fingerprint(model.buffers())
    train_mode(model)(images())
    assert fingerprint(model.buffers()) != before


def test_train_mode_distinguishes_frozen_from_trainable_norms():
    model = initialize_model("resnet18", 3, True, weights="none").eval()
    set_parameter_requires_grad(model.layer4, False)
    train_mode(model)
    assert model.layer4[0].bn1.training
    assert not model.layer3[0].bn1.training
    assert not model.bn1.training
    assert model.fc.training
    assert model.training


def test_train_mode_accepts_norms_without_parameters():
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(3, affine=False))
    train_mode(model)(images())
    assert model[0].num_batches_tracked == 1


def densenet_file():
    """A DenseNet121 as in torchvision's file: names of its first version, and no counts of batches."""
    state = {name: value for name, value in densenet121().state_dict().items() if "num_batches" not in name}
    return {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))(\d)", r"\1.\2", name): value for name, value in state.items()}


def test_old_names_in_a_file_of_torchvision_are_understood(monkeypatch):
    old = densenet_file()
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    monkeypatch.setattr("torchvision.models.DenseNet121_Weights.get_state_dict", lambda *args, **kwargs: dict(old))
    model = initialize_model("densenet121", 5, True, weights="imagenet")
    stored = old["features.denseblock1.denselayer1.norm.1.weight"]
    assert torch.equal(model.features.denseblock1.denselayer1.norm1.weight, stored)
    assert torch.equal(model.features.conv0.weight, old["features.conv0.weight"])


def test_inception_with_its_imagenet_weights_converts_their_values(monkeypatch):
    state = inception_v3(init_weights=False).state_dict()
    monkeypatch.setattr("torchvision.models.Inception_V3_Weights.get_state_dict", lambda *args, **kwargs: state)
    model = initialize_model("inception_v3", 5, True, weights="imagenet")
    assert model.transform_input
    assert torch.equal(model.Conv2d_1a_3x3.conv.weight, state["Conv2d_1a_3x3.conv.weight"])
    assert not initialize_model("inception_v3", 5, True, weights="none").transform_input


def test_there_are_bundled_weights_for_few_architectures_only():
    with pytest.raises(UserError, match="no bundled weights for resnet34, only for resnet18 and mobilenet_v3_small") as error:
        initialize_model("resnet34", 5, True, weights="flora")
    assert is_one_sentence(str(error.value))


@pytest.mark.parametrize("frozen", [True, False])
def test_parameter_groups_contain_every_trainable_parameter_once(frozen):
    model = structure("resnet18", 5, frozen)
    groups = parameter_groups(model, head_lr=0.1, backbone_lr=0.01, weight_decay=0.5)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    head = {id(p) for p in model.fc.parameters()}
    for group in groups:
        assert group["params"]
        for p in group["params"]:
            assert group["lr"] == (0.1 if id(p) in head else 0.01)
            assert group["weight_decay"] == (0.5 if p.ndim > 1 else 0)


def test_an_optimizer_takes_the_groups():
    model = structure("resnet18", 5, False)
    optimizer = torch.optim.SGD(parameter_groups(model, 0.1, 0.01, 0.5), lr=1)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [0.01, 0.01, 0.1, 0.1]


# ---- small maps ----------------------------------------------------------------------------------------------------


def test_a_small_map_is_convolved_as_by_torch():
    layouts, strides, paddings = (torch.contiguous_format, torch.channels_last), (1, 2, (1, 2)), (0, 1, (1, 0))
    for case in itertools.product((1, 2, 3, 4, 5, 9), strides, paddings, (False, True), layouts):
        size, stride, padding, bias, layout = case
        if padding != 1 and size < 3:
            continue  # the kernel does not fit
        usual = nn.Conv2d(5, 7, 3, stride, padding, bias=bias).to(memory_format=layout)
        fast = use_im2col(copy.deepcopy(usual))
        assert type(fast) is Im2colConv2d
        results = []
        for layer in (usual, fast):
            maps = torch.randn(4, 5, size, size, generator=torch.Generator().manual_seed(1)).requires_grad_()
            output = layer(maps.to(memory_format=layout))
            (output**2).sum().backward()
            results.append([output, maps.grad, *(p.grad for p in layer.parameters())])
        for expected, found in zip(*results, strict=True):
            assert found.shape == expected.shape, case
            assert torch.allclose(found, expected, atol=1e-4), case


def test_small_maps_do_not_pass_torchs_convolution_and_large_ones_do(monkeypatch):
    calls = []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, maps: calls.append(maps.shape[-1]) or maps)
    layer = use_im2col(nn.Conv2d(3, 3, 3, padding=1))
    for size in (2, 3, 4, 5):
        layer(torch.zeros(1, 3, size, size))
    assert calls == [4, 5]


def test_only_plain_convolutions_on_the_cpu_are_changed_and_their_names_stay():
    layers = [
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    ]
    model = nn.Sequential(*layers)
    names = list(model.state_dict())
    assert use_im2col(model) is model
    assert [type(layer) is Im2colConv2d for layer in model] == [True] + 5 * [False]
    assert list(model.state_dict()) == names
    elsewhere = use_im2col(nn.Sequential(nn.Conv2d(4, 4, 3, device="meta")))
    assert type(elsewhere[0]) is nn.Conv2d


def test_the_statistics_of_every_batch_norm_follow_at_a_tenth():
    """torchvision's MobileNetV3 has a hundredth: after 90 steps, its statistics would still hold 40 % of the old values."""
    for name in ("resnet18", "mobilenet_v3_small"):
        model = initialize_model(name, 3, False, weights="none")
        assert {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}, name


def test_frozen_batch_norms_stay_as_they_are_in_training_and_only_they():
    model = initialize_model("resnet18", 3, False, weights="none")
    freeze_batch_norm(model)
    before = {name: value.clone() for name, value in model.bn1.state_dict().items()}
    train_mode(model)(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in model.bn1.state_dict().items())
    frozen = {name for name, p in model.named_parameters() if p.grad is None}
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert frozen == {f"{name}.{kind}" for name in norms for kind in ("weight", "bias")}
