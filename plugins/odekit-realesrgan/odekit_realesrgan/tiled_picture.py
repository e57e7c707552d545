"""Splits a picture into tiles and blends the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from odekit.plugins import Pixels
from odekit_realesrgan.tiles import Axis, blend_weights


@dataclass
class TiledPicture:
    """The tiles of a picture and the blended result so far."""

    pixels: Pixels
    rows: Axis
    columns: Axis
    scale: int

    @cached_property
    def out(self) -> NDArray[np.float32]:
        """The result, (3, scale H, scale W); allocated on first use."""
        return np.zeros((3, self.rows.length * self.scale, self.columns.length * self.scale), np.float32)

    def tiles(self) -> Iterator[tuple[int, int]]:
        """Row and column of every tile."""
        return ((r, c) for r in range(len(self.rows.starts)) for c in range(len(self.columns.starts)))

    def cut(self, tile: tuple[int, int]) -> Pixels:
        """The input pixels of a tile."""
        top, left = self.rows.starts[tile[0]], self.columns.starts[tile[1]]
        return self.pixels[:, top : top + self.rows.side, left : left + self.columns.side]

    def add_tile(self, tile: tuple[int, int], output: Pixels) -> None:
        """Add the network's output for a tile, weighted for blending with its neighbours."""
        r, c = tile
        top, left = self.rows.starts[r] * self.scale, self.columns.starts[c] * self.scale
        weights = blend_weights(self.rows, self.scale)[r][:, None] * blend_weights(self.columns, self.scale)[c]
        self.out[:, top : top + output.shape[1], left : left + output.shape[2]] += output * weights
