"""The standard streams: closed, full, or of an encoding that lacks a character, none of them costs a result."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper

from odekit.errors import OutputError


class ReaderGoneError(OutputError):
    """Whoever read standard output has closed it, as `head` does."""


def prepare_streams() -> None:
    """Prepare the streams that the calling program left to this one.

    Descriptors that are closed are opened to nothing: the next file that is opened would get their number, and what
    libraries print would be written into it. `sys.stdin` and `sys.stdout` remain None where they are closed. Characters
    that the encoding of standard output lacks are shown as escapes.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (a descriptor, for the whole program)
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def output_errors() -> Iterator[None]:
    """Turn the errors of writing to standard output into an OutputError.

    Raises:
        ReaderGoneError: its reader has closed it.
        OutputError: it takes no more for another reason, such as a full disk.
        OSError: EIO, which a closed terminal gives as well.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError("standard output was closed before everything was printed") from error
    except OSError as error:
        if error.errno == errno.EIO:
            raise
        raise OutputError(f"standard output cannot be written: {error.strerror or error}") from error


def flush_output() -> None:
    """Write what is buffered for standard output. Raises OutputError, once: what cannot be written is dropped then."""
    if sys.stdout is None or sys.stdout.closed:
        return
    try:
        with output_errors():
            sys.stdout.flush()
    except OutputError:
        drop_output()
        raise


def drop_output() -> None:
    """Send what is still buffered nowhere, so that Python does not report the same error again when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
