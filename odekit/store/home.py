"""Where the store lies, and whether the network may be used."""

from __future__ import annotations

import os
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


def folder(weights: Weights) -> Path:
    """The folder of named weights in the store."""
    return home() / "weights" / weights.name


def stored(weights: Weights) -> Path:
    """The file of named weights: in the store, or as it ships with its distribution."""
    return weights.path if weights.path is not None else folder(weights) / weights.file


def offline() -> bool:
    """Whether `ODEKIT_OFFLINE` forbids the network."""
    return os.environ.get("ODEKIT_OFFLINE", "").strip().lower() in ON
