"""The folder of a training run: one process group at a time, no leftovers, advice on how to continue."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from helpers.base import UserError, write_atomically
from helpers.distributed import get_rank_and_world_size


@contextlib.contextmanager
def run_folder(out: Path, resume: bool) -> Iterator[None]:
    """Lock and check the folder of a run; an interrupt or failure inside gets a note that says how to continue.

    Raises UserError if there is nothing to resume, another process holds the lock, the folder already contains a run (and
    resume is False), or it is not writable.
    """
    if resume and not (out / "last.pt").is_file():
        raise UserError(f"There is nothing to resume in {out}: omit --resume, or give the folder of the interrupted run.")
    rank, _ = get_rank_and_world_size()
    with locked(out) if rank == 0 else contextlib.nullcontext():  # only rank 0 writes
        if rank == 0 and not resume and (out / "last.pt").exists():
            raise UserError(f"{out} already contains a run: add --resume to continue it, or choose another --out.")
        try:
            yield
        except (KeyboardInterrupt, RuntimeError) as error:
            saved = (out / "last.pt").is_file()
            error.add_note("Continue with the same command and --resume." if saved else "Nothing was saved yet: start again.")
            raise


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the lock of the folder, which the system releases however the process ends; remove leftovers of a killed run."""
    lock = FileLock(out / ".lock", blocking=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"Another run is writing to {out}: wait for it to finish, or choose another --out.") from None
    except OSError as error:
        raise UserError(f"{out} is not writable ({error.strerror or error}): choose another --out.") from error
    try:
        for name in ("best.pt", "last.pt", "history.csv", "metrics.json", "probe"):
            for temporary in out.glob(f".{name}.[0-9]*"):
                temporary.unlink()
        write_atomically(out / "probe", lambda temporary: temporary.write_text("ok"))
        (out / "probe").unlink()
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes the file itself, on release
            (out / ".lock").unlink()
        lock.release()
