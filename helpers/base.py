"""What all modules share, without torch: the project folder, UserError, atomic writes, the command-line wrapper."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


class UserError(ValueError):
    """An error that the user can fix. The message is one sentence, on one line: what is wrong and what to do."""

    def __init__(self, message: str):
        super().__init__(message.replace("\n", "\\n"))  # a file name may contain a line break


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: a kill never leaves half a file.

    Raises UserError if the folder is not writable or the disk is full; an existing file is then left unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # where torch.save hides the system's reason
        reason = getattr(cause, "strerror", None) or str(error).partition("\n")[0]
        raise UserError(f"{path} could not be written ({reason}): free some space or choose another folder.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def run_command(command: Callable[[], object]) -> int:
    """Run a command line; returns its exit status: the int that `command` returns, if any, else 0.

    2 after a UserError, printed to standard error as one line; 130 after Ctrl-C; 1 with a traceback after anything else.
    """
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("\nInterrupted.", *getattr(error, "__notes__", []), file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        return 1
