"""The settings of a training run and their options."""

import argparse
from dataclasses import asdict, fields, replace

import pytest
from conftest import is_one_sentence

from helpers import train
from helpers.base import UserError
from helpers.recipe import FULL_STEPS, HEAD_STEPS, Recipe, add_recipe_options, recipe_from, versions

# For every setting with a range: values at its limits, and values outside it.
RANGES = {
    "head_epochs": ([0], [-1]),
    "full_epochs": ([0], [-1]),
    "head_lr": ([1e-9], [0, -0.1, float("nan")]),
    "full_lr": ([1e-9], [0, -0.1]),
    "weight_decay": ([0], [-1e-9]),
    "label_smoothing": ([0, 0.99], [-0.1, 1, float("nan")]),
    "ema_decay": ([0, 0.99], [-0.1, 1]),
    "views": ([1], [0]),
    "image_size": ([32], [31]),
    "batch_size": ([2], [1]),
    "precision": (["auto", "float32", "bfloat16"], ["float16", ""]),
}


def parsed(arguments: list[str]) -> Recipe:
    parser = argparse.ArgumentParser()
    add_recipe_options(parser)
    return recipe_from(parser.parse_args(arguments))


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def test_every_setting_but_names_and_the_seed_has_a_range():
    everything = {field.name for field in fields(Recipe)}
    assert everything - {"architecture", "weights", "seed"} == RANGES.keys()


def test_a_value_out_of_range_is_refused_and_named_by_the_class_and_on_the_command_line(tmp_path, capsys):
    for name, (_, refused) in RANGES.items():
        for value in refused:
            with pytest.raises(UserError, match=f"^{name} is {value!r}, but it must be ") as error:
                Recipe(**{name: value})
            assert is_one_sentence(str(error.value))
            with pytest.raises(SystemExit) as stop:
                train.main(["--out", str(tmp_path / "run"), f"{option(name)}={value}"])
            last_line = capsys.readouterr().err.splitlines()[-1]
            assert stop.value.code == 2
            assert f": error: {name} is " in last_line
            assert last_line.endswith(str(error.value).partition(", ")[2])
    assert not (tmp_path / "run").exists()


def test_the_limits_of_every_range_are_accepted():
    for name, (accepted, _) in RANGES.items():
        for value in accepted:
            assert getattr(replace(Recipe(), **{name: value}), name) == value


def test_a_run_has_at_least_one_epoch():
    with pytest.raises(UserError, match="at least one epoch"):
        Recipe(head_epochs=0, full_epochs=0)


def test_what_is_left_open_follows_from_the_number_of_images():
    recipes = [Recipe().for_images(n) for n in (2, 30, 360, 1000, 2000, 100_000)]
    assert [recipe.batch_size for recipe in recipes] == [16, 16, 32, 64, 64, 64]
    for recipe, n in zip(recipes, (2, 30, 360, 1000, 2000, 100_000), strict=True):
        steps = -(-n // recipe.batch_size)
        assert recipe.head_epochs >= 10 and 2 * steps * recipe.head_epochs >= HEAD_STEPS
        assert recipe.full_epochs >= 6 and steps * recipe.full_epochs >= FULL_STEPS
    assert (recipes[-1].head_epochs, recipes[-1].full_epochs) == (10, 6)
    assert recipes[0].head_epochs > recipes[1].head_epochs > recipes[2].head_epochs


def test_what_is_given_stays_whatever_the_number_of_images():
    given = {"head_epochs": 0, "full_epochs": 3, "batch_size": 7}
    for name, value in given.items():
        settled = Recipe(**{name: value}).for_images(500)
        assert getattr(settled, name) == value
        assert None not in asdict(settled).values()
    assert Recipe(**given).for_images(500) == Recipe(**given)


def test_text_for_a_number_is_refused_by_its_option(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["--out", str(tmp_path / "run"), "--full-epochs", "many"])
    assert stop.value.code == 2
    assert "argument --full-epochs: invalid int value: 'many'" in capsys.readouterr().err.splitlines()[-1]


def test_every_setting_is_an_option_with_the_default_of_the_recipe():
    assert parsed([]) == Recipe()
    others = {name: accepted[-1] for name, (accepted, _) in RANGES.items()}
    others |= {"architecture": "resnet50", "weights": "none", "seed": 7}
    for name, default in asdict(Recipe()).items():
        assert others[name] != default
        assert parsed([option(name), str(others[name])]) == replace(Recipe(), **{name: others[name]})


def test_the_help_shows_every_default(capsys):
    with pytest.raises(SystemExit):
        parsed(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, default in asdict(Recipe()).items():
        shown = "default: FLOWER_WEIGHTS or flora" if name == "weights" else f"default: {default}"
        shown = "default: from the number of images" if default is None else shown
        assert shown in text[text.rindex(option(name)) :], name


def test_flower_weights_is_the_default_of_the_weights(monkeypatch):
    assert Recipe().weights == parsed([]).weights == "flora"
    monkeypatch.setenv("FLOWER_WEIGHTS", "my.safetensors")
    assert Recipe().weights == parsed([]).weights == "my.safetensors"
    assert parsed(["--weights", "none"]).weights == "none"
    monkeypatch.setenv("FLOWER_WEIGHTS", "")
    assert Recipe().weights == "flora"


def test_the_versions_are_those_of_the_course_python_and_the_packages():
    assert list(versions()) == ["course", "python", "torch", "torchvision", "pillow"]
    assert all(number[0].isdigit() for number in versions().values())
