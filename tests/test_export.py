"""A trained model as one ONNX file, and the predictor that needs nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import is_one_sentence, noisy, refused
from PIL import Image

from helpers import export, onnx_model, predict
from helpers.base import UserError
from helpers.data import decode_image, decode_split
from helpers.images import load_image
from helpers.models import initialize_model
from helpers.onnx_model import load_onnx, predict_images, predict_top
from helpers.prediction import load_model, predict_proba, save_model


@pytest.fixture(scope="module")
def model(exported):
    return load_onnx(exported)


@pytest.fixture(scope="module")
def tiny_checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "best.pt"
    save_model(path, initialize_model("tiny", 2, False, "none"), ["a", "b"], {}, 32, architecture="tiny")
    return path


def test_the_file_knows_its_classes_names_and_image_size(model):
    assert model.classes == ["1", "10", "2"]
    assert model.names["10"] == "globe thistle"
    assert model.image_size == 32


@pytest.mark.parametrize("n", [1, 2, 7, 500])
def test_a_batch_of_any_size_gets_the_probabilities_of_pytorch(model, trained, n):
    pixels = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(n))
    found = model.session.run(None, {"pixels": pixels.numpy()})[0]
    expected = predict_proba(load_model(trained / "best.pt"), pixels).numpy()
    assert found.dtype == np.float32
    assert found.shape == (n, 3)
    assert np.abs(found - expected).max() < 1e-4
    assert expected.std() > 0.01  # not all the same


def test_half_precision_halves_the_file_and_names_the_same_flowers(exported, trained, flowers, tmp_path):
    half = tmp_path / "half.onnx"
    assert export.main(["--checkpoint", str(trained / "best.pt"), "--out", str(half), "--half"]) == 0
    assert 0.45 < half.stat().st_size / exported.stat().st_size < 0.55
    valid = decode_split(flowers, "valid", 32)
    answers = load_onnx(half).session.run(None, {"pixels": valid.pixels.numpy()})[0]
    assert answers.argmax(1).tolist() == valid.labels.tolist()


def test_the_most_probable_names_come_first(model, flowers):
    for path in sorted((flowers / "valid").rglob("*.png")):
        guesses = predict_top(model, load_image(path))
        assert guesses[0][0] == model.names[path.parent.name]
        assert [p for _, p in guesses] == sorted((p for _, p in guesses), reverse=True)
        assert abs(sum(p for _, p in guesses) - 1) < 1e-5
    assert len(predict_top(model, load_image(path), top=2)) == 2


def test_images_of_any_shape_are_cropped_as_in_training(model, trained, tmp_path):
    wide = noisy((210, 40, 40), size=(90, 33))
    wide.save(tmp_path / "wide.png")
    pixels = decode_image(tmp_path / "wide.png", 32)[None]
    expected = predict_proba(load_model(trained / "best.pt"), pixels).numpy()
    assert np.abs(predict_images(model, [wide]) - expected).max() < 1e-4


def test_exporting_in_half_precision_leaves_the_model_as_it_was(tiny_checkpoint, tmp_path):
    predictor = load_model(tiny_checkpoint)
    export.export_onnx(predictor, tmp_path / "half.onnx", torch.float16)
    assert {p.dtype for p in predictor.model.parameters()} == {torch.float32}


def test_exporting_prints_one_line(tiny_checkpoint, tmp_path):
    program = "import sys, conftest; from helpers import export; sys.exit(export.main(sys.argv[1:]))"  # with the tiny network
    line = [sys.executable, "-c", program, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "flowers.onnx"]
    result = subprocess.run(list(map(str, line)), capture_output=True, text=True, cwd=Path(__file__).parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{tmp_path / 'flowers.onnx'}: 0.0 MB\n"


def test_the_predictor_runs_without_pytorch(exported, flowers):
    program = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
from helpers.images import load_image
from helpers.onnx_model import load_onnx, predict_top
from helpers import serve
print(predict_top(load_onnx(sys.argv[1]), load_image(sys.argv[2]))[0][0])
"""
    picture = next((flowers / "valid" / "10").iterdir())
    result = subprocess.run([sys.executable, "-c", program, exported, picture], capture_output=True, text=True)
    assert result.stdout == "globe thistle\n", result.stderr


