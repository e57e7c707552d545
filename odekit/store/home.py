"""Where the store lies, and whether the network may be used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from odekit.entries import Weights

ON = ("1", "true", "yes", "on")


def home() -> Path:
    """odekit's own folder: `ODEKIT_HOME`, else the user's cache folder."""
    wanted = os.environ.get("ODEKIT_HOME")
    if wanted:
        return Path(wanted).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("odekit", appauthor=False)


@contextlib.contextmanager
def alone_with(file: str) -> Iterator[None]:
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
