"""Detail of the original that is finer than the network's output, kept where the network left the original alone."""

from __future__ import annotations

import numpy as np

from odekit.core.image import Pixels
from odekit.images.resize import square_resize
from odekit.images.smooth import window_mean

TOLERANCE = 0.02
"""Root mean square change of a pixel at which the share of the original's fine detail is 1/e."""
WINDOW = 9
"""Side of the window over which changes are averaged, in pixels of the network's output."""


def add_own_detail(result: Pixels, seen: Pixels, original: Pixels, side: int) -> Pixels:
    """A network's result enlarged to `side`, with the original's detail that is finer than the result.

    `up(r) + w (o - up(y))`: r the result, o the original, y the original as the network saw it. The weight w is
    `exp(-(change / TOLERANCE)^2)`, change the root mean square of r - y around a pixel: where the network changed the
    face, the original's finer detail is damaged, too.

    Args:
        result: the network's output (3, n, n) in [0, 1].
        seen: the original as the network saw it (3, n, n).
        original: the original (3, H, W), of any size.
        side: of the returned face.
    """
    enlarged = square_resize(result, side)
    if side <= result.shape[1] or min(original.shape[1:]) <= result.shape[1]:
        return enlarged
    change = window_mean(((result - seen) ** 2).mean(0, np.float64), WINDOW, "edge")
    weight = square_resize(np.exp(-change / TOLERANCE**2)[None].astype(np.float32), side)
    fine = square_resize(original, side) - square_resize(seen, side)
    out: Pixels = np.clip(enlarged + weight * fine, 0, 1).astype(np.float32)
    return out
