"""Small faces that a chain restored, beside the large ones they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images import io


def read(folder: Path, names: Sequence[str], side: int) -> dict[int, NDArray[np.uint8]]:
    """Pictures (side, side, 3) by their place in `names`; endings and folders of the names do not matter.

    Raises:
        InputError: no such folder, a picture of another size, or none that belongs to a name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of restored faces")
    there = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in io.SUFFIXES}
    found: dict[int, NDArray[np.uint8]] = {}
    for number, name in enumerate(names):
        path = there.get(Path(name).stem)
        if path is None:
            continue
        found[number] = io.read(path).to_uint8()
        if found[number].shape != (side, side, 3):
            height, width = found[number].shape[:2]
            raise InputError(f"{path}: {width} x {height} pixels; restored faces must be {side} x {side}")
    if not found:
        raise InputError(
            f"{folder}: no picture here is named as one of the {len(names)} faces of this part of the data"
        )
    return found
