"""A picture between its tiles and its result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from odekit.plugins import Pixels
from odekit_realesrgan.tiles import Axis, fades


@dataclass
class Canvas:
    """Where a picture's tiles lie, and what is painted of the result."""

    pixels: Pixels
    rows: Axis
    columns: Axis
    scale: int

    @cached_property
    def out(self) -> NDArray[np.float32]:
        """The result, (3, scale H, scale W); made when the first tile is painted."""
        return np.zeros((3, self.rows.length * self.scale, self.columns.length * self.scale), np.float32)

    def tiles(self) -> Iterator[tuple[int, int]]:
        """Row and column of every tile."""
        return ((r, c) for r in range(len(self.rows.starts)) for c in range(len(self.columns.starts)))

    def cut(self, tile: tuple[int, int]) -> Pixels:
        """The pixels of a tile."""
        top, left = self.rows.starts[tile[0]], self.columns.starts[tile[1]]
        return self.pixels[:, top : top + self.rows.side, left : left + self.columns.side]

    def paint(self, tile: tuple[int, int], big: Pixels) -> None:
        """Add what the network made of a tile, faded at its inner edges."""
        r, c = tile
        top, left = self.rows.starts[r] * self.scale, self.columns.starts[c] * self.scale
        counts = fades(self.rows, self.scale)[r][:, None] * fades(self.columns, self.scale)[c]
        self.out[:, top : top + big.shape[1], left : left + big.shape[2]] += big * counts
