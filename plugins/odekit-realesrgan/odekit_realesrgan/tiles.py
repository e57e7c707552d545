"""Positions of tiles along one axis, and their blending weights."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLEND_SHARE = 0.25
"""Fraction of the overlap in which tiles are blended; the rest is discarded, half on each side."""


@dataclass(frozen=True)
class Axis:
    """Tiles of equal side that cover `length` pixels."""

    length: int
    side: int
    starts: tuple[int, ...]
    overlap: int


def cover(length: int, tile: int = 0, overlap: int = 0, multiple: int = 1) -> Axis:
    """Tiles of at most `tile` pixels (0: one tile) that overlap by at least about `overlap`.

    Sides and starts are multiples of `multiple` (required by networks that fold pixels into channels);
    the last start is `length - side`, which is a multiple if `length` is.
    """
    tile = tile // multiple * multiple
    if not 0 < tile < length:
        return Axis(length, length, (0,), overlap)
    min_overlap = min(
        overlap + multiple - 1, tile - multiple
    )  # rounding of the starts reduces the overlap by up to multiple - 1 pixels
    count = math.ceil((length - min_overlap) / (tile - min_overlap))
    side = math.ceil((length + (count - 1) * min_overlap) / count / multiple) * multiple
    last = length - side
    starts = [i * last // (count - 1) // multiple * multiple for i in range(count - 1)]
    return Axis(length, side, (*starts, last), overlap)


@functools.lru_cache(maxsize=64)
def blend_weights(axis: Axis, scale: int) -> list[NDArray[np.float32]]:
    """The blending weights of each tile, scale x side numbers; over all tiles they sum to one at each position."""
    x = np.arange(axis.length * scale) + 0.5
    cuts = [(a + axis.side + b) / 2 * scale for a, b in zip(axis.starts, axis.starts[1:], strict=False)]
    width = max(axis.overlap * BLEND_SHARE * scale, 1e-9)
    rises = [np.ones_like(x), *(np.clip(0.5 + (x - cut) / width, 0, 1) for cut in cuts), np.zeros_like(x)]
    out = []
    for start, rise, fall in zip(axis.starts, rises, rises[1:], strict=False):
        positions = slice(start * scale, (start + axis.side) * scale)
        out.append((rise[positions] * (1 - fall[positions])).astype(np.float32))
    return out
