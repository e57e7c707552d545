"""Tone of a picture: greyscale, or toned (sepia and other one-colour prints), kept through every stage of a chain.

In a toned picture chroma is a function of luma, up to noise and JPEG artefacts. The function is fitted to a thumbnail,
piecewise linear with penalised second differences (P-splines: Eilers and Marx, Statistical Science 11, 1996), with
weights that fall for large residuals (Huber).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.images.colour import LUMA_CHROMA_AXES, luma
from odekit.images.resize import block_means

THUMBNAIL = 64
"""Side of the thumbnail, about."""
KNOTS, SMOOTHNESS = 24, 3e-4
"""Number of knots in luma, evenly spaced, and weight of the squared second differences per pixel."""
MAX_RESIDUAL = 0.0125
"""Largest root mean square deviation of the chroma of a toned picture from the function, as means of 3 x 3 pixels of
the thumbnail. Toned faces, saved as JPEG of quality 60, have at most 0.006 at 256 pixels and 0.0165 at 64. Of 1,101
faces, one has less than 0.014, and it is toned."""
MAX_RELATIVE_RESIDUAL = 0.08
"""The same over the standard deviation of luma: a picture in colour of little contrast is not toned."""
MIN_SPREAD = 0.005
"""Smallest standard deviation of luma from which tone is measured."""
MIN_CHANGE = 0.5 / 255
"""A pixel of a toned picture that changed by no more keeps its colour, so that a round trip returns the input."""
GREY_TOLERANCE = 1e-4
"""Largest difference of the channels of a greyscale picture; colour profiles are converted with such errors."""

SAMPLE_STEP = 16
"""Distance of the pixels in which a picture is first seen to be in colour."""


@dataclass(frozen=True)
class Tone:
    """Chroma as a function of luma; 0 in a greyscale picture."""

    chroma: NDArray[np.float64] | None
    """(2, K): the two chroma axes at K evenly spaced values of luma from 0 to 1; None: greyscale."""

    def apply(self, pixels: Pixels) -> Pixels:
        """Pixels (3, H, W) with their luma and this chroma; a greyscale tone makes all channels exactly equal."""
        if self.chroma is None:
            return np.repeat(luma(pixels)[None], 3, axis=0)
        # The chroma axes have no part in the mean of R, G and B, but in luma: take their luma off.
        y = luma(pixels).astype(np.float64)
        knots = np.linspace(0, 1, self.chroma.shape[1])
        added = np.tensordot(LUMA_CHROMA_AXES[1:].T, np.stack([np.interp(y, knots, c) for c in self.chroma]), 1)
        out: Pixels = np.clip(y + added - luma(added), 0, 1).astype(np.float32)
        return out


def measure_tone(pixels: Pixels) -> Tone | None:
    """The tone of a picture (3, H, W) in [0, 1]; None for a picture in colour."""
    if is_grey(pixels):
        return Tone(None)
    height, width = pixels.shape[1:]
    factor = max(1, min(height, width) // THUMBNAIL)
    small = block_means(pixels, factor).astype(np.float64)
    y, chroma = luma(small), np.tensordot(LUMA_CHROMA_AXES[1:], small, 1)
    spread = float(y.std())
    if spread < MIN_SPREAD:
        return None
    values, residual = fit(np.clip(y.ravel(), 0, 1), chroma.reshape(2, -1))
    smooth = local_means(residual.reshape(chroma.shape))
    limit = min(MAX_RESIDUAL, MAX_RELATIVE_RESIDUAL * spread)
    return Tone(values) if float(np.sqrt(np.square(smooth).sum(0).mean())) < limit else None


def local_means(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 3 x 3 pixels of planes (C, H, W): colours of things stay, noise falls to a third."""
    height, width = planes.shape[1:]
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.asarray(np.mean(shifted, axis=0), np.float64)


def fit(y: NDArray[np.float64], chroma: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The function (2, K) of luma (N,) that fits chroma (2, N), and the residuals (2, N)."""
    position = y * (KNOTS - 1)
    left = np.minimum(position.astype(int), KNOTS - 2)
    basis = np.zeros((y.size, KNOTS))
    basis[np.arange(y.size), left] = 1 - (position - left)
    basis[np.arange(y.size), left + 1] = position - left
    bend = np.diff(np.eye(KNOTS), 2, axis=0)
    penalty = SMOOTHNESS * y.size * bend.T @ bend + 1e-9 * y.size * np.eye(KNOTS)
    weights = np.ones(y.size)
    for _ in range(3):
        weighted = basis * weights[:, None]
        values = np.linalg.solve(basis.T @ weighted + penalty, weighted.T @ chroma.T)
        residual = chroma - (basis @ values).T
        size = np.hypot(*residual)
        weights = 1 / np.maximum(size / max(1.5 * float(np.median(size)), 1e-4), 1)
    return np.asarray(values.T, np.float64), residual


def is_grey(pixels: Pixels) -> bool:
    """Whether the three channels are equal."""
    first, *sample = pixels[:, ::SAMPLE_STEP, ::SAMPLE_STEP]
    if any(float(np.abs(first - other).max()) > GREY_TOLERANCE for other in sample):
        return False  # most pictures in colour: no need to see all of it
    first = pixels[0]
    return all(float(np.abs(first - other).max()) <= GREY_TOLERANCE for other in pixels[1:])


def keep_tone(source: Image, before: Image, after: Image) -> Image:
    """A stage's result with the tone of the chain's input.

    Args:
        source: the chain's input. If it is in colour, nothing is changed.
        before: what the stage got.
        after: what it returned. Pixels that are as in `before` or `source` stay, unless the input is greyscale.
    """
    if any(after.pixels is image.pixels for image in (before, source)):
        return after
    tone = measure_tone(source.pixels)
    if tone is None or (tone.chroma is None and np.array_equal(after.pixels, after.pixels[:1].repeat(3, 0))):
        return after
    pixels = tone.apply(after.pixels)
    if tone.chroma is not None:
        for image in (before, source):
            if image.pixels.shape == after.pixels.shape:
                kept = (np.abs(after.pixels - image.pixels) <= MIN_CHANGE).all(0)
                pixels = np.where(kept, after.pixels, pixels)
    return after.with_pixels(pixels)
