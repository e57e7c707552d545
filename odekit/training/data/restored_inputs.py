"""Restored small faces, matched by file name to their large training faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images import io


def read(folder: Path, names: Sequence[str], side: int) -> dict[int, NDArray[np.uint8]]:
    """Pictures (side, side, 3) of `folder` by index in `names`. Suffixes and folders of the names are ignored.

    Raises:
        InputError: a missing folder, a picture of another size, or no picture that matches a name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of restored faces")
    paths = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in io.IMAGE_SUFFIXES}
    restored: dict[int, NDArray[np.uint8]] = {}
    for index, name in enumerate(names):
        path = paths.get(Path(name).stem)
        if path is None:
            continue
        picture = io.read(path).to_uint8()
        if picture.shape != (side, side, 3):
            height, width = picture.shape[:2]
            raise InputError(f"{path}: {width} x {height} pixels; restored faces must be {side} x {side}")
        restored[index] = picture
    if not restored:
        raise InputError(f"{folder}: no picture has the name of one of the {len(names)} faces of this split")
    return restored
