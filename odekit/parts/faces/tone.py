"""Match the colour and tone of a restored face to its photograph, in CIE Lab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import lab_to_srgb, srgb_to_lab
from odekit.images.resize import block_means

Weights = NDArray[np.float32]
"""(H, W)."""
MAX_TONE_RESIDUAL = 2.8
"""A photograph is monochrome or toned if its chroma deviates less than this from a function of lightness (Lab units,
root mean square, at `THUMBNAIL` pixels). The test needs the whole photograph: skin alone is nearly such a function. A
cropped, blurred face in colour has 3.3, scans of toned prints have 0.8 to 1.7."""
THUMBNAIL = 48
KNOTS = 9
ChromaCurve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Chroma as a function of lightness: lightness at K knots, and (a, b) there: (K,) and (2, K)."""


def match_mean(face: Pixels, original: Pixels, ring: Weights) -> Pixels:
    """Shift a face in Lab by one vector, so that its mean over the ring equals that of the original."""
    within = ring > 0
    weights = ring[within].astype(np.float64)
    if weights.sum() < 1e-6:
        return face
    shift = (srgb_to_lab(original[:, within]) - srgb_to_lab(face[:, within])) @ (weights / weights.sum())
    return lab_to_srgb(srgb_to_lab(face) + shift.astype(np.float32)[:, None, None])


def photo_curve(pixels: Pixels) -> ChromaCurve | None:
    """Chroma as a function of lightness, if the photograph is monochrome or toned; else None."""
    factor = max(1, max(pixels.shape[1:]) // THUMBNAIL)
    height, width = (size // factor * factor for size in pixels.shape[1:])
    if not height or not width:
        return None
    return chroma_curve(srgb_to_lab(block_means(pixels[:, :height, :width], factor)).reshape(3, -1))


def match_tone(face: Pixels, original: Pixels, weight: Weights, curve: ChromaCurve | None = None) -> Pixels:
    """Give a face the tone of its photograph.

    In a monochrome or toned photograph, the face gets the photograph's chroma for each lightness. In a faded one, which
    has less contrast or chroma than the face, the face's median and spread are matched. Otherwise it stays unchanged.

    Args:
        face: restored, (3, H, W).
        original: the same part of the photograph, of the same size.
        weight: (H, W); pixels above 0.5 are used for the statistics.
        curve: the photograph's (see `photo_curve`).
    """
    used = weight > 0.5
    if used.sum() < 16:
        return face
    axes = (0, 1, 2) if curve is None else (0,)
    spreads = faded(srgb_to_lab(face[:, used]), srgb_to_lab(original[:, used]), axes)
    if curve is None and not spreads:
        return face
    face_lab = srgb_to_lab(face)
    if curve is not None:
        knots, chroma = curve
        face_lab[1], face_lab[2] = (np.interp(face_lab[0], knots, values) for values in chroma)
    for axis, (face_median, original_median, ratio) in spreads.items():
        face_lab[axis] = (face_lab[axis] - face_median) * ratio + original_median
    return lab_to_srgb(face_lab)


def faded(face: NDArray[Any], original: NDArray[Any], axes: Sequence[int]) -> dict[int, tuple[float, float, float]]:
    """Those axes of Lab along which a photograph has less contrast than the face, both as values (3, N).

    For each the medians of face and original, and the ratio of the original's spread to the face's.
    """
    out = {}
    for axis in axes:
        face_spread, original_spread = robust_std(face[axis]), robust_std(original[axis])
        if face_spread > 1e-3 and original_spread < 0.7 * face_spread:
            out[axis] = float(np.median(face[axis])), float(np.median(original[axis])), original_spread / face_spread
    return out


def chroma_curve(lab: NDArray[Any]) -> ChromaCurve | None:
    """Fit chroma as a function of lightness to `lab` (3, N); None if the residual is not below `MAX_TONE_RESIDUAL`."""
    knots = np.unique(np.quantile(lab[0], np.linspace(0.02, 0.98, KNOTS)))
    if len(knots) < 2:  # constant lightness
        median = np.median(lab[1:], axis=1)
        deviation = np.abs(lab[1:] - median[:, None])
        return (
            (np.array([0.0, 100.0]), np.repeat(median[:, None], 2, 1)) if deviation.mean() < MAX_TONE_RESIDUAL else None
        )
    bins = np.clip(np.searchsorted((knots[1:] + knots[:-1]) / 2, lab[0]), 0, len(knots) - 1)
    chroma = np.stack([[np.median(plane[bins == k]) if (bins == k).any() else 0.0 for k in range(len(knots))]
                       for plane in lab[1:]])  # fmt: skip
    residuals = [
        np.sqrt(np.mean((plane - np.interp(lab[0], knots, values)) ** 2))
        for plane, values in zip(lab[1:], chroma, strict=True)
    ]
    return (knots, chroma) if max(residuals) < MAX_TONE_RESIDUAL else None


def robust_std(values: NDArray[Any]) -> float:
    """Half the distance between the 16th and the 84th percentile: a robust standard deviation."""
    low, high = np.quantile(values, [0.16, 0.84])
    return float(high - low) / 2
