"""Running out of disk, and other troubles with the store's folder, said in one line."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from odekit.errors import WeightsError

FULL = (errno.ENOSPC, errno.EDQUOT)


def size_text(count: int) -> str:
    """Bytes for people: `376.6 MB`."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


def room_for(count: int, folder: Path) -> None:
    """Raise WeightsError where a folder's disk has not `count` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < count:
        raise WeightsError(
            f"{folder}: the disk has {size_text(free)} left, and {size_text(count)} are needed; "
            "free some, or set ODEKIT_HOME to a folder on another disk"
        )


def trouble(error: OSError, folder: Path, kept: str = "") -> WeightsError:
    """The error to raise for an OSError while writing into the store."""
    if error.errno in FULL:
        return WeightsError(
            f"{folder}: the disk is full{kept}; free some space, or set ODEKIT_HOME to a folder on another disk"
        )
    return WeightsError(f"{folder}: cannot be written ({error.strerror or error}); check it, or set ODEKIT_HOME")


def make_folder(folder: Path) -> None:
    """Create a folder of the store. Raises WeightsError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise trouble(error, folder) from error
