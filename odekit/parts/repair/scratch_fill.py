"""Fill scratches: interpolated between their sides, on the tone curve of a monochrome print, with the grain around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import luma
from odekit.parts.repair.inpaint import inpaint_directional, inpaint_membrane

Mask = NDArray[np.bool_]
"""(H, W)."""
TONE_LEVELS = 33
"""Support points of a tone curve."""
MONOCHROME_RESIDUAL = 0.015
"""Largest root mean square distance from the tone curve of a monochrome picture, for pixels in [0, 1]."""
GRAIN_SIGMA = 1.2
"""Grain is what a Gaussian of this standard deviation takes away, in pixels."""
GRAIN_REACH = 6.0
"""Standard deviation of the window in which the strength of the grain is measured, in pixels."""
GRAIN_CLIP = 2.0
"""Grain is clipped to this many local standard deviations, so that no edges are copied."""


@dataclass(frozen=True)
class ToneCurve:
    """R, G and B of a monochrome picture as functions of the luma."""

    levels: NDArray[np.float32]
    """(3, `TONE_LEVELS`), at equally spaced lumas in [0, 1]."""

    def colours(self, y: NDArray[np.float32]) -> Pixels:
        """The colours (3, ...) of lumas (...)."""
        support = np.linspace(0, 1, self.levels.shape[1])
        return np.stack([np.interp(y, support, channel) for channel in self.levels]).astype(np.float32)


def tone_curve(pixels: Pixels, known: Mask) -> ToneCurve | None:
    """The tone curve of a monochrome picture (grey, sepia or otherwise toned); None for a picture in colour.

    Args:
        pixels: (3, H, W).
        known: (H, W), the undamaged pixels.
    """
    colours = pixels[:, known]
    if not colours.size:
        return None
    y = luma(colours)
    position = np.clip(y, 0, 1) * (TONE_LEVELS - 1)
    number = np.rint(position).astype(int)
    count = np.bincount(number, minlength=TONE_LEVELS)
    filled = np.flatnonzero(count)
    offsets = []
    for channel in colours:  # channel minus luma: extrapolated as a constant where no pixel has the luma
        mean = np.bincount(number, channel - y, TONE_LEVELS)[filled] / count[filled]
        offsets.append(np.interp(np.arange(TONE_LEVELS), filled, mean))
    levels = np.stack(offsets) + np.linspace(0, 1, TONE_LEVELS)
    curve = ToneCurve(np.clip(levels, 0, 1).astype(np.float32))
    residual = float(np.sqrt(np.mean((curve.colours(y) - colours) ** 2)))
    return curve if residual <= MONOCHROME_RESIDUAL else None


def fill_hole(pixels: Pixels, hole: Mask) -> Pixels:
    """Fill a hole without grain, by `inpaint_directional`.

    In a monochrome picture only the luma is interpolated. The colours are those of the tone curve, plus what the
    surroundings differ from it (a stain): no tint is added, and r = g = b stays so.

    Args:
        pixels: (3, H, W).
        hole: (H, W).
    """
    filled = inpaint_directional(pixels, hole)
    curve = tone_curve(pixels, ~hole)
    if curve is not None:
        stain = inpaint_membrane(pixels - curve.colours(luma(pixels)), hole)
        filled = np.clip(curve.colours(luma(filled)) + stain, 0, 1)
    return np.where(hole, filled, pixels).astype(np.float32)


def add_grain(filled: Pixels, hole: Mask) -> Pixels:
    """A filled picture with the grain of the surroundings in its hole, in luma.

    The grain of a pixel in the hole is that of its mirror image at the hole's border, clipped to `GRAIN_CLIP` local
    standard deviations. The deviation is estimated from absolute values (1.25 times their mean, for a Gaussian).
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    if hole.all() or not hole.any():
        return filled
    y = luma(filled)
    fine = y - gaussian_filter(y, GRAIN_SIGMA)
    fine[hole] = 0
    known = gaussian_filter((~hole).astype(np.float32), GRAIN_REACH) + np.float32(1e-6)
    spread = 1.25 * gaussian_filter(np.minimum(np.abs(fine), 0.1), GRAIN_REACH) / known
    rows, columns = np.nonzero(hole)
    nearest = distance_transform_edt(hole, return_distances=False, return_indices=True)[:, rows, columns]
    source = 2 * nearest - np.stack([rows, columns])
    source = np.clip(source, 0, np.array(hole.shape)[:, None] - 1)
    blocked = hole[source[0], source[1]]
    source[:, blocked] = nearest[:, blocked]
    limit = GRAIN_CLIP * spread[rows, columns]
    out = filled.copy()
    out[:, rows, columns] += np.clip(fine[source[0], source[1]], -limit, limit)
    return np.clip(out, 0, 1)
