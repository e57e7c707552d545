"""Where the store lies, and whether the network may be used."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from odekit.core.files import read_json, write_json
from odekit.errors import WeightsError
from odekit.plugins.catalog import Weights

ON = ("1", "true", "yes", "on")


def home() -> Path:
    """odekit's own folder: `ODEKIT_HOME`, else the user's cache folder."""
    wanted = os.environ.get("ODEKIT_HOME")
    if wanted:
        return Path(wanted).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("odekit", appauthor=False)


@contextlib.contextmanager
def exclusive_file(file: str) -> Iterator[None]:
    """One process at a time with a file of that folder; where the folder cannot be written, each on its own."""
    from filelock import FileLock

    lock = FileLock(home() / f"{file}.lock")
    with contextlib.suppress(OSError):
        home().mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def folder(weights: Weights) -> Path:
    """The folder of named weights in the store."""
    return home() / "weights" / weights.name


def stored(weights: Weights) -> Path:
    """The file of named weights: in the store, or as it ships with its distribution."""
    return weights.path if weights.path is not None else folder(weights) / weights.file


def offline() -> bool:
    """Whether `ODEKIT_OFFLINE` forbids the network."""
    return os.environ.get("ODEKIT_OFFLINE", "").strip().lower() in ON


FULL = (errno.ENOSPC, errno.EDQUOT)


def size_text(count: int) -> str:
    """Bytes for people: `376.6 MB`."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


def check_free_space(count: int, folder: Path) -> None:
    """Raise WeightsError where a folder's disk has not `count` bytes left."""
    free = shutil.disk_usage(folder).free
    if free < count:
        raise WeightsError(
            f"{folder}: the disk has {size_text(free)} left, and {size_text(count)} are needed; "
            "free some, or set ODEKIT_HOME to a folder on another disk"
        )


def storage_error(error: OSError, folder: Path, kept: str = "") -> WeightsError:
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
        raise storage_error(error, folder) from error


@contextlib.contextmanager
def exclusive_folder(place: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the folder's lock; `say` is told where another process has it. A dead process holds none.

    Raises:
        WeightsError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(place / ".lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is filling {place}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise storage_error(error, place) from error
    try:
        yield
    finally:
        lock.release()


RECEIPT = "odekit.json"


@dataclass(frozen=True)
class Receipt:
    """A file as it was when it came in."""

    sha256: str
    bytes: int
    mtime_ns: int
    source: str
    """URL, or path on this machine."""
    when: str
    """UTC."""
    other: bool = False
    """It is not the published file, and was taken all the same (`--allow-other`)."""
    accepted: str = ""
    """The licence that was accepted for the download."""

    def unchanged(self, file: Path) -> bool:
        """Whether size and time are still the same, so that its bytes need not be read again."""
        stat = file.stat()
        return stat.st_size == self.bytes and stat.st_mtime_ns == self.mtime_ns

    def seen(self, file: Path) -> Receipt:
        """The receipt of the same bytes with the file's time of today."""
        return replace(self, mtime_ns=file.stat().st_mtime_ns)


def new_receipt(file: Path, sha256: str, source: str, other: bool = False, accepted: str = "") -> Receipt:
    """A receipt for a file of this digest."""
    stat, now = file.stat(), datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Receipt(sha256, stat.st_size, stat.st_mtime_ns, source, now, other, accepted)


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Put a receipt beside its file."""
    write_json(folder / RECEIPT, asdict(receipt))


def read_receipt(folder: Path) -> Receipt | None:
    """The receipt in a folder; None where there is none that can be read."""
    content = read_json(folder / RECEIPT)
    try:
        return Receipt(**content)
    except TypeError:
        return None
