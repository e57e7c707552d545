"""What was measured once on this machine, kept in odekit's cache folder for the next process."""

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
    """What times depend on, in words."""
    import torch

    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    else:
        name = (
            f"{device} {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()} threads"
        )
    return f"{platform.node()}, {name}, torch {torch.__version__}"


def read_cached(file: str, key: str) -> Mapping[str, Any] | None:
    """What a file of the cache folder holds under a key."""
    found = read_json(_path(file))
    one = found.get(_short(key)) if isinstance(found, dict) else None
    return one if isinstance(one, dict) and one.get("key") == key else None


def write_cached(file: str, key: str, told: Mapping[str, Any], what: str) -> None:
    """Keep what was measured; a cache folder that cannot be written is said, and the run goes on."""
    path = _path(file)
    known = read_json(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, (known if isinstance(known, dict) else {}) | {_short(key): {"key": key, **told}})
    except OSError as error:
        message = f"the {what} measured for this machine cannot be kept in {path}: {error.strerror or error}"
        warnings.warn(f"{message}; set ODEKIT_HOME to a folder that can be written", OdekitWarning, stacklevel=2)


def _path(file: str) -> Path:
    from odekit.plugins.weights.store import home

    return home() / file


def _short(key: str) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
