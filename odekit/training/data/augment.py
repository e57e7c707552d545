"""Light augmentation of aligned faces, drawn from a generator and applied to a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.training.options.base import Augment

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """What happens to each of N pictures. Neutral values where a picture is left alone."""

    flip: NDArray[np.bool_]
    angle: NDArray[np.float32]
    """Radians."""
    zoom: NDArray[np.float32]
    shift: NDArray[np.float32]
    """(N, 2), fractions of the side, along x and y."""
    gain: NDArray[np.float32]
    contrast: NDArray[np.float32]

    def part(self, which: slice) -> Plan:
        """The changes of some of the pictures."""
        return Plan(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def plan(rng: np.random.Generator, count: int, options: Augment, active: bool) -> Plan:
    """Draw the changes of `count` pictures; only flips where not `active`. Uses the same number of draws either way."""
    flip = rng.random(count) < options.flip
    on = (rng.random(count) < options.share) & active

    def around(middle: float, spread: float, *shape: int) -> NDArray[np.float32]:
        draw = rng.uniform(-spread, spread, (count, *shape))
        return (middle + np.where(on.reshape(-1, *[1] * len(shape)), draw, 0.0)).astype(np.float32)

    return Plan(
        flip=flip,
        angle=around(0.0, np.deg2rad(options.angle)),
        zoom=around(1.0, options.zoom),
        shift=around(0.0, options.shift, 2),
        gain=around(1.0, options.brightness),
        contrast=around(1.0, options.contrast),
    )


def apply(pictures: Tensor, what: Plan, side: int) -> Tensor:
    """Float pictures (N, 3, S, S) in [0, 1], changed and reduced to (N, 3, side, side) in [0, 1].

    Pictures larger than `side` are warped first and area-reduced after, so that warping does not soften them.
    Beyond the border the picture is mirrored.
    """
    import torch
    from torch.nn import functional

    x = torch.where(torch.from_numpy(what.flip).view(-1, 1, 1, 1), pictures.flip(3), pictures)
    moved = (what.angle != 0) | (what.zoom != 1) | (what.shift != 0).any(1)
    if moved.any():
        index = torch.from_numpy(np.flatnonzero(moved))
        grid = functional.affine_grid(
            torch.from_numpy(_matrices(what)[moved]), [len(index), *x.shape[1:]], align_corners=False
        )
        warped = functional.grid_sample(x[index], grid, "bicubic", "reflection", align_corners=False)
        x = x.index_copy(0, index, warped)
    x = reduce(x, side)
    mean = x.mean((1, 2, 3), keepdim=True)
    gain, contrast = (torch.from_numpy(v).view(-1, 1, 1, 1) for v in (what.gain, what.contrast))
    return ((x - mean) * contrast + mean * gain).clamp(0.0, 1.0)


def reduce(x: Tensor, side: int) -> Tensor:
    """Area-downsample (N, 3, S, S) to `side`; unchanged where it has that side already."""
    from torch.nn import functional

    return x if x.shape[-1] == side else functional.interpolate(x, size=(side, side), mode="area")


def _matrices(what: Plan) -> NDArray[np.float32]:
    """(N, 2, 3) maps from output to input places, in units of half the side (as affine_grid wants them)."""
    cos, sin = np.cos(what.angle) / what.zoom, np.sin(what.angle) / what.zoom
    rows = np.stack([cos, -sin, -2 * what.shift[:, 0], sin, cos, -2 * what.shift[:, 1]], axis=1)
    return np.ascontiguousarray(rows.reshape(-1, 2, 3), dtype=np.float32)
