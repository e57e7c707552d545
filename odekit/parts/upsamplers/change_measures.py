"""Measures of a face and of its result: what the decision of `face-guided` is made from.

Two views of the same pair: powers by octave of the whole inner face, and statistics of what happens from place to place
in four bands, which LPIPS sees: it compares normalised features, position by position.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import luma
from odekit.images.dct import dct_matrix
from odekit.images.smooth import gaussian, window_mean

Array = NDArray[np.float64]
OCTAVES = 4
"""Radial octaves of the DCT that are measured, counted from the highest frequency of the measured side."""
BAND_WIDTHS = (0.7, 1.4, 2.8, 5.6)
"""Standard deviations in pixels of the Gaussians whose differences are the bands."""
BAND_FLOOR = 0.003
"""Local contrast below which a band counts as empty: about one grey level."""
LARGEST_SIDE = 256
"""Side of the faces, in pixels, whose logarithm is 0."""


def measure(original: Pixels, result: Pixels) -> dict[str, float]:
    """Measures of a face and its result (3, n, n) in [0, 1], by name; `side` comes first.

    Only the inner part counts, which shows the face. Logarithms are natural ones.
    """
    inner = inner_part(original)
    before, after = (luma(pixels).astype(np.float64) for pixels in (original, result))
    colour = (result - original)[:, inner, inner] - (after - before)[None, inner, inner]
    values = {"side": float(np.log(original.shape[1] / LARGEST_SIDE))}
    values |= octave_measures(before[inner, inner], after[inner, inner])
    values["colour"] = float(np.log(max(float((colour.astype(np.float64) ** 2).mean()), 1.5e-8)))
    for number, (one, other) in enumerate(zip(bands(before), bands(after), strict=True)):
        statistics = band_measures(one[inner, inner], other[inner, inner], window_width(number))
        values |= {f"{name} {number}": value for name, value in statistics.items()}
    return values


def measure_face(original: Pixels) -> dict[str, float]:
    """Those of the same measures that are of the face (3, n, n) alone."""
    inner = inner_part(original)
    face = luma(original).astype(np.float64)
    powers = {f"face {octave}": log_power(power) for octave, power in enumerate(octave_powers(face[inner, inner]))}
    values = {"side": float(np.log(original.shape[1] / LARGEST_SIDE))} | powers | slopes(powers)
    for number, band in enumerate(bands(face)):
        own = np.maximum(window_mean(band[inner, inner] ** 2, window_width(number)), 0)
        values |= {f"{name} {number}": value for name, value in contrasts(np.log(own + BAND_FLOOR**2)).items()}
    return values


@cache
def measures_of_a_pair() -> frozenset[str]:
    """Names of the measures of a face and its result."""
    grey = np.full((3, 32, 32), 0.5, np.float32)
    return frozenset(measure(grey, grey))


@cache
def measures_of_a_face() -> frozenset[str]:
    """Names of the measures of a face alone."""
    return frozenset(measure_face(np.full((3, 32, 32), 0.5, np.float32)))


def inner_part(face: Pixels) -> slice:
    """Rows, and columns, of a face (3, n, n) that count."""
    return slice(face.shape[1] // 5, -(face.shape[1] // 6))


def window_width(band: int) -> int:
    """Side of the windows of local powers of a band, in pixels."""
    return 2 * max(1, round(2 * BAND_WIDTHS[band])) + 1


def octave_measures(before: Array, after: Array) -> dict[str, float]:
    """Log powers per pixel of planes (h, w), and of the change, by octave; bounded below by -18.

    Octave 0 ends at the highest frequency that the pixels hold, octave 1 at half of it, and so on. `relative` is the
    change's less the face's, `slope` the face's in an octave less that in the next lower one: both tell a picture that
    lost its finest detail from one that never had much.
    """
    values = {}
    for name, plane in (("face", before), ("result", after), ("change", after - before)):
        for octave, power in enumerate(octave_powers(plane)):
            values[f"{name} {octave}"] = log_power(power)
    for octave in range(OCTAVES):
        values[f"relative {octave}"] = values[f"change {octave}"] - values[f"face {octave}"]
    return values | slopes(values)


def log_power(power: float) -> float:
    """The logarithm, bounded below by -18."""
    return float(np.log(max(power, 1.5e-8)))


def slopes(values: Mapping[str, float]) -> dict[str, float]:
    """The log power of the face in each octave less that in the next lower one."""
    return {f"slope {i}": values[f"face {i}"] - values[f"face {i + 1}"] for i in range(OCTAVES - 1)}


def octave_powers(plane: Array) -> list[float]:
    """Power per pixel of a plane (H, W) in the octaves of its DCT."""
    height, width = plane.shape
    power = (dct_matrix(height) @ plane @ dct_matrix(width).T) ** 2 / plane.size
    radius = np.maximum(*np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij"))
    edges = 2.0 ** -np.arange(OCTAVES + 1)
    return [float(power[(radius <= high) & (radius > low)].sum()) for high, low in itertools.pairwise(edges)]


def bands(plane: Array) -> Iterator[Array]:
    """Differences of Gaussians of a plane (H, W), the finest first (Burt and Adelson's pyramid, without reduction)."""
    passed = 0.0
    for width in BAND_WIDTHS:
        smooth = gaussian(plane, float(np.sqrt(width**2 - passed**2)))
        yield plane - smooth
        plane, passed = smooth, width


def band_measures(before: Array, after: Array, width: int) -> dict[str, float]:
    """Statistics of a band (h, w) before and after, from local powers over `width` x `width` pixels.

    `share` and `power share`: of the change in what both hold, 0 to 1; `correlation`: of both, -1 to 1; `growth` and
    `growth spread`: mean and standard deviation of the logarithm of the growth of the power; `contrast`, `low` and
    `high`: mean, 20 % and 90 % quantile of the log power before.
    """
    floor = BAND_FLOOR**2
    planes = (before * before, after * after, (after - before) ** 2)
    own, new, change = (np.maximum(window_mean(plane, width), 0) for plane in planes)
    contrast, growth = np.log(own + floor), np.log((new + floor) / (own + floor))
    return {
        "share": float((np.sqrt(change) / (np.sqrt(new) + np.sqrt(own) + BAND_FLOOR)).mean()),
        "power share": float((change / (new + own + floor)).mean()),
        "correlation": float(((window_mean(before * after, width) + floor) / (np.sqrt(new * own) + floor)).mean()),
        "growth": float(growth.mean()),
        "growth spread": float(growth.std()),
        **contrasts(contrast),
    }


def contrasts(log_powers: Array) -> dict[str, float]:
    """Mean, 20 % and 90 % quantile of local log powers."""
    low, high = np.quantile(log_powers, (0.2, 0.9))
    return {"contrast": float(log_powers.mean()), "low": float(low), "high": float(high)}
