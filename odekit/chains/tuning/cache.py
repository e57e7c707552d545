"""Measurements of this machine, cached as JSON in odekit's home folder."""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from odekit.core.files import read_json, write_json
from odekit.errors import OdekitWarning


def machine_key(device: str) -> str:
    """Description of the hardware and of torch: a measurement is valid for one such key."""
    import torch

    if device.startswith("cuda"):
        hardware = torch.cuda.get_device_name(device)
    else:
        capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
        hardware = f"{device} {platform.machine()} {capability} {threads} threads"
    return f"{platform.node()}, {hardware}, torch {torch.__version__}"


def read_cached(file: str, key: str) -> Mapping[str, Any] | None:
    """The entry of a cache file under a key; None if there is none."""
    entries = read_json(_path(file))
    entry = entries.get(_short(key)) if isinstance(entries, dict) else None
    return entry if isinstance(entry, dict) and entry.get("key") == key else None


def write_cached(file: str, key: str, values: Mapping[str, Any], what: str) -> None:
    """Store a measurement. Warns if the cache folder is not writable; `what` names the measurement in the warning."""
    path = _path(file)
    entries = read_json(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, (entries if isinstance(entries, dict) else {}) | {_short(key): {"key": key, **values}})
    except OSError as error:
        message = f"the {what} measured for this machine cannot be stored in {path}: {error.strerror or error}"
        warnings.warn(f"{message}; set ODEKIT_HOME to a writable folder", OdekitWarning, stacklevel=2)


def _path(file: str) -> Path:
    from odekit.plugins.weights.store import home

    return home() / file


def _short(key: str) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
