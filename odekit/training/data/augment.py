"""Light augmentation of aligned faces: random parameters for each picture, applied to a batch at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.training.options.base import AugmentOptions

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Transforms:
    """Parameters of the transforms of N pictures; neutral values leave a picture unchanged."""

    flip: NDArray[np.bool_]
    angle: NDArray[np.float32]
    """Radians."""
    zoom: NDArray[np.float32]
    shift: NDArray[np.float32]
    """(N, 2), fractions of the side, along x and y."""
    gain: NDArray[np.float32]
    contrast: NDArray[np.float32]

    def part(self, which: slice) -> Transforms:
        """The parameters of some of the pictures."""
        return Transforms(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def draw_transforms(rng: np.random.Generator, count: int, options: AugmentOptions, active: bool) -> Transforms:
    """Random parameters for `count` pictures; flips only if not `active`. The number of draws is the same."""
    flip = rng.random(count) < options.flip
    augmented = (rng.random(count) < options.share) & active

    def uniform(centre: float, half_width: float, *shape: int) -> NDArray[np.float32]:
        draw = rng.uniform(-half_width, half_width, (count, *shape))
        return (centre + np.where(augmented.reshape(-1, *[1] * len(shape)), draw, 0.0)).astype(np.float32)

    return Transforms(
        flip=flip,
        angle=uniform(0.0, np.deg2rad(options.angle)),
        zoom=uniform(1.0, options.zoom),
        shift=uniform(0.0, options.shift, 2),
        gain=uniform(1.0, options.brightness),
        contrast=uniform(1.0, options.contrast),
    )


def apply(pictures: Tensor, parameters: Transforms, side: int) -> Tensor:
    """Augmented pictures (N, 3, side, side) in [0, 1].

    Pictures larger than `side` are warped before they are area-reduced, so that warping does not soften them. Beyond
    its border a picture is continued by its mirror image.

    Args:
        pictures: float (N, 3, S, S) in [0, 1].
        parameters: the parameters of the transforms.
        side: side of the result, at most S.
    """
    import torch
    from torch.nn import functional

    x = torch.where(torch.from_numpy(parameters.flip).view(-1, 1, 1, 1), pictures.flip(3), pictures)
    warp = (parameters.angle != 0) | (parameters.zoom != 1) | (parameters.shift != 0).any(1)
    if warp.any():
        index = torch.from_numpy(np.flatnonzero(warp))
        theta = torch.from_numpy(_affine(parameters)[warp])
        grid = functional.affine_grid(theta, [len(index), *x.shape[1:]], align_corners=False)
        warped = functional.grid_sample(x[index], grid, "bicubic", "reflection", align_corners=False)
        x = x.index_copy(0, index, warped)
    x = area_reduce(x, side)
    mean = x.mean((1, 2, 3), keepdim=True)
    gain, contrast = (torch.from_numpy(v).view(-1, 1, 1, 1) for v in (parameters.gain, parameters.contrast))
    return ((x - mean) * contrast + mean * gain).clamp(0.0, 1.0)


def area_reduce(x: Tensor, side: int) -> Tensor:
    """Area-downsample (N, 3, S, S) to `side`; unchanged if S equals `side`."""
    from torch.nn import functional

    return x if x.shape[-1] == side else functional.interpolate(x, size=(side, side), mode="area")


def _affine(parameters: Transforms) -> NDArray[np.float32]:
    """(N, 2, 3) affine maps from output to input positions, in the coordinates of `affine_grid` (-1 to 1)."""
    cos, sin = np.cos(parameters.angle) / parameters.zoom, np.sin(parameters.angle) / parameters.zoom
    rows = np.stack([cos, -sin, -2 * parameters.shift[:, 0], sin, cos, -2 * parameters.shift[:, 1]], axis=1)
    return np.ascontiguousarray(rows.reshape(-1, 2, 3), dtype=np.float32)
