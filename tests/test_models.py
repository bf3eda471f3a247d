"""Building, freezing and taking apart networks."""

import hashlib
import io
import pickle
from email.message import Message
from urllib.error import URLError
from urllib.response import addinfourl

import pytest
import torch
from conftest import Hostile, is_one_sentence
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18, resnet34

from helpers.data import UserError
from helpers.models import (
    WEIGHTS_FILE,
    count_parameters,
    default_weights,
    initialize_model,
    load_backbone,
    parameter_groups,
    set_parameter_requires_grad,
    split_head,
    train_mode,
)


def fingerprint(tensors) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def images(n: int = 4, size: int = 32) -> torch.Tensor:
    return torch.randn(n, 3, size, size)


# ---- building ------------------------------------------------------------------------------------------------------


def test_freezing_and_thawing_reach_every_parameter():
    model = resnet18()
    set_parameter_requires_grad(model, True)
    assert not any(p.requires_grad for p in model.parameters())
    set_parameter_requires_grad(model, False)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("classes", [2, 5, 102])
def test_the_head_has_one_output_per_class(classes):
    model = initialize_model("resnet18", classes, True, weights="none").eval()
    assert model.fc.weight.shape == (classes, 512)
    assert model(images(2)).shape == (2, classes)


def test_only_the_head_learns_when_features_are_extracted():
    model = initialize_model("resnet18", 102, True, weights="none")
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {"fc.weight", "fc.bias"}
    assert count_parameters(model) == 11_228_838
    assert count_parameters(model, only_learning=True) == 52_326


def test_everything_learns_when_nothing_is_frozen():
    model = initialize_model("resnet18", 102, False, weights="none")
    assert count_parameters(model, only_learning=True) == count_parameters(model) == 11_228_838


def test_an_unknown_model_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match=r"resnet19.*resnet18") as error:
        initialize_model("resnet19", 2, True, weights="none")
    assert is_one_sentence(str(error.value))


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
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("fc.")}
    tensors = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    assert state.keys() == tensors.keys()
    for name, value in state.items():
        assert torch.equal(value, tensors[name].to(value.dtype)), name
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_safetensors_file_fills_everything_but_the_head(backbone_file):
    assert_holds(initialize_model("resnet18", 7, True, weights=str(backbone_file)), load_file(backbone_file))


def test_the_bundled_backbone_is_loaded():
    tensors = load_file(WEIGHTS_FILE)
    model = initialize_model("resnet18", 102, True, weights="flora")
    assert_holds(model, tensors)
    random = initialize_model("resnet18", 102, True, weights="none")
    assert not torch.equal(model.conv1.weight, random.conv1.weight)
    assert (tensors["bn1.running_mean"] != 0).any()  # statistics of pictures, not of a fresh network
    assert not any(name.startswith("fc.") for name in tensors)
    model.eval()
    assert model(images()).isfinite().all()


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state, "epoch": 3}], ids=["bare", "run"])
def test_a_file_of_torch_save_works_with_its_own_head_left_out(tmp_path, wrap):
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
    assert "do not fit" in assert_refused(path)


@pytest.mark.parametrize(
    "content",
    [[1, 2], 5, {"model": 5}, {"a": "text"}, {1: torch.zeros(2)}, torch.zeros(3)],
    ids=["list", "number", "number as model", "text", "numbers as names", "tensor"],
)
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    path = tmp_path / "strange.pt"
    torch.save(content, path)
    assert_refused(path)


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _none(data: bytes) -> bytes:
    return b""


def _text(data: bytes) -> bytes:
    return b"hello world, this is no file of weights"


def _short_pickle(data: bytes) -> bytes:
    return b"\x80\x02."


