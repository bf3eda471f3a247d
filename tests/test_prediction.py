"""A checkpoint alone names the flowers in pictures."""

import csv

import numpy as np
import pytest
import torch
from conftest import is_one_sentence, noisy, save
from PIL import Image

from helpers.base import UserError
from helpers.checkpoints import load_checkpoint, save_checkpoint
from helpers.data import decode_image, normalize_batch
from helpers.models import initialize_model
from helpers.prediction import collect_images, load_model, predict_files, predict_proba, save_model, write_csv

CLASSES = ["1", "10", "2"]
NAMES = {"1": "pink primrose", "10": "globe thistle", "2": "hard-leaved pocket orchid"}


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    model = initialize_model("tiny", 3, False, weights="none")
    torch.nn.init.normal_(model.fc.weight, std=3)  # confident predictions
    for _ in range(3):
        model.train()(torch.randn(8, 3, 32, 32))
    path = tmp_path / "run" / "best.pt"
    save_model(path, model, CLASSES, NAMES, 32, architecture="tiny", valid_accuracy=0.5)
    return path, model.eval()


@pytest.fixture
def photos(tmp_path):
    """Five pictures of different colors and shapes."""
    rng = np.random.default_rng(0)
    return [save(noisy(rng.integers(0, 256, 3), i, (30 + 7 * i, 50)), tmp_path / "photos" / f"{i}.png") for i in range(5)]


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def test_a_saved_model_comes_back_ready_to_use(checkpoint):
    path, model = checkpoint
    predictor = load_model(path)
    inputs = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(predictor.model(inputs), model(inputs))
    assert not predictor.model.training
    assert predictor.classes == CLASSES
    assert predictor.names == NAMES
    assert predictor.image_size == 32


def test_a_checkpoint_says_what_it_is_and_holds_only_plain_values(checkpoint):
    content = load_checkpoint(checkpoint[0])
    assert content["architecture"] == "tiny"
    assert content["valid_accuracy"] == 0.5
    assert all(isinstance(value, torch.Tensor) for value in content["model"].values())


def test_saving_does_not_change_the_model(tmp_path):
    model = initialize_model("tiny", 3, True, weights="none").train()
    save_model(tmp_path / "best.pt", model, CLASSES, NAMES, 32)
    assert model.training
    assert [p.requires_grad for p in model.fc.parameters()] == [True, True]


@pytest.mark.parametrize("missing", ["architecture", "model", "classes", "names", "image_size"])
def test_a_checkpoint_that_lacks_something_is_refused(checkpoint, missing):
    path = checkpoint[0]
    content = load_checkpoint(path)
    del content[missing]
    save_checkpoint(path, content)
    with pytest.raises(UserError) as error:
        load_model(path)
    assert is_one_sentence(str(error.value))
    assert missing in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["1", "2"]},
        {"classes": 3},
        {"architecture": "resnet99"},
        {"architecture": ["resnet18"]},
        {"model": {"a": torch.zeros(2)}},
        {"model": 5},
        {},
    ],
    ids=["classes", "number", "unknown", "list", "other tensors", "no tensors", "state alone"],
)
def test_a_checkpoint_of_another_kind_is_refused(checkpoint, change):
    path = checkpoint[0]
    content = load_checkpoint(path)
    save_checkpoint(path, content | change if change else content["model"])
    with pytest.raises(UserError) as error:
        load_model(path)
    assert is_one_sentence(str(error.value))


# ---- images --------------------------------------------------------------------------------------------------------


def test_files_and_folders_are_collected_in_the_order_given(tmp_path, photos):
    extra = save(noisy((9, 9, 9)), tmp_path / "extra.png")
    save(noisy((9, 9, 9)), tmp_path / "photos" / ".hidden.png")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    assert collect_images([extra, tmp_path / "photos"]) == [extra, *photos]


def test_a_file_given_by_name_is_taken_whatever_its_suffix(tmp_path):
    path = tmp_path / "photo.unusual"
    path.write_bytes(b"")
    assert collect_images([path]) == [path]


def test_what_does_not_exist_is_named(tmp_path, photos):
    with pytest.raises(UserError, match=r"nowhere\.png"):
        collect_images([photos[0], tmp_path / "nowhere.png"])


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no images"):
        collect_images([tmp_path])


# ---- predictions-----------------------------------------------------------------------------------------------------


def test_probabilities_sum_to_one(checkpoint):
    values = predict_proba(load_model(checkpoint[0]), torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8))
    assert values.shape == (5, 3)
    assert torch.allclose(values.sum(1), torch.ones(5))
    assert (values >= 0).all()


