"""Fit the blur of a photograph, and the power law of its unblurred state, to its power spectrum.

The power of photographs falls with frequency f as about f^-a, a from 2 to 3 (Field 1987, doi:10.1364/JOSAA.4.002379;
van der Schaaf and van Hateren 1996, doi:10.1016/0042-6989(96)00002-8). A Gaussian blur of standard deviation s
multiplies it by exp(-4 pi^2 s^2 f^2), defocus by (2 J1(2 pi r f) / (2 pi r f))^2, r being the radius of the disc. Both
are fitted to the logarithm of the radial mean of the power, at frequencies where it exceeds the noise, and the better
fit is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RING_EDGES = np.linspace(0.02, 0.5, 49)
"""Borders of the frequency rings, in periods per pixel."""
MIN_SIGNAL_TO_NOISE = 8.0
"""A ring is used if its power is at least this many times the noise."""
MIN_RINGS = 6
"""Smallest number of rings for a fit."""
SLOPE_RANGE = (1.6, 3.4)
"""Range of the slope; a fit outside is repeated with the slope fixed at the nearer end."""
CORRELATED_FREQUENCIES = 5.0
"""Correlated frequencies per independent one: a window correlates neighbours, and both signs have equal power."""
RADII = np.arange(1.5, 12, 0.1)
"""Disc radii tested, in pixels."""
MIN_RESPONSE = 1e-3
"""Lower bound of a disc's power response at its zeros, because frequency rings have a finite width."""
PowerLaw = tuple[float, float, float]
"""Logarithm of the power at frequency 1, slope, and root mean square error of the fit."""


@dataclass(frozen=True)
class Blur:
    """Parameters of the blur and of the spectrum, as fitted to a photograph."""

    sigma: float
    """Standard deviation along an axis, in pixels (for a disc: half its radius); 0 if there is no blur that can be
    corrected."""
    disc: bool
    """Defocus; else Gaussian blur."""
    power: float
    """Power of the unblurred picture at frequency 1, per pixel."""
    slope: float
    """Exponent of its fall: the power is `power f^-slope`."""
    noise: float
    """Variance of the noise."""
    misfit: float
    """Root mean square error of the fit in log power, after subtraction of the statistical error."""


NO_BLUR = Blur(0, False, 0, 0, 0, 0)
"""No blur."""


def fit_blur(
    power: Floats, frequency: Floats, noise: float, spectra: int = 1, discs: Sequence[bool] = (False, True)
) -> Blur | None:
    """Fit a Gaussian and a disc to a power spectrum; returns the better one, or None if too few rings are usable.

    Args:
        power: of each frequency.
        frequency: in periods per pixel, of the same shape.
        noise: its variance.
        spectra: number of spectra that `power` is the mean of.
        discs: which models to fit: False is the Gaussian, True the disc.

    Returns:
        The blur. Its standard deviation is negative if the picture is sharper than the power law.
    """
    ring = np.digitize(frequency.ravel(), RING_EDGES)
    count = np.bincount(ring, minlength=len(RING_EDGES) + 1)[1:-1]
    mean = np.bincount(ring, power.ravel(), minlength=len(RING_EDGES) + 1)[1:-1] / np.maximum(count, 1)
    clear = (mean > MIN_SIGNAL_TO_NOISE * noise) & (count > 0)
    if clear.sum() < MIN_RINGS:
        return None
    f, log_power = ((RING_EDGES[1:] + RING_EDGES[:-1]) / 2)[clear], np.log(mean[clear] - noise)
    statistical_error = CORRELATED_FREQUENCIES * float(np.mean(1 / count[clear])) / spectra

    def blur(sigma: float, disc: bool, law: PowerLaw) -> Blur:
        level, slope, error = law
        misfit = float(np.sqrt(max(error**2 - statistical_error, 0)))
        return Blur(sigma, disc, float(np.exp(level)), slope, noise, misfit)

    # A Gaussian is linear in log power: columns of the level, the slope, and the variance sigma^2.
    columns = np.stack([np.ones(len(f)), -np.log(f), -4 * np.pi**2 * f**2], axis=1)
    variance = float(np.linalg.lstsq(columns, log_power, rcond=None)[0][2])
    law = fit_power_law(f, log_power + 4 * np.pi**2 * variance * f**2)
    if not SLOPE_RANGE[0] < law[1] < SLOPE_RANGE[1]:
        solution = np.linalg.lstsq(columns[:, ::2], log_power - law[1] * columns[:, 1], rcond=None)[0]
        variance = float(solution[1])
        law = fit_power_law(f, log_power + 4 * np.pi**2 * variance * f**2)
    fits = [(float(np.sign(variance) * np.sqrt(abs(variance))), False, law)]
    if True in discs:
        laws = fit_power_laws(f, log_power - disc_log_powers()[:, clear])
        disc_fits = [(r / 2, True, law) for r, law in zip(RADII, laws, strict=True)]
        fits = [*fits, *disc_fits] if False in discs else disc_fits
    return blur(*min(fits, key=lambda fit: fit[2][2]))


def fit_power_law(f: Floats, log_power: Floats) -> PowerLaw:
    """Fit the power law of sharp photographs to the log power (n,) at frequencies f (n,)."""
    return fit_power_laws(f, log_power[None])[0]


def fit_power_laws(f: Floats, log_powers: Floats) -> list[PowerLaw]:
    """The same for several log powers (N, n)."""
    columns = np.stack([np.ones(len(f)), -np.log(f)], axis=1)
    slopes = np.linalg.lstsq(columns, log_powers.T, rcond=None)[0][1].clip(*SLOPE_RANGE)
    fall = slopes[:, None] * np.log(f)
    levels = np.mean(log_powers + fall, axis=1)
    errors = np.sqrt(np.mean((log_powers - levels[:, None] + fall) ** 2, axis=1))
    return list(zip(levels.tolist(), slopes.tolist(), errors.tolist(), strict=True))


@cache
def disc_log_powers() -> Floats:
    """By which a disc of each of the `RADII` changes the log power of each ring (radii, rings); see `MIN_RESPONSE`."""
    middle = (RING_EDGES[1:] + RING_EDGES[:-1]) / 2
    return np.log(disc_response(RADII[:, None], middle) ** 2 + MIN_RESPONSE)


def disc_response(radius: float | Floats, f: Floats) -> Floats:
    """Frequency response of a disc: 2 J1(x) / x at x = 2 pi radius f, with Bessel's integral for J1."""
    x = 2 * np.pi * radius * np.maximum(np.asarray(f, np.float64), 1e-9)
    theta = (np.arange(64) + 0.5) * (np.pi / 64)
    j1 = sum(np.cos(t - x * np.sin(t)) for t in theta) / 64
    response: Floats = 2 * j1 / x
    return response
