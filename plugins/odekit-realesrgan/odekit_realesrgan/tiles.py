"""Where tiles lie along one axis, and how much each of them counts."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FADE = 0.25
"""Share of the overlap over which one tile fades into the next; the rest of it is dropped on either side."""


@dataclass(frozen=True)
class Axis:
    """Equal tiles that cover `length` pixels."""

    length: int
    side: int
    starts: tuple[int, ...]
    overlap: int


def cover(length: int, tile: int = 0, overlap: int = 0, multiple: int = 1) -> Axis:
    """Tiles of at most `tile` pixels (0: one tile), neighbours sharing at least about `overlap`.

    Sides and starts are multiples of `multiple` (networks that fold pixels into channels see another picture
    otherwise); the last start is `length - side`, which is one where length is.
    """
    tile = tile // multiple * multiple
    if not 0 < tile < length:
        return Axis(length, length, (0,), overlap)
    room = min(overlap + multiple - 1, tile - multiple)  # rounding the starts may cost up to multiple - 1 pixels
    count = math.ceil((length - room) / (tile - room))
    side = math.ceil((length + (count - 1) * room) / count / multiple) * multiple
    last = length - side
    starts = [i * last // (count - 1) // multiple * multiple for i in range(count - 1)]
    return Axis(length, side, (*starts, last), overlap)


@functools.lru_cache(maxsize=64)
def fades(axis: Axis, scale: int) -> list[NDArray[np.float32]]:
    """For each tile what its pixels count, scale x side numbers; over all tiles they sum to one at each place."""
    x = np.arange(axis.length * scale) + 0.5
    cuts = [(a + axis.side + b) / 2 * scale for a, b in zip(axis.starts, axis.starts[1:], strict=False)]
    width = max(axis.overlap * FADE * scale, 1e-9)
    rises = [np.ones_like(x), *(np.clip(0.5 + (x - cut) / width, 0, 1) for cut in cuts), np.zeros_like(x)]
    out = []
    for start, rise, fall in zip(axis.starts, rises, rises[1:], strict=False):
        here = slice(start * scale, (start + axis.side) * scale)
        out.append((rise[here] * (1 - fall[here])).astype(np.float32))
    return out
