"""Functions that only one notebook defines: checked here beyond what the notebook itself shows."""

import ast
import gzip
import itertools
import struct

import nbformat
import numpy as np
import pytest
import torch
from conftest import Hostile
from torch import nn

from helpers.base import PROJECT


def definitions_of(stem: str) -> dict:
    """The imports, functions and classes of a notebook, run in a namespace of their own; nothing else is run."""
    path = next((PROJECT / "notebooks").glob(f"{stem}_*.ipynb"))
    nodes = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
            nodes += [node for node in ast.parse(cell.source).body if isinstance(node, kept)]
    namespace = {}
    exec(compile(ast.Module(nodes, []), path.name, "exec"), namespace)
    return namespace


evaluation, recipes, by_hand, backbones, shipping = (
    pytest.fixture(scope="module")(lambda s=s: definitions_of(s)) for s in ("05", "06", "07", "08", "10")
)


# ---- 5. evaluation -------------------------------------------------------------------------------------------------


def test_the_guard_notices_a_second_use(evaluation, capsys):
    locked = evaluation["TestSet"]("images")
    assert locked.open() == "images"
    assert capsys.readouterr().out == ""
    locked.open()
    assert "2 times" in capsys.readouterr().out


@pytest.mark.parametrize(("right", "n"), [(80, 100), (450, 500), (3, 10)])
def test_the_bootstrap_agrees_with_the_formula(evaluation, right, n):
    low, high = evaluation["bootstrap_interval"](np.arange(n) < right)
    half = 1.96 * np.sqrt(right / n * (1 - right / n) / n)
    assert abs(low - (right / n - half)) < 0.5 * half
    assert abs(high - (right / n + half)) < 0.5 * half
    assert low < right / n < high


def test_nothing_wrong_leaves_no_interval(evaluation):
    assert list(evaluation["bootstrap_interval"](np.ones(20, bool))) == [1, 1]


def test_calibration_measures_the_distance_between_confidence_and_accuracy(evaluation):
    chance = torch.tensor([0.7, 0.3]).log()
    scores, labels = chance.expand(100, 2), (torch.arange(100) >= 70).long()
    rows, error = evaluation["calibration"](scores, labels)  # sure to 70 %, right in 70 %
    assert error < 1e-6
    assert len(rows) == 1
    assert evaluation["calibration"](scores, torch.zeros(100, dtype=torch.long))[1] == pytest.approx(0.3, abs=1e-6)


def test_full_confidence_falls_into_the_last_bin(evaluation):
    scores = torch.tensor([[1000.0, 0.0]] * 4)
    rows, error = evaluation["calibration"](scores, torch.tensor([0, 0, 0, 1]))
    assert rows[0, 0] == 1
    assert error == pytest.approx(0.25)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(evaluation, temperature):
    honest = 2 * torch.randn(20_000, 5)
    labels = torch.distributions.Categorical(logits=honest).sample()
    assert evaluation["best_temperature"](honest * temperature, labels) == pytest.approx(temperature, rel=0.06)


def test_grad_cam_shows_the_place_that_the_score_depends_on(evaluation):
    class Corner(nn.Module):
        """Scores what its only layer sees in the upper left quarter."""

        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 2, 1)

        def forward(self, x):
            maps = self.layer(x)
            return maps[:, :, :4, :4].sum((2, 3))

    torch.manual_seed(0)
    model = Corner()
    nn.init.ones_(model.layer.weight)
    images = torch.zeros(2, 3, 8, 8)
    images[0, :, 1, 2], images[1, :, 6, 6] = 5.0, 5.0
    heat = evaluation["grad_cam"](model, model.layer, images, torch.tensor([0, 1]))
    assert heat.shape == (2, 8, 8)
    assert divmod(heat[0].argmax().item(), 8) == (1, 2)
    assert not model.layer._forward_hooks and not model.layer._backward_hooks
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_pointing_and_energy_on_known_masks(evaluation):
    heat, masks = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[:, :2] = True
    heat[0, 0, 0], heat[0, 3, 3] = 3.0, 1.0  # peak inside, three quarters inside
    heat[1, 3, 3] = 1.0  # all outside
    hits, inside = evaluation["point_and_energy"](heat, masks)
    assert hits == 0.5
    assert inside == pytest.approx(0.375)


def test_the_masks_are_those_of_the_bundled_pictures(evaluation):
    files = sorted((PROJECT / "flower_data" / "valid" / "54").glob("*.jpg"))[:3]  # sunflowers
    masks = evaluation["flower_masks"](files)
    assert masks.shape == (3, 64, 64)
    assert masks.dtype == torch.bool
    assert 0.05 < masks.float().mean() < 0.95


