"""Pictures and latents too large for one call: half-overlapping tiles, blended by a Gaussian hill."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

SPREAD = 0.1
"""Standard deviation of the hill, in sides of a tile (that of the official program)."""


def starts(length: int, size: int) -> list[int]:
    """Where tiles of `size` begin along a length: every half tile, the last one at the very end."""
    out = list(range(0, length - size + 1, max(1, size // 2)))
    return out if out[-1] == length - size else [*out, length - size]


def hill(height: int, width: int) -> Tensor:
    """Weights (height, width), float32, highest in the middle and never zero."""

    def along(n: int) -> Tensor:
        i = torch.arange(n, dtype=torch.float64)
        return torch.exp(-(((i - (n - 1) / 2) / n) ** 2) / (2 * SPREAD**2))

    return torch.outer(along(height), along(width)).float()


def tiled(
    call: Callable[..., Tensor], inputs: tuple[Tensor, ...], size: int | None, up: int = 1, down: int = 1
) -> Tensor:
    """`call(*inputs)` where they fit in one tile of `size`, else the blend of its results on tiles.

    Inputs are (N, C, H, W) of one H and W. The result has H * up / down rows; with `down`, H, W and `size` are
    multiples of 2 * down.
    """
    height, width = inputs[0].shape[-2:]
    if size is None or max(height, width) <= size:
        return call(*inputs)
    high, wide = min(size, height), min(size, width)
    total: Tensor | None = None
    for top, left in product(starts(height, high), starts(width, wide)):
        part = call(*(x[..., top : top + high, left : left + wide] for x in inputs))
        if total is None:
            shape = (part.shape[0], part.shape[1], height * up // down, width * up // down)
            total, count = part.new_zeros(shape), part.new_zeros(shape[2:])
            weight = hill(*part.shape[-2:]).to(part)
        place = (
            slice(top * up // down, (top + high) * up // down),
            slice(left * up // down, (left + wide) * up // down),
        )
        total[..., place[0], place[1]] += part * weight
        count[place] += weight
    assert total is not None
    return total / count
