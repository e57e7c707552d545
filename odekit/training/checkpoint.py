"""The checkpoint of a run: one file, replaced atomically. A kill at any moment leaves the old or the new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from odekit.errors import WeightsError

FILE_NAME = "checkpoint.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to `folder/checkpoint.pt`: to a temporary file, fsync, then rename."""
    import torch

    temporary = folder / (FILE_NAME + ".new")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE_NAME)


def load(folder: Path) -> dict[str, Any]:
    """Read `folder/checkpoint.pt` with `weights_only=True`: tensors and plain values, no code.

    Raises:
        WeightsError: the file is missing or cannot be read.
    """
    import torch

    path = folder / FILE_NAME
    if not path.is_file():
        raise WeightsError(f"{path}: no checkpoint to resume from; leave out --resume to start a new run")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path}: the checkpoint cannot be read ({error}); start a new run in another folder"
        ) from error
    return state