# ---- 6. recipes ----------------------------------------------------------------------------------------------------


def test_the_losses_by_hand_are_the_librarys(recipes):
    library = nn.functional.cross_entropy
    for classes in (2, 7, 102):
        scores, labels = 5 * torch.randn(50, classes, dtype=torch.float64), torch.randint(0, classes, (50,))
        weights = torch.rand(classes, dtype=torch.float64) + 0.1
        pairs = {
            "plain": (recipes["cross_entropy"](scores, labels), library(scores, labels)),
            "smoothed": (recipes["smoothed"](scores, labels, 0.2), library(scores, labels, label_smoothing=0.2)),
            "weighted": (recipes["weighted"](scores, labels, weights), library(scores, labels, weight=weights)),
        }
        for name, (ours, theirs) in pairs.items():
            assert ours.item() == pytest.approx(theirs.item(), rel=1e-13, abs=0), f"{name}, {classes} classes"


def test_accumulated_gradients_are_those_of_the_whole_batch(recipes):
    model = nn.Linear(5, 3).double()
    x, y = torch.randn(64, 5, dtype=torch.float64), torch.randint(0, 3, (64,))
    whole = recipes["gradient_of"](model, x, y, 1)
    for parts in (2, 3, 64):
        ours = recipes["gradient_of"](model, x, y, parts)
        assert torch.allclose(ours, whole, rtol=1e-12, atol=1e-15), f"{parts} parts"


# ---- 7. by hand ----------------------------------------------------------------------------------------------------


def test_the_hand_written_network_has_the_stated_size(by_hand):
    network = by_hand["resnet_by_hand"]()
    assert len(network) == 6
    assert sum(p.numel() for p in network.parameters()) == 11_180_170
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("size", [64, 97])
def test_its_weights_make_torchvisions_network_give_the_same_outputs(by_hand, size):
    ours, theirs = by_hand["resnet_by_hand"](3, 7), by_hand["resnet18"](num_classes=7)
    for norm in [m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)]:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    by_hand["copy_weights"](theirs, ours)
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        expected = ours.eval()(images)
        torch.testing.assert_close(theirs.eval()(images), expected, rtol=1e-4, atol=1e-3)
        back = by_hand["resnet_by_hand"](3, 7)
        by_hand["copy_back"](back, theirs)
        torch.testing.assert_close(back.eval()(images), expected, rtol=1e-4, atol=1e-3)


def test_the_size_formula_is_that_of_the_library(by_hand):
    for n, kernel, before, after, stride in itertools.product((8, 9, 64), (1, 3, 7), (0, 1, 3), (0, 1, 3), (1, 2, 3)):
        padded = nn.functional.pad(torch.zeros(1, 1, n, n), (before, after, before, after))
        size = nn.Conv2d(1, 1, kernel, stride)(padded).shape[-1]
        case = f"size {n}, kernel {kernel}, padding {before} and {after}, stride {stride}"
        assert by_hand["output_size"](n, kernel, before, after, stride) == size, case


# ---- 8. other backbones --------------------------------------------------------------------------------------------


def test_idx_files_come_back_as_they_were(backbones, tmp_path):
    for array in (np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.arange(10, dtype=np.uint8)):
        backbones["write_idx"](tmp_path / "a.gz", array)
        assert np.array_equal(backbones["read_idx"](tmp_path / "a.gz"), array)


def test_the_header_is_mnists(backbones, tmp_path):
    backbones["write_idx"](tmp_path / "images.gz", np.zeros((5, 28, 28), np.uint8))
    backbones["write_idx"](tmp_path / "labels.gz", np.zeros(5, np.uint8))
    images, labels = (gzip.decompress((tmp_path / name).read_bytes()) for name in ("images.gz", "labels.gz"))
    assert struct.unpack(">IIII", images[:16]) == (2051, 5, 28, 28)  # the magic numbers in MNIST's description
    assert struct.unpack(">II", labels[:8]) == (2049, 5)


def test_a_damaged_idx_file_is_named(backbones, tmp_path):
    whole = tmp_path / "a.gz"
    backbones["write_idx"](whole, np.zeros((5, 4, 4), np.uint8))
    data = gzip.decompress(whole.read_bytes())
    damaged = {
        "short": data[:-1],
        "long": data + b"x",
        "not idx": b"\1" + data[1:],
        "floats": data[:2] + b"\x0d" + data[3:],
    }
    for damage, content in damaged.items():
        path = tmp_path / f"{damage}.gz"
        path.write_bytes(gzip.compress(content))
        with pytest.raises(ValueError, match=rf"{damage}\.gz"):
            backbones["read_idx"](path)


