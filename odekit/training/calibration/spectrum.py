"""Measures the spectrum of faces: the variance of each frequency of the DCT over the faces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from odekit.core.files import write_json
from odekit.evaluation.experiments.faces import Pictures
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.enhancers.spectrum import Spectrum, dct_radius

RADII = tuple(round(0.5 * 2 ** (k / 2), 4) for k in range(15))
"""Frequencies of the spectrum in half periods across the image: 0.5 (which stands for the mean value) to 64."""


def calibrate(pictures: Pictures) -> Spectrum:
    """The spectrum of aligned faces uint8 (N, S, S, 3), N at least 2: means over rings half an octave wide."""
    from scipy.fft import dctn

    clean = pictures.astype(np.float64) / 127.5 - 1
    coefficients = dctn(np.einsum("ij,nhwj->nihw", LUMA_CHROMA_AXES, clean), axes=(2, 3), norm="ortho")
    power = coefficients.var(axis=0) / (clean.shape[1] * clean.shape[2])
    ring = np.log2(np.maximum(dct_radius(*power.shape[1:]), RADII[0]) / RADII[0]) * 2
    rows = []
    for plane in (power[:1], power[1:]):
        ring_masks = [np.abs(ring - k) <= 0.5 for k in range(len(RADII))]
        means = np.array([plane[:, ring_mask].mean() if ring_mask.any() else np.nan for ring_mask in ring_masks])
        finite = np.isfinite(means)
        rows.append(np.interp(np.arange(len(means)), np.flatnonzero(finite), np.maximum(means[finite], 1e-12)))
    return Spectrum(RADII, *(tuple(float(f"{value:.4g}") for value in row) for row in rows))


def save(spectrum: Spectrum, path: Path) -> None:
    """Write the spectrum as JSON."""
    write_json(path, asdict(spectrum))
