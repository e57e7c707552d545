"""Whether tracebacks are shown: `odekit run --debug`, or ODEKIT_DEBUG=1 for every command."""

from __future__ import annotations

import os
import traceback

VARIABLE = "ODEKIT_DEBUG"


def debugging() -> bool:
    """Whether ODEKIT_DEBUG is set, to anything but 0."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def traceback_lines(error: BaseException) -> list[str]:
    """The traceback of an error with those of its causes, line by line."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip().splitlines()