def write_digits(backbones, folder, images=12, labels=12):
    for part in ("train", "t10k"):
        backbones["write_idx"](
            folder / f"{part}-images-idx3-ubyte.gz", np.random.default_rng(0).integers(0, 255, (images, 8, 8))
        )
        backbones["write_idx"](folder / f"{part}-labels-idx1-ubyte.gz", np.arange(labels) % 2)


def test_digits_become_class_folders(backbones, tmp_path):
    write_digits(backbones, tmp_path)
    backbones["to_folders"](tmp_path, tmp_path / "digits")
    counts = {split: len(list((tmp_path / "digits" / split).rglob("*.png"))) for split in ("train", "valid", "test")}
    assert counts == {"train": 10, "valid": 2, "test": 12}
    assert {path.name for path in (tmp_path / "digits" / "train").iterdir()} == {"0", "1"}


def test_labels_of_another_set_of_digits_are_refused(backbones, tmp_path):
    write_digits(backbones, tmp_path, labels=11)
    with pytest.raises(ValueError, match="do not belong together"):
        backbones["to_folders"](tmp_path, tmp_path / "digits")


def test_the_archive_is_written_or_given(backbones, tmp_path):
    own, given = tmp_path / "own", tmp_path / "given"
    archive = backbones["archive_of"]({"source": "digits", "folder": own})
    assert archive == own
    counts = [len(backbones["read_idx"](own / f"{part}-labels-idx1-ubyte.gz")) for part in ("train", "t10k")]
    assert counts == [900, 897]
    assert backbones["archive_of"]({"source": str(given), "folder": own}) == given


def test_the_distillation_loss_is_least_where_the_student_gives_the_teachers_answers(backbones):
    loss = backbones["distillation_loss"]
    teacher = torch.randn(6, 4, dtype=torch.float64)
    student = teacher.clone().requires_grad_()
    value = loss(student, teacher, 3.0)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert student.grad.abs().max() < 1e-12
    other = torch.randn(6, 4, dtype=torch.float64)
    p, q = (teacher / 3).softmax(1), (other / 3).softmax(1)
    assert loss(other, teacher, 3.0).item() == pytest.approx(9 * (p * (p / q).log()).sum(1).mean().item())


def test_distillation_sends_gradients_of_one_size_at_every_temperature(backbones):
    student, teacher = torch.randn(2, 50, 4, dtype=torch.float64)
    sizes = []
    for temperature in (10.0, 100.0):
        leaf = student.clone().requires_grad_()
        backbones["distillation_loss"](leaf, teacher, temperature).backward()
        sizes.append(leaf.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_loading_knowingly_reports_what_is_missing_and_skipped(backbones):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    foreign = {f"module.{name}": value + 1 for name, value in model.state_dict().items()}
    foreign["module.1.weight"] = torch.zeros(9, 3)
    foreign["module.extra"] = torch.zeros(1)
    expected = foreign["module.0.weight"].clone()
    assert backbones["load_knowingly"](model, foreign) == (["1.weight"], ["1.weight", "extra"])
    assert torch.equal(model[0].weight, expected)


def test_our_alexnet_has_torchvisions_names_and_shapes(backbones):
    with torch.device("meta"):  # shapes without numbers
        networks = backbones["AlexNet"](7), backbones["models"].alexnet(num_classes=7)
    ours, theirs = ({name: value.shape for name, value in network.state_dict().items()} for network in networks)
    assert ours == theirs


# ---- 10. shipping --------------------------------------------------------------------------------------------------


def test_what_a_file_asks_for_is_listed_without_running_it(shipping, tmp_path):
    harmless, hostile, whole = (tmp_path / f"{name}.pt" for name in ("harmless", "hostile", "whole"))
    torch.save({"weight": torch.zeros(3)}, harmless)
    torch.save({"weight": Hostile(tmp_path / "was here")}, hostile)
    torch.save(nn.Linear(2, 2), whole)
    asked_for = shipping["asked_for"]
    assert all(module.startswith(("torch", "collections")) for module in asked_for(harmless))
    assert {module.split(".")[0] for module in asked_for(hostile)} & {"io", "_io", "builtins", "__builtin__"}
    assert "torch.nn.modules.linear" in asked_for(whole)
    assert not (tmp_path / "was here").exists()


def test_the_calibration_reader_hands_out_every_image_once(shipping):
    pixels = torch.arange(70 * 3, dtype=torch.uint8).reshape(70, 3, 1, 1)
    reader = shipping["ImageReader"](pixels)
    batches = [reader.get_next()["pixels"] for _ in range(3)]
    assert [len(batch) for batch in batches] == [32, 32, 6]
    assert np.array_equal(np.concatenate(batches), pixels.numpy())
    assert reader.get_next() is None