def test_the_command_answers_as_helpers_predict_does(exported, trained, flowers, capsys):
    pictures = [str(path) for path in sorted((flowers / "valid").rglob("*.png"))]
    assert onnx_model.main([str(exported), *pictures]) == 0
    without = capsys.readouterr().out
    assert predict.main(["--checkpoint", str(trained / "best.pt"), *pictures]) == 0
    assert without == capsys.readouterr().out


def test_the_command_names_a_bad_picture_and_goes_on(exported, flowers, tmp_path, capsys):
    good = next((flowers / "valid" / "10").iterdir())
    assert onnx_model.main([str(exported), str(tmp_path / "nowhere.jpg"), str(good)]) == 2
    said = capsys.readouterr()
    assert "globe thistle" in said.out.splitlines()[1]
    assert is_one_sentence(said.err)
    refused(capsys, onnx_model.main([str(tmp_path / "nowhere.onnx"), str(good)]), "nowhere.onnx")


def test_exporting_leaves_the_checkpoint_and_no_other_file(trained, exported):
    assert [path.name for path in exported.parent.iterdir()] == ["flowers.onnx"]
    assert (trained / "best.pt").is_file()


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 100])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "flowers.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_onnx(path)
    assert is_one_sentence(str(error.value))
    assert str(path) in str(error.value)


def test_a_truncated_file_is_refused(exported, tmp_path):
    whole, path = exported.read_bytes(), tmp_path / "flowers.onnx"
    for length in np.linspace(1, len(whole) - 1, 7, dtype=int):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError):
            load_onnx(path)


@pytest.mark.parametrize("missing", ["classes", "names", "image_size"])
def test_a_model_of_another_program_is_refused(exported, tmp_path, missing):
    other = onnx.load(exported)
    facts = {entry.key: entry.value for entry in other.metadata_props if entry.key != missing}
    del other.metadata_props[:]
    onnx.helper.set_model_props(other, facts)
    onnx.save(other, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="other"):
        load_onnx(tmp_path / "other.onnx")


def test_what_other_programs_add_to_the_file_is_ignored(model, exported, tmp_path):
    other = onnx.load(exported)
    entry = other.metadata_props.add()
    entry.key, entry.value = "onnx.quant.pre_process", "onnxruntime.quant"  # not JSON; written by quant_pre_process
    onnx.save(other, tmp_path / "other.onnx")
    loaded = load_onnx(tmp_path / "other.onnx")
    assert (loaded.classes, loaded.names, loaded.image_size) == (model.classes, model.names, model.image_size)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.onnx"):
        load_onnx(tmp_path / "nowhere.onnx")


def test_a_bad_checkpoint_or_folder_is_reported_in_one_sentence(trained, tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    shutil.copy(trained / "history.csv", tmp_path / "history.csv")
    for checkpoint, out in (
        (tmp_path / "nowhere.pt", tmp_path / "x.onnx"),
        (tmp_path / "history.csv", tmp_path / "x.onnx"),
        (tiny_checkpoint, tmp_path / "file" / "x.onnx"),
    ):
        refused(capsys, export.main(["--checkpoint", str(checkpoint), "--out", str(out)]))
        assert not out.exists()


def test_the_file_holds_plain_text_about_itself(exported):
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(exported).metadata_props}
    assert set(facts) == {"classes", "names", "image_size"}


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_the_command_reads_every_kind_of_image_as_helpers_predict_does(exported, trained, tmp_path, capsys, mode):
    deep = Image.fromarray(np.full((40, 50), 30000, np.uint16))
    image = deep if mode == "I;16" else noisy((40, 180, 60), size=(50, 40)).convert(mode)
    path = tmp_path / "photo.png"
    image.save(path, **({"transparency": 0} if mode == "P" else {}))
    assert onnx_model.main([str(exported), str(path)]) == 0
    without = capsys.readouterr().out
    assert predict.main(["--checkpoint", str(trained / "best.pt"), str(path)]) == 0
    assert without == capsys.readouterr().out
    assert len(without.splitlines()) == 4