def _noise(data: bytes) -> bytes:
    return bytes(range(256)) * 40


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("spoil", [_cut, _none, _text, _short_pickle, _noise], ids=lambda f: f.__name__[1:])
def test_a_damaged_file_is_refused(tmp_path, backbone_file, suffix, spoil):
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(5)}, stream)
    whole = backbone_file.read_bytes() if suffix == "safetensors" else stream.getvalue()
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(spoil(whole))
    assert_refused(path)


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors"])
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_weights_file_is_not_run(tmp_path, how, suffix):
    path, trace = tmp_path / f"hostile.{suffix}", tmp_path / "trace"
    if how == "torch":
        torch.save({"a": torch.zeros(2), "b": Hostile(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({"a": Hostile(trace)}, protocol=2))
    assert_refused(path)
    assert not trace.exists()
    if how == "pickle":  # the file is as hostile as it should be
        pickle.loads(path.read_bytes())["a"].close()
        assert trace.exists()


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


def test_imagenet_weights_are_used_when_they_can_be_had(monkeypatch):
    state = resnet18().state_dict()
    monkeypatch.setattr("helpers.models.ResNet18_Weights.get_state_dict", lambda *args, **kwargs: state)
    assert_holds(initialize_model("resnet18", 2, True, weights="imagenet"), state)


# ---- taking apart --------------------------------------------------------------------------------------------------


def test_train_mode_keeps_the_statistics_of_frozen_norms():
    model = initialize_model("resnet18", 3, True, weights="none")
    before = fingerprint(model.buffers())
    assert train_mode(model) is model
    model(images())
    assert fingerprint(model.buffers()) == before
    model.train()  # the plain one lets them drift, though nothing "learns"
    model(images())
    assert fingerprint(model.buffers()) != before


def test_train_mode_lets_learning_norms_gather_statistics():
    model = initialize_model("resnet18", 3, False, weights="none")
    before = fingerprint(model.buffers())
    train_mode(model)(images())
    assert fingerprint(model.buffers()) != before


def test_train_mode_tells_frozen_norms_from_learning_ones():
    model = initialize_model("resnet18", 3, True, weights="none").eval()
    set_parameter_requires_grad(model.layer4, False)
    train_mode(model)
    assert model.layer4[0].bn1.training
    assert not model.layer3[0].bn1.training
    assert not model.bn1.training
    assert model.fc.training
    assert model.training


def test_train_mode_takes_norms_without_parameters():
    model = torch.nn.Sequential(torch.nn.BatchNorm2d(3, affine=False))
    train_mode(model)(images())
    assert model[0].num_batches_tracked == 1


def test_head_after_backbone_is_the_whole_model():
    model = initialize_model("resnet18", 5, True, weights="none").eval()
    backbone, head = split_head(model)
    inputs = images(3, 64)
    with torch.no_grad():
        assert backbone(inputs).shape == (3, 512)
        assert torch.equal(head(backbone(inputs)), model(inputs))


def test_the_parts_share_the_models_parameters():
    model = initialize_model("resnet18", 5, True, weights="none")
    backbone, head = split_head(model)
    parts = {id(p) for p in backbone.parameters()} | {id(p) for p in head.parameters()}
    assert parts == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("frozen", [True, False])
def test_parameter_groups_hold_every_learning_parameter_once(frozen):
    model = initialize_model("resnet18", 5, frozen, weights="none")
    groups = parameter_groups(model, head_rate=0.1, body_rate=0.01, weight_decay=0.5)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    head = {id(p) for p in model.fc.parameters()}
    for group in groups:
        assert group["params"]
        for p in group["params"]:
            assert group["lr"] == (0.1 if id(p) in head else 0.01)
            assert group["weight_decay"] == (0.5 if p.ndim > 1 else 0)


def test_an_optimizer_takes_the_groups():
    model = initialize_model("resnet18", 5, False, weights="none")
    optimizer = torch.optim.SGD(parameter_groups(model, 0.1, 0.01, 0.5), lr=1)
    assert sorted(group["lr"] for group in optimizer.param_groups) == [0.01, 0.01, 0.1, 0.1]
