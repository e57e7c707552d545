"""The state of a run in one file, replaced atomically: a kill at any moment leaves the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from odekit.errors import WeightsError

NAME = "checkpoint.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to `folder/checkpoint.pt`, through a temporary name and fsync."""
    import torch

    fresh = folder / (NAME + ".new")
    with fresh.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / NAME)


def load(folder: Path) -> dict[str, Any]:
    """Read `folder/checkpoint.pt` (tensors and plain values only; nothing in it can run code).

    Raises:
        WeightsError: there is none, or it cannot be read.
    """
    import torch

    path = folder / NAME
    if not path.is_file():
        raise WeightsError(f"{path}: no checkpoint to resume from; leave out --resume to start anew")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path}: the checkpoint cannot be read ({error}); start anew in another folder") from error
    return state
