"""Process large pictures in overlapping tiles, several at once, so that memory does not grow with the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from odekit.core.threads import in_threads

Planes = NDArray[np.float32]
"""(C, H, W)."""


def apply_in_tiles(
    function: Callable[[Planes], Planes], planes: Planes, tile: int, margin: int, channels: int | None = None
) -> Planes:
    """Apply a function to tiles of a picture, and put the results together.

    Args:
        function: from planes (C, h, w) to planes (`channels`, h, w). Several threads call it.
        planes: (C, H, W).
        tile: side of a tile of the result, in pixels.
        margin: pixels around a tile that the function gets as context, where the picture has them.
        channels: of the result; None: C.
    """
    height, width = planes.shape[1:]
    out = np.empty((channels or len(planes), height, width), np.float32)

    def run(corner: tuple[int, int]) -> None:
        top, left = corner
        y, x = max(0, top - margin), max(0, left - margin)
        result = function(planes[:, y : top + tile + margin, x : left + tile + margin])
        inner = result[:, top - y : top - y + tile, left - x : left - x + tile]
        out[:, top : top + tile, left : left + tile] = inner

    in_threads(run, [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)])
    return out
