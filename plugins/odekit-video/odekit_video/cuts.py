"""Cuts between shots: the picture changes at once, and more than around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels

LEAST_CHANGE = 0.1
"""Smallest mean change of the grey thumbnail at a cut, for values in [0, 1]."""
LEAST_RATIO = 3.0
"""Smallest ratio of that to the change before it: a fast pan changes much in every frame."""
LEAST_DROP = 1.5
"""Smallest ratio of it to the change behind it: where a pan begins, the frames behind change as much."""
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
        self.usual = 0.0
        """Change before the frame."""
        self.waited = False
        """Whether the frame before changed as much as at a cut, but might be the first of a pan."""

    def begins_shot(self, small: NDArray[np.float32], following: NDArray[np.float32] | None) -> bool:
        """Whether the next frame of the video, with this thumbnail, begins a new shot; False for the first.

        Args:
            small: its thumbnail.
            following: that of the frame behind it; None for the last.
        """
        before, self.before = self.before, small
        if before is None:
            return False
        change, waited = change_of(before, small), self.waited
        behind = 0.0 if following is None else change_of(small, following)
        jump = change >= LEAST_CHANGE and change >= LEAST_RATIO * self.usual
        self.waited = jump and change < LEAST_DROP * behind and not waited
        if not self.waited:  # else the next frame is compared with the same: a shot may be one frame long
            self.usual = change
        return jump and change >= LEAST_DROP * behind


def change_of(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """Mean difference of two thumbnails."""
    return float(np.abs(one - two).mean())
