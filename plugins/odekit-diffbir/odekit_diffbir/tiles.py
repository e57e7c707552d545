"""Pictures and latents too large for one call: half-overlapping tiles, blended with a Gaussian window."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

WINDOW_SIGMA = 0.1
"""Standard deviation of the window as a fraction of the tile's side, as in the official program."""


def starts(length: int, size: int) -> list[int]:
    """Start positions of tiles of `size` along a length: every half tile; the last tile ends at the border."""
    out = list(range(0, length - size + 1, max(1, size // 2)))
    return out if out[-1] == length - size else [*out, length - size]


def gaussian_window(height: int, width: int) -> Tensor:
    """Weights (height, width), float32, with the maximum at the centre and no zeros."""

    def along(n: int) -> Tensor:
        i = torch.arange(n, dtype=torch.float64)
        return torch.exp(-(((i - (n - 1) / 2) / n) ** 2) / (2 * WINDOW_SIGMA**2))

    return torch.outer(along(height), along(width)).float()


def tiled(
    call: Callable[..., Tensor], inputs: tuple[Tensor, ...], size: int | None, up: int = 1, down: int = 1
) -> Tensor:
    """`call(*inputs)` if they fit into one tile of `size`, otherwise the blend of its results on tiles.

    Inputs are (N, C, H, W) of one H and W. The result has H * up / down rows; with `down`, H, W and `size` are
    multiples of 2 * down.
    """
    height, width = inputs[0].shape[-2:]
    if size is None or max(height, width) <= size:
        return call(*inputs)
    tile_height, tile_width = min(size, height), min(size, width)
    total: Tensor | None = None
    for top, left in product(starts(height, tile_height), starts(width, tile_width)):
        part = call(*(x[..., top : top + tile_height, left : left + tile_width] for x in inputs))
        if total is None:
            shape = (part.shape[0], part.shape[1], height * up // down, width * up // down)
            total, weight_sum = part.new_zeros(shape), part.new_zeros(shape[2:])
            weight = gaussian_window(*part.shape[-2:]).to(part)
        region = (
            slice(top * up // down, (top + tile_height) * up // down),
            slice(left * up // down, (left + tile_width) * up // down),
        )
        total[..., region[0], region[1]] += part * weight
        weight_sum[region] += weight
    assert total is not None
    return total / weight_sum
