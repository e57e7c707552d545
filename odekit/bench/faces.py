"""The faces that measurements are made on: a data set with its split, or the test faces of a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError

TEST_FACES = Path(__file__).parents[2] / "tests" / "data" / "faces" / "faces64_test.npz"
"""128 test faces, in a checkout of the repository only."""
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceSet:
    """Pictures uint8 (N, S, S, 3) by split; a split may be empty."""

    train: Pictures
    val: Pictures
    test: Pictures

    @property
    def held_out(self) -> Pictures:
        """val, then test."""
        return np.concatenate([self.val, self.test])


def face_set(path: Path | None, side: int) -> FaceSet:
    """Faces at `side` pixels (area means of larger ones): of a folder, tar or npz, or the checkout's test faces.

    Raises:
        InputError: nothing to read, or no held-out faces in it.
    """
    from odekit.train import sources

    if path is None:
        if not TEST_FACES.is_file():
            raise InputError("no faces to measure on: give --data with a folder, tar or npz of aligned faces")
        with np.load(TEST_FACES, allow_pickle=False) as file:
            test = at_side(file["images"], side)
        return FaceSet(test[:0], test[:0], test)
    found = sources.read(path, side)
    parts = [at_side(found.images[found.split == name], side) for name in sources.SPLITS]
    if not len(parts[1]) + len(parts[2]):
        raise InputError(f"{path}: no val or test faces to measure on; mend its split")
    return FaceSet(*parts)


def at_side(pictures: Pictures, side: int) -> Pictures:
    """The means over blocks of pixels, rounded.

    Raises:
        InputError: the pictures' side is no multiple of `side`.
    """
    count, large = pictures.shape[:2]
    if large % side:
        raise InputError(f"faces of {large} px cannot be reduced to {side} px evenly")
    factor = large // side
    blocks = pictures.reshape(count, side, factor, side, factor, 3)
    out: Pictures = np.rint(blocks.mean((2, 4), dtype=np.float64)).astype(np.uint8)
    return out
