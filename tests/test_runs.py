"""The folder of a run: its lock, leftovers, and the advice after an interrupt."""

import pytest
from conftest import file_size_limit, files_in, is_one_sentence

from helpers.base import UserError
from helpers.runs import run_folder

NOTHING, CONTINUE = "Nothing was saved yet: start again.", "Continue with the same command and --resume."


def refused(out, resume: bool) -> str:
    with pytest.raises(UserError) as error, run_folder(out, resume):
        pytest.fail("the folder was accepted")
    assert str(out) in str(error.value)
    assert is_one_sentence(str(error.value))
    return str(error.value)


def test_one_run_at_a_time_may_use_a_folder(tmp_path):
    for resume in (False, True):
        with run_folder(tmp_path / "run", resume):
            assert "Another run is writing" in refused(tmp_path / "run", resume)
            with run_folder(tmp_path / "other", False):
                pass
            (tmp_path / "run" / "last.pt").touch()
    assert files_in(tmp_path / "run") == ["last.pt"]


def test_the_lock_is_released_after_a_failure(tmp_path):
    for failure in (UserError("wrong"), ValueError, KeyboardInterrupt):
        with pytest.raises((ValueError, KeyboardInterrupt)), run_folder(tmp_path / "run", False):
            raise failure
    assert files_in(tmp_path / "run") == []


def test_a_finished_or_interrupted_run_is_not_overwritten(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"run")
    assert "--resume" in refused(tmp_path, resume=False)
    assert (tmp_path / "last.pt").read_bytes() == b"run"
    assert files_in(tmp_path) == ["last.pt"]


def test_there_must_be_something_to_resume(tmp_path):
    assert "nothing to resume" in refused(tmp_path, resume=True)
    assert "nothing to resume" in refused(tmp_path / "new", resume=True)
    assert files_in(tmp_path) == []


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path):
    others = [".best.pt", ".coverage.host.1.2", "a.5"]
    for name in (".best.pt.4711", ".last.pt.12", ".history.csv.999", ".metrics.json.3", ".probe.5", *others):
        (tmp_path / name).write_bytes(b"half")
    with run_folder(tmp_path, False):
        assert [name for name in files_in(tmp_path) if name != ".lock"] == others


def test_a_folder_that_cannot_be_written_is_named(tmp_path, read_only_folder):
    (tmp_path / "file").write_text("not a folder")
    for out in (tmp_path / "file" / "run", tmp_path / "file", read_only_folder, read_only_folder / "run"):
        assert "not writable" in refused(out, resume=False)


def test_a_full_disk_is_named_before_the_work(tmp_path):
    with file_size_limit(1):
        assert "free some space" in refused(tmp_path, resume=False)
    assert files_in(tmp_path) == []


def test_an_interrupt_or_a_failure_says_how_to_continue(tmp_path):
    for failure in (KeyboardInterrupt, RuntimeError):
        for out, note in ((tmp_path / failure.__name__, NOTHING), (tmp_path / failure.__name__ / "saved", CONTINUE)):
            with pytest.raises(failure) as error, run_folder(out, False):
                if note == CONTINUE:
                    (out / "last.pt").touch()
                raise failure
            assert error.value.__notes__ == [note], failure


def test_an_error_that_the_user_can_fix_needs_no_advice(tmp_path):
    with pytest.raises(UserError) as error, run_folder(tmp_path, False):
        raise UserError("wrong")
    assert not hasattr(error.value, "__notes__")
