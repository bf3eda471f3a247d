"""Checkpoints, weights files, random states and the history."""

import csv
import errno
import os
import pickle
from collections import OrderedDict

import pytest
import torch
from conftest import Hostile, file_size_limit, files_in, is_one_sentence
from safetensors.torch import save_file
from torch import nn

from helpers.base import UserError
from helpers.checkpoints import load_checkpoint, rng_state, save_checkpoint, save_history, set_rng_state


def refused(path) -> str:
    """The message for a file that is not loaded; it names the file."""
    with pytest.raises(UserError) as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)
    assert is_one_sentence(str(error.value))
    return str(error.value)


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    content = {"model": {"a": torch.arange(4.0)}, "classes": ["1", "10"], "epoch": 3, "lr": 0.1, "none": None}
    save_checkpoint(tmp_path / "a.pt", content)
    found = load_checkpoint(tmp_path / "a.pt")
    torch.testing.assert_close(found.pop("model"), content.pop("model"), rtol=0, atol=0)
    assert found == content


def test_a_safetensors_file_is_read_as_a_dict_of_tensors(tmp_path):
    save_file({"a": torch.arange(4.0)}, tmp_path / "a.safetensors")
    assert load_checkpoint(tmp_path / "a.safetensors")["a"].tolist() == [0, 1, 2, 3]


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_old_one(tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(path, {"epoch": 1})
    with file_size_limit(100_000), pytest.raises(UserError) as error:
        save_checkpoint(path, {"epoch": 2, "model": torch.zeros(100_000)})
    assert is_one_sentence(str(error.value))
    assert os.strerror(errno.EFBIG) in str(error.value)
    assert load_checkpoint(path) == {"epoch": 1}
    assert files_in(tmp_path) == ["best.pt"]


@pytest.mark.parametrize("how", ["torch", "old torch", "pickle"])
def test_code_in_a_checkpoint_is_not_run(tmp_path, how):
    path, trace = tmp_path / "best.pt", tmp_path / "trace"
    content = {"model": {"a": torch.zeros(2)}, "classes": Hostile(trace)}
    if how == "pickle":
        path.write_bytes(pickle.dumps({"classes": Hostile(trace)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    refused(path)
    assert not trace.exists()


def test_a_file_with_a_pickled_model_is_refused(tmp_path):
    torch.save(nn.Sequential(OrderedDict(a=nn.Linear(1, 1))), tmp_path / "model.pt")
    refused(tmp_path / "model.pt")


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path):
    garbage = {
        "empty": b"",
        "text": b"hello world, this is no checkpoint",
        "zeros": bytes(100),
        "zip": b"PK\x03\x04" + bytes(50),
        "short pickle": b"\x80\x02.",
        "mark only": b"(.",
        "image": b"\x89PNG\r\n\x1a\n" + bytes(40),
    }
    for name, content in garbage.items():
        for suffix in ("pt", "safetensors"):
            path = tmp_path / f"{name}.{suffix}"
            path.write_bytes(content)
            refused(path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old format"])
def test_a_checkpoint_that_is_cut_off_anywhere_is_refused(tmp_path, new):
    path = tmp_path / "cut.pt"
    torch.save({"model": torch.zeros(50), "classes": ["1", "2"]}, path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    for length in range(1, len(content) - 1, 23):
        path.write_bytes(content[:length])
        refused(path)


def test_a_file_without_a_dict_is_refused(tmp_path):
    for content in ([1, 2], 5, torch.zeros(2), "text", None):
        torch.save(content, tmp_path / "other.pt")
        assert f"contains a {type(content).__name__}." in refused(tmp_path / "other.pt")


def test_a_missing_checkpoint_is_named(tmp_path):
    for path in (tmp_path / "nowhere.pt", tmp_path):
        assert "There is no file" in refused(path)


def test_a_restored_random_state_repeats_the_draws(tmp_path):
    save_checkpoint(tmp_path / "rng.pt", {"rng": rng_state()})
    first = torch.rand(3)
    torch.rand(5)
    set_rng_state(load_checkpoint(tmp_path / "rng.pt")["rng"])
    assert torch.equal(torch.rand(3), first)


def test_the_history_is_a_table_with_one_row_per_epoch(tmp_path):
    history = [{"epoch": 1, "valid_accuracy": 0.5}, {"epoch": 2, "valid_accuracy": 0.75}]
    save_history(tmp_path / "history.csv", history)
    with open(tmp_path / "history.csv", newline="") as file:
        assert list(csv.reader(file)) == [["epoch", "valid_accuracy"], ["1", "0.5"], ["2", "0.75"]]


def test_an_empty_history_has_only_a_header(tmp_path):
    save_history(tmp_path / "history.csv", [])
    assert (tmp_path / "history.csv").read_text().split() == ["epoch"]
