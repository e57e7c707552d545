"""Cuts between shots: the picture changes at once, and more than around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels

LEAST_CHANGE = 0.1
"""Smallest mean change of the grey thumbnail at a cut, for values in [0, 1]."""
LEAST_RATIO = 3.0
"""Smallest ratio of that to the change before it: a fast pan changes much in every frame."""
SIDE = 32
"""Side of the thumbnails."""


def thumbnail(pixels: Pixels) -> NDArray[np.float32]:
    """A small grey copy of a frame (3, H, W)."""
    import cv2

    grey = np.ascontiguousarray(pixels.mean(0, dtype=np.float32))
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


class CutFinder:
    """Tells for each frame whether it begins a new shot."""

    def __init__(self) -> None:
        self.before: NDArray[np.float32] | None = None
        self.change = 0.0

    def begins_shot(self, small: NDArray[np.float32]) -> bool:
        """Whether the next frame of the video, with this thumbnail, begins a new shot; False for the first."""
        before, self.before = self.before, small
        if before is None:
            return False
        change, usual = float(np.abs(small - before).mean()), self.change
        self.change = change
        return change >= LEAST_CHANGE and change >= LEAST_RATIO * usual
