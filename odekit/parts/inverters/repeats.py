"""Values that repeat exactly where no picture of a face repeats: masks of one colour, columns and rows of one value.

Noise and the structure of a face give neighbours different values. A mask painted in one colour repeats it, however
near that colour is to skin; a masked column has one value from top to bottom. Saturated values do not count: dark
noise and burnt out light repeat them, too. Everything is in model space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = 255
"""Steps of an 8-bit value from -1 to 1."""
SATURATED = 2
"""Levels at each end that count as saturated."""
LEAST = 0.08
"""Least share of the pixels with one colour that is evidence of a mask. The most frequent colour of 64-pixel faces in
front of an even background covers a few percent, in one piece."""


def repeated_values(y: Tensor) -> Tensor:
    """Which values of pictures (N, 3, H, W) repeat as only a mask repeats them, as bool (N, 3, H, W)."""
    levels = ((y + 1) * (LEVELS / 2)).round().clamp(0, LEVELS).long()
    return torch.stack([scattered_colour(one) | lines(one) | lines(one.mT).mT for one in levels])


def scattered_colour(levels: Tensor) -> Tensor:
    """The pixels of the most frequent colour, if they are scattered (3, H, W); levels (3, H, W) are 0 to 255.

    In an even background the neighbours of a pixel have its colour; in a scattered mask no more than any pixel.
    """
    code = (levels[0] * (LEVELS + 1) + levels[1]) * (LEVELS + 1) + levels[2]
    colours, counts = torch.unique(code, return_counts=True)
    colour = int(colours[counts.argmax()])
    same = (code == colour).double()
    share = float(same.mean())
    kernel = torch.ones(1, 1, 3, 3, dtype=same.dtype, device=same.device)
    kernel[..., 1, 1] = 0
    size = functional.conv2d(torch.ones_like(same)[None, None], kernel, padding=1)
    around = functional.conv2d(same[None, None], kernel, padding=1) / size
    nearby = float((around[0, 0] * same).sum() / same.sum())
    own = [colour // (LEVELS + 1) ** 2, colour // (LEVELS + 1) % (LEVELS + 1), colour % (LEVELS + 1)]
    found = share >= LEAST and nearby < (1 + share) / 2 and not all(map(saturated, own))
    return (same > 0).expand_as(levels) if found else torch.zeros_like(levels, dtype=torch.bool)


def lines(levels: Tensor) -> Tensor:
    """The columns of one value in one channel, beside which the picture has others (3, H, W)."""
    first = levels[:, :1]
    constant = (levels == first).all(dim=1)
    ends = (first[:, 0] < SATURATED) | (first[:, 0] > LEVELS - SATURATED)
    same = torch.zeros_like(constant)
    same[:, 1:] = constant[:, 1:] & constant[:, :-1] & (first[:, 0, 1:] == first[:, 0, :-1])
    part_of_area = same | functional.pad(same[:, 1:], (0, 1))
    found = constant & ~ends & ~part_of_area
    return found[:, None].expand_as(levels)


def saturated(level: int) -> bool:
    """Whether an 8-bit level is at an end of the range."""
    return level < SATURATED or level > LEVELS - SATURATED
