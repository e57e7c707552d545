"""Errors in the words of the page."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import odekit
from odekit.core.console_advice import without_console_advice

INSTALLING = re.compile(r"\bpip (?:install|download)\b|\bodekit weights\b")
FULL = (errno.ENOSPC, errno.EDQUOT)


def page_message(error: odekit.OdekitError) -> str:
    """The message without commands to type, in one line."""
    message = str(error)
    who = "; who runs this page can install what is missing" if INSTALLING.search(message) else ""
    return without_console_advice(message) + who


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Raises failures to write as one line that begins with a name and tells no places of this machine.

    Raises:
        OutputError: a file cannot be written.
    """
    try:
        yield
    except (OSError, odekit.OdekitError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        raise odekit.OutputError(f"{name}: {why_not_written(cause)}") from error


def why_not_written(cause: BaseException | None) -> str:
    """The reason in words."""
    if getattr(cause, "errno", None) in FULL:
        return "the disk of this machine is full"
    reason = getattr(cause, "strerror", None)
    return "it cannot be written on this machine" + (f" ({reason})" if reason else "")
