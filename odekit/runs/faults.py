"""Which errors of the system end a run: those that all further files would meet, too."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from odekit.errors import ConfigError, OdekitError, OutputError

FOLDER_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.ENODEV, errno.ESTALE}
"""Of the disk of the output folder."""
PROCESS_ERRORS = {errno.EMFILE, errno.ENFILE}
"""Of this process or machine: too many open files."""


def is_of_machine(error: OdekitError) -> bool:
    """Whether an error says that the machine takes no more, in whatever words; the command is right."""
    cause = error.__cause__
    full = {errno.ENOSPC, errno.EDQUOT, errno.EROFS} | PROCESS_ERRORS
    return isinstance(error, OutputError) or (isinstance(cause, OSError) and cause.errno in full)


class WorkerStartError(OutputError):
    """The system starts no further process or thread: too many of them, or too little memory."""

    def __init__(self, error: BaseException | str) -> None:
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        super().__init__(f"no process that reads and writes files can be started ({reason}); use --workers 0")


def end_of_run(error: BaseException, out: Path, scratch: Path, writing: bool) -> str:
    """Why an error ends the run; empty if it concerns one file only.

    Args:
        error: of reading an input or of writing a result.
        out: the output folder.
        scratch: its folder for temporary files.
        writing: a result was being written, so that the error may be one of the output folder.
    """
    if isinstance(error, WorkerStartError):
        return str(error)
    if not isinstance(error, OSError):
        return ""
    reason = error.strerror or str(error)
    if error.errno in PROCESS_ERRORS:
        return f"no further file can be opened: {reason}"
    if not writing:
        return ""
    if not os.path.isdir(scratch):
        return f"{out} has disappeared"
    return f"{out} cannot be written: {reason}" if error.errno in FOLDER_ERRORS else ""


@contextlib.contextmanager
def start_errors(out: Path) -> Iterator[None]:
    """Turn the errors of the system when a run begins into one line.

    Raises:
        OutputError: the disk takes no more, or no further file can be opened: exit code 4, as in the middle of a run.
        ConfigError: the folder cannot be used, for example because of its permissions.
    """
    try:
        yield
    except OSError as error:
        passing = error.errno in FOLDER_ERRORS | PROCESS_ERRORS
        name = os.path.basename(os.fsdecode(error.filename2 or error.filename or ""))
        which = f" ({name})" if name not in ("", out.name) and not name.endswith(".tmp") else ""
        reason = f"the output folder {out} cannot be written: {error.strerror or error}{which}"
        raise (OutputError(f"{reason}; --resume continues") if passing else ConfigError(reason)) from error