def test_guesses_are_the_models_best_first_with_their_names(checkpoint, photos):
    path, model = checkpoint
    results, problems = predict_files(load_model(path), photos)
    assert problems == []
    assert [guesses[0].file for guesses in results] == photos
    for photo, guesses in zip(photos, results, strict=True):
        pixels = decode_image(photo, 32)[None]
        with torch.no_grad():
            expected = model(normalize_batch(pixels)).softmax(1)[0]
        order = expected.argsort(descending=True).tolist()
        assert [guess.label for guess in guesses] == [CLASSES[index] for index in order]
        assert [guess.name for guess in guesses] == [NAMES[CLASSES[index]] for index in order]
        assert [guess.probability for guess in guesses] == pytest.approx(expected[order].tolist(), abs=1e-5)
    assert len({guesses[0].label for guesses in results}) > 1  # or the order would prove nothing


def test_the_size_of_the_batches_makes_no_difference(checkpoint, photos):
    predictor = load_model(checkpoint[0])
    one, all_ = (predict_files(predictor, photos, batch_size=n)[0] for n in (1, 64))
    for first, second in zip(one, all_, strict=True):
        assert [g.label for g in first] == [g.label for g in second]
        assert [g.probability for g in first] == pytest.approx([g.probability for g in second], abs=1e-5)


@pytest.mark.parametrize(("top", "shown"), [(1, 1), (2, 2), (3, 3), (50, 3)])
def test_top_limits_the_guesses_and_may_exceed_the_classes(checkpoint, photos, top, shown):
    assert {len(guesses) for guesses in predict_files(load_model(checkpoint[0]), photos, top)[0]} == {shown}


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_unreadable_files_among_good_ones_are_reported_and_skipped(checkpoint, photos, batch_size):
    for i in (1, 3):
        photos[i].write_text("corrupt")
    results, problems = predict_files(load_model(checkpoint[0]), photos, batch_size=batch_size)
    assert [guesses[0].file for guesses in results] == [photos[0], photos[2], photos[4]]
    assert len(problems) == 2
    for i, problem in zip((1, 3), problems, strict=True):
        assert str(photos[i]) in problem
        assert is_one_sentence(problem)


def test_with_nothing_readable_there_are_only_problems(checkpoint, photos):
    photos[0].write_text("corrupt")
    results, problems = predict_files(load_model(checkpoint[0]), photos[:1])
    assert results == []
    assert len(problems) == 1


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1", "LA"])
def test_every_kind_of_image_is_predicted(checkpoint, tmp_path, mode):
    deep = Image.fromarray(np.full((20, 20), 30000, np.uint16))
    image = deep if mode == "I;16" else noisy((90, 120, 30)).convert(mode)
    path = save(image, tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png"))
    results, problems = predict_files(load_model(checkpoint[0]), [path])
    assert (len(results), problems) == (1, [])


def test_the_table_has_one_line_per_image(checkpoint, photos, tmp_path):
    results, _ = predict_files(load_model(checkpoint[0]), photos)
    write_csv(tmp_path / "guesses.csv", results)
    with open(tmp_path / "guesses.csv", newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    assert head == ["image_id", "label", "name", "probability"]
    assert len(lines) == 5
    for (image_id, label, name, probability), photo, guesses in zip(lines, photos, results, strict=True):
        assert image_id == photo.as_posix()
        assert (label, name) == (guesses[0].label, guesses[0].name)
        assert float(probability) == pytest.approx(guesses[0].probability, abs=5.1e-5)


def test_names_with_commas_and_accents_survive_the_table(checkpoint, photos, tmp_path):
    predictor = load_model(checkpoint[0])
    predictor = predictor._replace(names=dict.fromkeys(CLASSES, 'rose "à cent feuilles", pink'))
    write_csv(tmp_path / "guesses.csv", predict_files(predictor, photos[:1])[0])
    with open(tmp_path / "guesses.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][2] == 'rose "à cent feuilles", pink'


def test_a_checkpoint_needs_nothing_beside_it(checkpoint, photos, tmp_path, monkeypatch):
    alone = tmp_path / "elsewhere" / "model.pt"
    alone.parent.mkdir()
    checkpoint[0].rename(alone)
    monkeypatch.chdir(alone.parent)
    monkeypatch.setenv("FLOWER_DATA", str(tmp_path / "no data here"))
    monkeypatch.setenv("FLOWER_WEIGHTS", str(tmp_path / "no weights here"))
    assert predict_files(load_model(alone), photos[:1])[0][0][0].name in NAMES.values()


def test_the_normalization_of_the_checkpoint_is_used(checkpoint, photos):
    path, model = checkpoint
    content = load_checkpoint(path)
    save_checkpoint(path, content | {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)})
    predictor = load_model(path)
    pixels = decode_image(photos[0], 32)[None]
    inputs = (pixels / 255 - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    with torch.no_grad():
        assert torch.allclose(predict_proba(predictor, pixels), model(inputs).softmax(1), atol=1e-5)


def test_a_class_without_a_name_keeps_its_folders_name(checkpoint, photos):
    path, _ = checkpoint
    save_checkpoint(path, load_checkpoint(path) | {"names": {"1": "pink primrose"}})
    predictor = load_model(path)
    assert predictor.names == {"1": "pink primrose", "10": "10", "2": "2"}
    assert len(predict_files(predictor, photos)[0]) == len(photos)
