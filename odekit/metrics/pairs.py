"""What metrics of pairs have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.image import Image


def same_size(restored: Image, reference: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both pictures as float64 (3, H, W) in [0, 1].

    Raises:
        InputError: their sizes differ.
    """
    if restored.pixels.shape != reference.pixels.shape:
        raise InputError(
            f"pictures of {restored.width}x{restored.height} and {reference.width}x{reference.height} cannot be "
            "compared; bring them to one size first"
        )
    return restored.pixels.astype(np.float64), reference.pixels.astype(np.float64)
