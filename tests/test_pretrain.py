"""Pretraining the bundled backbone, on a scale of seconds."""

import argparse

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from helpers.images import UserError
from helpers.models import initialize_model, split_head
from tools import pretrain_backbone
from tools.pretrain_backbone import (
    Cycle,
    build,
    draw_chunk,
    draw_pictures,
    other_cameras,
    pretrain,
    save_backbone,
    train_epoch,
)
from tools.scene import draw
from tools.species import PORTRAITS
from tools.wild_species import invent_species

SPECIES, EACH, MORE, SIZE = 4, 60, 50, 32


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(pretrain_backbone, "CHUNK", 200)


@pytest.fixture
def options(tmp_path):
    return argparse.Namespace(
        work=tmp_path / "work",
        output=tmp_path / "backbone.safetensors",
        species=SPECIES,
        pictures=EACH,
        portraits=MORE,
        picture_size=SIZE,
        image_size=32,
        small_epochs=0,
        epochs=2,
        camera_epochs=[1],
        batch_size=48,
        rate=0.1,
        seed=0,
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The chunks that a run with these options draws."""
    work = tmp_path_factory.mktemp("drawn")
    for kind, i in (("pictures", 0), ("pictures", 1), ("portraits", 0)):
        draw_chunk((kind, i, 200, SPECIES, SIZE, work / f"{kind}_{SPECIES}_{SIZE}_{i:03}.npy"))
    return work


@pytest.fixture
def ready(options, drawn):
    """Options of a run whose pictures are drawn already."""
    options.work.mkdir()
    for path in drawn.iterdir():
        (options.work / path.name).write_bytes(path.read_bytes())
    return options


def chunks(work) -> dict:
    return {path.name: path.stat().st_mtime_ns for path in work.glob("*.npy")}


def test_pictures_show_the_species_in_turn_across_chunks(options):
    options.work.mkdir()
    pictures = draw_pictures(options.work, "pictures", SPECIES, EACH, SIZE)
    assert pictures.shape == (SPECIES * EACH, 3, SIZE, SIZE)
    assert pictures.dtype == torch.uint8
    for i in (0, 1, 5, 199, 200, 239):
        expected = draw([invent_species(i % SPECIES)], [[2, i]], SIZE)[0][0]
        assert np.array_equal(pictures[i].permute(1, 2, 0).numpy(), expected), i
    assert len(chunks(options.work)) == 2
    assert not list(options.work.glob("*.part"))


def test_portraits_are_other_pictures_of_the_same_species(ready):
    portraits = draw_pictures(ready.work, "portraits", SPECIES, MORE, SIZE)
    for i in (0, 3, 150):
        expected = draw([invent_species(i % SPECIES)._replace(setting=PORTRAITS)], [[3, i]], SIZE)[0][0]
        assert np.array_equal(portraits[i].permute(1, 2, 0).numpy(), expected), i


def test_other_cameras_change_the_look_and_keep_the_forms():
    torch.manual_seed(0)
    images = torch.zeros(64, 3, 32, 32)
    images[:, :, 8:24, 8:24] = 1.0  # a bright square
    taken = other_cameras(images)
    assert taken.shape == images.shape and taken.isfinite().all()
    inside, outside = taken[:, :, 8:24, 8:24].mean((1, 2, 3)), taken[:, :, :6].mean((1, 2, 3))
    assert (inside > outside + 0.2).all()
    assert inside.std() > 0.1  # no two cameras alike
    assert (taken[:, 0] - taken[:, 2]).mean((1, 2)).std() > 0.1  # white balance
    pixels = taken * torch.tensor([0.229, 0.224, 0.225])[:, None, None] + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    assert pixels.min() >= -1e-5 and pixels.max() <= 1 + 1e-5


def test_a_chunk_that_was_drawn_is_kept(ready, drawn):
    before = chunks(ready.work)
    first = draw_pictures(ready.work, "pictures", SPECIES, EACH, SIZE)
    assert chunks(ready.work) == before
    (ready.work / f"pictures_{SPECIES}_{SIZE}_001.npy").unlink()  # as if stopped between the chunks
    assert torch.equal(draw_pictures(ready.work, "pictures", SPECIES, EACH, SIZE), first)
    after = chunks(ready.work)
    name = f"pictures_{SPECIES}_{SIZE}_000.npy"
    assert after[name] == before[name]


def test_a_chunk_that_was_half_written_is_drawn_again(options, monkeypatch):
    def stop_halfway(file, pictures):
        file.write(b"half of it")
        raise OSError("the disk is full")

    path = options.work / "chunk.npy"
    options.work.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_backbone.np, "save", stop_halfway)
        with pytest.raises(UserError, match="full"):
            draw_chunk(("pictures", 0, 200, SPECIES, SIZE, path))
    assert not path.exists()
    draw_chunk(("pictures", 0, 200, SPECIES, SIZE, path))
    assert np.load(path).shape == (200, SIZE, SIZE, 3)


def test_the_network_has_a_head_of_three_layers():
    model = build(7).eval()
    assert [type(layer) for layer in model.fc if isinstance(layer, nn.Linear)] == [nn.Linear] * 3
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_an_epoch_lowers_the_loss_and_reports_its_mean():
    torch.manual_seed(0)
    model = build(2)
    pictures = torch.randint(0, 120, (50, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(50) % 2
    pictures[labels == 1] += 100
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    device = torch.device("cpu")
    cycle = Cycle([32], pictures, False, 0.05)
    losses = [train_epoch(model, optimizer, scheduler, cycle, 2, 16, 32, device) for _ in range(4)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_mean_loss_counts_only_the_pictures_that_were_seen(monkeypatch):
    """50 pictures in batches of 32: 18 are left out, and must not water the mean down."""
    monkeypatch.setattr(pretrain_backbone.F, "cross_entropy", lambda outputs, *args, **options: outputs.sum() * 0 + 3)
    model = build(2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    cycle = Cycle([32], torch.zeros(50, 3, 32, 32, dtype=torch.uint8), False, 0.05)
    mean = train_epoch(model, optimizer, scheduler, cycle, 2, 32, 32, torch.device("cpu"))
    assert mean == pytest.approx(3)


def test_a_run_writes_a_backbone_that_the_course_can_load(ready):
    pretrain(ready)
    tensors = load_file(ready.output)
    assert not any(name.startswith("fc.") for name in tensors)
    kinds = {name: value.dtype for name, value in tensors.items()}
    assert {kind for name, kind in kinds.items() if not name.endswith("num_batches_tracked")} == {torch.float16}
    with safe_open(ready.output, "pt") as file:
        assert file.metadata()["architecture"] == "resnet18"
    model = initialize_model("resnet18", 5, True, weights=str(ready.output))
    trained = torch.load(ready.work / "checkpoint.pt", weights_only=True)["model"]
    for name, value in split_head(model)[0].state_dict().items():
        assert torch.equal(value, trained[name].to(tensors[name].dtype).to(value.dtype)), name
    assert not list(ready.output.parent.glob("*.part"))


def test_a_backbone_keeps_its_answers_in_half_precision(tmp_path):
    torch.manual_seed(0)
    model = build(3)
    for _ in range(3):
        model.train()(torch.randn(8, 3, 32, 32))
    save_backbone(model, tmp_path / "backbone.safetensors")
    loaded = initialize_model("resnet18", 3, True, weights=str(tmp_path / "backbone.safetensors")).eval()
    model.eval()
    inputs = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected, found = (split_head(m)[0](inputs) for m in (model, loaded))
    assert torch.allclose(expected, found, atol=0.02 * expected.abs().max().item())


@pytest.mark.parametrize("done", [1, 2])
def test_a_run_stopped_after_an_epoch_goes_on_with_the_next(ready, monkeypatch, capsys, tmp_path, done):
    """Three epochs: two in the first cycle, one in the second."""
    output = ready.output
    ready.output = tmp_path / "whole.safetensors"
    pretrain(ready)
    whole = load_file(ready.output)
    (ready.work / "checkpoint.pt").unlink()
    ready.output = output
    before, epoch, calls = chunks(ready.work), train_epoch, []

    def stop(*args):
        calls.append(1)
        if len(calls) == done + 1:
            raise KeyboardInterrupt
        return epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_backbone, "train_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(ready)
    assert not output.exists()
    capsys.readouterr()
    pretrain(ready)
    lines = ["cycle 1, epoch 1/2", "cycle 1, epoch 2/2", "cycle 2, epoch 1/1"]
    printed = capsys.readouterr().out
    assert [line in printed for line in lines] == [i >= done for i in range(3)]
    assert chunks(ready.work) == before
    resumed = load_file(output)
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def test_the_second_cycle_sees_both_kinds_as_other_cameras_take_them(ready, monkeypatch):
    seen = []
    monkeypatch.setattr(pretrain_backbone, "train_epoch", lambda model, o, s, cycle, *rest: seen.append(cycle) or 0.0)
    pretrain(ready)
    assert [(len(cycle.pictures), cycle.cameras) for cycle in seen] == [(240, False), (240, False), (440, True)]
    ready.camera_epochs = []
    (ready.work / "checkpoint.pt").unlink()
    pretrain(ready)
    assert [cycle.cameras for cycle in seen[3:]] == [False, False]


def test_a_finished_run_started_again_only_writes_the_backbone(ready, monkeypatch, capsys):
    pretrain(ready)
    first = load_file(ready.output)
    ready.output.unlink()
    capsys.readouterr()
    monkeypatch.setattr(pretrain_backbone, "train_epoch", lambda *args: pytest.fail("trained again"))
    pretrain(ready)
    assert all(torch.equal(value, first[name]) for name, value in load_file(ready.output).items())
