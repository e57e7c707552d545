"""The weights store on disk: its folder, locks, free space, and receipts of the stored files."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from odekit.core.files import exclusive, read_json, write_json
from odekit.errors import WeightsError
from odekit.plugins.catalog import Weights

TRUE_VALUES = ("1", "true", "yes", "on")
"""Values of `ODEKIT_OFFLINE` that switch the network off."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk or an exceeded quota."""
RECEIPT = "odekit.json"
"""File name of a receipt, beside the weights file."""


def home() -> Path:
    """odekit's own folder: `ODEKIT_HOME`, else the user's cache folder."""
    configured = os.environ.get("ODEKIT_HOME")
    if configured:
        return Path(configured).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("odekit", appauthor=False)


def weights_folder(weights: Weights) -> Path:
    """The folder of named weights in the store."""
    return home() / "weights" / weights.name


def stored_path(weights: Weights) -> Path:
    """The path of named weights: in the store, or in the distribution that ships them.

    In the store it is the published file, or else the file made from a package if that is there.
    """
    if weights.path is not None:
        return weights.path
    published = weights_folder(weights) / weights.file
    if weights.package is not None and not published.exists():
        made = weights_folder(weights) / weights.package.file
        if made.exists():
            return made
    return published


def registered_sha256(weights: Weights) -> str | None:
    """The SHA-256 that the file at `stored_path` must have; None if it is unknown."""
    package = weights.package
    made = package is not None and weights.path is None and stored_path(weights).name == package.file
    return package.file_sha256 if made and package is not None else weights.sha256


def is_offline() -> bool:
    """Whether `ODEKIT_OFFLINE` switches the network off."""
    return os.environ.get("ODEKIT_OFFLINE", "").strip().lower() in TRUE_VALUES


@contextlib.contextmanager
def lock_file(file: str) -> Iterator[None]:
    """Lock a file of odekit's folder against other processes; without a lock if the folder is not writable."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            home().mkdir(parents=True, exist_ok=True)
            stack.enter_context(exclusive(home() / f"{file}.lock"))
        yield


@contextlib.contextmanager
def lock_folder(folder: Path, on_message: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Lock a folder against other processes. A killed process releases its lock.

    Args:
        folder: an existing folder.
        on_message: receives a message if another process holds the lock.

    Raises:
        WeightsError: the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            wait = functools.partial(on_message, f"another process is writing to {folder}; waiting for it")
            stack.enter_context(exclusive(folder / ".lock", on_wait=wait))
        except OSError as error:
            raise storage_error(error, folder) from error
        yield


def make_folder(folder: Path) -> None:
    """Create a folder of the store. Raises WeightsError if this fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error


def size_text(count: int) -> str:
    """A number of bytes as text: `376.6 MB`."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


def check_free_space(count: int, folder: Path) -> None:
    """Raise WeightsError if the disk of a folder has less than `count` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < count:
        raise WeightsError(
            f"{folder}: the disk has {size_text(free)} left, and {size_text(count)} are needed; "
            "free some space, or set ODEKIT_HOME to a folder on another disk"
        )


def storage_error(error: OSError, folder: Path, kept: str = "") -> WeightsError:
    """The WeightsError for an OSError while writing to the store. `kept` is a remark on partial files."""
    if error.errno in DISK_FULL:
        return WeightsError(
            f"{folder}: the disk is full{kept}; free some space, or set ODEKIT_HOME to a folder on another disk"
        )
    return WeightsError(f"{folder}: cannot be written ({error.strerror or error}); check it, or set ODEKIT_HOME")


@dataclass(frozen=True)
class Receipt:
    """Size, time, digest and source of a file when it was added to the store."""

    sha256: str
    bytes: int
    mtime_ns: int
    source: str
    """URL, or path on this machine."""
    when: str
    """Time in UTC."""
    other: bool = False
    """The file is not the published one and was accepted anyway (`--allow-other`)."""
    accepted: str = ""
    """The licence that was accepted for the download."""

    def unchanged(self, file: Path) -> bool:
        """Whether size and modification time are still the same, so that the SHA-256 need not be checked again."""
        stat = file.stat()
        return stat.st_size == self.bytes and stat.st_mtime_ns == self.mtime_ns

    def with_current_mtime(self, file: Path) -> Receipt:
        """A receipt for the same bytes with the file's current modification time."""
        return replace(self, mtime_ns=file.stat().st_mtime_ns)


def new_receipt(file: Path, sha256: str, source: str, other: bool = False, accepted: str = "") -> Receipt:
    """A receipt for a file with this SHA-256, as of now."""
    stat, now = file.stat(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Receipt(sha256, stat.st_size, stat.st_mtime_ns, source, now, other, accepted)


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write the receipt of a folder."""
    write_json(folder / RECEIPT, asdict(receipt))


def read_receipt(folder: Path) -> Receipt | None:
    """The receipt of a folder; None if it is missing or not readable."""
    content = read_json(folder / RECEIPT)
    try:
        return Receipt(**content)
    except TypeError:
        return None
