"""Between pictures and the float64 states that solvers move (see `odekit.image` for the conventions)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from odekit.image import Image, Pixels

if TYPE_CHECKING:
    from torch import Tensor


def to_state(pixels: Sequence[Pixels]) -> Tensor:
    """Pictures of one size as a state: float64 (N, 3, H, W), `2 * pixels - 1`."""
    import torch

    return torch.from_numpy(2.0 * np.stack(pixels).astype(np.float64) - 1.0)


def from_state(state: Tensor) -> list[Pixels]:
    """A clean state as pictures, float32 (3, H, W); values outside [0, 1] are clipped."""
    array = state.detach().cpu().numpy()
    return [np.clip((row + 1.0) / 2.0, 0.0, 1.0).astype(np.float32) for row in array]


def stack(images: Sequence[Image]) -> Tensor:
    """The pixels of images of one size as a state."""
    return to_state([image.pixels for image in images])
