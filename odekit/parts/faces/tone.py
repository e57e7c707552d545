"""Colour of a restored face against its photograph: CIE Lab, the mean of a ring, and the photograph's own tone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import from_lab, to_lab

Weights = NDArray[np.float32]
"""(H, W)."""
COLOURLESS = 3.5
"""Where the chroma of a whole photograph strays less than this from a curve over lightness (Lab units, root mean square
at THUMBNAIL pixels), it is monochrome or toned. A face alone would not tell: skin nearly is such a curve."""
THUMBNAIL = 48
KNOTS = 9
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lightness at some knots, and (a, b) there: (K,) and (2, K)."""


def matched(face: Pixels, original: Pixels, ring: Weights) -> Pixels:
    """The face, shifted in Lab by one vector so that its mean over the ring is the original's."""
    if ring.sum() < 1e-6:
        return face
    mine, theirs = to_lab(face), to_lab(original)
    shift = ((theirs - mine) * ring).sum((1, 2)) / ring.sum()
    return from_lab(mine + shift[:, None, None])


def photo_curve(pixels: Pixels) -> Curve | None:
    """The tone of a whole photograph: chroma over lightness where that is all its colour, else None."""
    factor = max(1, max(pixels.shape[1:]) // THUMBNAIL)
    height, width = (size // factor * factor for size in pixels.shape[1:])
    if not height or not width:
        return None
    blocks = pixels[:, :height, :width].reshape(3, height // factor, factor, width // factor, factor)
    return chroma_curve(to_lab(blocks.mean((2, 4))).reshape(3, -1))


def toned(face: Pixels, original: Pixels, weight: Weights, curve: Curve | None = None) -> Pixels:
    """The face in the tone of its photograph.

    A monochrome or toned photograph gives its curve of chroma over lightness to the face. A faded one, of less contrast
    or chroma than the face, gives its spreads. Anything else leaves the face alone.

    Args:
        face: restored, (3, H, W).
        original: the same part of the photograph, of the same size.
        weight: which pixels count.
        curve: the photograph's (see `photo_curve`).
    """
    mine, theirs = to_lab(face), to_lab(original)
    use = weight > 0.5
    if use.sum() < 16:
        return face
    if curve is not None:
        knots, chroma = curve
        mine[1], mine[2] = (np.interp(mine[0], knots, values) for values in chroma)
    for axis in (0, 1, 2) if curve is None else (0,):
        ours, wanted = spread(mine[axis][use]), spread(theirs[axis][use])
        if ours > 1e-3 and wanted < 0.7 * ours:  # faded: what is kept is a tone, not a prior's taste
            middle = np.median(mine[axis][use])
            mine[axis] = (mine[axis] - middle) * wanted / ours + np.median(theirs[axis][use])
    return from_lab(mine)


def chroma_curve(lab: NDArray[np.float64]) -> Curve | None:
    """(knots, (a, b) at them) where chroma is a function of lightness within COLOURLESS, else None. `lab` is (3, N)."""
    knots = np.unique(np.quantile(lab[0], np.linspace(0.02, 0.98, KNOTS)))
    if len(knots) < 2:
        middle = np.median(lab[1:], axis=1)
        far = np.abs(lab[1:] - middle[:, None])
        return (np.array([0.0, 100.0]), np.repeat(middle[:, None], 2, 1)) if far.mean() < COLOURLESS else None
    bins = np.clip(np.searchsorted((knots[1:] + knots[:-1]) / 2, lab[0]), 0, len(knots) - 1)
    chroma = np.stack([[np.median(plane[bins == k]) if (bins == k).any() else 0.0 for k in range(len(knots))]
                       for plane in lab[1:]])  # fmt: skip
    off = [
        np.sqrt(np.mean((plane - np.interp(lab[0], knots, values)) ** 2))
        for plane, values in zip(lab[1:], chroma, strict=True)
    ]
    return (knots, chroma) if max(off) < COLOURLESS else None


def spread(values: NDArray[np.float64]) -> float:
    """Half the distance between the 16th and the 84th percentile: a standard deviation that outliers do not move."""
    low, high = np.quantile(values, [0.16, 0.84])
    return float(high - low) / 2
