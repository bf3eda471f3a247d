"""Augmenting a whole batch at once."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.augment import AugmentConfig, augment_batch, random_affine
from helpers.data import IMAGENET_MEAN, IMAGENET_STD, normalize_batch

MEAN, STD = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
NOTHING = AugmentConfig(
    scale=(1, 1), ratio=1, degrees=0, vertical_flip=0, brightness=0, contrast=0, saturation=0, hue=0, grayscale=0
)
EVERYTHING = AugmentConfig(
    scale=(0.05, 1), ratio=2, degrees=180, vertical_flip=0.5, brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5
)


def pictures(n: int = 6, size: int = 24, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


def ramp(n: int, size: int = 64) -> torch.Tensor:
    """Pictures that grow brighter from left to right."""
    return torch.linspace(0, 255, size).round().to(torch.uint8).expand(n, 3, size, size).clone()


def shown(batch: torch.Tensor) -> torch.Tensor:
    """Values in [0, 1] again."""
    return batch * STD + MEAN


@pytest.mark.parametrize("size", [16, 24, 40])
def test_a_batch_comes_out_in_the_requested_size_as_float(size):
    batch = pictures(5)
    before = batch.clone()
    result = augment_batch(batch, size)
    assert result.shape == (5, 3, size, size)
    assert result.dtype == torch.float32
    assert torch.equal(batch, before)


def test_pictures_need_not_be_square():
    batch = pictures(3)[:, :, :10]
    assert augment_batch(batch, 16).shape == (3, 3, 16, 16)


def test_every_picture_of_a_batch_has_its_own_draw():
    batch = pictures(1).expand(8, 3, 24, 24)
    result = augment_batch(batch, 24)
    for i in range(8):
        for j in range(i):
            assert (result[i] - result[j]).abs().mean() > 0.01


@pytest.mark.parametrize("change", ["brightness", "contrast", "saturation", "hue"])
def test_every_color_change_is_drawn_for_every_picture_alone(change):
    reddish = pictures(1) // 4 + torch.tensor([140, 60, 20], dtype=torch.uint8).view(1, 3, 1, 1)
    result = shown(augment_batch(reddish.expand(6, 3, 24, 24), 24, NOTHING._replace(**{change: 0.3})))
    measured = (result.std((2, 3)) if change == "contrast" else result.mean((2, 3)))[:, 0].sort().values
    assert measured.diff().min() > 1e-4


def test_the_same_seed_repeats_and_another_does_not():
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augment_batch(pictures(), 24))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_images_of_a_shard_get_the_draws_of_the_whole_batch():
    torch.manual_seed(0)
    whole = augment_batch(pictures(), 24)
    for part in (slice(1, None, 2), slice(2, 5)):
        torch.manual_seed(0)
        assert torch.allclose(augment_batch(pictures()[part], 24, shard=(part, 6)), whole[part], atol=1e-5)


def test_without_strength_only_the_horizontal_flip_remains():
    batch = pictures(64)
    torch.manual_seed(0)
    result, plain = augment_batch(batch, 24, NOTHING), normalize_batch(batch)
    mirrored = 0
    for picture, expected in zip(result, plain, strict=True):
        same = torch.allclose(picture, expected, atol=1e-4)
        assert same or torch.allclose(picture, expected.flip(2), atol=1e-4)
        mirrored += not same
    assert 16 < mirrored < 48


def test_vertical_flips_come_with_their_probability():
    batch = pictures(64)
    result, plain = augment_batch(batch, 24, NOTHING._replace(vertical_flip=1.0)), normalize_batch(batch)
    for picture, expected in zip(result, plain, strict=True):
        upside_down = expected.flip(1)
        assert any(torch.allclose(picture, x, atol=1e-4) for x in (upside_down, upside_down.flip(2)))


def test_a_crop_keeps_the_requested_part_and_stays_inside_the_picture():
    torch.manual_seed(0)
    result = shown(augment_batch(ramp(40), 64, NOTHING._replace(scale=(0.25, 0.25))))
    low, high = result.amin((1, 2, 3)), result.amax((1, 2, 3))
    assert torch.allclose(high - low, torch.full((40,), 0.5), atol=0.02)  # half the width is a quarter of the area
    assert low.min() < 0.1
    assert high.max() > 0.9
    steps = result.diff(dim=3).flatten(1)  # a border reflected into the picture would turn the ramp round
    assert ((steps > -1e-3).all(1) | (steps < 1e-3).all(1)).all()


def test_crops_vary_between_the_given_areas():
    torch.manual_seed(0)
    matrix = random_affine(500, NOTHING._replace(scale=(0.3, 0.8)), torch.device("cpu"))
    area = torch.linalg.det(matrix[:, :, :2]).abs()
    assert area.min() >= 0.3 - 1e-4
    assert area.max() <= 0.8 + 1e-4
    assert area.std() > 0.1


def test_stretching_changes_the_aspect_ratio_within_its_limit():
    torch.manual_seed(0)
    matrix = random_affine(500, NOTHING._replace(scale=(0.25, 0.25), ratio=1.5), torch.device("cpu"))
    ratio = matrix[:, :, 0].norm(dim=1) / matrix[:, :, 1].norm(dim=1)
    assert ratio.max() <= 1.5 + 1e-4
    assert ratio.min() >= 1 / 1.5 - 1e-4
    assert ratio.max() > 1.4
    assert ratio.min() < 1 / 1.4


def test_a_stretched_crop_stays_inside_the_picture():
    matrix = random_affine(500, NOTHING._replace(scale=(0.7, 1), ratio=2), torch.device("cpu"))
    sides = matrix[:, :, :2].norm(dim=1)  # width and height, as fractions
    assert (sides.amax(0) > 0.999).all()  # the limit matters
    assert (sides + matrix[:, :, 2].abs()).max() <= 1 + 1e-5


def test_rotations_stay_within_their_limit_and_do_not_shear():
    torch.manual_seed(0)
    matrix = random_affine(500, AugmentConfig(degrees=20, vertical_flip=0.5), torch.device("cpu"))[:, :, :2]
    assert (matrix[:, :, 0] * matrix[:, :, 1]).sum(1).abs().max() < 1e-5
    down = matrix[:, :, 1] * matrix[:, 1, 1].sign()[:, None]
    angle = torch.atan2(-down[:, 0], down[:, 1]) * 180 / math.pi
    assert angle.abs().max() <= 20 + 1e-3
    assert angle.max() > 18
    assert angle.min() < -18


def test_gray_pictures_have_equal_channels():
    result = shown(augment_batch(pictures(), 24, AugmentConfig(grayscale=1.0)))
    assert (result.amax(1) - result.amin(1)).max() < 1e-5


def test_gray_weighs_the_channels_as_pillow_does():
    batch = pictures(4)
    result = shown(augment_batch(batch, 24, NOTHING._replace(grayscale=1.0)))[:, 0] * 255
    for picture, pixels in zip(result, batch, strict=True):
        expected = np.asarray(Image.fromarray(pixels.permute(1, 2, 0).numpy()).convert("L")).astype(float)
        assert min(np.abs(picture.numpy() - e).max() for e in (expected, np.fliplr(expected))) < 1.5


def test_gray_comes_with_its_probability():
    torch.manual_seed(0)
    result = shown(augment_batch(pictures(200), 8, NOTHING._replace(grayscale=0.3)))
    gray = (result.amax(1) - result.amin(1)).amax((1, 2)) < 1e-3
    assert 0.2 < gray.float().mean() < 0.4


def test_brightness_scales_a_picture_within_its_limit():
    torch.manual_seed(0)
    batch = torch.full((200, 3, 4, 4), 100, dtype=torch.uint8)
    factor = shown(augment_batch(batch, 4, NOTHING._replace(brightness=0.3)))[:, 0, 0, 0] * 2.55
    assert 0.7 - 1e-3 <= factor.min() < 0.75
    assert 1.25 < factor.max() <= 1.3 + 1e-3


def test_contrast_spreads_values_around_the_mean():
    batch = torch.full((100, 3, 4, 4), 80, dtype=torch.uint8)
    batch[:, :, 2:] = 120
    result = shown(augment_batch(batch, 4, NOTHING._replace(contrast=0.5))) * 255
    assert torch.allclose(result.mean((1, 2, 3)), torch.full((100,), 100.0), atol=0.05)
    spread = (result[:, 0, 3, 0] - result[:, 0, 0, 0]) / 40
    assert 0.5 - 1e-3 <= spread.min() < 0.6
    assert 1.4 < spread.max() <= 1.5 + 1e-3


@pytest.mark.parametrize("change", ["saturation", "hue", "contrast"])
def test_an_even_gray_keeps_its_value_under_color_changes(change):
    batch = torch.full((20, 3, 4, 4), 120, dtype=torch.uint8)
    result = shown(augment_batch(batch, 4, NOTHING._replace(**{change: 0.5})))
    assert (result - 120 / 255).abs().max() < 1e-4


def test_hue_turns_red_towards_its_neighbors():
    torch.manual_seed(0)
    batch = torch.tensor([180, 60, 60], dtype=torch.uint8).view(1, 3, 1, 1).expand(100, 3, 4, 4)
    red, green, blue = (shown(augment_batch(batch, 4, NOTHING._replace(hue=0.1)))[:, :, 0, 0] * 255).T
    assert torch.allclose(red + green + blue, torch.full((100,), 300.0), atol=0.1)
    assert (red > torch.maximum(green, blue)).all()  # a tenth of a turn does not reach the next primary color
    turn = torch.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * math.pi)
    assert 0.09 < turn.max() < 0.101
    assert -0.101 < turn.min() < -0.09


@pytest.mark.parametrize("config", [None, EVERYTHING])
def test_values_stay_in_the_range_of_normalized_pictures(config):
    torch.manual_seed(0)
    batch = torch.cat([pictures(20), torch.zeros_like(pictures(2)), torch.full_like(pictures(2), 255)])
    result = shown(augment_batch(batch, 24, config))
    assert result.min() >= -1e-5
    assert result.max() <= 1 + 1e-5
