"""Atomic writes and the exit statuses of all command lines."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from conftest import file_size_limit, files_in, is_one_sentence

from helpers.base import PROJECT, UserError, run_command, write_atomically


def refused(path, write) -> str:
    """The message of a write that fails; it names the file."""
    with pytest.raises(UserError) as error:
        write_atomically(path, write)
    assert str(path) in str(error.value)
    assert is_one_sentence(str(error.value))
    return str(error.value)


@pytest.fixture
def note(tmp_path):
    """A file that contains "old"."""
    (tmp_path / "note.txt").write_text("old")
    return tmp_path / "note.txt"


def test_an_error_message_is_one_line():
    assert str(UserError("There is no file a\nb.")) == "There is no file a\\nb."


def test_a_file_is_written_into_a_new_folder_and_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "note.txt"
    for text in ("first", "second"):
        write_atomically(path, lambda temporary, text=text: temporary.write_text(text))
        assert path.read_text() == text
        assert files_in(path.parent) == ["note.txt"]


def test_until_the_new_file_is_complete_the_old_one_stays(note):
    def write(temporary):
        temporary.write_text("new")
        assert note.read_text() == "old"
        assert temporary.parent == note.parent  # renaming is atomic only within a file system

    write_atomically(note, write)
    assert note.read_text() == "new"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ZeroDivisionError, OSError, RuntimeError])
def test_a_failure_while_writing_leaves_the_old_file(note, failure):
    def write(temporary):
        temporary.write_text("half")
        raise failure("in the middle")

    if failure in (OSError, RuntimeError):
        assert "(in the middle)" in refused(note, write)
    else:
        with pytest.raises(failure):
            write_atomically(note, write)
    assert note.read_text() == "old"
    assert files_in(note.parent) == ["note.txt"]


def test_a_process_that_is_killed_while_writing_leaves_the_old_file(note):
    code = """
import os, pathlib, signal, sys
from helpers.base import write_atomically

def write(temporary):
    temporary.write_text("half")
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

write_atomically(pathlib.Path(sys.argv[1]), write)
"""
    assert subprocess.run([sys.executable, "-c", code, str(note)], cwd=PROJECT).returncode != 0
    assert note.read_text() == "old"
    assert len(files_in(note.parent)) == 2


def test_a_disk_that_is_full_when_the_file_is_flushed_leaves_the_old_file(note, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert "free some space" in refused(note, lambda temporary: temporary.write_text("new"))
    assert note.read_text() == "old"
    assert files_in(note.parent) == ["note.txt"]


def test_a_disk_that_fills_up_leaves_the_old_file_and_is_the_reason_given(note):
    with file_size_limit(1000):
        message = refused(note, lambda temporary: temporary.write_text("x" * 2000))
    assert os.strerror(errno.EFBIG) in message
    assert note.read_text() == "old"
    assert files_in(note.parent) == ["note.txt"]


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    for path in ("file/below", "file/deep/below", "folder"):
        refused(tmp_path / path, lambda temporary: temporary.write_text("x"))
        assert files_in(tmp_path) == ["file", "folder"]


def test_a_read_only_folder_is_named(read_only_folder):
    refused(read_only_folder / "note.txt", lambda temporary: temporary.write_text("x"))


# ---- exit statuses -------------------------------------------------------------------------------------------------


def fail(error: BaseException, *notes: str):
    """A command that fails with an error that has notes."""
    for note in notes:
        error.add_note(note)
    raise error


def interrupt():
    """A command that is interrupted by Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def test_a_command_that_succeeds_has_status_0_or_the_one_it_returns(capsys):
    for result, status in ((None, 0), ({"accuracy": 0.5}, 0), (0, 0), (2, 2)):
        assert run_command(lambda result=result: result) == status, result
    assert capsys.readouterr() == ("", "")


def test_a_user_error_has_status_2_and_one_line_on_standard_error(capsys):
    assert run_command(lambda: fail(UserError("Not this\nway."))) == 2
    assert capsys.readouterr() == ("", "error: Not this\\nway.\n")


def test_ctrl_c_has_status_130_and_prints_the_advice(capsys):
    assert run_command(interrupt) == 130
    assert capsys.readouterr() == ("", "\nInterrupted.\n")
    assert run_command(lambda: fail(KeyboardInterrupt(), "Continue with --resume.")) == 130
    assert capsys.readouterr() == ("", "\nInterrupted. Continue with --resume.\n")


def test_any_other_error_has_status_1_and_a_traceback_with_the_advice(capsys):
    assert run_command(lambda: fail(ValueError("wrong shape"), "Continue with --resume.")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback")
    assert err.splitlines()[-2:] == ["ValueError: wrong shape", "Continue with --resume."]
