"""Pretraining the bundled backbone, on a scale of seconds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from helpers.base import UserError
from helpers.checkpoints import load_checkpoint
from helpers.models import initialize_model, split_head
from tools.pretrain_backbone import (
    Cycle,
    build,
    draw_chunk,
    draw_pictures,
    main,
    parse,
    plan,
    pretrain,
    save_backbone,
    simulate_cameras,
    train_epoch,
)
from tools.scene import draw
from tools.species import PORTRAITS
from tools.wild_species import invent_species

SPECIES, PICTURES, MORE, SIZE, CHUNK = 3, 8, 5, 32, 16  # two files of pictures, one of portraits


def line(work: Path, output: Path, *more: str) -> list[str]:
    """Arguments of a run of three epochs: two of the pictures as drawn, one with simulated cameras."""
    options = {"--work": work, "--output": output, "--species": SPECIES, "--pictures": PICTURES, "--portraits": MORE}
    options |= {"--picture-size": SIZE, "--chunk": CHUNK, "--image-size": SIZE, "--small-epochs": 0, "--epochs": 2}
    options |= {"--camera-epochs": 1, "--batch-size": 6, "--lr": 0.1}
    return [*(str(part) for pair in options.items() for part in pair), *more]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The chunks that a run with these options draws; not to be changed."""
    work = tmp_path_factory.mktemp("drawn")
    for kind, i in (("pictures", 0), ("pictures", 1), ("portraits", 0)):
        draw_chunk((kind, i, CHUNK, SPECIES, SIZE, work / f"{kind}_{SPECIES}_{SIZE}_{i:03}.npy"))
    torch.set_num_threads(1)  # numba's first parallel loop changes the number of OpenMP threads
    return work


@pytest.fixture(scope="module")
def finished(drawn, tmp_path_factory):
    """The folder of a whole run, with a copy of the checkpoint of every epoch; not to be changed."""
    work = tmp_path_factory.mktemp("finished") / "work"
    shutil.copytree(drawn, work)
    copies = []

    def copy_checkpoint(cycle: int, epoch: int) -> None:
        copies.append((cycle, epoch))
        shutil.copy(work / "checkpoint.pt", work / f"after_{len(copies)}.pt")

    pretrain(parse(line(work, work / "backbone.safetensors")), copy_checkpoint)
    assert copies == [(0, 0), (0, 1), (1, 0)]
    return work


def chunks(work) -> dict:
    return {path.name: path.stat().st_mtime_ns for path in work.glob("*.npy")}


# ---- the images ----------------------------------------------------------------------------------------------------


def test_pictures_show_the_species_in_turn_across_chunks(drawn):
    pictures = draw_pictures(drawn, "pictures", SPECIES, PICTURES, SIZE, CHUNK)
    assert pictures.shape == (SPECIES * PICTURES, 3, SIZE, SIZE)
    assert pictures.dtype == torch.uint8
    for i in (0, 1, 5, 15, 16, 23):
        expected = draw([invent_species(i % SPECIES)], [[2, i]], SIZE, samples=2)[0][0]
        assert np.array_equal(pictures[i].permute(1, 2, 0).numpy(), expected), i


def test_portraits_are_other_pictures_of_the_same_species(drawn):
    portraits = draw_pictures(drawn, "portraits", SPECIES, MORE, SIZE, CHUNK)
    setting = PORTRAITS._replace(strangers=0.0)  # none of the 102 species
    for i in (0, 14):
        expected = draw([invent_species(i % SPECIES)._replace(setting=setting)], [[3, i]], SIZE, samples=2)[0][0]
        assert np.array_equal(portraits[i].permute(1, 2, 0).numpy(), expected), i


def test_a_chunk_that_was_drawn_is_kept_and_a_missing_one_is_drawn(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    before = chunks(tmp_path)
    (tmp_path / f"pictures_{SPECIES}_{SIZE}_001.npy").unlink()  # as if stopped between the chunks
    again, first = (draw_pictures(work, "pictures", SPECIES, PICTURES, SIZE, CHUNK) for work in (tmp_path, drawn))
    assert torch.equal(again, first)
    name = f"pictures_{SPECIES}_{SIZE}_000.npy"
    assert chunks(tmp_path)[name] == before[name]


def test_a_chunk_that_was_half_written_is_drawn_again(tmp_path, monkeypatch):
    def full_disk(file, pictures):
        file.write(b"half of it")
        raise OSError("the disk is full")

    path = tmp_path / "chunk.npy"
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full_disk)
        with pytest.raises(UserError, match="full"):
            draw_chunk(("pictures", 0, 2, SPECIES, SIZE, path))
    assert not path.exists()
    draw_chunk(("pictures", 0, 2, SPECIES, SIZE, path))
    assert np.load(path).shape == (2, SIZE, SIZE, 3)


def test_simulated_cameras_change_the_look_and_keep_the_forms():
    images = torch.zeros(64, 3, 32, 32)
    images[:, :, 8:24, 8:24] = 1.0  # a bright square
    changed = simulate_cameras(images)
    assert changed.shape == images.shape and changed.isfinite().all()
    inside, outside = changed[:, :, 8:24, 8:24].mean((1, 2, 3)), changed[:, :, :6].mean((1, 2, 3))
    assert (inside > outside + 0.2).all()
    assert inside.std() > 0.1  # no two cameras alike
    assert (changed[:, 0] - changed[:, 2]).mean((1, 2)).std() > 0.1  # white balance
    pixels = changed * torch.tensor([0.229, 0.224, 0.225])[:, None, None] + torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    assert pixels.min() >= -1e-5 and pixels.max() <= 1 + 1e-5


