"""Blind colour correction of aligned faces: brightness, contrast, saturation, tint, and fog.

R, G and B are transformed to luma and two chroma axes (orthonormal). Luma is shifted and scaled to an estimated mean
and spread, chroma to two estimated means and one common spread: five numbers. Fog varies over the picture, so there
the 8 x 8 lowest DCT coefficients of luma are estimated instead, and the others scaled. The estimates are quadratic
functions of statistics of the picture, fitted to the prior's training faces with known damage (`odekit calibrate
colour`). Two logistic classifiers, fitted in the same way, decide whether the colours are damaged, and whether by fog.
If they are not damaged, the picture stays unchanged, bit for bit.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import ASSETS, calibration_errors, read_bounded
from odekit.core.image import Image
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.images.tone import measure_tone

Array = NDArray[np.float64]
BUILTIN_FILE = ASSETS / "face64" / "balance.npz"
MAX_FILE = 1 << 20
"""Largest file of coefficients that is read, in bytes; the built-in one has 56 kB."""
LOW_FREQUENCIES = 8
"""Side of the block of DCT coefficients that are estimated for fog."""
ESTIMATES = ("mean", "spread", "tint 1", "tint 2", "colour")
"""Names of the five estimated numbers: mean and spread of luma, the two means and the spread of chroma."""
STATISTICS = (
    "mean", "spread", "low", "tenth", "middle", "ninetieth", "high", "chroma 1", "chroma 2", "chroma spread",
    "saturation", "saturation spread", "black", "white", "detail",
)  # fmt: skip
"""Names of the statistics."""


def statistics(pixels: NDArray[np.float32]) -> Array:
    """The statistics of a picture (3, H, W) in [0, 1], in the order of `STATISTICS`."""
    axes = np.einsum("ij,jhw->ihw", LUMA_CHROMA_AXES, pixels.astype(np.float64))
    luma, chroma = axes[0] / np.sqrt(3), axes[1:]
    quantiles = np.quantile(luma, [0.01, 0.1, 0.5, 0.9, 0.99])
    saturation = pixels.max(0) - pixels.min(0)
    detail = np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()
    clipped = [float((pixels < 0.02).mean()), float((pixels > 0.98).mean())]
    return np.array(
        [
            luma.mean(), luma.std(), *quantiles, *chroma.mean((1, 2)), chroma.std(),
            saturation.mean(), saturation.std(), *clipped, detail / max(luma.std(), 0.02),
        ]
    )  # fmt: skip


def quadratic_features(standardised: Array) -> Array:
    """Quadratic features of statistics (n, d): 1, the values, and their products in pairs.

    Values are clipped to 4 standard deviations. The shape is (n, 1 + d + d (d + 1) / 2).
    """
    clipped = np.clip(standardised, -4, 4)
    first, second = np.triu_indices(clipped.shape[1])
    return np.concatenate([np.ones((len(clipped), 1)), clipped, clipped[:, first] * clipped[:, second]], axis=1)


@dataclass(frozen=True)
class ColourCorrection:
    """Fitted coefficients of the colour correction; p is the number of `quadratic_features`."""

    centre: Array
    """(15,): means of the statistics."""
    scale: Array
    """(15,): standard deviations of the statistics."""
    numbers: Array
    """(5, p): weights for each of `ESTIMATES`."""
    gate: Array
    """(p,): weights for the logit of damaged colours."""
    threshold: Array
    """(1,): logit above which colours count as damaged."""
    fog_gate: Array
    """(p,): weights for the logit of fog, given that colours are damaged."""
    low_centre: Array
    """(64,): means of the low coefficients."""
    low_scale: Array
    """(64,): standard deviations of the low coefficients."""
    fog: Array
    """(66, p + 64): weights for the low coefficients of luma, and for the norms of the others of luma and of chroma."""

    def correct(self, image: Image) -> tuple[Image, dict[str, Any]]:
        """Correct the colours of a picture.

        Returns:
            The corrected picture, or the same one if its colours are not damaged, if it is greyscale or toned, or
            smaller than 8 pixels; and the decision for the record.
        """
        if min(image.pixels.shape[1:]) < LOW_FREQUENCIES:
            return image, {"damaged": False, "certainty": 0.0}
        if measure_tone(image.pixels) is not None:
            return image, {"damaged": False, "certainty": 0.0, "toned": True}
        terms = self.terms(statistics(image.pixels)[None])
        margin = float(terms[0] @ self.gate - self.threshold[0])
        facts: dict[str, Any] = {"damaged": margin > 0, "certainty": round(margin, 3)}
        if margin <= 0:
            return image, facts
        facts["fog"] = bool(terms[0] @ self.fog_gate > 0)
        if facts["fog"]:
            corrected = remove_fog(
                image.pixels, self.fog @ self.with_low(terms, low_coefficients(image.pixels)[None])[0]
            )
        else:
            estimates = self.numbers @ terms[0]
            corrected = match_moments(image.pixels, estimates)
            facts |= {name: round(float(value), 4) for name, value in zip(ESTIMATES, estimates, strict=True)}
        return image.with_pixels(np.clip(corrected, 0, 1).astype(np.float32)), facts

    def terms(self, raw: Array) -> Array:
        """The quadratic features (n, p) of raw statistics (n, d)."""
        return quadratic_features((raw - self.centre) / self.scale)

    def with_low(self, terms: Array, coefficients: Array) -> Array:
        """Append the standardised low coefficients (n, 64) to the features (n, p): (n, p + 64)."""
        clipped = np.clip((coefficients - self.low_centre) / self.low_scale, -4, 4)
        return np.concatenate([terms, clipped], axis=1)


def dct_coefficients(pixels: NDArray[np.float32]) -> Array:
    """Orthonormal DCT of luma and chroma (3, H, W)."""
    from scipy.fft import dctn  # its import takes a third of a second, and few pictures are foggy

    axes = LUMA_CHROMA_AXES @ pixels.reshape(3, -1).astype(np.float64)
    dct: Array = dctn(axes.reshape(pixels.shape), axes=(1, 2), norm="ortho")
    return dct


def low_coefficients(pixels: NDArray[np.float32]) -> Array:
    """The 64 lowest DCT coefficients of luma, over the picture's side, so that they do not depend on its size."""
    side = float(np.sqrt(pixels.shape[1] * pixels.shape[2]))
    return dct_coefficients(pixels)[0, :LOW_FREQUENCIES, :LOW_FREQUENCIES].ravel() / side