def test_only_the_later_cycles_see_portraits_and_simulated_cameras(drawn):
    cycles = plan(parse(line(drawn, drawn / "x", "--small-epochs", "1", "--camera-epochs", "3", "4")))
    assert [(len(cycle.pictures), cycle.cameras) for cycle in cycles] == [(24, False), (39, True), (39, True)]
    assert [cycle.sizes for cycle in cycles] == [[16, 32, 32], [32] * 3, [32] * 4]
    assert [cycle.lr for cycle in cycles] == [0.1, 0.05, 0.05]
    assert len(plan(parse(line(drawn, drawn / "x", "--camera-epochs")))) == 1


# ---- the network ---------------------------------------------------------------------------------------------------


def test_the_network_has_a_head_of_three_layers():
    model = build(7).eval()
    assert [type(layer) for layer in model.fc if isinstance(layer, nn.Linear)] == [nn.Linear] * 3
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def one_epoch(model, pictures, batch_size: int, lr: float, cameras: bool = False) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    cycle = Cycle([32], pictures, cameras, lr)
    return train_epoch(model, optimizer, scheduler, cycle, 2, batch_size, 32, torch.device("cpu"))


def test_an_epoch_lowers_the_loss():
    model = build(2)
    pictures = torch.randint(0, 120, (32, 3, 32, 32), dtype=torch.uint8)
    pictures[1::2] += 100
    losses = [one_epoch(model, pictures, 16, 0.05) for _ in range(3)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_mean_loss_counts_only_the_images_that_were_seen():
    """18 images in batches of 8: 2 are dropped, and must not change the mean."""
    model = build(2)
    nn.init.zeros_(model.fc[-1].weight)
    nn.init.zeros_(model.fc[-1].bias)  # equal scores: the loss is the logarithm of 2
    mean = one_epoch(model, torch.zeros(18, 3, 32, 32, dtype=torch.uint8), 8, 0.0)
    assert mean == pytest.approx(np.log(2), rel=1e-3)


def test_simulated_cameras_are_part_of_an_epoch_only_if_the_cycle_has_them():
    seen = []
    model = build(2)
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].float()))
    for cameras in (False, True):
        one_epoch(model, torch.full((8, 3, 32, 32), 100, dtype=torch.uint8), 8, 0.0, cameras)
    noise = [inputs.diff(dim=3).abs().mean() for inputs in seen]
    assert noise[0] < 1e-3 < 1e-2 < noise[1]


# ---- a whole run ---------------------------------------------------------------------------------------------------


def test_a_run_writes_a_backbone_that_the_course_can_load(finished):
    output = finished / "backbone.safetensors"
    tensors = load_file(output)
    assert not any(name.startswith("fc.") for name in tensors)
    dtypes = {value.dtype for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    assert dtypes == {torch.float16}
    with safe_open(output, "pt") as file:
        assert file.metadata()["architecture"] == "resnet18"
    model = initialize_model("resnet18", 5, True, weights=str(output))
    trained = load_checkpoint(finished / "checkpoint.pt")["model"]
    for name, value in split_head(model)[0].state_dict().items():
        assert torch.equal(value, trained[name].to(tensors[name].dtype).to(value.dtype)), name
    assert not [path.name for path in finished.iterdir() if path.name.startswith(".")]


def test_a_backbone_in_half_precision_gives_nearly_the_same_features(tmp_path):
    model = build(3)
    for _ in range(3):
        model.train()(torch.randn(8, 3, 32, 32))
    save_backbone(model, tmp_path / "backbone.safetensors")
    loaded = initialize_model("resnet18", 3, True, weights=str(tmp_path / "backbone.safetensors")).eval()
    inputs = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected, found = (split_head(each)[0](inputs) for each in (model.eval(), loaded))
    assert torch.allclose(expected, found, atol=0.02 * expected.abs().max().item())


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_run_that_was_stopped_after_an_epoch_resumes_with_the_next(finished, drawn, tmp_path, capsys, done):
    work = tmp_path / "work"
    shutil.copytree(drawn, work)
    shutil.copy(finished / f"after_{done}.pt", work / "checkpoint.pt")
    assert main(line(work, tmp_path / "backbone.safetensors")) == 0
    lines = ["cycle 1, epoch 1/2", "cycle 1, epoch 2/2", "cycle 2, epoch 1/1"]
    printed = capsys.readouterr().out
    assert [text in printed for text in lines] == [i >= done for i in range(3)]
    assert chunks(work).keys() == chunks(drawn).keys()
    resumed, whole = (load_file(folder / "backbone.safetensors") for folder in (tmp_path, finished))
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


def test_a_damaged_checkpoint_is_named(drawn, tmp_path, capsys):
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    assert main(line(tmp_path, tmp_path / "backbone.safetensors")) == 2
    assert "checkpoint.pt" in capsys.readouterr().err