def other_coefficients(coefficients: Array) -> tuple[Array, Array]:
    """The other coefficients: luma (1, H, W) with its low block set to 0, and chroma (2, H, W)."""
    luma = coefficients[:1].copy()
    luma[:, :LOW_FREQUENCIES, :LOW_FREQUENCIES] = 0
    return luma, coefficients[1:]


def coefficient_norm(part: Array) -> float:
    """Norm of coefficients over the picture's side: the square root of the sum of squares per pixel."""
    return float(np.sqrt(max(float((part**2).sum()), 1e-8) / (part.shape[1] * part.shape[2])))


def remove_fog(pixels: NDArray[np.float32], targets: Array) -> Array:
    """Replace the low coefficients of luma, and scale the others of luma and of chroma to given norms.

    Args:
        pixels: (3, H, W).
        targets: (66,): the 64 low coefficients, and the two norms.
    """
    from scipy.fft import idctn

    luma, chroma = other_coefficients(dct_coefficients(pixels))
    luma, chroma = (
        part * (max(float(target), 0.0) / coefficient_norm(part))
        for part, target in zip((luma, chroma), targets[-2:], strict=True)
    )
    luma[0, :LOW_FREQUENCIES, :LOW_FREQUENCIES] = targets[:-2].reshape(LOW_FREQUENCIES, LOW_FREQUENCIES) * np.sqrt(
        pixels.shape[1] * pixels.shape[2]
    )
    axes = idctn(np.concatenate([luma, chroma]), axes=(1, 2), norm="ortho")
    rgb: Array = LUMA_CHROMA_AXES.T @ axes.reshape(3, -1)
    return rgb.reshape(pixels.shape)


def moments(axes: Array) -> tuple[Array, Array]:
    """Means of luma and the chroma axes (3, 1), and deviations (2,): of luma, and of both chroma axes together."""
    means = axes.mean(1, keepdims=True)
    variances = ((axes - means) ** 2).mean(1)
    return means, np.sqrt(np.maximum([variances[0], variances[1:].mean()], 1e-8))


def match_moments(pixels: NDArray[np.float32], numbers: Array) -> Array:
    """Shift and scale luma and chroma to the means and spreads of `ESTIMATES`; a negative estimate of a spread is 0."""
    mean, spread, *tint, colour = (float(number) for number in numbers)
    axes = LUMA_CHROMA_AXES @ pixels.reshape(3, -1).astype(np.float64)
    means, deviations = moments(axes)
    factors = np.maximum([spread, colour], 0) / deviations
    scaled = (axes - means) * np.array([[factors[0]], [factors[1]], [factors[1]]])
    rgb: Array = LUMA_CHROMA_AXES.T @ (scaled + np.array([[mean], [tint[0]], [tint[1]]]))
    return rgb.reshape(pixels.shape)


@cache
def load_colour_correction(path: Path | None = None) -> ColourCorrection:
    """Read the coefficients from a file; None reads the built-in ones.

    Raises:
        ConfigError: no such file, or it is not a colour correction.
    """
    file = path or BUILTIN_FILE
    with calibration_errors("the colour correction", file, "colour"):
        with np.load(io.BytesIO(read_bounded(file, MAX_FILE)), allow_pickle=False) as stored:
            correction = ColourCorrection(
                **{field.name: stored[field.name].astype(np.float64) for field in fields(ColourCorrection)}
            )
        correction.correct(Image(np.full((3, 16, 16), 0.5, np.float32)))
        return correction
